//! Requests whose responses may be cached.

use reqwest::{Method, RequestBuilder};
use savannah::import_export::import::DEMO_CATALOG_CSV;
use serde_json::{Value, json};

use super::{Backend, HttpResponse, TestApp};

/// Setting that switches the response cache on.
pub const RESPONSE_CACHE_ON: (&str, &str) = ("SAVANNAH_CACHE__RESPONSES", "true");

impl TestApp {
    /// Starts a server with the demo catalog and the response cache.
    pub async fn start_with_response_cache(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = [RESPONSE_CACHE_ON].into_iter().chain(settings.iter().copied()).collect();
        let app = Self::start_with_settings(backend, &settings).await;
        let (_, import_messages) = app.import_products(DEMO_CATALOG_CSV).await;
        assert_eq!(import_messages, []);
        app
    }

    /// Builds a GET request for a query.
    pub fn build_get(&self, query: &str) -> RequestBuilder {
        self.build_request(Method::GET, &query_path(query))
    }

    /// Builds a POST request for a query with variables.
    pub fn build_post(&self, query: &str, variables: &Value) -> RequestBuilder {
        self.build_request(Method::POST, "/graphql").json(&json!({ "query": query, "variables": variables }))
    }
}

/// Returns the path of a GET request for a query.
pub fn query_path(query: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    format!("/graphql?query={}", query.bytes().map(encode).collect::<String>())
}

/// Sends a request; returns the response and whether it came from the cache of responses.
pub async fn send_to_cache(request: RequestBuilder) -> (HttpResponse, bool) {
    let http_response = HttpResponse::send(request).await;
    let is_hit = http_response.header("cache-status") == Some("savannah; hit");
    (http_response, is_hit)
}
