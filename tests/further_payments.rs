//! Orders with more than one payment, and payments that arrive after their order expired.

use savannah::{payment::PaymentResult, sales::payment_result};
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order},
    integration_tests,
    payments::{
        apply_payment_response, assert_balances_match, count_reserved_units, order_and_payment_status, pay_by_bank,
        reload_order,
    },
    support::{Backend, FakePaymentProvider, FakePaymentResponse, GraphqlResponse, TestApp, parse_datetime},
};

integration_tests![
    declined_payment_keeps_the_stock_until_the_order_is_paid_or_canceled,
    payment_replaced_by_another_method_is_voided_or_refunded,
    payments_of_an_order_are_limited,
    late_payment_reinstates_an_expired_order,
];

/// Applies a result of the bank to the payment with this idempotency key.
async fn apply_result_to_payment(app: &TestApp, key: &str, response: &PaymentResult) {
    let payment = key.strip_prefix("payment-").and_then(|id| id.parse().ok()).expect("a key of a payment");
    let outcome = app.db.write(async |tx| payment_result::apply_payment_result(tx, payment, response).await).await;
    outcome.unwrap_or_else(|error| panic!("not applied: {}", error.log_message()));
}

/// Pays an order again, as its guest.
pub async fn pay_order(app: &TestApp, order: &Value, key: &str, method: &str) -> GraphqlResponse {
    let query = format!(
        "mutation($id: ID!, $input: OrderPayInput!) {{ orderPay(id: $id, input: $input) {{
        order {{ {} }} attempt {{ __typename }} userErrors {{ code field message }} }} }}",
        crate::support::ORDER_FIELDS
    );
    let input = json!({ "paymentMethodId": method, "token": order["token"], "idempotencyKey": key });
    app.query_with_variables(&query, json!({ "id": order["id"], "input": input })).await
}

async fn declined_payment_keeps_the_stock_until_the_order_is_paid_or_canceled(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Declined).await;
    let mug = app.create_product("mug", 100, Some(4)).await;
    let [paid_cart, canceled_cart] =
        [app.create_cart(None, &[(&mug, 2)]).await, app.create_cart(None, &[(&mug, 2)]).await];
    let mut orders = Vec::new();
    for (key, cart) in [("a", &paid_cart), ("a", &paid_cart), ("b", &canceled_cart)] {
        let response = app.complete_checkout(None, key, cart, pay_by_bank()).await;
        assert_eq!(response.data_at("/checkoutComplete/attempt/__typename"), "CheckoutFailed", "{}", response.body);
        orders.push(expect_order(&response, "checkoutComplete"));
    }
    assert_eq!(orders[0], orders[1], "the same request returns the same order");
    let (first, second) = (&orders[0], &orders[2]);
    assert_eq!((order_and_payment_status(first), count_reserved_units(&app).await), (("PENDING", "PENDING"), (4, 2)));
    let payment = &first["payments"][0];
    assert_eq!((&payment["status"], &payment["declineCode"]), (&json!("FAILED"), &json!("INSUFFICIENT_FUNDS")));
    assert_eq!(app.query_cart(None, &paid_cart).await["status"], "ORDERED");

    payment_provider.set_authorize_response(FakePaymentResponse::Succeeded);
    let paid = pay_order(&app, first, "p", "bank").await;
    assert_eq!(paid.data_at("/orderPay/attempt/__typename"), "CheckoutSucceeded", "{}", paid.body);
    let repeated = pay_order(&app, first, "p", "bank").await;
    assert_eq!(repeated.body, paid.body, "the same request returns the same order");
    let paid = expect_order(&paid, "orderPay");
    assert_eq!(order_and_payment_status(&paid), ("CONFIRMED", "PAID"));
    assert_eq!(paid["payments"].as_array().expect("payments").len(), 2);
    let again = pay_order(&app, first, "q", "bank").await;
    assert_eq!(again.user_errors("orderPay"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]), "it is paid");

    let cancel = "mutation($id: ID!, $token: String) { orderCancel(id: $id, input: { token: $token }) {
        order { status } userErrors { code } } }";
    let canceled = app.query_with_variables(cancel, json!({ "id": second["id"], "token": second["token"] })).await;
    assert_eq!(canceled.data_at("/orderCancel/order/status"), "CANCELED", "{}", canceled.body);
    assert_eq!(app.query_cart(None, &canceled_cart).await["status"], "OPEN");
    let late = pay_order(&app, second, "r", "bank").await;
    assert_eq!(late.user_errors("orderPay"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]), "it has ended");
    assert_eq!((payment_provider.balance(), count_reserved_units(&app).await), (20_000, (2, 0)));
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn payment_replaced_by_another_method_is_voided_or_refunded(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let mug = app.create_product("mug", 100, Some(8)).await;
    let place =
        async |key: &str| expect_order(&app.create_order(None, key, &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    // The first payment does not arrive.
    let voided = place("a").await;
    let other = expect_order(&pay_order(&app, &voided, "a2", "cash_on_delivery").await, "orderPay");
    assert_eq!(order_and_payment_status(&other), ("PENDING", "PENDING"), "staff confirm it");
    let statuses = |order: &Value| -> Vec<String> {
        let payments = order["payments"].as_array().expect("payments").iter();
        payments.map(|payment| payment["status"].as_str().expect("a status").to_owned()).collect()
    };
    assert_eq!(statuses(&other), ["VOIDED", "PENDING"]);
    app.drain_jobs().await;
    assert_eq!(payment_provider.request_keys("void").len(), 1);
    // The first payment arrives before the second: it counts, and the second is voided.
    let counted = place("b").await;
    expect_order(&pay_order(&app, &counted, "b2", "bank").await, "orderPay");
    let keys = payment_provider.request_keys("authorize");
    let paid = payment_provider.complete_payment(&keys[1], 20_000);
    apply_result_to_payment(&app, &keys[1], &paid).await;
    let reloaded = reload_order(&app, &counted).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), statuses(&reloaded)),
        (("CONFIRMED", "PAID"), vec!["CAPTURED".into(), "VOIDED".into()])
    );
    // Both arrive: the second is refunded.
    let paid_too = payment_provider.complete_payment(&keys[2], 20_000);
    for _ in 0..2 {
        apply_result_to_payment(&app, &keys[2], &paid_too).await;
    }
    app.drain_jobs().await;
    let reloaded = reload_order(&app, &counted).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), statuses(&reloaded)),
        (("CONFIRMED", "PAID"), vec!["CAPTURED".into(), "REFUNDED".into()])
    );
    assert_eq!(payment_provider.balance(), 20_000);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn payments_of_an_order_are_limited(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Declined).await;
    let mug = app.create_product("mug", 100, Some(2)).await;
    let order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], pay_by_bank()).await, "orderCreate");
    for attempt in 2..=10 {
        expect_order(&pay_order(&app, &order, &format!("p{attempt}"), "bank").await, "orderPay");
    }
    let rejected = pay_order(&app, &order, "one more", "bank").await;
    assert_eq!(rejected.user_errors("orderPay"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let stranger = json!({ "token": "a guess", "id": order["id"] });
    let foreign = pay_order(&app, &stranger, "x", "bank").await;
    assert_eq!(foreign.user_errors("orderPay"), error_pairs(&[("NOT_FOUND", "id")]));
    let unknown = pay_order(&app, &order, "y", "shells").await;
    assert_eq!(unknown.user_errors("orderPay").len(), 1, "{}", unknown.body);
    assert_eq!(payment_provider.request_keys("authorize").len(), 10);
    app.run_pending_jobs().await;
}

async fn late_payment_reinstates_an_expired_order(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    app.run_pending_jobs().await;
    let mug = app.create_product("mug", 100, Some(12)).await;
    // Nothing is done with the cart; it is changed; it is ordered again.
    let mut placed = Vec::new();
    for key in ["unchanged", "changed", "ordered"] {
        let cart = app.create_cart(None, &[(&mug, 2)]).await;
        let response = app.complete_checkout(None, key, &cart, pay_by_bank()).await;
        placed.push((cart, expect_order(&response, "checkoutComplete")));
    }
    app.clock.set(parse_datetime("2026-11-01T09:16:00Z"));
    app.run_pending_jobs().await;
    app.clock.set(parse_datetime("2026-11-01T09:17:00Z"));
    for (cart, order) in &placed {
        assert_eq!(order_and_payment_status(&reload_order(&app, order).await), ("CANCELED", "VOIDED"));
        assert_eq!(app.query_cart(None, cart).await["status"], "OPEN");
    }
    let added = app.mutate_cart_lines(None, "cartLinesAdd", &placed[1].0, &[(&mug, 1)]).await;
    assert_eq!(added.user_errors("cartLinesAdd"), error_pairs(&[]), "{}", added.body);
    expect_order(&app.complete_checkout(None, "again", &placed[2].0, json!({})).await, "checkoutComplete");
    let keys = payment_provider.request_keys("authorize");
    for ((_, order), key) in placed.iter().zip(&keys) {
        let paid = payment_provider.complete_payment(key, 20_000);
        for _ in 0..2 {
            apply_payment_response(&app, order, &paid).await;
        }
    }
    app.run_pending_jobs().await;
    let mut statuses = Vec::new();
    for (cart, order) in &placed {
        let order = reload_order(&app, order).await;
        let cart = app.query_cart(None, cart).await;
        statuses.push((
            order["status"].as_str().expect("a status").to_owned(),
            order["paymentStatus"].as_str().expect("a status").to_owned(),
            cart["status"].as_str().expect("a status").to_owned(),
        ));
    }
    let expected =
        [("CONFIRMED", "PAID", "ORDERED"), ("CONFIRMED", "PAID", "OPEN"), ("CANCELED", "REFUNDED", "ORDERED")];
    assert_eq!(
        statuses,
        expected.map(|(order, payment, cart)| (order.to_owned(), payment.to_owned(), cart.to_owned()))
    );
    assert_eq!(payment_provider.balance(), 40_000);
    // The changed cart can be ordered on its own.
    expect_order(&app.complete_checkout(None, "other", &placed[1].0, json!({})).await, "checkoutComplete");
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}
