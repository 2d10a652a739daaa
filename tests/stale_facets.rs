//! Facets that are shown while newer ones are counted: in public responses only, and not for long.

use std::time::Duration;

use chrono::TimeDelta;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, RESPONSE_CACHE_ON, TestApp},
};

integration_tests![
    facets_of_a_short_time_ago_are_shown_while_they_are_counted,
    facets_of_long_ago_are_not_shown,
    requests_that_are_not_public_wait_for_current_facets,
];

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
