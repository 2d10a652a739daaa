//! REST resources of the catalog and of customers: reads, pages, writes, versions.

use reqwest::Method;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, RestCall, TestApp},
};

integration_tests![
    product_is_created_read_changed_and_deleted,
    put_clears_absent_fields_and_patch_keeps_them,
    stale_entity_tag_changes_nothing,
    products_are_listed_in_pages_with_links,
    products_are_filtered_and_sorted,
    category_is_created_moved_and_deleted,
    customer_is_managed_by_staff,
    customer_reads_and_changes_own_data,
];

async fn product_is_created_read_changed_and_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let body = json!({ "name": "Teapot", "sku": "TEA-1", "price": "24.00", "stockQuantity": 5, "status": "ACTIVE" });
    let created = app.send_rest(Method::POST, "/products/", &staff, &body).await;
    let product = created.rest_data(201);
    let path = format!("/products/{}", product["id"].as_str().expect("an id"));
    assert_eq!(created.header("location"), Some(format!("/api/v1{path}").as_str()));
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!(product["variants"][0]["sku"], "TEA-1");

    // Both forms of the path, and HEAD.
    for path in [path.clone(), format!("{path}/")] {
        let read = app.get_rest(&path).await;
        assert_eq!(read.rest_data(200)["slug"], "teapot");
        assert_eq!(read.header("etag"), Some("\"1\""));
    }
    let head = app.call_rest(Method::HEAD, &path, RestCall::default()).await;
    assert_eq!((head.status, head.text.as_str(), head.header("etag")), (200, "", Some("\"1\"")));

    let call =
        RestCall { token: Some(&staff), headers: &[("if-match", "\"1\"")], body: Some(&json!({ "price": "22.50" })) };
    let changed = app.call_rest(Method::PATCH, &path, call).await;
    assert_eq!(changed.rest_data(200)["price"], "22.50");
    assert_eq!(changed.header("etag"), Some("\"2\""));

    let call = RestCall { token: Some(&staff), ..RestCall::default() };
    let deleted = app.call_rest(Method::DELETE, &path, call).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    app.get_rest(&path).await.assert_rest_error(404, "NOT_FOUND", &[]);
    app.call_rest(Method::DELETE, &path, call).await.assert_rest_error(404, "NOT_FOUND", &["id"]);
}

async fn put_clears_absent_fields_and_patch_keeps_them(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let body = json!({ "name": "Teapot", "sku": "TEA-1", "price": "24.00", "salePrice": "20.00", "vendor": "Kazi",
        "tags": ["tea"], "description": "Holds tea.", "featured": true, "stockQuantity": 3, "status": "ACTIVE" });
    let product = app.send_rest(Method::POST, "/products", &staff, &body).await.rest_data(201);
    let path = format!("/products/{}", product["id"].as_str().expect("an id"));
    let category_id = product["category"]["id"].as_str().expect("an id");

    let patched = app.send_rest(Method::PATCH, &path, &staff, &json!({ "vendor": null })).await.rest_data(200);
    assert_eq!(patched["vendor"], json!(null));
    assert_eq!(
        (&patched["tags"], &patched["featured"], &patched["salePrice"]),
        (&json!(["tea"]), &json!(true), &json!("20.00"))
    );

    let incomplete = app.send_rest(Method::PUT, &path, &staff, &json!({ "name": "Pot" })).await;
    incomplete.assert_rest_error(422, "VALIDATION_ERROR", &["slug", "categoryId", "status"]);

    // Without any field of the variant, the variant is kept.
    let mut body = json!({ "name": "Pot", "slug": "pot", "categoryId": category_id, "status": "ACTIVE" });
    let replaced = app.send_rest(Method::PUT, &path, &staff, &body).await.rest_data(200);
    assert_eq!((&replaced["name"], &replaced["slug"]), (&json!("Pot"), &json!("pot")));
    assert_eq!(
        (&replaced["tags"], &replaced["description"], &replaced["featured"]),
        (&json!([]), &json!(null), &json!(false))
    );
    assert_eq!((&replaced["salePrice"], &replaced["stockQuantity"]), (&json!("20.00"), &json!(3)));

    body["price"] = "30.00".into();
    app.send_rest(Method::PUT, &path, &staff, &body).await.assert_rest_error(422, "VALIDATION_ERROR", &["sku"]);
    body["sku"] = "TEA-1".into();
    let replaced = app.send_rest(Method::PUT, &path, &staff, &body).await.rest_data(200);
    assert_eq!((&replaced["price"], &replaced["salePrice"]), (&json!("30.00"), &json!(null)));
}

async fn stale_entity_tag_changes_nothing(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let body = json!({ "name": "Teapot", "sku": "TEA-1", "price": "24.00", "status": "ACTIVE" });
    let product = app.send_rest(Method::POST, "/products", &staff, &body).await.rest_data(201);
    let path = format!("/products/{}", product["id"].as_str().expect("an id"));
    app.send_rest(Method::PATCH, &path, &staff, &json!({ "vendor": "Kazi" })).await.rest_data(200);
    let replacement =
        json!({ "name": "Lost", "slug": "lost", "categoryId": product["category"]["id"], "status": "DRAFT" });
    for (method, body) in [(Method::PUT, &replacement), (Method::PATCH, &json!({ "name": "Lost" }))] {
        for tag in ["\"1\"", "\"other\"", "W/\"2\""] {
            let call = RestCall { token: Some(&staff), headers: &[("if-match", tag)], body: Some(body) };
            let refused = app.call_rest(method.clone(), &path, call).await;
            refused.assert_rest_error(412, "PRECONDITION_FAILED", &["If-Match"]);
        }
    }
    let current = app.get_rest(&path).await;
    assert_eq!((&current.rest_data(200)["name"], current.header("etag")), (&json!("Teapot"), Some("\"2\"")));
    // The delete has no expected version: it is refused rather than ignored.
    let call = RestCall { token: Some(&staff), headers: &[("if-match", "\"2\"")], body: None };
    app.call_rest(Method::DELETE, &path, call).await.assert_rest_error(400, "BAD_REQUEST", &["If-Match"]);
    let call = RestCall { headers: &[("if-match", "2")], body: Some(&replacement), ..call };
    app.call_rest(Method::PUT, &path, call).await.assert_rest_error(400, "BAD_REQUEST", &["If-Match"]);
}

async fn products_are_listed_in_pages_with_links(backend: Backend) {
    let app = TestApp::start(backend).await;
    for number in 1..=5 {
        app.create_product(&format!("mug-{number}"), 100 * number, None).await;
    }
    let mut path = "/products/?sort=PRICE&first=2&total=true".to_owned();
    let mut slugs = Vec::new();
    let mut pages = 0;
    let last = loop {
        let page = app.get_rest(&path).await;
        let items = page.rest_data(200);
        slugs.extend(
            items.as_array().expect("a list").iter().map(|item| item["slug"].as_str().expect("a slug").to_owned()),
        );
        pages += 1;
        let meta = page.json()["meta"].clone();
        assert_eq!(meta["total_count"], 5);
        let Some(next) = meta["next"].as_str() else { break page };
        assert!(page.header("link").is_some_and(|link| link.contains(&format!("<{next}>; rel=\"next\""))), "{page:?}");
        path = String::from(next.strip_prefix("/api/v1").expect("an address of the API"));
    };
    assert_eq!((pages, slugs.join(" ").as_str()), (3, "mug-1 mug-2 mug-3 mug-4 mug-5"));
    let previous = last.json()["meta"]["prev"].as_str().expect("an address").to_owned();
    let previous = app.get_rest(previous.strip_prefix("/api/v1").expect("an address of the API")).await;
    assert_eq!(previous.rest_data(200)[0]["slug"], "mug-3");
    let without_total = app.get_rest("/products?limit=1").await;
    assert_eq!(
        (without_total.json()["meta"]["total_count"].clone(), without_total.rest_data(200).as_array().map(Vec::len)),
        (json!(null), Some(1))
    );
}

async fn products_are_filtered_and_sorted(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let slugs = async |query: &str| {
        let items = app.get_rest(&format!("/products?{query}")).await.rest_data(200);
        let items = items.as_array().expect("a list").clone();
        items.iter().map(|item| item["slug"].as_str().expect("a slug").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(slugs("slug=mug").await, ["mug"]);
    app.get_rest("/products?status=DRAFT").await.assert_rest_error(401, "UNAUTHENTICATED", &[]);
    let staff = app.login(Role::Admin).await;
    let call = RestCall { token: Some(&staff), ..RestCall::default() };
    let listed = app.call_rest(Method::GET, "/products?slug=mug&status=ACTIVE&status=ARCHIVED", call).await;
    assert_eq!(listed.rest_data(200)[0]["slug"], "mug");
    assert!(slugs("search=baskte").await.iter().any(|slug| slug.contains("basket")));
    let cheap = app.get_rest("/products?maxPrice=1000&sort=PRICE&reverse=true").await.rest_data(200);
    let prices: Vec<f64> = cheap
        .as_array()
        .expect("a list")
        .iter()
        // Products are sorted by what they cost now.
        .map(|item| item["salePrice"].as_str().or(item["price"].as_str()).expect("a price"))
        .map(|price| price.parse().expect("a number"))
        .collect();
    assert!(
        !prices.is_empty() && prices.iter().all(|price| *price <= 1000.0) && prices.is_sorted_by(|a, b| a >= b),
        "{prices:?}"
    );
    let categories = app.get_rest("/categories/").await.rest_data(200);
    let category = &categories[0];
    let by_id = slugs(&format!("category={}", category["id"].as_str().expect("an id"))).await;
    let by_slug = slugs(&format!("categorySlug={}", category["slug"].as_str().expect("a slug"))).await;
    assert!(!by_id.is_empty());
    assert_eq!(by_id, by_slug);
    let both = format!("/products?category={}&categorySlug=x", category["id"].as_str().expect("an id"));
    app.get_rest(&both).await.assert_rest_error(400, "BAD_REQUEST", &["filter.category"]);
}

async fn category_is_created_moved_and_deleted(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let create = async |body: Value| app.send_rest(Method::POST, "/categories", &staff, &body).await.rest_data(201);
    let kitchen = create(json!({ "name": "Kitchen", "description": "For cooks." })).await;
    let pots = create(json!({ "name": "Pots" })).await;
    let path = format!("/categories/{}", pots["id"].as_str().expect("an id"));
    let moved =
        app.send_rest(Method::POST, &format!("{path}/move"), &staff, &json!({ "parentId": kitchen["id"] })).await;
    assert_eq!(moved.rest_data(200)["parent"]["name"], "Kitchen");
    let parent_path = format!("/categories/{}", kitchen["id"].as_str().expect("an id"));
    assert_eq!(app.get_rest(&parent_path).await.rest_data(200)["children"][0]["name"], "Pots");
    let replaced =
        app.send_rest(Method::PUT, &parent_path, &staff, &json!({ "name": "Kitchen", "slug": "cook" })).await;
    assert_eq!(
        (&replaced.rest_data(200)["description"], &replaced.rest_data(200)["slug"]),
        (&json!(null), &json!("cook"))
    );
    let call = RestCall { token: Some(&staff), ..RestCall::default() };
    let with_children = app.call_rest(Method::DELETE, &parent_path, call).await;
    assert!((400..500).contains(&with_children.status), "{with_children:?}");
    assert_eq!(app.call_rest(Method::DELETE, &path, call).await.status, 204);
    app.get_rest(&path).await.assert_rest_error(404, "NOT_FOUND", &[]);
}

async fn customer_is_managed_by_staff(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let body =
        json!({ "email": "amani@example.com", "firstName": "Amani", "lastName": "Otieno", "externalId": "crm-7" });
    let created = app.send_rest(Method::POST, "/customers/", &staff, &body).await.rest_data(201);
    let path = format!("/customers/{}", created["id"].as_str().expect("an id"));
    let body = json!({ "email": "amani@example.com" });
    app.send_rest(Method::POST, "/customers/", &staff, &body).await.assert_rest_error(
        409,
        "ALREADY_EXISTS",
        &["email"],
    );
    let call = RestCall { token: Some(&staff), ..RestCall::default() };
    let found = app.call_rest(Method::GET, "/customers?externalId=crm-7", call).await.rest_data(200);
    assert_eq!(found[0]["email"], "amani@example.com");
    let replaced = app.send_rest(Method::PUT, &path, &staff, &json!({ "firstName": "A.", "lastName": "O." })).await;
    assert_eq!(
        (&replaced.rest_data(200)["firstName"], &replaced.rest_data(200)["externalId"]),
        (&json!("A."), &json!(null))
    );
    assert_eq!(app.call_rest(Method::DELETE, &path, call).await.status, 204);
    app.get_rest("/customers").await.assert_rest_error(401, "UNAUTHENTICATED", &[]);
    let customer = app.login(Role::Customer).await;
    let call = RestCall { token: Some(&customer), ..RestCall::default() };
    app.call_rest(Method::GET, "/customers", call).await.assert_rest_error(403, "FORBIDDEN", &[]);
}

async fn customer_reads_and_changes_own_data(backend: Backend) {
    let app = TestApp::start(backend).await;
    let customer = app.login(Role::Customer).await;
    let anonymous = app.get_rest("/customers/me").await;
    anonymous.assert_rest_error(401, "UNAUTHENTICATED", &[]);
    assert_eq!(anonymous.header("www-authenticate"), Some("Bearer"));
    let changed = app.send_rest(Method::PATCH, "/customers/me/", &customer, &json!({ "firstName": "Amani" })).await;
    let etag = changed.header("etag").expect("an entity tag").to_owned();
    assert_eq!(changed.rest_data(200)["firstName"], "Amani");
    let call = RestCall { token: Some(&customer), ..RestCall::default() };
    let own = app.call_rest(Method::GET, "/customers/me", call).await;
    assert_eq!((&own.rest_data(200)["firstName"], own.header("etag")), (&json!("Amani"), Some(etag.as_str())));
    app.call_rest(Method::GET, "/cart", call).await.assert_rest_error(404, "NOT_FOUND", &[]);
}
