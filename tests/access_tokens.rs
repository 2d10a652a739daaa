//! Access tokens: every invalid token is rejected with the same message, whatever the cause.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use savannah::identity::{
    Role,
    signing_key::{self, KeyRing, KeyRotation},
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![
    invalid_access_tokens_are_rejected,
    invalid_authorization_headers_are_rejected,
    planned_key_rotation_keeps_tokens_valid,
    compromised_keys_verify_nothing_after_rotation,
    instances_started_concurrently_share_signing_keys,
    session_revoked_by_another_instance_is_rejected_after_refresh,
    token_adds_no_statements_to_a_listing,
];

/// Sends a query with a raw `Authorization` header.
async fn query_with_authorization(app: &TestApp, header: &[u8]) -> HttpResponse {
    let value = reqwest::header::HeaderValue::from_bytes(header).expect("a header");
    let request = app.build_request(reqwest::Method::POST, "/graphql").json(&json!({ "query": "{ shop { name } }" }));
    HttpResponse::send(request.header("authorization", value)).await
}

/// Returns whether a token is rejected with 401 and a message that does not reveal the cause.
pub async fn is_rejected(app: &TestApp, token: &str) -> bool {
    let http_response = query_with_authorization(app, format!("Bearer {token}").as_bytes()).await;
    if http_response.status == 200 {
        return false;
    }
    assert_eq!(
        (http_response.status, http_response.error_code().as_str()),
        (401, "UNAUTHENTICATED"),
        "{http_response:?}"
    );
    assert_eq!(http_response.error_message(), "The token is invalid; sign in again.");
    assert_eq!(http_response.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    true
}

fn encode_base64(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

async fn invalid_access_tokens_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let valid_token = app.login(Role::Customer).await;
    assert!(!is_rejected(&app, &valid_token).await);
    let mut token_parts = valid_token.split('.');
    let mut next_part = || token_parts.next().expect("a part");
    let (header, claims, signature) = (next_part(), next_part(), next_part());
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    let key_ring = KeyRing::load(&app.open_second_database().await, TimeDelta::minutes(10)).await.expect("keys");
    let (kid, key) = key_ring.current.as_ref().expect("a key");
    let header_of = |change: &dyn Fn(&mut Header)| {
        let mut header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
        change(&mut header);
        header
    };
    let signed = |header: Header, claims: &Value| jsonwebtoken::encode(&header, claims, key).expect("a token");
    let token_with_claim = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(header_of(&|_| {}), &claims)
    };
    assert!(!is_rejected(&app, &token_with_claim("extra", json!(1))).await, "what is not known is not minded");
    let now = crate::support::parse_datetime("2026-11-01T09:00:00Z").timestamp();
    let x = key_ring.to_jwks()["keys"][0]["x"].as_str().expect("a key").to_owned();
    let public = EncodingKey::from_secret(&BASE64_URL_SAFE_NO_PAD.decode(&x).expect("base64"));
    let hs256 = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
    let none = format!("{}.{}.", encode_base64(&json!({ "alg": "none", "kid": kid })), encode_base64(&claims));
    let mut longer = claims.clone();
    longer["sub"] = json!("x".repeat(20_000));
    let invalid_tokens = [
        ("expired", token_with_claim("exp", json!(now))),
        ("not yet valid", token_with_claim("nbf", json!(now + 60))),
        ("of another audience", token_with_claim("aud", json!("others"))),
        ("of another issuer", token_with_claim("iss", json!("https://example.com"))),
        ("of no role there is", token_with_claim("role", json!("owner"))),
        ("of no account", token_with_claim("sub", json!("7"))),
        ("of another kind of id", token_with_claim("sub", claims["sid"].clone())),
        ("without an end", token_with_claim("exp", Value::Null)),
        ("longer than the shop's", token_with_claim("exp", json!(now + 601))),
        ("from later on", token_with_claim("iat", json!(now + 61))),
        (
            "of a session that has not begun",
            token_with_claim("sid", json!(session_id(app.query_scalar("SELECT max(id) + 1 FROM session").await))),
        ),
        ("unsigned", none),
        (
            "unsigned with a signature",
            format!("{}.{}.{signature}", encode_base64(&json!({ "alg": "none", "kid": kid })), encode_base64(&claims)),
        ),
        ("signed with the public key", jsonwebtoken::encode(&hs256, &claims, &public).expect("a token")),
        (
            "with the address of a key",
            signed(header_of(&|header| header.jku = Some("https://example.com/keys".into())), &claims),
        ),
        ("of an unknown key", signed(header_of(&|header| header.kid = Some("other".into())), &claims)),
        ("of no key", signed(header_of(&|header| header.kid = None), &claims)),
        ("with other claims", format!("{header}.{}.{signature}", encode_base64(&json!({ "role": "admin" })))),
        ("cut", valid_token[..valid_token.len() - 4].to_owned()),
        ("endless", signed(header_of(&|_| {}), &longer)),
        ("of too many parts", format!("{valid_token}.{signature}")),
        ("empty", String::new()),
        ("nonsense", "nonsense".into()),
    ];
    for (description, token) in invalid_tokens {
        assert!(is_rejected(&app, &token).await, "a token {description}");
        assert!(is_rejected(&app, &token).await, "a token {description}, seen before");
    }
    assert!(!is_rejected(&app, &valid_token).await);
}

async fn invalid_authorization_headers_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let valid_token = app.login(Role::Customer).await;
    for header in ["Basic YTpi".as_bytes(), b"Bearer", b"Token x", b"Bearer \xff\xfe", "Bearer jet\u{f3}n".as_bytes()] {
        let http_response = query_with_authorization(&app, header).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (401, "UNAUTHENTICATED"), "{header:?}");
    }
    assert_eq!(query_with_authorization(&app, format!("bearer  {valid_token} ").as_bytes()).await.status, 200);
    let request = app.build_request(reqwest::Method::POST, "/graphql").json(&json!({ "query": "{ shop { name } }" }));
    let request = HttpResponse::send(request.bearer_auth(&valid_token).header("authorization", "Bearer other")).await;
    assert_eq!(request.status, 401);
    // GraphiQL and the health checks need no authentication.
    let health =
        HttpResponse::send(app.build_request(reqwest::Method::GET, "/health").header("authorization", "Bearer x"))
            .await;
    assert_eq!(health.status, 200);
}

async fn planned_key_rotation_keeps_tokens_valid(backend: Backend) {
    let app = TestApp::start(backend).await;
    let keys =
        || async { HttpResponse::send(app.build_request(reqwest::Method::GET, "/.well-known/jwks.json")).await.json() };
    let before = keys().await;
    assert_eq!(before["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!((&before["keys"][0]["kty"], &before["keys"][0]["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert!(before["keys"][0].get("d").is_none(), "the private key is not published");
    let old = app.login(Role::Customer).await;
    let second_db = app.open_second_database().await;
    let kid = second_db
        .write(async |tx| signing_key::rotate_signing_key(tx, KeyRotation::Planned).await)
        .await
        .expect("a new key");
    app.run_clock_tick().await;
    let new = app.login(Role::Customer).await;
    assert_eq!(jsonwebtoken::decode_header(&new).expect("a header").kid, Some(kid));
    assert!(!is_rejected(&app, &old).await && !is_rejected(&app, &new).await);
    assert_eq!(keys().await["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM signing_key WHERE retired_at IS NOT NULL AND private_key <> ''").await,
        0
    );
    // Lifetime of ten minutes plus a clock skew of one minute.
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:10:59Z"));
    app.run_clock_tick().await;
    assert_eq!(keys().await["keys"].as_array().map(Vec::len), Some(2));
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:11:00Z"));
    app.run_clock_tick().await;
    assert_eq!(keys().await["keys"].as_array().map(Vec::len), Some(1), "the old one has had its day");
}

async fn compromised_keys_verify_nothing_after_rotation(backend: Backend) {
    let app = TestApp::start(backend).await;
    let old = app.login(Role::Customer).await;
    assert!(!is_rejected(&app, &old).await);
    let second_db = app.open_second_database().await;
    second_db
        .write(async |tx| signing_key::rotate_signing_key(tx, KeyRotation::Planned).await)
        .await
        .expect("a new key");
    second_db
        .write(async |tx| signing_key::rotate_signing_key(tx, KeyRotation::Compromised).await)
        .await
        .expect("a new key");
    app.run_clock_tick().await;
    assert!(is_rejected(&app, &old).await);
    assert!(!is_rejected(&app, &app.login(Role::Customer).await).await);
    assert_eq!(app.query_scalar("SELECT count(*) FROM signing_key").await, 1);
}

fn session_id(key: i64) -> String {
    savannah::base::GlobalId::new(savannah::base::global_id::NodeType::Session, key).encode()
}

async fn instances_started_concurrently_share_signing_keys(backend: Backend) {
    let app = TestApp::start(backend).await;
    let db = app.open_second_database().await;
    app.execute_sql("DELETE FROM signing_key").await.expect("no keys");
    let key_rings = futures_util::future::join_all((0..4).map(|_| KeyRing::load(&db, TimeDelta::minutes(10)))).await;
    let names: Vec<Vec<String>> = key_rings
        .iter()
        .map(|key_ring| key_ring.as_ref().expect("keys").key_ids().map(str::to_owned).collect())
        .collect();
    assert!(names.iter().all(|one| *one == names[0] && one.len() == 1), "{names:?}");
}

async fn session_revoked_by_another_instance_is_rejected_after_refresh(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Admin).await;
    assert!(!is_rejected(&app, &token).await);
    let db = app.open_second_database().await;
    let account = app.query_scalar("SELECT max(id) FROM account").await;
    let revoked = db.write(async |tx| savannah::identity::session::revoke_sessions(tx, account, None).await).await;
    assert_eq!(revoked.expect("revoked"), 1);
    app.run_clock_tick().await;
    assert!(is_rejected(&app, &token).await);
}

async fn token_adds_no_statements_to_a_listing(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let token = app.login(Role::Customer).await;
    let query = "{ products(first: 24) { nodes { id name category { name } } } }";
    for _ in 0..2 {
        let response = app.query_as(&token, query, json!({})).await;
        assert_eq!(response.data_at("/products/nodes").as_array().map(Vec::len), Some(24));
        assert_eq!(response.statements, 1, "authentication executes no statement");
    }
}
