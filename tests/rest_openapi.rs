//! The OpenAPI document, and the REST example of the README.

use std::process::Stdio;

use reqwest::Method;
use savannah::{identity::Role, import_export::import::DEMO_CATALOG_CSV};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![openapi_document_describes_the_endpoints; needs(has_curl): readme_requests_run_in_order];

/// Returns whether `curl` is installed.
fn has_curl() -> bool {
    let found = std::process::Command::new("curl").arg("--version").stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success()) || crate::support::report_missing("curl is not installed")
}

async fn openapi_document_describes_the_endpoints(backend: Backend) {
    let app = TestApp::start(backend).await;
    let response = HttpResponse::send(app.build_request(Method::GET, "/api/openapi.json")).await;
    let document = response.json();
    assert_eq!((response.status, document["openapi"].as_str()), (200, Some("3.1.1")));
    let paths = document["paths"].as_object().expect("paths");
    for (path, methods) in [
        ("/products", &["get", "post"][..]),
        ("/products/{id}", &["get", "put", "patch", "delete"]),
        ("/categories", &["get", "post"]),
        ("/categories/{id}", &["get", "put", "patch", "delete"]),
        ("/orders", &["get", "post"]),
        ("/orders/{id}", &["get", "delete"]),
        ("/customers", &["get", "post"]),
        ("/customers/{id}", &["get", "put", "patch", "delete"]),
        ("/cart", &["get", "post"]),
        ("/cart/{id}", &["get", "delete"]),
    ] {
        let mut found: Vec<&str> = paths[path].as_object().expect(path).keys().map(String::as_str).collect();
        let mut expected = methods.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{path}");
    }
    let refused = HttpResponse::send(app.build_request(Method::POST, "/api/openapi.json")).await;
    refused.assert_rest_error(405, "METHOD_NOT_ALLOWED", &[]);
}

async fn readme_requests_run_in_order(backend: Backend) {
    let readme = include_str!("../README.md");
    let section = readme.split("\n## REST\n").nth(1).expect("a section").split("\n## ").next().expect("a section");
    let script = section.split("```sh\n").nth(1).expect("a script").split("```").next().expect("a script");
    let methods = ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "test, cash_on_delivery");
    let app = TestApp::start_with_settings(backend, &[methods]).await;
    assert_eq!(app.import_products(DEMO_CATALOG_CSV).await.1, []);
    app.seed_shipping_and_tax().await;
    let script = script.replace("http://127.0.0.1:8000", &app.url(""));
    let token = app.login(Role::Admin).await;
    let output = tokio::process::Command::new("bash")
        .args(["-euc", &script])
        .env("TOKEN", token)
        .env("no_proxy", "127.0.0.1")
        .output()
        .await
        .expect("bash");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
    assert_eq!(statuses, ["200", "201", "200", "412", "201", "200", "204", "404"], "{text}");
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders").await, 1);
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM product WHERE slug = 'teapot' AND deleted_at IS NOT NULL").await,
        1
    );
}
