//! The documents of `docs/storefront`, one per page, run against the demo shop.

use std::fs;

use savannah::identity::Role;
use sea_orm::{ConnectionTrait, DbBackend};
use serde_json::{Value, json};

use crate::{
    architecture::project_root,
    checkout::expect_order,
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp, shipping_address},
};

integration_tests![
    catalog_pages_are_one_document_each,
    cart_and_checkout_are_one_document_each,
    account_and_order_pages_are_one_document_each,
    every_storefront_document_is_run,
];

/// The documents with their numbers of SQL statements.
const DOCUMENTS: [(&str, u64); 8] = [
    ("account", 4),
    ("cart", 6),
    ("category-page", 7),
    ("checkout", 7),
    ("home", 6),
    ("order-status", 4),
    ("place-order", 11),
    ("product-page", 7),
];

async fn query_page(app: &TestApp, token: Option<&str>, name: &str, variables: Value) -> GraphqlResponse {
    let document = fs::read_to_string(project_root().join(format!("docs/storefront/{name}.graphql")));
    let response = app.query_maybe_as(token, &document.expect("a document"), variables).await;
    assert!(response.body.get("errors").is_none(), "{name}: {}", response.body);
    let expected = DOCUMENTS.iter().find(|(document, _)| *document == name).expect("a document").1;
    // Writes are batched on PostgreSQL only.
    if name != "place-order" || app.db.get_database_backend() == DbBackend::Postgres {
        assert_eq!(response.statements, expected, "statements of {name}");
    }
    response
}

async fn every_storefront_document_is_run(_: Backend) {
    let folder = fs::read_dir(project_root().join("docs/storefront")).expect("a folder");
    let mut names: Vec<_> =
        folder.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort_unstable();
    assert_eq!(names, DOCUMENTS.map(|(name, _)| format!("{name}.graphql")));
}

async fn catalog_pages_are_one_document_each(backend: Backend) {
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
}

async fn find_variant_id(app: &TestApp) -> String {
    let query = "{ product(slug: \"nyeri-aa-coffee\") { variant { id } } }";
    app.query(query).await.data_at("/product/variant/id").as_str().expect("an id").to_owned()
}

async fn cart_and_checkout_are_one_document_each(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    app.seed_shipping_and_tax().await;
    let variant = find_variant_id(&app).await;
    let cart_id = app.create_cart(None, &[(&variant, 2)]).await;
    let cart = query_page(&app, None, "cart", json!({ "id": cart_id })).await;
    assert_eq!(cart.data_at("/cart/lines/0/quantity"), 2, "{}", cart.body);

    // A page has as many statements for a customer with a cart of several lines.
    let customer = app.login(Role::Customer).await;
    let checkout = query_page(&app, Some(&customer), "checkout", json!({ "cartId": cart_id })).await;
    let option = checkout.data_at("/cart/availableShippingOptions/0").clone();
    assert!(option["price"]["amount"].is_string(), "{}", checkout.body);
    assert!(!checkout.data_at("/shop/shippingCountries").as_array().expect("a list").is_empty());

    let choose = "mutation($id: ID!, $method: ID!) { cartShippingMethodUpdate(id: $id, shippingMethodId: $method) {
        cart { cost { total { amount } } } userErrors { code } } }";
    let variables = json!({ "id": cart_id, "method": option["shippingMethodId"] });
    let chosen = app.query_with_variables(choose, variables).await;
    let total = chosen.data_at("/cartShippingMethodUpdate/cart/cost/total/amount").clone();
    let input = json!({ "cartId": cart_id, "paymentMethodId": "cash_on_delivery", "idempotencyKey": "one", "expectedTotal": total,
        "email": "wanjiku@example.com", "shippingAddress": shipping_address() });
    let placed = query_page(&app, None, "place-order", json!({ "input": input })).await;
    assert_eq!(placed.data_at("/checkoutComplete/cart/status"), "ORDERED", "{}", placed.body);
    let order = placed.data_at("/checkoutComplete/order");
    assert_eq!((&order["status"], &order["cost"]["total"]["amount"]), (&json!("PENDING"), &total), "{}", placed.body);
}

async fn account_and_order_pages_are_one_document_each(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let variant = find_variant_id(&app).await;
    let customer = app.login(Role::Customer).await;
    app.create_order(Some(&customer), "first", &[(&variant, 1)], json!({})).await;
    let account = query_page(&app, Some(&customer), "account", json!({})).await;
    assert_eq!(account.data_at("/me/customer/orders/totalCount"), 1, "{}", account.body);

    let placed = app.create_order(None, "second", &[(&variant, 2)], json!({})).await;
    let order = expect_order(&placed, "orderCreate");
    let variables = json!({ "number": order["number"], "token": order["token"] });
    let status = query_page(&app, None, "order-status", variables).await;
    assert_eq!(status.data_at("/order/lines/0/quantity"), 2, "{}", status.body);
    assert_eq!(status.data_at("/order/history/0/type"), "PLACED", "{}", status.body);
}
