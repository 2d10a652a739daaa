//! Bad input of REST requests: clear errors by field, and nothing half stored.

use reqwest::Method;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, RestCall, TestApp},
};

integration_tests![
    unknown_version_names_the_supported_ones,
    unknown_paths_and_methods_are_named,
    unknown_and_invalid_query_parameters_are_named,
    bodies_that_are_no_json_objects_are_refused,
    invalid_fields_of_a_body_are_named,
    ids_of_other_types_are_not_found,
    invalid_token_is_refused,
];

async fn send_raw(app: &TestApp, content_type: Option<&str>, body: impl Into<reqwest::Body>) -> HttpResponse {
    let staff = app.login(Role::Admin).await;
    let mut request = app.build_request(Method::POST, "/api/v1/products/").bearer_auth(staff).body(body);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    HttpResponse::send(request).await
}

async fn count_products(app: &TestApp) -> i64 {
    app.query_scalar("SELECT count(*) FROM product").await
}

async fn unknown_version_names_the_supported_ones(backend: Backend) {
    let app = TestApp::start(backend).await;
    for path in ["/api/v2/products/", "/api/products", "/api/v2", "/api/v10/"] {
        let response = HttpResponse::send(app.build_request(Method::GET, path)).await;
        response.assert_rest_error(404, "NOT_FOUND", &[]);
        let message = response.json()["error"]["message"].clone();
        assert!(message.as_str().is_some_and(|message| message.contains("Supported versions: v1")), "{message}");
    }
}

async fn unknown_paths_and_methods_are_named(backend: Backend) {
    let app = TestApp::start(backend).await;
    for path in ["/nothing", "/products/a/b", "/", "/products//"] {
        app.get_rest(path).await.assert_rest_error(404, "NOT_FOUND", &[]);
    }
    let refused = app.call_rest(Method::DELETE, "/products/", RestCall::default()).await;
    refused.assert_rest_error(405, "METHOD_NOT_ALLOWED", &[]);
    assert_eq!(refused.header("allow"), Some("GET, POST, HEAD"));
    for method in [Method::PUT, Method::PATCH] {
        let refused = app.call_rest(method, "/orders/x", RestCall::default()).await;
        refused.assert_rest_error(405, "METHOD_NOT_ALLOWED", &[]);
        assert_eq!(refused.header("allow"), Some("GET, DELETE, HEAD"));
    }
}

async fn unknown_and_invalid_query_parameters_are_named(backend: Backend) {
    let app = TestApp::start(backend).await;
    let cases: [(&str, &[&str]); 12] = [
        ("colour=red", &["colour"]),
        ("colour=red&page=2", &["colour", "page"]),
        ("first=many", &["first"]),
        ("first=1&first=2", &["first"]),
        ("first=1&limit=2", &["limit"]),
        ("inStock=yes", &["inStock"]),
        ("status=SOLD", &["status"]),
        ("minPrice=cheap", &["minPrice"]),
        ("updatedFrom=yesterday", &["updatedFrom"]),
        ("sort=COLOUR", &["sort"]),
        ("%00=a", &["\u{0}"]),
        ("search=%ff", &[]),
    ];
    for (query, fields) in cases {
        app.get_rest(&format!("/products?{query}")).await.assert_rest_error(400, "BAD_REQUEST", fields);
    }
    for (query, field) in [("first=101", "first"), ("first=-1", "first"), ("after=x&first=2", "after")] {
        app.get_rest(&format!("/products?{query}")).await.assert_rest_error(400, "BAD_USER_INPUT", &[field]);
    }
}

async fn bodies_that_are_no_json_objects_are_refused(backend: Backend) {
    let limit = ("SAVANNAH_SERVER__MAX_BODY_BYTES", "1000");
    let app = TestApp::start_with_settings(backend, &[limit]).await;
    let json_type = Some("application/json");
    for body in ["{", "{\"name\":\"a\"", "not JSON", "\u{ff}"] {
        send_raw(&app, json_type, body).await.assert_rest_error(400, "BAD_REQUEST", &[]);
    }
    for body in ["[]", "null", "\"text\"", "7"] {
        send_raw(&app, json_type, body).await.assert_rest_error(422, "VALIDATION_ERROR", &[]);
    }
    for content_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded"] {
        send_raw(&app, Some(content_type), "{}").await.assert_rest_error(415, "BAD_REQUEST", &[]);
    }
    send_raw(&app, None, "{}").await.assert_rest_error(415, "BAD_REQUEST", &[]);
    send_raw(&app, None, "").await.assert_rest_error(400, "BAD_REQUEST", &[]);
    let large = json!({ "name": "a".repeat(2000) }).to_string();
    send_raw(&app, json_type, large).await.assert_rest_error(413, "BAD_REQUEST", &[]);
    assert_eq!(count_products(&app).await, 0);
}

async fn invalid_fields_of_a_body_are_named(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let cases: [(Value, &[&str]); 10] = [
        (json!({}), &["name"]),
        (json!({ "name": 7 }), &["name"]),
        (json!({ "name": "a", "colour": "red", "price": true }), &["colour", "price"]),
        (json!({ "name": "a", "price": "cheap", "saleEndsAt": "soon" }), &["price", "saleEndsAt"]),
        (json!({ "name": "a", "status": "SOLD", "tags": [1, "b", null] }), &["status", "tags.0", "tags.2"]),
        (json!({ "name": "a", "images": [{ "alt": 7 }, "c"] }), &["images.0.alt", "images.1"]),
        (json!({ "name": "a", "options": [{ "value": "b" }] }), &["options.0.name"]),
        (json!({ "name": "a", "variants": [{ "sku": [] }] }), &["variants.0.sku"]),
        (json!({ "name": "a", "stockQuantity": 1.5 }), &["stockQuantity"]),
        (json!({ "name": "", "sku": "a", "price": "-1" }), &["name", "price"]),
    ];
    for (body, fields) in cases {
        let refused = app.send_rest(Method::POST, "/products", &staff, &body).await;
        refused.assert_rest_error(422, "VALIDATION_ERROR", fields);
    }
    let unknown_category = json!({ "name": "a", "sku": "a", "price": "1", "categoryId": "x" });
    let refused = app.send_rest(Method::POST, "/products", &staff, &unknown_category).await;
    refused.assert_rest_error(422, "VALIDATION_ERROR", &["categoryId"]);
    assert_eq!(count_products(&app).await, 0);
    let body = json!({ "name": "a", "sku": "A", "price": "1" });
    app.send_rest(Method::POST, "/products", &staff, &body).await.rest_data(201);
    let duplicate = app.send_rest(Method::POST, "/products", &staff, &body).await;
    duplicate.assert_rest_error(409, "ALREADY_EXISTS", &["sku"]);
    assert_eq!(count_products(&app).await, 1);
}

async fn ids_of_other_types_are_not_found(backend: Backend) {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Admin).await;
    let body = json!({ "name": "Pots" });
    let category = app.send_rest(Method::POST, "/categories", &staff, &body).await.rest_data(201);
    let category_id = category["id"].as_str().expect("an id");
    for id in [category_id, "x", "%20", "1"] {
        app.get_rest(&format!("/products/{id}")).await.assert_rest_error(404, "NOT_FOUND", &["id"]);
        let changed = app.send_rest(Method::PATCH, &format!("/products/{id}"), &staff, &body).await;
        changed.assert_rest_error(404, "NOT_FOUND", &["id"]);
    }
    let message = app.get_rest(&format!("/products/{category_id}")).await.json()["error"]["message"].clone();
    assert!(message.as_str().is_some_and(|message| message.contains("id of a Category")), "{message}");
}

async fn invalid_token_is_refused(backend: Backend) {
    let app = TestApp::start(backend).await;
    let refused =
        app.call_rest(Method::GET, "/products", RestCall { token: Some("nonsense"), ..RestCall::default() }).await;
    refused.assert_rest_error(401, "UNAUTHENTICATED", &[]);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    // A write without a token is one that a token would allow.
    let anonymous = RestCall { body: Some(&json!({ "name": "a" })), ..RestCall::default() };
    app.call_rest(Method::POST, "/products", anonymous).await.assert_rest_error(401, "UNAUTHENTICATED", &[]);
    let customer = app.login(Role::Customer).await;
    let refused = app.send_rest(Method::POST, "/products", &customer, &json!({ "name": "a" })).await;
    refused.assert_rest_error(403, "FORBIDDEN", &[]);
    assert_eq!(count_products(&app).await, 0);
}
