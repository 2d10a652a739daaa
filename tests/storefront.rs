//! The documents of `docs/storefront`, one per page, run against the demo shop.

use std::fs;

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    architecture::project_root,
    checkout::expect_order,
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![storefront_pages_are_one_document_each, every_storefront_document_is_run];

/// The documents with their numbers of SQL statements.
const DOCUMENTS: [(&str, u64); 5] =
    [("account", 4), ("category-page", 9), ("home", 6), ("order-status", 4), ("product-page", 11)];

async fn query_page(app: &TestApp, token: Option<&str>, name: &str, variables: Value) -> GraphqlResponse {
    let document = fs::read_to_string(project_root().join(format!("docs/storefront/{name}.graphql")));
    let response = app.query_maybe_as(token, &document.expect("a document"), variables).await;
    assert!(response.body.get("errors").is_none(), "{name}: {}", response.body);
    let expected = DOCUMENTS.iter().find(|(document, _)| *document == name).expect("a document").1;
    assert_eq!(response.statements, expected, "statements of {name}");
    response
}

async fn every_storefront_document_is_run(_: Backend) {
    let folder = fs::read_dir(project_root().join("docs/storefront")).expect("a folder");
    let mut names: Vec<_> =
        folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    assert_eq!(names, DOCUMENTS.map(|(name, _)| format!("{name}.graphql")));
}

async fn storefront_pages_are_one_document_each(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;

    let home = query_page(&app, None, "home", json!({})).await;
    for list in ["featured", "newest"] {
        let cards = home.data_at(&format!("/{list}/nodes")).as_array().expect("a list");
        assert!(!cards.is_empty(), "{list}: {}", home.body);
        assert!(cards.iter().all(|card| card["price"].is_string()), "{list}: {}", home.body);
    }

    let slug = home.data_at("/categories/0/slug").clone();
    let category = query_page(&app, None, "category-page", json!({ "slug": slug })).await;
    let count = category.data_at("/category/productConnection/totalCount").as_u64().expect("a count");
    assert!(count > 1, "{}", category.body);
    let vendor = category.data_at("/category/productConnection/facets/vendors/0").clone();
    let filter = json!({ "slug": slug, "filter": { "vendors": [vendor["value"]] }, "sort": { "field": "PRICE" } });
    let filtered = query_page(&app, None, "category-page", filter).await;
    assert_eq!(filtered.data_at("/category/productConnection/totalCount"), &vendor["count"]);

    let variables = json!({ "slug": "nyeri-aa-coffee",
        "selectedOptions": [{ "name": "Weight", "value": "500 g" }, { "name": "Size", "value": "500 g" }] });
    let product = query_page(&app, None, "product-page", variables).await;
    assert!(product.data_at("/product/variant/availability/available") == true, "{}", product.body);
    let values = product.data_at("/product/options/0/optionValues").as_array().expect("values");
    assert!(values.len() > 1 && values.iter().all(|value| value["available"] == true), "{}", product.body);

    let variant = product.data_at("/product/variant/id").as_str().expect("an id").to_owned();
    let customer = app.login(Role::Customer).await;
    app.create_order(Some(&customer), "first", &[(&variant, 1)], json!({})).await;
    let account = query_page(&app, Some(&customer), "account", json!({})).await;
    assert_eq!(account.data_at("/me/orders/totalCount"), 1, "{}", account.body);

    let placed = app.create_order(None, "second", &[(&variant, 2)], json!({})).await;
    let order = expect_order(&placed, "orderCreate");
    let variables = json!({ "number": order["number"], "token": order["token"] });
    let status = query_page(&app, None, "order-status", variables).await;
    assert_eq!(status.data_at("/order/lines/0/quantity"), 2, "{}", status.body);
    assert_eq!(status.data_at("/order/history/0/type"), "PLACED", "{}", status.body);
}
