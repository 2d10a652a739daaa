//! Throttling of anonymous requests: counted across instances, by network address and by recipient.

use savannah::{
    identity::Role,
    infra::{
        config::RateLimit,
        throttle::{self, Throttle, ThrottleSubject},
    },
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, parse_datetime},
};

integration_tests![
    concurrent_actions_of_many_instances_share_one_limit,
    limited_action_writes_nothing,
    high_limit_is_counted_in_portions_and_never_exceeded,
    orders_are_limited_by_ip,
    orders_are_limited_by_recipient_in_every_field,
    request_with_two_orders_by_a_guest_is_rejected,
    callers_with_a_permission_are_not_limited,
    cart_changes_are_limited_by_ip,
    registrations_are_limited_by_ip,
    unknown_tokens_are_limited_and_known_ones_are_not,
    ended_windows_are_pruned,
    failed_logins_from_other_ips_do_not_lock_the_owner_out,
    failed_logins_of_an_account_delay_ips_that_failed,
    known_device_is_not_limited_by_its_ip,
    password_reset_emails_to_one_account_are_two_minutes_apart,
];

const LOGIN_WITH_DEVICE: &str = "mutation($email: String!, $password: String!, $device: String) {
    login(input: { email: $email, password: $password, deviceToken: $device }) { userErrors { code } } }";
const CART: &str = "mutation { cartCreate { cart { id } userErrors { code } } }";

fn throttle_subject(name: &str, count: u32, seconds: u64) -> ThrottleSubject {
    ThrottleSubject::new("test", name, RateLimit { count, window: std::time::Duration::from_secs(seconds) })
}

/// Whether an action was within its limits.
async fn is_allowed(throttle: &Throttle, app: &TestApp, subjects: &[ThrottleSubject]) -> bool {
    match throttle.count_action(&app.db, subjects).await {
        Ok(()) => true,
        Err(savannah::base::Error::RateLimited { .. }) => false,
        Err(error) => panic!("{}", error.log_message()),
    }
}

async fn count_counters(app: &TestApp) -> i64 {
    app.query_scalar("SELECT count(*) FROM throttle").await
}

async fn concurrent_actions_of_many_instances_share_one_limit(backend: Backend) {
    let app = TestApp::start(backend).await;
    let instances: Vec<Throttle> = (0..4).map(|_| Throttle::default()).collect();
    let subjects = [throttle_subject("shared", 7, 60), throttle_subject("roomy", 1000, 60)];
    let actions = (0..40).map(|n| is_allowed(&instances[n % 4], &app, &subjects));
    let allowed =
        futures_util::future::join_all(actions).await.into_iter().filter(|is_within_limit| *is_within_limit).count();
    assert_eq!(allowed, 7);
    app.clock.set(parse_datetime("2026-11-01T09:00:59Z"));
    assert!(!is_allowed(&instances[0], &app, &subjects).await);
    app.clock.set(parse_datetime("2026-11-01T09:01:00Z"));
    assert!(is_allowed(&instances[0], &app, &subjects).await, "the window has ended");
}

async fn limited_action_writes_nothing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let full = throttle_subject("full", 1, 60);
    assert!(is_allowed(&Throttle::default(), &app, std::slice::from_ref(&full)).await);
    for n in 0..5 {
        // Each is another instance, which remembers nothing.
        let generated_subject = throttle_subject(&format!("made up {n}"), 10, 60);
        assert!(!is_allowed(&Throttle::default(), &app, &[full.clone(), generated_subject]).await);
    }
    assert_eq!(count_counters(&app).await, 1);
    assert_eq!(app.query_scalar("SELECT max(count) FROM throttle").await, 1);
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM throttle WHERE subject_hash LIKE '%full%'").await,
        0,
        "digests only"
    );
}

async fn high_limit_is_counted_in_portions_and_never_exceeded(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (first, second) = (Throttle::default(), Throttle::default());
    let high_limit = [throttle_subject("roomy", 200, 60)];
    assert!(is_allowed(&first, &app, &high_limit).await);
    assert_eq!(app.query_scalar("SELECT max(count) FROM throttle").await, 4, "a portion");
    let mut allowed = 1;
    for n in 0..300 {
        allowed += u32::from(is_allowed(if n % 3 == 0 { &first } else { &second }, &app, &high_limit).await);
    }
    assert!((190..=200).contains(&allowed), "{allowed}");
}

/// An order that cannot be placed for want of a variant, and is counted all the same.
async fn create_unfillable_order(app: &TestApp, token: Option<&str>, overrides: Value) -> GraphqlResponse {
    app.create_order(token, "key", &[("nothing", 1)], overrides).await
}

/// Fails unless it was refused for its number, with the seconds to wait.
fn assert_rate_limited(response: &GraphqlResponse) {
    assert_eq!(response.error_code(), "RATE_LIMITED", "{}", response.body);
    let seconds = response.first_error()["extensions"]["retryAfter"].as_u64();
    assert!(seconds.is_some_and(|seconds| (1..=3600).contains(&seconds)), "{}", response.body);
}

/// Whatever came of it, it was not limited.
fn assert_not_rate_limited(response: &GraphqlResponse) {
    assert_eq!(response.body.get("errors"), None, "{}", response.body);
}

async fn orders_are_limited_by_ip(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_THROTTLE__ORDERS_PER_IP", "2/1h")]).await;
    assert_not_rate_limited(&create_unfillable_order(&app, None, json!({ "email": "a@example.com" })).await);
    assert_not_rate_limited(&create_unfillable_order(&app, None, json!({ "email": "b@example.com" })).await);
    assert_rate_limited(&create_unfillable_order(&app, None, json!({ "email": "c@example.com" })).await);
    let customer = app.login(Role::Customer).await;
    assert_rate_limited(&create_unfillable_order(&app, Some(&customer), json!({ "email": "d@example.com" })).await);
}

async fn orders_are_limited_by_recipient_in_every_field(backend: Backend) {
    const CART: &str = "mutation($input: CartContactInput!, $id: ID!) { cartContactUpdate(id: $id, input: $input) {
        cart { id } userErrors { code } } }";
    const COMPLETE_CHECKOUT: &str = "mutation($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) {
        order { number } userErrors { code } } }";
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_THROTTLE__ORDERS_PER_RECIPIENT", "1/1h")]).await;
    assert_not_rate_limited(&create_unfillable_order(&app, None, json!({ "email": "victim@example.com" })).await);
    assert_rate_limited(&create_unfillable_order(&app, None, json!({ "email": " Victim@Example.com" })).await);
    assert_not_rate_limited(
        &create_unfillable_order(&app, None, json!({ "phone": "0712 345678", "email": "a@example.com" })).await,
    );
    assert_rate_limited(
        &create_unfillable_order(&app, None, json!({ "phone": "+254712345678", "email": "b@example.com" })).await,
    );
    let address = json!({ "line1": "x", "city": "x", "countryCode": "KE", "phone": "+254 712 345 678" });
    let address = json!({ "shippingAddress": { "address": address }, "email": "d@example.com" });
    assert_rate_limited(&create_unfillable_order(&app, None, address).await);
    // What the cart says counts like what the order says.
    let created = app.query(self::CART).await;
    let id = created.data_at("/cartCreate/cart/id");
    let contact = json!({ "id": id, "input": { "phone": "0712345678" } });
    assert_eq!(app.query_with_variables(CART, contact).await.user_errors("cartContactUpdate"), []);
    let input = json!({ "cartId": id, "paymentMethodId": "cash_on_delivery", "idempotencyKey": "k", "expectedTotal": "1.00", "email": "c@example.com" });
    assert_rate_limited(&app.query_with_variables(COMPLETE_CHECKOUT, json!({ "input": input })).await);
}

async fn request_with_two_orders_by_a_guest_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let order = |name: &str| {
        format!(
            "{name}: orderCreate(input: {{ lines: [], paymentMethodId: \"cash_on_delivery\", idempotencyKey: \"{name}\" }}) {{ userErrors {{ code }} }}"
        )
    };
    let query = format!("mutation {{ {} {} }}", order("a"), order("b"));
    let response = app.query(&query).await;
    assert_eq!(response.error_code(), "QUERY_TOO_COMPLEX", "{}", response.body);
    assert_eq!(response.body["errors"].as_array().map(Vec::len), Some(1), "the first was carried out");
    let staff = app.login(Role::Staff).await;
    assert_not_rate_limited(&app.query_as(&staff, &query, json!({})).await);
}

async fn callers_with_a_permission_are_not_limited(backend: Backend) {
    let settings = [("SAVANNAH_THROTTLE__ORDERS_PER_IP", "1/1h"), ("SAVANNAH_THROTTLE__CART_CHANGES_PER_IP", "1/1h")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let staff = app.login(Role::Staff).await;
    for _ in 0..3 {
        assert_not_rate_limited(
            &create_unfillable_order(&app, Some(&staff), json!({ "email": "a@example.com" })).await,
        );
        assert_not_rate_limited(&app.query_as(&staff, CART, json!({})).await);
    }
    assert_eq!(count_counters(&app).await, 0);
}

async fn cart_changes_are_limited_by_ip(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_THROTTLE__CART_CHANGES_PER_IP", "3/10m")]).await;
    let created = app.query(CART).await;
    let id = created.data_at("/cartCreate/cart/id");
    for note in ["a", "b"] {
        let note = json!({ "id": id, "note": note });
        assert_not_rate_limited(
            &app.query_with_variables(
                "mutation($id: ID!, $note: String) { cartNoteUpdate(id: $id, note: $note) { cart { id } } }",
                note,
            )
            .await,
        );
    }
    let calls = [
        "cartCreate",
        "cartClear(id: \"x\")",
        "cartLinesAdd(id: \"x\", lines: [])",
        "cartLinesUpdate(id: \"x\", lines: [])",
        "cartLinesRemove(id: \"x\", lineIds: [])",
        "cartNoteUpdate(id: \"x\")",
        "cartContactUpdate(id: \"x\", input: {})",
        "cartAddressUpdate(id: \"x\", input: {})",
        "cartShippingMethodUpdate(id: \"x\")",
    ];
    for call in calls {
        assert_rate_limited(&app.query(&format!("mutation {{ {call} {{ cart {{ id }} }} }}")).await);
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 1);
}

async fn registrations_are_limited_by_ip(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_THROTTLE__REGISTRATIONS_PER_IP", "2/1h")]).await;
    let register = |n: i32| {
        let input = format!("{{ email: \"a{n}@example.com\", password: \"correct horse\" }}");
        let query = format!("mutation {{ customerRegister(input: {input}) {{ userErrors {{ code }} }} }}");
        let app = &app;
        async move { app.query(&query).await }
    };
    assert_not_rate_limited(&register(1).await);
    assert_not_rate_limited(&register(2).await);
    assert_rate_limited(&register(3).await);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account").await, 2);
}

async fn unknown_tokens_are_limited_and_known_ones_are_not(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_THROTTLE__INVALID_TOKENS_PER_IP", "4/15m")]).await;
    let token = register_customer(&app).await;
    let calls = [
        ("tokenRefresh(refreshToken: \"x.y\")", "UNAUTHENTICATED"),
        ("passwordReset(token: \"x\", newPassword: \"correct horse\")", "VALIDATION_ERROR"),
        ("emailVerify(token: \"x\")", "VALIDATION_ERROR"),
        ("loginComplete(code: \"x\", verifier: \"y\")", "VALIDATION_ERROR"),
    ];
    let mutate = async |call: &str| app.query(&format!("mutation {{ {call} {{ userErrors {{ code }} }} }}")).await;
    for (call, code) in calls {
        assert!(mutate(call).await.body.to_string().contains(code), "{call}");
    }
    for (call, _) in calls {
        assert_rate_limited(&mutate(call).await);
    }
    assert_not_rate_limited(&mutate(&format!("tokenRefresh(refreshToken: \"{token}\")")).await);
    assert_eq!(count_counters(&app).await, 3, "one for the tokens, two of the registration");
}

async fn ended_windows_are_pruned(backend: Backend) {
    let app = TestApp::start(backend).await;
    let throttle = Throttle::default();
    is_allowed(&throttle, &app, &[throttle_subject("short", 3, 60), throttle_subject("long", 3, 61)]).await;
    app.clock.set(parse_datetime("2026-11-01T09:01:00Z"));
    assert_eq!(throttle::delete_expired_counters(&app.db).await.expect("pruned"), 1);
    assert_eq!(count_counters(&app).await, 1);
}

/// A customer with a password; a refresh token.
async fn register_customer(app: &TestApp) -> String {
    let register = "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        tokens { refreshToken } userErrors { code } } }";
    let created = app.query(register).await;
    created.data_at("/customerRegister/tokens/refreshToken").as_str().expect("a token").to_owned()
}

/// Signs in from an address that the one proxy before the shop saw.
async fn login_from(app: &TestApp, address: &str, password: &str, device: Option<&str>) -> Value {
    let variables = json!({ "email": "amani@example.com", "password": password, "device": device });
    let request = app.build_request(reqwest::Method::POST, "/graphql").header("x-forwarded-for", address);
    let response =
        request.json(&json!({ "query": LOGIN_WITH_DEVICE, "variables": variables })).send().await.expect("an answer");
    let body: Value = response.json().await.expect("JSON");
    match body["errors"][0]["extensions"]["code"].as_str() {
        Some(code) => json!(code),
        None => body["data"]["login"]["userErrors"][0]["code"].clone(),
    }
}

const TRUSTED_PROXIES_SETTING: (&str, &str) = ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1");

async fn failed_logins_from_other_ips_do_not_lock_the_owner_out(backend: Backend) {
    let app = TestApp::start_with_settings(
        backend,
        &[TRUSTED_PROXIES_SETTING, ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT_AND_IP", "3/15m")],
    )
    .await;
    register_customer(&app).await;
    for ip_suffix in 1..=20 {
        for _ in 0..2 {
            login_from(&app, &format!("192.0.2.{ip_suffix}"), "wrong horse", None).await;
        }
    }
    for _ in 0..5 {
        assert_eq!(login_from(&app, "198.51.100.1", "correct horse", None).await, Value::Null);
    }
    // One network of IPv6 is one stranger; a port says nothing.
    for n in 1..=3 {
        assert_eq!(
            login_from(&app, &format!("[2001:db8:0:1::{n}]:55{n}"), "wrong horse", None).await,
            "INVALID_CREDENTIALS"
        );
        app.clock.set(app.clock.now() + chrono::TimeDelta::seconds(61));
    }
    assert_eq!(login_from(&app, "2001:db8:0:1::9", "correct horse", None).await, "RATE_LIMITED");
    assert_eq!(login_from(&app, "2001:db8:0:2::9", "correct horse", None).await, Value::Null);
}

async fn failed_logins_of_an_account_delay_ips_that_failed(backend: Backend) {
    let settings = [TRUSTED_PROXIES_SETTING, ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT", "3/1h")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    register_customer(&app).await;
    for ip_suffix in 1..=5 {
        let response = login_from(&app, &format!("192.0.2.{ip_suffix}"), "wrong horse", None).await;
        assert_eq!(response, "INVALID_CREDENTIALS");
    }
    // Five failures: two above the limit, so two seconds.
    let after = |seconds| app.clock.set(parse_datetime("2026-11-01T09:00:00Z") + chrono::TimeDelta::seconds(seconds));
    after(1);
    assert_eq!(login_from(&app, "192.0.2.1", "correct horse", None).await, "RATE_LIMITED");
    after(2);
    assert_eq!(login_from(&app, "192.0.2.1", "wrong horse", None).await, "INVALID_CREDENTIALS");
    after(5);
    assert_eq!(login_from(&app, "192.0.2.1", "correct horse", None).await, "RATE_LIMITED", "four seconds by now");
    after(6);
    assert_eq!(login_from(&app, "192.0.2.1", "correct horse", None).await, Value::Null);
    assert_eq!(login_from(&app, "192.0.2.1", "correct horse", None).await, Value::Null, "it starts anew");
}

async fn known_device_is_not_limited_by_its_ip(backend: Backend) {
    let app = TestApp::start_with_settings(
        backend,
        &[TRUSTED_PROXIES_SETTING, ("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT_AND_IP", "2/15m")],
    )
    .await;
    let device = register_customer(&app).await;
    let other = app.login(Role::Customer).await;
    for _ in 0..3 {
        login_from(&app, "192.0.2.1", "wrong horse", None).await;
    }
    let from = async |password: &str, device: Option<&str>| login_from(&app, "192.0.2.1", password, device).await;
    assert_eq!(from("correct horse", None).await, "RATE_LIMITED");
    assert_eq!(from("correct horse", Some(&other)).await, "RATE_LIMITED");
    assert_eq!(from("correct horse", Some(&device)).await, Value::Null);
    // Its own guesses are counted.
    for _ in 0..2 {
        assert_eq!(from("wrong horse", Some(&device)).await, "INVALID_CREDENTIALS");
    }
    assert_eq!(from("correct horse", Some(&device)).await, "RATE_LIMITED");
}

async fn password_reset_emails_to_one_account_are_two_minutes_apart(backend: Backend) {
    const REQUEST_PASSWORD_RESET: &str =
        "mutation { passwordResetRequest(email: \"amani@example.com\") { accepted userErrors { code } } }";
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_THROTTLE__EMAILS_PER_ACCOUNT", "1/2m")]).await;
    register_customer(&app).await;
    let count_sql = "SELECT count(*) FROM outbox_event WHERE event_type = 'AccountEmailRequested' AND CAST(payload AS TEXT) LIKE '%reset_password%'";
    for _ in 0..3 {
        assert_eq!(app.query(REQUEST_PASSWORD_RESET).await.data_at("/passwordResetRequest/accepted"), true);
    }
    assert_eq!(app.query_scalar(count_sql).await, 1);
    app.clock.set(parse_datetime("2026-11-01T09:02:00Z"));
    assert_eq!(app.query(REQUEST_PASSWORD_RESET).await.data_at("/passwordResetRequest/accepted"), true);
    assert_eq!(app.query_scalar(count_sql).await, 2);
}
