//! Test payments, whose amounts decide the outcome, webhooks of payment providers, and the reconciliation.

use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::Method;
use rust_decimal::Decimal;
use savannah::{
    base::Patch,
    identity::Role,
    payment::{PaymentProvider, PaymentProviders, test_provider::TestPaymentProvider},
    sales::reconcile::{PaymentDifference, ReconciliationReport, reconcile_payments},
};
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    payments::{
        apply_payment_response, assert_balances_match, order_and_payment_status, order_key, pay_by_bank, reload_order,
    },
    support::{
        Backend, FakePaymentProvider, FakePaymentResponse, HttpResponse, TestApp, parse_datetime, simple_product,
    },
};

integration_tests![
    last_digits_of_a_test_payment_decide_its_outcome,
    webhook_is_stored_once_and_applied_once,
    webhook_for_an_unknown_payment_is_ignored,
    invalid_webhooks_are_rejected_and_limited,
    staff_list_and_replay_webhooks,
    reconciliation_settles_payments_in_doubt,
    reported_amount_that_differs_does_not_count,
];

/// Starts a server with the test provider.
async fn start_with_test_payments(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    TestApp::start_with_payment_providers(backend, settings, test_registry()).await
}

/// Returns a registry with the manual methods and the test provider.
fn test_registry() -> PaymentProviders {
    let test_provider: Arc<dyn PaymentProvider> = Arc::new(TestPaymentProvider::new("https://shop.example/"));
    PaymentProviders::default().with_provider(test_provider)
}

/// Places an order whose total ends with these two digits, paid with the test provider. Returns the payload.
async fn place_test_order(app: &TestApp, last_digits: i64) -> Value {
    let slug = format!("mug-{last_digits}");
    let mut product = simple_product(&slug, &slug, 100);
    product.variants[0].price = Patch::Set(Decimal::new(10_000 + last_digits, 2));
    app.save_products(&[product]).await;
    let mug = app.query_variant_id(&slug.to_uppercase()).await;
    let query = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) {
        order { id number token status paymentStatus expiresAt }
        attempt { __typename
            ... on CheckoutProcessing { payment { status pollAfterSeconds } }
            ... on CheckoutActionRequired { payment { pollAfterSeconds } action { __typename
                ... on RedirectAction { url } ... on ConfirmOnPhoneAction { phone } } }
            ... on CheckoutFailed { retryUntil payment { declineCode error } } }
        userErrors { code field message } } }";
    let input = json!({ "lines": [{ "variantId": mug, "quantity": 1 }], "idempotencyKey": slug,
        "email": "wanjiku@example.com", "phone": "0712 345678", "shippingAddress": crate::support::shipping_address(),
        "paymentMethodId": "test" });
    let response = app.query_with_variables(query, json!({ "input": input })).await;
    let payload = response.data_at("/orderCreate").clone();
    assert_eq!(payload["userErrors"], json!([]), "{payload}");
    payload
}

/// Sends a webhook of the test provider.
async fn send_test_webhook(app: &TestApp, payment: i64, outcome: &str) -> HttpResponse {
    let request = app.build_request(Method::POST, &format!("/webhooks/payments/test/{payment}"));
    HttpResponse::send(request.json(&json!({ "outcome": outcome }))).await
}

async fn payment_id(app: &TestApp, order: &Value) -> i64 {
    app.query_scalar(&format!("SELECT max(id) FROM payment WHERE order_id = {}", order_key(order))).await
}

async fn last_digits_of_a_test_payment_decide_its_outcome(backend: Backend) {
    let app = start_with_test_payments(backend, &[]).await;
    let at_once = [
        (0, "CheckoutSucceeded", ("CONFIRMED", "PAID")),
        (1, "CheckoutFailed", ("PENDING", "PENDING")),
        (2, "CheckoutFailed", ("PENDING", "PENDING")),
        (3, "CheckoutProcessing", ("PENDING", "PENDING")),
        (4, "CheckoutActionRequired", ("PENDING", "PENDING")),
        (5, "CheckoutProcessing", ("PENDING", "PENDING")),
        (6, "CheckoutSucceeded", ("CONFIRMED", "AUTHORIZED")),
        (7, "CheckoutActionRequired", ("PENDING", "PENDING")),
        (8, "CheckoutProcessing", ("PENDING", "PENDING")),
    ];
    let mut orders = Vec::new();
    for (digits, attempt, statuses) in at_once {
        let payload = place_test_order(&app, digits).await;
        assert_eq!(payload["attempt"]["__typename"], attempt, "{digits}: {payload}");
        assert_eq!(order_and_payment_status(&payload["order"]), statuses, "{digits}: {payload}");
        orders.push(payload);
    }
    let failed = &orders[1]["attempt"];
    assert_eq!(failed["payment"]["declineCode"], "INSUFFICIENT_FUNDS");
    assert_eq!(failed["retryUntil"], orders[1]["order"]["expiresAt"]);
    let payment = payment_id(&app, &orders[4]["order"]).await;
    let url = format!("https://shop.example/payments/test/{payment}");
    assert_eq!(orders[4]["attempt"]["action"], json!({ "__typename": "RedirectAction", "url": url }));
    assert_eq!(orders[4]["attempt"]["payment"]["pollAfterSeconds"], 3);
    let action = json!({ "__typename": "ConfirmOnPhoneAction", "phone": "+254712345678" });
    assert_eq!(orders[7]["attempt"]["action"], action);

    // A minute later the provider was asked; an hour later the unpaid orders are canceled.
    for (time, paid) in [("09:01:00Z", vec![0, 3, 5, 7]), ("10:30:00Z", vec![0, 3, 5, 7])] {
        app.clock.set(parse_datetime(&format!("2026-11-01T{time}")));
        app.drain_jobs().await;
        for (index, payload) in orders.iter().enumerate() {
            let order = reload_order(&app, &payload["order"]).await;
            assert_eq!(order["paymentStatus"] == "PAID", paid.contains(&index), "{time} {index}: {order}");
        }
    }
    let canceled = reload_order(&app, &orders[8]["order"]).await;
    assert_eq!(order_and_payment_status(&canceled), ("CANCELED", "VOIDED"));
    app.assert_invariants().await;
}

async fn webhook_is_stored_once_and_applied_once(backend: Backend) {
    let app = start_with_test_payments(backend, &[]).await;
    let order = place_test_order(&app, 4).await["order"].clone();
    let payment = payment_id(&app, &order).await;
    let second = app.start_second_instance_with(&[], test_registry()).await;
    let sends =
        (0..6).map(|index| send_test_webhook(if index % 2 == 0 { &app } else { &second }, payment, "succeeded"));
    for response in join_all(sends).await {
        assert_eq!((response.status, response.json()), (200, json!({ "received": true })));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM received_webhook").await, 1);
    app.drain_jobs().await;
    second.drain_jobs().await;
    let paid = reload_order(&app, &order).await;
    assert_eq!(order_and_payment_status(&paid), ("CONFIRMED", "PAID"));
    assert_eq!(paid["payments"][0]["action"], Value::Null);
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM payment_transaction WHERE transaction_type = 'capture'").await,
        1
    );
    // What contradicts it and arrives later changes nothing.
    assert_eq!(send_test_webhook(&app, payment, "declined").await.status, 200);
    app.drain_jobs().await;
    assert_eq!(reload_order(&app, &order).await, paid);
    app.assert_invariants().await;
}

async fn webhook_for_an_unknown_payment_is_ignored(backend: Backend) {
    let app = start_with_test_payments(backend, &[]).await;
    assert_eq!(send_test_webhook(&app, 4711, "succeeded").await.status, 200);
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM received_webhook WHERE status = 'ignored'").await, 1);
    app.run_pending_jobs().await;
}

async fn invalid_webhooks_are_rejected_and_limited(backend: Backend) {
    let settings = [("SAVANNAH_RATE_LIMIT__ENABLED", "true"), ("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "100/1m")];
    let app = start_with_test_payments(backend, &settings).await;
    let post = |path: &str, content_type: &str, body: Vec<u8>| {
        let request = app.build_request(Method::POST, path).header("content-type", content_type).body(body);
        HttpResponse::send(request)
    };
    let json_type = "application/json";
    let valid = br#"{"outcome":"succeeded"}"#.to_vec();
    let cases = [
        ("/webhooks/payments/shells/7", json_type, valid.clone(), 404, "NOT_FOUND"),
        ("/webhooks/payments/manual/7", json_type, valid.clone(), 404, "NOT_FOUND"),
        ("/webhooks/payments/test", json_type, valid.clone(), 401, "UNAUTHENTICATED"),
        ("/webhooks/payments/test/x", json_type, valid.clone(), 401, "UNAUTHENTICATED"),
        ("/webhooks/payments/test/7", "text/plain", valid.clone(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("/webhooks/payments/test/7", json_type, b"{".to_vec(), 400, "BAD_USER_INPUT"),
        ("/webhooks/payments/test/7", json_type, vec![b' '; 300_000], 413, "PAYLOAD_TOO_LARGE"),
    ];
    for (path, content_type, body, status, code) in cases {
        let response = post(path, content_type, body).await;
        assert_eq!(
            (response.status, &response.json()["error"]["code"]),
            (status, &json!(code)),
            "{path} {content_type}"
        );
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM received_webhook").await, 0);
    // Rejected webhooks are limited by network; accepted ones are not.
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(post("/webhooks/payments/test/x", json_type, valid.clone()).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429, 429]);
    for payment in 0..12 {
        assert_eq!(send_test_webhook(&app, payment, "succeeded").await.status, 200);
    }
    let get = HttpResponse::send(app.build_request(Method::GET, "/webhooks/payments/test/7")).await;
    assert_eq!(get.status, 405);
}

async fn staff_list_and_replay_webhooks(backend: Backend) {
    let app = start_with_test_payments(backend, &[]).await;
    let order = place_test_order(&app, 4).await["order"].clone();
    send_test_webhook(&app, payment_id(&app, &order).await, "succeeded").await;
    send_test_webhook(&app, 4711, "declined").await;
    app.drain_jobs().await;
    let query = "query($filter: ReceivedWebhookFilter) { receivedWebhooks(first: 10, filter: $filter) { totalCount
        nodes { id provider eventId eventType body status error } } }";
    let list = async |token: &str, filter: Value| app.query_as(token, query, json!({ "filter": filter })).await;
    let customer = app.login(Role::Customer).await;
    assert_eq!(list(&customer, Value::Null).await.error_code(), "FORBIDDEN");
    let staff = app.login(Role::Staff).await;
    let all = list(&staff, Value::Null).await;
    assert_eq!(all.strings_at("/receivedWebhooks/nodes", "status"), ["IGNORED", "PROCESSED"], "{}", all.body);
    assert_eq!(all.data_at("/receivedWebhooks/nodes/1/body"), r#"{"outcome":"succeeded"}"#);
    let ignored = list(&staff, json!({ "status": "IGNORED", "provider": "test" })).await;
    assert_eq!(ignored.data_at("/receivedWebhooks/totalCount"), 1);
    let replay = "mutation($id: ID!) { receivedWebhookReplay(id: $id) { receivedWebhook { status } userErrors { code field } } }";
    let id = all.data_at("/receivedWebhooks/nodes/1/id");
    let replayed = app.query_as(&staff, replay, json!({ "id": id })).await;
    assert_eq!(replayed.data_at("/receivedWebhookReplay/receivedWebhook/status"), "RECEIVED", "{}", replayed.body);
    let before = reload_order(&app, &order).await;
    app.drain_jobs().await;
    assert_eq!(reload_order(&app, &order).await, before, "it counts once");
    assert_eq!(list(&staff, json!({ "status": "PROCESSED" })).await.data_at("/receivedWebhooks/totalCount"), 1);
    let node = app.query_as(
        &staff,
        "query($id: ID!) { node(id: $id) { ... on ReceivedWebhook { status } } }",
        json!({ "id": id }),
    );
    assert_eq!(node.await.data_at("/node/status"), "PROCESSED");
    let unknown = app.query_as(&staff, replay, json!({ "id": order["id"] })).await;
    assert_eq!(unknown.user_errors("receivedWebhookReplay"), error_pairs(&[("VALIDATION_ERROR", "id")]));
    // Webhooks are deleted after their retention.
    app.clock.set(parse_datetime("2026-12-15T09:00:00Z"));
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM received_webhook").await, 0);
}

async fn reconciliation_settles_payments_in_doubt(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let mut orders = Vec::new();
    for key in ["paid", "unpaid"] {
        orders.push(expect_order(&app.create_order(None, key, &[(&mug, 2)], pay_by_bank()).await, "orderCreate"));
    }
    let providers = payment_provider.registry();
    let reconcile = async || reconcile_payments(&app.db, &providers).await.expect("a report");
    assert_eq!(reconcile().await, ReconciliationReport::default(), "their own jobs come first");
    // The provider was paid and told nobody.
    payment_provider.complete_payment(&payment_provider.request_keys("authorize")[0], 20_000);
    app.clock.set(parse_datetime("2026-11-01T09:06:00Z"));
    let ReconciliationReport { checked, unanswered, differences } = reconcile().await;
    let number = orders[0]["number"].as_str().expect("a number").to_owned();
    let payment = payment_id(&app, &orders[0]).await;
    let expected = PaymentDifference {
        order_number: number,
        provider: "bank".into(),
        subject: format!("payment {payment}"),
        before: "action_required".into(),
        after: "captured".into(),
    };
    assert_eq!((checked, unanswered, differences), (2, 0, vec![expected]));
    assert_eq!(order_and_payment_status(&reload_order(&app, &orders[0]).await), ("CONFIRMED", "PAID"));
    let staff = app.login(Role::Staff).await;
    let query = "query($id: ID!) { node(id: $id) { ... on Order { history { note } payments { checkedAt } } } }";
    let seen = app.query_as(&staff, query, json!({ "id": order_id(&orders[0]) })).await;
    assert_eq!(seen.data_at("/node/payments/0/checkedAt"), "2026-11-01T09:06:00+00:00");
    let notes = seen.strings_at("/node/history", "note");
    assert!(notes.iter().any(|note| note.contains("reconciliation with bank")), "{notes:?}");

    // A refund whose answer was lost.
    payment_provider.set_refund_response(FakePaymentResponse::Unknown);
    let refund = Some(("OrderRefundInput!", json!({ "amount": "50.00", "idempotencyKey": "r" })));
    expect_order(&app.run_order_mutation(&staff, "orderRefund", order_id(&orders[0]), refund).await, "orderRefund");
    app.clock.set(parse_datetime("2026-11-01T09:12:00Z"));
    let ReconciliationReport { checked, differences, .. } = reconcile().await;
    assert_eq!((checked, differences.len()), (2, 1), "{differences:?}");
    let reloaded = reload_order(&app, &orders[0]).await;
    assert_eq!(order_and_payment_status(&reloaded), ("CONFIRMED", "PARTIALLY_REFUNDED"));
    assert_balances_match(&app, &payment_provider).await;
    app.assert_invariants().await;
}

async fn reported_amount_that_differs_does_not_count(backend: Backend) {
    use iso_currency::Currency;
    use savannah::{base::Money, payment::PaymentResult};
    let (app, _) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], pay_by_bank()).await, "orderCreate");
    for amount in [Money::new(19_999, Currency::KES), Money::new(20_000, Currency::TZS)] {
        let result = PaymentResult::Succeeded { reference: "bank x".into(), amount: Some(amount) };
        for _ in 0..2 {
            apply_payment_response(&app, &order, &result).await;
        }
        assert_eq!(order_and_payment_status(&reload_order(&app, &order).await), ("PENDING", "PENDING"));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM payment_transaction").await, 0);
    let staff = app.login(Role::Staff).await;
    let query = "query($id: ID!) { node(id: $id) { ... on Order { payments { error } history { note } } } }";
    let seen = app.query_as(&staff, query, json!({ "id": order_id(&order) })).await;
    let error = seen.data_at("/node/payments/0/error").as_str().expect("an error").to_owned();
    assert!(error.contains("TZS") && error.contains("200.00"), "{error}");
    assert_eq!(seen.strings_at("/node/history", "note").iter().filter(|note| note.contains("reports")).count(), 2);
    let result =
        PaymentResult::Succeeded { reference: "bank x".into(), amount: Some(Money::new(20_000, Currency::KES)) };
    apply_payment_response(&app, &order, &result).await;
    assert_eq!(order_and_payment_status(&reload_order(&app, &order).await), ("CONFIRMED", "PAID"));
    app.assert_invariants().await;
}
