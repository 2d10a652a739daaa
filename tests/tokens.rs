//! Tokens: what does not hold is refused in one plain sentence, whatever is wrong with it.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use savannah::{
    base::error::Code,
    identity::{
        Role, account, entity,
        key::{self, Ring, Rotation},
        one_time::{self, Purpose},
    },
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    shop::{Backend, Reply, Shop},
    stories,
};

stories![
    a_token_that_does_not_hold_is_refused,
    a_header_that_is_none_of_ours_is_refused,
    keys_turn_without_anybody_noticing,
    compromised_keys_verify_nothing_after_rotation,
    every_instance_signs_with_the_same_keys,
    a_session_revoked_elsewhere_is_refused_within_a_tick,
    a_listing_costs_the_same_with_a_token,
    a_new_password_ends_every_other_session,
    a_mail_s_token_sets_a_password_once,
    password_changed_meanwhile_is_not_overwritten,
    password_change_in_flight_does_not_overwrite_a_reset,
    reset_refuses_the_email_address_as_password,
    an_address_is_verified_by_its_mail_alone,
];

/// Asks with an `Authorization` header as it is.
async fn with(shop: &Shop, header: &[u8]) -> Reply {
    let value = reqwest::header::HeaderValue::from_bytes(header).expect("a header");
    let request = shop.request(reqwest::Method::POST, "/graphql").json(&json!({ "query": "{ shop { name } }" }));
    Reply::of(request.header("authorization", value)).await
}

/// Whether a token was refused as it should be: 401, one sentence, and nothing about why.
async fn refused(shop: &Shop, token: &str) -> bool {
    let reply = with(shop, format!("Bearer {token}").as_bytes()).await;
    if reply.status == 200 {
        return false;
    }
    assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHENTICATED"), "{reply:?}");
    assert_eq!(reply.message(), "The token does not hold; sign in again.");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    true
}

fn encoded(value: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
}

async fn a_token_that_does_not_hold_is_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    let good = shop.sign_in(Role::Customer).await;
    assert!(!refused(&shop, &good).await);
    let mut parts = good.split('.');
    let mut part = || parts.next().expect("a part");
    let (header, claims, signature) = (part(), part(), part());
    let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON");
    let ring = Ring::load(&shop.elsewhere().await, TimeDelta::minutes(10)).await.expect("keys");
    let (kid, key) = ring.current.as_ref().expect("a key");
    let header_of = |change: &dyn Fn(&mut Header)| {
        let mut header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
        change(&mut header);
        header
    };
    let signed = |header: Header, claims: &Value| jsonwebtoken::encode(&header, claims, key).expect("a token");
    let saying = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(header_of(&|_| {}), &claims)
    };
    assert!(!refused(&shop, &saying("extra", json!(1))).await, "what is not known is not minded");
    let now = crate::shop::moment("2026-11-01T09:00:00Z").timestamp();
    let x = ring.public()["keys"][0]["x"].as_str().expect("a key").to_owned();
    let public = EncodingKey::from_secret(&BASE64_URL_SAFE_NO_PAD.decode(&x).expect("base64"));
    let hs256 = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
    let none = format!("{}.{}.", encoded(&json!({ "alg": "none", "kid": kid })), encoded(&claims));
    let mut longer = claims.clone();
    longer["sub"] = json!("x".repeat(20_000));
    let bad = [
        ("expired", saying("exp", json!(now))),
        ("not yet valid", saying("nbf", json!(now + 60))),
        ("of another audience", saying("aud", json!("others"))),
        ("of another issuer", saying("iss", json!("https://example.com"))),
        ("of no role there is", saying("role", json!("owner"))),
        ("of no account", saying("sub", json!("7"))),
        ("of another kind of id", saying("sub", claims["sid"].clone())),
        ("without an end", saying("exp", Value::Null)),
        ("longer than the shop's", saying("exp", json!(now + 601))),
        ("from later on", saying("iat", json!(now + 61))),
        (
            "of a session that has not begun",
            saying("sid", json!(session_id(shop.number("SELECT max(id) + 1 FROM session").await))),
        ),
        ("unsigned", none),
        (
            "unsigned with a signature",
            format!("{}.{}.{signature}", encoded(&json!({ "alg": "none", "kid": kid })), encoded(&claims)),
        ),
        ("signed with the public key", jsonwebtoken::encode(&hs256, &claims, &public).expect("a token")),
        (
            "with the address of a key",
            signed(header_of(&|header| header.jku = Some("https://example.com/keys".into())), &claims),
        ),
        ("of an unknown key", signed(header_of(&|header| header.kid = Some("other".into())), &claims)),
        ("of no key", signed(header_of(&|header| header.kid = None), &claims)),
        ("with other claims", format!("{header}.{}.{signature}", encoded(&json!({ "role": "admin" })))),
        ("cut", good[..good.len() - 4].to_owned()),
        ("endless", signed(header_of(&|_| {}), &longer)),
        ("of too many parts", format!("{good}.{signature}")),
        ("empty", String::new()),
        ("nonsense", "nonsense".into()),
    ];
    for (what, token) in bad {
        assert!(refused(&shop, &token).await, "a token {what}");
        assert!(refused(&shop, &token).await, "a token {what}, seen before");
    }
    assert!(!refused(&shop, &good).await);
}

async fn a_header_that_is_none_of_ours_is_refused(backend: Backend) {
    let shop = Shop::open(backend).await;
    let good = shop.sign_in(Role::Customer).await;
    for header in ["Basic YTpi".as_bytes(), b"Bearer", b"Token x", b"Bearer \xff\xfe", "Bearer jet\u{f3}n".as_bytes()] {
        let reply = with(&shop, header).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "UNAUTHENTICATED"), "{header:?}");
    }
    assert_eq!(with(&shop, format!("bearer  {good} ").as_bytes()).await.status, 200);
    let twice = shop.request(reqwest::Method::POST, "/graphql").json(&json!({ "query": "{ shop { name } }" }));
    let twice = Reply::of(twice.bearer_auth(&good).header("authorization", "Bearer other")).await;
    assert_eq!(twice.status, 401);
    // The page and the health checks need nobody to sign in.
    let health = Reply::of(shop.request(reqwest::Method::GET, "/health").header("authorization", "Bearer x")).await;
    assert_eq!(health.status, 200);
}

async fn keys_turn_without_anybody_noticing(backend: Backend) {
    let shop = Shop::open(backend).await;
    let keys = || async { Reply::of(shop.request(reqwest::Method::GET, "/.well-known/jwks.json")).await.body() };
    let before = keys().await;
    assert_eq!(before["keys"].as_array().map(Vec::len), Some(1));
    assert_eq!((&before["keys"][0]["kty"], &before["keys"][0]["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert!(before["keys"][0].get("d").is_none(), "the private part is nobody's");
    let old = shop.sign_in(Role::Customer).await;
    let elsewhere = shop.elsewhere().await;
    let kid = elsewhere.write(async |tx| key::rotate(tx, Rotation::Planned).await).await.expect("a new key");
    shop.tick().await;
    let new = shop.sign_in(Role::Customer).await;
    assert_eq!(jsonwebtoken::decode_header(&new).expect("a header").kid, Some(kid));
    assert!(!refused(&shop, &old).await && !refused(&shop, &new).await);
    assert_eq!(keys().await["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        shop.number("SELECT count(*) FROM signing_key WHERE retired_at IS NOT NULL AND private_key <> ''").await,
        0
    );
    // A token of ten minutes, and a minute for clocks that differ.
    shop.clock.set(crate::shop::moment("2026-11-01T09:10:59Z"));
    shop.tick().await;
    assert_eq!(keys().await["keys"].as_array().map(Vec::len), Some(2));
    shop.clock.set(crate::shop::moment("2026-11-01T09:11:00Z"));
    shop.tick().await;
    assert_eq!(keys().await["keys"].as_array().map(Vec::len), Some(1), "the old one has had its day");
}

async fn compromised_keys_verify_nothing_after_rotation(backend: Backend) {
    let shop = Shop::open(backend).await;
    let old = shop.sign_in(Role::Customer).await;
    assert!(!refused(&shop, &old).await);
    let elsewhere = shop.elsewhere().await;
    elsewhere.write(async |tx| key::rotate(tx, Rotation::Planned).await).await.expect("a new key");
    elsewhere.write(async |tx| key::rotate(tx, Rotation::Compromised).await).await.expect("a new key");
    shop.tick().await;
    assert!(refused(&shop, &old).await);
    assert!(!refused(&shop, &shop.sign_in(Role::Customer).await).await);
    assert_eq!(shop.number("SELECT count(*) FROM signing_key").await, 1);
}

fn session_id(key: i64) -> String {
    savannah::base::GlobalId::new(savannah::base::id::Kind::Session, key).encode()
}

async fn every_instance_signs_with_the_same_keys(backend: Backend) {
    let shop = Shop::open(backend).await;
    let db = shop.elsewhere().await;
    shop.sql("DELETE FROM signing_key").await.expect("no keys");
    let rings = futures_util::future::join_all((0..4).map(|_| Ring::load(&db, TimeDelta::minutes(10)))).await;
    let names: Vec<Vec<String>> =
        rings.iter().map(|ring| ring.as_ref().expect("keys").names().map(str::to_owned).collect()).collect();
    assert!(names.iter().all(|one| *one == names[0] && one.len() == 1), "{names:?}");
}

async fn a_session_revoked_elsewhere_is_refused_within_a_tick(backend: Backend) {
    let shop = Shop::open(backend).await;
    let token = shop.sign_in(Role::Admin).await;
    assert!(!refused(&shop, &token).await);
    let db = shop.elsewhere().await;
    let account = shop.number("SELECT max(id) FROM account").await;
    let ended = db.write(async |tx| savannah::identity::session::revoke(tx, account, None).await).await;
    assert_eq!(ended.expect("revoked"), 1);
    shop.tick().await;
    assert!(refused(&shop, &token).await);
}

async fn a_listing_costs_the_same_with_a_token(backend: Backend) {
    let shop = Shop::demo(backend).await;
    let token = shop.sign_in(Role::Customer).await;
    let query = "{ products(first: 24) { nodes { id name category { name } } } }";
    for _ in 0..2 {
        let answer = shop.ask_as(&token, query, json!({})).await;
        assert_eq!(answer.at("/products/nodes").as_array().map(Vec::len), Some(24));
        assert_eq!(answer.statements, 1, "nobody asks the database who asks");
    }
}

const CHANGE: &str =
    "mutation($old: String!, $new: String!) { passwordChange(input: { currentPassword: $old, newPassword: $new }) {
    tokens { accessToken } userErrors { code field } } }";
const RESET: &str = "mutation($token: String!, $new: String!) { passwordReset(token: $token, newPassword: $new) {
    tokens { accessToken } userErrors { code field } } }";

async fn customer(shop: &Shop) -> String {
    let register = "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        tokens { accessToken } userErrors { code } } }";
    let answer = shop.ask(register).await;
    answer.at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned()
}

async fn a_new_password_ends_every_other_session(backend: Backend) {
    let shop = Shop::open(backend).await;
    let first = customer(&shop).await;
    let wrong = shop.ask_as(&first, CHANGE, json!({ "old": "wrong horse", "new": "battery staple" })).await;
    assert_eq!(wrong.problems("passwordChange"), [("INVALID_CREDENTIALS".into(), "input.currentPassword".into())]);
    let short = shop.ask_as(&first, CHANGE, json!({ "old": "correct horse", "new": "short" })).await;
    assert_eq!(short.problems("passwordChange"), [("VALIDATION_ERROR".into(), "input.newPassword".into())]);
    assert!(!refused(&shop, &first).await);
    let changed = shop.ask_as(&first, CHANGE, json!({ "old": "correct horse", "new": "battery staple" })).await;
    assert_eq!(changed.problems("passwordChange"), []);
    assert!(refused(&shop, &first).await);
    assert!(!refused(&shop, changed.at("/passwordChange/tokens/accessToken").as_str().expect("a token")).await);
    let anonymous = shop.ask_with(CHANGE, json!({ "old": "battery staple", "new": "correct horse" })).await;
    assert_eq!(anonymous.code(), "UNAUTHENTICATED");
}

async fn a_mail_s_token_sets_a_password_once(backend: Backend) {
    const ASK: &str =
        "mutation($email: String!) { passwordResetRequest(email: $email) { accepted userErrors { code } } }";
    let shop = Shop::open(backend).await;
    let first = customer(&shop).await;
    for email in ["amani@example.com", "nobody@example.com"] {
        assert_eq!(shop.ask_with(ASK, json!({ "email": email })).await.at("/passwordResetRequest/accepted"), true);
    }
    // The mail goes to whoever is there, and to nobody else; its token is kept by its digest.
    let asked =
        "SELECT count(*) FROM outbox WHERE kind = 'MailAsked' AND CAST(payload AS TEXT) LIKE '%reset_password%'";
    assert_eq!(shop.number(asked).await, 1);
    shop.work().await;
    assert_eq!(shop.number("SELECT count(*) FROM message WHERE occasion = 'reset_password'").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM one_time_token WHERE purpose = 'reset_password'").await, 1);
    let db = shop.elsewhere().await;
    let account = shop.number("SELECT id FROM account").await;
    let make =
        async |purpose| db.write(async |tx| one_time::make(tx, purpose, account, "").await).await.expect("a token");
    let (token, other) = (make(Purpose::ResetPassword).await, make(Purpose::VerifyEmail).await);
    let ask = |token: String, new: &'static str| {
        let shop = &shop;
        async move { shop.ask_with(RESET, json!({ "token": token, "new": new })).await }
    };
    let invalid = vec![("VALIDATION_ERROR".to_owned(), "token".to_owned())];
    assert_eq!(ask(other, "battery staple").await.problems("passwordReset"), invalid, "it is for something else");
    let short = ask(token.clone(), "short").await;
    assert_eq!(short.problems("passwordReset"), [("VALIDATION_ERROR".into(), "newPassword".into())]);
    let both = tokio::join!(ask(token.clone(), "battery staple"), ask(token.clone(), "battery staple"));
    let good = [&both.0, &both.1].into_iter().filter(|answer| answer.problems("passwordReset").is_empty()).count();
    assert_eq!(good, 1, "once");
    assert!(refused(&shop, &first).await, "whoever was there is out");
    let late = make(Purpose::ResetPassword).await;
    shop.clock.set(crate::shop::moment("2026-11-01T09:00:00Z") + TimeDelta::hours(1));
    assert_eq!(ask(late, "battery staple").await.problems("passwordReset"), invalid, "it has ended");
}

async fn password_changed_meanwhile_is_not_overwritten(backend: Backend) {
    let shop = Shop::open(backend).await;
    customer(&shop).await;
    let known = account::by_email(&shop.db, "amani@example.com").await.expect("an answer").expect("an account");
    let replace = async |known: &entity::account::Model, hash: &str| {
        let (known, hash) = (known.clone(), hash.to_owned());
        let outcome = shop.db.write(async |tx| account::replace_password(tx, known, hash).await).await;
        outcome.map_err(|why| why.public().code)
    };
    let now = replace(&known, "by its letter").await.expect("replaced");
    assert_eq!(replace(&known, "by who knew the old one").await.err(), Some(Code::Unauthenticated));
    shop.sql("UPDATE account SET disabled_at = created_at").await.expect("disabled");
    assert_eq!(replace(&now, "of a closed account").await.err(), Some(Code::Unauthenticated));
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE password = 'by its letter'").await, 1);
}

async fn password_change_in_flight_does_not_overwrite_a_reset(backend: Backend) {
    // On SQLite nobody writes while another does, so there it is the statement alone that tells, above.
    if backend == Backend::Sqlite {
        return;
    }
    let shop = Shop::open(backend).await;
    let token = customer(&shop).await;
    let (holder, watcher) = (shop.elsewhere().await, shop.elsewhere().await);
    let change = shop.ask_as(&token, CHANGE, json!({ "old": "correct horse", "new": "battery staple" }));
    let reset = holder.write(async |tx| {
        tx.execute_unprepared("SELECT id FROM account FOR UPDATE").await?;
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while crate::shop::number(&watcher, waiting).await == 0 {}
        tx.execute_unprepared("UPDATE account SET password = 'by a letter'").await?;
        Ok(())
    });
    let (answer, held) = tokio::join!(change, reset);
    held.expect("a reset");
    assert_eq!(answer.code(), "UNAUTHENTICATED");
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE password = 'by a letter'").await, 1);
}

async fn reset_refuses_the_email_address_as_password(backend: Backend) {
    let shop = Shop::open(backend).await;
    customer(&shop).await;
    let account = shop.number("SELECT id FROM account").await;
    let made = shop.db.write(async |tx| one_time::make(tx, Purpose::ResetPassword, account, "").await).await;
    let token = made.expect("a token");
    let wrong = shop.ask_with(RESET, json!({ "token": token, "new": "Amani@example.com" })).await;
    assert_eq!(wrong.problems("passwordReset"), [("VALIDATION_ERROR".into(), "newPassword".into())]);
    let right = shop.ask_with(RESET, json!({ "token": token, "new": "battery staple" })).await;
    assert_eq!(right.problems("passwordReset"), [], "the token was not used up");
}

async fn an_address_is_verified_by_its_mail_alone(backend: Backend) {
    const VERIFY: &str = "mutation($token: String!) { emailVerify(token: $token) { email userErrors { code field } } }";
    let shop = Shop::open(backend).await;
    let token = customer(&shop).await;
    let asked = shop.ask_as(&token, "mutation { emailVerificationRequest { accepted } }", json!({})).await;
    assert_eq!(asked.at("/emailVerificationRequest/accepted"), true);
    shop.work().await;
    // One letter for the registration, one for the request.
    assert_eq!(shop.number("SELECT count(*) FROM one_time_token WHERE purpose = 'verify_email'").await, 2);
    let db = shop.elsewhere().await;
    let account = shop.number("SELECT id FROM account").await;
    let make = async |email| {
        let made = db.write(async |tx| one_time::make(tx, Purpose::VerifyEmail, account, email).await);
        made.await.expect("a token")
    };
    let (before, mail) = (make("old@example.com").await, make("amani@example.com").await);
    let invalid = vec![("VALIDATION_ERROR".to_owned(), "token".to_owned())];
    assert_eq!(shop.ask_with(VERIFY, json!({ "token": before })).await.problems("emailVerify"), invalid);
    let answer = shop.ask_with(VERIFY, json!({ "token": mail })).await;
    assert_eq!(answer.at("/emailVerify/email"), "amani@example.com");
    assert_eq!(shop.ask_with(VERIFY, json!({ "token": mail })).await.problems("emailVerify"), invalid, "once");
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE email_verified_at IS NOT NULL").await, 1);
}
