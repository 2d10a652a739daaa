//! Ways of shipping and rates of tax, as staff set them.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    shipping_method_is_created_updated_and_deleted,
    shipping_method_with_invalid_input_reports_all_errors,
    tax_rate_is_created_updated_and_deleted,
    tax_rate_with_invalid_input_reports_all_errors,
    default_shipping_and_tax_are_seeded_once,
];

const CREATE_SHIPPING_METHOD: &str =
    "mutation($input: ShippingMethodCreateInput!) { shippingMethodCreate(input: $input) {
    shippingMethod { id version kind countries price { amount } pricePerKg { amount } taxable active } userErrors { code field } } }";
const UPDATE_SHIPPING_METHOD: &str = "mutation($id: ID!, $input: ShippingMethodUpdateInput!, $version: Int) {
    shippingMethodUpdate(id: $id, input: $input, expectedVersion: $version) {
    shippingMethod { version name kind price { amount } pricePerKg { amount } active } userErrors { code field } } }";
const DELETE_SHIPPING_METHOD: &str =
    "mutation($id: ID!, $version: Int) { shippingMethodDelete(id: $id, expectedVersion: $version) {
    deletedId userErrors { code field } } }";
const CREATE_TAX_RATE: &str = "mutation($input: TaxRateCreateInput!) { taxRateCreate(input: $input) {
    taxRate { id version countryCode percent included category { name } } userErrors { code field } } }";
const UPDATE_TAX_RATE: &str = "mutation($id: ID!, $input: TaxRateUpdateInput!, $version: Int) {
    taxRateUpdate(id: $id, input: $input, expectedVersion: $version) {
    taxRate { version name percent included } userErrors { code field } } }";
const DELETE_TAX_RATE: &str = "mutation($id: ID!) { taxRateDelete(id: $id) { deletedId userErrors { code field } } }";

fn user_errors(response: &GraphqlResponse, mutation: &str) -> Vec<(String, String)> {
    response.user_errors(mutation)
}

async fn shipping_method_is_created_updated_and_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "name": " Boda ", "countries": ["ug", "KE", "KE"], "price": "150", "pricePerKg": "20.50" });
    let created = app.query_as(&admin, CREATE_SHIPPING_METHOD, json!({ "input": input })).await;
    let shipping_method = created.data_at("/shippingMethodCreate/shippingMethod");
    let id = shipping_method["id"].clone();
    let expected = json!({ "id": id, "version": 1, "kind": "WEIGHT", "countries": ["KE", "UG"], "price": { "amount": "150.00" },
        "pricePerKg": { "amount": "20.50" }, "taxable": true, "active": true });
    assert_eq!(shipping_method, &expected);
    let update = async |input: Value, version: Value| {
        app.query_as(&admin, UPDATE_SHIPPING_METHOD, json!({ "id": id, "input": input, "version": version })).await
    };
    let changed = update(json!({ "pricePerKg": null, "active": false }), json!(1)).await;
    let expected = json!({ "version": 2, "name": "Boda", "kind": "FLAT", "price": { "amount": "150.00" }, "pricePerKg": null, "active": false });
    assert_eq!(changed.data_at("/shippingMethodUpdate/shippingMethod"), &expected);
    assert_eq!(
        update(json!({ "name": "Boda" }), Value::Null).await.data_at("/shippingMethodUpdate/shippingMethod"),
        &expected
    );
    let stale = update(json!({ "price": "1" }), json!(1)).await;
    assert_eq!(user_errors(&stale, "shippingMethodUpdate"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    let second = app
        .query_as(&admin, CREATE_SHIPPING_METHOD, json!({ "input": { "name": "First", "price": "0", "position": -1 } }))
        .await;
    assert_eq!(user_errors(&second, "shippingMethodCreate"), []);
    let list = async || app.query_as(&admin, "{ shippingMethods { name } }", json!({})).await;
    assert_eq!(list().await.strings_at("/shippingMethods", "name"), ["First", "Boda"]);
    let delete = async |version: i32| {
        app.query_as(&admin, DELETE_SHIPPING_METHOD, json!({ "id": id, "version": version })).await
    };
    assert_eq!(
        user_errors(&delete(1).await, "shippingMethodDelete"),
        [("VERSION_CONFLICT".into(), "expectedVersion".into())]
    );
    assert_eq!(delete(2).await.data_at("/shippingMethodDelete/deletedId"), &id);
    assert_eq!(user_errors(&delete(3).await, "shippingMethodDelete"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(list().await.strings_at("/shippingMethods", "name"), ["First"]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE entity_type = 'ShippingMethod'").await, 4);
    let staff = app.login(Role::Staff).await;
    assert_eq!(app.query_as(&staff, "{ shippingMethods { name } }", json!({})).await.error_code(), "FORBIDDEN");
}

async fn shipping_method_with_invalid_input_reports_all_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let invalid_input = json!({ "name": " ", "description": "a\u{7}b", "countries": ["KE", "XX"], "price": "-1",
        "pricePerKg": "1.001", "freeFrom": "99999999999999999999", "minGrams": 10, "maxGrams": 5 });
    let response = app.query_as(&admin, CREATE_SHIPPING_METHOD, json!({ "input": invalid_input })).await;
    let fields = ["name", "description", "countries", "price", "pricePerKg", "freeFrom", "maxGrams"];
    let expected: Vec<_> =
        fields.iter().map(|field| ("VALIDATION_ERROR".to_owned(), format!("input.{field}"))).collect();
    assert_eq!(user_errors(&response, "shippingMethodCreate"), expected);
    let invalid_input = json!({ "name": "x".repeat(101), "price": "1", "minGrams": -1, "maxGrams": 2_000_000_000 });
    let response = app.query_as(&admin, CREATE_SHIPPING_METHOD, json!({ "input": invalid_input })).await;
    let fields: Vec<_> = user_errors(&response, "shippingMethodCreate").into_iter().map(|(_, field)| field).collect();
    assert_eq!(fields, ["input.name", "input.minGrams", "input.maxGrams"]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM shipping_method").await, 0);
}

async fn tax_rate_is_created_updated_and_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.create_product("bread", 10, None).await;
    let admin = app.login(Role::Admin).await;
    let category_id = app.query_category_paths().await.remove(0).0;
    let create = async |input: Value| app.query_as(&admin, CREATE_TAX_RATE, json!({ "input": input })).await;
    let rate_response = create(json!({ "countryCode": "ke", "name": "VAT", "percent": "16", "included": true })).await;
    let rate = rate_response.data_at("/taxRateCreate/taxRate");
    let id = rate["id"].clone();
    let expected =
        json!({ "id": id, "version": 1, "countryCode": "KE", "percent": "16.00", "included": true, "category": null });
    assert_eq!(rate, &expected);
    let food =
        json!({ "countryCode": "KE", "categoryId": category_id, "name": "VAT", "percent": "7.25", "included": true });
    let created = create(food.clone()).await;
    assert_eq!(created.data_at("/taxRateCreate/taxRate/category/name"), "Things");
    for input in [food, json!({ "countryCode": "KE", "name": "Again", "percent": "1", "included": false })] {
        assert_eq!(user_errors(&create(input).await, "taxRateCreate"), [("ALREADY_EXISTS".into(), "input".into())]);
    }
    let update = async |input: Value, version: i32| {
        app.query_as(&admin, UPDATE_TAX_RATE, json!({ "id": id, "input": input, "version": version })).await
    };
    let changed = update(json!({ "percent": "14.5" }), 1).await;
    let expected = json!({ "version": 2, "name": "VAT", "percent": "14.50", "included": true });
    assert_eq!(changed.data_at("/taxRateUpdate/taxRate"), &expected);
    let stale = update(json!({ "included": false }), 1).await;
    assert_eq!(user_errors(&stale, "taxRateUpdate"), [("VERSION_CONFLICT".into(), "expectedVersion".into())]);
    let list = app.query_as(&admin, "{ taxRates { percent category { id } } }", json!({})).await;
    let expected =
        json!([{ "percent": "14.50", "category": null }, { "percent": "7.25", "category": { "id": category_id } }]);
    assert_eq!(list.data_at("/taxRates"), &expected);
    let deleted = app.query_as(&admin, DELETE_TAX_RATE, json!({ "id": id })).await;
    assert_eq!(deleted.data_at("/taxRateDelete/deletedId"), &id);
    let deleted = app.query_as(&admin, DELETE_TAX_RATE, json!({ "id": id })).await;
    assert_eq!(user_errors(&deleted, "taxRateDelete"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE entity_type = 'TaxRate'").await, 4);
}

async fn tax_rate_with_invalid_input_reports_all_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let create = async |input: Value| {
        let response = app.query_as(&admin, CREATE_TAX_RATE, json!({ "input": input })).await;
        user_errors(&response, "taxRateCreate")
            .into_iter()
            .map(|(code, field)| format!("{code} {field}"))
            .collect::<Vec<_>>()
    };
    let rate = |percent: &str| json!({ "countryCode": "KE", "name": "VAT", "percent": percent, "included": true });
    for percent in ["-1", "100.01", "16.005", "79228162514264337593543950335"] {
        assert_eq!(create(rate(percent)).await, ["VALIDATION_ERROR input.percent"], "{percent}");
    }
    let invalid_input = json!({ "countryCode": "XX", "name": "", "percent": "1000", "included": true });
    let expected =
        ["VALIDATION_ERROR input.countryCode", "VALIDATION_ERROR input.name", "VALIDATION_ERROR input.percent"];
    assert_eq!(create(invalid_input).await, expected);
    let mut rate_input = rate("16");
    rate_input["categoryId"] = json!("Q2F0ZWdvcnk6OTk");
    assert_eq!(create(rate_input.clone()).await, ["NOT_FOUND input.categoryId"]);
    rate_input["categoryId"] = json!("UHJvZHVjdDox");
    assert_eq!(create(rate_input).await, ["VALIDATION_ERROR input.categoryId"]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM tax_rate").await, 0);
    // Two who make the same one at once make one.
    let (first, second) = tokio::join!(create(rate("16")), create(rate("17")));
    let mut outcomes = [first, second];
    outcomes.sort();
    assert_eq!(outcomes, [Vec::new(), vec!["ALREADY_EXISTS input".to_owned()]]);
}

async fn default_shipping_and_tax_are_seeded_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let currency = app.http_app.state.config.shop.currency;
    let repeated = app.db.write(async |tx| savannah::pricing::seed_default_rates(tx, currency).await).await;
    assert!(matches!(repeated, Ok(false)));
    assert_eq!(app.query_scalar("SELECT count(*) FROM shipping_method").await, 2);
    assert_eq!(
        app.query_scalar("SELECT rate_bps FROM tax_rate WHERE country_code = 'KE' AND included_in_price").await,
        1600
    );
}
