//! Refunds through a provider: at once, after a retry, or declined.

use futures_util::future::join;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    payments::{assert_balances_match, order_and_payment_status, pay_by_bank, reload_order},
    support::{Backend, FakePaymentProvider, FakePaymentResponse, GraphqlResponse, TestApp, parse_datetime},
};

integration_tests![
    canceled_order_is_refunded,
    declined_refund_changes_no_amount,
    refund_with_lost_response_is_queried,
    concurrent_refunds_do_not_exceed_the_captured_amount,
    fully_refunded_order_releases_unshipped_units,
];

async fn create_paid_order(backend: Backend) -> (TestApp, std::sync::Arc<FakePaymentProvider>, Value, String) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Succeeded).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 3)], pay_by_bank()).await, "orderCreate");
    assert_eq!(order_and_payment_status(&placed_order), ("CONFIRMED", "PAID"));
    let staff = app.login(Role::Staff).await;
    (app, payment_provider, placed_order, staff)
}

async fn refund_order(
    app: &TestApp,
    staff: &str,
    placed_order: &Value,
    key: &str,
    mut input: Value,
) -> GraphqlResponse {
    input["idempotencyKey"] = json!(key);
    app.run_order_mutation(staff, "orderRefund", order_id(placed_order), Some(("OrderRefundInput!", input))).await
}

async fn canceled_order_is_refunded(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_paid_order(backend).await;
    expect_order(&refund_order(&app, &staff, &placed_order, "r", json!({ "amount": "50.00" })).await, "orderRefund");
    let canceled_order = expect_order(
        &app.run_order_mutation(&staff, "orderCancel", order_id(&placed_order), None).await,
        "orderCancel",
    );
    assert_eq!(
        (order_and_payment_status(&canceled_order), &canceled_order["refunds"][1]["status"]),
        (("CANCELED", "PARTIALLY_REFUNDED"), &json!("PENDING"))
    );
    app.run_pending_jobs().await;
    let reloaded = reload_order(&app, &placed_order).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), payment_provider.balance()),
        (("CANCELED", "REFUNDED"), 0),
        "{reloaded}"
    );
    assert_eq!(app.query_scalar("SELECT on_hand * 10 + reserved FROM inventory_level").await, 50);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn declined_refund_changes_no_amount(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_paid_order(backend).await;
    payment_provider.set_refund_response(FakePaymentResponse::Declined);
    let refunded_order = expect_order(
        &refund_order(&app, &staff, &placed_order, "r1", json!({ "amount": "100.00" })).await,
        "orderRefund",
    );
    assert_eq!(refunded_order["refunds"], json!([{ "amount": { "amount": "100.00" }, "status": "FAILED" }]));
    assert_eq!(
        (order_and_payment_status(&refunded_order), &refunded_order["payments"][0]["refundedAmount"]["amount"]),
        (("CONFIRMED", "PAID"), &json!("0.00"))
    );
    app.run_pending_jobs().await;
    // All of it can still go back.
    payment_provider.set_refund_response(FakePaymentResponse::Succeeded);
    let all = expect_order(&refund_order(&app, &staff, &placed_order, "r2", json!({})).await, "orderRefund");
    assert_eq!((order_and_payment_status(&all), payment_provider.balance()), (("REFUNDED", "REFUNDED"), 0), "{all}");
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn refund_with_lost_response_is_queried(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_paid_order(backend).await;
    payment_provider.set_refund_response(FakePaymentResponse::Unknown);
    let refunded_order = expect_order(
        &refund_order(&app, &staff, &placed_order, "r1", json!({ "amount": "100.00" })).await,
        "orderRefund",
    );
    assert_eq!(refunded_order["refunds"], json!([{ "amount": { "amount": "100.00" }, "status": "PENDING" }]));
    // What is on its way back is not there to be given again.
    let rejected = refund_order(&app, &staff, &placed_order, "r2", json!({ "amount": "200.01" })).await;
    assert_eq!(rejected.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", "input.amount")]));
    app.drain_jobs().await;
    payment_provider.set_refund_response(FakePaymentResponse::Succeeded);
    app.clock.set(parse_datetime("2026-11-01T09:10:00Z"));
    app.run_pending_jobs().await;
    let reloaded = reload_order(&app, &placed_order).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), &reloaded["refunds"][0]["status"]),
        (("CONFIRMED", "PARTIALLY_REFUNDED"), &json!("SUCCEEDED"))
    );
    let keys = payment_provider.request_keys("refund");
    assert_eq!(keys.len(), 1, "queried, not repeated: {keys:?}");
    assert_eq!(payment_provider.balance(), 20_000);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn concurrent_refunds_do_not_exceed_the_captured_amount(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_paid_order(backend).await;
    let all = (0..6).map(|index| {
        refund_order(&app, &staff, &placed_order, ["a", "b", "c", "d", "e", "f"][index], json!({ "amount": "90.00" }))
    });
    let all = futures_util::future::join_all(all).await;
    let success_count = all.iter().filter(|response| response.user_errors("orderRefund").is_empty()).count();
    assert_eq!(success_count, 3, "three times 90 of 300");
    let full_refund = json!({});
    let (response, second) = join(
        refund_order(&app, &staff, &placed_order, "rest", full_refund.clone()),
        refund_order(&app, &staff, &placed_order, "rest too", full_refund),
    )
    .await;
    let user_errors = [response.user_errors("orderRefund"), second.user_errors("orderRefund")];
    assert_eq!(user_errors.iter().filter(|user_errors| user_errors.is_empty()).count(), 1, "{user_errors:?}");
    let reloaded = reload_order(&app, &placed_order).await;
    assert_eq!(
        (order_and_payment_status(&reloaded), payment_provider.balance()),
        (("REFUNDED", "REFUNDED"), 0),
        "{reloaded}"
    );
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn fully_refunded_order_releases_unshipped_units(backend: Backend) {
    let (app, payment_provider, placed_order, staff) = create_paid_order(backend).await;
    let parcel =
        json!({ "idempotencyKey": "p", "lines": [{ "lineId": placed_order["lines"][0]["id"], "quantity": 1 }] });
    expect_order(
        &app.run_order_mutation(&staff, "orderFulfill", order_id(&placed_order), Some(("OrderFulfillInput!", parcel)))
            .await,
        "orderFulfill",
    );
    // By amounts, not by lines: what was promised is free nevertheless.
    for (key, amount) in [("r1", "120.00"), ("r2", "180.00")] {
        expect_order(&refund_order(&app, &staff, &placed_order, key, json!({ "amount": amount })).await, "orderRefund");
    }
    assert_eq!(order_and_payment_status(&reload_order(&app, &placed_order).await), ("REFUNDED", "REFUNDED"));
    assert_eq!(app.query_scalar("SELECT on_hand * 10 + reserved FROM inventory_level").await, 40);
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}
