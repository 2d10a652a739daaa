//! Checkout from a cart or from given items.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, ORDER_FIELDS, TestApp, shipping_address},
};

integration_tests![
    guest_checkout_is_confirmed_fulfilled_and_delivered,
    customer_order_uses_saved_contact_and_is_listed,
    order_keeps_prices_and_names_of_placement,
    repeated_checkout_with_same_key_creates_one_order,
    invalid_order_reports_errors_and_changes_nothing,
    checkout_with_changed_total_is_rejected_and_cart_stays_open,
];

/// Returns the order of a mutation; panics on user errors.
pub fn expect_order(response: &GraphqlResponse, mutation: &str) -> Value {
    assert_eq!(response.user_errors(mutation), [], "{}", response.body);
    response.data_at(&format!("/{mutation}/order")).clone()
}

/// Returns the ID of an order.
pub fn order_id(order: &Value) -> &str {
    order["id"].as_str().expect("an id")
}

/// Returns error codes and fields as listed in a response.
pub fn error_pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(code, field)| ((*code).to_owned(), (*field).to_owned())).collect()
}

async fn guest_checkout_is_confirmed_fulfilled_and_delivered(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let (mug, bowl) = (app.create_product("mug", 1160, Some(5)).await, app.create_product("bowl", 2320, Some(2)).await);
    let cart = app.create_cart(None, &[(&mug, 2), (&bowl, 1)]).await;
    let shipping_methods = app.query_with_variables(
        "query($id: ID!) { cart(id: $id) { availableShippingOptions { shippingMethodId price { amount } } } }",
        json!({ "id": cart }),
    );
    let shipping_method = shipping_methods.await.data_at("/cart/availableShippingOptions/0/shippingMethodId").clone();
    let rejected = app.complete_checkout(None, "k1", &cart, json!({})).await;
    assert_eq!(
        rejected.user_errors("checkoutComplete"),
        error_pairs(&[("VALIDATION_ERROR", "input.shippingMethodId")])
    );
    let choose = "mutation($id: ID!, $way: ID) { cartShippingMethodUpdate(id: $id, shippingMethodId: $way) { userErrors { code } } }";
    assert_eq!(
        app.query_with_variables(choose, json!({ "id": cart, "way": shipping_method }))
            .await
            .user_errors("cartShippingMethodUpdate"),
        []
    );
    let response = app.complete_checkout(None, "k1", &cart, json!({ "phone": "0712 345678" })).await;
    let placed_order = expect_order(&response, "checkoutComplete");
    assert_eq!(
        (&placed_order["status"], &placed_order["paymentStatus"]),
        (&json!("PENDING"), &json!("PENDING")),
        "{placed_order}"
    );
    assert_eq!(placed_order["phone"], "+254712345678");
    assert_eq!(app.query_scalar("SELECT sum(reserved) FROM inventory_level").await, 3);
    assert_eq!(app.query_cart(None, &cart).await["status"], "ORDERED");
    app.assert_invariants().await;

    let staff = app.login(Role::Staff).await;
    let confirmed = expect_order(
        &app.run_order_mutation(&staff, "orderConfirm", order_id(&placed_order), None).await,
        "orderConfirm",
    );
    assert_eq!(confirmed["status"], "CONFIRMED");
    let parcel = json!({ "idempotencyKey": "p1", "carrier": "G4S", "trackingNumber": "KE1",
        "trackingUrl": "https://track.example/KE1" });
    let fulfill = Some(("OrderFulfillInput!", parcel));
    let sent = expect_order(
        &app.run_order_mutation(&staff, "orderFulfill", order_id(&placed_order), fulfill.clone()).await,
        "orderFulfill",
    );
    assert_eq!((&sent["status"], &sent["fulfillmentStatus"]), (&json!("SHIPPED"), &json!("FULFILLED")));
    // A replayed request sends no further notification.
    assert_eq!(
        expect_order(
            &app.run_order_mutation(&staff, "orderFulfill", order_id(&placed_order), fulfill).await,
            "orderFulfill"
        ),
        sent
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM fulfillment").await, 1);
    assert_eq!(app.query_scalar("SELECT sum(on_hand) FROM inventory_level").await, 4);
    let paid = expect_order(
        &app.run_order_mutation(&staff, "orderCapture", order_id(&placed_order), None).await,
        "orderCapture",
    );
    assert_eq!(
        (&paid["paymentStatus"], &paid["payments"][0]["capturedAmount"]["amount"]),
        (&json!("PAID"), &placed_order["cost"]["total"]["amount"])
    );
    let delivered_order = expect_order(
        &app.run_order_mutation(&staff, "orderDeliver", order_id(&placed_order), None).await,
        "orderDeliver",
    );
    assert_eq!(delivered_order["status"], "DELIVERED");
    let query = format!("query($n: String, $t: String) {{ order(number: $n, token: $t) {{ {ORDER_FIELDS} }} }}");
    let number = placed_order["number"].as_str().expect("a number").to_lowercase();
    let order_json = app
        .query_with_variables(&query, json!({ "n": number, "t": placed_order["token"] }))
        .await
        .data_at("/order")
        .clone();
    let steps: Vec<_> =
        order_json["history"].as_array().expect("a history").iter().map(|entry| &entry["toStatus"]).collect();
    let to = |status: &str| json!(status);
    assert_eq!(
        steps,
        [&Value::Null, &Value::Null, &to("CONFIRMED"), &Value::Null, &to("SHIPPED"), &Value::Null, &to("DELIVERED")],
        "{order_json}"
    );
    assert_eq!(order_json["history"][0]["actor"], "ANONYMOUS");
    assert_eq!(order_json["history"][2]["actor"], "ACCOUNT");
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn customer_order_uses_saved_contact_and_is_listed(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let token = app.login(Role::Customer).await;
    crate::customers::create_address(&app, &token, crate::customers::home_address()).await;
    let update = "mutation { customerUpdate(input: { phone: \"0733 000001\" }) { userErrors { code } } }";
    assert_eq!(app.query_as(&token, update, json!({})).await.user_errors("customerUpdate"), []);
    // For logged-in customers the email, phone and address come from the account.
    let query = "mutation($lines: [LineInput!]!) { orderCreate(input: { lines: $lines, paymentMethodId: \"cash_on_delivery\", idempotencyKey: \"one\" }) {
        order { number email phone cost { total { amount } } shippingAddress { firstName city } customer { email } } userErrors { code field message } } }";
    let placed_order = app.query_as(&token, query, json!({ "lines": [{ "variantId": mug }] })).await;
    let placed_order = expect_order(&placed_order, "orderCreate");
    assert_eq!(placed_order["email"], placed_order["customer"]["email"]);
    assert_eq!(placed_order["phone"], "+254733000001");
    assert_eq!(placed_order["shippingAddress"], json!({ "firstName": "Wanjiku", "city": "Nairobi" }));
    assert_eq!(placed_order["cost"]["total"]["amount"], "100.00");
    let own_orders = app.query_as(&token, "{ orders { totalCount nodes { number } } }", json!({})).await;
    assert_eq!(
        own_orders.data_at("/orders"),
        &json!({ "totalCount": 1, "nodes": [{ "number": placed_order["number"] }] })
    );
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn order_keeps_prices_and_names_of_placement(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 2)], json!({})).await, "orderCreate");
    app.execute_sql("UPDATE product SET name = 'Cup', price = 500, current_price = 500, max_current_price = 500")
        .await
        .expect("a change");
    app.execute_sql("UPDATE variant SET price = 500, sku = 'CUP'").await.expect("a change");
    let staff = app.login(Role::Staff).await;
    let query = "query($id: ID) { order(id: $id) { cost { total { amount } } lines { sku name variant { sku } cost { unitPrice { amount } total { amount } } } } }";
    let response = app.query_as(&staff, query, json!({ "id": placed_order["id"] })).await;
    let line = json!({ "sku": "MUG", "name": "mug", "variant": { "sku": "CUP" },
            "cost": { "unitPrice": { "amount": "100.00" }, "total": { "amount": "200.00" } } });
    assert_eq!(response.data_at("/order"), &json!({ "cost": { "total": { "amount": "200.00" } }, "lines": [line] }));
}

async fn repeated_checkout_with_same_key_creates_one_order(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let cart = app.create_cart(None, &[(&mug, 2)]).await;
    let total = json!({ "expectedTotal": "200.00" });
    let all = (0..20).map(|_| app.complete_checkout(None, "the same", &cart, total.clone()));
    let all = futures_util::future::join_all(all).await;
    let first = expect_order(&all[0], "checkoutComplete");
    for response in &all {
        assert_eq!(expect_order(response, "checkoutComplete")["number"], first["number"]);
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders").await, 1);
    let other =
        app.complete_checkout(None, "the same", &cart, json!({ "expectedTotal": "200.00", "note": "quickly" })).await;
    assert_eq!(other.user_errors("checkoutComplete"), error_pairs(&[("IDEMPOTENCY_MISMATCH", "input.idempotencyKey")]));
    let repeated = app.complete_checkout(None, "another", &cart, total).await;
    assert_eq!(repeated.user_errors("checkoutComplete"), error_pairs(&[("ILLEGAL_TRANSITION", "input.cartId")]));
    app.assert_invariants().await;
}

async fn invalid_order_reports_errors_and_changes_nothing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(5)).await, app.create_product("bowl", 100, Some(5)).await);
    let token = app.login(Role::Customer).await;
    let order_errors = async |items: &[(&str, i64)], overrides: Value| {
        let key = app.query_scalar("SELECT count(*) FROM idempotency_key").await;
        app.create_order(None, &format!("key-{key}"), items, overrides).await.user_errors("orderCreate")
    };
    for invalid in [0, -1, 10_001, i32::MAX.into()] {
        let invalid = order_errors(&[(&mug, 1), (&bowl, invalid)], json!({})).await;
        assert_eq!(invalid, error_pairs(&[("VALIDATION_ERROR", "input.lines.1.quantity")]));
    }
    for invalid in [1 << 31, i64::MAX] {
        let response = app.create_order(None, "key", &[(&mug, 1), (&bowl, invalid)], json!({})).await;
        assert_eq!(response.error_code(), "GRAPHQL_VALIDATION_FAILED");
    }
    assert_eq!(
        order_errors(&[(&mug, 6)], json!({})).await,
        error_pairs(&[("INSUFFICIENT_STOCK", "input.lines.0.quantity")])
    );
    // Twice three of five exceeds the stock, though each line does not.
    assert_eq!(
        order_errors(&[(&mug, 3), (&mug, 3)], json!({})).await,
        error_pairs(&[("INSUFFICIENT_STOCK", "input.lines.0.quantity")])
    );
    assert_eq!(order_errors(&[], json!({})).await, error_pairs(&[("VALIDATION_ERROR", "input.lines")]));
    let mut invalid_address = shipping_address();
    invalid_address["address"]["countryCode"] = json!("");
    let invalid = order_errors(&[(&mug, 1)], json!({ "shippingAddress": invalid_address })).await;
    assert_eq!(invalid, error_pairs(&[("VALIDATION_ERROR", "input.shippingAddress.countryCode")]));
    let invalid = order_errors(&[(&mug, 1)], json!({ "phone": "call me", "email": "nobody" })).await;
    assert_eq!(invalid, error_pairs(&[("VALIDATION_ERROR", "input.email"), ("VALIDATION_ERROR", "input.phone")]));
    let invalid = order_errors(&[(&mug, 1)], json!({ "email": null })).await;
    assert_eq!(invalid, error_pairs(&[("VALIDATION_ERROR", "input.email")]));
    let invalid = order_errors(&[(&mug, 1)], json!({ "paymentMethodId": "shells" })).await;
    assert_eq!(invalid, error_pairs(&[("VALIDATION_ERROR", "input.paymentMethodId")]));
    app.execute_sql("UPDATE product SET status = 'archived' WHERE slug = 'bowl'").await.expect("archived");
    let invalid = order_errors(&[(&mug, 1), (&bowl, 1)], json!({})).await;
    assert_eq!(invalid.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["NOT_FOUND"]);
    // Another caller's cart is not found; an emptied cart is reported as empty.
    let cart = app.create_cart(Some(&token), &[(&mug, 1)]).await;
    let foreign_cart_response = app.complete_checkout(None, "x", &cart, json!({ "expectedTotal": "1.00" })).await;
    assert_eq!(foreign_cart_response.user_errors("checkoutComplete"), error_pairs(&[("NOT_FOUND", "input.cartId")]));
    let clear = "mutation($id: ID!) { cartClear(id: $id) { userErrors { code } } }";
    app.query_as(&token, clear, json!({ "id": cart })).await.data_at("/cartClear");
    let empty_cart_response =
        app.complete_checkout(Some(&token), "x", &cart, json!({ "expectedTotal": "100.00" })).await;
    assert_eq!(
        empty_cart_response.user_errors("checkoutComplete"),
        error_pairs(&[("VALIDATION_ERROR", "input.cartId")])
    );
    for table in ["orders", "stock_reservation", "idempotency_key", "payment"] {
        assert_eq!(app.query_scalar(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    app.assert_invariants().await;
}

async fn checkout_with_changed_total_is_rejected_and_cart_stays_open(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let cart = app.create_cart(None, &[(&mug, 2)]).await;
    app.execute_sql("UPDATE variant SET price = 15000").await.expect("dearer");
    let response = app.complete_checkout(None, "k", &cart, json!({ "expectedTotal": "200.00" })).await;
    assert_eq!(response.user_errors("checkoutComplete"), error_pairs(&[("PRICE_CHANGED", "input.expectedTotal")]));
    let message = response.data_at("/checkoutComplete/userErrors/0/message").as_str().expect("words");
    assert!(message.contains("300.00") && message.contains("200.00"), "{message}");
    let cart_json = app.query_cart(None, &cart).await;
    assert_eq!((&cart_json["status"], &cart_json["itemCount"]), (&json!("OPEN"), &json!(2)));
    // The key is still unused: no order was created.
    expect_order(
        &app.complete_checkout(None, "k", &cart, json!({ "expectedTotal": "300.00" })).await,
        "checkoutComplete",
    );
}
