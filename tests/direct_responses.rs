//! Cached responses that are sent before the middleware: they are the same as those that pass through it.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::Request,
    http::{self, HeaderMap, Method, StatusCode},
};
use hyper::body::{Frame, SizeHint};
use savannah::http::response_cache::{DirectOutcome, answer_from_cache};
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp, query_path},
};

integration_tests![
    direct_response_equals_the_response_of_the_router,
    request_in_parts_is_passed_on_whole,
    request_that_needs_a_handler_is_passed_on,
];

const LISTING: &str = "{ products(first: 24) { nodes { id name slug price inStock category { name } } } }";
/// Headers of a request that is answered from the cache.
const HEADERS: [(&str, &str); 2] = [("accept", "application/json"), ("content-type", "application/json")];

/// Address of the client.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000);

/// Request of a case.
#[derive(Debug, Clone)]
struct CachedRequest {
    method: Method,
    headers: Vec<(&'static str, String)>,
}

impl CachedRequest {
    fn new(method: Method, headers: &[(&'static str, &str)]) -> Self {
        let headers = HEADERS.iter().chain(headers).map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { method, headers }
    }

    fn path(&self) -> String {
        if self.method == Method::GET { query_path(LISTING) } else { "/graphql".to_owned() }
    }

    fn body(&self) -> String {
        if self.method == Method::GET { String::new() } else { json!({ "query": LISTING }).to_string() }
    }

    fn build_with<B>(&self, body: B) -> http::Request<B> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path().parse().expect("a path");
        for (name, value) in &self.headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
        }
        request
    }

    /// Sends the request to the router: the client waits for the handler before it sends the body.
    async fn send_to_router(&self, app: &TestApp) -> (StatusCode, HeaderMap, Bytes) {
        let client = reqwest::Client::builder().no_gzip().build().expect("a client");
        let mut request = client.request(self.method.clone(), app.url(&self.path())).body(self.body());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let response = request.header("expect", "100-continue").send().await.expect("a response");
        let (status, headers) = (response.status(), response.headers().clone());
        (status, headers, response.bytes().await.expect("a body"))
    }
}

/// Returns the headers of a response, without those of the connection and of the single request.
fn comparable_headers(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut comparable: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let skipped = ["date", "content-length", "age", "x-request-id"];
    for (name, value) in headers.iter().filter(|(name, _)| !skipped.contains(&name.as_str())) {
        comparable.entry(name.to_string()).or_default().push(value.to_str().expect("text").to_owned());
    }
    comparable
}

fn expect_hit(outcome: DirectOutcome, request: &CachedRequest) -> axum::response::Response {
    match outcome {
        DirectOutcome::Hit(response) => response,
        DirectOutcome::Miss(_) => panic!("{request:?} is not answered from the cache"),
    }
}

fn expect_miss(outcome: DirectOutcome) -> Request {
    match outcome {
        DirectOutcome::Hit(response) => panic!("{response:?}"),
        DirectOutcome::Miss(request) => request,
    }
}

async fn direct_response_equals_the_response_of_the_router(backend: Backend) {
    let origin = "https://shop.example";
    for settings in [&[][..], &[("SAVANNAH_SERVER__CORS_ORIGINS", origin)]] {
        let app = TestApp::start_with_response_cache(backend, settings).await;
        let (_, headers, _) = CachedRequest::new(Method::GET, &[]).send_to_router(&app).await;
        let entity_tag = headers["etag"].to_str().expect("text");
        let cases: [&[(&str, &str)]; 8] = [
            &[],
            &[("accept", "application/graphql-response+json")],
            &[("accept", "text/html, */*;q=0.5")],
            &[("accept-encoding", "gzip, br")],
            &[("accept-encoding", "gzip;q=0.5")],
            &[("origin", origin)],
            &[("origin", "https://other.example"), ("x-request-id", "abc-123")],
            &[("if-none-match", entity_tag), ("x-request-id", "not valid")],
        ];
        for method in [Method::GET, Method::POST] {
            for headers in cases {
                let request = CachedRequest::new(method.clone(), headers);
                // Stores the response, and its compressed form.
                request.send_to_router(&app).await;
                let (status, expected, body) = request.send_to_router(&app).await;
                assert_eq!(expected["cache-status"], "savannah; hit", "{request:?}");
                let direct = expect_hit(
                    answer_from_cache(&app.http_app, request.build_with(Body::from(request.body())), PEER),
                    &request,
                );
                assert_eq!(direct.status(), status, "{request:?}");
                assert_eq!(comparable_headers(direct.headers()), comparable_headers(&expected), "{request:?}");
                assert_eq!(direct.headers().contains_key("age"), expected.contains_key("age"));
                let request_id = direct.headers()["x-request-id"].to_str().expect("text");
                match headers.iter().find(|(name, _)| *name == "x-request-id") {
                    Some((_, value)) if !value.contains(' ') => assert_eq!(request_id, *value),
                    _ => assert!(request_id.len() == 32 && request_id != expected["x-request-id"], "{request_id}"),
                }
                assert_eq!(to_bytes(direct.into_body(), usize::MAX).await.expect("a body"), body, "{request:?}");
            }
        }
    }
}

/// Body that is received in parts; an empty part is not there yet.
struct PartialBody(VecDeque<Bytes>);

impl HttpBody for PartialBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(part) if part.is_empty() => Poll::Pending,
            part => Poll::Ready(part.map(|part| Ok(Frame::data(part)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

async fn request_in_parts_is_passed_on_whole(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let request = CachedRequest::new(Method::POST, &[]);
    request.send_to_router(&app).await;
    let body = request.body();
    for parts in [vec![&body[..5], &body[5..]], vec!["", &body[..]], vec![&body[..5], &body[5..9], &body[9..]]] {
        let parts = parts.into_iter().map(|part| Bytes::copy_from_slice(part.as_bytes())).collect();
        let passed_on = expect_miss(answer_from_cache(&app.http_app, request.build_with(PartialBody(parts)), PEER));
        assert_eq!(passed_on.body().size_hint().exact(), Some(body.len() as u64));
        assert_eq!(passed_on.headers().len(), HEADERS.len());
        assert_eq!(to_bytes(passed_on.into_body(), usize::MAX).await.expect("a body"), body.as_bytes());
    }
    // A request that is complete and not in the cache.
    let unknown = json!({ "query": "{ shop { name } }" }).to_string();
    let passed_on =
        expect_miss(answer_from_cache(&app.http_app, request.build_with(Body::from(unknown.clone())), PEER));
    assert_eq!(to_bytes(passed_on.into_body(), usize::MAX).await.expect("a body"), unknown.as_bytes());
}

async fn request_that_needs_a_handler_is_passed_on(backend: Backend) {
    let app = TestApp::start_with_response_cache(backend, &[]).await;
    let mut cases = Vec::new();
    for method in [Method::GET, Method::POST] {
        let request = CachedRequest::new(method.clone(), &[]);
        request.send_to_router(&app).await;
        let outcome = answer_from_cache(&app.http_app, request.build_with(Body::from(request.body())), PEER);
        assert_eq!(expect_hit(outcome, &request).status(), StatusCode::OK);
        for header in [
            ("authorization", "Bearer x"),
            ("savannah-cost", "1"),
            ("accept", "text/event-stream"),
            ("accept", "text/html"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
        ] {
            cases.push(CachedRequest::new(method.clone(), &[header]));
        }
    }
    cases.push(CachedRequest::new(Method::POST, &[("content-type", "text/plain")]));
    cases.push(CachedRequest::new(Method::PUT, &[]));
    cases.push(CachedRequest::new(Method::OPTIONS, &[]));
    // Not compressed yet.
    cases.push(CachedRequest::new(Method::POST, &[("accept-encoding", "br")]));
    for request in cases {
        expect_miss(answer_from_cache(&app.http_app, request.build_with(Body::from(request.body())), PEER));
    }
}
