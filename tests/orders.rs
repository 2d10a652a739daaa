//! From a cart, or a list, to an order that has arrived, was cancelled, or paid back.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, ORDER, Shop, address, moment},
    stories,
};

stories![
    a_guest_buys_from_the_cart_to_the_door,
    a_customer_buys_and_finds_the_order,
    an_order_keeps_what_was_then,
    the_same_request_is_one_order,
    what_cannot_be_bought_is_told_and_nothing_is,
    a_total_that_changed_is_told_and_the_cart_stays,
    parcels_go_off_one_by_one,
    what_was_ordered_before_it_came_is_sent_when_it_has,
    a_cancelled_order_frees_what_was_promised,
    money_goes_back_for_lines_and_wholly,
    nobody_steps_where_there_is_no_step,
    nobody_sees_anothers_order,
    staff_find_orders,
    a_list_of_orders_costs_what_one_costs,
];

fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_else(|| panic!("no number at {pointer} in {value}"))
}

fn order(answer: &Answer, mutation: &str) -> Value {
    assert_eq!(answer.problems(mutation), [], "{}", answer.body);
    answer.at(&format!("/{mutation}/order")).clone()
}

fn id(order: &Value) -> &str {
    order["id"].as_str().expect("an id")
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(code, field)| ((*code).to_owned(), (*field).to_owned())).collect()
}

async fn a_guest_buys_from_the_cart_to_the_door(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.fit_out().await;
    let (mug, bowl) = (shop.good("mug", 1160, Some(5)).await, shop.good("bowl", 2320, Some(2)).await);
    let cart = shop.cart(None, &[(&mug, 2), (&bowl, 1)]).await;
    let ways = shop.ask_with(
        "query($id: ID!) { cart(id: $id) { availableShippingMethods { method { id } price } } }",
        json!({ "id": cart }),
    );
    let way = ways.await.at("/cart/availableShippingMethods/0/method/id").clone();
    let unchosen = shop.check_out(None, "k1", &cart, json!({})).await;
    assert_eq!(unchosen.problems("checkoutComplete"), pairs(&[("VALIDATION_ERROR", "input.shippingMethodId")]));
    let choose = "mutation($id: ID!, $way: ID) { cartShippingMethodSet(id: $id, shippingMethodId: $way) { userErrors { code } } }";
    assert_eq!(shop.ask_with(choose, json!({ "id": cart, "way": way })).await.problems("cartShippingMethodSet"), []);
    let answer = shop.check_out(None, "k1", &cart, json!({ "phone": "0712 345678" })).await;
    let made = order(&answer, "checkoutComplete");
    assert_eq!((&made["status"], &made["paymentStatus"]), (&json!("PENDING"), &json!("AUTHORISED")), "{made}");
    assert_eq!(made["phone"], "+254712345678");
    assert_eq!(shop.number("SELECT sum(reserved) FROM inventory").await, 3);
    assert_eq!(shop.see_cart(None, &cart).await["state"], "ORDERED");
    shop.add_up().await;

    let staff = shop.sign_in(Role::Staff).await;
    let confirmed = order(&shop.step(&staff, "orderConfirm", id(&made), None).await, "orderConfirm");
    assert_eq!(confirmed["status"], "CONFIRMED");
    let parcel = json!({ "idempotencyKey": "p1", "carrier": "G4S", "trackingNumber": "KE1",
        "trackingUrl": "https://track.example/KE1" });
    let fulfil = Some(("OrderFulfilInput!", parcel));
    let sent = order(&shop.step(&staff, "orderFulfil", id(&made), fulfil.clone()).await, "orderFulfil");
    assert_eq!((&sent["status"], &sent["fulfilmentStatus"]), (&json!("SHIPPED"), &json!("FULFILLED")));
    // The same request again sends nothing more.
    assert_eq!(order(&shop.step(&staff, "orderFulfil", id(&made), fulfil).await, "orderFulfil"), sent);
    assert_eq!(shop.number("SELECT count(*) FROM fulfilment").await, 1);
    assert_eq!(shop.number("SELECT sum(on_hand) FROM inventory").await, 4);
    let paid = order(&shop.step(&staff, "orderCapture", id(&made), None).await, "orderCapture");
    assert_eq!((&paid["paymentStatus"], &paid["payments"][0]["capturedAmount"]), (&json!("PAID"), &made["total"]));
    let done = order(&shop.step(&staff, "orderDeliver", id(&made), None).await, "orderDeliver");
    assert_eq!(done["status"], "DELIVERED");
    let query = format!("query($n: String, $t: String) {{ order(number: $n, token: $t) {{ {ORDER} }} }}");
    let number = made["number"].as_str().expect("a number").to_lowercase();
    let seen = shop.ask_with(&query, json!({ "n": number, "t": made["token"] })).await.at("/order").clone();
    let steps: Vec<_> = seen["history"].as_array().expect("a history").iter().map(|one| &one["toStatus"]).collect();
    let to = |status: &str| json!(status);
    assert_eq!(
        steps,
        [&Value::Null, &to("CONFIRMED"), &Value::Null, &to("SHIPPED"), &Value::Null, &to("DELIVERED")],
        "{seen}"
    );
    assert_eq!(seen["history"][0]["actor"], "GUEST");
    assert_eq!(seen["history"][1]["actor"], "PERSON");
    shop.add_up().await;
    shop.settle().await;
}

async fn a_customer_buys_and_finds_the_order(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let token = shop.sign_in(Role::Customer).await;
    crate::customers::add_address(&shop, &token, crate::customers::home()).await;
    // Who has signed in is known: where mail goes, and where goods go.
    let query = "mutation($items: [OrderItemInput!]!) { orderCreate(input: { items: $items, idempotencyKey: \"one\" }) {
        order { number email total shippingAddress { firstName city } customer { email } } userErrors { code field message } } }";
    let made = shop.ask_as(&token, query, json!({ "items": [{ "variantId": mug }] })).await;
    let made = order(&made, "orderCreate");
    assert_eq!(made["email"], made["customer"]["email"]);
    assert_eq!(made["shippingAddress"], json!({ "firstName": "Wanjiku", "city": "Nairobi" }));
    assert_eq!(made["total"], "100.00");
    let own = shop.ask_as(&token, "{ orders { totalCount nodes { number } } }", json!({})).await;
    assert_eq!(own.at("/orders"), &json!({ "totalCount": 1, "nodes": [{ "number": made["number"] }] }));
    shop.add_up().await;
    shop.settle().await;
}

async fn an_order_keeps_what_was_then(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 2)], json!({})).await, "orderCreate");
    shop.sql("UPDATE product SET name = 'Cup', price = 500, price_now = 500, price_max = 500").await.expect("a change");
    shop.sql("UPDATE variant SET price = 500, sku = 'CUP'").await.expect("a change");
    let staff = shop.sign_in(Role::Staff).await;
    let query = "query($id: ID) { order(id: $id) { total lines { sku name unitPrice total variant { sku } } } }";
    let seen = shop.ask_as(&staff, query, json!({ "id": made["id"] })).await;
    let line =
        json!({ "sku": "MUG", "name": "mug", "unitPrice": "100.00", "total": "200.00", "variant": { "sku": "CUP" } });
    assert_eq!(seen.at("/order"), &json!({ "total": "200.00", "lines": [line] }));
}

async fn the_same_request_is_one_order(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    let cart = shop.cart(None, &[(&mug, 2)]).await;
    let total = json!({ "expectedTotal": "200.00" });
    let all = (0..20).map(|_| shop.check_out(None, "the same", &cart, total.clone()));
    let all = futures_util::future::join_all(all).await;
    let first = order(&all[0], "checkoutComplete");
    for one in &all {
        assert_eq!(order(one, "checkoutComplete")["number"], first["number"]);
    }
    assert_eq!(shop.number("SELECT count(*) FROM customer_order").await, 1);
    let other = shop.check_out(None, "the same", &cart, json!({ "expectedTotal": "200.00", "note": "quickly" })).await;
    assert_eq!(other.problems("checkoutComplete"), pairs(&[("IDEMPOTENCY_MISMATCH", "input.idempotencyKey")]));
    let again = shop.check_out(None, "another", &cart, total).await;
    assert_eq!(again.problems("checkoutComplete"), pairs(&[("ILLEGAL_TRANSITION", "input.cartId")]));
    shop.add_up().await;
}

async fn what_cannot_be_bought_is_told_and_nothing_is(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(5)).await, shop.good("bowl", 100, Some(5)).await);
    let token = shop.sign_in(Role::Customer).await;
    let told = async |items: &[(&str, i64)], said: Value| {
        let key = shop.number("SELECT count(*) FROM idempotency").await;
        shop.order(None, &format!("key-{key}"), items, said).await.problems("orderCreate")
    };
    for wrong in [0, -1, 10_001, 1 << 31, i64::MAX] {
        let wrong = told(&[(&mug, 1), (&bowl, wrong)], json!({})).await;
        assert_eq!(wrong, pairs(&[("VALIDATION_ERROR", "input.items.1.quantity")]));
    }
    assert_eq!(told(&[(&mug, 6)], json!({})).await, pairs(&[("INSUFFICIENT_STOCK", "input.items.0.quantity")]));
    // Twice three of five are too many, though each alone is not.
    assert_eq!(
        told(&[(&mug, 3), (&mug, 3)], json!({})).await,
        pairs(&[("INSUFFICIENT_STOCK", "input.items.0.quantity")])
    );
    assert_eq!(told(&[], json!({})).await, pairs(&[("VALIDATION_ERROR", "input.items")]));
    let mut nowhere = address();
    nowhere["address"]["countryCode"] = json!("");
    let wrong = told(&[(&mug, 1)], json!({ "shippingAddress": nowhere })).await;
    assert_eq!(wrong, pairs(&[("VALIDATION_ERROR", "input.shippingAddress.countryCode")]));
    let wrong = told(&[(&mug, 1)], json!({ "phone": "call me", "email": "nobody" })).await;
    assert_eq!(wrong, pairs(&[("VALIDATION_ERROR", "input.email"), ("VALIDATION_ERROR", "input.phone")]));
    let wrong = told(&[(&mug, 1)], json!({ "email": null })).await;
    assert_eq!(wrong, pairs(&[("VALIDATION_ERROR", "input.email")]));
    let wrong = told(&[(&mug, 1)], json!({ "paymentMethod": "shells" })).await;
    assert_eq!(wrong, pairs(&[("VALIDATION_ERROR", "input.paymentMethod")]));
    shop.sql("UPDATE product SET status = 'archived' WHERE slug = 'bowl'").await.expect("archived");
    let wrong = told(&[(&mug, 1), (&bowl, 1)], json!({})).await;
    assert_eq!(wrong.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["PRODUCT_NOT_AVAILABLE"]);
    // Another's cart is none; an emptied one is told to be empty.
    let cart = shop.cart(Some(&token), &[(&mug, 1)]).await;
    let anothers = shop.check_out(None, "x", &cart, json!({ "expectedTotal": "1.00" })).await;
    assert_eq!(anothers.problems("checkoutComplete"), pairs(&[("NOT_FOUND", "input.cartId")]));
    let clear = "mutation($id: ID!) { cartClear(id: $id) { userErrors { code } } }";
    shop.ask_as(&token, clear, json!({ "id": cart })).await.at("/cartClear");
    let emptied = shop.check_out(Some(&token), "x", &cart, json!({ "expectedTotal": "100.00" })).await;
    assert_eq!(emptied.problems("checkoutComplete"), pairs(&[("VALIDATION_ERROR", "input.cartId")]));
    for table in ["customer_order", "stock_hold", "idempotency", "payment"] {
        assert_eq!(shop.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    shop.add_up().await;
}

async fn a_total_that_changed_is_told_and_the_cart_stays(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let cart = shop.cart(None, &[(&mug, 2)]).await;
    shop.sql("UPDATE variant SET price = 15000").await.expect("dearer");
    let told = shop.check_out(None, "k", &cart, json!({ "expectedTotal": "200.00" })).await;
    assert_eq!(told.problems("checkoutComplete"), pairs(&[("PRICE_CHANGED", "input.expectedTotal")]));
    let message = told.at("/checkoutComplete/userErrors/0/message").as_str().expect("words");
    assert!(message.contains("300.00") && message.contains("200.00"), "{message}");
    let seen = shop.see_cart(None, &cart).await;
    assert_eq!((&seen["state"], &seen["itemCount"]), (&json!("OPEN"), &json!(2)));
    // The same key may be tried again: nothing was made of it.
    order(&shop.check_out(None, "k", &cart, json!({ "expectedTotal": "300.00" })).await, "checkoutComplete");
}

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
    let lines =
        json!({ "lines": [{ "lineId": made["lines"][0]["id"], "quantity": 2, "restock": true }], "reason": "cracked" });
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
    assert_eq!(number(&all, "/lines/1/quantityUnfulfilled"), 0);
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

async fn nobody_sees_anothers_order(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let (mine, other) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await);
    let made = order(&shop.order(Some(&mine), "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let by_id = "query($id: ID!) { order(id: $id) { id } node(id: $id) { id } orders { nodes { id } } }";
    let seen = shop.ask_as(&mine, by_id, json!({ "id": made["id"] })).await;
    assert_eq!((&seen.at("/order/id"), &seen.at("/node/id")), (&&made["id"], &&made["id"]));
    let seen = shop.ask_as(&other, by_id, json!({ "id": made["id"] })).await;
    assert_eq!(seen.at(""), &json!({ "order": null, "node": null, "orders": { "nodes": [] } }));
    let query = "query($n: String, $t: String) { order(number: $n, token: $t) { id } }";
    for token in [Value::Null, json!(""), json!("guess")] {
        let seen = shop.ask_with(query, json!({ "n": made["number"], "t": token })).await;
        assert_eq!(seen.at("/order"), &Value::Null);
    }
    let told = shop.step(&other, "orderCancel", id(&made), None).await;
    assert_eq!(told.problems("orderCancel"), pairs(&[("NOT_FOUND", "id")]));
    assert_eq!(shop.ask("{ orders { nodes { id } } }").await.code(), "UNAUTHENTICATED");
}

async fn staff_find_orders(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(50)).await, shop.good("bowl", 30, Some(50)).await);
    let staff = shop.sign_in(Role::Staff).await;
    let token = shop.sign_in(Role::Customer).await;
    let mut numbers = Vec::new();
    for (at, (who, variant)) in [(None, &mug), (Some(&token), &bowl), (None, &bowl)].into_iter().enumerate() {
        shop.clock.set(moment(&format!("2026-11-01T09:0{}:00Z", at + 1)));
        let said = json!({ "email": format!("Buyer{at}@example.com"), "phone": format!("071234567{at}") });
        let made = shop.order(who.map(String::as_str), &format!("k{at}"), &[(variant, 1)], said).await;
        numbers.push(order(&made, "orderCreate")["number"].as_str().expect("a number").to_owned());
    }
    let found = async |filter: Value| {
        let query = "query($filter: OrderFilter) { orders(filter: $filter) { totalCount nodes { number } } }";
        let seen = shop.ask_as(&staff, query, json!({ "filter": filter })).await;
        let places =
            seen.texts("/orders/nodes", "number").into_iter().map(|one| numbers.iter().position(|n| *n == one));
        let places: Vec<usize> = places.map(|place| place.expect("one of these")).collect();
        assert_eq!(number(seen.at("/orders"), "/totalCount"), i64::try_from(places.len()).expect("few"));
        places
    };
    assert_eq!(found(json!({})).await, [2, 1, 0]);
    assert_eq!(found(json!({ "sku": "bowl" })).await, [2, 1]);
    assert_eq!(found(json!({ "search": "buyer1@" })).await, [1]);
    assert_eq!(found(json!({ "search": "0712 345672" })).await, [2]);
    assert_eq!(found(json!({ "search": "wanjiku" })).await, [2, 1, 0]);
    assert_eq!(found(json!({ "search": &numbers[0][..4] })).await, [0]);
    assert_eq!(found(json!({ "number": numbers[1].to_lowercase().replace('-', "") })).await, [1]);
    assert_eq!(found(json!({ "total": { "min": "31" } })).await, [0]);
    assert_eq!(
        found(json!({ "placedAt": { "from": "2026-11-01T09:02:00Z", "to": "2026-11-01T09:03:00Z" } })).await,
        [1]
    );
    assert_eq!(found(json!({ "status": ["CONFIRMED"], "paymentStatus": ["AUTHORISED"] })).await, [0_usize; 0]);
    assert_eq!(found(json!({ "fulfilmentStatus": ["UNFULFILLED"], "paymentStatus": ["AUTHORISED"] })).await, [2, 1, 0]);
    // Pages, both ways and both orders.
    let page = async |args: &str| {
        let query =
            format!("{{ orders({args}) {{ nodes {{ number }} pageInfo {{ endCursor startCursor hasNextPage }} }} }}");
        shop.ask_as(&staff, &query, json!({})).await
    };
    let first = page("first: 2, sort: { field: TOTAL }").await;
    assert_eq!(first.texts("/orders/nodes", "number"), [numbers[0].clone(), numbers[2].clone()]);
    let cursor = first.at("/orders/pageInfo/endCursor").as_str().expect("a cursor").to_owned();
    let second = page(&format!("first: 2, sort: {{ field: TOTAL }}, after: \"{cursor}\"")).await;
    assert_eq!(second.texts("/orders/nodes", "number"), [numbers[1].clone()]);
    page(&format!("first: 2, after: \"{cursor}\"")).await.blames("after");
    let last = page("last: 2, sort: { reverse: true }").await;
    assert_eq!(last.texts("/orders/nodes", "number"), [numbers[1].clone(), numbers[2].clone()]);
}

async fn a_list_of_orders_costs_what_one_costs(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(50)).await, shop.good("bowl", 30, Some(50)).await);
    let staff = shop.sign_in(Role::Staff).await;
    let query = "{ orders { nodes { number lines { sku variant { sku } } payments { amount } refunds { amount }
        fulfilments { lines { quantity } } history { kind person { email } } customer { email } } } }";
    let mut costs = Vec::new();
    for at in 0..12 {
        let made =
            order(&shop.order(None, &format!("k{at}"), &[(&mug, 1), (&bowl, 1)], json!({})).await, "orderCreate");
        order(&shop.step(&staff, "orderConfirm", id(&made), None).await, "orderConfirm");
        let parcel = Some(("OrderFulfilInput!", json!({ "idempotencyKey": "p" })));
        order(&shop.step(&staff, "orderFulfil", id(&made), parcel).await, "orderFulfil");
        let seen = shop.ask_as(&staff, query, json!({})).await;
        assert_eq!(seen.at("/orders/nodes").as_array().map(Vec::len), Some(at + 1));
        costs.push(seen.statements);
    }
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    // Buying costs the same for one line and for many.
    let one = shop.order(None, "one", &[(&mug, 1)], json!({})).await;
    let all = [(mug.as_str(), 1), (bowl.as_str(), 1)];
    let two = shop.order(None, "two", &all, json!({})).await;
    assert_eq!(one.statements, two.statements);
    shop.add_up().await;
}
