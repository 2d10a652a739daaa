//! Facets in one list: the input of each value selects as many products as the value counts. Facets of a short time ago are
//! shown in public responses only, and not for long.

use std::time::Duration;

use chrono::TimeDelta;
use savannah::{base::Patch, catalog::ProductPatch, identity::Role};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, RESPONSE_CACHE_ON, TestApp,
        catalog_model::{ModelFilter, SeededRng},
        simple_product,
    },
};

integration_tests![
    input_of_each_value_selects_as_many_products_as_it_counts,
    selected_values_are_marked,
    kinds_select_facets_and_their_cost,
    category_of_a_category_page_is_combined,
    facets_of_a_short_time_ago_are_shown_while_they_are_counted,
    facets_of_long_ago_are_not_shown,
    requests_that_are_not_public_wait_for_current_facets,
];

const FILTERS: &str = "query($filter: ProductFilter, $kinds: [FacetKind!], $first: Int! = 50) {
    products(first: 0, filter: $filter) { facets { filters(kinds: $kinds, first: $first) {
        key label kind values { label count selected input } } } } }";

const COUNT: &str = "query($filter: ProductFilter) { products(first: 0, filter: $filter) { totalCount } }";

/// Returns the filter with the fields of the input replaced.
fn merge(filter: &Value, input: &Value) -> Value {
    let mut merged = filter.as_object().cloned().unwrap_or_default();
    merged.extend(input.as_object().expect("an object").clone());
    Value::Object(merged)
}

async fn assert_counts_are_exact(app: &TestApp, filter: &Value) -> usize {
    let response = app.query_with_variables(FILTERS, json!({ "filter": filter, "first": 4 })).await;
    let facets = response.data_at("/products/facets/filters").as_array().expect("facets").clone();
    let mut value_count = 0;
    for facet in &facets {
        let values = facet["values"].as_array().expect("values");
        assert!(!values.is_empty(), "{facet}");
        for value in values {
            let merged = merge(filter, &value["input"]);
            let response = app.query_with_variables(COUNT, json!({ "filter": merged })).await;
            assert_eq!(response.data_at("/products/totalCount"), &value["count"], "{value} of {facet} in {filter}");
            value_count += 1;
        }
    }
    value_count
}

async fn input_of_each_value_selects_as_many_products_as_it_counts(backend: Backend) {
    let (app, products) = TestApp::start_with_varied_catalog(backend).await;
    let mut value_count = assert_counts_are_exact(&app, &json!({})).await;
    let tag = products.iter().flat_map(|product| &product.tags).next().expect("a tag").clone();
    let mut rng = SeededRng(11);
    let product = rng.pick(&products).clone();
    let with_options = products.iter().find(|product| product.variants.iter().any(|variant| variant.len() > 1));
    let options = &with_options.expect("a product with options").variants[0];
    let options: Vec<Value> = options.iter().map(|(name, value)| json!({ "name": name, "values": [value] })).collect();
    let word = product.normalized_name.split(' ').next().expect("a word").to_owned();
    let filters = [
        json!({ "inStock": true }),
        json!({ "onSale": true, "inStock": false }),
        json!({ "tags": { "none": [tag] }, "price": { "min": "100", "max": "2000" } }),
        json!({ "tags": { "any": [tag] }, "vendors": [product.vendor.as_deref().unwrap_or("none")] }),
        json!({ "options": options }),
        json!({ "options": options[..1], "inStock": true }),
        ModelFilter { category: None, ..ModelFilter::default() }.to_json(),
        json!({ "search": "a" }),
        json!({ "search": word }),
        json!({ "search": word, "tags": { "any": [tag] }, "inStock": true }),
        json!({ "search": word, "options": options[..1], "price": { "min": "100" } }),
        json!({ "search": word, "vendors": [product.vendor.as_deref().unwrap_or("none")] }),
    ];
    for filter in &filters {
        value_count += assert_counts_are_exact(&app, filter).await;
    }
    assert!(value_count > 80, "{value_count}");
}

async fn selected_values_are_marked(backend: Backend) {
    let app = TestApp::start(backend).await;
    let product = |slug: &str, price: i64, vendor: &str, tag: &str| ProductPatch {
        vendor: Patch::Set(vendor.into()),
        tags: Patch::Set(vec![tag.into()]),
        ..simple_product(slug, slug, price)
    };
    app.save_products(&[
        product("a", 15, "Kitui", "New"),
        product("b", 25, "Nyeri", "New"),
        product("c", 30, "Kitui", "Old"),
    ])
    .await;
    let filter = json!({ "vendors": ["KITUI"], "tags": { "any": ["new"], "all": ["NEW"] }, "onSale": false });
    let facets = async |filter: &Value| {
        let response = app.query_with_variables(FILTERS, json!({ "filter": filter })).await;
        response.data_at("/products/facets/filters").clone()
    };
    let value = |label: &str, count: i64, selected: bool, input: Value| json!({ "label": label, "count": count, "selected": selected, "input": input });
    let found = facets(&filter).await;
    let facet = |key: &str| {
        let list = found.as_array().expect("a list");
        list.iter().find(|facet| facet["key"] == key).unwrap_or_else(|| panic!("no {key} in {found}")).clone()
    };
    let vendor = facet("vendor");
    assert_eq!((&vendor["label"], &vendor["kind"]), (&json!("Vendor"), &json!("VENDOR")));
    assert_eq!(
        vendor["values"],
        json!([
            value("Kitui", 1, true, json!({ "vendors": ["Kitui"] })),
            value("Nyeri", 1, false, json!({ "vendors": ["Nyeri"] })),
        ])
    );
    let tags = json!({ "tags": { "any": ["New"], "all": ["NEW"], "none": [] } });
    assert_eq!(facet("tag")["values"], json!([value("New", 1, true, tags)]));
    assert_eq!(facet("onSale")["values"], json!([value("Regular price", 1, true, json!({ "onSale": false }))]));
    // The selected range is the one whose input is in the filter.
    let range = facet("price")["values"][0].clone();
    let priced = facets(&merge(&filter, &range["input"])).await;
    let price = priced.as_array().expect("a list").iter().find(|facet| facet["key"] == "price").expect("prices");
    assert_eq!(price["values"][0]["selected"], true, "{priced}");
    assert_eq!(range["label"], "KES 10.00 – 19.99");
}

async fn kinds_select_facets_and_their_cost(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = async |kinds: Value| app.query_with_variables(FILTERS, json!({ "kinds": kinds })).await;
    let all = query(Value::Null).await;
    assert_eq!(all.statements, 1);
    let kinds = all.strings_at("/products/facets/filters", "kind");
    assert_eq!(kinds.first().map(String::as_str), Some("CATEGORY"));
    assert_eq!(kinds.last().map(String::as_str), Some("ON_SALE"));
    let two = query(json!(["ON_SALE", "VENDOR", "ON_SALE"])).await;
    assert_eq!(two.strings_at("/products/facets/filters", "key"), ["onSale", "vendor"]);
    assert_eq!(two.statements, 1);
    assert_eq!(query(json!([])).await.data_at("/products/facets/filters"), &json!([]));
    app.query_with_variables(FILTERS, json!({ "first": 101 })).await.assert_error_field("first");
    // The typed facets and those of the list are computed once.
    let both =
        app.query("{ products(first: 0) { facets { vendors { value } filters(kinds: [VENDOR]) { key } } } }").await;
    assert_eq!(both.statements, 1, "{}", both.body);
}

async fn category_of_a_category_page_is_combined(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query =
        "query($filter: ProductFilter) { category(slug: \"kitchen\") { productConnection(first: 0, filter: $filter) {
        totalCount facets { filters(kinds: [CATEGORY]) { values { label count input } } } } } }";
    let page = app.query_with_variables(query, json!({})).await;
    let value = page.data_at("/category/productConnection/facets/filters/0/values/0").clone();
    assert_eq!(value["label"], "Mugs");
    let filtered = app.query_with_variables(query, json!({ "filter": value["input"] })).await;
    assert_eq!(filtered.data_at("/category/productConnection/totalCount"), &value["count"]);
}

const VENDORS: &str = "{ products(first: 1) { facets { vendors { value count } } } }";
const STALE: [(&str, &str); 3] =
    [RESPONSE_CACHE_ON, ("SAVANNAH_CACHE__DATA_BYTES", "1000000"), ("SAVANNAH_CACHE__MAX_STALENESS", "10s")];
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

fn advance(app: &TestApp, time: TimeDelta) {
    app.clock.set(app.clock.now() + time);
}

async fn public_vendors(app: &TestApp) -> Value {
    app.query(VENDORS).await.data_at("/products/facets/vendors").clone()
}

async fn create_product(app: &TestApp, admin: &str, vendor: &str) {
    let category = app.query("{ categories { id } }").await.data_at("/categories/0/id").clone();
    let input = json!({ "name": vendor, "vendor": vendor, "status": "ACTIVE", "categoryId": category,
        "variants": [{ "sku": vendor, "price": "1.00" }] });
    let mutation = "mutation($input: ProductCreateInput!) { productCreate(input: $input) { product { id }
        userErrors { message } } }";
    let created = app.query_as(admin, mutation, json!({ "input": input })).await;
    assert!(created.data_at("/productCreate/product/id").is_string(), "{}", created.body);
}

async fn start(backend: Backend) -> (TestApp, String) {
    let app = TestApp::start_with_settings(backend, &STALE).await;
    app.create_categories(std::iter::once(vec!["Things".to_owned()])).await;
    let admin = app.login(Role::Admin).await;
    create_product(&app, &admin, "Acme").await;
    (app, admin)
}

async fn facets_of_a_short_time_ago_are_shown_while_they_are_counted(backend: Backend) {
    let (app, admin) = start(backend).await;
    let first = public_vendors(&app).await;
    assert_eq!(first, json!([{ "value": "Acme", "count": 1 }]));
    create_product(&app, &admin, "Brim").await;
    // Counted less than two seconds ago, so that they are not counted again yet.
    advance(&app, TimeDelta::seconds(1));
    assert_eq!(public_vendors(&app).await, first);
    // Counted again in the background, once for all who ask.
    advance(&app, TimeDelta::seconds(3));
    assert_eq!(public_vendors(&app).await, first);
    let renewed = async {
        while public_vendors(&app).await == first {
            // The cached response ends with the time after which facets are counted again.
            advance(&app, TimeDelta::milliseconds(100));
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, renewed).await.expect("current facets");
    assert_eq!(public_vendors(&app).await, json!([{ "value": "Acme", "count": 1 }, { "value": "Brim", "count": 1 }]));
}

async fn facets_of_long_ago_are_not_shown(backend: Backend) {
    let (app, admin) = start(backend).await;
    assert_eq!(public_vendors(&app).await.as_array().map(Vec::len), Some(1));
    create_product(&app, &admin, "Brim").await;
    advance(&app, TimeDelta::seconds(11));
    assert_eq!(public_vendors(&app).await.as_array().map(Vec::len), Some(2));
}

async fn requests_that_are_not_public_wait_for_current_facets(backend: Backend) {
    let (app, admin) = start(backend).await;
    public_vendors(&app).await;
    create_product(&app, &admin, "Brim").await;
    let vendors = app.query_as(&admin, VENDORS, json!({})).await;
    assert_eq!(vendors.data_at("/products/facets/vendors").as_array().map(Vec::len), Some(2));
}
