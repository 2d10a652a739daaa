//! Requests of API clients that are malformed, not authenticated or too many: the errors of RFC 6749, never a 500.

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::TimeDelta;
use reqwest::{Method, header::HeaderValue};
use serde_json::json;

use crate::{
    integration_tests,
    support::{
        Backend, GraphqlResponse, HttpResponse, IssuedTokens, OauthClient, TestApp, assert_oauth_error, form_request,
    },
};

integration_tests![
    clients_authenticate_by_basic_or_by_form,
    invalid_credentials_have_one_answer,
    credentials_that_are_sent_twice_are_rejected,
    malformed_forms_are_rejected,
    other_grant_types_are_not_supported,
    large_bodies_are_rejected,
    other_methods_and_media_types_are_rejected,
    failed_authentications_are_limited_by_network,
    issued_tokens_are_limited_by_api_key,
    requests_are_charged_to_the_api_key_or_the_network,
];

const CLIENT_CREDENTIALS: &str = "grant_type=client_credentials";
const ENDPOINTS: [&str; 3] = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"];

async fn send_with_authorization(app: &TestApp, header: &str, form: &str) -> HttpResponse {
    let value = HeaderValue::from_str(header).expect("a header");
    HttpResponse::send(form_request(app, "/oauth/token", form).header("authorization", value)).await
}

/// Encodes each byte of a text, as a client may do.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| encoded + &format!("%{byte:02X}"))
}

async fn clients_authenticate_by_basic_or_by_form(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let OauthClient { id, secret, .. } = &client;
    let in_form = format!("{CLIENT_CREDENTIALS}&client_id={id}&client_secret={secret}");
    let by_form = HttpResponse::send(form_request(&app, "/oauth/token", &in_form)).await;
    let basic = |id: &str, secret: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
    let plain = send_with_authorization(&app, &basic(id, secret), CLIENT_CREDENTIALS).await;
    let encoded = basic(&percent_encode(id), &percent_encode(secret));
    let encoded = send_with_authorization(&app, &encoded, CLIENT_CREDENTIALS).await;
    let with_id = format!("{CLIENT_CREDENTIALS}&client_id={id}&unknown=1");
    let with_id = send_with_authorization(&app, &basic(id, secret).replace("Basic", "basic"), &with_id).await;
    for response in [by_form, plain, encoded, with_id] {
        assert_eq!(IssuedTokens::from_response(&response).scope, "catalog:write");
    }
    for path in ["/oauth/revoke", "/oauth/introspect"] {
        let form = format!("token=x&client_id={id}&client_secret={secret}");
        assert_eq!(HttpResponse::send(form_request(&app, path, &form)).await.status, 200);
    }
}

async fn invalid_credentials_have_one_answer(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let other_client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let account = app.query_as(&client.admin, "{ me { id } }", json!({})).await.data_at("/me/id").clone();
    let account = account.as_str().expect("an id");
    let mut answers = Vec::new();
    for (id, secret) in [
        (client.id.as_str(), "sav_x"),
        (&client.id, &other_client.secret),
        (&client.id, &client.secret[4..]),
        (&client.id, &format!("{}x", client.secret)),
        (&client.id, "\0"),
        ("1", &client.secret),
        ("QXBpS2V5Ojk5", &client.secret),
        ("QXBpS2V5Oi0x", &client.secret),
        (account, &client.secret),
        ("\0", &client.secret),
        (" ", " "),
    ] {
        let form =
            format!("{CLIENT_CREDENTIALS}&client_id={}&client_secret={}", percent_encode(id), percent_encode(secret));
        let response = HttpResponse::send(form_request(&app, "/oauth/token", &form)).await;
        assert_oauth_error(&response, 401, "invalid_client");
        assert!(!response.text.contains("sav_"), "{response:?}");
        answers.push(response.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    for header in ["Basic", "Basic !", "Basic OjpA", "Bearer x", "Digest x", &format!("Bearer {}", client.secret)] {
        let response = send_with_authorization(&app, header, CLIENT_CREDENTIALS).await;
        assert_oauth_error(&response, 401, "invalid_client");
    }
    for path in ENDPOINTS {
        let form = format!("{CLIENT_CREDENTIALS}&token=x");
        assert_oauth_error(&HttpResponse::send(form_request(&app, path, &form)).await, 401, "invalid_client");
    }
    // An id or a secret alone.
    for form in [format!("client_id={}", client.id), format!("client_secret={}", client.secret)] {
        let form = format!("{CLIENT_CREDENTIALS}&{form}");
        let response = HttpResponse::send(form_request(&app, "/oauth/token", &form)).await;
        assert_oauth_error(&response, 401, "invalid_client");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM api_key WHERE last_used_at IS NOT NULL").await, 0);
}

async fn credentials_that_are_sent_twice_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let OauthClient { id, secret, .. } = &client;
    for parameters in
        [format!("client_secret={secret}"), format!("client_id={id}&client_secret={secret}"), "client_id=x".into()]
    {
        let response = client.post(&app, "/oauth/token", &format!("{CLIENT_CREDENTIALS}&{parameters}")).await;
        assert_oauth_error(&response, 400, "invalid_request");
    }
    let request = client.build_request(&app, "/oauth/token", CLIENT_CREDENTIALS).basic_auth(id, Some(secret));
    assert_oauth_error(&HttpResponse::send(request).await, 400, "invalid_request");
    assert_eq!(app.query_scalar("SELECT count(*) FROM oauth_grant").await, 0);
}

async fn malformed_forms_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    for form in [
        "",
        "grant_type",
        "grant_type=",
        "grant_type=client_credentials&grant_type=client_credentials",
        "grant_type=client_credentials&scope=catalog:write&scope=catalog:write",
        "grant_type=client_credentials&x=1&x=2",
        "grant_type=client_credentials&grant%5Ftype=refresh_token",
        "grant_type=%zz",
        "grant_type=%ff",
        "grant_type=%",
        "grant_type=refresh_token",
        "grant_type=refresh_token&refresh_token=",
        "{\"grant_type\":\"client_credentials\"}",
    ] {
        assert_oauth_error(&client.post(&app, "/oauth/token", form).await, 400, "invalid_request");
    }
    let not_utf8 = client.build_request(&app, "/oauth/token", "").body(vec![b'a', b'=', 0xff]);
    assert_oauth_error(&HttpResponse::send(not_utf8).await, 400, "invalid_request");
    for form in ["", "token=", "token=a&token=b", "tokens=a"] {
        for path in ["/oauth/revoke", "/oauth/introspect"] {
            assert_oauth_error(&client.post(&app, path, form).await, 400, "invalid_request");
        }
    }
    // Parameters of the address are not read.
    let query = format!("/oauth/token?{CLIENT_CREDENTIALS}&client_id={}&client_secret={}", client.id, client.secret);
    assert_oauth_error(&HttpResponse::send(form_request(&app, &query, "")).await, 400, "invalid_request");
}

async fn other_grant_types_are_not_supported(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    for form in [
        "grant_type=password&username=amani@example.com&password=correct+horse",
        "grant_type=authorization_code&code=x",
        "grant_type=implicit",
        "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=x",
        "grant_type=CLIENT_CREDENTIALS",
        "grant_type=client_credentials%00",
    ] {
        assert_oauth_error(&client.post(&app, "/oauth/token", form).await, 400, "unsupported_grant_type");
        let anonymous = HttpResponse::send(form_request(&app, "/oauth/token", form)).await;
        assert_oauth_error(&anonymous, 400, "unsupported_grant_type");
    }
}

async fn large_bodies_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let padded = |bytes: usize| {
        let form = format!("{CLIENT_CREDENTIALS}&x=");
        format!("{form}{}", "a".repeat(bytes - form.len()))
    };
    assert_eq!(client.post(&app, "/oauth/token", &padded(16 * 1024)).await.status, 200);
    for path in ENDPOINTS {
        let response = client.post(&app, path, &padded(16 * 1024 + 1)).await;
        assert_oauth_error(&response, 413, "invalid_request");
    }
    // As many parameters as fit, and a long token, secret or scope.
    let names: Vec<_> = (0..3_000).map(|number| format!("{number:x}")).collect();
    assert_eq!(
        client.post(&app, "/oauth/token", &format!("{CLIENT_CREDENTIALS}&{}", names.join("&"))).await.status,
        200
    );
    let long = "a".repeat(15_000);
    let scope = format!("{CLIENT_CREDENTIALS}&scope={long}");
    assert_oauth_error(&client.post(&app, "/oauth/token", &scope).await, 400, "invalid_scope");
    let refresh = format!("grant_type=refresh_token&refresh_token={long}.{}", "b".repeat(500));
    assert_oauth_error(&client.post(&app, "/oauth/token", &refresh).await, 400, "invalid_grant");
    assert_eq!(client.post(&app, "/oauth/revoke", &format!("token={long}")).await.status, 200);
}

async fn other_methods_and_media_types_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    for path in ENDPOINTS {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let response = HttpResponse::send(app.build_request(method, path)).await;
            assert_oauth_error(&response, 405, "invalid_request");
            assert_eq!(response.header("allow"), Some("POST"));
        }
    }
    for media_type in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        let request = app.build_request(Method::POST, "/oauth/token").header("content-type", media_type);
        let request = request.body(CLIENT_CREDENTIALS).basic_auth(&client.id, Some(&client.secret));
        assert_oauth_error(&HttpResponse::send(request).await, 400, "invalid_request");
    }
    let media_type = "Application/X-WWW-Form-Urlencoded; charset=UTF-8";
    let request = app.build_request(Method::POST, "/oauth/token").header("content-type", media_type);
    let request = request.body(CLIENT_CREDENTIALS).basic_auth(&client.id, Some(&client.secret));
    IssuedTokens::from_response(&HttpResponse::send(request).await);
}

async fn failed_authentications_are_limited_by_network(backend: Backend) {
    let settings = [("SAVANNAH_SERVER__TRUSTED_PROXIES", "1"), ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_IP", "3/10m")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let send = async |address: &str, secret: &str| {
        let request = form_request(&app, "/oauth/token", CLIENT_CREDENTIALS).basic_auth(&client.id, Some(secret));
        HttpResponse::send(request.header("x-forwarded-for", address)).await
    };
    for _ in 0..3 {
        assert_oauth_error(&send("192.0.2.1", "sav_x").await, 401, "invalid_client");
    }
    let limited = send("192.0.2.1", "sav_x").await;
    assert_oauth_error(&limited, 429, "temporarily_unavailable");
    assert_eq!(limited.header("retry-after"), Some("600"));
    assert_oauth_error(&send("192.0.2.2", "sav_x").await, 401, "invalid_client");
    // The secret is accepted from there: others in the network cannot lock the client out.
    IssuedTokens::from_response(&send("192.0.2.1", &client.secret).await);
    app.clock.set(app.clock.now() + TimeDelta::minutes(10));
    assert_oauth_error(&send("192.0.2.1", "sav_x").await, 401, "invalid_client");
}

async fn issued_tokens_are_limited_by_api_key(backend: Backend) {
    let settings = [("SAVANNAH_THROTTLE__CLIENT_TOKENS_PER_API_KEY", "3/10m")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let other_client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let first = client.issue(&app, "grant_type=client_credentials&scope=offline_access").await;
    client.refresh(&app, first.refresh_token()).await;
    client.issue(&app, CLIENT_CREDENTIALS).await;
    let limited = client.post(&app, "/oauth/token", CLIENT_CREDENTIALS).await;
    assert_oauth_error(&limited, 429, "temporarily_unavailable");
    assert_eq!(limited.header("retry-after"), Some("600"));
    assert_eq!(app.query_scalar("SELECT count(*) FROM oauth_grant").await, 2);
    other_client.issue(&app, CLIENT_CREDENTIALS).await;
    assert_eq!(client.post(&app, "/oauth/revoke", &format!("token={}", first.access)).await.status, 200);
    app.clock.set(app.clock.now() + TimeDelta::minutes(10));
    client.issue(&app, CLIENT_CREDENTIALS).await;
}

async fn requests_are_charged_to_the_api_key_or_the_network(backend: Backend) {
    // Each request costs ten points.
    let settings =
        [("SAVANNAH_RATE_LIMIT__POINTS_PER_API_KEY", "40/7d"), ("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "30/7d")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let client = OauthClient::create(&app, &["CATALOG_WRITE"]).await;
    let tokens = client.issue(&app, CLIENT_CREDENTIALS).await;
    let charged = client.post(&app, "/oauth/introspect", "token=x").await;
    assert_eq!(charged.header("ratelimit-policy"), Some("\"api_key\";q=40;w=604800;savannah-unit=\"points\""));
    // The token has the bucket of its key.
    let request = app.build_request(Method::POST, "/graphql").bearer_auth(&tokens.access);
    let response = request.json(&json!({ "query": "{ shop { name } }" })).send().await.expect("a response");
    assert!(response.headers()["ratelimit-policy"].to_str().is_ok_and(|policy| policy.starts_with("\"api_key\"")));
    assert_eq!(GraphqlResponse::from_http_response(response).await.body.get("errors"), None);
    assert_eq!(client.post(&app, "/oauth/revoke", "token=x").await.status, 200);
    assert_oauth_error(&client.post(&app, "/oauth/token", CLIENT_CREDENTIALS).await, 429, "temporarily_unavailable");
    // Failures are charged to the network.
    for _ in 0..3 {
        let failed = HttpResponse::send(form_request(&app, "/oauth/token", CLIENT_CREDENTIALS)).await;
        assert_oauth_error(&failed, 401, "invalid_client");
    }
    let failed = HttpResponse::send(form_request(&app, "/oauth/token", CLIENT_CREDENTIALS)).await;
    assert_oauth_error(&failed, 429, "temporarily_unavailable");
}
