//! Access tokens of a provider, taken as they are: good ones, bad ones, and new keys.

use chrono::TimeDelta;
use savannah::{
    identity::{Caller, Role, outside::Denied},
    infra::{Budget, Origin},
};
use serde_json::json;

use crate::{
    browser::module,
    shop::{Backend, Provider, Shop},
    stories,
};

stories![;
    needs(provider): tokens_of_a_trusted_issuer_show_who_asks,
    a_token_costs_no_statement_and_no_request,
    tokens_that_do_not_hold_are_refused,
    an_account_that_is_closed_stays_out,
    new_keys_are_fetched_once,
    a_provider_that_is_down_is_not_the_tokens_fault,
    second_subject_of_an_issuer_does_not_join_an_account,
    email_verified_as_text_counts_only_when_true,
    address_changed_at_the_provider_is_taken_over_by_accounts_without_a_password
];

fn provider() -> bool {
    module("oidc-provider")
}

/// Who a token shows, and with how many statements.
async fn check(shop: &Shop, token: &str) -> (Result<Caller, Denied>, u64) {
    let (db, meter) = shop.db.for_request(Origin::default(), Budget::UNLIMITED);
    let outcome = shop.app.shared.outside.check(&db, token).await;
    (outcome.map(|verified| verified.caller), meter.statements())
}

async fn role(shop: &Shop, token: &str) -> Option<Role> {
    match check(shop, token).await.0 {
        Ok(Caller::Person { role, session: None, .. }) => Some(role),
        Err(Denied::Refused(_)) => None,
        other => panic!("neither a person nor refused: {other:?}"),
    }
}

async fn status(shop: &Shop, token: &str) -> u16 {
    let request = shop.request(reqwest::Method::POST, "/graphql").bearer_auth(token);
    let answer = request.json(&json!({ "query": "{ shop { name } }" })).send().await.expect("an answer");
    answer.status().as_u16()
}

async fn tokens_of_a_trusted_issuer_show_who_asks(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    for (name, of) in [("amani", Role::Admin), ("juma", Role::Staff), ("wanjiru", Role::Customer)] {
        let token = provider.access(name).await;
        assert_eq!(role(&shop, &token).await, Some(of), "{name}");
        assert_eq!(status(&shop, &token).await, 200);
    }
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE role = 'customer'").await, 3, "the role is the token's");
    assert_eq!(shop.number("SELECT count(*) FROM account_identity").await, 3);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE action = 'account.link'").await, 3);
    // A shop's own token is none of theirs.
    let own = shop.sign_in(Role::Staff).await;
    assert_eq!((role(&shop, &own).await, status(&shop, &own).await), (None, 200));
}

async fn a_token_costs_no_statement_and_no_request(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let (first, second) = (provider.access("juma").await, provider.access("juma").await);
    let (made, statements) = check(&shop, &first).await;
    assert!(statements > 0);
    for token in [&first, &second, &first] {
        let (again, statements) = check(&shop, token).await;
        assert_eq!((again.expect("a caller"), statements), (made.clone().expect("a caller"), 0));
    }
    assert_eq!(provider.keys_read().await, 1);
    // Many first tokens of one person at once make one account.
    let token = provider.access("amani").await;
    let all = futures_util::future::join_all((0..8).map(|_| check(&shop, &token))).await;
    let callers: Vec<_> = all.into_iter().map(|(outcome, _)| outcome.expect("a caller")).collect();
    assert!(callers.iter().all(|caller| *caller == callers[0]), "{callers:?}");
    assert_eq!(shop.number("SELECT count(*) FROM account").await, 2);
}

async fn tokens_that_do_not_hold_are_refused(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let good = provider.access("amani").await;
    assert_eq!(status(&shop, &good).await, 200);
    let now = shop.clock.now().timestamp();
    let (plain, long) = (json!({}), "x".repeat(15_000));
    let bad = [
        provider.forge(plain.clone(), plain.clone(), "stranger").await,
        provider.forge(json!({ "alg": "none" }), plain.clone(), "nobody").await,
        provider.forge(plain.clone(), plain.clone(), "nobody").await,
        provider.forge(json!({ "alg": "HS256" }), plain.clone(), "public key").await,
        provider.forge(json!({ "alg": "PS256" }), plain.clone(), "issuer").await,
        provider.forge(json!({ "kid": "unknown" }), plain.clone(), "issuer").await,
        provider.forge(json!({ "jku": "https://evil.example/keys" }), plain.clone(), "issuer").await,
        provider.forge(json!({ "jwk": { "kty": "oct", "k": "AA" } }), plain.clone(), "issuer").await,
        provider.forge(json!({ "x5u": "https://evil.example/cert" }), plain.clone(), "issuer").await,
        provider.forge(plain.clone(), json!({ "aud": "another" }), "issuer").await,
        provider.forge(plain.clone(), json!({ "exp": now - 60 }), "issuer").await,
        provider.forge(plain.clone(), json!({ "nbf": now + 600 }), "issuer").await,
        provider.forge(plain.clone(), json!({ "iss": "https://evil.example" }), "issuer").await,
        provider.forge(plain.clone(), json!({ "typ": "Refresh" }), "issuer").await,
        provider.forge(plain.clone(), json!({ "sub": "" }), "issuer").await,
        provider.forge(plain.clone(), json!({ "sub": "null\u{0}byte" }), "issuer").await,
        provider.forge(plain.clone(), json!({ "long": long }), "issuer").await,
        format!("{}x", &good[..good.len() - 1]),
        good.rsplit_once('.').expect("three parts").0.to_owned(),
    ];
    for (number, token) in bad.iter().enumerate() {
        assert_eq!(role(&shop, token).await, None, "number {number}: {token:.200}");
        assert_eq!(status(&shop, token).await, 401, "number {number}");
    }
    assert_eq!(shop.number("SELECT count(*) FROM account").await, 1, "nobody but the owner of the good one");
    // What makes them bad is what was said of each: without it, such a token is good.
    let made = provider.forge(plain.clone(), plain, "issuer").await;
    assert_eq!(role(&shop, &made).await, Some(Role::Customer));
}

async fn an_account_that_is_closed_stays_out(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let token = provider.access("juma").await;
    assert_eq!(status(&shop, &token).await, 200);
    shop.sql("UPDATE account SET disabled_at = created_at").await.expect("a change");
    shop.clock.set(shop.clock.now() + TimeDelta::seconds(6));
    assert_eq!(status(&shop, &token).await, 401);
    assert_eq!(status(&shop, &token).await, 401);
    shop.sql("UPDATE account SET disabled_at = NULL").await.expect("a change");
    assert_eq!(status(&shop, &token).await, 200);
}

async fn new_keys_are_fetched_once(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let old = provider.access("juma").await;
    assert_eq!(role(&shop, &old).await, Some(Role::Staff));
    provider.turn_keys().await;
    let new = provider.access("juma").await;
    let mut strange = Vec::new();
    for number in 0..5 {
        strange.push(provider.forge(json!({ "kid": format!("made up {number}") }), json!({}), "stranger").await);
    }
    // It was asked a moment ago: whatever comes, it is not asked again.
    for token in strange.iter().chain([&new]) {
        assert_eq!(role(&shop, token).await, None);
    }
    assert_eq!(provider.keys_read().await, 1);
    // Later it is, once for all who come at the same time.
    shop.clock.set(shop.clock.now() + TimeDelta::seconds(11));
    let at_once = futures_util::future::join_all([&new; 8].map(|token| role(&shop, token))).await;
    assert_eq!(at_once, [Some(Role::Staff); 8]);
    for token in &strange {
        assert_eq!(role(&shop, token).await, None);
    }
    assert_eq!(role(&shop, &old).await, None, "its key is gone");
    assert_eq!(provider.keys_read().await, 2);
}

async fn a_provider_that_is_down_is_not_the_tokens_fault(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let token = provider.access("juma").await;
    let issuer = provider.issuer.clone();
    drop(provider);
    assert!(matches!(check(&shop, &token).await.0, Err(Denied::Unreachable(_))));
    assert_eq!(status(&shop, &token).await, 503);
    let own = shop.sign_in(Role::Customer).await;
    assert_eq!(status(&shop, &own).await, 200, "the others go on");
    let provider = Provider::start(Some(&issuer)).await;
    shop.clock.set(shop.clock.now() + TimeDelta::seconds(11));
    let token = provider.access("juma").await;
    assert_eq!(status(&shop, &token).await, 200);
    // Now its keys are known: they are good while it is away.
    drop(provider);
    shop.clock.set(shop.clock.now() + TimeDelta::minutes(11));
    assert_eq!(status(&shop, &token).await, 200);
}

/// A token of the provider for somebody, as it knows them.
async fn token_of(provider: &Provider, subject: &str, email: &str, verified: serde_json::Value) -> String {
    let claims = json!({ "sub": subject, "email": email, "email_verified": verified });
    provider.forge(json!({}), claims, "issuer").await
}

async fn second_subject_of_an_issuer_does_not_join_an_account(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let leaver = token_of(&provider, "leaver", "sales@example.com", json!(true)).await;
    assert_eq!(status(&shop, &leaver).await, 200);
    // The address at the provider is given to somebody else.
    let joiner = token_of(&provider, "joiner", "sales@example.com", json!(true)).await;
    assert_eq!(status(&shop, &joiner).await, 401);
    assert_eq!(shop.number("SELECT count(*) FROM account").await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM account_identity").await, 1);
    // Both at once, for an account that neither has.
    let known = "UPDATE account SET email = 'desk@example.com', email_key = 'desk@example.com'";
    shop.sql("DELETE FROM account_identity").await.expect("a change");
    shop.sql(known).await.expect("a change");
    let one = token_of(&provider, "one", "desk@example.com", json!(true)).await;
    let two = token_of(&provider, "two", "desk@example.com", json!(true)).await;
    let both = tokio::join!(status(&shop, &one), status(&shop, &two));
    assert!(both == (200, 401) || both == (401, 200), "{both:?}");
}

async fn email_verified_as_text_counts_only_when_true(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let said = [json!("true"), json!(true), json!("false"), json!("TRUE"), json!("yes"), json!(1), json!(null)];
    for (number, verified) in said.into_iter().enumerate() {
        let (subject, email) = (format!("subject{number}"), format!("person{number}@example.com"));
        assert_eq!(status(&shop, &token_of(&provider, &subject, &email, verified).await).await, 200);
    }
    let verified = "SELECT count(*) FROM account WHERE email_verified_at IS NOT NULL";
    assert_eq!(shop.number(verified).await, 2);
    let first = "SELECT count(*) FROM account WHERE email IN ('person0@example.com', 'person1@example.com')";
    assert_eq!(shop.number(first).await, 2);
}

async fn address_changed_at_the_provider_is_taken_over_by_accounts_without_a_password(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let email = async |subject: &str, email: &str, verified: bool| {
        assert_eq!(status(&shop, &token_of(&provider, subject, email, json!(verified)).await).await, 200);
        let query = format!("SELECT account_id FROM account_identity WHERE subject = '{subject}'");
        let account = shop.number(&query).await;
        let found =
            savannah::identity::account::alive(&shop.db, account).await.expect("an answer").expect("an account");
        found.email.unwrap_or_default()
    };
    assert_eq!(email("lena", "sales@example.com", true).await, "sales@example.com");
    assert_eq!(email("lena", "unverified@example.org", false).await, "sales@example.com");
    assert_eq!(email("lena", "lena@example.org", true).await, "lena@example.org");
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE action = 'account.change_email'").await, 1);
    // What is another's stays another's, and the old address is free.
    assert_eq!(email("joiner", "sales@example.com", true).await, "sales@example.com");
    assert_eq!(email("joiner", "lena@example.org", true).await, "sales@example.com");
    // An address that somebody signs in with stays until they change it.
    shop.sql("UPDATE account SET password = '$argon2id$' WHERE email = 'lena@example.org'").await.expect("a change");
    assert_eq!(email("lena", "lena@example.net", true).await, "lena@example.org");
}
