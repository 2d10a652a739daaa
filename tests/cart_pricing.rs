//! Cart totals: sales, taxes by country and category, shipping; always at the shop's prices.

use savannah::{
    base::{GlobalId, Patch, global_id::NodeType},
    catalog::{CategoryInput, SaleInput},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    customers::{create_address, home_address},
    integration_tests,
    support::{Backend, TestApp, parse_datetime, simple_product},
};

integration_tests![
    cart_totals_include_discount_tax_and_shipping,
    cart_prices_follow_scheduled_sales,
    tax_rate_of_the_nearest_category_applies,
    tax_rate_follows_the_shipping_country,
    cart_details_are_validated,
    unavailable_shipping_method_is_reported_as_cart_issue,
];

const SET_CART_ADDRESS: &str =
    "mutation($id: ID!, $input: CartAddressInput!) { cartAddressUpdate(id: $id, input: $input) {
    cart { version shippingAddress { city phone country } billingAddress { city } } userErrors { code field } } }";
const SET_SHIPPING_METHOD: &str =
    "mutation($id: ID!, $method: ID) { cartShippingMethodUpdate(id: $id, shippingMethodId: $method) {
    cart { shippingOption { name price { amount } } cost { shipping { amount } total { amount } } } userErrors { code field message } } }";

/// Inserts tax rates directly: country, category, basis points, included.
async fn insert_tax_rate(app: &TestApp, country: &str, category: Option<&str>, points: i32, included: bool) {
    let category =
        category.map_or("NULL".to_owned(), |slug| format!("(SELECT id FROM category WHERE slug = '{slug}')"));
    let sql = format!(
        "INSERT INTO tax_rate (country_code, category_id, name, rate_bps, included_in_price, version, created_at, updated_at)
         VALUES ('{country}', {category}, 'VAT', {points}, {included}, 1, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    );
    app.execute_sql(&sql).await.expect("a rate");
}

async fn query_totals(app: &TestApp, id: &str) -> Value {
    let cart = app.query_cart(None, id).await;
    let names = ["listSubtotal", "discount", "subtotal", "shipping", "tax", "taxIncluded", "total"];
    names.iter().map(|name| cart["cost"][*name]["amount"].clone()).collect()
}

async fn cart_totals_include_discount_tax_and_shipping(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let mut mug = simple_product("mug", "Mug", 100);
    mug.variants[0].set_sale(SaleInput { price: 75.into(), starts_at: None, ends_at: None });
    mug.variants[0].weight_grams = Patch::Set(400);
    app.save_products(&[mug]).await;
    let (mug, bowl) = (app.query_variant_id("MUG").await, app.create_product("bowl", 33, Some(9)).await);
    let id = app.create_cart(None, &[(&mug, 2), (&bowl, 1)]).await;
    // 16 % included in 150 and in 33: 20.69 and 4.55.
    assert_eq!(query_totals(&app, &id).await, json!(["233.00", "50.00", "183.00", "0.00", "25.24", "25.24", "183.00"]));
    let shipping_methods = "query($id: ID!) { cart(id: $id) { weightGrams availableShippingOptions { shippingMethodId name
        price { amount currency } taxRate { name percent included } } lines { taxRate { percent } cost { listSubtotal { amount }
        discount { amount } subtotal { amount } tax { amount } total { amount } listPrice { amount } unitPrice { amount } } } } }";
    let response = app.query_with_variables(shipping_methods, json!({ "id": id })).await;
    let cart = response.data_at("/cart");
    let line = json!({ "taxRate": { "percent": "16.00" }, "cost": { "listSubtotal": { "amount": "200.00" },
        "discount": { "amount": "50.00" }, "subtotal": { "amount": "150.00" }, "tax": { "amount": "20.69" },
        "total": { "amount": "150.00" }, "listPrice": { "amount": "100.00" }, "unitPrice": { "amount": "75.00" } } });
    assert_eq!((&cart["lines"][0], &cart["weightGrams"]), (&line, &json!(800)));
    let shipping_methods = &cart["availableShippingOptions"];
    let price =
        |index: usize| (shipping_methods[index]["name"].clone(), shipping_methods[index]["price"]["amount"].clone());
    assert_eq!([price(0), price(1)], [(json!("Standard"), json!("350.00")), (json!("Courier"), json!("400.00"))]);
    assert_eq!(shipping_methods[0]["taxRate"], json!({ "name": "VAT", "percent": "16.00", "included": true }));
    let chosen = app
        .query_with_variables(
            SET_SHIPPING_METHOD,
            json!({ "id": id, "method": shipping_methods[1]["shippingMethodId"] }),
        )
        .await;
    let cart = chosen.data_at("/cartShippingMethodUpdate/cart");
    let cost = json!({ "shipping": { "amount": "400.00" }, "total": { "amount": "583.00" } });
    assert_eq!(cart["cost"], cost);
    assert_eq!(
        query_totals(&app, &id).await,
        json!(["233.00", "50.00", "183.00", "400.00", "80.41", "80.41", "583.00"])
    );
    // Standard shipping is free above a minimum total.
    let standard = app
        .query_with_variables(
            SET_SHIPPING_METHOD,
            json!({ "id": id, "method": shipping_methods[0]["shippingMethodId"] }),
        )
        .await;
    assert_eq!(standard.data_at("/cartShippingMethodUpdate/cart/cost/shipping/amount"), "350.00");
    app.execute_sql("UPDATE variant SET price = 1000000 WHERE sku = 'BOWL'").await.expect("a price");
    assert_eq!(query_totals(&app, &id).await[3], "0.00");
}

async fn cart_prices_follow_scheduled_sales(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (starts_at, ends_at) = (parse_datetime("2026-11-27T00:00:00Z"), parse_datetime("2026-11-30T00:00:00Z"));
    let mut mug = simple_product("mug", "Mug", 100);
    mug.variants[0].set_sale(SaleInput { price: 60.into(), starts_at: Some(starts_at), ends_at: Some(ends_at) });
    app.save_products(&[mug]).await;
    let id = app.create_cart(None, &[(&app.query_variant_id("MUG").await, 1)]).await;
    let total_and_issue = async || {
        let cart = app.query_cart(None, &id).await;
        (cart["cost"]["total"]["amount"].clone(), cart["problems"][0]["code"].clone())
    };
    assert_eq!(total_and_issue().await, (json!("100.00"), Value::Null));
    app.clock.set(starts_at);
    assert_eq!(total_and_issue().await, (json!("60.00"), json!("PRICE_CHANGED")));
    app.clock.set(ends_at);
    assert_eq!(total_and_issue().await, (json!("100.00"), Value::Null));
}

async fn tax_rate_of_the_nearest_category_applies(backend: Backend) {
    let app = TestApp::start(backend).await;
    let paths = [vec!["Food", "Bread"], vec!["Food", "Sweets"], vec!["Tools"]];
    let product_inputs: Vec<_> = ["bread", "sweets", "hammer"]
        .iter()
        .zip(paths)
        .map(|(slug, path)| {
            let mut product_input = simple_product(slug, slug, 100);
            let path = path.into_iter().map(str::to_owned).collect();
            product_input.category = Patch::Set(CategoryInput::Path(path));
            product_input
        })
        .collect();
    app.save_products(&product_inputs).await;
    let ids = [
        app.query_variant_id("BREAD").await,
        app.query_variant_id("SWEETS").await,
        app.query_variant_id("HAMMER").await,
    ];
    let id = app.create_cart(None, &[(&ids[0], 1), (&ids[1], 1), (&ids[2], 1)]).await;
    let percents = async || {
        let query = "query($id: ID!) { cart(id: $id) { lines { taxRate { percent } } } }";
        let response = app.query_with_variables(query, json!({ "id": id })).await;
        let lines = response.data_at("/cart/lines").as_array().expect("lines").clone();
        lines.iter().map(|line| line["taxRate"]["percent"].as_str().unwrap_or("-").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(percents().await, ["-", "-", "-"]);
    insert_tax_rate(&app, "KE", None, 1600, true).await;
    assert_eq!(percents().await, ["16.00", "16.00", "16.00"]);
    insert_tax_rate(&app, "KE", Some("food"), 800, true).await;
    assert_eq!(percents().await, ["8.00", "8.00", "16.00"]);
    insert_tax_rate(&app, "KE", Some("bread"), 0, false).await;
    insert_tax_rate(&app, "UG", Some("sweets"), 1800, false).await;
    assert_eq!(percents().await, ["0.00", "8.00", "16.00"]);
}

async fn tax_rate_follows_the_shipping_country(backend: Backend) {
    let app = TestApp::start(backend).await;
    insert_tax_rate(&app, "KE", None, 1600, true).await;
    insert_tax_rate(&app, "DE", None, 1900, false).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let id = app.create_cart(None, &[(&mug, 1)]).await;
    assert_eq!(query_totals(&app, &id).await, json!(["100.00", "0.00", "100.00", "0.00", "13.79", "13.79", "100.00"]));
    let mut address = home_address();
    address["countryCode"] = json!("DE");
    address["phone"] = json!("030 901820");
    let set = app
        .query_with_variables(SET_CART_ADDRESS, json!({ "id": id, "input": { "shipping": { "address": address } } }))
        .await;
    assert_eq!(set.data_at("/cartAddressUpdate/cart/shippingAddress/phone"), "+4930901820");
    assert_eq!(query_totals(&app, &id).await, json!(["100.00", "0.00", "100.00", "0.00", "19.00", "0.00", "119.00"]));
    address["countryCode"] = json!("TZ");
    address["phone"] = Value::Null;
    app.query_with_variables(SET_CART_ADDRESS, json!({ "id": id, "input": { "shipping": { "address": address } } }))
        .await;
    assert_eq!(query_totals(&app, &id).await, json!(["100.00", "0.00", "100.00", "0.00", "0.00", "0.00", "100.00"]));
}

async fn cart_details_are_validated(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (token, other) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    let saved = create_address(&app, &token, home_address()).await;
    let id = app.create_cart(Some(&token), &[]).await;
    let set = async |token: &str, input: Value| {
        app.query_as(token, SET_CART_ADDRESS, json!({ "id": id, "input": input })).await
    };
    let address_response = set(&token, json!({ "shipping": { "addressId": saved } })).await;
    let address = json!({ "city": "Nairobi", "phone": "+254712345678", "country": "Kenya" });
    assert_eq!(address_response.data_at("/cartAddressUpdate/cart/shippingAddress"), &address);
    // The cart has a copy: the saved address can be deleted.
    let delete = format!("mutation {{ addressDelete(id: \"{saved}\") {{ deletedId }} }}");
    app.query_as(&token, &delete, json!({})).await.data_at("/addressDelete/deletedId");
    let mut billing_address = home_address();
    billing_address["city"] = json!("Kisumu");
    let address_response = set(&token, json!({ "billing": { "address": billing_address } })).await;
    let cart = address_response.data_at("/cartAddressUpdate/cart");
    assert_eq!((&cart["shippingAddress"], &cart["billingAddress"]["city"]), (&address, &json!("Kisumu")));
    let cleared = set(&token, json!({ "billing": null })).await;
    assert_eq!(cleared.data_at("/cartAddressUpdate/cart/billingAddress"), &Value::Null);
    assert_eq!(cleared.data_at("/cartAddressUpdate/cart/shippingAddress"), &address);

    let problem = |code: &str, field: &str| vec![(code.to_owned(), field.to_owned())];
    let other_address = create_address(&app, &other, home_address()).await;
    for missing in [other_address, saved] {
        let response = set(&token, json!({ "shipping": { "addressId": missing } })).await;
        assert_eq!(response.user_errors("cartAddressUpdate"), problem("NOT_FOUND", "input.shipping.addressId"));
    }
    let mut invalid_address = home_address();
    invalid_address["countryCode"] = json!("");
    invalid_address["phone"] = json!("call me");
    let response = set(&token, json!({ "shipping": { "address": invalid_address } })).await;
    let expected = [
        problem("VALIDATION_ERROR", "input.shipping.countryCode"),
        problem("VALIDATION_ERROR", "input.shipping.phone"),
    ];
    assert_eq!(response.user_errors("cartAddressUpdate"), expected.concat());

    let contact = "mutation($id: ID!, $input: CartContactInput!) { cartContactUpdate(id: $id, input: $input) {
        cart { email phone } userErrors { code field } } }";
    let set_contact = async |input: Value| app.query_as(&token, contact, json!({ "id": id, "input": input })).await;
    let contact_response = set_contact(json!({ "email": " wanjiku@example.com ", "phone": "0712 345678" })).await;
    let expected = json!({ "email": "wanjiku@example.com", "phone": "+254712345678" });
    assert_eq!(contact_response.data_at("/cartContactUpdate/cart"), &expected);
    let rejected = set_contact(json!({ "email": "nobody", "phone": "12" })).await;
    let both = [problem("VALIDATION_ERROR", "input.email"), problem("VALIDATION_ERROR", "input.phone")];
    assert_eq!(rejected.user_errors("cartContactUpdate"), both.concat());
    let note = "mutation($id: ID!, $note: String) { cartNoteUpdate(id: $id, note: $note) { cart { note email } userErrors { code field } } }";
    let set_note = async |text: Value| app.query_as(&token, note, json!({ "id": id, "note": text })).await;
    let note_response = set_note(json!(" Ring twice.\nBeware of the dog. ")).await;
    assert_eq!(note_response.data_at("/cartNoteUpdate/cart/note"), "Ring twice.\nBeware of the dog.");
    assert_eq!(note_response.data_at("/cartNoteUpdate/cart/email"), "wanjiku@example.com");
    for text in ["x".repeat(1001), "a\u{7}b".to_owned()] {
        assert_eq!(set_note(json!(text)).await.user_errors("cartNoteUpdate"), problem("VALIDATION_ERROR", "note"));
    }
    assert_eq!(set_note(json!("é".repeat(1000))).await.user_errors("cartNoteUpdate"), []);
    assert_eq!(set_note(Value::Null).await.data_at("/cartNoteUpdate/cart/note"), &Value::Null);
}

async fn unavailable_shipping_method_is_reported_as_cart_issue(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let mut product = simple_product("stone", "Stone", 10);
    product.variants[0].weight_grams = Patch::Set(10_000);
    app.save_products(&[product]).await;
    let product = app.query_variant_id("STONE").await;
    let id = app.create_cart(None, &[(&product, 3)]).await;
    let key = app.query_scalar("SELECT id FROM shipping_method WHERE name = 'Courier'").await;
    let courier = GlobalId::new(NodeType::ShippingMethod, key).encode();
    let choose = async |method: Value| {
        app.query_with_variables(SET_SHIPPING_METHOD, json!({ "id": id, "method": method })).await
    };
    let chosen = choose(json!(courier)).await;
    assert_eq!(
        chosen.data_at("/cartShippingMethodUpdate/cart/shippingOption"),
        &json!({ "name": "Courier", "price": { "amount": "3300.00" } })
    );
    let code = async || app.query_cart(None, &id).await["problems"][0]["code"].clone();
    assert_eq!(code().await, Value::Null);
    app.mutate_cart_lines(None, "cartLinesAdd", &id, &[(&product, 1)]).await;
    assert_eq!(code().await, "SHIPPING_METHOD_NOT_AVAILABLE");
    let rejected = choose(json!(courier)).await;
    assert_eq!(
        rejected.user_errors("cartShippingMethodUpdate"),
        [("ILLEGAL_TRANSITION".into(), "shippingMethodId".into())]
    );
    app.mutate_cart_lines(None, "cartLinesUpdate", &id, &[(&product, 1)]).await;
    assert_eq!(code().await, Value::Null);
    app.execute_sql("UPDATE shipping_method SET countries = 'TZ UG'").await.expect("a change");
    assert_eq!(code().await, "SHIPPING_METHOD_NOT_AVAILABLE");
    app.execute_sql("UPDATE shipping_method SET countries = '', active = false").await.expect("a change");
    assert_eq!(code().await, "SHIPPING_METHOD_NOT_AVAILABLE");
    for method in [json!(courier), json!(GlobalId::new(NodeType::ShippingMethod, 999).encode())] {
        assert_eq!(
            choose(method).await.user_errors("cartShippingMethodUpdate"),
            [("NOT_FOUND".into(), "shippingMethodId".into())]
        );
    }
    let none = choose(Value::Null).await;
    assert_eq!(none.data_at("/cartShippingMethodUpdate/cart/shippingOption"), &Value::Null);
    assert_eq!(code().await, Value::Null);
}
