//! Tests of token validation without a provider.

use serde_json::json;

use super::*;

fn json_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not a JSON object: {other}"),
    }
}

fn provider_config() -> ProviderConfig {
    ProviderConfig {
        issuer: "https://id.example/realms/shop".into(),
        client_id: String::new(),
        client_secret: String::new().into(),
        scopes: Vec::new(),
        accept_tokens: true,
        audience: "shop".into(),
        roles_claim: "realm_access.roles".into(),
        admin_roles: vec!["admin".into()],
        staff_roles: vec!["staff".into(), "clerk".into()],
        clock_skew: std::time::Duration::from_secs(30),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("valid timestamp")
}

/// Returns valid claims with one claim replaced.
fn claims_with(name: &str, value: Value) -> Map<String, Value> {
    let mut claims = json_object(json!({
        "iss": "https://id.example/realms/shop", "aud": ["account", "shop"], "sub": "s", "typ": "Bearer",
        "exp": 1_800_000_100, "iat": 1_800_000_000, "nbf": 1_800_000_000,
    }));
    claims.insert(name.into(), value);
    claims
}

fn rejection_reason(outcome: Result<impl std::fmt::Debug, AuthError>) -> String {
    match outcome {
        Err(AuthError::InvalidToken(error)) => error.to_string(),
        other => panic!("token was not rejected: {other:?}"),
    }
}

#[test]
fn token_for_shop_within_its_validity_is_accepted() {
    for valid_claims in [
        claims_with("aud", json!("shop")),
        claims_with("exp", json!(1_799_999_971)),
        claims_with("exp", json!(1_800_000_100.5)),
        claims_with("nbf", json!(1_800_000_030)),
        claims_with("iat", json!(1_800_000_030)),
        claims_with("typ", json!("bearer")),
    ] {
        assert!(validate_claims(&valid_claims, &provider_config(), now()).is_ok(), "{valid_claims:?}");
    }
    let expires_at = validate_claims(&claims_with("sub", json!("s")), &provider_config(), now()).expect("valid token");
    assert_eq!(expires_at.timestamp(), 1_800_000_130, "expiry plus clock skew");
}

#[test]
fn invalid_token_is_rejected_with_its_reason() {
    for (name, value, reason) in [
        ("iss", json!("https://id.example/realms/other"), "issuer"),
        ("iss", json!(null), "issuer"),
        ("aud", json!("another"), "audience"),
        ("aud", json!(["account"]), "audience"),
        ("aud", json!(null), "audience"),
        ("exp", json!(1_799_999_970), "expired"),
        ("exp", json!("1800000100"), "not a valid time"),
        ("exp", json!(1e300), "not a valid time"),
        ("exp", json!(i64::MAX), "not a valid time"),
        ("nbf", json!(1_800_000_031), "not valid before"),
        ("iat", json!(1_800_000_031), "not valid before"),
        ("nbf", json!(i64::MIN), "not a valid time"),
        ("typ", json!("ID"), "not an access token"),
        ("typ", json!("Refresh"), "not an access token"),
        ("cnf", json!({ "jkt": "x" }), "bound"),
    ] {
        let message = rejection_reason(validate_claims(&claims_with(name, value.clone()), &provider_config(), now()));
        assert!(message.contains(reason), "{name} {value}: {message}");
    }
    let mut claims_without_expiry = claims_with("sub", json!("s"));
    claims_without_expiry.remove("exp");
    assert!(rejection_reason(validate_claims(&claims_without_expiry, &provider_config(), now())).contains("no expiry"));
}

#[test]
fn highest_role_is_mapped() {
    let role_of = |value: Value| map_role(&claims_with("realm_access", json!({ "roles": value })), &provider_config());
    assert_eq!(role_of(json!(["customer", "staff", "admin"])), Role::Admin);
    assert_eq!(role_of(json!(["offline_access", "clerk"])), Role::Staff);
    assert_eq!(role_of(json!("staff")), Role::Staff);
    assert_eq!(role_of(json!(["Admin", "administrator"])), Role::Customer);
    assert_eq!(role_of(json!({ "admin": true })), Role::Customer);
    assert_eq!(map_role(&claims_with("realm_access", json!("admin")), &provider_config()), Role::Customer);
    assert_eq!(map_role(&claims_with("roles", json!(["admin"])), &provider_config()), Role::Customer, "another claim");
    let dotted = ProviderConfig { roles_claim: "https://shop.example/roles".into(), ..provider_config() };
    assert_eq!(map_role(&claims_with("https://shop.example/roles", json!(["staff"])), &dotted), Role::Staff);
}

#[test]
fn key_id_is_required_and_embedded_keys_are_rejected() {
    assert_eq!(read_key_id(&json_object(json!({ "alg": "RS256", "kid": "k", "typ": "at+JWT" }))).expect("key ID"), "k");
    for name in ["jku", "jwk", "x5u", "x5c", "crit"] {
        assert!(rejection_reason(read_key_id(&json_object(json!({ "kid": "k", name: "x" })))).contains(name));
    }
    assert!(rejection_reason(read_key_id(&json_object(json!({ "alg": "RS256" })))).contains("no key id"));
    assert!(rejection_reason(read_key_id(&json_object(json!({ "kid": 5 })))).contains("no key id"));
    assert!(
        rejection_reason(read_key_id(&json_object(json!({ "kid": "k", "typ": "logout+jwt" })))).contains("logout+jwt")
    );
}

#[test]
fn malformed_token_is_rejected() {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let object = part("{}");
    assert!(decode_token(&format!("{object}.{object}.")).is_ok());
    for malformed in
        [String::new(), "a.b".into(), format!("{object}.{object}.x.y"), format!("{}.{object}.x", part("[]"))]
    {
        assert!(matches!(decode_token(&malformed), Err(AuthError::InvalidToken(_))), "{malformed}");
    }
    assert!(rejection_reason(decode_token(&format!("{object}.{}.", "A".repeat(20_000)))).contains("bytes"));
}
