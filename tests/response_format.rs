//! What every answer has: its fields in the order of the query, an id, its cost, and nothing of ours when we fail.

use axum::{Router, routing::get};
use reqwest::Method;
use savannah::identity::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![
    fields_are_returned_in_selection_order,
    failed_nullable_field_is_null,
    server_timing_header_follows_mode_and_setting,
    every_response_has_its_request_id,
    invalid_urls_are_answered_as_rest_errors,
    panic_in_a_handler_is_answered_with_500,
    health_reports_database_and_shutdown_state,
    cors_allows_configured_origins,
    long_responses_are_compressed,
    every_response_forbids_caching,
];

fn post_query(app: &TestApp, query: &str) -> reqwest::RequestBuilder {
    let body = json!({ "query": query }).to_string();
    app.build_request(Method::POST, "/graphql").header("content-type", "application/json").body(body)
}

async fn fields_are_returned_in_selection_order(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let cases = [
        (
            "{ products(first: 1) { totalCount nodes { tags name variants(first: 1) { stockQuantity sku } id \
             category { description name } } facets { vendors(first: 1) { count value } categories(first: 1) { count } } \
             pageInfo { hasNextPage } } shop { name } category(slug: \"kitchen\") { productCount name } }",
            "data products totalCount nodes tags name variants stockQuantity sku id category description name facets \
             vendors count value categories count pageInfo hasNextPage shop name category productCount name",
        ),
        (
            "{ z: category(slug: \"kitchen\") { productCount } products(first: 1) { ...P edges { node { inStock name } \
             cursor } } a: shop { name } } fragment P on ProductConnection { facets { tags(first: 1) { value } } \
             nodes { ...Q name } } fragment Q on Product { tags slug }",
            "data z productCount products facets tags value nodes tags slug name edges node inStock name cursor a name",
        ),
        (
            "{ products(first: 1) { nodes { id } totalCount nodes { description name } } }",
            "data products nodes id description name totalCount",
        ),
    ];
    for (query, expected) in cases {
        let http_response = HttpResponse::send(post_query(&app, query)).await;
        assert_eq!(json_keys(&http_response.text), expected.split(' ').collect::<Vec<_>>(), "{}", http_response.text);
    }
    // Behind an interface each type has the order of its own fragments, and no field that was not asked for.
    let ids = app.query("{ product(slug: \"mug\") { id category { id } } }").await;
    let ids = json!([ids.data_at("/product/id"), ids.data_at("/product/category/id")]);
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Category { productCount slug } ... on Product { tags slug } } }";
    let body = json!({ "query": query, "variables": { "ids": ids } });
    let text = app.post_graphql(body).await.text().await.expect("a body");
    assert!(text.starts_with(r#"{"data":{"nodes":[{"tags":["#), "{text}");
    assert!(text.contains(r#","slug":"mug"},{"productCount":"#) && text.ends_with("}]}}"), "{text}");
    let empty = json!({ "query": "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Category { slug } } }", "variables": { "ids": ids } });
    let response: Value = app.post_graphql(empty).await.json().await.expect("JSON");
    assert_eq!(response["data"]["nodes"][0], json!({}), "{response}");
}

/// The names in a JSON text, in order.
fn json_keys(text: &str) -> Vec<&str> {
    let segments: Vec<_> = text.split('"').collect();
    let strings = segments.windows(2).skip(1).step_by(2);
    strings.filter(|pair| pair[1].starts_with(':')).map(|pair| pair[0]).collect()
}

async fn failed_nullable_field_is_null(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let rejected =
        HttpResponse::send(post_query(&app, "{ shop { name } node(id: \"nonsense\") { id } z: shop { name } }")).await;
    let name = json!({ "name": "Savannah" });
    assert_eq!((rejected.status, rejected.error_code().as_str()), (200, "BAD_USER_INPUT"));
    assert_eq!(rejected.json()["data"], json!({ "shop": name, "node": null, "z": name }));

    app.execute_sql("ALTER TABLE product_tag RENAME TO gone").await.expect("renamed");
    app.execute_sql("ALTER TABLE product_description RENAME TO gone_too").await.expect("renamed");
    let cases = [
        (
            "{ product(slug: \"mug\") { slug description } }",
            json!({ "product": { "slug": "mug", "description": null } }),
        ),
        ("{ product(slug: \"mug\") { description } }", json!({ "product": { "description": null } })),
        ("{ product(slug: \"mug\") { slug tags } shop { name } }", json!({ "product": null, "shop": name })),
        ("{ products(first: 3) { nodes { slug tags } } }", json!(null)),
    ];
    for (query, data) in cases {
        let http_response = HttpResponse::send(post_query(&app, query)).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (200, "INTERNAL"), "{query}");
        assert_eq!(http_response.json()["data"], data, "{query}");
        assert_eq!(http_response.error_message(), "An internal error occurred.");
        assert!(
            !http_response.text.contains("product_tag") && !http_response.text.contains("gone"),
            "{http_response:?}"
        );
    }
    app.db.clone().close().await;
    let http_response = HttpResponse::send(post_query(&app, "{ product(slug: \"mug\") { slug } }")).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (503, "UNAVAILABLE"), "{http_response:?}");
}

async fn server_timing_header_follows_mode_and_setting(backend: Backend) {
    let query = "{ products(first: 3) { totalCount nodes { name tags } } }";
    let cost = async |settings: &[(&str, &str)]| {
        let app = TestApp::start_with_settings(backend, settings).await;
        let http_response = HttpResponse::send(post_query(&app, query)).await;
        assert_eq!(http_response.status, 200);
        http_response.header("server-timing").map(str::to_owned)
    };
    let header = cost(&[]).await.expect("told in development");
    let time = header.strip_prefix("db;dur=").and_then(|rest| rest.strip_suffix(";desc=\"2 statements\""));
    assert!(time.is_some_and(|time| time.parse::<f64>().is_ok()), "{header}");
    assert_eq!(cost(&[("SAVANNAH_SHOP__MODE", "production")]).await, None);
    let settings = [("SAVANNAH_SHOP__MODE", "production"), ("SAVANNAH_GRAPHQL__SERVER_TIMING", "true")];
    assert!(cost(&settings).await.is_some());
    assert_eq!(cost(&[("SAVANNAH_GRAPHQL__SERVER_TIMING", "false")]).await, None);

    let app = TestApp::start_with_demo_catalog(backend).await;
    for (query, statements) in
        [("{ shop { name } }", "0 statements"), ("{ product(slug: \"mug\") { id } }", "1 statement")]
    {
        let http_response = HttpResponse::send(post_query(&app, query)).await;
        let header = http_response.header("server-timing").expect("told");
        assert!(header.ends_with(&format!(";desc=\"{statements}\"")), "{header}");
    }
}

async fn every_response_has_its_request_id(backend: Backend) {
    let app = TestApp::start(backend).await;
    let paths =
        ["/", "/nothing", "/health", "/health/live", "/health/ready", "/graphiql", "/graphiql/nothing", "/graphql"];
    for path in paths {
        let request_id = "abc-DEF_1.2:3";
        let http_response =
            HttpResponse::send(app.build_request(Method::GET, path).header("x-request-id", request_id)).await;
        assert_eq!(http_response.header("x-request-id"), Some(request_id), "{path}");
        let longest = "x".repeat(128);
        let http_response =
            HttpResponse::send(app.build_request(Method::OPTIONS, path).header("x-request-id", &longest)).await;
        assert_eq!(http_response.header("x-request-id"), Some(longest.as_str()), "{path}");
        let too_long = "x".repeat(129);
        for invalid_id in ["", " ", "two words", "a\tb", "a,b", "{\"a\":1}", "a\u{e9}", &too_long] {
            let value = reqwest::header::HeaderValue::from_bytes(invalid_id.as_bytes()).expect("a value");
            let http_response =
                HttpResponse::send(app.build_request(Method::GET, path).header("x-request-id", value)).await;
            let id = http_response.header("x-request-id").expect("an id");
            assert!(id != invalid_id && id.len() == 32, "{invalid_id:?} became {id}");
        }
    }
    let http_response =
        HttpResponse::send(app.build_request(Method::GET, "/nothing").header("x-request-id", "mine")).await;
    assert_eq!((http_response.status, http_response.header("content-type")), (404, Some("application/json")));
    let body = http_response.json();
    assert_eq!((&body["error"]["code"], &body["meta"]["request_id"]), (&json!("NOT_FOUND"), &json!("mine")));
    assert!(body["error"]["message"].is_string() && body["error"].get("details").is_some());
    assert!(
        body["meta"]["timestamp"].as_str().is_some_and(|time| time.parse::<chrono::DateTime<chrono::Utc>>().is_ok())
    );
}

async fn invalid_urls_are_answered_as_rest_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let paths = [
        "/analytics.csv?from=2026-01-01&from=2026-01-02",
        "/auth/google/login?redirect=a&redirect=b",
        "/auth/google/callback?state=a&state=b",
        "/auth/%FF/login?redirect=a",
        "/payments/test/abc",
        "/media/%FF/640.webp",
    ];
    for path in paths {
        let request = app.build_request(Method::GET, path).header("x-request-id", "mine");
        let http_response = HttpResponse::send(request).await;
        assert_eq!(
            (http_response.status, http_response.header("content-type")),
            (400, Some("application/json")),
            "{path}"
        );
        let body = http_response.json();
        assert_eq!(body["error"]["code"], "BAD_USER_INPUT", "{path}: {body}");
        assert_eq!(body["meta"]["request_id"], "mine", "{path}: {body}");
    }
}

async fn panic_in_a_handler_is_answered_with_500(backend: Backend) {
    let app = TestApp::start(backend).await;
    let broken = || async { panic_if(true) };
    let router = savannah::http::with_middleware(Router::new().route("/broken", get(broken)), &app.http_app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, router).into_future());
    for _ in 0..2 {
        let request = reqwest::Client::new().get(format!("http://{address}/broken")).header("x-request-id", "mine");
        let http_response = HttpResponse::send(request.header("origin", "https://page.example")).await;
        assert_eq!((http_response.status, http_response.header("x-request-id")), (500, Some("mine")));
        assert_eq!(http_response.header("access-control-allow-origin"), Some("*"), "or the page could not read it");
        let body = http_response.json();
        assert_eq!((&body["error"]["code"], &body["meta"]["request_id"]), (&json!("INTERNAL"), &json!("mine")));
        assert!(!http_response.text.contains("wants"), "{http_response:?}");
    }
}

/// A handler has an answer; this one never comes to it.
fn panic_if(now: bool) -> &'static str {
    assert!(!now, "panic requested by the test");
    "well"
}

async fn health_reports_database_and_shutdown_state(backend: Backend) {
    let app = TestApp::start(backend).await;
    let query_health = async |path: &str| {
        let http_response = HttpResponse::send(app.build_request(Method::GET, path)).await;
        (
            http_response.status,
            http_response.json()["data"]["status"].as_str().map(str::to_owned),
            http_response.json()["data"].clone(),
        )
    };
    let status = async |path: &str| {
        let (status, health, _) = query_health(path).await;
        (status, health.expect("a word"))
    };
    let healthy = |status: u16| (status, "healthy".to_owned());
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(status(path).await, healthy(200), "{path}");
    }
    let (_, _, body) = query_health("/health").await;
    let kind = if backend == Backend::Sqlite { "sqlite" } else { "postgresql" };
    assert_eq!(body["parts"]["database"]["kind"], kind);
    app.http_app.is_stopping.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(status("/health/live").await, healthy(200));
    assert_eq!(status("/health/ready").await, (503, "stopping".into()));
    app.http_app.is_stopping.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(status("/health/ready").await, healthy(200));
    app.db.clone().close().await;
    assert_eq!(status("/health/live").await, healthy(200));
    assert_eq!(status("/health/ready").await, (503, "unhealthy".into()));
    let (status, _, body) = query_health("/health").await;
    assert_eq!((status, &body["parts"]["database"]["status"]), (503, &json!("unhealthy")));
}

async fn cors_allows_configured_origins(backend: Backend) {
    let origin = async |settings: &[(&str, &str)], from: &str| {
        let app = TestApp::start_with_settings(backend, settings).await;
        let preflight = app.build_request(Method::OPTIONS, "/graphql").header("origin", from);
        let preflight = preflight.header("access-control-request-method", "POST");
        let preflight = HttpResponse::send(preflight.header("access-control-request-headers", "content-type")).await;
        assert_eq!(preflight.status, 200);
        let post_response = HttpResponse::send(post_query(&app, "{ __typename }").header("origin", from)).await;
        assert_eq!(post_response.header("access-control-allow-credentials"), None);
        let allowed = preflight.header("access-control-allow-origin").map(str::to_owned);
        assert_eq!(post_response.header("access-control-allow-origin"), allowed.as_deref());
        if allowed.is_some() {
            let exposed = post_response.header("access-control-expose-headers").expect("exposed headers");
            assert!(exposed.contains("x-request-id") && exposed.contains("server-timing"), "{exposed}");
            let headers = preflight.header("access-control-allow-headers").expect("allowed headers");
            assert!(headers.contains("content-type") && headers.contains("authorization"), "{headers}");
            assert!(headers.contains("if-match") && headers.contains("idempotency-key"), "{headers}");
            for name in
                ["apollographql-client-name", "apollo-require-preflight", "baggage", "sentry-trace", "traceparent"]
            {
                assert!(headers.contains(name), "{name} is not in {headers}");
            }
            assert_eq!(preflight.header("access-control-allow-methods"), Some("GET,POST,PUT,PATCH,DELETE"));
        }
        allowed
    };
    let production = ("SAVANNAH_SHOP__MODE", "production");
    let listed = ("SAVANNAH_SERVER__CORS_ORIGINS", "https://shop.example,https://other.example");
    let page = "https://shop.example";
    assert_eq!(origin(&[], page).await.as_deref(), Some("*"));
    assert_eq!(origin(&[production], page).await, None);
    assert_eq!(origin(&[production, listed], page).await.as_deref(), Some(page));
    assert_eq!(origin(&[production, listed], "https://bad.example").await, None);
    assert_eq!(origin(&[listed], "https://bad.example").await, None);
    assert_eq!(origin(&[production, ("SAVANNAH_SERVER__CORS_ORIGINS", "*")], page).await.as_deref(), Some("*"));
}

async fn long_responses_are_compressed(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let long = "{ products(first: 50) { nodes { id name slug sku } } }";
    for (coding, expected) in [("gzip", Some("gzip")), ("br", Some("br")), ("identity", None)] {
        let client = reqwest::Client::builder().no_gzip().build().expect("a client");
        let request = post_query(&app, long).header("accept-encoding", coding).build().expect("a request");
        let response = client.execute(request).await.expect("an answer");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(header("content-encoding").as_deref(), expected, "{coding}");
        assert!(response.headers().get_all("vary").iter().any(|vary| vary == "accept-encoding"), "{response:?}");
    }
    let short_response =
        post_query(&app, "{ __typename }").header("accept-encoding", "gzip").send().await.expect("an answer");
    assert_eq!(short_response.headers().get("content-encoding"), None);
}

async fn every_response_forbids_caching(backend: Backend) {
    let app = TestApp::start(backend).await;
    let http_responses = [
        HttpResponse::send(post_query(&app, "{ shop { name } }")).await,
        HttpResponse::send(post_query(&app, "{")).await,
        HttpResponse::send(post_query(&app, "{ nothing }")).await,
        HttpResponse::send(app.build_request(Method::GET, "/graphql?query=%7B__typename%7D")).await,
        HttpResponse::send(
            app.build_request(Method::GET, "/graphql?query=mutation%7Blogout%7BuserErrors%7Bcode%7D%7D%7D"),
        )
        .await,
        HttpResponse::send(app.build_request(Method::PUT, "/graphql")).await,
    ];
    // Also of personal data by GET, and of a rejected token.
    let token = app.login(Role::Customer).await;
    let export = app.build_request(Method::GET, "/graphql?query=%7BcustomerExport%7D").bearer_auth(token);
    let export = HttpResponse::send(export).await;
    assert!(export.json()["data"]["customerExport"]["customer"]["email"].is_string(), "{export:?}");
    let invalid_token = post_query(&app, "{ me { email } }").bearer_auth("x");
    let http_responses = http_responses.into_iter().chain([export, HttpResponse::send(invalid_token).await]);
    for http_response in http_responses {
        assert_eq!(http_response.header("cache-control"), Some("no-store"), "{http_response:?}");
    }
    let mut stream = tokio::net::TcpStream::connect(app.address).await.expect("a connection");
    stream
        .write_all(b"GET /graphql?query=%7B__typename%7D HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n")
        .await
        .expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("an answer");
    assert!(response.contains("cache-control: no-store"), "{response}");
}
