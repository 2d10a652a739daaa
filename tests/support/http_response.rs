//! HTTP responses, with checks that apply to all of them.

use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::Value;

/// An HTTP response.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl HttpResponse {
    /// Sends a request and reads the whole response. Asserts that it has a request id and no internal details.
    pub async fn send(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("a response");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let http_response = Self { status, headers, text: response.text().await.expect("a body") };
        assert!(
            http_response.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "no request id: {http_response:?}"
        );
        for text in ["panicked", "Error {", "Error(", "Some(", "SELECT ", "src/"] {
            assert!(!http_response.text.contains(text), "{text} in {http_response:?}");
        }
        http_response
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Returns the code of the first error of a GraphQL response. Asserts that each error has a code, the request id
    /// and a one-line message.
    pub fn error_code(&self) -> String {
        let body = self.json();
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {body}"));
        for error in errors {
            assert_eq!(error["extensions"]["requestId"].as_str(), self.header("x-request-id"), "{body}");
            let message = error["message"].as_str().expect("a message");
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
            assert!(error["extensions"]["code"].is_string(), "{error}");
        }
        errors[0]["extensions"]["code"].as_str().expect("a code").to_owned()
    }

    /// Returns the message of the first error of a GraphQL response.
    pub fn error_message(&self) -> String {
        self.json()["errors"][0]["message"].as_str().expect("a message").to_owned()
    }
}
