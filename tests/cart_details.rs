//! Carts that are created with their details, and shipping options without a cart.

use savannah::{base::Patch, identity::Role};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, TestApp, shipping_address, simple_product},
};

integration_tests![
    cart_is_created_with_its_details,
    invalid_details_of_a_new_cart_are_rejected,
    details_are_set_on_the_open_cart,
    shipping_options_are_listed_without_a_cart,
];

const CREATE: &str =
    "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id version email phone note
    itemCount shippingAddress { city } billingAddress { city } shippingOption { name } } userErrors { code field } } }";

async fn shipping_method_id(app: &TestApp, name: &str) -> Value {
    let options = app.query("{ shippingOptions { shippingMethodId name } }").await;
    let options = options.data_at("/shippingOptions").as_array().expect("a list").clone();
    options.iter().find(|option| option["name"] == name).expect("an option")["shippingMethodId"].clone()
}

async fn cart_is_created_with_its_details(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let input = json!({ "lines": [{ "variantId": mug, "quantity": 2 }], "email": "wanjiku@example.com",
        "phone": "0712 345678", "note": " Ring twice. ", "shippingAddress": shipping_address(),
        "shippingMethodId": shipping_method_id(&app, "Courier").await });
    let created = app.query_with_variables(CREATE, json!({ "input": input })).await;
    let mut cart = created.data_at("/cartCreate/cart").clone();
    assert!(cart["id"].take().is_string(), "{}", created.body);
    let expected = json!({ "id": null, "version": cart["version"], "email": "wanjiku@example.com",
        "phone": "+254712345678", "note": "Ring twice.", "itemCount": 2, "shippingAddress": { "city": "Nairobi" },
        "billingAddress": null, "shippingOption": { "name": "Courier" } });
    assert_eq!(cart, expected);
}

async fn invalid_details_of_a_new_cart_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let courier = shipping_method_id(&app, "Courier").await;
    app.execute_sql("UPDATE shipping_method SET countries = 'TZ' WHERE name = 'Courier'").await.expect("a change");
    for (input, code, field) in [
        (json!({ "email": "nobody" }), "VALIDATION_ERROR", "input.email"),
        (json!({ "phone": "12" }), "VALIDATION_ERROR", "input.phone"),
        (json!({ "note": "x".repeat(1001) }), "VALIDATION_ERROR", "input.note"),
        (json!({ "shippingMethodId": courier }), "ILLEGAL_TRANSITION", "input.shippingMethodId"),
        (json!({ "shippingAddress": { "addressId": "QWRkcmVzczox" } }), "NOT_FOUND", "input.shippingAddress.addressId"),
    ] {
        let rejected = app.query_with_variables(CREATE, json!({ "input": input })).await;
        assert_eq!(rejected.user_errors("cartCreate"), [(code.to_owned(), field.to_owned())], "{}", rejected.body);
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 0);
}

async fn details_are_set_on_the_open_cart(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let customer = app.login(Role::Customer).await;
    let create = async |input: Value| {
        let response = app.query_as(&customer, CREATE, json!({ "input": input })).await;
        response.data_at("/cartCreate/cart").clone()
    };
    let first = create(json!({ "email": "wanjiku@example.com", "note": "Ring twice." })).await;
    let second = create(json!({ "lines": [{ "variantId": mug }], "note": "Ring once." })).await;
    assert_eq!(second["id"], first["id"]);
    let details = (&second["email"], &second["note"], &second["itemCount"]);
    assert_eq!(details, (&json!("wanjiku@example.com"), &json!("Ring once."), &json!(1)));
    // Nothing new is no new version.
    let third = create(json!({ "note": "Ring once." })).await;
    assert_eq!(third["version"], second["version"]);
}

async fn shipping_options_are_listed_without_a_cart(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let mut stone = simple_product("stone", "Stone", 10);
    stone.variants[0].weight_grams = Patch::Set(10_000);
    app.save_products(&[stone]).await;
    let stone = app.query_variant_id("STONE").await;
    let query =
        "query($country: CountryCode, $lines: [LineInput!]) { shippingOptions(country: $country, lines: $lines) {
        name description price { amount currency } taxRate { percent } } }";
    let list = async |variables: Value| {
        let response = app.query_with_variables(query, variables).await;
        assert!(response.body.get("errors").is_none(), "{}", response.body);
        assert!(response.statements <= 3, "{} statements", response.statements);
        let options = response.data_at("/shippingOptions").as_array().expect("a list").clone();
        options.iter().map(|option| json!([option["name"], option["price"]["amount"]])).collect::<Vec<_>>()
    };
    assert_eq!(list(json!({})).await, [json!(["Standard", "350.00"]), json!(["Courier", "300.00"])]);
    let lines = json!([{ "variantId": stone, "quantity": 3 }]);
    assert_eq!(list(json!({ "lines": lines })).await, [json!(["Standard", "350.00"]), json!(["Courier", "3300.00"])]);
    assert_eq!(list(json!({ "country": "DE" })).await, list(json!({ "country": "DE", "lines": [] })).await);
    let unknown = app.query_with_variables(query, json!({ "country": "XX" })).await;
    unknown.assert_error_field("country");
    let too_many = json!([{ "variantId": stone, "quantity": 0 }]);
    app.query_with_variables(query, json!({ "lines": too_many })).await.assert_error_field("lines.0.quantity");
}
