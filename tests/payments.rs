//! Payments through a provider: succeeded, pending, declined, or with an unknown result.

use futures_util::future::join;
use savannah::{
    base::{GlobalId, global_id::NodeType},
    payment::{DeclineCode, PaymentAction, PaymentResult},
    sales::{expire, payment_result},
};
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    support::{Backend, FakePaymentProvider, FakePaymentResponse, TestApp, parse_datetime},
};

integration_tests![
    authorized_payment_keeps_the_reservation,
    immediate_capture_marks_the_order_paid,
    pending_payment_confirms_the_order_when_it_arrives,
    payment_with_lost_response_is_queried_not_repeated,
    unpaid_order_is_canceled_after_its_timeout,
    stock_of_an_overdue_order_is_available_to_others,
    payment_concurrent_with_expiry_is_paid_or_refunded,
    repeated_payment_result_is_applied_once,
];

/// Payment method of the fake provider.
pub fn pay_by_bank() -> Value {
    json!({ "paymentMethodId": "bank" })
}

/// The key of an order.
pub fn order_key(order: &Value) -> i64 {
    GlobalId::decode_as(order_id(order), NodeType::Order, "id").expect("a key")
}

/// How an order stands, and its money.
pub fn order_and_payment_status(order: &Value) -> (&str, &str) {
    (order["status"].as_str().expect("a status"), order["paymentStatus"].as_str().expect("a status"))
}

/// An order as it is now.
pub async fn reload_order(app: &TestApp, order: &Value) -> Value {
    let query = format!(
        "query($n: String, $t: String) {{ order(number: $n, token: $t) {{ {} }} }}",
        crate::support::ORDER_FIELDS
    );
    app.query_with_variables(&query, json!({ "n": order["number"], "t": order["token"] }))
        .await
        .data_at("/order")
        .clone()
}

/// Tells the shop what the bank says of an order, as if it had called.
pub async fn apply_payment_response(app: &TestApp, order: &Value, response: &PaymentResult) {
    let payment = app.query_scalar(&format!("SELECT max(id) FROM payment WHERE order_id = {}", order_key(order))).await;
    let outcome = app.db.write(async |tx| payment_result::apply_payment_result(tx, payment, response).await).await;
    outcome.unwrap_or_else(|error| panic!("not settled: {}", error.log_message()));
}

/// The bank has what the shop has written down, to the cent.
pub async fn assert_balances_match(app: &TestApp, payment_provider: &FakePaymentProvider) {
    let written = "SELECT COALESCE(SUM(captured - refunded), 0) FROM payment WHERE provider = 'bank'";
    assert_eq!(app.query_scalar(written).await, payment_provider.balance(), "money that only one of both knows of");
}

/// The units that are reserved, and the number of reservations that expire.
pub async fn count_reserved_units(app: &TestApp) -> (i64, i64) {
    let all = app.query_scalar("SELECT COALESCE(SUM(reserved), 0) FROM inventory_level").await;
    (all, app.query_scalar("SELECT count(*) FROM stock_reservation WHERE expires_at IS NOT NULL").await)
}

async fn authorized_payment_keeps_the_reservation(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Authorized).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    assert_eq!(order_and_payment_status(&placed_order), ("CONFIRMED", "AUTHORIZED"), "{placed_order}");
    assert_eq!(
        (&placed_order["expiresAt"], count_reserved_units(&app).await, payment_provider.balance()),
        (&Value::Null, (2, 0), 0)
    );
    app.clock.set(parse_datetime("2026-11-01T09:30:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(order_and_payment_status(&reload_order(&app, &placed_order).await), ("CONFIRMED", "AUTHORIZED"));
    let staff = app.login(savannah::identity::Role::Staff).await;
    let capture = app.run_order_mutation(&staff, "orderCapture", order_id(&placed_order), None);
    let repeated = app.run_order_mutation(&staff, "orderCapture", order_id(&placed_order), None);
    let (first, second) = join(capture, repeated).await;
    for paid in [expect_order(&first, "orderCapture"), expect_order(&second, "orderCapture")] {
        assert_eq!(
            (order_and_payment_status(&paid), &paid["payments"][0]["capturedAmount"]["amount"]),
            (("CONFIRMED", "PAID"), &json!("200.00"))
        );
    }
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn immediate_capture_marks_the_order_paid(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Succeeded).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    assert_eq!(
        (order_and_payment_status(&placed_order), count_reserved_units(&app).await),
        (("CONFIRMED", "PAID"), (2, 0))
    );
    assert_eq!(payment_provider.balance(), 20_000);
    assert_eq!(
        expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate"),
        placed_order
    );
    assert_eq!(payment_provider.request_keys("authorize").len(), 1);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn pending_payment_confirms_the_order_when_it_arrives(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let response = app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await;
    let placed_order = expect_order(&response, "orderCreate");
    assert_eq!(
        (order_and_payment_status(&placed_order), count_reserved_units(&app).await),
        (("PENDING", "PENDING"), (2, 1))
    );
    assert_eq!(placed_order["expiresAt"], "2026-11-01T09:15:00+00:00");
    let url = response.data_at("/orderCreate/order/payments/0/action/url").as_str().expect("an address").to_owned();
    assert!(url.starts_with("https://bank.example/pay/payment-"), "{url}");
    // An unpaid order is not fulfilled.
    let staff = app.login(savannah::identity::Role::Staff).await;
    for step in ["orderConfirm", "orderCapture"] {
        let step_response = app.run_order_mutation(&staff, step, order_id(&placed_order), None).await;
        assert_eq!(step_response.user_errors(step), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    }
    app.clock.set(parse_datetime("2026-11-01T09:14:59Z"));
    app.run_pending_jobs().await;
    let paid = payment_provider.complete_payment(&payment_provider.request_keys("authorize")[0], 20_000);
    apply_payment_response(&app, &placed_order, &paid).await;
    let reloaded = reload_order(&app, &placed_order).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), count_reserved_units(&app).await),
        (("CONFIRMED", "PAID"), (2, 0))
    );
    assert_eq!((&reloaded["expiresAt"], &reloaded["payments"][0]["actionUrl"]), (&Value::Null, &Value::Null));
    app.clock.set(parse_datetime("2026-11-01T09:30:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(reload_order(&app, &placed_order).await, reloaded, "an order that is paid does not expire");
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn payment_with_lost_response_is_queried_not_repeated(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Unknown).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    assert_eq!(order_and_payment_status(&placed_order), ("PENDING", "PENDING"));
    app.drain_jobs().await;
    assert_eq!(payment_provider.request_keys("query").len(), 0, "it is too early to ask");
    app.clock.set(parse_datetime("2026-11-01T09:00:31Z"));
    app.drain_jobs().await;
    let requests = |operation: &str| payment_provider.request_keys(operation).len();
    assert_eq!((requests("authorize"), requests("query"), payment_provider.balance()), (1, 1, 20_000));
    assert_eq!(order_and_payment_status(&reload_order(&app, &placed_order).await), ("CONFIRMED", "PAID"));

    // The provider did not receive the request: it is sent again with the same key.
    payment_provider.set_authorize_response(FakePaymentResponse::Unreceived);
    let placed_order = expect_order(&app.create_order(None, "l", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    payment_provider.set_authorize_response(FakePaymentResponse::Succeeded);
    app.clock.set(parse_datetime("2026-11-01T09:05:00Z"));
    app.run_pending_jobs().await;
    let keys = payment_provider.request_keys("authorize");
    assert!(keys.len() == 3 && keys[1] == keys[2], "{keys:?}");
    assert_eq!(order_and_payment_status(&reload_order(&app, &placed_order).await), ("CONFIRMED", "PAID"));
    assert_eq!(payment_provider.balance(), 40_000);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn unpaid_order_is_canceled_after_its_timeout(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    app.run_pending_jobs().await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    app.clock.set(parse_datetime("2026-11-01T09:16:00Z"));
    app.run_pending_jobs().await;
    let reloaded = reload_order(&app, &placed_order).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), count_reserved_units(&app).await),
        (("CANCELED", "VOIDED"), (0, 0)),
        "{reloaded}"
    );
    assert_eq!(payment_provider.request_keys("void").len(), 1, "the bank is told to let go");
    assert_eq!(reloaded["payments"][0]["status"], "EXPIRED");
    // The items were sold since, so that money that comes for it nevertheless goes back.
    expect_order(&app.create_order(None, "l", &[(&mug, 4)], json!({})).await, "orderCreate");
    let paid = payment_provider.complete_payment(&payment_provider.request_keys("authorize")[0], 20_000);
    for _ in 0..2 {
        apply_payment_response(&app, &placed_order, &paid).await;
    }
    app.run_pending_jobs().await;
    let reloaded = reload_order(&app, &placed_order).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), payment_provider.balance()),
        (("CANCELED", "REFUNDED"), 0),
        "{reloaded}"
    );
    assert_eq!(payment_provider.request_keys("refund").len(), 1);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn stock_of_an_overdue_order_is_available_to_others(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(2)).await, app.create_product("bowl", 100, Some(2)).await);
    let mugs = expect_order(&app.create_order(None, "k1", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    let cart = app.create_cart(None, &[(&bowl, 2)]).await;
    let bowls = expect_order(&app.create_order(None, "k2", &[(&bowl, 1)], pay_by_bank()).await, "orderCreate");
    let expected = error_pairs(&[("INSUFFICIENT_STOCK", "input.lines.0.quantity")]);
    assert_eq!(app.create_order(None, "k3", &[(&mug, 1)], json!({})).await.user_errors("orderCreate"), expected);
    app.clock.set(parse_datetime("2026-11-01T09:15:00Z"));
    let placed_order = expect_order(&app.create_order(None, "k3", &[(&mug, 1)], json!({})).await, "orderCreate");
    assert_eq!(order_and_payment_status(&placed_order), ("PENDING", "PENDING"));
    assert_eq!(order_and_payment_status(&reload_order(&app, &mugs).await), ("CANCELED", "VOIDED"));
    assert_eq!(
        order_and_payment_status(&reload_order(&app, &bowls).await),
        ("PENDING", "PENDING"),
        "nobody wanted these"
    );
    // Through a cart too.
    expect_order(&app.complete_checkout(None, "k4", &cart, json!({})).await, "checkoutComplete");
    assert_eq!(order_and_payment_status(&reload_order(&app, &bowls).await), ("CANCELED", "VOIDED"));
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn payment_concurrent_with_expiry_is_paid_or_refunded(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let mug = app.create_product("mug", 100, Some(40)).await;
    let mut placed_orders = Vec::new();
    for round in 0..20 {
        placed_orders.push(expect_order(
            &app.create_order(None, &format!("k{round}"), &[(&mug, 2)], pay_by_bank()).await,
            "orderCreate",
        ));
    }
    app.clock.set(parse_datetime("2026-11-01T09:15:00Z"));
    let keys = payment_provider.request_keys("authorize");
    for (round, (placed, key)) in placed_orders.iter().zip(&keys).enumerate() {
        let (order, when) = (order_key(placed), app.clock.now());
        let response = payment_provider.complete_payment(key, 20_000);
        let expiry = async {
            let outcome = app.db.write(async |tx| expire::expire_order(tx, order, when).await).await;
            outcome.unwrap_or_else(|error| panic!("not ended: {}", error.log_message()))
        };
        // Each goes first as often as the other; who is first by a hair is for the machine to say.
        if round % 2 == 0 {
            Box::pin(join(expiry, apply_payment_response(&app, placed, &response))).await;
        } else {
            Box::pin(join(apply_payment_response(&app, placed, &response), expiry)).await;
        }
    }
    app.run_pending_jobs().await;
    // Each is paid: an order that expired first is reinstated, because its items are still available.
    let paid = 20;
    for placed in &placed_orders {
        let reloaded = reload_order(&app, placed).await;
        match order_and_payment_status(&reloaded) {
            ("CONFIRMED", "PAID") => {}
            other => panic!("{other:?}: {reloaded}"),
        }
    }
    assert_eq!(count_reserved_units(&app).await, (paid * 2, 0));
    assert_eq!(payment_provider.balance(), paid * 20_000);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn repeated_payment_result_is_applied_once(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    let paid = payment_provider.complete_payment(&payment_provider.request_keys("authorize")[0], 20_000);
    futures_util::future::join_all((0..8).map(|_| apply_payment_response(&app, &placed_order, &paid))).await;
    let reloaded = reload_order(&app, &placed_order).await;
    let kinds: Vec<_> = reloaded["history"].as_array().expect("a history").iter().map(|entry| &entry["type"]).collect();
    assert_eq!(kinds, ["PLACED", "PAYMENT", "STATUS"], "{reloaded}");
    assert_eq!(reloaded["payments"][0]["capturedAmount"]["amount"], "200.00");
    // An earlier result that arrives late changes nothing.
    for late_result in [
        PaymentResult::Pending {
            reference: None,
            action: Some(PaymentAction::Redirect { url: "https://bank.example".into() }),
        },
        PaymentResult::declined(DeclineCode::Declined, "too slow"),
        PaymentResult::unknown("?"),
        PaymentResult::Voided,
    ] {
        apply_payment_response(&app, &placed_order, &late_result).await;
    }
    let after = reload_order(&app, &placed_order).await;
    assert_eq!((order_and_payment_status(&after), &after["payments"]), (("CONFIRMED", "PAID"), &reloaded["payments"]));
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}
