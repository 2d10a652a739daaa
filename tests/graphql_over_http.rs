//! GraphQL over HTTP, by the specification: media types, methods, status codes, and bodies that are none.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![
    accept_header_selects_the_media_type,
    post_without_json_content_type_is_rejected,
    get_request_with_query_parameters_is_answered,
    get_request_with_mutation_is_rejected,
    unsupported_methods_are_rejected_with_allow_header,
    body_over_the_size_limit_is_rejected,
    batched_requests_are_rejected,
    malformed_request_bodies_are_rejected,
    operation_name_selects_the_operation,
    null_bytes_and_lone_surrogates_are_rejected,
];

const JSON: &str = "application/json";
const GRAPHQL: &str = "application/graphql-response+json";
const TYPENAME_BODY: &str = r#"{"query":"{ __typename }"}"#;

async fn post_body(app: &TestApp, accept: &str, body: impl Into<reqwest::Body>) -> HttpResponse {
    let request = app.build_request(Method::POST, "/graphql").header("content-type", JSON).header("accept", accept);
    HttpResponse::send(request.body(body)).await
}

async fn get_query(app: &TestApp, parameters: &str) -> HttpResponse {
    HttpResponse::send(app.build_request(Method::GET, &format!("/graphql?{parameters}"))).await
}

/// The body of a request, with strings of JSON that a value cannot hold.
async fn post_raw_body(app: &TestApp, body: impl Into<reqwest::Body>) -> HttpResponse {
    post_body(app, GRAPHQL, body).await
}

async fn accept_header_selects_the_media_type(backend: Backend) {
    let app = TestApp::start(backend).await;
    let query_with = |accept: &'static str, query: &'static str| {
        let body = json!({ "query": query }).to_string();
        post_body(&app, accept, body)
    };
    let cases = [
        (JSON, "application/json; charset=utf-8"),
        (GRAPHQL, "application/graphql-response+json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
        ("application/*;q=0.5, application/json", "application/json; charset=utf-8"),
        ("text/html, application/json;q=0.1", "application/json; charset=utf-8"),
    ];
    for (accept, content_type) in cases {
        let http_response = query_with(accept, "{ __typename }").await;
        assert_eq!((http_response.status, http_response.header("content-type")), (200, Some(content_type)), "{accept}");
        assert!(http_response.headers.get_all("vary").iter().any(|vary| vary == "accept"), "{http_response:?}");
        assert_eq!(http_response.text, r#"{"data":{"__typename":"Query"}}"#);
    }
    for accept in ["text/html", "application/xml;q=1", "application/json;q=0", "application/json;charset=latin1"] {
        let http_response = query_with(accept, "{ __typename }").await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (406, "BAD_REQUEST"), "{accept}");
    }
    // What is wrong with the document is 400, but to clients of old, who read the body whatever happens, 200.
    for (query, code) in [("{", "GRAPHQL_PARSE_FAILED"), ("{ nothing }", "GRAPHQL_VALIDATION_FAILED")] {
        for (accept, status) in [(GRAPHQL, 400), (JSON, 200)] {
            let http_response = query_with(accept, query).await;
            assert_eq!((http_response.status, http_response.error_code().as_str()), (status, code), "{accept} {query}");
            assert!(http_response.json().get("data").is_none(), "{http_response:?}");
        }
    }
    // What fails while it is answered is no fault of the request's.
    let http_response = query_with(GRAPHQL, "{ product(slug: \"a\", sku: \"b\") { id } }").await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (200, "BAD_USER_INPUT"));
    assert_eq!(http_response.json()["data"], json!({ "product": null }));
}

async fn post_without_json_content_type_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let post_with_type = |content_type: Option<&'static str>| {
        let request = app.build_request(Method::POST, "/graphql").body(TYPENAME_BODY);
        HttpResponse::send(match content_type {
            Some(content_type) => request.header("content-type", content_type),
            None => request,
        })
    };
    let valid = [
        "application/json",
        "Application/JSON;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json; charset=utf8",
    ];
    for content_type in valid {
        assert_eq!(post_with_type(Some(content_type)).await.status, 200, "{content_type}");
    }
    let invalid = [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/graphql"),
        Some("application/json; charset=iso-8859-1"),
        Some("text/plain, application/json"),
    ];
    for content_type in invalid {
        let http_response = post_with_type(content_type).await;
        assert_eq!(
            (http_response.status, http_response.error_code().as_str()),
            (415, "BAD_REQUEST"),
            "{content_type:?}"
        );
    }
}

async fn get_request_with_query_parameters_is_answered(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let query = "query=query%20A(%24slug%3AString)%7Bproduct(slug%3A%24slug)%7Bname%7D%7D%20query%20B%7B__typename%7D";
    let http_response =
        get_query(&app, &format!("{query}&operationName=A&variables=%7B%22slug%22%3A%22mug%22%7D")).await;
    assert_eq!(
        (http_response.status, http_response.json()),
        (200, json!({ "data": { "product": { "name": "Savannah Mug" } } }))
    );
    let http_response = get_query(&app, &format!("{query}&operationName=B&variables=&extensions=%7B%7D")).await;
    assert_eq!(http_response.json(), json!({ "data": { "__typename": "Query" } }));
    let http_response = get_query(&app, "query=%7B+__typename+%7D&unknown=1").await;
    assert_eq!(
        http_response.status, 200,
        "a blank may be a plus, and what is not known is not looked at: {http_response:?}"
    );
    let head = app.build_request(Method::HEAD, "/graphql?query=%7B__typename%7D");
    let http_response = HttpResponse::send(head).await;
    assert_eq!((http_response.status, http_response.text.as_str()), (200, ""));
    assert_eq!(http_response.header("content-type"), Some("application/graphql-response+json; charset=utf-8"));

    let invalid = [
        "",
        "variables=%7B%7D",
        "query=%7B__typename%7D&query=%7B__typename%7D",
        "query=%7B__typename%7D&variables=%7B%7D&variables=%7B%7D",
        "query=%7B__typename%7",
        "query=%7B__typename%7D%20%zz",
        "query=%7B__typename%7D%20%23%FF",
        "query=%7B__typename%7D%20%23%C3%28",
        "query=%7B__typename%7D&variables=%5B%5D",
        "query=%7B__typename%7D&variables=nonsense",
        "query=%7B__typename%7D&extensions=1",
    ];
    for parameters in invalid {
        let http_response = get_query(&app, parameters).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (400, "BAD_REQUEST"), "{parameters}");
    }
    let http_response = get_query(&app, "query=").await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (400, "GRAPHQL_PARSE_FAILED"));
}

async fn get_request_with_mutation_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    for query in ["mutation%7Bx%7D", "query+A%7Bshop%7Bname%7D%7D+mutation+B%7Bx%7D&operationName=B"] {
        for method in [Method::GET, Method::HEAD] {
            let request = app.build_request(method.clone(), &format!("/graphql?query={query}"));
            let http_response = HttpResponse::send(request.header("accept", JSON)).await;
            assert_eq!(
                (http_response.status, http_response.header("allow")),
                (405, Some("GET, POST")),
                "{method} {query}"
            );
            assert!(method == Method::HEAD || http_response.error_code() == "BAD_REQUEST");
        }
    }
    // GET is for subscriptions, too, but they are answered by a stream of events.
    let subscription = get_query(&app, "query=subscription%7BlowStock%7Bcursor%7D%7D").await;
    assert_eq!(subscription.status, 400);
    assert!(subscription.text.contains("text/event-stream"), "{subscription:?}");
    let http_response = get_query(
        &app,
        "query=query+A%7B__typename%7D+mutation+B%7Blogout%7BuserErrors%7Bcode%7D%7D%7D&operationName=A",
    )
    .await;
    assert_eq!((http_response.status, http_response.text.as_str()), (200, r#"{"data":{"__typename":"Query"}}"#));
}

async fn unsupported_methods_are_rejected_with_allow_header(backend: Backend) {
    let app = TestApp::start(backend).await;
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let request = app.build_request(method.clone(), "/graphql").header("content-type", JSON).body(TYPENAME_BODY);
        let http_response = HttpResponse::send(request).await;
        assert_eq!((http_response.status, http_response.header("allow")), (405, Some("GET, POST")), "{method}");
        assert_eq!(http_response.error_code(), "BAD_REQUEST");
        for path in ["/health", "/health/live", "/graphiql"] {
            let http_response = HttpResponse::send(app.build_request(method.clone(), path)).await;
            assert_eq!(
                (http_response.status, http_response.header("allow")),
                (405, Some("GET,HEAD")),
                "{method} {path}"
            );
            assert_eq!(http_response.json()["error"]["code"], "METHOD_NOT_ALLOWED");
        }
    }
}

async fn body_over_the_size_limit_is_rejected(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SERVER__MAX_BODY_BYTES", "2000")]).await;
    let body = |length: usize| {
        let empty = json!({ "query": "{ __typename } #" }).to_string().len();
        json!({ "query": format!("{{ __typename }} #{}", "x".repeat(length - empty)) }).to_string()
    };
    assert_eq!(post_body(&app, GRAPHQL, body(2_000)).await.status, 200);
    let http_response = post_body(&app, GRAPHQL, body(2_001)).await;
    assert_eq!((http_response.status, http_response.error_code().as_str()), (413, "BAD_REQUEST"));
    // Nor does it help not to say how long it is.
    let chunked = |length: usize| {
        let body = body(length);
        let chunk = |chunk: &[u8]| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
        let chunks: String = body.as_bytes().chunks(500).map(chunk).collect();
        let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nconnection: close\r\n";
        send_raw_request(&app, format!("{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"))
    };
    assert!(chunked(2_000).await.starts_with("HTTP/1.1 200 "));
    assert!(chunked(2_001).await.starts_with("HTTP/1.1 413 "));
}

/// Sends bytes as they are, and reads the answer to its end.
async fn send_raw_request(app: &TestApp, request: String) -> String {
    let mut stream = tokio::net::TcpStream::connect(app.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("an answer");
    response
}

async fn batched_requests_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    for body in ["[]", " \n[{\"query\":\"{ __typename }\"}]", "[1]"] {
        let http_response = post_raw_body(&app, body).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (400, "BAD_REQUEST"));
        assert!(http_response.error_message().contains("list"), "{http_response:?}");
    }
}

async fn malformed_request_bodies_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let deep = |open: &str, close: &str| {
        format!(r#"{{"query":"{{ __typename }}","variables":{{"a":{}1{}}}}}"#, open.repeat(5_000), close.repeat(5_000))
    };
    let invalid = [
        String::new(),
        "null".into(),
        "1".into(),
        "\"{ __typename }\"".into(),
        "{".into(),
        "{}".into(),
        TYPENAME_BODY.repeat(2),
        r#"{"query":1}"#.into(),
        r#"{"query":null}"#.into(),
        r#"{"query":["{ __typename }"]}"#.into(),
        r#"{"query":"{ __typename }","query":"{ shop { name } }"}"#.into(),
        r#"{"query":"{ __typename }","operationName":1}"#.into(),
        r#"{"query":"{ __typename }","operationName":["A"]}"#.into(),
        r#"{"query":"{ __typename }","variables":[]}"#.into(),
        r#"{"query":"{ __typename }","variables":"{}"}"#.into(),
        r#"{"query":"{ __typename }","variables":7}"#.into(),
        r#"{"query":"{ __typename }","extensions":"x"}"#.into(),
        r#"{"query":"{ product(slug: \"\ud800\") { id } }"}"#.into(),
        r#"{"query":"{ __typename }","variables":{"a":"\ud800"}}"#.into(),
        r#"{"query":"{ __typename }","variables":{"a":"\udc00\ud800"}}"#.into(),
        "{\"query\":\"{ __typename\n }\"}".into(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
    ];
    for body in invalid {
        let http_response = post_raw_body(&app, body.clone()).await;
        assert_eq!(
            (http_response.status, http_response.error_code().as_str()),
            (400, "BAD_REQUEST"),
            "{}",
            &body[..body.len().min(200)]
        );
        assert!(http_response.error_message().len() < 300, "{http_response:?}");
    }
    for bytes in [&b"{\"query\":\"{ __typename } # \xff\"}"[..], b"\xff\xfe{\0\"\0", b"\xc3\x28", b"\0"] {
        assert_eq!(post_raw_body(&app, bytes).await.status, 400);
    }
    let valid = [
        r#"{"query":"{ __typename }","variables":null,"operationName":null,"extensions":null}"#,
        r#"{"query":"{ __typename }","variables":{},"extensions":{"a":[1]},"something":"else"}"#,
        "  {\"query\":\"\\ufeff{ __typename }\"}\n",
    ];
    for body in valid {
        assert_eq!(post_raw_body(&app, body).await.status, 200, "{body}");
    }
    assert_eq!(post_raw_body(&app, format!("\u{feff}{TYPENAME_BODY}")).await.status, 200, "a byte-order mark");
    assert_eq!(get_query(&app, "query=%EF%BB%BF%7B__typename%7D&variables=%EF%BB%BF%7B%7D").await.status, 200);
}

async fn operation_name_selects_the_operation(backend: Backend) {
    let app = TestApp::start(backend).await;
    let document = "query A { a: __typename } query B { b: __typename }";
    let query_operation = |query: &'static str, name: Value| {
        post_raw_body(&app, json!({ "query": query, "operationName": name }).to_string())
    };
    assert_eq!(query_operation(document, json!("B")).await.json()["data"], json!({ "b": "Query" }));
    assert_eq!(query_operation("query A { a: __typename }", json!(null)).await.json()["data"], json!({ "a": "Query" }));
    let invalid =
        [(document, json!(null)), (document, json!("C")), (document, json!("a")), ("{ __typename }", json!("A"))];
    for (query, name) in invalid {
        let http_response = query_operation(query, name.clone()).await;
        assert_eq!(
            (http_response.status, http_response.error_code().as_str()),
            (400, "GRAPHQL_VALIDATION_FAILED"),
            "{query} {name}"
        );
    }
    // An empty name is none in an address, where there is no other way to write it.
    assert_eq!(get_query(&app, "query=%7B__typename%7D&operationName=").await.status, 200);
}

async fn null_bytes_and_lone_surrogates_are_rejected(backend: Backend) {
    let app = TestApp::start_with_demo_catalog(backend).await;
    let with = |query: &str, variables: Value| {
        post_raw_body(&app, json!({ "query": query, "variables": variables }).to_string())
    };
    let product = "query($slug: String) { product(slug: $slug) { id } }";
    let filter = "query($filter: ProductFilter) { products(filter: $filter) { totalCount } }";
    let null_bytes = [
        (product, json!({ "slug": "a\0b" })),
        (filter, json!({ "filter": { "search": "\0" } })),
        (filter, json!({ "filter": { "vendors": ["a", "\0"] } })),
        ("{ product(slug: \"a\\u0000b\") { id } }", json!({})),
        ("{ product(slug: \"a\\u{0}b\") { id } }", json!({})),
        ("{ product(slug: \"\"\"a\0b\"\"\") { id } }", json!({})),
        ("query($slug: String = \"\\u0000\") { product(slug: $slug) { id } }", json!({})),
        ("query($slug: String = \"\"\"\0\"\"\") { product(slug: $slug) { id } }", json!({ "slug": null })),
        ("{ products(filter: { tags: { any: [\"x\", \"\\u0000\"] } }) { totalCount } }", json!({})),
        ("{ ...F } fragment F on Query { ... { product(sku: \"\\u0000\") { id } } }", json!({})),
        ("{ nodes(ids: [\"\\u0000\"]) { id } }", json!({})),
    ];
    for (query, variables) in null_bytes {
        let http_response = with(query, variables).await;
        assert_eq!((http_response.status, http_response.error_code().as_str()), (400, "BAD_USER_INPUT"), "{query}");
        assert!(http_response.error_message().contains("null byte"), "{http_response:?}");
    }
    for literal in ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\u{d800}", "\\u00", "\\x00"] {
        let http_response = with(&format!("{{ product(slug: \"{literal}\") {{ id }} }}"), json!({})).await;
        assert_eq!(
            (http_response.status, http_response.error_code().as_str()),
            (400, "GRAPHQL_PARSE_FAILED"),
            "{literal}"
        );
    }
    for text in ["\u{1}", "\u{fffd}", "\u{1f600}", "'; --", "%_\\", "\u{7f}\u{85}\u{2028}", "ａ"] {
        for (query, variables) in
            [(product, json!({ "slug": text })), (filter, json!({ "filter": { "search": text, "vendors": [text] } }))]
        {
            let http_response = with(query, variables).await;
            assert!(
                http_response.status == 200 && http_response.json().get("errors").is_none(),
                "{text:?} {http_response:?}"
            );
        }
    }
}
