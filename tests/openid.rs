//! Signing in by way of an OpenID provider, with a browser: there, back, and on to the app.

use chrono::TimeDelta;
use savannah::identity::secret;
use serde_json::json;

use crate::{
    browser::module,
    shop::{APP, Answer, Backend, Browser, Landed, Provider, Shop},
    stories,
};

stories![;
    needs(provider): somebody_signs_in_by_way_of_a_provider,
    an_account_is_joined_only_where_both_know_the_address,
    a_sign_in_belongs_to_the_browser_that_began_it,
    a_sign_in_holds_once_and_for_ten_minutes,
    what_may_not_be_is_refused_before_anything_happens,
    new_keys_are_no_obstacle,
    a_provider_that_is_down_stops_only_its_own,
    email_verified_as_text_in_an_id_token_counts_only_when_true,
    login_starts_beyond_the_limit_do_not_reach_the_provider
];

const COMPLETE: &str =
    "mutation($code: String!, $verifier: String!) { loginComplete(code: $code, verifier: $verifier) {
    tokens { accessToken refreshToken } userErrors { code field message } } }";

fn provider() -> bool {
    module("oidc-provider")
}

/// What the app shows for its codes, unless a story says otherwise.
const VERIFIER: &str = "the app's own word";

fn login(shop: &Shop) -> String {
    login_with(shop, &secret::digest(VERIFIER))
}

fn login_with(shop: &Shop, challenge: &str) -> String {
    let parameters = [("redirect", APP), ("challenge", challenge)];
    reqwest::Url::parse_with_params(&shop.url("/auth/keycloak/login"), parameters).expect("an address").into()
}

/// The value of a parameter in an address.
fn parameter(url: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).expect("an address");
    url.query_pairs().find(|(of, _)| of == name).map(|(_, value)| value.into_owned())
}

/// A whole way by a new browser: where it ends, and the code if that is the app.
async fn way(shop: &Shop) -> (Landed, Option<String>) {
    let landed = Browser::new().go(&login(shop), "https://app.example/").await;
    let code = parameter(&landed.url, "code").filter(|_| landed.url.starts_with("https://app.example/"));
    (landed, code)
}

async fn complete(shop: &Shop, code: &str, verifier: &str) -> Answer {
    shop.ask_with(COMPLETE, json!({ "code": code, "verifier": verifier })).await
}

/// Fails unless it was refused in the envelope of every REST answer.
fn refused(landed: &Landed, status: u16, code: &str) {
    assert_eq!((landed.status, &landed.body["error"]["code"]), (status, &json!(code)), "{landed:?}");
    assert!(landed.body["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{landed:?}");
}

async fn counts(shop: &Shop) -> [i64; 4] {
    let mut counts = [0; 4];
    for (count, table) in counts.iter_mut().zip(["account", "account_identity", "one_time_token", "login_flow"]) {
        *count = shop.number(&format!("SELECT count(*) FROM {table}")).await;
    }
    counts
}

async fn somebody_signs_in_by_way_of_a_provider(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let found = shop.ask("{ loginProviders { name loginPath } }").await;
    assert_eq!(*found.at("/loginProviders"), json!([{ "name": "keycloak", "loginPath": "/auth/keycloak/login" }]));

    provider.let_in(Some("wanjiru")).await;
    let (verifier, browser) = (secret::random().expect("a word"), Browser::new());
    let landed = browser.go(&login_with(&shop, &secret::digest(&verifier)), "https://app.example/").await;
    let code = parameter(&landed.url, "code").expect("a code");
    // The address says nothing else, and the shop's cookie is gone.
    assert_eq!(landed.url, format!("{APP}&code={code}"));
    assert_eq!(browser.cookies_of(&shop.url("")), 0);

    // The code alone opens nothing: the app that began shows its word.
    for wrong in ["", "something else"] {
        let answer = complete(&shop, &code, wrong).await;
        assert_eq!(answer.problems("loginComplete"), [("VALIDATION_ERROR".to_owned(), "verifier".to_owned())]);
    }
    let answer = complete(&shop, &code, &verifier).await;
    assert_eq!(answer.problems("loginComplete"), []);
    let token = answer.at("/loginComplete/tokens/accessToken").as_str().expect("a token");
    shop.ask_as(token, "{ shop { name } }", json!({})).await.at("/shop/name");
    let again = complete(&shop, &code, &verifier).await;
    assert_eq!(again.problems("loginComplete"), [("VALIDATION_ERROR".to_owned(), "code".to_owned())]);

    let made = "SELECT count(*) FROM account WHERE email = 'wanjiru@example.com' AND email_verified_at IS NOT NULL \
        AND first_name = 'Wanjiru' AND last_name = 'Kamau' AND role = 'customer' AND password IS NULL";
    assert_eq!(shop.number(made).await, 1);
    assert_eq!(shop.number("SELECT count(*) FROM session WHERE method = 'keycloak'").await, 1);

    // The next time it is the same account.
    let (_, code) = way(&shop).await;
    let code = code.expect("a code");
    assert_eq!(complete(&shop, &code, "not asked for").await.problems("loginComplete").len(), 1);
    assert_eq!(complete(&shop, &code, VERIFIER).await.problems("loginComplete"), []);
    assert_eq!(counts(&shop).await, [1, 1, 0, 0]);
    assert_eq!(shop.number("SELECT count(DISTINCT account_id) FROM session").await, 1);
    let secrets = format!("SELECT count(*) FROM audit WHERE CAST(after AS TEXT) LIKE '%{code}%'");
    assert_eq!(shop.number(&secrets).await, 0);
}

async fn an_account_is_joined_only_where_both_know_the_address(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let register =
        "mutation($email: String!) { customerRegister(input: { email: $email, password: \"correct horse\" }) {
        userErrors { code } } }";
    for name in ["Amani", "juma", "kip"] {
        let email = format!("{name}@example.com");
        assert_eq!(shop.ask_with(register, json!({ "email": email })).await.problems("customerRegister"), []);
    }
    shop.sql("UPDATE account SET email_verified_at = created_at WHERE email_key <> 'juma@example.com'")
        .await
        .expect("a change");

    // The shop does not know that the address is theirs; then the provider does not.
    for name in ["juma", "kip"] {
        provider.let_in(Some(name)).await;
        let (landed, _) = way(&shop).await;
        refused(&landed, 409, "ALREADY_EXISTS");
        assert!(landed.body["error"]["message"].to_string().contains("erify"), "it says what to do: {landed:?}");
    }
    assert_eq!(counts(&shop).await, [3, 0, 0, 0]);

    provider.let_in(Some("amani")).await;
    assert!(way(&shop).await.1.is_some());
    assert_eq!(counts(&shop).await, [3, 1, 1, 0], "joined, in whatever case the address was written");

    // An address that nobody has verified is not kept from its owner.
    shop.sql("DELETE FROM account WHERE email_key = 'kip@example.com'").await.expect("gone");
    provider.let_in(Some("kip")).await;
    assert!(way(&shop).await.1.is_some());
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE email IS NULL AND first_name = 'Kip'").await, 1);

    shop.sql("UPDATE account SET disabled_at = created_at WHERE email_key = 'amani@example.com'")
        .await
        .expect("a change");
    provider.let_in(Some("amani")).await;
    refused(&way(&shop).await.0, 403, "FORBIDDEN");
}

async fn a_sign_in_belongs_to_the_browser_that_began_it(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    provider.let_in(Some("juma")).await;
    let callback = shop.url("/auth/keycloak/callback");
    let (own, other) = (Browser::new(), Browser::new());
    let back = own.go(&login(&shop), &callback).await.url;
    assert_eq!(own.cookies_of(&shop.url("")), 1);

    // Somebody who was made to open the address, with a sign-in of their own under way or without.
    refused(&Browser::new().go(&back, "https://app.example/").await, 400, "BAD_USER_INPUT");
    let theirs = other.go(&login(&shop), &callback).await.url;
    refused(&other.go(&back, "https://app.example/").await, 400, "BAD_USER_INPUT");
    // Also with the code of one and the state of the other.
    let code = |url: &str| parameter(url, "code").expect("a code");
    let mixed = theirs.replace(&code(&theirs), &code(&back));
    refused(&other.go(&mixed, "https://app.example/").await, 400, "BAD_USER_INPUT");
    for state in ["", "made-up", &"x".repeat(5000)] {
        let forged = format!("{callback}?state={state}&code={}", code(&back));
        refused(&own.go(&forged, "https://app.example/").await, 400, "BAD_USER_INPUT");
    }
    refused(&own.go(&callback, "https://app.example/").await, 400, "BAD_USER_INPUT");
    assert_eq!(counts(&shop).await[..3], [0, 0, 0], "nothing was written");
    // None of that was in the way of its owner.
    assert!(own.go(&back, "https://app.example/").await.url.starts_with(APP));
}

async fn a_sign_in_holds_once_and_for_ten_minutes(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let callback = shop.url("/auth/keycloak/callback");
    provider.let_in(Some("juma")).await;
    let browser = Browser::new();
    let back = browser.go(&login(&shop), &callback).await.url;
    let twice = futures_util::future::join(
        browser.go(&back, "https://app.example/"),
        browser.go(&back, "https://app.example/"),
    );
    let (one, two) = twice.await;
    let arrived = [&one, &two].into_iter().filter(|landed| landed.url.starts_with(APP)).count();
    assert_eq!(arrived, 1, "{one:?} {two:?}");
    refused(&browser.go(&back, "https://app.example/").await, 400, "BAD_USER_INPUT");

    let late = browser.go(&login(&shop), &callback).await.url;
    shop.clock.set(shop.clock.now() + TimeDelta::minutes(10));
    refused(&browser.go(&late, "https://app.example/").await, 400, "BAD_USER_INPUT");
    // The next one clears away what has run out.
    browser.go(&login(&shop), &callback).await;
    assert_eq!(shop.number("SELECT count(*) FROM login_flow").await, 1);

    // A code that is not used in time holds no longer.
    let code = parameter(&one.url, "code").or_else(|| parameter(&two.url, "code")).expect("a code");
    assert_eq!(complete(&shop, &code, VERIFIER).await.problems("loginComplete").len(), 1);
}

async fn what_may_not_be_is_refused_before_anything_happens(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let (browser, start) = (Browser::new(), shop.url("/auth/keycloak/login"));
    for redirect in ["https://evil.example/", "https://app.example/in", "https://app.example/in%3Ffrom=shop%26x", ""] {
        let landed = browser.go(&format!("{start}?redirect={redirect}"), "https://").await;
        refused(&landed, 400, "BAD_USER_INPUT");
    }
    refused(&browser.go(&start, "https://").await, 400, "BAD_USER_INPUT");
    let plain = reqwest::Url::parse_with_params(&start, [("redirect", APP)]).expect("an address");
    refused(&browser.go(plain.as_str(), "https://").await, 400, "BAD_USER_INPUT");
    for challenge in ["", "short", &"!".repeat(43)] {
        refused(&browser.go(&login_with(&shop, challenge), "https://").await, 400, "BAD_USER_INPUT");
    }
    refused(&browser.go(&shop.url("/auth/nobody/login"), "https://").await, 404, "NOT_FOUND");
    refused(&browser.go(&shop.url("/auth/nobody/callback"), "https://").await, 404, "NOT_FOUND");
    assert_eq!((browser.cookies_of(&shop.url("")), counts(&shop).await), (0, [0; 4]));

    // The provider lets nobody in, and says so.
    provider.let_in(None).await;
    let (landed, _) = way(&shop).await;
    refused(&landed, 400, "BAD_USER_INPUT");
    assert!(landed.body["error"]["message"].to_string().contains("access_denied"), "{landed:?}");
    assert_eq!(counts(&shop).await, [0; 4]);

    // It knows nothing of a code that somebody has made up.
    provider.let_in(Some("juma")).await;
    let back = browser.go(&login(&shop), &shop.url("/auth/keycloak/callback")).await.url;
    let code = parameter(&back, "code").expect("a code");
    refused(&browser.go(&back.replace(&code, "made-up"), "https://").await, 400, "BAD_USER_INPUT");
    assert_eq!(counts(&shop).await, [0; 4]);
}

async fn new_keys_are_no_obstacle(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    provider.let_in(Some("juma")).await;
    assert!(way(&shop).await.1.is_some());
    provider.turn_keys().await;
    shop.clock.set(shop.clock.now() + TimeDelta::seconds(11));
    assert!(way(&shop).await.1.is_some());
    assert_eq!(provider.keys_read().await, 2);
}

async fn a_provider_that_is_down_stops_only_its_own(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    provider.let_in(Some("juma")).await;
    let issuer = provider.issuer.clone();
    drop(provider);
    refused(&way(&shop).await.0, 503, "UNAVAILABLE");
    assert_eq!(counts(&shop).await, [0; 4]);
    shop.sign_in(savannah::identity::Role::Customer).await;
    // It comes back, and goes away while somebody is on the way.
    let provider = Provider::start(Some(&issuer)).await;
    provider.let_in(Some("juma")).await;
    shop.clock.set(shop.clock.now() + TimeDelta::seconds(11));
    let browser = Browser::new();
    let back = browser.go(&login(&shop), &shop.url("/auth/keycloak/callback")).await.url;
    drop(provider);
    refused(&browser.go(&back, "https://").await, 503, "UNAVAILABLE");
    assert_eq!(counts(&shop).await[..3], [1, 0, 0]);
}

async fn email_verified_as_text_in_an_id_token_counts_only_when_true(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop(backend).await;
    let register =
        "mutation { customerRegister(input: { email: \"cognito@example.com\", password: \"correct horse\" }) {
        userErrors { code } } }";
    assert_eq!(shop.ask(register).await.problems("customerRegister"), []);
    shop.sql("UPDATE account SET email_verified_at = created_at").await.expect("a change");

    // The owner of a verified account is let in by the text, and joined to it.
    provider.let_in(Some("cognito")).await;
    let (landed, code) = way(&shop).await;
    let code = code.unwrap_or_else(|| panic!("not signed in: {landed:?}"));
    assert_eq!(complete(&shop, &code, VERIFIER).await.problems("loginComplete"), []);
    assert_eq!(counts(&shop).await[..2], [1, 1]);

    // Who is not verified by the text gets an account without an address, and joins none.
    provider.let_in(Some("azure")).await;
    assert!(way(&shop).await.1.is_some());
    assert_eq!(shop.number("SELECT count(*) FROM account WHERE email IS NULL AND first_name = 'Azure'").await, 1);
    shop.sql("DELETE FROM account_identity WHERE subject = 'azure'").await.expect("gone");
    shop.sql(
        "UPDATE account SET email = 'azure@example.com', email_key = 'azure@example.com', \
        email_verified_at = created_at WHERE first_name = 'Azure'",
    )
    .await
    .expect("a change");
    refused(&way(&shop).await.0, 409, "ALREADY_EXISTS");
    assert_eq!(counts(&shop).await[..2], [2, 1]);
}

async fn login_starts_beyond_the_limit_do_not_reach_the_provider(backend: Backend) {
    let provider = Provider::start(None).await;
    let shop = provider.shop_with(backend, &[("SAVANNAH_THROTTLE__LOGIN_STARTS_PER_ADDRESS", "2/10m")]).await;
    provider.let_in(Some("juma")).await;
    for _ in 0..2 {
        assert!(way(&shop).await.1.is_some());
    }
    let (landed, _) = way(&shop).await;
    refused(&landed, 429, "RATE_LIMITED");
    assert!(landed.url.starts_with(&shop.url("/auth/keycloak/login")), "{landed:?}");
    assert_eq!(shop.number("SELECT count(*) FROM login_flow").await, 0);
    shop.clock.set(shop.clock.now() + TimeDelta::minutes(10));
    assert!(way(&shop).await.1.is_some());
}
