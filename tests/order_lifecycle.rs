//! What becomes of an order: it is sent in parcels, canceled, or paid back.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    order_is_fulfilled_in_several_parcels,
    backordered_units_are_fulfilled_when_stock_arrives,
    canceled_order_releases_reserved_stock,
    order_is_refunded_by_lines_amount_and_in_full,
    illegal_order_transition_is_rejected,
];

async fn order_is_fulfilled_in_several_parcels(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(5)).await, app.create_product("bowl", 100, Some(5)).await);
    let staff = app.login(Role::Staff).await;
    let placed_order =
        expect_order(&app.create_order(None, "k", &[(&mug, 3), (&bowl, 1)], json!({})).await, "orderCreate");
    expect_order(&app.run_order_mutation(&staff, "orderConfirm", order_id(&placed_order), None).await, "orderConfirm");
    let line = |index: usize| placed_order["lines"][index]["id"].clone();
    let fulfill = async |key: &str, lines: Value| {
        let input = json!({ "idempotencyKey": key, "lines": lines });
        app.run_order_mutation(&staff, "orderFulfill", order_id(&placed_order), Some(("OrderFulfillInput!", input)))
            .await
    };
    let first = fulfill("p1", json!([{ "lineId": line(0), "quantity": 2 }])).await;
    let first = expect_order(&first, "orderFulfill");
    assert_eq!((&first["status"], &first["fulfillmentStatus"]), (&json!("PROCESSING"), &json!("PARTIAL")));
    let rejected =
        fulfill("p2", json!([{ "lineId": line(0), "quantity": 2 }, { "lineId": line(1), "quantity": 0 }])).await;
    assert_eq!(
        rejected.user_errors("orderFulfill"),
        error_pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity"), ("VALIDATION_ERROR", "input.lines.1.quantity")])
    );
    let last = expect_order(&fulfill("p2", Value::Null).await, "orderFulfill");
    assert_eq!((&last["status"], &last["fulfillmentStatus"]), (&json!("SHIPPED"), &json!("FULFILLED")));
    assert_eq!(
        fulfill("p3", Value::Null).await.user_errors("orderFulfill"),
        error_pairs(&[("ILLEGAL_TRANSITION", "id")])
    );
    let query = "query($id: ID) { order(id: $id) { fulfillments { lines { quantity line { sku } } } } }";
    let response = app.query_as(&staff, query, json!({ "id": order_id(&placed_order) })).await;
    let parcel_lines = |parcel: usize| response.data_at(&format!("/order/fulfillments/{parcel}/lines")).clone();
    assert_eq!(parcel_lines(0), json!([{ "quantity": 2, "line": { "sku": "MUG" } }]));
    assert_eq!(parcel_lines(1).as_array().map(Vec::len), Some(2));
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn backordered_units_are_fulfilled_when_stock_arrives(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(1)).await;
    let staff = app.login(Role::Staff).await;
    let settings =
        "mutation($id: ID!) { stockSettingsUpdate(input: { variantId: $id, allowBackorder: true, lowStockThreshold: 2 }) {
        level { available lowStockThreshold } userErrors { code } } }";
    let set = app.query_as(&staff, settings, json!({ "id": mug })).await;
    assert_eq!(set.data_at("/stockSettingsUpdate/level/lowStockThreshold"), 2);
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 3)], json!({})).await, "orderCreate");
    assert_eq!(app.query_scalar("SELECT sum(reserved) FROM inventory_level").await, 1);
    expect_order(&app.run_order_mutation(&staff, "orderConfirm", order_id(&placed_order), None).await, "orderConfirm");
    let fulfill = async |key: &str| {
        let input = json!({ "idempotencyKey": key });
        app.run_order_mutation(&staff, "orderFulfill", order_id(&placed_order), Some(("OrderFulfillInput!", input)))
            .await
    };
    assert_eq!(fulfill("p").await.user_errors("orderFulfill"), error_pairs(&[("INSUFFICIENT_STOCK", "input.lines")]));
    let adjust =
        "mutation($id: ID!, $delta: Int!) { stockAdjust(input: { variantId: $id, delta: $delta, reason: RECEIVED,
        idempotencyKey: \"came\" }) { level { onHand available } userErrors { code field } } }";
    for _ in 0..3 {
        let response = app.query_as(&staff, adjust, json!({ "id": mug, "delta": 4 })).await;
        assert_eq!(response.data_at("/stockAdjust/level"), &json!({ "onHand": 5, "available": 4 }));
    }
    assert_eq!(expect_order(&fulfill("p").await, "orderFulfill")["status"], "SHIPPED");
    assert_eq!(app.query_scalar("SELECT sum(on_hand) FROM inventory_level").await, 2);
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn canceled_order_releases_reserved_stock(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(2)).await;
    let token = app.login(Role::Customer).await;
    let placed_order = expect_order(&app.create_order(Some(&token), "k", &[(&mug, 2)], json!({})).await, "orderCreate");
    let product = "{ product(slug: \"mug\") { inStock stockQuantity } }";
    assert_eq!(app.query(product).await.data_at("/product"), &json!({ "inStock": false, "stockQuantity": 0 }));
    let input = Some(("OrderCancelInput", json!({ "reason": "too late for the feast" })));
    let canceled_order = expect_order(
        &app.run_order_mutation(&token, "orderCancel", order_id(&placed_order), input.clone()).await,
        "orderCancel",
    );
    assert_eq!((&canceled_order["status"], &canceled_order["paymentStatus"]), (&json!("CANCELED"), &json!("VOIDED")));
    assert_eq!(canceled_order["history"][1]["note"], "too late for the feast");
    assert_eq!(app.query(product).await.data_at("/product"), &json!({ "inStock": true, "stockQuantity": 2 }));
    let repeated = app.run_order_mutation(&token, "orderCancel", order_id(&placed_order), input).await;
    assert_eq!(repeated.user_errors("orderCancel"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    // A guest cancels with the order's token, and without it finds nothing.
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let cancel = "mutation($id: ID!, $t: String) { orderCancel(id: $id, input: { token: $t }) {
        order { status } userErrors { code field } } }";
    let response = app.query_with_variables(cancel, json!({ "id": placed_order["id"], "t": "guess" })).await;
    assert_eq!(response.user_errors("orderCancel"), error_pairs(&[("NOT_FOUND", "id")]));
    let response =
        app.query_with_variables(cancel, json!({ "id": placed_order["id"], "t": placed_order["token"] })).await;
    assert_eq!(response.data_at("/orderCancel/order/status"), "CANCELED");
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn order_is_refunded_by_lines_amount_and_in_full(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(5)).await, app.create_product("bowl", 50, Some(5)).await);
    let staff = app.login(Role::Staff).await;
    let placed_order =
        expect_order(&app.create_order(None, "k", &[(&mug, 3), (&bowl, 1)], json!({})).await, "orderCreate");
    let refund = async |key: &str, mut input: Value| {
        input["idempotencyKey"] = json!(key);
        app.run_order_mutation(&staff, "orderRefund", order_id(&placed_order), Some(("OrderRefundInput!", input))).await
    };
    assert_eq!(refund("r0", json!({})).await.user_errors("orderRefund"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    expect_order(&app.run_order_mutation(&staff, "orderConfirm", order_id(&placed_order), None).await, "orderConfirm");
    expect_order(&app.run_order_mutation(&staff, "orderCapture", order_id(&placed_order), None).await, "orderCapture");
    let parcel =
        json!({ "idempotencyKey": "p", "lines": [{ "lineId": placed_order["lines"][0]["id"], "quantity": 2 }] });
    expect_order(
        &app.run_order_mutation(&staff, "orderFulfill", order_id(&placed_order), Some(("OrderFulfillInput!", parcel)))
            .await,
        "orderFulfill",
    );
    // Two mugs: the one that was not sent is free again, the other one comes back to the shelf.
    let lines = json!({ "lines": [{ "lineId": placed_order["lines"][0]["id"], "quantityFulfilled": 1, "quantityUnfulfilled": 1,
            "restock": true }], "reason": "cracked" });
    let refunded_order = expect_order(&refund("r1", lines.clone()).await, "orderRefund");
    assert_eq!(
        (&refunded_order["paymentStatus"], &refunded_order["status"]),
        (&json!("PARTIALLY_REFUNDED"), &json!("PROCESSING")),
        "{refunded_order}"
    );
    assert_eq!(refunded_order["refunds"], json!([{ "amount": { "amount": "200.00" }, "status": "SUCCEEDED" }]));
    assert_eq!(expect_order(&refund("r1", lines).await, "orderRefund")["refunds"].as_array().map(Vec::len), Some(1));
    let mugs = "SELECT on_hand * 10 + reserved FROM inventory_level AS i JOIN variant AS v ON v.id = i.variant_id WHERE v.sku = 'MUG'";
    assert_eq!(app.query_scalar(mugs).await, 40);
    let rejected = refund("r2", json!({ "amount": "150.01" })).await;
    assert_eq!(rejected.user_errors("orderRefund"), error_pairs(&[("VALIDATION_ERROR", "input.amount")]));
    let goodwill = expect_order(&refund("r2", json!({ "amount": "10.00" })).await, "orderRefund");
    assert_eq!(goodwill["payments"][0]["refundedAmount"]["amount"], "210.00");
    let all = expect_order(&refund("r3", json!({})).await, "orderRefund");
    assert_eq!((&all["status"], &all["paymentStatus"]), (&json!("REFUNDED"), &json!("REFUNDED")));
    assert_eq!(all["payments"][0]["refundedAmount"]["amount"], "350.00");
    assert_eq!(all["lines"][1]["quantityUnfulfilled"], 0);
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn illegal_order_transition_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let staff = app.login(Role::Staff).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let response = app.run_order_mutation(&staff, "orderDeliver", order_id(&placed_order), None).await;
    assert_eq!(response.user_errors("orderDeliver"), error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let message = response.data_at("/orderDeliver/userErrors/0/message");
    assert_eq!(message, "an order that is pending cannot deliver; it can: confirm, cancel");
    let steps = app
        .query_as(
            &staff,
            "query($id: ID) { order(id: $id) { availableActions } }",
            json!({ "id": order_id(&placed_order) }),
        )
        .await;
    assert_eq!(steps.data_at("/order/availableActions"), &json!(["CONFIRM", "CANCEL"]));
    let stale = "mutation($id: ID!) { orderConfirm(id: $id, expectedVersion: 7) { userErrors { code field } } }";
    let stale = app.query_as(&staff, stale, json!({ "id": order_id(&placed_order) })).await;
    assert_eq!(stale.user_errors("orderConfirm"), error_pairs(&[("VERSION_CONFLICT", "expectedVersion")]));
    let note = Some(("OrderNoteInput!", json!({ "note": "ring twice" })));
    expect_order(&app.run_order_mutation(&staff, "orderNoteAdd", order_id(&placed_order), note).await, "orderNoteAdd");
    let history = "query($n: String, $t: String) { order(number: $n, token: $t) { history { note } } }";
    let history =
        app.query_with_variables(history, json!({ "n": placed_order["number"], "t": placed_order["token"] })).await;
    assert_eq!(history.data_at("/order/history").as_array().map(Vec::len), Some(1), "staff's notes are staff's");
}
