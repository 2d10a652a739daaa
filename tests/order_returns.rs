//! Units of orders that are canceled, come back, or are refunded: by line, before and after the money was captured.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    payments::{assert_balances_match, order_and_payment_status, pay_by_bank, reload_order},
    support::{Backend, FakePaymentProvider, FakePaymentResponse, GraphqlResponse, TestApp},
};

integration_tests![
    refund_of_returned_units_leaves_unshipped_units_to_ship,
    refund_restock_without_shipped_units_is_rejected,
    refund_of_shipping_twice_is_rejected,
    refund_of_lines_in_parts_adds_up_to_the_total,
    refund_of_lines_above_the_remaining_amount_names_the_lines,
    refund_that_failed_is_retried_with_its_lines,
    refund_of_free_lines_cancels_them,
    cancel_of_unshipped_units_lowers_the_amount_due,
    cancel_of_a_returned_parcel_voids_and_restocks,
    cancel_of_units_by_a_customer_is_forbidden,
];

/// An order of staff's making that is confirmed, and of which so many units are shipped.
struct OrderScenario {
    app: TestApp,
    staff_token: String,
    order: Value,
}

impl OrderScenario {
    async fn start(backend: Backend, items: &[(&str, i64, i64)], shipped: i64) -> Self {
        let app = TestApp::start(backend).await;
        Self::create_in(app, items, (shipped, json!({}))).await
    }

    async fn create_in(app: TestApp, items: &[(&str, i64, i64)], (shipped, overrides): (i64, Value)) -> Self {
        let mut order_items = Vec::new();
        for (slug, price, units) in items {
            order_items.push((app.create_product(slug, *price, Some(20)).await, *units));
        }
        let staff = app.login(Role::Staff).await;
        let order_items: Vec<_> = order_items.iter().map(|(variant, units)| (variant.as_str(), *units)).collect();
        let placed_order =
            expect_order(&app.create_order(Some(&staff), "k", &order_items, overrides).await, "orderCreate");
        let scenario = Self { app, staff_token: staff, order: placed_order };
        if scenario.order["status"] == "PENDING" {
            scenario.expect_mutation("orderConfirm", None).await;
        }
        if shipped > 0 {
            let parcel =
                json!({ "idempotencyKey": "p", "lines": [{ "lineId": scenario.line_id(0), "quantity": shipped }] });
            scenario.expect_mutation("orderFulfill", Some(("OrderFulfillInput!", parcel))).await;
        }
        scenario
    }

    fn line_id(&self, index: usize) -> Value {
        self.order["lines"][index]["id"].clone()
    }

    async fn run_mutation(&self, mutation: &str, input: Option<(&str, Value)>) -> GraphqlResponse {
        self.app.run_order_mutation(&self.staff_token, mutation, order_id(&self.order), input).await
    }

    async fn expect_mutation(&self, mutation: &str, input: Option<(&str, Value)>) -> Value {
        expect_order(&self.run_mutation(mutation, input).await, mutation)
    }

    async fn refund(&self, key: &str, mut input: Value) -> GraphqlResponse {
        input["idempotencyKey"] = json!(key);
        self.run_mutation("orderRefund", Some(("OrderRefundInput!", input))).await
    }

    async fn cancel(&self, input: Value) -> GraphqlResponse {
        self.run_mutation("orderCancel", Some(("OrderCancelInput", input))).await
    }

    /// On hand and reserved of a variant.
    async fn query_stock(&self, sku: &str) -> (i64, i64) {
        let column_sql = |column: &str| {
            format!(
                "SELECT {column} FROM inventory_level AS i JOIN variant AS v ON v.id = i.variant_id WHERE v.sku = '{sku}'"
            )
        };
        (self.app.query_scalar(&column_sql("on_hand")).await, self.app.query_scalar(&column_sql("reserved")).await)
    }

    async fn assert_consistent(&self) {
        self.app.assert_invariants().await;
        self.app.run_pending_jobs().await;
    }
}

async fn refund_of_returned_units_leaves_unshipped_units_to_ship(backend: Backend) {
    let scenario = OrderScenario::start(backend, &[("mug", 100, 3)], 1).await;
    scenario.expect_mutation("orderCapture", None).await;
    assert_eq!(scenario.query_stock("MUG").await, (19, 2));
    let lines = json!([{ "lineId": scenario.line_id(0), "quantityFulfilled": 1, "restock": true }]);
    let refunded_order = expect_order(&scenario.refund("r", json!({ "lines": lines })).await, "orderRefund");
    assert_eq!(refunded_order["refunds"], json!([{ "amount": { "amount": "100.00" }, "status": "SUCCEEDED" }]));
    assert_eq!(
        (&refunded_order["status"], &refunded_order["lines"][0]["quantityUnfulfilled"]),
        (&json!("PROCESSING"), &json!(2))
    );
    assert_eq!(scenario.query_stock("MUG").await, (20, 2), "the returned unit is in stock, the others stay reserved");
    let too_many = json!([{ "lineId": scenario.line_id(0), "quantityFulfilled": 1 }]);
    let rejected = scenario.refund("r2", json!({ "lines": too_many })).await;
    assert_eq!(
        rejected.user_errors("orderRefund"),
        error_pairs(&[("VALIDATION_ERROR", "input.lines.0.quantityFulfilled")])
    );
    // The buyer gets the two that they still pay for.
    let sent =
        scenario.expect_mutation("orderFulfill", Some(("OrderFulfillInput!", json!({ "idempotencyKey": "p2" })))).await;
    assert_eq!((&sent["status"], &sent["lines"][0]["quantityFulfilled"]), (&json!("SHIPPED"), &json!(3)));
    scenario.assert_consistent().await;
}

async fn refund_restock_without_shipped_units_is_rejected(backend: Backend) {
    let scenario = OrderScenario::start(backend, &[("mug", 100, 3)], 1).await;
    scenario.expect_mutation("orderCapture", None).await;
    let line = |input: Value| {
        let mut line = json!({ "lineId": scenario.line_id(0) });
        line.as_object_mut().expect("an object").extend(input.as_object().expect("an object").clone());
        json!({ "lines": [line] })
    };
    for (input, field) in [
        (json!({ "quantityUnfulfilled": 1, "restock": true }), "restock"),
        (json!({ "quantityUnfulfilled": 3 }), "quantityUnfulfilled"),
        (json!({ "quantityFulfilled": -1, "quantityUnfulfilled": 2 }), "quantityFulfilled"),
        (json!({}), "quantityFulfilled"),
    ] {
        let rejected = scenario.refund("r", line(input)).await;
        let field = format!("input.lines.0.{field}");
        assert_eq!(rejected.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", field.as_str())]));
    }
    scenario.assert_consistent().await;
}

async fn refund_of_shipping_twice_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let shipping_method = app.query_scalar("SELECT id FROM shipping_method WHERE name = 'Standard'").await;
    let shipping_method =
        savannah::base::GlobalId::new(savannah::base::global_id::NodeType::ShippingMethod, shipping_method).encode();
    let scenario =
        OrderScenario::create_in(app, &[("mug", 1160, 2)], (0, json!({ "shippingMethodId": shipping_method }))).await;
    scenario.expect_mutation("orderCapture", None).await;
    let unit = |shipping: bool| json!({ "lines": [{ "lineId": scenario.line_id(0), "quantityUnfulfilled": 1 }], "shipping": shipping });
    let refunded_order = expect_order(&scenario.refund("r1", unit(true)).await, "orderRefund");
    assert_eq!(refunded_order["refunds"][0]["amount"]["amount"], "1510.00", "{refunded_order}");
    let repeated = scenario.refund("r2", unit(true)).await;
    assert_eq!(repeated.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", "input.shipping")]));
    let both = scenario.refund("r2", json!({ "amount": "5.00", "shipping": true })).await;
    assert_eq!(both.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", "input.shipping")]));
    let copy = "INSERT INTO refund (order_id, payment_id, amount, shipping, status, created_at, updated_at) \
        SELECT order_id, payment_id, 5, 5, 'pending', created_at, updated_at FROM refund";
    assert!(scenario.app.execute_sql(copy).await.is_err(), "the database refuses shipping twice as well");
    let all = expect_order(&scenario.refund("r3", unit(false)).await, "orderRefund");
    assert_eq!(order_and_payment_status(&all), ("REFUNDED", "REFUNDED"));
    scenario.assert_consistent().await;
}

async fn refund_of_lines_in_parts_adds_up_to_the_total(backend: Backend) {
    let scenario = OrderScenario::start(backend, &[("mug", 100, 7)], 3).await;
    // A discount that no unit's share divides evenly.
    for sql in [
        "UPDATE order_line SET discount = 5, total = total - 5",
        "UPDATE orders SET discount = 5, total = total - 5",
        "UPDATE payment SET amount = amount - 5",
    ] {
        scenario.app.execute_sql(sql).await.expect("a discount");
    }
    scenario.expect_mutation("orderCapture", None).await;
    for (key, shipped, unshipped) in [("a", 1, 0), ("b", 0, 3), ("c", 2, 1)] {
        let line =
            json!({ "lineId": scenario.line_id(0), "quantityFulfilled": shipped, "quantityUnfulfilled": unshipped });
        expect_order(&scenario.refund(key, json!({ "lines": [line] })).await, "orderRefund");
    }
    assert_eq!(scenario.app.query_scalar("SELECT SUM(amount) FROM refund").await, 69_995);
    let first = scenario.app.query_scalar("SELECT amount FROM refund ORDER BY id LIMIT 1").await;
    let last = scenario.app.query_scalar("SELECT amount FROM refund ORDER BY id DESC LIMIT 1").await;
    assert_ne!(first * 3, last, "three units of the end carry what the first have left over");
    scenario.assert_consistent().await;
}

async fn refund_of_lines_above_the_remaining_amount_names_the_lines(backend: Backend) {
    let scenario = OrderScenario::start(backend, &[("mug", 30, 1)], 0).await;
    scenario.expect_mutation("orderCapture", None).await;
    expect_order(&scenario.refund("r1", json!({ "amount": "5.00" })).await, "orderRefund");
    let lines = json!({ "lines": [{ "lineId": scenario.line_id(0), "quantityUnfulfilled": 1 }] });
    let rejected = scenario.refund("r2", lines).await;
    assert_eq!(rejected.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", "input.lines")]));
    let message = rejected.data_at("/orderRefund/userErrors/0/message");
    assert_eq!(message, "at most 25.00 KES can be refunded; this comes to 30.00");
    let rejected = scenario.refund("r2", json!({ "amount": "25.01" })).await;
    assert_eq!(rejected.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", "input.amount")]));
    scenario.assert_consistent().await;
}

async fn refund_that_failed_is_retried_with_its_lines(backend: Backend) {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Succeeded).await;
    let scenario = OrderScenario::create_in(app, &[("mug", 100, 2)], (0, pay_by_bank())).await;
    payment_provider.set_refund_response(FakePaymentResponse::Declined);
    let lines = json!({ "lines": [{ "lineId": scenario.line_id(0), "quantityUnfulfilled": 1 }] });
    let refunded_order = expect_order(&scenario.refund("r", lines).await, "orderRefund");
    assert_eq!(refunded_order["refunds"], json!([{ "amount": { "amount": "100.00" }, "status": "FAILED" }]));
    let key = scenario.app.query_scalar("SELECT id FROM refund").await;
    let refund = savannah::base::GlobalId::new(savannah::base::global_id::NodeType::Refund, key).encode();
    let retry = async || {
        let query =
            "mutation($id: ID!) { refundRetry(id: $id) { order { status paymentStatus lines { quantityRefunded }
            refunds { amount { amount } status } } userErrors { code field } } }";
        scenario.app.query_as(&scenario.staff_token, query, json!({ "id": refund })).await
    };
    assert_eq!(retry().await.data_at("/refundRetry/order/refunds/0/status"), "FAILED", "it is refused once more");
    payment_provider.set_refund_response(FakePaymentResponse::Succeeded);
    let response = retry().await;
    let expected = json!({ "status": "CONFIRMED", "paymentStatus": "PARTIALLY_REFUNDED",
        "lines": [{ "quantityRefunded": 1 }], "refunds": [{ "amount": { "amount": "100.00" }, "status": "SUCCEEDED" }] });
    assert_eq!(response.data_at("/refundRetry/order"), &expected);
    assert_eq!(retry().await.user_errors("refundRetry"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let keys = payment_provider.request_keys("refund");
    assert!(keys.len() == 3 && keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
    assert_eq!(payment_provider.balance(), 10_000);
    assert_balances_match(&scenario.app, &payment_provider).await;
    scenario.assert_consistent().await;
}

async fn refund_of_free_lines_cancels_them(backend: Backend) {
    let scenario = OrderScenario::start(backend, &[("mug", 100, 2), ("sticker", 0, 3)], 1).await;
    let paid = scenario.expect_mutation("orderCapture", None).await;
    assert_eq!(paid["status"], "PROCESSING");
    let lines = json!({ "lines": [{ "lineId": scenario.line_id(1), "quantityUnfulfilled": 3 }] });
    let refunded_order = expect_order(&scenario.refund("r", lines).await, "orderRefund");
    assert_eq!(refunded_order["refunds"], json!([{ "amount": { "amount": "0.00" }, "status": "SUCCEEDED" }]));
    assert_eq!(
        (order_and_payment_status(&refunded_order), scenario.query_stock("STICKER").await),
        (("PROCESSING", "PAID"), (20, 0))
    );
    let missing = scenario.refund("r2", json!({ "amount": "0.00" })).await;
    assert_eq!(missing.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", "input.amount")]));
    scenario.assert_consistent().await;
}

async fn cancel_of_unshipped_units_lowers_the_amount_due(backend: Backend) {
    let scenario = OrderScenario::start(backend, &[("mug", 100, 3), ("bowl", 50, 1)], 1).await;
    let line_quantity =
        |line: usize, quantity: i64| json!({ "lines": [{ "lineId": scenario.line_id(line), "quantity": quantity }] });
    let rejected = scenario.cancel(line_quantity(0, 3)).await;
    assert_eq!(rejected.user_errors("orderCancel"), error_pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity")]));
    let reduced_order = expect_order(&scenario.cancel(line_quantity(0, 2)).await, "orderCancel");
    assert_eq!(
        (order_and_payment_status(&reduced_order), &reduced_order["payments"][0]["amount"]["amount"]),
        (("PROCESSING", "AUTHORIZED"), &json!("150.00"))
    );
    assert_eq!(scenario.query_stock("MUG").await, (19, 0));
    // Nothing is left to be shipped: the order goes on.
    let rest = expect_order(&scenario.cancel(line_quantity(1, 1)).await, "orderCancel");
    assert_eq!(
        (order_and_payment_status(&rest), &rest["payments"][0]["amount"]["amount"]),
        (("SHIPPED", "AUTHORIZED"), &json!("100.00"))
    );
    let paid = scenario.expect_mutation("orderCapture", None).await;
    assert_eq!(
        (order_and_payment_status(&paid), &paid["payments"][0]["capturedAmount"]["amount"]),
        (("SHIPPED", "PAID"), &json!("100.00"))
    );
    let late_response = scenario.cancel(line_quantity(0, 1)).await;
    assert_eq!(late_response.user_errors("orderCancel")[0].0, "VALIDATION_ERROR");
    let delivered_order = scenario.expect_mutation("orderDeliver", None).await;
    assert_eq!(delivered_order["status"], "DELIVERED");
    let all = expect_order(&scenario.refund("all", json!({})).await, "orderRefund");
    assert_eq!(
        (order_and_payment_status(&all), &all["payments"][0]["refundedAmount"]["amount"]),
        (("REFUNDED", "REFUNDED"), &json!("100.00"))
    );
    scenario.assert_consistent().await;
}

async fn cancel_of_a_returned_parcel_voids_and_restocks(backend: Backend) {
    let scenario = OrderScenario::start(backend, &[("mug", 100, 3), ("bowl", 50, 1)], 2).await;
    let early_response = scenario.run_mutation("orderCancel", None).await;
    assert_eq!(
        early_response.user_errors("orderCancel"),
        error_pairs(&[("ILLEGAL_TRANSITION", "id")]),
        "a parcel is on its way"
    );
    let restock = |quantity: i64| json!({ "restock": [{ "lineId": scenario.line_id(0), "quantity": quantity }] });
    let rejected = scenario.cancel(restock(3)).await;
    assert_eq!(rejected.user_errors("orderCancel"), error_pairs(&[("VALIDATION_ERROR", "input.restock.0.quantity")]));
    // Two came back, one of them broken.
    let canceled_order = expect_order(&scenario.cancel(restock(1)).await, "orderCancel");
    assert_eq!(order_and_payment_status(&canceled_order), ("CANCELED", "VOIDED"));
    assert_eq!((scenario.query_stock("MUG").await, scenario.query_stock("BOWL").await), ((19, 0), (20, 0)));
    let returned = "SELECT delta FROM stock_movement WHERE reason = 'returned'";
    assert_eq!(scenario.app.query_scalar(returned).await, 1);
    scenario.assert_consistent().await;
    let scenario = OrderScenario::start(backend, &[("mug", 100, 1)], 1).await;
    scenario.expect_mutation("orderCapture", None).await;
    let paid = scenario.cancel(json!({ "restock": [] })).await;
    assert_eq!(
        paid.user_errors("orderCancel"),
        error_pairs(&[("ILLEGAL_TRANSITION", "id")]),
        "what is paid is refunded"
    );
    scenario.assert_consistent().await;
}

async fn cancel_of_units_by_a_customer_is_forbidden(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let buyer = app.login(Role::Customer).await;
    let placed_order = expect_order(&app.create_order(Some(&buyer), "k", &[(&mug, 2)], json!({})).await, "orderCreate");
    let lines = json!([{ "lineId": placed_order["lines"][0]["id"], "quantity": 1 }]);
    for input in [json!({ "lines": lines }), json!({ "restock": [] })] {
        let response = app
            .run_order_mutation(&buyer, "orderCancel", order_id(&placed_order), Some(("OrderCancelInput", input)))
            .await;
        assert_eq!(response.error_code(), "FORBIDDEN");
    }
    assert_eq!(reload_order(&app, &placed_order).await["status"], "PENDING");
    app.assert_invariants().await;
}
