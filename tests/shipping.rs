//! Ways of shipping and rates of tax, as staff set them.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    shop::{Answer, Backend, Shop},
    stories,
};

stories![
    staff_set_ways_of_shipping,
    a_way_that_cannot_be_is_told_why,
    staff_set_rates_of_tax,
    a_rate_that_cannot_be_is_told_why,
    a_development_shop_is_fitted_out_once,
];

const CREATE: &str = "mutation($input: ShippingMethodCreateInput!) { shippingMethodCreate(input: $input) {
    shippingMethod { id version kind countries price pricePerKg taxable active } userErrors { code field } } }";
const UPDATE: &str = "mutation($id: ID!, $input: ShippingMethodUpdateInput!, $version: Int) {
    shippingMethodUpdate(id: $id, input: $input, expectedVersion: $version) {
    shippingMethod { version name kind price pricePerKg active } userErrors { code field } } }";
const DELETE: &str = "mutation($id: ID!, $version: Int) { shippingMethodDelete(id: $id, expectedVersion: $version) {
    deletedShippingMethodId userErrors { code field } } }";
const RATE: &str = "mutation($input: TaxRateCreateInput!) { taxRateCreate(input: $input) {
    taxRate { id version countryCode percent included category { name } } userErrors { code field } } }";
const RATE_UPDATE: &str = "mutation($id: ID!, $input: TaxRateUpdateInput!, $version: Int) {
    taxRateUpdate(id: $id, input: $input, expectedVersion: $version) {
    taxRate { version name percent included } userErrors { code field } } }";
const RATE_DELETE: &str =
    "mutation($id: ID!) { taxRateDelete(id: $id) { deletedTaxRateId userErrors { code field } } }";

fn told(answer: &Answer, mutation: &str) -> Vec<(String, String)> {
    answer.problems(mutation)
}

async fn staff_set_ways_of_shipping(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let input = json!({ "name": " Boda ", "countries": ["ug", "KE", "KE"], "price": "150", "pricePerKg": "20.50" });
    let made = shop.ask_as(&admin, CREATE, json!({ "input": input })).await;
    let way = made.at("/shippingMethodCreate/shippingMethod");
    let id = way["id"].clone();
    let expected = json!({ "id": id, "version": 1, "kind": "WEIGHT", "countries": ["KE", "UG"], "price": "150.00",
        "pricePerKg": "20.50", "taxable": true, "active": true });
    assert_eq!(way, &expected);
    let update = async |input: Value, version: Value| {
        shop.ask_as(&admin, UPDATE, json!({ "id": id, "input": input, "version": version })).await
    };
    let changed = update(json!({ "pricePerKg": null, "active": false }), json!(1)).await;
    let expected =
        json!({ "version": 2, "name": "Boda", "kind": "FLAT", "price": "150.00", "pricePerKg": null, "active": false });
    assert_eq!(changed.at("/shippingMethodUpdate/shippingMethod"), &expected);
    assert_eq!(
        update(json!({ "name": "Boda" }), Value::Null).await.at("/shippingMethodUpdate/shippingMethod"),
        &expected
    );
    let stale = update(json!({ "price": "1" }), json!(1)).await;
    assert_eq!(told(&stale, "shippingMethodUpdate"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    let second =
        shop.ask_as(&admin, CREATE, json!({ "input": { "name": "First", "price": "0", "position": -1 } })).await;
    assert_eq!(told(&second, "shippingMethodCreate"), []);
    let list = async || shop.ask_as(&admin, "{ shippingMethods { name } }", json!({})).await;
    assert_eq!(list().await.texts("/shippingMethods", "name"), ["First", "Boda"]);
    let delete = async |version: i32| shop.ask_as(&admin, DELETE, json!({ "id": id, "version": version })).await;
    assert_eq!(told(&delete(1).await, "shippingMethodDelete"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    assert_eq!(delete(2).await.at("/shippingMethodDelete/deletedShippingMethodId"), &id);
    assert_eq!(told(&delete(3).await, "shippingMethodDelete"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(list().await.texts("/shippingMethods", "name"), ["First"]);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE thing_kind = 'ShippingMethod'").await, 4);
    let staff = shop.sign_in(Role::Staff).await;
    assert_eq!(shop.ask_as(&staff, "{ shippingMethods { name } }", json!({})).await.code(), "FORBIDDEN");
}

async fn a_way_that_cannot_be_is_told_why(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let wrong = json!({ "name": " ", "description": "a\u{7}b", "countries": ["KE", "XX"], "price": "-1",
        "pricePerKg": "1.001", "freeFrom": "99999999999999999999", "minGrams": 10, "maxGrams": 5 });
    let answer = shop.ask_as(&admin, CREATE, json!({ "input": wrong })).await;
    let fields = ["name", "description", "countries", "price", "pricePerKg", "freeFrom", "maxGrams"];
    let expected: Vec<_> =
        fields.iter().map(|field| ("VALIDATION_ERROR".to_owned(), format!("input.{field}"))).collect();
    assert_eq!(told(&answer, "shippingMethodCreate"), expected);
    let wrong = json!({ "name": "x".repeat(101), "price": "1", "minGrams": -1, "maxGrams": 2_000_000_000 });
    let answer = shop.ask_as(&admin, CREATE, json!({ "input": wrong })).await;
    let fields: Vec<_> = told(&answer, "shippingMethodCreate").into_iter().map(|(_, field)| field).collect();
    assert_eq!(fields, ["input.name", "input.minGrams", "input.maxGrams"]);
    assert_eq!(shop.number("SELECT count(*) FROM shipping_method").await, 0);
}

async fn staff_set_rates_of_tax(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.good("bread", 10, None).await;
    let admin = shop.sign_in(Role::Admin).await;
    let things = shop.categories().await.remove(0).0;
    let create = async |input: Value| shop.ask_as(&admin, RATE, json!({ "input": input })).await;
    let own = create(json!({ "countryCode": "ke", "name": "VAT", "percent": "16", "included": true })).await;
    let rate = own.at("/taxRateCreate/taxRate");
    let id = rate["id"].clone();
    let expected =
        json!({ "id": id, "version": 1, "countryCode": "KE", "percent": "16.00", "included": true, "category": null });
    assert_eq!(rate, &expected);
    let food = json!({ "countryCode": "KE", "categoryId": things, "name": "VAT", "percent": "7.25", "included": true });
    let made = create(food.clone()).await;
    assert_eq!(made.at("/taxRateCreate/taxRate/category/name"), "Things");
    for input in [food, json!({ "countryCode": "KE", "name": "Again", "percent": "1", "included": false })] {
        assert_eq!(told(&create(input).await, "taxRateCreate"), [("ALREADY_EXISTS".into(), "input".into())]);
    }
    let update = async |input: Value, version: i32| {
        shop.ask_as(&admin, RATE_UPDATE, json!({ "id": id, "input": input, "version": version })).await
    };
    let changed = update(json!({ "percent": "14.5" }), 1).await;
    let expected = json!({ "version": 2, "name": "VAT", "percent": "14.50", "included": true });
    assert_eq!(changed.at("/taxRateUpdate/taxRate"), &expected);
    let stale = update(json!({ "included": false }), 1).await;
    assert_eq!(told(&stale, "taxRateUpdate"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    let list = shop.ask_as(&admin, "{ taxRates { percent category { id } } }", json!({})).await;
    let expected =
        json!([{ "percent": "14.50", "category": null }, { "percent": "7.25", "category": { "id": things } }]);
    assert_eq!(list.at("/taxRates"), &expected);
    let gone = shop.ask_as(&admin, RATE_DELETE, json!({ "id": id })).await;
    assert_eq!(gone.at("/taxRateDelete/deletedTaxRateId"), &id);
    let gone = shop.ask_as(&admin, RATE_DELETE, json!({ "id": id })).await;
    assert_eq!(told(&gone, "taxRateDelete"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(shop.number("SELECT count(*) FROM audit WHERE thing_kind = 'TaxRate'").await, 4);
}

async fn a_rate_that_cannot_be_is_told_why(backend: Backend) {
    let shop = Shop::open(backend).await;
    let admin = shop.sign_in(Role::Admin).await;
    let create = async |input: Value| {
        let answer = shop.ask_as(&admin, RATE, json!({ "input": input })).await;
        told(&answer, "taxRateCreate").into_iter().map(|(code, field)| format!("{code} {field}")).collect::<Vec<_>>()
    };
    let rate = |percent: &str| json!({ "countryCode": "KE", "name": "VAT", "percent": percent, "included": true });
    for percent in ["-1", "100.01", "16.005", "79228162514264337593543950335"] {
        assert_eq!(create(rate(percent)).await, ["VALIDATION_ERROR input.percent"], "{percent}");
    }
    let wrong = json!({ "countryCode": "XX", "name": "", "percent": "1000", "included": true });
    let expected =
        ["VALIDATION_ERROR input.countryCode", "VALIDATION_ERROR input.name", "VALIDATION_ERROR input.percent"];
    assert_eq!(create(wrong).await, expected);
    let mut nowhere = rate("16");
    nowhere["categoryId"] = json!("Q2F0ZWdvcnk6OTk");
    assert_eq!(create(nowhere.clone()).await, ["NOT_FOUND input.categoryId"]);
    nowhere["categoryId"] = json!("UHJvZHVjdDox");
    assert_eq!(create(nowhere).await, ["VALIDATION_ERROR input.categoryId"]);
    assert_eq!(shop.number("SELECT count(*) FROM tax_rate").await, 0);
    // Two who make the same one at once make one.
    let (one, other) = tokio::join!(create(rate("16")), create(rate("17")));
    let mut said = [one, other];
    said.sort();
    assert_eq!(said, [Vec::new(), vec!["ALREADY_EXISTS input".to_owned()]]);
}

async fn a_development_shop_is_fitted_out_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.fit_out().await;
    let currency = shop.app.shared.config.shop.currency;
    let again = shop.db.write(async |tx| savannah::pricing::fit_out(tx, currency).await).await;
    assert!(matches!(again, Ok(false)));
    assert_eq!(shop.number("SELECT count(*) FROM shipping_method").await, 2);
    assert_eq!(shop.number("SELECT basis_points FROM tax_rate WHERE country_code = 'KE' AND included").await, 1600);
}
