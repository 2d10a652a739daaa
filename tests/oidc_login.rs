//! Signing in by way of an OpenID provider, with a browser: there, back, and on to the app.

use chrono::TimeDelta;
use savannah::{base::digest, identity::random_token};
use serde_json::json;

use crate::{
    browser::has_node_module,
    integration_tests,
    support::{APP_REDIRECT_URI, Backend, CookieBrowser, FakeOidcProvider, GraphqlResponse, NavigationResult, TestApp},
};

integration_tests![;
    needs(has_oidc_provider): oidc_login_creates_account_and_session,
    oidc_login_links_account_only_with_verified_emails,
    oidc_callback_in_another_browser_is_rejected,
    oidc_callback_is_valid_once_and_for_ten_minutes,
    oidc_login_with_invalid_parameters_is_rejected,
    oidc_login_after_provider_key_rotation_succeeds,
    oidc_login_with_unavailable_provider_is_503,
    email_verified_as_text_in_an_id_token_counts_only_when_true,
    login_starts_beyond_the_limit_do_not_reach_the_provider
];

const COMPLETE_LOGIN: &str =
    "mutation($code: String!, $verifier: String!) { loginComplete(code: $code, verifier: $verifier) {
    tokens { accessToken refreshToken } userErrors { code field message } } }";

fn has_oidc_provider() -> bool {
    has_node_module("oidc-provider")
}

/// What the app shows for its codes, unless a test overrides it.
const CODE_VERIFIER: &str = "the app's own word";

fn login_url(app: &TestApp) -> String {
    login_url_with_challenge(app, &digest::sha256_base64url(CODE_VERIFIER))
}

fn login_url_with_challenge(app: &TestApp, challenge: &str) -> String {
    let parameters = [("redirect", APP_REDIRECT_URI), ("challenge", challenge)];
    reqwest::Url::parse_with_params(&app.url("/auth/keycloak/login"), parameters).expect("an address").into()
}

/// The value of a parameter in an address.
fn query_parameter(url: &str, name: &str) -> Option<String> {
    let url = reqwest::Url::parse(url).expect("an address");
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A whole way by a new browser: where it ends, and the code if that is the app.
async fn login_with_new_browser(app: &TestApp) -> (NavigationResult, Option<String>) {
    let navigation = CookieBrowser::new().navigate(&login_url(app), "https://app.example/").await;
    let code = query_parameter(&navigation.url, "code").filter(|_| navigation.url.starts_with("https://app.example/"));
    (navigation, code)
}

async fn complete_login(app: &TestApp, code: &str, verifier: &str) -> GraphqlResponse {
    app.query_with_variables(COMPLETE_LOGIN, json!({ "code": code, "verifier": verifier })).await
}

/// Fails unless it was refused in the envelope of every REST answer.
fn assert_rest_error(navigation: &NavigationResult, status: u16, code: &str) {
    assert_eq!((navigation.status, &navigation.body["error"]["code"]), (status, &json!(code)), "{navigation:?}");
    assert!(navigation.body["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{navigation:?}");
}

async fn count_login_rows(app: &TestApp) -> [i64; 4] {
    let mut counts = [0; 4];
    for (count, table) in counts.iter_mut().zip(["account", "account_identity", "one_time_token", "oidc_login_state"]) {
        *count = app.query_scalar(&format!("SELECT count(*) FROM {table}")).await;
    }
    counts
}

async fn oidc_login_creates_account_and_session(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let providers = app.query("{ shop { loginProviders { name loginPath } } }").await;
    assert_eq!(
        *providers.data_at("/shop/loginProviders"),
        json!([{ "name": "keycloak", "loginPath": "/auth/keycloak/login" }])
    );

    provider.set_login_user(Some("wanjiru")).await;
    let (verifier, browser) = (random_token::generate_token().expect("a word"), CookieBrowser::new());
    let navigation = browser
        .navigate(&login_url_with_challenge(&app, &digest::sha256_base64url(&verifier)), "https://app.example/")
        .await;
    let code = query_parameter(&navigation.url, "code").expect("a code");
    // The address says nothing else, and the shop's cookie is gone.
    assert_eq!(navigation.url, format!("{APP_REDIRECT_URI}&code={code}"));
    assert_eq!(browser.count_cookies(&app.url("")), 0);

    // The code alone opens nothing: the app that began shows its word.
    for wrong_verifier in ["", "something else"] {
        let response = complete_login(&app, &code, wrong_verifier).await;
        assert_eq!(response.user_errors("loginComplete"), [("VALIDATION_ERROR".to_owned(), "verifier".to_owned())]);
    }
    let response = complete_login(&app, &code, &verifier).await;
    assert_eq!(response.user_errors("loginComplete"), []);
    let token = response.data_at("/loginComplete/tokens/accessToken").as_str().expect("a token");
    app.query_as(token, "{ shop { name } }", json!({})).await.data_at("/shop/name");
    let repeated = complete_login(&app, &code, &verifier).await;
    assert_eq!(repeated.user_errors("loginComplete"), [("VALIDATION_ERROR".to_owned(), "code".to_owned())]);

    let account_count_sql = "SELECT count(*) FROM account WHERE email = 'wanjiru@example.com' AND email_verified_at IS NOT NULL \
        AND first_name = 'Wanjiru' AND last_name = 'Kamau' AND role = 'customer' AND password_hash IS NULL";
    assert_eq!(app.query_scalar(account_count_sql).await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM session WHERE auth_method = 'keycloak'").await, 1);

    // The next time it is the same account.
    let (_, code) = login_with_new_browser(&app).await;
    let code = code.expect("a code");
    assert_eq!(complete_login(&app, &code, "not asked for").await.user_errors("loginComplete").len(), 1);
    assert_eq!(complete_login(&app, &code, CODE_VERIFIER).await.user_errors("loginComplete"), []);
    assert_eq!(count_login_rows(&app).await, [1, 1, 0, 0]);
    assert_eq!(app.query_scalar("SELECT count(DISTINCT account_id) FROM session").await, 1);
    let secrets = format!("SELECT count(*) FROM audit_log WHERE CAST(after AS TEXT) LIKE '%{code}%'");
    assert_eq!(app.query_scalar(&secrets).await, 0);
}

async fn oidc_login_links_account_only_with_verified_emails(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let register =
        "mutation($email: String!) { customerRegister(input: { email: $email, password: \"correct horse\" }) {
        userErrors { code } } }";
    for name in ["Amani", "juma", "kip"] {
        let email = format!("{name}@example.com");
        assert_eq!(
            app.query_with_variables(register, json!({ "email": email })).await.user_errors("customerRegister"),
            []
        );
    }
    app.execute_sql("UPDATE account SET email_verified_at = created_at WHERE email_normalized <> 'juma@example.com'")
        .await
        .expect("a change");

    // The shop does not know that the address is theirs; then the provider does not.
    for name in ["juma", "kip"] {
        provider.set_login_user(Some(name)).await;
        let (navigation, _) = login_with_new_browser(&app).await;
        assert_rest_error(&navigation, 409, "ALREADY_EXISTS");
        assert!(
            navigation.body["error"]["message"].to_string().contains("erify"),
            "it says what to do: {navigation:?}"
        );
    }
    assert_eq!(count_login_rows(&app).await, [3, 0, 0, 0]);

    provider.set_login_user(Some("amani")).await;
    assert!(login_with_new_browser(&app).await.1.is_some());
    assert_eq!(count_login_rows(&app).await, [3, 1, 1, 0], "joined, in whatever case the address was written");

    // An unverified address does not block its owner.
    app.execute_sql("DELETE FROM account WHERE email_normalized = 'kip@example.com'").await.expect("gone");
    provider.set_login_user(Some("kip")).await;
    assert!(login_with_new_browser(&app).await.1.is_some());
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE email IS NULL AND first_name = 'Kip'").await, 1);

    app.execute_sql("UPDATE account SET disabled_at = created_at WHERE email_normalized = 'amani@example.com'")
        .await
        .expect("a change");
    provider.set_login_user(Some("amani")).await;
    assert_rest_error(&login_with_new_browser(&app).await.0, 403, "FORBIDDEN");
}

async fn oidc_callback_in_another_browser_is_rejected(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    provider.set_login_user(Some("juma")).await;
    let callback = app.url("/auth/keycloak/callback");
    let (first_browser, other) = (CookieBrowser::new(), CookieBrowser::new());
    let callback_url = first_browser.navigate(&login_url(&app), &callback).await.url;
    assert_eq!(first_browser.count_cookies(&app.url("")), 1);

    // Somebody who was made to open the address, with a sign-in of their own under way or without.
    assert_rest_error(
        &CookieBrowser::new().navigate(&callback_url, "https://app.example/").await,
        400,
        "BAD_USER_INPUT",
    );
    let other_callback = other.navigate(&login_url(&app), &callback).await.url;
    assert_rest_error(&other.navigate(&callback_url, "https://app.example/").await, 400, "BAD_USER_INPUT");
    // Also with the code of one and the state of the other.
    let code = |url: &str| query_parameter(url, "code").expect("a code");
    let mixed_rows = other_callback.replace(&code(&other_callback), &code(&callback_url));
    assert_rest_error(&other.navigate(&mixed_rows, "https://app.example/").await, 400, "BAD_USER_INPUT");
    for state in ["", "made-up", &"x".repeat(5000)] {
        let forged = format!("{callback}?state={state}&code={}", code(&callback_url));
        assert_rest_error(&first_browser.navigate(&forged, "https://app.example/").await, 400, "BAD_USER_INPUT");
    }
    assert_rest_error(&first_browser.navigate(&callback, "https://app.example/").await, 400, "BAD_USER_INPUT");
    assert_eq!(count_login_rows(&app).await[..3], [0, 0, 0], "nothing was written");
    // None of that was in the way of its owner.
    assert!(first_browser.navigate(&callback_url, "https://app.example/").await.url.starts_with(APP_REDIRECT_URI));
}

async fn oidc_callback_is_valid_once_and_for_ten_minutes(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let callback = app.url("/auth/keycloak/callback");
    provider.set_login_user(Some("juma")).await;
    let browser = CookieBrowser::new();
    let callback_url = browser.navigate(&login_url(&app), &callback).await.url;
    let both_callbacks = futures_util::future::join(
        browser.navigate(&callback_url, "https://app.example/"),
        browser.navigate(&callback_url, "https://app.example/"),
    );
    let (first, second) = both_callbacks.await;
    let arrived =
        [&first, &second].into_iter().filter(|navigation| navigation.url.starts_with(APP_REDIRECT_URI)).count();
    assert_eq!(arrived, 1, "{first:?} {second:?}");
    assert_rest_error(&browser.navigate(&callback_url, "https://app.example/").await, 400, "BAD_USER_INPUT");

    let expired_callback = browser.navigate(&login_url(&app), &callback).await.url;
    app.clock.set(app.clock.now() + TimeDelta::minutes(10));
    assert_rest_error(&browser.navigate(&expired_callback, "https://app.example/").await, 400, "BAD_USER_INPUT");
    // The next one clears away what has run out.
    browser.navigate(&login_url(&app), &callback).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM oidc_login_state").await, 1);

    // A code that is not used in time holds no longer.
    let code = query_parameter(&first.url, "code").or_else(|| query_parameter(&second.url, "code")).expect("a code");
    assert_eq!(complete_login(&app, &code, CODE_VERIFIER).await.user_errors("loginComplete").len(), 1);
}

async fn oidc_login_with_invalid_parameters_is_rejected(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    let (browser, start) = (CookieBrowser::new(), app.url("/auth/keycloak/login"));
    for redirect in ["https://evil.example/", "https://app.example/in", "https://app.example/in%3Ffrom=shop%26x", ""] {
        let navigation = browser.navigate(&format!("{start}?redirect={redirect}"), "https://").await;
        assert_rest_error(&navigation, 400, "BAD_USER_INPUT");
    }
    assert_rest_error(&browser.navigate(&start, "https://").await, 400, "BAD_USER_INPUT");
    let plain = reqwest::Url::parse_with_params(&start, [("redirect", APP_REDIRECT_URI)]).expect("an address");
    assert_rest_error(&browser.navigate(plain.as_str(), "https://").await, 400, "BAD_USER_INPUT");
    for challenge in ["", "short", &"!".repeat(43)] {
        assert_rest_error(
            &browser.navigate(&login_url_with_challenge(&app, challenge), "https://").await,
            400,
            "BAD_USER_INPUT",
        );
    }
    assert_rest_error(&browser.navigate(&app.url("/auth/nobody/login"), "https://").await, 404, "NOT_FOUND");
    assert_rest_error(&browser.navigate(&app.url("/auth/nobody/callback"), "https://").await, 404, "NOT_FOUND");
    assert_eq!((browser.count_cookies(&app.url("")), count_login_rows(&app).await), (0, [0; 4]));

    // The provider denies the login.
    provider.set_login_user(None).await;
    let (navigation, _) = login_with_new_browser(&app).await;
    assert_rest_error(&navigation, 400, "BAD_USER_INPUT");
    assert!(navigation.body["error"]["message"].to_string().contains("access_denied"), "{navigation:?}");
    assert_eq!(count_login_rows(&app).await, [0; 4]);

    // The provider rejects an invented code.
    provider.set_login_user(Some("juma")).await;
    let callback_url = browser.navigate(&login_url(&app), &app.url("/auth/keycloak/callback")).await.url;
    let code = query_parameter(&callback_url, "code").expect("a code");
    assert_rest_error(
        &browser.navigate(&callback_url.replace(&code, "made-up"), "https://").await,
        400,
        "BAD_USER_INPUT",
    );
    assert_eq!(count_login_rows(&app).await, [0; 4]);
}

async fn oidc_login_after_provider_key_rotation_succeeds(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    provider.set_login_user(Some("juma")).await;
    assert!(login_with_new_browser(&app).await.1.is_some());
    provider.rotate_keys().await;
    app.clock.set(app.clock.now() + TimeDelta::seconds(11));
    assert!(login_with_new_browser(&app).await.1.is_some());
    assert_eq!(provider.count_key_requests().await, 2);
}

async fn oidc_login_with_unavailable_provider_is_503(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let app = provider.start_app(backend).await;
    provider.set_login_user(Some("juma")).await;
    let issuer = provider.issuer.clone();
    drop(provider);
    assert_rest_error(&login_with_new_browser(&app).await.0, 503, "UNAVAILABLE");
    assert_eq!(count_login_rows(&app).await, [0; 4]);
    app.login(savannah::identity::Role::Customer).await;
    // It is back, and stops in the middle of a login.
    let provider = FakeOidcProvider::start(Some(&issuer)).await;
    provider.set_login_user(Some("juma")).await;
    app.clock.set(app.clock.now() + TimeDelta::seconds(11));
    let browser = CookieBrowser::new();
    let callback_url = browser.navigate(&login_url(&app), &app.url("/auth/keycloak/callback")).await.url;
    drop(provider);
    assert_rest_error(&browser.navigate(&callback_url, "https://").await, 503, "UNAVAILABLE");
    assert_eq!(count_login_rows(&app).await[..3], [1, 0, 0]);
}

async fn email_verified_as_text_in_an_id_token_counts_only_when_true(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let shop = provider.start_app(backend).await;
    let register =
        "mutation { customerRegister(input: { email: \"cognito@example.com\", password: \"correct horse\" }) {
        userErrors { code } } }";
    assert_eq!(shop.query(register).await.user_errors("customerRegister"), []);
    shop.execute_sql("UPDATE account SET email_verified_at = created_at").await.expect("a change");

    // The owner of a verified account is let in by the text, and joined to it.
    provider.set_login_user(Some("cognito")).await;
    let (landed, code) = login_with_new_browser(&shop).await;
    let code = code.unwrap_or_else(|| panic!("not signed in: {landed:?}"));
    assert_eq!(complete_login(&shop, &code, CODE_VERIFIER).await.user_errors("loginComplete"), []);
    assert_eq!(count_login_rows(&shop).await[..2], [1, 1]);

    // Who is not verified by the text gets an account without an address, and joins none.
    provider.set_login_user(Some("azure")).await;
    assert!(login_with_new_browser(&shop).await.1.is_some());
    assert_eq!(shop.query_scalar("SELECT count(*) FROM account WHERE email IS NULL AND first_name = 'Azure'").await, 1);
    shop.execute_sql("DELETE FROM account_identity WHERE subject = 'azure'").await.expect("gone");
    shop.execute_sql(
        "UPDATE account SET email = 'azure@example.com', email_normalized = 'azure@example.com', \
        email_verified_at = created_at WHERE first_name = 'Azure'",
    )
    .await
    .expect("a change");
    assert_rest_error(&login_with_new_browser(&shop).await.0, 409, "ALREADY_EXISTS");
    assert_eq!(count_login_rows(&shop).await[..2], [2, 1]);
}

async fn login_starts_beyond_the_limit_do_not_reach_the_provider(backend: Backend) {
    let provider = FakeOidcProvider::start(None).await;
    let shop = provider.shop_with(backend, &[("SAVANNAH_THROTTLE__OIDC_LOGINS_PER_IP", "2/10m")]).await;
    provider.set_login_user(Some("juma")).await;
    for _ in 0..2 {
        assert!(login_with_new_browser(&shop).await.1.is_some());
    }
    let (landed, _) = login_with_new_browser(&shop).await;
    assert_rest_error(&landed, 429, "RATE_LIMITED");
    assert!(landed.url.starts_with(&shop.url("/auth/keycloak/login")), "{landed:?}");
    assert_eq!(shop.query_scalar("SELECT count(*) FROM oidc_login_state").await, 0);
    shop.clock.set(shop.clock.now() + TimeDelta::minutes(10));
    assert!(login_with_new_browser(&shop).await.1.is_some());
}
