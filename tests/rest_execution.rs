//! REST requests are executed as GraphQL requests: costs, limits, caches, statements, log names, replicas.

use reqwest::Method;
use savannah::identity::Role;

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, RESPONSE_CACHE_ON, RestCall, TestApp},
};

integration_tests![
    stored_operations_run_where_free_form_documents_are_forbidden,
    requests_above_the_rate_limit_are_refused,
    too_costly_pages_are_refused,
    public_reads_come_from_the_response_cache,
    statements_do_not_depend_on_the_number_of_rows,
    preflight_allows_the_methods,
];

async fn stored_operations_run_where_free_form_documents_are_forbidden(backend: Backend) {
    let setting = ("SAVANNAH_GRAPHQL__FREE_FORM_DOCUMENTS", "nobody");
    let app = TestApp::start_with_settings(backend, &[setting]).await;
    assert_eq!(app.query("{ shop { name } }").await.error_code(), "FREE_FORM_DOCUMENT_FORBIDDEN");
    app.get_rest("/products").await.rest_data(200);
}

async fn requests_above_the_rate_limit_are_refused(backend: Backend) {
    let setting = ("SAVANNAH_RATE_LIMIT__POINTS_PER_NETWORK", "1000/1h");
    let app = TestApp::start_with_settings(backend, &[setting]).await;
    let mut last = app.get_rest("/products?first=20").await;
    for _ in 0..1000 {
        assert!(last.header("ratelimit").is_some(), "{last:?}");
        if last.status != 200 {
            break;
        }
        last = app.get_rest("/products?first=20").await;
    }
    last.assert_rest_error(429, "RATE_LIMITED", &[]);
    assert!(last.header("retry-after").is_some(), "{last:?}");
}

async fn too_costly_pages_are_refused(backend: Backend) {
    let setting = ("SAVANNAH_GRAPHQL__MAX_COMPLEXITY", "1000");
    let app = TestApp::start_with_settings(backend, &[setting]).await;
    app.get_rest("/products?first=1").await.rest_data(200);
    app.get_rest("/products?first=100").await.assert_rest_error(400, "QUERY_TOO_COMPLEX", &[]);
}

async fn public_reads_come_from_the_response_cache(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[RESPONSE_CACHE_ON]).await;
    app.create_product("mug", 1000, None).await;
    let read = async || app.get_rest("/products?slug=mug").await;
    let (first, second) = (read().await, read().await);
    assert_eq!(first.rest_data(200), second.rest_data(200));
    assert!(first.header("server-timing").is_some(), "{first:?}");
    assert_eq!(second.header("server-timing"), None, "{second:?}");
    // A request with a token is not answered from the cache of anonymous requests.
    let staff = app.login(Role::Admin).await;
    let call = RestCall { token: Some(&staff), ..RestCall::default() };
    let fresh = app.call_rest(Method::GET, "/products?slug=mug", call).await;
    assert!(fresh.header("server-timing").is_some(), "{fresh:?}");
}

async fn statements_do_not_depend_on_the_number_of_rows(backend: Backend) {
    let app = TestApp::start(backend).await;
    for number in 1..=6 {
        app.create_product(&format!("mug-{number}"), 100, Some(2)).await;
    }
    let count = async |path: &str| {
        let response = app.get_rest(path).await;
        response.rest_data(200);
        response.header("server-timing").expect("a timing").split('"').nth(1).expect("a count").to_owned()
    };
    assert_eq!(count("/products?first=1").await, count("/products?first=6").await);
}

async fn preflight_allows_the_methods(backend: Backend) {
    let app = TestApp::start(backend).await;
    let request = app
        .build_request(Method::OPTIONS, "/api/v1/products/x")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "PUT")
        .header("access-control-request-headers", "if-match,idempotency-key,content-type,authorization");
    let response = HttpResponse::send(request).await;
    let allowed = response.header("access-control-allow-methods").expect("methods").to_owned();
    assert!(["PUT", "PATCH", "DELETE"].iter().all(|method| allowed.contains(method)), "{allowed}");
    let headers = response.header("access-control-allow-headers").expect("headers").to_lowercase();
    assert!(headers.contains("if-match"), "{headers}");
}
