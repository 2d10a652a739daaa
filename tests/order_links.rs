//! Links to orders for guests who have lost them: emailed if number and address match, with the same answer if not.

use chrono::TimeDelta;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    integration_tests,
    notification_preferences::{extract_token, read_sent_emails},
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    order_link_is_emailed_if_number_and_address_match,
    order_link_without_a_url_contains_the_token,
    order_link_requests_are_limited,
    order_link_of_an_anonymized_order_is_not_sent,
];

const REQUEST: &str = "mutation($number: String!, $email: String!) { orderLinkRequest(number: $number, email: $email) {
    accepted userErrors { code field } } }";

async fn request_link(app: &TestApp, number: &str, email: &str) -> GraphqlResponse {
    app.query_with_variables(REQUEST, json!({ "number": number, "email": email })).await
}

/// Places an order of a guest.
async fn place_order(app: &TestApp) -> Value {
    let mug = app.create_product("mug", 100, Some(10)).await;
    let order = expect_order(&app.create_order(None, "link", &[(&mug, 1)], json!({})).await, "orderCreate");
    app.drain_jobs().await;
    order
}

fn text<'a>(order: &'a Value, field: &str) -> &'a str {
    order[field].as_str().expect("text")
}

/// Sends pending messages and returns the emails with a link to an order.
async fn link_emails(app: &TestApp) -> Vec<String> {
    app.drain_jobs().await;
    read_sent_emails(app).into_iter().filter(|email| email.contains("The link to your order")).collect()
}

async fn order_link_is_emailed_if_number_and_address_match(backend: Backend) {
    let url = ("SAVANNAH_NOTIFICATION__ORDER_URL", "https://s.example/o/{number}?t={token}");
    let app = TestApp::start_with_settings(backend, &[url]).await;
    let order = place_order(&app).await;
    let number = text(&order, "number");
    let accepted = request_link(&app, number, "wanjiku@example.com").await;
    assert_eq!(accepted.data_at("/orderLinkRequest/accepted"), true);
    for (number, email) in
        [(number, "other@example.com"), ("K7M2-9QXA", "wanjiku@example.com"), ("no number", "wanjiku@example.com")]
    {
        assert_eq!(request_link(&app, number, email).await.body, accepted.body, "{number} {email}");
    }
    let emails = link_emails(&app).await;
    assert_eq!(emails.len(), 1);
    let link = format!("https://s.example/o/{number}?t={}", text(&order, "token"));
    assert!(emails[0].contains("To: wanjiku@example.com") && emails[0].contains(&link), "{}", emails[0]);
    // Typed differently, it is the same order and the same address.
    request_link(&app, &number.to_lowercase().replace('-', " "), " Wanjiku@Example.com ").await;
    assert_eq!(link_emails(&app).await.len(), 2);
    let invalid = request_link(&app, number, "x").await;
    assert_eq!(invalid.user_errors("orderLinkRequest"), [("VALIDATION_ERROR".into(), "email".into())]);
    app.run_pending_jobs().await;
}

async fn order_link_without_a_url_contains_the_token(backend: Backend) {
    let app = TestApp::start(backend).await;
    let order = place_order(&app).await;
    request_link(&app, text(&order, "number"), "wanjiku@example.com").await;
    let emails = link_emails(&app).await;
    assert_eq!(extract_token(&emails[0]), text(&order, "token"));
    // The token is read when the email is sent, and is not stored with it.
    let sql = format!(
        "SELECT count(*) FROM notification WHERE CAST(template_data AS TEXT) LIKE '%{}%'",
        text(&order, "token")
    );
    assert_eq!(app.query_scalar(&sql).await, 0);
}

async fn order_link_requests_are_limited(backend: Backend) {
    let settings =
        [("SAVANNAH_THROTTLE__ORDER_LINKS_PER_IP", "4/1h"), ("SAVANNAH_THROTTLE__ORDER_LINKS_PER_RECIPIENT", "2/1h")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let order = place_order(&app).await;
    let number = text(&order, "number");
    for email in ["wanjiku@example.com", "WANJIKU@example.com", "a@example.com", "a@example.com"] {
        assert_eq!(request_link(&app, number, email).await.data_at("/orderLinkRequest/accepted"), true);
    }
    for email in ["wanjiku@example.com", "b@example.com"] {
        assert_eq!(request_link(&app, number, email).await.error_code(), "RATE_LIMITED", "{email}");
    }
    app.clock.set(app.clock.now() + TimeDelta::hours(1));
    request_link(&app, number, "wanjiku@example.com").await;
    assert_eq!(link_emails(&app).await.len(), 3);
}

async fn order_link_of_an_anonymized_order_is_not_sent(backend: Backend) {
    let app = TestApp::start(backend).await;
    let order = place_order(&app).await;
    // Erased between the request and the sending of the email.
    request_link(&app, text(&order, "number"), "wanjiku@example.com").await;
    let admin = app.login(Role::Admin).await;
    expect_order(&app.run_order_mutation(&admin, "orderCancel", order_id(&order), None).await, "orderCancel");
    let erase =
        "mutation { guestErase(email: \"wanjiku@example.com\") { erasure { erasedOrders } userErrors { code } } }";
    let erased = app.query_as(&admin, erase, json!({})).await;
    assert!(erased.body.get("errors").is_none(), "{}", erased.body);
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders WHERE email IS NULL").await, 1);
    let answer = request_link(&app, text(&order, "number"), "wanjiku@example.com").await;
    assert_eq!(answer.data_at("/orderLinkRequest/accepted"), true);
    assert_eq!(link_emails(&app).await, Vec::<String>::new());
}
