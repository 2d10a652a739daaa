//! Invalidation of cached responses by every kind of catalog write, on the writing instance and on others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use savannah::{catalog, identity::Role};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, RESPONSE_CACHE_ON, TestApp, parse_datetime, send_to_cache},
};

integration_tests![
    response_is_current_after_each_kind_of_write,
    unrelated_changes_do_not_invalidate,
    response_is_never_older_than_an_answered_write,
    missing_product_appears_when_it_is_published,
    scheduled_price_change_invalidates,
    order_invalidates_what_shows_stock,
    cached_facets_are_current_and_differ_by_visibility,
    writes_invalidate_on_other_instances_within_a_second,
    command_in_another_process_invalidates,
];

/// Responses that together show all public data of the catalog.
const VIEWS: [&str; 6] = [
    "{ products(first: 50, sort: { field: NAME }) { totalCount nodes { name vendor price salePrice tags inStock stockQuantity
        category { name } variants { sku name price } } } }",
    "{ categories { name slug position productCount description children { name productCount } } }",
    "{ products(filter: { inStock: true }, first: 1) { totalCount facets { vendors { value count }
        categories { count category { name } } priceRanges { count min { amount } } } } }",
    "{ products(filter: { search: \"unusualword\" }) { nodes { name } } }",
    "{ searchSuggest(query: \"unus\") { queries products { name } categories { name } } }",
    "{ category(slug: \"cache-test\") { name description products { name } parent { name } ancestors { name } } }",
];

/// Returns a CSV file with one published product.
fn product_csv(name: &str, sku: &str) -> String {
    format!(
        "Handle,Title,Published,Variant SKU,Variant Inventory Qty,Variant Price,Status\n\
         {},{name},true,{sku},4,5.00,active\n",
        sku.to_lowercase()
    )
}

/// Requests the views from the cache.
async fn request_views(app: &TestApp) -> Vec<(HttpResponse, bool)> {
    let mut responses = Vec::new();
    for view in VIEWS {
        responses.push(send_to_cache(app.build_get(view)).await);
    }
    responses
}

/// Asserts that each view from the cache is the one that is computed without it; returns the bodies.
async fn assert_views_are_current(app: &TestApp, write: &str) -> Vec<Value> {
    let cached = request_views(app).await;
    let admin = app.login(Role::Customer).await;
    let mut bodies = Vec::new();
    for (view, (http_response, _)) in VIEWS.iter().zip(cached) {
        let computed = app.query_as(&admin, view, json!({})).await;
        assert_eq!(http_response.json(), computed.body, "{view} after {write}");
        assert!(computed.body.get("errors").is_none(), "{}", computed.body);
        bodies.push(computed.body);
    }
    bodies
}

/// Executes a mutation of staff without user errors; returns the payload.
async fn mutate(app: &TestApp, admin: &str, mutation: &str, variables: Value) -> Value {
    let response = app.query_as(admin, mutation, variables).await;
    let data = response.data_at("").as_object().expect("data").clone();
    let payload = data.values().next().expect("a payload").clone();
    assert_eq!(payload["userErrors"], json!([]), "{mutation}: {payload}");
    payload
}

async fn response_is_current_after_each_kind_of_write(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let admin = app.login(Role::Admin).await;
    let mut bodies = assert_views_are_current(&app, "the start").await;
    assert!(request_views(&app).await.iter().all(|(_, is_hit)| *is_hit));

    let category = mutate(
        &app,
        &admin,
        "mutation { categoryCreate(input: { name: \"Cache test\" }) { category { id } userErrors { code message } } }",
        json!({}),
    )
    .await;
    let category_id = category["category"]["id"].clone();
    let variant = json!({ "sku": "LAMP", "price": "20.00", "stockQuantity": 3, "options": ["Small"] });
    let input = json!({ "name": "Unusualword lamp", "categoryId": category_id, "options": [{ "name": "Size" }],
        "variants": [variant] });
    let created = mutate(
        &app,
        &admin,
        "mutation($input: ProductCreateInput!) { productCreate(input: $input) {
            product { id variants { id } } userErrors { code message } } }",
        json!({ "input": input }),
    )
    .await;
    let (product_id, variant_id) = (created["product"]["id"].clone(), created["product"]["variants"][0]["id"].clone());
    assert_views_are_current(&app, "a new draft").await;

    let update_product = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) {
        userErrors { code message } } }";
    let update_variant =
        "mutation($id: ID!, $input: ProductVariantInput!) { productVariantUpdate(id: $id, input: $input) {
        userErrors { code message } } }";
    let update_category = "mutation($id: ID!, $input: CategoryUpdateInput!) { categoryUpdate(id: $id, input: $input) {
        userErrors { code message } } }";
    let by_id = |field: &str| format!("mutation($id: ID!) {{ {field}(id: $id) {{ userErrors {{ code message }} }} }}");
    let product = json!({ "id": product_id });
    let parent = "mutation { categoryCreate(input: { name: \"Above\" }) { category { id } userErrors { code } } }";
    let parent_id = mutate(&app, &admin, parent, json!({})).await["category"]["id"].clone();
    let move_category = "mutation($id: ID!, $parentId: ID) { categoryMove(id: $id, parentId: $parentId) {
        userErrors { code message } } }";
    let delete_category = "mutation($id: ID!, $parentId: ID) { categoryDelete(id: $id, moveProductsTo: $parentId) {
        userErrors { code message } } }";
    let add_variant = "mutation($productId: ID!, $input: ProductVariantInput!) {
        productVariantCreate(productId: $productId, input: $input) { userErrors { code message field } } }";
    let upsert = "mutation($products: [ProductUpsertInput!]!) { productsUpsert(products: $products) {
        userErrors { code message } } }";
    let writes: Vec<(&str, String, Value)> = vec![
        ("publication", by_id("productPublish"), product.clone()),
        ("a vendor", update_product.into(), json!({ "id": product_id, "input": { "vendor": "Brim" } })),
        ("a name", update_product.into(), json!({ "id": product_id, "input": { "name": "Unusualword light" } })),
        ("tags", update_product.into(), json!({ "id": product_id, "input": { "tags": ["Shade"] } })),
        ("a price", update_variant.into(), json!({ "id": variant_id, "input": { "price": "25.00" } })),
        ("a sale", update_variant.into(), json!({ "id": variant_id, "input": { "salePrice": "15.00" } })),
        ("a stock count", update_variant.into(), json!({ "id": variant_id, "input": { "stockQuantity": 0 } })),
        ("new stock", update_variant.into(), json!({ "id": variant_id, "input": { "stockQuantity": 7 } })),
        (
            "a variant",
            add_variant.into(),
            json!({ "productId": product_id, "input": { "sku": "LAMP-2", "price": "30.00", "options": ["Large"] } }),
        ),
        ("an upsert", upsert.into(), json!({ "products": [{ "sku": "LAMP", "vendor": "Upsert" }] })),
        ("a category's name", update_category.into(), json!({ "id": category_id, "input": { "name": "Lights" } })),
        (
            "a category's description",
            update_category.into(),
            json!({ "id": category_id, "input": { "description": "<p>All lights</p>" } }),
        ),
        ("a move", move_category.into(), json!({ "id": category_id, "parentId": parent_id })),
        ("a withdrawal", by_id("productArchive"), product.clone()),
        ("publication again", by_id("productPublish"), product.clone()),
        ("a deleted product", by_id("productDelete"), product.clone()),
        ("a restored product", by_id("productRestore"), product.clone()),
        ("a deleted category", delete_category.into(), json!({ "id": category_id, "parentId": parent_id })),
        ("a restored category", by_id("categoryRestore"), json!({ "id": category_id })),
    ];
    for (write, mutation, variables) in writes {
        mutate(&app, &admin, &mutation, variables).await;
        let changed = assert_views_are_current(&app, write).await;
        assert!(changed != bodies, "{write} is visible in no view");
        bodies = changed;
    }
    app.import_products(product_csv("Unusualword import", "IMP")).await;
    let changed = assert_views_are_current(&app, "an import").await;
    assert!(changed != bodies, "the import is visible in no view");
}

async fn unrelated_changes_do_not_invalidate(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let admin = app.login(Role::Admin).await;
    let listed = app.query("{ products(first: 2, sort: { field: NAME }) { nodes { id slug } } }").await;
    let products = listed.data_at("/products/nodes").clone();
    let page = |index: usize| {
        let query = "query($slug: String) { product(slug: $slug) { name price variants { sku } } }";
        app.build_post(query, &json!({ "slug": products[index]["slug"] }))
    };
    let shop = || app.build_get("{ shop { name currency } }");
    for request in [page(0), page(1), shop()] {
        assert!(!send_to_cache(request).await.1);
    }
    let update = "mutation($id: ID!) { productUpdate(id: $id, input: { name: \"Other\" }) { userErrors { code } } }";
    mutate(&app, &admin, update, json!({ "id": products[0]["id"] })).await;
    let (changed, is_hit) = send_to_cache(page(0)).await;
    assert!(!is_hit && changed.text.contains("Other"), "{changed:?}");
    assert!(send_to_cache(page(1)).await.1, "another product");
    assert!(send_to_cache(shop()).await.1, "the shop");
    app.query("mutation { cartCreate { cart { id } } }").await;
    assert!(send_to_cache(page(0)).await.1, "a cart");
}

async fn missing_product_appears_when_it_is_published(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let admin = app.login(Role::Admin).await;
    let page = || app.build_get("{ product(slug: \"late-lamp\") { name } variant(by: { sku: \"LATE\" }) { name } }");
    for is_expected_hit in [false, true] {
        let (missing, is_hit) = send_to_cache(page()).await;
        assert_eq!(missing.json()["data"], json!({ "product": null, "variant": null }));
        assert_eq!(is_hit, is_expected_hit);
    }
    let create =
        "mutation { productCreate(input: { name: \"Late lamp\", sku: \"LATE\", price: \"1.00\", status: ACTIVE }) {
        userErrors { code message field } } }";
    mutate(&app, &admin, create, json!({})).await;
    assert_eq!(send_to_cache(page()).await.0.json()["data"]["product"]["name"], "Late lamp");
}

async fn scheduled_price_change_invalidates(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__TTL", "1d")]).await;
    let admin = app.login(Role::Admin).await;
    let create =
        "mutation($input: ProductCreateInput!) { productCreate(input: $input) { userErrors { code message } } }";
    let input = json!({ "name": "Sale lamp", "sku": "SALE", "status": "ACTIVE", "price": "10.00", "salePrice": "5.00",
        "saleStartsAt": "2026-11-01T10:00:00Z", "saleEndsAt": "2026-11-01T11:00:00Z", "stockQuantity": 4 });
    mutate(&app, &admin, create, json!({ "input": input })).await;
    let page = || app.build_get("{ product(sku: \"SALE\") { price salePrice priceRange { min { amount } } } }");
    let sale_price = |http_response: &HttpResponse| http_response.json()["data"]["product"]["salePrice"].clone();
    assert_eq!(sale_price(&send_to_cache(page()).await.0), Value::Null);
    assert!(send_to_cache(page()).await.1);
    app.clock.set(parse_datetime("2026-11-01T10:00:00Z"));
    catalog::refresh_prices(&app.db).await.expect("refreshed prices");
    assert_eq!(sale_price(&send_to_cache(page()).await.0), "5.00");
    assert!(send_to_cache(page()).await.1);
    app.clock.set(parse_datetime("2026-11-01T11:00:00Z"));
    catalog::refresh_prices(&app.db).await.expect("refreshed prices");
    assert_eq!(sale_price(&send_to_cache(page()).await.0), Value::Null);
}

/// Readers request a product all the time while a writer renames it. After each answered write, no response may have an
/// earlier name, although computations that began before the write end after it.
async fn response_is_never_older_than_an_answered_write(backend: Backend) {
    let app = Arc::new(TestApp::start_with_response_cache(backend, &[]).await);
    let admin = app.login(Role::Admin).await;
    let listed = app.query("{ products(first: 1, sort: { field: NAME }) { nodes { id slug } } }").await;
    let product = listed.data_at("/products/nodes/0").clone();
    let update = "mutation($id: ID!, $name: String!) { productUpdate(id: $id, input: { name: $name }) {
        userErrors { code } } }";
    mutate(&app, &admin, update, json!({ "id": product["id"], "name": "0" })).await;
    let answered = Arc::new(AtomicU64::new(0));
    let is_done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..6)
        .map(|reader| {
            let (app, answered, is_done) = (Arc::clone(&app), Arc::clone(&answered), Arc::clone(&is_done));
            let slug = product["slug"].clone();
            tokio::spawn(async move {
                let query = if reader % 2 == 0 {
                    "query($slug: String) { product(slug: $slug) { name } }"
                } else {
                    "query($slug: String) { product(slug: $slug) { category { name } name } }"
                };
                let (mut hits, mut misses) = (0_u32, 0_u32);
                while !is_done.load(Ordering::SeqCst) {
                    let earliest = answered.load(Ordering::SeqCst);
                    let (http_response, is_hit) = send_to_cache(app.build_post(query, &json!({ "slug": slug }))).await;
                    let body = http_response.json();
                    let name = body["data"]["product"]["name"].as_str().expect("a name");
                    let version: u64 = name.parse().expect("a number");
                    assert!(version >= earliest, "{version} after the answer to {earliest}; hit: {is_hit}");
                    if is_hit { hits += 1 } else { misses += 1 }
                }
                (hits, misses)
            })
        })
        .collect();
    let started_at = Instant::now();
    let mut version = 0_u64;
    while version < 60 || started_at.elapsed() < Duration::from_secs(1) {
        version += 1;
        mutate(&app, &admin, update, json!({ "id": product["id"], "name": version.to_string() })).await;
        answered.store(version, Ordering::SeqCst);
    }
    is_done.store(true, Ordering::SeqCst);
    let (mut hits, mut misses) = (0, 0);
    for reader in readers {
        let (reader_hits, reader_misses) = reader.await.expect("a reader");
        hits += reader_hits;
        misses += reader_misses;
    }
    assert!(hits > 0 && misses > 0, "{hits} hits, {misses} misses");
}

/// Waits until an instance answers the request with this name; returns how long it took.
async fn wait_for_name(app: &TestApp, query: &str, pointer: &str, name: &str) -> Duration {
    let started_at = Instant::now();
    loop {
        let (http_response, _) = send_to_cache(app.build_get(query)).await;
        if http_response.json().pointer(pointer).and_then(Value::as_str) == Some(name) {
            return started_at.elapsed();
        }
        assert!(started_at.elapsed() < Duration::from_secs(10), "{http_response:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn writes_invalidate_on_other_instances_within_a_second(backend: Backend) {
    let first = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__TTL", "1d")]).await;
    let second = first.start_second_instance(&[RESPONSE_CACHE_ON, ("SAVANNAH_CACHE__TTL", "1d")]).await;
    first.start_event_feed().await;
    second.start_event_feed().await;
    let admin = first.login(Role::Admin).await;
    let listed =
        first.query("{ products(first: 1, sort: { field: NAME }) { nodes { id slug category { id slug } } } }").await;
    let product = listed.data_at("/products/nodes/0").clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let product_page = format!("{{ product(slug: \"{}\") {{ name }} }}", text(&product["slug"]));
    let category_page = format!("{{ category(slug: \"{}\") {{ name }} }}", text(&product["category"]["slug"]));
    let rename_product = "mutation($id: ID!, $name: String!) { productUpdate(id: $id, input: { name: $name }) {
        userErrors { code } } }";
    let rename_category = "mutation($id: ID!, $name: String!) { categoryUpdate(id: $id, input: { name: $name }) {
        userErrors { code } } }";
    let mut longest = Duration::ZERO;
    for round in 0..5 {
        let name = format!("Round {round}");
        // The events of the last round, which may be later than what the pages already showed.
        second.wait_until_events_are_applied().await;
        for page in [&product_page, &category_page] {
            send_to_cache(second.build_get(page)).await;
            assert!(send_to_cache(second.build_get(page)).await.1, "cached by the second instance");
        }
        mutate(&first, &admin, rename_product, json!({ "id": product["id"], "name": name })).await;
        longest = longest.max(wait_for_name(&second, &product_page, "/data/product/name", &name).await);
        mutate(&first, &admin, rename_category, json!({ "id": product["category"]["id"], "name": name })).await;
        longest = longest.max(wait_for_name(&second, &category_page, "/data/category/name", &name).await);
    }
    // SQLite has no notifications between processes: instances poll.
    let limit = if backend == Backend::Postgres { Duration::from_secs(1) } else { Duration::from_secs(5) };
    assert!(longest < limit, "{longest:?}");
}

async fn command_in_another_process_invalidates(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[("SAVANNAH_CACHE__TTL", "1d")]).await;
    app.start_event_feed().await;
    let page = "{ products(filter: { search: \"Foreign\" }, first: 1) { nodes { name } } }";
    send_to_cache(app.build_get(page)).await;
    // Its own database handle, as in a command: it shares no memory with the server.
    let other = app.start_second_instance(&[]).await;
    other.import_products(product_csv("Foreign lamp", "FOREIGN")).await;
    wait_for_name(&app, page, "/data/products/nodes/0/name", "Foreign lamp").await;
}

async fn order_invalidates_what_shows_stock(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let mug = app.create_product("last-mug", 1_00, Some(1)).await;
    let stock = || app.build_get("{ product(slug: \"last-mug\") { inStock stockQuantity } }");
    let name = || app.build_get("{ product(slug: \"last-mug\") { name } }");
    let filtered = || app.build_get("{ products(filter: { inStock: true, search: \"last-mug\" }) { totalCount } }");
    for request in [stock(), name(), filtered()] {
        assert!(!send_to_cache(request).await.1);
    }
    assert_eq!(send_to_cache(filtered()).await.0.json()["data"]["products"]["totalCount"], 1);
    let ordered = app.create_order(None, "key-1", &[(mug.as_str(), 1)], json!({})).await;
    assert_eq!(ordered.data_at("/orderCreate/userErrors"), &json!([]));
    let (sold_out, is_hit) = send_to_cache(stock()).await;
    assert!(!is_hit);
    assert_eq!(sold_out.json()["data"]["product"], json!({ "inStock": false, "stockQuantity": 0 }));
    assert_eq!(send_to_cache(filtered()).await.0.json()["data"]["products"]["totalCount"], 0);
    assert!(send_to_cache(name()).await.1, "no stock is shown");
}

async fn cached_facets_are_current_and_differ_by_visibility(backend: Backend) {
    let settings = [("SAVANNAH_CACHE__DATA_BYTES", "1000000"), ("SAVANNAH_GRAPHQL__SERVER_TIMING", "true")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    app.import_products(savannah::import_export::import::DEMO_CATALOG_CSV).await;
    let (customer, admin) = (app.login(Role::Customer).await, app.login(Role::Admin).await);
    let query = "{ products(first: 1) { facets { vendors { value count } tags { value count } options { name }
        categories { count category { name } } priceRanges { count } filters { key } } } }";
    let facets = async |token: &str| app.query_as(token, query, json!({})).await;
    let first = facets(&customer).await;
    let second = facets(&customer).await;
    assert_eq!(first.data_at("/products"), second.data_at("/products"));
    assert_eq!(second.statements + 1, first.statements, "the facets");
    // A draft is counted for staff who filter by the status, and not for others, whichever is first.
    let create = "mutation { productCreate(input: { name: \"Draft lamp\", sku: \"DRAFT\", vendor: \"Drafts\", price: \"1.00\" }) {
        userErrors { code message } } }";
    mutate(&app, &admin, create, json!({})).await;
    let with_drafts = "{ products(filter: { status: [DRAFT, ACTIVE] }) { facets { vendors { value } } } }";
    for _ in 0..2 {
        let staff = app.query_as(&admin, with_drafts, json!({})).await;
        assert!(staff.data_at("/products").to_string().contains("Drafts"));
        assert!(!facets(&customer).await.data_at("/products").to_string().contains("Drafts"));
        assert!(!facets(&admin).await.data_at("/products").to_string().contains("Drafts"));
    }
    let publish = "mutation { productCreate(input: { name: \"New lamp\", sku: \"NEW\", vendor: \"Brim\", price: \"1.00\", status: ACTIVE }) {
        userErrors { code message } } }";
    mutate(&app, &admin, publish, json!({})).await;
    assert!(facets(&customer).await.data_at("/products").to_string().contains("Brim"));
}
