//! Access to orders: visibility of the token, cancellation with it, scopes of idempotency keys, and errors about
//! products that are not for sale.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    support::{Backend, GraphqlResponse, ORDER_FIELDS, TestApp, shipping_address},
};

integration_tests![
    order_token_for_a_reader_is_null,
    order_token_for_its_buyer_is_shown,
    order_cancel_with_token_by_another_customer_succeeds,
    order_create_with_a_hidden_variant_discloses_nothing,
    idempotency_key_of_two_guests_creates_two_orders,
    checkout_concurrent_with_customer_erasure_does_not_deadlock,
];

const ORDER_TOKENS: &str = "query($id: ID, $n: String, $t: String) { byId: order(id: $id) { number token }
    byNumber: order(number: $n, token: $t) { number token } }";

/// The tokens that a caller is shown: by the order's id, and by its number with a token.
async fn query_order_tokens(
    app: &TestApp,
    token: Option<&str>,
    placed_order: &Value,
    order_token: Option<&str>,
) -> [Value; 2] {
    let variables = json!({ "id": placed_order["id"], "n": placed_order["number"], "t": order_token });
    let response = app.query_maybe_as(token, ORDER_TOKENS, variables).await;
    ["byId", "byNumber"].map(|name| response.data_at(&format!("/{name}")).get("token").cloned().unwrap_or_default())
}

async fn order_token_for_a_reader_is_null(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let secret = placed_order["token"].as_str().expect("the buyer's token");
    let admin = app.login(Role::Admin).await;
    let create = "mutation { apiKeyCreate(input: { name: \"Reports\", permissions: [ORDER_READ] }) {
        apiKey { key } userErrors { code } } }";
    let key = app.query_as(&admin, create, json!({})).await.data_at("/apiKeyCreate/apiKey/key").clone();
    let key = key.as_str().expect("a key");
    assert_eq!(query_order_tokens(&app, Some(key), &placed_order, None).await, [Value::Null, Value::Null]);
    let list = app.query_as(key, "{ orders(first: 5) { nodes { number token } } }", json!({})).await;
    assert_eq!(list.data_at("/orders/nodes"), &json!([{ "number": placed_order["number"], "token": null }]));
    // Without the token it cannot cancel; who shows the token, or may write orders, is shown it.
    let cancel_response = app.run_order_mutation(key, "orderCancel", order_id(&placed_order), None).await;
    assert_eq!(cancel_response.user_errors("orderCancel"), error_pairs(&[("NOT_FOUND", "id")]));
    assert_eq!(query_order_tokens(&app, None, &placed_order, Some(secret)).await, [Value::Null, json!(secret)]);
    assert_eq!(query_order_tokens(&app, None, &placed_order, Some("a guess")).await, [Value::Null, Value::Null]);
    assert_eq!(query_order_tokens(&app, Some(&admin), &placed_order, None).await, [json!(secret), json!(secret)]);
}

async fn order_token_for_its_buyer_is_shown(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let (buyer, other) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    let placed_order = expect_order(&app.create_order(Some(&buyer), "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let own_token = json!(placed_order["token"].as_str().expect("a token"));
    assert_eq!(
        query_order_tokens(&app, Some(&buyer), &placed_order, None).await,
        [own_token.clone(), own_token.clone()]
    );
    assert_eq!(query_order_tokens(&app, Some(&other), &placed_order, None).await, [Value::Null, Value::Null]);
    let list = app.query_as(&buyer, "{ me { customer { orders(first: 5) { nodes { token } } } } }", json!({})).await;
    assert_eq!(list.data_at("/me/customer/orders/nodes/0/token"), &own_token);
}

async fn order_cancel_with_token_by_another_customer_succeeds(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let customer = app.login(Role::Customer).await;
    let cancel = async |token: Value| {
        let input = Some(("OrderCancelInput", json!({ "token": token })));
        app.run_order_mutation(&customer, "orderCancel", order_id(&placed_order), input).await
    };
    assert_eq!(cancel(json!("a guess")).await.user_errors("orderCancel"), error_pairs(&[("NOT_FOUND", "id")]));
    let canceled_order = expect_order(&cancel(placed_order["token"].clone()).await, "orderCancel");
    assert_eq!((&canceled_order["status"], &canceled_order["token"]), (&json!("CANCELED"), &placed_order["token"]));
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn order_create_with_a_hidden_variant_discloses_nothing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("secret-mug", 100, Some(5)).await;
    let staff = app.login(Role::Admin).await;
    let first_user_error = |response: &GraphqlResponse| response.data_at("/orderCreate/userErrors/0").clone();
    for hiding_change in ["status = 'draft'", "status = 'archived'", "status = 'active', deleted_at = created_at"] {
        app.execute_sql(&format!("UPDATE product SET {hiding_change}")).await.expect("a change");
        let response = app.create_order(None, hiding_change, &[(&mug, 1)], json!({})).await;
        assert_eq!(
            response.user_errors("orderCreate"),
            error_pairs(&[("NOT_FOUND", "input.lines.0")]),
            "{hiding_change}"
        );
        assert!(
            !first_user_error(&response).to_string().to_lowercase().contains("secret"),
            "{hiding_change}: {}",
            response.body
        );
        let response = app.create_order(Some(&staff), hiding_change, &[(&mug, 1)], json!({})).await;
        let code = if hiding_change.contains("deleted") { "NOT_FOUND" } else { "PRODUCT_NOT_AVAILABLE" };
        assert_eq!(response.user_errors("orderCreate"), error_pairs(&[(code, "input.lines.0")]), "{hiding_change}");
    }
    app.execute_sql("UPDATE product SET deleted_at = NULL").await.expect("a change");
    let cart = app.create_cart(None, &[(&mug, 1)]).await;
    app.execute_sql("UPDATE product SET status = 'archived'").await.expect("a change");
    let response = app.complete_checkout(None, "k", &cart, json!({ "expectedTotal": "100.00" })).await;
    assert_eq!(response.user_errors("checkoutComplete"), error_pairs(&[("PRODUCT_NOT_AVAILABLE", "lines.0")]));
    let message = response.data_at("/checkoutComplete/userErrors/0/message").as_str().expect("a message");
    assert!(message.contains("secret-mug"), "a cart of one's own is told by name: {message}");
}

async fn idempotency_key_of_two_guests_creates_two_orders(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(9)).await;
    let buy = async |email: &str| {
        expect_order(&app.create_order(None, "1", &[(&mug, 1)], json!({ "email": email })).await, "orderCreate")
    };
    let (amani, baraka) = (buy("amani@example.com").await, buy("baraka@example.com").await);
    assert_ne!(amani["number"], baraka["number"]);
    assert_eq!(buy("amani@example.com").await["number"], amani["number"], "the same request is the same order");
    // The same guest with another input under the same key is refused.
    let repeated = app.create_order(None, "1", &[(&mug, 2)], json!({ "email": "amani@example.com" })).await;
    assert_eq!(repeated.user_errors("orderCreate"), error_pairs(&[("IDEMPOTENCY_MISMATCH", "input.idempotencyKey")]));
    let mut totals = Vec::new();
    for _ in 0..2 {
        let cart = app.create_cart(None, &[(&mug, 1)]).await;
        totals.push(
            expect_order(&app.complete_checkout(None, "1", &cart, json!({})).await, "checkoutComplete")["number"]
                .clone(),
        );
    }
    assert_ne!(totals[0], totals[1]);
    app.assert_invariants().await;
}

async fn checkout_concurrent_with_customer_erasure_does_not_deadlock(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    for round in 0..8 {
        let customer = app.login(Role::Customer).await;
        let cart = app.create_cart(Some(&customer), &[(&mug, 1)]).await;
        let buy = format!(
            "mutation($input: CheckoutCompleteInput!) {{ checkoutComplete(input: $input) {{ order {{ {ORDER_FIELDS} }}
            userErrors {{ code field }} }} }}"
        );
        let input = json!({ "cartId": cart, "paymentMethodId": "cash_on_delivery", "idempotencyKey": "k", "email": "wanjiku@example.com",
            "shippingAddress": shipping_address(), "expectedTotal": "100.00" });
        let buying = app.query_as(&customer, &buy, json!({ "input": input }));
        let erasing =
            app.query_as(&customer, "mutation { customerDelete { deletedId userErrors { code } } }", json!({}));
        let (order_response, erase_response) = if round % 2 == 0 {
            futures_util::future::join(buying, erasing).await
        } else {
            let (erase_response, order_response) = futures_util::future::join(erasing, buying).await;
            (order_response, erase_response)
        };
        assert_eq!(erase_response.user_errors("customerDelete"), [], "{}", erase_response.body);
        // Either there is an order, or the cart or the account was gone already; never a fault of the shop's.
        let fault =
            order_response.body["errors"][0]["extensions"]["code"].as_str().filter(|code| *code != "UNAUTHENTICATED");
        assert_eq!(fault, None, "{}", order_response.body);
    }
    let pending_count_sql = "SELECT COUNT(*) FROM orders AS o WHERE o.status = 'pending' AND o.email IS NULL";
    assert_eq!(app.query_scalar(pending_count_sql).await, 0, "an order under way names its buyer");
    app.assert_invariants().await;
}
