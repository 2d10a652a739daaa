//! REST resources of carts and orders: the cart of a guest, the order, its actions, and retries.

use reqwest::Method;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, RestCall, TestApp, shipping_address},
};

integration_tests![
    guest_fills_a_cart_and_checks_out,
    order_is_placed_once_for_a_key,
    order_actions_change_the_status,
    deleted_order_is_canceled,
    failed_order_stores_nothing,
];

/// Sends a body with an idempotency key.
async fn send_keyed(app: &TestApp, path: &str, key: &str, body: &Value) -> crate::support::HttpResponse {
    let call = RestCall { headers: &[("idempotency-key", key)], body: Some(body), ..RestCall::default() };
    app.call_rest(Method::POST, path, call).await
}

fn order_body(variant_id: &str) -> Value {
    json!({ "lines": [{ "variantId": variant_id, "quantity": 2 }], "paymentMethodId": "cash_on_delivery",
        "email": "wanjiku@example.com", "shippingAddress": shipping_address() })
}

async fn guest_fills_a_cart_and_checks_out(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let variant_id = app.create_product("mug", 1000, Some(5)).await;
    let call = RestCall::default();
    let created = app.call_rest(Method::POST, "/cart/", call).await;
    let cart = created.rest_data(201);
    let path = format!("/cart/{}", cart["id"].as_str().expect("an id"));
    assert_eq!(created.header("location"), Some(format!("/api/v1{path}").as_str()));

    let lines = json!({ "lines": [{ "variantId": variant_id, "quantity": 9 }], "adjust": true });
    let added = app.call_rest(Method::POST, &format!("{path}/lines"), RestCall { body: Some(&lines), ..call }).await;
    let cart = added.rest_data(200);
    assert_eq!(cart["lines"][0]["quantity"], 5);
    assert_eq!(added.json()["meta"]["warnings"][0]["code"], "QUANTITY_ADJUSTED");

    let line_path = format!("{path}/lines/{}", cart["lines"][0]["id"].as_str().expect("an id"));
    let quantity = json!({ "quantity": 2 });
    let changed = app.call_rest(Method::PATCH, &line_path, RestCall { body: Some(&quantity), ..call }).await;
    assert_eq!(changed.rest_data(200)["itemCount"], 2);
    let stale = RestCall { headers: &[("if-match", "\"1\"")], ..call };
    app.call_rest(Method::DELETE, &line_path, stale).await.assert_rest_error(412, "PRECONDITION_FAILED", &["If-Match"]);

    let contact = json!({ "email": "wanjiku@example.com" });
    app.call_rest(Method::PATCH, &format!("{path}/contact"), RestCall { body: Some(&contact), ..call })
        .await
        .rest_data(200);
    let addresses = json!({ "shipping": shipping_address() });
    let addressed =
        app.call_rest(Method::PATCH, &format!("{path}/addresses"), RestCall { body: Some(&addresses), ..call }).await;
    let option = addressed.rest_data(200)["availableShippingOptions"][0]["shippingMethodId"].clone();
    let method = json!({ "shippingMethodId": option });
    let ready =
        app.call_rest(Method::PUT, &format!("{path}/shipping-method"), RestCall { body: Some(&method), ..call }).await;
    let total = ready.rest_data(200)["cost"]["total"]["amount"].clone();
    let note = json!({ "note": "Ring twice." });
    let noted = app.call_rest(Method::PUT, &format!("{path}/note"), RestCall { body: Some(&note), ..call }).await;
    assert_eq!(noted.rest_data(200)["note"], "Ring twice.");

    let checkout = json!({ "expectedTotal": total, "paymentMethodId": "cash_on_delivery" });
    let placed = send_keyed(&app, &format!("{path}/checkout"), "key-of-the-first-order", &checkout).await;
    let order = placed.rest_data(201);
    assert_eq!(order["cost"]["total"]["amount"], total);
    let order_path = format!("/api/v1/orders/{}", order["id"].as_str().expect("an id"));
    assert_eq!(placed.header("location"), Some(order_path.as_str()));
    let token = order["token"].as_str().expect("a token");
    let by_number = format!("/orders/by-number/{}?token={token}", order["number"].as_str().expect("a number"));
    assert_eq!(app.get_rest(&by_number).await.rest_data(200)["note"], "Ring twice.");
    app.get_rest(&by_number.replace(token, "wrong")).await.assert_rest_error(404, "NOT_FOUND", &[]);
    assert_eq!(app.get_rest(&path).await.rest_data(200)["status"], "ORDERED");
}

async fn order_is_placed_once_for_a_key(backend: Backend) {
    let app = TestApp::start(backend).await;
    let variant_id = app.create_product("mug", 1000, Some(5)).await;
    let body = order_body(&variant_id);
    let without_key =
        app.call_rest(Method::POST, "/orders", RestCall { body: Some(&body), ..RestCall::default() }).await;
    without_key.assert_rest_error(400, "BAD_REQUEST", &["Idempotency-Key"]);
    let first = send_keyed(&app, "/orders/", "key-of-the-first-order", &body).await;
    let number = first.rest_data(201)["number"].clone();
    let retried = send_keyed(&app, "/orders/", "key-of-the-first-order", &body).await;
    assert_eq!(retried.rest_data(201)["number"], number);
    assert_eq!(retried.header("idempotent-replayed"), Some("true"));
    let other = json!({ "lines": [{ "variantId": variant_id, "quantity": 1 }], "paymentMethodId": "cash_on_delivery",
        "email": "wanjiku@example.com", "shippingAddress": shipping_address() });
    let mismatch = send_keyed(&app, "/orders/", "key-of-the-first-order", &other).await;
    mismatch.assert_rest_error(422, "IDEMPOTENCY_MISMATCH", &[]);
    let mut keyed = body.clone();
    keyed["idempotencyKey"] = "in-the-body".into();
    let refused = send_keyed(&app, "/orders/", "key-of-the-second-order", &keyed).await;
    refused.assert_rest_error(422, "VALIDATION_ERROR", &["idempotencyKey"]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders").await, 1);
}

async fn order_actions_change_the_status(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let variant_id = app.create_product("mug", 1000, Some(5)).await;
    let order = send_keyed(&app, "/orders", "key-of-the-first-order", &order_body(&variant_id)).await.rest_data(201);
    let path = format!("/orders/{}", order["id"].as_str().expect("an id"));
    let call = RestCall { token: Some(&staff), ..RestCall::default() };
    let early = app.call_rest(Method::POST, &format!("{path}/deliver"), call).await;
    early.assert_rest_error(409, "ILLEGAL_TRANSITION", &["id"]);
    let confirmed = app.call_rest(Method::POST, &format!("{path}/confirm"), call).await;
    assert_eq!(confirmed.rest_data(200)["status"], "CONFIRMED");
    let body = json!({ "carrier": "G4S" });
    let keyed = RestCall { headers: &[("idempotency-key", "key-of-the-first-shipment")], body: Some(&body), ..call };
    let shipped = app.call_rest(Method::POST, &format!("{path}/fulfill"), keyed).await;
    assert_eq!(shipped.rest_data(200)["fulfillments"][0]["carrier"], "G4S");
    let delivered = app.call_rest(Method::POST, &format!("{path}/deliver"), call).await;
    assert_eq!(delivered.rest_data(200)["status"], "DELIVERED");
    let listed = app.call_rest(Method::GET, "/orders/?status=DELIVERED&total=true", call).await;
    assert_eq!(
        (listed.rest_data(200)[0]["number"].clone(), listed.json()["meta"]["total_count"].clone()),
        (order["number"].clone(), json!(1))
    );
    app.get_rest("/orders").await.assert_rest_error(401, "UNAUTHENTICATED", &[]);
}

async fn deleted_order_is_canceled(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let variant_id = app.create_product("mug", 1000, Some(5)).await;
    let place = async |key: &str| send_keyed(&app, "/orders", key, &order_body(&variant_id)).await.rest_data(201);
    let order = place("key-of-the-first-order").await;
    let path = format!("/orders/{}", order["id"].as_str().expect("an id"));
    let call = RestCall { token: Some(&staff), ..RestCall::default() };
    let canceled = app.call_rest(Method::DELETE, &path, call).await;
    assert_eq!(canceled.rest_data(200)["status"], "CANCELED");
    assert_eq!(app.call_rest(Method::GET, &path, call).await.rest_data(200)["status"], "CANCELED");
    // A guest cancels with the order's token.
    let order = place("key-of-the-second-order").await;
    let cancel_path = format!("/orders/{}/cancel", order["id"].as_str().expect("an id"));
    let body = json!({ "token": order["token"], "reason": "Wrong size." });
    let canceled =
        app.call_rest(Method::POST, &cancel_path, RestCall { body: Some(&body), ..RestCall::default() }).await;
    assert_eq!(canceled.rest_data(200)["cancelReason"], "Wrong size.");
}

async fn failed_order_stores_nothing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let variant_id = app.create_product("mug", 1000, Some(1)).await;
    let refused = send_keyed(&app, "/orders", "key-of-the-first-order", &order_body(&variant_id)).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "INSUFFICIENT_STOCK");
    let details = refused.json()["error"]["details"].clone();
    assert!(
        details.as_object().is_some_and(|details| details.keys().all(|field| field.starts_with("lines.0"))),
        "{details}"
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders").await, 0);
}
