//! From a cart, or a list, to an order.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, ORDER, Shop, address},
    stories,
};

stories![
    a_guest_buys_from_the_cart_to_the_door,
    a_customer_buys_and_finds_the_order,
    an_order_keeps_what_was_then,
    the_same_request_is_one_order,
    what_cannot_be_bought_is_told_and_nothing_is,
    a_total_that_changed_is_told_and_the_cart_stays,
];

/// The order that a mutation answers; the story fails when it tells of problems.
pub fn order(answer: &Answer, mutation: &str) -> Value {
    assert_eq!(answer.problems(mutation), [], "{}", answer.body);
    answer.at(&format!("/{mutation}/order")).clone()
}

/// Its id.
pub fn id(order: &Value) -> &str {
    order["id"].as_str().expect("an id")
}

/// Problems as an answer lists them.
pub fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
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
    assert_eq!((&made["status"], &made["paymentStatus"]), (&json!("PENDING"), &json!("PENDING")), "{made}");
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
        [&Value::Null, &Value::Null, &to("CONFIRMED"), &Value::Null, &to("SHIPPED"), &Value::Null, &to("DELIVERED")],
        "{seen}"
    );
    assert_eq!(seen["history"][0]["actor"], "GUEST");
    assert_eq!(seen["history"][2]["actor"], "PERSON");
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
    assert_eq!(wrong.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["NOT_FOUND"]);
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
