//! Captures whose response is lost, declined, or arrives after the order is finished: captured amounts are always
//! recorded.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    payments::{assert_balances_match, order_and_payment_status, pay_by_bank, reload_order},
    support::{Backend, FakePaymentProvider, FakePaymentResponse, TestApp, parse_datetime},
};

integration_tests![
    capture_with_lost_response_is_queried,
    capture_that_is_declined_can_be_requested_again,
    void_that_is_declined_refunds_the_captured_amount,
    void_that_is_declined_without_capture_queries_payment_status,
    pending_payment_is_polled_until_it_expires,
];

async fn create_authorized_order(backend: Backend) -> (TestApp, std::sync::Arc<FakePaymentProvider>, Value, String) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Authorized).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    assert_eq!(order_and_payment_status(&placed_order), ("CONFIRMED", "AUTHORIZED"));
    let staff = app.login(Role::Staff).await;
    (app, payment_provider, placed_order, staff)
}

async fn capture_with_lost_response_is_queried(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_authorized_order(backend).await;
    payment_provider.set_capture_response(FakePaymentResponse::Unknown);
    let captured_order = expect_order(
        &app.run_order_mutation(&staff, "orderCapture", order_id(&placed_order), None).await,
        "orderCapture",
    );
    assert_eq!(
        (order_and_payment_status(&captured_order), payment_provider.balance()),
        (("CONFIRMED", "AUTHORIZED"), 20_000),
        "taken there, not known here"
    );
    let line = json!([{ "lineId": placed_order["lines"][0]["id"], "quantity": 1 }]);
    let units = app
        .run_order_mutation(
            &staff,
            "orderCancel",
            order_id(&placed_order),
            Some(("OrderCancelInput", json!({ "lines": line }))),
        )
        .await;
    assert_eq!(
        units.user_errors("orderCancel"),
        error_pairs(&[("ILLEGAL_TRANSITION", "id")]),
        "its amount is being captured"
    );
    payment_provider.set_capture_response(FakePaymentResponse::Succeeded);
    app.clock.set(parse_datetime("2026-11-01T09:00:31Z"));
    app.run_pending_jobs().await;
    assert_eq!(order_and_payment_status(&reload_order(&app, &placed_order).await), ("CONFIRMED", "PAID"));
    let keys = payment_provider.request_keys("capture");
    assert!(keys.len() == 1 && payment_provider.request_keys("query").len() == 1, "queried, not repeated: {keys:?}");
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn capture_that_is_declined_can_be_requested_again(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_authorized_order(backend).await;
    payment_provider.set_capture_response(FakePaymentResponse::Declined);
    let rejected = app.run_order_mutation(&staff, "orderCapture", order_id(&placed_order), None).await;
    assert_eq!(rejected.user_errors("orderCapture"), error_pairs(&[("PAYMENT_FAILED", "id")]));
    app.clock.set(parse_datetime("2026-11-01T09:00:31Z"));
    app.run_pending_jobs().await;
    assert_eq!(payment_provider.request_keys("capture").len(), 1, "captures are not retried automatically");
    let line = json!([{ "lineId": placed_order["lines"][0]["id"], "quantity": 1 }]);
    let reduced_order = app
        .run_order_mutation(
            &staff,
            "orderCancel",
            order_id(&placed_order),
            Some(("OrderCancelInput", json!({ "lines": line }))),
        )
        .await;
    assert_eq!(expect_order(&reduced_order, "orderCancel")["payments"][0]["amount"]["amount"], "100.00");
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn void_that_is_declined_refunds_the_captured_amount(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_authorized_order(backend).await;
    payment_provider.set_capture_response(FakePaymentResponse::Unknown);
    expect_order(&app.run_order_mutation(&staff, "orderCapture", order_id(&placed_order), None).await, "orderCapture");
    payment_provider.set_void_response(FakePaymentResponse::Declined);
    let canceled_order = expect_order(
        &app.run_order_mutation(&staff, "orderCancel", order_id(&placed_order), None).await,
        "orderCancel",
    );
    assert_eq!(
        (order_and_payment_status(&canceled_order), payment_provider.balance()),
        (("CANCELED", "VOIDED"), 20_000)
    );
    payment_provider.set_capture_response(FakePaymentResponse::Succeeded);
    app.clock.set(parse_datetime("2026-11-01T09:00:31Z"));
    app.run_pending_jobs().await;
    assert_eq!(
        (order_and_payment_status(&reload_order(&app, &placed_order).await), payment_provider.balance()),
        (("CANCELED", "REFUNDED"), 0)
    );
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn void_that_is_declined_without_capture_queries_payment_status(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_authorized_order(backend).await;
    // The provider captured the payment on its own.
    payment_provider.complete_payment(&payment_provider.request_keys("authorize")[0], 20_000);
    payment_provider.set_void_response(FakePaymentResponse::Declined);
    expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&placed_order), None).await, "orderCancel");
    app.run_pending_jobs().await;
    assert_eq!(
        (order_and_payment_status(&reload_order(&app, &placed_order).await), payment_provider.balance()),
        (("CANCELED", "REFUNDED"), 0)
    );
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn pending_payment_is_polled_until_it_expires(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let buy =
        async |key: &str| expect_order(&app.create_order(None, key, &[(&mug, 1)], pay_by_bank()).await, "orderCreate");
    let (paid, unpaid) = (buy("a").await, buy("b").await);
    for (time, expected_requests) in [("09:00:31", 2), ("09:00:45", 2), ("09:01:10", 4)] {
        app.clock.set(parse_datetime(&format!("2026-11-01T{time}Z")));
        app.run_pending_jobs().await;
        assert_eq!(payment_provider.request_keys("query").len(), expected_requests, "{time}");
    }
    // The buyer pays without a webhook: the server polls the provider.
    payment_provider.complete_payment(&payment_provider.request_keys("authorize")[0], 10_000);
    app.clock.set(parse_datetime("2026-11-01T09:10:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(order_and_payment_status(&reload_order(&app, &paid).await), ("CONFIRMED", "PAID"));
    app.clock.set(parse_datetime("2026-11-01T09:16:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(order_and_payment_status(&reload_order(&app, &unpaid).await), ("CANCELED", "VOIDED"));
    let expected_requests = payment_provider.request_keys("query").len();
    app.clock.set(parse_datetime("2026-11-01T12:00:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(payment_provider.request_keys("query").len(), expected_requests, "finished orders are not polled");
    assert_eq!(payment_provider.request_keys("authorize").len(), 2);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}
