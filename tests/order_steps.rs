//! What becomes of an order: it is sent in parcels, cancelled, or paid back.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    shop::{Backend, Shop},
    stories,
};

stories![
    parcels_go_off_one_by_one,
    what_was_ordered_before_it_came_is_sent_when_it_has,
    a_cancelled_order_frees_what_was_promised,
    money_goes_back_for_lines_and_wholly,
    nobody_steps_where_there_is_no_step,
];

async fn parcels_go_off_one_by_one(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(5)).await, shop.good("bowl", 100, Some(5)).await);
    let staff = shop.sign_in(Role::Staff).await;
    let made = order(&shop.order(None, "k", &[(&mug, 3), (&bowl, 1)], json!({})).await, "orderCreate");
    order(&shop.step(&staff, "orderConfirm", id(&made), None).await, "orderConfirm");
    let line = |at: usize| made["lines"][at]["id"].clone();
    let fulfil = async |key: &str, lines: Value| {
        let input = json!({ "idempotencyKey": key, "lines": lines });
        shop.step(&staff, "orderFulfil", id(&made), Some(("OrderFulfilInput!", input))).await
    };
    let first = fulfil("p1", json!([{ "lineId": line(0), "quantity": 2 }])).await;
    let first = order(&first, "orderFulfil");
    assert_eq!((&first["status"], &first["fulfilmentStatus"]), (&json!("PROCESSING"), &json!("PARTIAL")));
    let wrong = fulfil("p2", json!([{ "lineId": line(0), "quantity": 2 }, { "lineId": line(1), "quantity": 0 }])).await;
    assert_eq!(
        wrong.problems("orderFulfil"),
        pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity"), ("VALIDATION_ERROR", "input.lines.1.quantity")])
    );
    let last = order(&fulfil("p2", Value::Null).await, "orderFulfil");
    assert_eq!((&last["status"], &last["fulfilmentStatus"]), (&json!("SHIPPED"), &json!("FULFILLED")));
    assert_eq!(fulfil("p3", Value::Null).await.problems("orderFulfil"), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let query = "query($id: ID) { order(id: $id) { fulfilments { lines { quantity line { sku } } } } }";
    let seen = shop.ask_as(&staff, query, json!({ "id": id(&made) })).await;
    let parts = |parcel: usize| seen.at(&format!("/order/fulfilments/{parcel}/lines")).clone();
    assert_eq!(parts(0), json!([{ "quantity": 2, "line": { "sku": "MUG" } }]));
    assert_eq!(parts(1).as_array().map(Vec::len), Some(2));
    shop.add_up().await;
    shop.settle().await;
}

async fn what_was_ordered_before_it_came_is_sent_when_it_has(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(1)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let settings =
        "mutation($id: ID!) { stockSettingsUpdate(input: { variantId: $id, backorder: true, lowStockThreshold: 2 }) {
        level { available lowStockThreshold } userErrors { code } } }";
    let set = shop.ask_as(&staff, settings, json!({ "id": mug })).await;
    assert_eq!(set.at("/stockSettingsUpdate/level/lowStockThreshold"), 2);
    let made = order(&shop.order(None, "k", &[(&mug, 3)], json!({})).await, "orderCreate");
    assert_eq!(shop.number("SELECT sum(reserved) FROM inventory").await, 1);
    order(&shop.step(&staff, "orderConfirm", id(&made), None).await, "orderConfirm");
    let fulfil = async |key: &str| {
        let input = json!({ "idempotencyKey": key });
        shop.step(&staff, "orderFulfil", id(&made), Some(("OrderFulfilInput!", input))).await
    };
    assert_eq!(fulfil("p").await.problems("orderFulfil"), pairs(&[("INSUFFICIENT_STOCK", "input.lines")]));
    let adjust =
        "mutation($id: ID!, $delta: Int!) { stockAdjust(input: { variantId: $id, delta: $delta, reason: RECEIVED,
        idempotencyKey: \"came\" }) { level { onHand available } userErrors { code field } } }";
    for _ in 0..3 {
        let came = shop.ask_as(&staff, adjust, json!({ "id": mug, "delta": 4 })).await;
        assert_eq!(came.at("/stockAdjust/level"), &json!({ "onHand": 5, "available": 4 }));
    }
    assert_eq!(order(&fulfil("p").await, "orderFulfil")["status"], "SHIPPED");
    assert_eq!(shop.number("SELECT sum(on_hand) FROM inventory").await, 2);
    shop.add_up().await;
    shop.settle().await;
}

async fn a_cancelled_order_frees_what_was_promised(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(2)).await;
    let token = shop.sign_in(Role::Customer).await;
    let made = order(&shop.order(Some(&token), "k", &[(&mug, 2)], json!({})).await, "orderCreate");
    let product = "{ product(slug: \"mug\") { inStock stockQuantity } }";
    assert_eq!(shop.ask(product).await.at("/product"), &json!({ "inStock": false, "stockQuantity": 0 }));
    let input = Some(("OrderCancelInput", json!({ "reason": "too late for the feast" })));
    let gone = order(&shop.step(&token, "orderCancel", id(&made), input.clone()).await, "orderCancel");
    assert_eq!((&gone["status"], &gone["paymentStatus"]), (&json!("CANCELLED"), &json!("VOIDED")));
    assert_eq!(gone["history"][1]["note"], "too late for the feast");
    assert_eq!(shop.ask(product).await.at("/product"), &json!({ "inStock": true, "stockQuantity": 2 }));
    let again = shop.step(&token, "orderCancel", id(&made), input).await;
    assert_eq!(again.problems("orderCancel"), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    // A guest cancels with the order's token, and without it finds nothing.
    let made = order(&shop.order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let cancel = "mutation($id: ID!, $t: String) { orderCancel(id: $id, input: { token: $t }) {
        order { status } userErrors { code field } } }";
    let told = shop.ask_with(cancel, json!({ "id": made["id"], "t": "guess" })).await;
    assert_eq!(told.problems("orderCancel"), pairs(&[("NOT_FOUND", "id")]));
    let told = shop.ask_with(cancel, json!({ "id": made["id"], "t": made["token"] })).await;
    assert_eq!(told.at("/orderCancel/order/status"), "CANCELLED");
    shop.add_up().await;
    shop.settle().await;
}

async fn money_goes_back_for_lines_and_wholly(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(5)).await, shop.good("bowl", 50, Some(5)).await);
    let staff = shop.sign_in(Role::Staff).await;
    let made = order(&shop.order(None, "k", &[(&mug, 3), (&bowl, 1)], json!({})).await, "orderCreate");
    let refund = async |key: &str, mut input: Value| {
        input["idempotencyKey"] = json!(key);
        shop.step(&staff, "orderRefund", id(&made), Some(("OrderRefundInput!", input))).await
    };
    assert_eq!(refund("r0", json!({})).await.problems("orderRefund"), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    order(&shop.step(&staff, "orderConfirm", id(&made), None).await, "orderConfirm");
    order(&shop.step(&staff, "orderCapture", id(&made), None).await, "orderCapture");
    let parcel = json!({ "idempotencyKey": "p", "lines": [{ "lineId": made["lines"][0]["id"], "quantity": 2 }] });
    order(&shop.step(&staff, "orderFulfil", id(&made), Some(("OrderFulfilInput!", parcel))).await, "orderFulfil");
    // Two mugs: the one that was not sent is free again, the other one comes back to the shelf.
    let lines = json!({ "lines": [{ "lineId": made["lines"][0]["id"], "quantityFulfilled": 1, "quantityUnfulfilled": 1,
            "restock": true }], "reason": "cracked" });
    let back = order(&refund("r1", lines.clone()).await, "orderRefund");
    assert_eq!(
        (&back["paymentStatus"], &back["status"]),
        (&json!("PARTIALLY_REFUNDED"), &json!("PROCESSING")),
        "{back}"
    );
    assert_eq!(back["refunds"], json!([{ "amount": "200.00", "status": "DONE" }]));
    assert_eq!(order(&refund("r1", lines).await, "orderRefund")["refunds"].as_array().map(Vec::len), Some(1));
    let mugs = "SELECT on_hand * 10 + reserved FROM inventory AS i JOIN variant AS v ON v.id = i.variant_id WHERE v.sku = 'MUG'";
    assert_eq!(shop.number(mugs).await, 40);
    let too_much = refund("r2", json!({ "amount": "150.01" })).await;
    assert_eq!(too_much.problems("orderRefund"), pairs(&[("VALIDATION_ERROR", "input.amount")]));
    let goodwill = order(&refund("r2", json!({ "amount": "10.00" })).await, "orderRefund");
    assert_eq!(goodwill["payments"][0]["refundedAmount"], "210.00");
    let all = order(&refund("r3", json!({})).await, "orderRefund");
    assert_eq!((&all["status"], &all["paymentStatus"]), (&json!("REFUNDED"), &json!("REFUNDED")));
    assert_eq!(all["payments"][0]["refundedAmount"], "350.00");
    assert_eq!(all["lines"][1]["quantityUnfulfilled"], 0);
    shop.add_up().await;
    shop.settle().await;
}

async fn nobody_steps_where_there_is_no_step(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let staff = shop.sign_in(Role::Staff).await;
    let made = order(&shop.order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let told = shop.step(&staff, "orderDeliver", id(&made), None).await;
    assert_eq!(told.problems("orderDeliver"), pairs(&[("ILLEGAL_TRANSITION", "id")]));
    let message = told.at("/orderDeliver/userErrors/0/message");
    assert_eq!(message, "an order that is pending cannot deliver; it can: confirm, cancel");
    let steps =
        shop.ask_as(&staff, "query($id: ID) { order(id: $id) { possibleSteps } }", json!({ "id": id(&made) })).await;
    assert_eq!(steps.at("/order/possibleSteps"), &json!(["CONFIRM", "CANCEL"]));
    let stale = "mutation($id: ID!) { orderConfirm(id: $id, expectedVersion: 7) { userErrors { code field } } }";
    let stale = shop.ask_as(&staff, stale, json!({ "id": id(&made) })).await;
    assert_eq!(stale.problems("orderConfirm"), pairs(&[("VERSION_CONFLICT", "expectedVersion")]));
    let note = Some(("OrderNoteInput!", json!({ "note": "ring twice" })));
    order(&shop.step(&staff, "orderNoteAdd", id(&made), note).await, "orderNoteAdd");
    let seen = "query($n: String, $t: String) { order(number: $n, token: $t) { history { note } } }";
    let seen = shop.ask_with(seen, json!({ "n": made["number"], "t": made["token"] })).await;
    assert_eq!(seen.at("/order/history").as_array().map(Vec::len), Some(1), "staff's notes are staff's");
}
