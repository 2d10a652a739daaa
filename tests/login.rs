//! Signing in with a password, staying signed in, signing out.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    customer_registers_logs_in_refreshes_and_logs_out,
    registration_with_invalid_input_reports_all_errors,
    registration_email_is_unique_case_insensitively,
    wrong_password_and_unknown_email_give_the_same_error,
    failed_logins_are_limited_by_account_and_by_ip,
    reused_refresh_token_revokes_the_session,
    concurrent_refreshes_succeed_and_later_reuse_revokes_the_session,
    token_reuse_within_the_reuse_interval_is_bounded,
    repeated_refreshes_keep_few_stored_tokens,
    expired_session_is_not_listed,
    logout_everywhere_revokes_all_sessions,
    session_revoke_by_another_account_is_rejected,
    sessions_query_returns_own_sessions_only,
    login_returns_customer_merged_cart_and_session,
];

const REGISTER_CUSTOMER: &str = "mutation($input: CustomerRegisterInput!) { customerRegister(input: $input) {
    tokens { accessToken refreshToken } userErrors { code field message } } }";
const LOGIN_WITH_PASSWORD: &str = "mutation($email: String!, $password: String!) { login(input: { email: $email, password: $password }) {
    tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt } userErrors { code field message } } }";
const REFRESH_TOKEN: &str = "mutation($token: String!) { tokenRefresh(refreshToken: $token) {
    tokens { accessToken refreshToken } userErrors { code } } }";
const LOGOUT: &str = "mutation { logout { sessionsEnded userErrors { code } } }";
const LOGOUT_EVERYWHERE: &str = "mutation { logoutEverywhere { sessionsEnded userErrors { code } } }";

async fn register_customer(app: &TestApp, email: &str) -> GraphqlResponse {
    let input = json!({ "email": email, "password": "correct horse", "firstName": "Amani", "lastName": "Otieno" });
    app.query_with_variables(REGISTER_CUSTOMER, json!({ "input": input })).await
}

async fn login_with_password(app: &TestApp, email: &str, password: &str) -> GraphqlResponse {
    app.query_with_variables(LOGIN_WITH_PASSWORD, json!({ "email": email, "password": password })).await
}

async fn refresh_token(app: &TestApp, token: &Value) -> GraphqlResponse {
    app.query_with_variables(REFRESH_TOKEN, json!({ "token": token })).await
}

fn string_at(response: &GraphqlResponse, pointer: &str) -> String {
    response.data_at(pointer).as_str().unwrap_or_else(|| panic!("no text in {}", response.body)).to_owned()
}

/// Whether a token opens the door.
async fn is_token_accepted(app: &TestApp, token: &str) -> bool {
    let response = app.query_as(token, "{ shop { name } }", json!({})).await;
    let rejected = response.body.get("errors").is_some();
    if rejected {
        assert_eq!(response.error_code(), "UNAUTHENTICATED");
    }
    !rejected
}

async fn customer_registers_logs_in_refreshes_and_logs_out(backend: Backend) {
    let app = TestApp::start(backend).await;
    let created = register_customer(&app, "amani@example.com").await;
    assert_eq!(created.user_errors("customerRegister"), []);
    assert!(is_token_accepted(&app, &string_at(&created, "/customerRegister/tokens/accessToken")).await);
    let login_response = login_with_password(&app, " Amani@Example.com ", "correct horse").await;
    let first = string_at(&login_response, "/login/tokens/accessToken");
    assert_eq!(login_response.data_at("/login/tokens/accessTokenExpiresAt"), "2026-11-01T09:10:00+00:00");
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:10:00Z"));
    assert!(!is_token_accepted(&app, &first).await, "it has ended");
    let next = refresh_token(&app, login_response.data_at("/login/tokens/refreshToken")).await;
    let token = string_at(&next, "/tokenRefresh/tokens/accessToken");
    assert!(is_token_accepted(&app, &token).await);
    assert_eq!(app.query_as(&token, LOGOUT, json!({})).await.data_at("/logout/sessionsEnded"), 1);
    assert!(!is_token_accepted(&app, &token).await, "signed out");
    assert_eq!(
        refresh_token(&app, next.data_at("/tokenRefresh/tokens/refreshToken")).await.error_code(),
        "UNAUTHENTICATED"
    );
    // The other session, of the registration, lives on; what is kept of all this opens nothing.
    assert!(is_token_accepted(&app, &refreshed_access_token(&app, &created, "/customerRegister").await).await);
    let unhashed_count_sql = "SELECT count(*) FROM account WHERE password_hash NOT LIKE '$argon2id$%'";
    assert_eq!(app.query_scalar(unhashed_count_sql).await, 0);
}

async fn refreshed_access_token(app: &TestApp, response: &GraphqlResponse, mutation: &str) -> String {
    let next = refresh_token(app, response.data_at(&format!("{mutation}/tokens/refreshToken"))).await;
    string_at(&next, "/tokenRefresh/tokens/accessToken")
}

async fn registration_with_invalid_input_reports_all_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let input = json!({ "email": "nobody", "password": "short", "firstName": "a".repeat(101), "lastName": "b\u{7}" });
    let response = app.query_with_variables(REGISTER_CUSTOMER, json!({ "input": input })).await;
    let invalid_fields = ["input.email", "input.firstName", "input.lastName", "input.password"];
    let invalid_fields: Vec<_> =
        invalid_fields.iter().map(|field| ("VALIDATION_ERROR".to_owned(), (*field).to_owned())).collect();
    assert_eq!(response.user_errors("customerRegister"), invalid_fields);
    assert_eq!(response.data_at("/customerRegister/tokens"), &Value::Null);
    for email in ["a@b", "a b@example.com", "a@example.com\n", "<a@example.com>", "\"a\"@example.com", "@example.com"] {
        let input = json!({ "email": email, "password": "correct horse" });
        let response = app.query_with_variables(REGISTER_CUSTOMER, json!({ "input": input })).await;
        let expected =
            if email.ends_with('\n') { vec![] } else { vec![("VALIDATION_ERROR".into(), "input.email".into())] };
        assert_eq!(response.user_errors("customerRegister"), expected, "{email}");
    }
    let input = json!({ "email": "someone@example.com", "password": "Someone@example.com" });
    let rejected = app.query_with_variables(REGISTER_CUSTOMER, json!({ "input": input })).await;
    assert_eq!(rejected.user_errors("customerRegister"), [("VALIDATION_ERROR".into(), "input.password".into())]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account").await, 1);
}

async fn registration_email_is_unique_case_insensitively(backend: Backend) {
    let app = TestApp::start(backend).await;
    let emails = ["zawadi@example.com", "Zawadi@example.com", "ZAWADI@EXAMPLE.COM", "zawadi@Example.com"];
    let responses = futures_util::future::join_all(emails.iter().map(|email| register_customer(&app, email))).await;
    let problems: Vec<_> = responses.iter().flat_map(|response| response.user_errors("customerRegister")).collect();
    assert_eq!(problems, vec![("ALREADY_EXISTS".to_owned(), "input.email".to_owned()); 3]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM session").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE action = 'account.create'").await, 1);
}

async fn wrong_password_and_unknown_email_give_the_same_error(backend: Backend) {
    let app = TestApp::start(backend).await;
    register_customer(&app, "amani@example.com").await;
    app.login(Role::Customer).await;
    let (wrong_password, unknown, without) = tokio::join!(
        login_with_password(&app, "amani@example.com", "wrong horse"),
        login_with_password(&app, "nobody@example.com", "correct horse"),
        login_with_password(&app, "customer2@example.com", "correct horse"),
    );
    assert_eq!(wrong_password.user_errors("login"), [("INVALID_CREDENTIALS".into(), "input".into())]);
    assert_eq!(wrong_password.body["data"], unknown.body["data"]);
    assert_eq!(wrong_password.body["data"], without.body["data"], "an account without a password");
    assert_eq!(wrong_password.statements, unknown.statements);
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("disabled");
    assert_eq!(
        login_with_password(&app, "amani@example.com", "correct horse").await.body["data"],
        wrong_password.body["data"]
    );
}

async fn failed_logins_are_limited_by_account_and_by_ip(backend: Backend) {
    let settings = [
        ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT_AND_IP", "3/15m"),
        ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_IP", "4/15m"),
    ];
    let app = TestApp::start_with_settings(backend, &settings).await;
    register_customer(&app, "amani@example.com").await;
    // All at once is no way around: each is counted before it is tried.
    let attempts = (0..5).map(|n| async move { n });
    let attempts =
        attempts.map(|n| async { login_with_password(&app, "amani@example.com", &format!("guess {}", n.await)).await });
    let responses = futures_util::future::join_all(attempts).await;
    let limited = responses.iter().filter(|response| response.body.get("errors").is_some());
    assert_eq!(limited.inspect(|response| assert_eq!(response.error_code(), "RATE_LIMITED")).count(), 2);
    assert_eq!(
        login_with_password(&app, "AMANI@example.com", "correct horse").await.error_code(),
        "RATE_LIMITED",
        "not even the right one"
    );
    // Another account from the same address, until the address has tried too often.
    assert_eq!(login_with_password(&app, "other@example.com", "guess").await.user_errors("login").len(), 1);
    assert_eq!(login_with_password(&app, "third@example.com", "guess").await.error_code(), "RATE_LIMITED");
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:16:00Z"));
    let right = login_with_password(&app, "amani@example.com", "correct horse").await;
    assert_eq!(right.user_errors("login"), [], "the window has passed");
    for _ in 0..10 {
        assert_eq!(
            login_with_password(&app, "amani@example.com", "correct horse").await.user_errors("login"),
            [],
            "right ones do not count"
        );
    }
}

async fn reused_refresh_token_revokes_the_session(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register_customer(&app, "amani@example.com").await;
    let reused_token = first.data_at("/customerRegister/tokens/refreshToken");
    let second = refresh_token(&app, reused_token).await;
    let third = refresh_token(&app, second.data_at("/tokenRefresh/tokens/refreshToken")).await;
    let token = string_at(&third, "/tokenRefresh/tokens/accessToken");
    assert!(is_token_accepted(&app, &token).await);
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:00:10Z"));
    assert_eq!(refresh_token(&app, reused_token).await.error_code(), "UNAUTHENTICATED");
    assert!(!is_token_accepted(&app, &token).await, "the whole family has ended");
    assert_eq!(
        refresh_token(&app, third.data_at("/tokenRefresh/tokens/refreshToken")).await.error_code(),
        "UNAUTHENTICATED"
    );
    assert_eq!(refresh_token(&app, &json!("nonsense")).await.error_code(), "UNAUTHENTICATED");
    assert_eq!(app.query_scalar("SELECT count(*) FROM session WHERE revoked_at IS NOT NULL").await, 1);
}

async fn concurrent_refreshes_succeed_and_later_reuse_revokes_the_session(backend: Backend) {
    let app = TestApp::start(backend).await;
    let created = register_customer(&app, "amani@example.com").await;
    let token = created.data_at("/customerRegister/tokens/refreshToken");
    let responses = futures_util::future::join_all((0..6).map(|_| refresh_token(&app, token))).await;
    for response in &responses {
        assert!(is_token_accepted(&app, &string_at(response, "/tokenRefresh/tokens/accessToken")).await);
    }
    let newest =
        responses.iter().map(|response| string_at(response, "/tokenRefresh/tokens/refreshToken")).collect::<Vec<_>>();
    assert_eq!(app.query_scalar("SELECT count(*) FROM session").await, 1, "all of one session");
    // A refresh marks every other token of the session as used; after the reuse interval such a token revokes it.
    let (owner, other_token) = (json!(newest[0]), json!(newest[1]));
    let next = refresh_token(&app, &owner).await;
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:00:10Z"));
    assert!(is_token_accepted(&app, &string_at(&next, "/tokenRefresh/tokens/accessToken")).await);
    assert_eq!(refresh_token(&app, &other_token).await.error_code(), "UNAUTHENTICATED");
    assert!(
        !is_token_accepted(&app, &string_at(&next, "/tokenRefresh/tokens/accessToken")).await,
        "the session has ended"
    );
    assert_eq!(
        refresh_token(&app, next.data_at("/tokenRefresh/tokens/refreshToken")).await.error_code(),
        "UNAUTHENTICATED"
    );
}

async fn token_reuse_within_the_reuse_interval_is_bounded(backend: Backend) {
    let app = TestApp::start(backend).await;
    let created = register_customer(&app, "amani@example.com").await;
    let token = created.data_at("/customerRegister/tokens/refreshToken");
    for _ in 0..9 {
        assert!(refresh_token(&app, token).await.body.get("errors").is_none());
    }
    assert_eq!(refresh_token(&app, token).await.error_code(), "UNAUTHENTICATED", "no browser has so many pages");
    assert_eq!(app.query_scalar("SELECT count(*) FROM session WHERE revoked_at IS NOT NULL").await, 1);

    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_IDENTITY__REFRESH_TOKEN_REUSE_INTERVAL", "0s")]).await;
    let created = register_customer(&app, "amani@example.com").await;
    let token = created.data_at("/customerRegister/tokens/refreshToken");
    let responses = futures_util::future::join_all((0..6).map(|_| refresh_token(&app, token))).await;
    let succeeded: Vec<_> = responses.iter().filter(|response| response.body.get("errors").is_none()).collect();
    assert_eq!(succeeded.len(), 1);
    assert!(
        !is_token_accepted(&app, &string_at(succeeded[0], "/tokenRefresh/tokens/accessToken")).await,
        "the others ended it"
    );
}

async fn repeated_refreshes_keep_few_stored_tokens(backend: Backend) {
    let app = TestApp::start(backend).await;
    let created = register_customer(&app, "amani@example.com").await;
    let first = created.data_at("/customerRegister/tokens/refreshToken").clone();
    let mut token = first.clone();
    for round in 1..=30 {
        app.clock.set(crate::support::parse_datetime("2026-11-01T09:00:00Z") + chrono::TimeDelta::minutes(10 * round));
        let next = refresh_token(&app, &token).await;
        token = next.data_at("/tokenRefresh/tokens/refreshToken").clone();
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM refresh_token").await, 2);
    // One that is not kept any more still ends the session that it was copied from.
    assert_eq!(refresh_token(&app, &first).await.error_code(), "UNAUTHENTICATED");
    assert_eq!(app.query_scalar("SELECT count(*) FROM session WHERE revoked_at IS NOT NULL").await, 1);
    assert_eq!(refresh_token(&app, &token).await.error_code(), "UNAUTHENTICATED");
}

async fn expired_session_is_not_listed(backend: Backend) {
    const ME: &str = "{ me { sessions { current } } }";
    let app = TestApp::start(backend).await;
    let first = register_customer(&app, "amani@example.com").await;
    login_with_password(&app, "amani@example.com", "correct horse").await;
    // The first goes on; the other one ends by itself after thirty days.
    app.clock.set(crate::support::parse_datetime("2026-11-20T09:00:00Z"));
    let next = refresh_token(&app, first.data_at("/customerRegister/tokens/refreshToken")).await;
    app.clock.set(crate::support::parse_datetime("2026-12-01T08:59:59Z"));
    let next = refresh_token(&app, next.data_at("/tokenRefresh/tokens/refreshToken")).await;
    let token = string_at(&next, "/tokenRefresh/tokens/accessToken");
    let current = json!([{ "current": true }, { "current": false }]);
    assert_eq!(app.query_as(&token, ME, json!({})).await.data_at("/me/sessions"), &current);
    app.clock.set(crate::support::parse_datetime("2026-12-01T09:00:00Z"));
    assert_eq!(app.query_as(&token, ME, json!({})).await.data_at("/me/sessions"), &json!([{ "current": true }]));
}

async fn logout_everywhere_revokes_all_sessions(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first_token =
        string_at(&register_customer(&app, "amani@example.com").await, "/customerRegister/tokens/accessToken");
    let second_token =
        string_at(&login_with_password(&app, "amani@example.com", "correct horse").await, "/login/tokens/accessToken");
    let other = app.login(Role::Customer).await;
    assert_eq!(
        app.query_as(&second_token, LOGOUT_EVERYWHERE, json!({})).await.data_at("/logoutEverywhere/sessionsEnded"),
        2
    );
    assert!(!is_token_accepted(&app, &first_token).await && !is_token_accepted(&app, &second_token).await);
    assert!(is_token_accepted(&app, &other).await);
    // What another instance revokes is heard of by the clock.
    app.execute_sql("UPDATE session SET revoked_at = created_at").await.expect("revoked");
    app.run_clock_tick().await;
    assert!(!is_token_accepted(&app, &other).await);
    // Without a token there is nothing to sign out of.
    assert_eq!(app.query(LOGOUT_EVERYWHERE).await.error_code(), "UNAUTHENTICATED");
}

async fn session_revoke_by_another_account_is_rejected(backend: Backend) {
    const REVOKE_SESSION: &str =
        "mutation($id: ID!) { sessionRevoke(id: $id) { sessionsEnded userErrors { code field } } }";
    let app = TestApp::start(backend).await;
    let (own_token, other_token) = (app.login(Role::Customer).await, app.login(Role::Admin).await);
    let session = app.query_scalar("SELECT max(id) FROM session").await;
    let id = savannah::base::GlobalId::new(savannah::base::global_id::NodeType::Session, session).encode();
    let not_mine = app.query_as(&own_token, REVOKE_SESSION, json!({ "id": id })).await;
    assert_eq!(not_mine.user_errors("sessionRevoke"), [("NOT_FOUND".into(), "id".into())]);
    assert!(is_token_accepted(&app, &other_token).await);
    assert_eq!(
        app.query_as(&other_token, REVOKE_SESSION, json!({ "id": id })).await.data_at("/sessionRevoke/sessionsEnded"),
        1
    );
    assert!(!is_token_accepted(&app, &other_token).await);
    let nonsense = app.query_as(&own_token, REVOKE_SESSION, json!({ "id": "nonsense" })).await;
    assert_eq!(nonsense.user_errors("sessionRevoke"), [("VALIDATION_ERROR".into(), "id".into())]);
}

async fn sessions_query_returns_own_sessions_only(backend: Backend) {
    const ME: &str = "{ me { email sessions { id method address userAgent current expiresAt } } }";
    let app = TestApp::start(backend).await;
    let first = string_at(&register_customer(&app, "amani@example.com").await, "/customerRegister/tokens/accessToken");
    login_with_password(&app, "amani@example.com", "correct horse").await;
    let response = app.query_as(&first, ME, json!({})).await;
    let sessions = response.data_at("/me/sessions").as_array().expect("a list");
    let current: Vec<_> = sessions.iter().map(|session| &session["current"]).collect();
    assert_eq!(current, [&json!(false), &json!(true)], "the last used first");
    assert!(sessions.iter().all(|item| item["method"] == "password" && item["address"] == "127.0.0.1"), "{sessions:?}");
    assert_eq!(app.query(ME).await.data_at("/me"), &Value::Null);
    // Staff see the customer, and not where they are.
    let staff = app.login(Role::Admin).await;
    let query = "{ accounts(first: 10, filter: { role: CUSTOMER }) { nodes { email sessions { id } } } }";
    let customers_response = app.query_as(&staff, query, json!({})).await;
    let hidden_sessions: Vec<_> = customers_response
        .data_at("/accounts/nodes")
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["sessions"].is_null())
        .collect();
    assert_eq!(hidden_sessions.iter().filter(|null| **null).count(), 1);
}

async fn login_returns_customer_merged_cart_and_session(backend: Backend) {
    const LOGIN_WITH_CART: &str = "mutation($password: String!, $cart: ID) {
        login(input: { email: \"amani@example.com\", password: $password, cartId: $cart }) {
            tokens { accessToken refreshToken } account { email firstName sessions { id } customer { cart { id } } }
            cart { id lines { quantity } } session { id method current } userErrors { code } } }";
    const REFRESH_WITH_SESSION: &str = "mutation($token: String!) { tokenRefresh(refreshToken: $token) {
        account { email } cart { id } session { id } } }";
    let app = TestApp::start_with_demo_catalog(backend).await;
    register_customer(&app, "amani@example.com").await;
    let variant = app.query("{ products(first: 1, filter: { inStock: true }) { nodes { variants { id } } } }").await;
    let variant = string_at(&variant, "/products/nodes/0/variants/0/id");
    let create = "mutation($id: ID!) { cartCreate(input: { lines: [{ variantId: $id }] }) { cart { id } } }";
    let guest = app.query_with_variables(create, json!({ "id": variant })).await;
    let guest = string_at(&guest, "/cartCreate/cart/id");
    let login = async |password: &str, cart: Value| {
        app.query_with_variables(LOGIN_WITH_CART, json!({ "password": password, "cart": cart })).await
    };
    let rejected = login("wrong horse", Value::Null).await;
    for field in ["tokens", "account", "cart", "session"] {
        assert_eq!(rejected.data_at(&format!("/login/{field}")), &Value::Null, "{field}");
    }
    let before_merge = login("correct horse", Value::Null).await;
    assert_eq!(before_merge.data_at("/login/cart"), &Value::Null);
    let merged = login("correct horse", json!(guest)).await;
    // What needs the new access token stays null in the payload.
    let account = json!({ "email": "amani@example.com", "firstName": "Amani", "sessions": null,
        "customer": { "cart": null } });
    assert_eq!(merged.data_at("/login/account"), &account);
    assert_eq!(merged.data_at("/login/cart/lines"), &json!([{ "quantity": 1 }]));
    let session = merged.data_at("/login/session").clone();
    assert_eq!((&session["method"], &session["current"]), (&json!("password"), &json!(true)));
    let token = string_at(&merged, "/login/tokens/accessToken");
    let me = app.query_as(&token, "{ me { customer { cart { id } } sessions { id current } } }", json!({})).await;
    assert_eq!(me.data_at("/me/customer/cart/id"), merged.data_at("/login/cart/id"));
    let sessions = me.data_at("/me/sessions").as_array().expect("a list");
    let current: Vec<_> = sessions.iter().filter(|listed| listed["current"] == true).map(|row| &row["id"]).collect();
    assert_eq!(current, [&session["id"]]);
    let refresh = json!({ "token": merged.data_at("/login/tokens/refreshToken") });
    let refreshed = app.query_with_variables(REFRESH_WITH_SESSION, refresh).await;
    let expected = json!({ "account": { "email": "amani@example.com" }, "cart": { "id": me.data_at("/me/customer/cart/id") },
        "session": { "id": session["id"] } });
    assert_eq!(refreshed.data_at("/tokenRefresh"), &expected);
}
