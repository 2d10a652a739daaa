//! What is looked at in a token, without a provider.

use serde_json::json;

use super::*;

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("no object: {other}"),
    }
}

fn config() -> ProviderConfig {
    ProviderConfig {
        issuer: "https://id.example/realms/shop".into(),
        client_id: String::new(),
        client_secret: String::new(),
        scopes: Vec::new(),
        accept_tokens: true,
        audience: "shop".into(),
        roles_claim: "realm_access.roles".into(),
        admin_roles: vec!["admin".into()],
        staff_roles: vec!["staff".into(), "clerk".into()],
        leeway: std::time::Duration::from_secs(30),
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).expect("a moment")
}

/// A good token's claims, but for one.
fn claims(name: &str, value: Value) -> Map<String, Value> {
    let mut claims = map(json!({
        "iss": "https://id.example/realms/shop", "aud": ["account", "shop"], "sub": "s", "typ": "Bearer",
        "exp": 1_800_000_100, "iat": 1_800_000_000, "nbf": 1_800_000_000,
    }));
    claims.insert(name.into(), value);
    claims
}

fn why(outcome: Result<impl std::fmt::Debug, Denied>) -> String {
    match outcome {
        Err(Denied::Refused(why)) => why.to_string(),
        other => panic!("it was not refused: {other:?}"),
    }
}

#[test]
fn a_token_that_is_for_the_shop_and_holds_now_is_good() {
    for good in [
        claims("aud", json!("shop")),
        claims("exp", json!(1_799_999_971)),
        claims("exp", json!(1_800_000_100.5)),
        claims("nbf", json!(1_800_000_030)),
        claims("iat", json!(1_800_000_030)),
        claims("typ", json!("bearer")),
    ] {
        assert!(holds(&good, &config(), now()).is_ok(), "{good:?}");
    }
    let until = holds(&claims("sub", json!("s")), &config(), now()).expect("a good token");
    assert_eq!(until.timestamp(), 1_800_000_130, "until its end and as long as clocks may differ");
}

#[test]
fn a_token_that_is_not_is_refused_for_its_reason() {
    for (name, value, reason) in [
        ("iss", json!("https://id.example/realms/other"), "issuer"),
        ("iss", json!(null), "issuer"),
        ("aud", json!("another"), "not for"),
        ("aud", json!(["account"]), "not for"),
        ("aud", json!(null), "not for"),
        ("exp", json!(1_799_999_970), "ended"),
        ("exp", json!("1800000100"), "no moment"),
        ("exp", json!(1e300), "no moment"),
        ("exp", json!(i64::MAX), "no moment"),
        ("nbf", json!(1_800_000_031), "begins"),
        ("iat", json!(1_800_000_031), "begins"),
        ("nbf", json!(i64::MIN), "no moment"),
        ("typ", json!("ID"), "not an access token"),
        ("typ", json!("Refresh"), "not an access token"),
        ("cnf", json!({ "jkt": "x" }), "bound"),
    ] {
        let why = why(holds(&claims(name, value.clone()), &config(), now()));
        assert!(why.contains(reason), "{name} {value}: {why}");
    }
    let mut endless = claims("sub", json!("s"));
    endless.remove("exp");
    assert!(why(holds(&endless, &config(), now())).contains("never ends"));
}

#[test]
fn the_highest_role_counts() {
    let of = |value: Value| role(&claims("realm_access", json!({ "roles": value })), &config());
    assert_eq!(of(json!(["customer", "staff", "admin"])), Role::Admin);
    assert_eq!(of(json!(["offline_access", "clerk"])), Role::Staff);
    assert_eq!(of(json!("staff")), Role::Staff);
    assert_eq!(of(json!(["Admin", "administrator"])), Role::Customer);
    assert_eq!(of(json!({ "admin": true })), Role::Customer);
    assert_eq!(role(&claims("realm_access", json!("admin")), &config()), Role::Customer);
    assert_eq!(role(&claims("roles", json!(["admin"])), &config()), Role::Customer, "another claim");
    let dotted = ProviderConfig { roles_claim: "https://shop.example/roles".into(), ..config() };
    assert_eq!(role(&claims("https://shop.example/roles", json!(["staff"])), &dotted), Role::Staff);
}

#[test]
fn a_key_is_named_and_never_brought_along() {
    assert_eq!(key_id(&map(json!({ "alg": "RS256", "kid": "k", "typ": "at+JWT" }))).expect("a key"), "k");
    for name in ["jku", "jwk", "x5u", "x5c", "crit"] {
        assert!(why(key_id(&map(json!({ "kid": "k", name: "x" })))).contains(name));
    }
    assert!(why(key_id(&map(json!({ "alg": "RS256" })))).contains("does not name its key"));
    assert!(why(key_id(&map(json!({ "kid": 5 })))).contains("does not name its key"));
    assert!(why(key_id(&map(json!({ "kid": "k", "typ": "logout+jwt" })))).contains("logout+jwt"));
}

#[test]
fn what_is_no_token_is_not_read() {
    let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let object = part("{}");
    assert!(open(&format!("{object}.{object}.")).is_ok());
    for bad in [String::new(), "a.b".into(), format!("{object}.{object}.x.y"), format!("{}.{object}.x", part("[]"))] {
        assert!(matches!(open(&bad), Err(Denied::Refused(_))), "{bad}");
    }
    assert!(why(open(&format!("{object}.{}.", "A".repeat(20_000)))).contains("bytes"));
}
