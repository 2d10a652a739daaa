//! Access tokens of API clients: their scope, where they are accepted, and when they end.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Method;
use savannah::identity::{Role, client_token, oauth_grant};
use serde_json::{Value, json};

use crate::{
    access_tokens::is_rejected,
    integration_tests,
    support::{Backend, HttpResponse, OauthClient, TestApp, WebSocketClient, assert_oauth_error, parse_datetime},
};

integration_tests![
    client_credentials_give_a_token_of_the_profile,
    client_token_has_the_permissions_of_its_scope,
    unknown_or_too_wide_scopes_are_rejected,
    client_token_is_accepted_by_websockets,
    client_tokens_end_with_their_api_key,
    client_tokens_end_with_their_lifetime,
    key_created_by_a_narrowed_token_is_not_wider,
    revoked_token_is_rejected_by_its_instance_at_once,
    revocation_of_unknown_tokens_succeeds,
    introspection_describes_tokens_of_the_client_only,
    tokens_of_one_kind_are_not_accepted_as_the_other,
    metadata_names_the_endpoints_below_the_public_url,
];

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";
const CREATE_CATEGORY: &str =
    "mutation { categoryCreate(input: { name: \"Lamps\" }) { category { name } userErrors { code } } }";

fn decode_part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a part");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON")
}

async fn client_credentials_give_a_token_of_the_profile(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE", "ORDER_READ"]).await;
    let tokens = client.issue(&app, CLIENT_CREDENTIALS).await;
    assert_eq!((tokens.scope.as_str(), tokens.expires_in), ("catalog:write order:read", 600));
    assert_eq!(tokens.refresh, None, "a refresh token is issued on request only");
    let header = decode_part(&tokens.access, 0);
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("EdDSA")));
    let claims = decode_part(&tokens.access, 1);
    let now = parse_datetime("2026-11-01T09:00:00Z").timestamp();
    for (name, expected) in [
        ("iss", json!("savannah")),
        ("aud", json!("savannah")),
        ("sub", json!(client.id)),
        ("client_id", json!(client.id)),
        ("scope", json!("catalog:write order:read")),
        ("iat", json!(now)),
        ("exp", json!(now + 600)),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    let again = client.issue(&app, CLIENT_CREDENTIALS).await;
    assert_ne!(decode_part(&again.access, 1)["jti"], claims["jti"], "each token has an id of its own");
    // Neither the secret nor a token is stored.
    let stored = format!("SELECT count(*) FROM oauth_grant WHERE scope LIKE '%{}%'", tokens.access);
    assert_eq!(app.query_scalar(&stored).await, 0);
    assert_eq!(app.query_scalar("SELECT count(*) FROM api_key WHERE last_used_at IS NOT NULL").await, 1);
}

async fn client_token_has_the_permissions_of_its_scope(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE", "CUSTOMER_READ"]).await;
    let wide = client.issue(&app, CLIENT_CREDENTIALS).await;
    assert_eq!(
        app.query_as(&wide.access, CREATE_CATEGORY, json!({})).await.data_at("/categoryCreate/category/name"),
        "Lamps"
    );
    let by_client = "SELECT count(*) FROM audit_log WHERE actor_kind = 'api_key' AND action = 'category.create'";
    assert_eq!(app.query_scalar(by_client).await, 1, "the actor is the API key");
    let narrow = client.issue(&app, "grant_type=client_credentials&scope=customer:read").await;
    assert_eq!(narrow.scope, "customer:read");
    let list = "{ customers(first: 1) { nodes { id } } }";
    assert_eq!(app.query_as(&narrow.access, list, json!({})).await.body.get("errors"), None);
    assert_eq!(app.query_as(&narrow.access, CREATE_CATEGORY, json!({})).await.error_code(), "FORBIDDEN");
    assert_eq!(app.query_as(&wide.access, list, json!({})).await.body.get("errors"), None);
    // A key that lost a permission takes it from its tokens, within seconds.
    app.execute_sql("UPDATE api_key SET permissions = 'customer:read'").await.expect("a change");
    app.clock.set(parse_datetime("2026-11-01T09:00:05Z"));
    assert_eq!(app.query_as(&wide.access, CREATE_CATEGORY, json!({})).await.error_code(), "FORBIDDEN");
    assert_eq!(app.query_as(&wide.access, list, json!({})).await.body.get("errors"), None);
}

async fn unknown_or_too_wide_scopes_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    for scope in ["order:read", "catalog:write+order:read", "nonsense", "CATALOG_WRITE", "+", "catalog:write++", "%00"]
    {
        let form = format!("{CLIENT_CREDENTIALS}&scope={scope}");
        assert_oauth_error(&client.post(&app, "/oauth/token", &form).await, 400, "invalid_scope");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM oauth_grant").await, 0);
    for scope in ["", "catalog:write", "catalog:write+catalog:write"] {
        assert_eq!(client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope={scope}")).await.scope, "catalog:write");
    }
    let refreshable = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=offline_access")).await;
    assert_eq!(refreshable.scope, "catalog:write offline_access");
    // A scope that is too wide for the grant is rejected, and the refresh token can still be used.
    let form = format!("grant_type=refresh_token&scope=order:read&refresh_token={}", refreshable.refresh_token());
    assert_oauth_error(&client.post(&app, "/oauth/token", &form).await, 400, "invalid_scope");
    client.refresh(&app, refreshable.refresh_token()).await;
    // The key of a creator who lost the role has no permissions, so there is no token for it.
    app.execute_sql("UPDATE api_key SET permissions = ''").await.expect("a change");
    assert_oauth_error(&client.post(&app, "/oauth/token", CLIENT_CREDENTIALS).await, 400, "invalid_scope");
}

async fn client_token_is_accepted_by_websockets(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.start_event_feed().await;
    let client = OauthClient::create(&app, &["JOB_WRITE"]).await;
    let tokens = client.issue(&app, CLIENT_CREDENTIALS).await;
    let mut socket = WebSocketClient::connect(&app.address.to_string(), Some(&tokens.access)).await;
    socket.subscribe_and_wait(&app, "1", "subscription { jobFailed { cursor } }", json!({})).await;
    let revoked = client.post(&app, "/oauth/revoke", &format!("token={}", tokens.access)).await;
    assert_eq!(revoked.status, 200);
    let mut late = WebSocketClient::open(&app.address.to_string(), &[]).await.expect("a connection");
    let payload = json!({ "authorization": format!("Bearer {}", tokens.access) });
    late.send(json!({ "type": "connection_init", "payload": payload })).await;
    assert_eq!(late.wait_for_close().await, Some(4403));
}

async fn client_tokens_end_with_their_api_key(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let tokens = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=offline_access")).await;
    assert!(!is_rejected(&app, &tokens.access).await);
    assert_eq!(app.query_as(&client.secret, "{ shop { name } }", json!({})).await.body.get("errors"), None);
    let second = app.start_second_instance(&[]).await;
    assert!(!is_rejected(&second, &tokens.access).await);
    client.revoke_key(&app).await;
    assert!(is_rejected(&app, &tokens.access).await, "at once on the instance that revoked it");
    assert!(is_rejected(&app, &client.secret).await, "and the key itself");
    app.clock.set(parse_datetime("2026-11-01T09:00:05Z"));
    assert!(is_rejected(&second, &tokens.access).await, "within seconds on others");
    assert_oauth_error(&client.post(&app, "/oauth/token", CLIENT_CREDENTIALS).await, 401, "invalid_client");
    assert_eq!(app.query_scalar("SELECT count(*) FROM oauth_grant").await, 0);

    let expiring = OauthClient::create_until(&app, &["CATALOG_WRITE"], Some("2026-11-01T09:01:00.5Z")).await;
    let tokens = expiring.issue(&app, CLIENT_CREDENTIALS).await;
    assert_eq!(tokens.expires_in, 55, "not longer than the key");
    app.clock.set(parse_datetime("2026-11-01T09:00:59Z"));
    assert!(!is_rejected(&app, &tokens.access).await);
    app.clock.set(parse_datetime("2026-11-01T09:01:00Z"));
    assert!(is_rejected(&app, &tokens.access).await);
    // The key is valid for another half of a second, in which no token could be valid.
    assert_oauth_error(&expiring.post(&app, "/oauth/token", CLIENT_CREDENTIALS).await, 401, "invalid_client");
    app.clock.set(parse_datetime("2026-11-01T09:01:00.5Z"));
    assert_oauth_error(&expiring.post(&app, "/oauth/token", CLIENT_CREDENTIALS).await, 401, "invalid_client");
}

async fn client_tokens_end_with_their_lifetime(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let tokens = client.issue(&app, CLIENT_CREDENTIALS).await;
    app.clock.set(parse_datetime("2026-11-01T09:09:59Z"));
    assert!(!is_rejected(&app, &tokens.access).await);
    app.clock.set(parse_datetime("2026-11-01T09:10:00Z"));
    assert!(is_rejected(&app, &tokens.access).await);
    app.clock.set(parse_datetime("2026-11-01T09:10:01Z"));
    oauth_grant::delete_expired_grants(&app.db).await.expect("deleted grants");
    assert_eq!(app.query_scalar("SELECT count(*) FROM oauth_grant").await, 0, "expired grants are deleted");
}

async fn key_created_by_a_narrowed_token_is_not_wider(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["API_KEY_WRITE", "CATALOG_WRITE"]).await;
    let tokens = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=api_key:write")).await;
    let create = "mutation { apiKeyCreate(input: { name: \"x\", permissions: [CATALOG_WRITE] }) {
        apiKey { id } userErrors { code field } } }";
    let response = app.query_as(&tokens.access, create, json!({})).await;
    assert_eq!(response.user_errors("apiKeyCreate"), [("VALIDATION_ERROR".into(), "input.permissions".into())]);
}

async fn revoked_token_is_rejected_by_its_instance_at_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let first = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=offline_access")).await;
    let other = client.issue(&app, CLIENT_CREDENTIALS).await;
    let second = client.refresh(&app, first.refresh_token()).await;
    for token in [&first.access, &second.access, &other.access] {
        assert!(!is_rejected(&app, token).await);
    }
    let other_instance = app.start_second_instance(&[]).await;
    assert!(!is_rejected(&other_instance, &second.access).await);
    let form = format!("token={}&token_type_hint=refresh_token", second.refresh_token());
    let revoked = client.post(&app, "/oauth/revoke", &form).await;
    assert_eq!((revoked.status, revoked.text.as_str()), (200, ""), "{revoked:?}");
    assert!(is_rejected(&app, &first.access).await && is_rejected(&app, &second.access).await);
    assert!(!is_rejected(&app, &other.access).await, "another grant is not concerned");
    let form = format!("grant_type=refresh_token&refresh_token={}", second.refresh_token());
    assert_oauth_error(&client.post(&app, "/oauth/token", &form).await, 400, "invalid_grant");
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE action = 'api_key.grant_revoke'").await, 1);
    app.clock.set(parse_datetime("2026-11-01T09:00:05Z"));
    assert!(is_rejected(&other_instance, &second.access).await);
    // An access token ends its grant, too, whatever the hint names.
    let third = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=offline_access")).await;
    let form = format!("token={}&token_type_hint=refresh_token", third.access);
    assert_eq!(client.post(&app, "/oauth/revoke", &form).await.status, 200);
    assert!(is_rejected(&app, &third.access).await);
    let form = format!("grant_type=refresh_token&refresh_token={}", third.refresh_token());
    assert_oauth_error(&client.post(&app, "/oauth/token", &form).await, 400, "invalid_grant");
}

async fn revocation_of_unknown_tokens_succeeds(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let other_client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let tokens = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=offline_access")).await;
    let customer = app.login(Role::Customer).await;
    for token in ["x", "a.b", "a.b.c", "%00", &customer, &client.secret, &format!("{}x", tokens.access)] {
        let revoked = client.post(&app, "/oauth/revoke", &format!("token={token}")).await;
        assert_eq!(revoked.status, 200, "{token}");
    }
    assert!(!is_rejected(&app, &customer).await && !is_rejected(&app, &client.secret).await);
    for token in [&tokens.access, tokens.refresh_token()] {
        let refused = other_client.post(&app, "/oauth/revoke", &format!("token={token}")).await;
        assert_oauth_error(&refused, 400, "invalid_grant");
    }
    assert!(!is_rejected(&app, &tokens.access).await);
    assert_oauth_error(&client.post(&app, "/oauth/revoke", "").await, 400, "invalid_request");
    for _ in 0..2 {
        assert_eq!(client.post(&app, "/oauth/revoke", &format!("token={}", tokens.access)).await.status, 200);
    }
}

async fn introspection_describes_tokens_of_the_client_only(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE", "ORDER_READ"]).await;
    let other_client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let first = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=order:read+offline_access")).await;
    let tokens = client.refresh(&app, first.refresh_token()).await;
    let introspect = async |client: &OauthClient, token: &str| {
        let response = client.post(&app, "/oauth/introspect", &format!("token={token}")).await;
        assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")), "{response:?}");
        response.json()
    };
    let access = introspect(&client, &tokens.access).await;
    assert_eq!((&access["active"], &access["scope"]), (&json!(true), &json!("order:read")));
    assert_eq!((&access["client_id"], &access["token_type"]), (&json!(client.id), &json!("Bearer")));
    let refresh = introspect(&client, tokens.refresh_token()).await;
    assert_eq!((&refresh["active"], &refresh["scope"]), (&json!(true), &json!("order:read offline_access")));
    let inactive = json!({ "active": false });
    assert_eq!(introspect(&other_client, &tokens.access).await, inactive);
    assert_eq!(introspect(&other_client, tokens.refresh_token()).await, inactive);
    assert_eq!(introspect(&client, first.refresh_token()).await, inactive, "it was used");
    for token in ["x", "a.b", &client.secret, &client.admin] {
        assert_eq!(introspect(&client, token).await, inactive);
    }
    app.clock.set(parse_datetime("2026-11-01T09:10:00Z"));
    assert_eq!(introspect(&client, &tokens.access).await, inactive);
}

async fn tokens_of_one_kind_are_not_accepted_as_the_other(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let tokens = client.issue(&app, &format!("{CLIENT_CREDENTIALS}&scope=offline_access")).await;
    assert!(client_token::has_client_token_type(&tokens.access));
    assert!(is_rejected(&app, tokens.refresh_token()).await, "a refresh token is no bearer token");
    let customer = app.login(Role::Customer).await;
    assert!(!client_token::has_client_token_type(&customer));
    // Claims with the header of the other kind are not signed.
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (own, person) = (parts(&tokens.access), parts(&customer));
    for (header, rest) in [(&own, &person), (&person, &own)] {
        assert!(is_rejected(&app, &format!("{}.{}.{}", header[0], rest[1], rest[2])).await);
    }
    // A token whose grant is that of another key.
    let other_client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    other_client.issue(&app, CLIENT_CREDENTIALS).await;
    app.execute_sql("UPDATE oauth_grant SET api_key_id = (SELECT max(id) FROM api_key)").await.expect("a change");
    assert!(is_rejected(&app, &tokens.access).await);
}

async fn metadata_names_the_endpoints_below_the_public_url(backend: Backend) {
    const METADATA: &str = "/.well-known/oauth-authorization-server";
    let settings = [("SAVANNAH_SERVER__PUBLIC_URL", "https://api.shop.example/")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let metadata = HttpResponse::send(app.build_request(Method::GET, METADATA)).await;
    assert_eq!(metadata.status, 200);
    let metadata = metadata.json();
    for (name, expected) in [
        ("issuer", "https://api.shop.example"),
        ("token_endpoint", "https://api.shop.example/oauth/token"),
        ("revocation_endpoint", "https://api.shop.example/oauth/revoke"),
        ("introspection_endpoint", "https://api.shop.example/oauth/introspect"),
        ("jwks_uri", "https://api.shop.example/.well-known/jwks.json"),
    ] {
        assert_eq!(metadata[name], expected, "{name}");
    }
    assert_eq!(metadata["grant_types_supported"], json!(["client_credentials", "refresh_token"]));
    let scopes = metadata["scopes_supported"].as_array().expect("scopes");
    assert!(scopes.contains(&json!("catalog:write")) && scopes.contains(&json!("offline_access")), "{scopes:?}");
    // In development, without the setting, it is the address of the request.
    let development = TestApp::start(backend).await;
    let metadata = HttpResponse::send(development.build_request(Method::GET, METADATA)).await.json();
    assert_eq!(metadata["issuer"], development.url(""));
}
