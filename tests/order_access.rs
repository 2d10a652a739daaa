//! Access to orders: who is shown the token, who cancels with it, whose idempotency keys are whose, and what is told of
//! products that are not for sale.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    orders::{id, order, pairs},
    shop::{Answer, Backend, ORDER, Shop, address},
    stories,
};

stories![
    order_token_for_a_reader_is_null,
    order_token_for_its_buyer_is_shown,
    order_cancel_with_token_by_another_customer_cancels,
    order_create_with_a_hidden_variant_names_nothing,
    idempotency_key_of_two_guests_makes_two_orders,
    checkout_beside_the_erasure_of_its_customer_does_not_deadlock,
];

const TOKENS: &str = "query($id: ID, $n: String, $t: String) { byId: order(id: $id) { number token }
    byNumber: order(number: $n, token: $t) { number token } }";

/// The tokens that a caller is shown: by the order's id, and by its number with a token.
async fn tokens(shop: &Shop, token: Option<&str>, made: &Value, given: Option<&str>) -> [Value; 2] {
    let variables = json!({ "id": made["id"], "n": made["number"], "t": given });
    let seen = shop.ask_maybe(token, TOKENS, variables).await;
    ["byId", "byNumber"].map(|name| seen.at(&format!("/{name}")).get("token").cloned().unwrap_or_default())
}

async fn order_token_for_a_reader_is_null(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let secret = made["token"].as_str().expect("the buyer's token");
    let admin = shop.sign_in(Role::Admin).await;
    let create = "mutation { apiKeyCreate(input: { name: \"Reports\", permissions: [ORDER_READ] }) {
        apiKey { key } userErrors { code } } }";
    let key = shop.ask_as(&admin, create, json!({})).await.at("/apiKeyCreate/apiKey/key").clone();
    let key = key.as_str().expect("a key");
    assert_eq!(tokens(&shop, Some(key), &made, None).await, [Value::Null, Value::Null]);
    let list = shop.ask_as(key, "{ orders(first: 5) { nodes { number token } } }", json!({})).await;
    assert_eq!(list.at("/orders/nodes"), &json!([{ "number": made["number"], "token": null }]));
    // Without the token it cannot cancel; who shows the token, or may write orders, is shown it.
    let gone = shop.step(key, "orderCancel", id(&made), None).await;
    assert_eq!(gone.problems("orderCancel"), pairs(&[("NOT_FOUND", "id")]));
    assert_eq!(tokens(&shop, None, &made, Some(secret)).await, [Value::Null, json!(secret)]);
    assert_eq!(tokens(&shop, None, &made, Some("a guess")).await, [Value::Null, Value::Null]);
    assert_eq!(tokens(&shop, Some(&admin), &made, None).await, [json!(secret), json!(secret)]);
}

async fn order_token_for_its_buyer_is_shown(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let (buyer, other) = (shop.sign_in(Role::Customer).await, shop.sign_in(Role::Customer).await);
    let made = order(&shop.order(Some(&buyer), "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let own = json!(made["token"].as_str().expect("a token"));
    assert_eq!(tokens(&shop, Some(&buyer), &made, None).await, [own.clone(), own.clone()]);
    assert_eq!(tokens(&shop, Some(&other), &made, None).await, [Value::Null, Value::Null]);
    let list = shop.ask_as(&buyer, "{ me { orders(first: 5) { nodes { token } } } }", json!({})).await;
    assert_eq!(list.at("/me/orders/nodes/0/token"), &own);
}

async fn order_cancel_with_token_by_another_customer_cancels(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(5)).await;
    let made = order(&shop.order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let customer = shop.sign_in(Role::Customer).await;
    let cancel = async |token: Value| {
        let input = Some(("OrderCancelInput", json!({ "token": token })));
        shop.step(&customer, "orderCancel", id(&made), input).await
    };
    assert_eq!(cancel(json!("a guess")).await.problems("orderCancel"), pairs(&[("NOT_FOUND", "id")]));
    let gone = order(&cancel(made["token"].clone()).await, "orderCancel");
    assert_eq!((&gone["status"], &gone["token"]), (&json!("CANCELLED"), &made["token"]));
    shop.add_up().await;
    shop.settle().await;
}

async fn order_create_with_a_hidden_variant_names_nothing(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("secret-mug", 100, Some(5)).await;
    let staff = shop.sign_in(Role::Admin).await;
    let told = |answer: &Answer| answer.at("/orderCreate/userErrors/0").clone();
    for hide in ["status = 'draft'", "status = 'archived'", "status = 'active', deleted_at = created_at"] {
        shop.sql(&format!("UPDATE product SET {hide}")).await.expect("a change");
        let answer = shop.order(None, hide, &[(&mug, 1)], json!({})).await;
        assert_eq!(answer.problems("orderCreate"), pairs(&[("NOT_FOUND", "input.items.0")]), "{hide}");
        assert!(!told(&answer).to_string().to_lowercase().contains("secret"), "{hide}: {}", answer.body);
        let answer = shop.order(Some(&staff), hide, &[(&mug, 1)], json!({})).await;
        let code = if hide.contains("deleted") { "NOT_FOUND" } else { "PRODUCT_NOT_AVAILABLE" };
        assert_eq!(answer.problems("orderCreate"), pairs(&[(code, "input.items.0")]), "{hide}");
    }
    shop.sql("UPDATE product SET deleted_at = NULL").await.expect("a change");
    let cart = shop.cart(None, &[(&mug, 1)]).await;
    shop.sql("UPDATE product SET status = 'archived'").await.expect("a change");
    let answer = shop.check_out(None, "k", &cart, json!({ "expectedTotal": "100.00" })).await;
    assert_eq!(answer.problems("checkoutComplete"), pairs(&[("PRODUCT_NOT_AVAILABLE", "lines.0")]));
    let message = answer.at("/checkoutComplete/userErrors/0/message").as_str().expect("a message");
    assert!(message.contains("secret-mug"), "a cart of one's own is told by name: {message}");
}

async fn idempotency_key_of_two_guests_makes_two_orders(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(9)).await;
    let buy =
        async |email: &str| order(&shop.order(None, "1", &[(&mug, 1)], json!({ "email": email })).await, "orderCreate");
    let (amani, baraka) = (buy("amani@example.com").await, buy("baraka@example.com").await);
    assert_ne!(amani["number"], baraka["number"]);
    assert_eq!(buy("amani@example.com").await["number"], amani["number"], "the same request is the same order");
    // The same guest with another input under the same key is refused.
    let again = shop.order(None, "1", &[(&mug, 2)], json!({ "email": "amani@example.com" })).await;
    assert_eq!(again.problems("orderCreate"), pairs(&[("IDEMPOTENCY_MISMATCH", "input.idempotencyKey")]));
    let mut totals = Vec::new();
    for _ in 0..2 {
        let cart = shop.cart(None, &[(&mug, 1)]).await;
        totals.push(order(&shop.check_out(None, "1", &cart, json!({})).await, "checkoutComplete")["number"].clone());
    }
    assert_ne!(totals[0], totals[1]);
    shop.add_up().await;
}

async fn checkout_beside_the_erasure_of_its_customer_does_not_deadlock(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 100, Some(50)).await;
    for round in 0..8 {
        let customer = shop.sign_in(Role::Customer).await;
        let cart = shop.cart(Some(&customer), &[(&mug, 1)]).await;
        let buy = format!(
            "mutation($input: CheckoutCompleteInput!) {{ checkoutComplete(input: $input) {{ order {{ {ORDER} }}
            userErrors {{ code field }} }} }}"
        );
        let input = json!({ "cartId": cart, "idempotencyKey": "k", "email": "wanjiku@example.com",
            "shippingAddress": address(), "expectedTotal": "100.00" });
        let buying = shop.ask_as(&customer, &buy, json!({ "input": input }));
        let erasing =
            shop.ask_as(&customer, "mutation { customerDelete { deletedCustomerId userErrors { code } } }", json!({}));
        let (bought, gone) = if round % 2 == 0 {
            futures_util::future::join(buying, erasing).await
        } else {
            let (gone, bought) = futures_util::future::join(erasing, buying).await;
            (bought, gone)
        };
        assert_eq!(gone.problems("customerDelete"), [], "{}", gone.body);
        // Either there is an order, or the cart or the account was gone already; never a fault of the shop's.
        let fault = bought.body["errors"][0]["extensions"]["code"].as_str().filter(|code| *code != "UNAUTHENTICATED");
        assert_eq!(fault, None, "{}", bought.body);
    }
    let ended = "SELECT COUNT(*) FROM customer_order AS o WHERE o.status = 'pending' AND o.email IS NULL";
    assert_eq!(shop.number(ended).await, 0, "an order under way names its buyer");
    shop.add_up().await;
}
