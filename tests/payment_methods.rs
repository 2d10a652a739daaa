//! Payment methods: which are enabled, and for which orders.

use serde_json::json;

use crate::{
    checkout::error_pairs,
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![payment_methods_of_the_shop_are_listed, payment_method_that_is_not_available_is_rejected];

async fn payment_methods_of_the_shop_are_listed(backend: Backend) {
    let settings = [("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "cash_on_delivery, bank_transfer, pay_at_counter, test")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let fields = "id kind name instructions minAmount { amount } countries";
    let shop = app.query(&format!("{{ shop {{ paymentMethods {{ {fields} }} }} }}")).await;
    let ids = shop.strings_at("/shop/paymentMethods", "id");
    assert_eq!(ids, ["cash_on_delivery", "bank_transfer", "pay_at_counter", "test"]);
    let mug = app.create_product("mug", 100, Some(5)).await;
    let cart = app.create_cart(None, &[(&mug, 1)]).await;
    let query = "query($id: ID!) { cart(id: $id) { paymentMethods { id kind } } }";
    let listed = app.query_with_variables(query, json!({ "id": cart })).await;
    assert_eq!(listed.strings_at("/cart/paymentMethods", "id"), ids);
    assert_eq!(listed.data_at("/cart/paymentMethods/1/kind"), "BANK_TRANSFER");
}

async fn payment_method_that_is_not_available_is_rejected(backend: Backend) {
    let settings = [
        ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "cash_on_delivery, bank_transfer"),
        ("SAVANNAH_PAYMENT__METHODS__CASH_ON_DELIVERY__MAX_AMOUNT", "150"),
        ("SAVANNAH_PAYMENT__METHODS__BANK_TRANSFER__MIN_AMOUNT", "150.00"),
        ("SAVANNAH_PAYMENT__METHODS__BANK_TRANSFER__COUNTRIES", "UG, KE"),
    ];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let order = async |key: &str, method: &str, quantity: i64| {
        let overrides = json!({ "paymentMethodId": method });
        app.create_order(None, key, &[(&mug, quantity)], overrides).await.user_errors("orderCreate")
    };
    let rejected = error_pairs(&[("VALIDATION_ERROR", "input.paymentMethodId")]);
    assert_eq!(order("a", "pay_at_counter", 1).await, rejected, "it is not enabled");
    assert_eq!(order("b", "test", 1).await, rejected);
    assert_eq!(order("c", "cash_on_delivery", 2).await, rejected, "the total is too high");
    assert_eq!(order("d", "bank_transfer", 1).await, rejected, "the total is too low");
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders").await, 0);
    let cart = app.create_cart(None, &[(&mug, 2)]).await;
    let query = "query($id: ID!) { cart(id: $id) { paymentMethods { id minAmount { amount } countries } } }";
    let listed = app.query_with_variables(query, json!({ "id": cart })).await;
    let expected = json!([{ "id": "bank_transfer", "minAmount": { "amount": "150.00" }, "countries": ["UG", "KE"] }]);
    assert_eq!(listed.data_at("/cart/paymentMethods"), &expected);
    assert_eq!(order("e", "cash_on_delivery", 1).await, []);
    assert_eq!(order("f", "bank_transfer", 2).await, []);
    // No method is enabled, in production.
    let closed = app.start_second_instance(&[
        ("SAVANNAH_SHOP__MODE", "production"),
        ("SAVANNAH_SERVER__PUBLIC_URL", "https://shop.example"),
        ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", ","),
    ]);
    let response = closed.await.create_order(None, "g", &[(&mug, 1)], json!({ "paymentMethodId": "test" })).await;
    assert_eq!(response.user_errors("orderCreate"), rejected);
}
