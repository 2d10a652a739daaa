//! Null in a change, for what cannot be empty.

use savannah::{base::Patch, identity::Role};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, simple_product},
};

integration_tests![
    null_for_a_required_field_is_rejected_with_its_path,
    sku_of_a_deleted_variant_is_reported_as_deleted,
    absent_variable_of_a_shipping_method_is_not_null,
    absent_variable_of_a_tax_rate_is_not_null,
    absent_variable_of_an_upserted_product_is_not_null,
];

async fn null_for_a_required_field_is_rejected_with_its_path(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.save_products(&[simple_product("mug", "Mug", 10)]).await;
    let token = app.login(Role::Admin).await;
    let ids = app.query(r#"{ product(slug: "mug") { id category { id } variants { id } } }"#).await;
    let changes = [
        (
            "productUpdate",
            "ProductUpdateInput",
            "/product/id",
            vec!["name", "slug", "categoryId", "status", "featured", "sku", "price"],
        ),
        ("productVariantUpdate", "ProductVariantInput", "/product/variants/0/id", vec!["sku", "price", "options"]),
        ("categoryUpdate", "CategoryUpdateInput", "/product/category/id", vec!["name", "slug"]),
    ];
    let before = app.dump_tables().await;
    for (mutation, input, id, fields) in changes {
        let query = format!(
            "mutation($id: ID!, $input: {input}!) {{ {mutation}(id: $id, input: $input) {{ userErrors {{ field message }} }} }}"
        );
        for field in fields {
            let response =
                app.query_as(&token, &query, json!({ "id": ids.data_at(id), "input": { field: null } })).await;
            let message = "this must not be null; omit it to leave it unchanged";
            let expected = json!({ "field": ["input", field], "message": message });
            let errors = response.data_at(&format!("/{mutation}/userErrors"));
            assert_eq!(errors[0], expected, "{mutation}: {}", response.body);
        }
    }
    assert_eq!(app.dump_tables().await, before);
}

async fn sku_of_a_deleted_variant_is_reported_as_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mut deleted_product = simple_product("gone", "Gone", 10);
    deleted_product.variants[0].sku = Patch::Set("TAKEN".into());
    app.save_products(&[deleted_product, simple_product("mug", "Mug", 10)]).await;
    let token = app.login(Role::Admin).await;
    let change = async |slug: &str, query: &str| {
        let id = app.query_with_variables("query($s: String) { product(slug: $s) { id } }", json!({ "s": slug })).await;
        app.query_as(&token, query, json!({ "id": id.data_at("/product/id") })).await
    };
    let take = r#"mutation($id: ID!) { productUpdate(id: $id, input: { sku: "TAKEN" }) { userErrors { message } } }"#;
    let active_response = change("mug", take).await;
    assert_eq!(
        active_response.strings_at("/productUpdate/userErrors", "message"),
        ["another variant has the sku `TAKEN`"]
    );
    change("gone", "mutation($id: ID!) { productDelete(id: $id) { userErrors { message } } }").await;
    let deleted = change("mug", take).await;
    assert_eq!(deleted.strings_at("/productUpdate/userErrors", "message"), ["a deleted variant has the sku `TAKEN`"]);
}

/// A field of an input as a change may say it: its type, a value as it is read back, and what null does to it.
struct Field(&'static str, &'static str, Value, Null);

enum Null {
    /// It is then this.
    Clears(Value),
    Refused,
}

/// A document that says each field by a variable of its own: `field: $field`.
fn by_variables(fields: &[Field]) -> (String, String) {
    let declared: Vec<_> = fields.iter().map(|Field(name, kind, ..)| format!(", ${name}: {kind}")).collect();
    let arguments: Vec<_> = fields.iter().map(|Field(name, ..)| format!("{name}: ${name} ")).collect();
    (declared.concat(), arguments.concat())
}

/// Changes something by single variables: absent ones keep what is there; a null clears it, or is refused where it stands.
/// `read` answers what is there, by the names of the fields.
async fn assert_absent_is_not_null(
    (mutation, fields): (&str, &[Field]),
    change: impl AsyncFn(Value) -> GraphqlResponse,
    read: impl AsyncFn() -> Value,
) {
    let all: serde_json::Map<String, Value> =
        fields.iter().map(|Field(name, _, value, _)| ((*name).to_owned(), value.clone())).collect();
    let all = Value::Object(all);
    let changed = change(all.clone()).await;
    assert_eq!((changed.user_errors(mutation), read().await), (vec![], all.clone()), "{}", changed.body);
    let remaining = change(json!({})).await;
    assert_eq!((remaining.user_errors(mutation), read().await), (vec![], all.clone()), "all are absent");
    for Field(name, _, _, null) in fields {
        let answer = change(json!({ *name: null })).await;
        let problems = answer.user_errors(mutation);
        match null {
            Null::Clears(empty) => {
                assert_eq!((problems, &read().await[*name]), (vec![], empty), "{name}: {}", answer.body);
                change(all.clone()).await;
            }
            Null::Refused => {
                assert_eq!(problems.len(), 1, "{name}: {}", answer.body);
                let (_, field) = &problems[0];
                assert!(
                    ["input.", "products."].iter().any(|root| field.starts_with(root))
                        && field.ends_with(&format!(".{name}")),
                    "{name}: {field}"
                );
                let message = answer.strings_at(&format!("/{mutation}/userErrors"), "message").concat();
                assert!(message.contains("must not be null") || message.contains("must not be empty"), "{message}");
            }
        }
        assert_eq!(read().await, all, "{name}");
    }
}

/// Variables with the id of what is changed.
fn with_id(id: &Value, arguments: &Value) -> Value {
    let mut variables = json!({ "id": id });
    variables.as_object_mut().expect("variables").extend(arguments.as_object().expect("variables").clone());
    variables
}

async fn absent_variable_of_a_shipping_method_is_not_null(backend: Backend) {
    let shop = TestApp::start(backend).await;
    let token = shop.login(Role::Admin).await;
    // Defaults of the schema hold where a variable of an input is absent.
    let create =
        "mutation($countries: [CountryCode!], $taxable: Boolean, $active: Boolean, $position: Int, $kg: Decimal) {
        shippingMethodCreate(input: { name: \"Boda\", price: \"1\", countries: $countries, taxable: $taxable,
        active: $active, position: $position, pricePerKg: $kg }) {
        shippingMethod { id countries taxable active position pricePerKg { amount } } userErrors { code field message } } }";
    let made = shop.query_as(&token, create, json!({})).await;
    let mut method = made.data_at("/shippingMethodCreate/shippingMethod").clone();
    let id = method["id"].take();
    let defaults =
        json!({ "id": null, "countries": [], "taxable": true, "active": true, "position": 0, "pricePerKg": null });
    assert_eq!(method, defaults);
    let fields = [
        Field("name", "String", json!("Rider"), Null::Refused),
        Field("description", "String", json!("Fast"), Null::Clears(Value::Null)),
        Field("countries", "[CountryCode!]", json!(["KE", "UG"]), Null::Refused),
        Field("price", "Decimal", json!("150.00"), Null::Refused),
        Field("pricePerKg", "Decimal", json!("20.50"), Null::Clears(Value::Null)),
        Field("minGrams", "Int", json!(10), Null::Clears(Value::Null)),
        Field("maxGrams", "Int", json!(5000), Null::Clears(Value::Null)),
        Field("freeFrom", "Decimal", json!("900.00"), Null::Clears(Value::Null)),
        Field("taxable", "Boolean", json!(false), Null::Refused),
        Field("position", "Int", json!(7), Null::Refused),
        Field("active", "Boolean", json!(false), Null::Refused),
    ];
    let (declared, arguments) = by_variables(&fields);
    let document = format!(
        "mutation($id: ID!{declared}) {{ shippingMethodUpdate(id: $id, input: {{ {arguments} }}) {{
        userErrors {{ code field message }} }} }}"
    );
    let query = "{ shippingMethods { name description countries price { amount } pricePerKg { amount } minGrams maxGrams \
        freeFrom { amount } taxable position active } }";
    let change = async |arguments| shop.query_as(&token, &document, with_id(&id, &arguments)).await;
    let read = async || {
        let mut method = shop.query_as(&token, query, json!({})).await.data_at("/shippingMethods/0").clone();
        for field in ["price", "pricePerKg", "freeFrom"] {
            method[field] = method[field]["amount"].take();
        }
        method
    };
    assert_absent_is_not_null(("shippingMethodUpdate", &fields), change, read).await;
}

async fn absent_variable_of_a_tax_rate_is_not_null(backend: Backend) {
    let shop = TestApp::start(backend).await;
    let token = shop.login(Role::Admin).await;
    let create =
        "mutation { taxRateCreate(input: { countryCode: \"KE\", name: \"VAT\", percent: \"16\", included: true }) {
        taxRate { id } userErrors { message } } }";
    let made = shop.query_as(&token, create, json!({})).await;
    let fields = [
        Field("name", "String", json!("Sales tax"), Null::Refused),
        Field("percent", "Decimal", json!("12.50"), Null::Refused),
        Field("included", "Boolean", json!(false), Null::Refused),
    ];
    let (declared, arguments) = by_variables(&fields);
    let document = format!(
        "mutation($id: ID!{declared}) {{ taxRateUpdate(id: $id, input: {{ {arguments} }}) {{
        userErrors {{ code field message }} }} }}"
    );
    let id = made.data_at("/taxRateCreate/taxRate/id");
    let change = async |arguments| shop.query_as(&token, &document, with_id(id, &arguments)).await;
    let read = async || {
        let answer = shop.query_as(&token, "{ taxRates { name percent included } }", json!({})).await;
        answer.data_at("/taxRates/0").clone()
    };
    assert_absent_is_not_null(("taxRateUpdate", &fields), change, read).await;
}

async fn absent_variable_of_an_upserted_product_is_not_null(backend: Backend) {
    let shop = TestApp::start(backend).await;
    shop.save_products(&[simple_product("mug", "Mug", 10)]).await;
    let token = shop.login(Role::Admin).await;
    let ids = shop.query(r#"{ product(slug: "mug") { id category { id } } }"#).await;
    let cleared = || Null::Clears(Value::Null);
    // What is arguments of the product, as it is read back under the same name.
    let fields = [
        Field("name", "String", json!("Cup"), Null::Refused),
        Field("slug", "String", json!("cup"), Null::Refused),
        Field("description", "String", json!("Blue"), cleared()),
        Field("vendor", "String", json!("Brass"), cleared()),
        Field("categoryId", "ID", ids.data_at("/product/category/id").clone(), Null::Refused),
        Field("tags", "[String!]", json!(["blue"]), Null::Clears(json!([]))),
        Field("status", "ProductStatus", json!("ACTIVE"), Null::Refused),
        Field("featured", "Boolean", json!(true), Null::Refused),
        Field("images", "[ImageInput!]", json!([{ "url": "https://img.example/1.jpg" }]), Null::Clears(json!([]))),
        Field("sku", "String", json!("CUP"), Null::Refused),
        Field("price", "Decimal", json!("9.00"), Null::Refused),
        Field("salePrice", "Decimal", json!("8.00"), cleared()),
        Field("saleStartsAt", "DateTime", json!("2026-10-01T00:00:00+00:00"), cleared()),
        Field("saleEndsAt", "DateTime", json!("2026-12-01T00:00:00+00:00"), cleared()),
        // What is not counted has no number.
        Field("stockQuantity", "Int", json!(4), Null::Clears(json!(0))),
        Field("weightGrams", "Int", json!(300), cleared()),
        Field("barcode", "String", json!("4006381333931"), cleared()),
    ];
    let (declared, arguments) = by_variables(&fields);
    let document = format!(
        "mutation($id: ID!{declared}) {{ productsUpsert(products: [{{ id: $id {arguments} }}]) {{ updated
        userErrors {{ code field message }} }} }}"
    );
    let id = ids.data_at("/product/id");
    let change = async |arguments| shop.query_as(&token, &document, with_id(id, &arguments)).await;
    let query = "query($id: ID!) { product(id: $id) { name slug description vendor category { id } tags status featured
        images { url } variants { sku price salePrice saleStartsAt saleEndsAt stockQuantity weightGrams barcode } } }";
    let read = async || {
        let answer = shop.query_as(&token, query, json!({ "id": id })).await;
        let mut product = answer.data_at("/product").as_object().expect("a product").clone();
        let category = product.remove("category").expect("a category");
        product.insert("categoryId".into(), category["id"].clone());
        let variants = product.remove("variants").expect("variants");
        product.extend(variants[0].as_object().expect("a variant").clone());
        Value::Object(product)
    };
    assert_absent_is_not_null(("productsUpsert", &fields), change, read).await;
}
