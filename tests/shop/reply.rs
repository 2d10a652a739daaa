//! An answer as it came over the wire, and what goes for every one.

use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::Value;

/// An answer to any request.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    /// Sends a request and reads the whole answer. Whatever was asked, the answer has an id, and no words of ours that
    /// were meant for nobody.
    pub async fn of(request: RequestBuilder) -> Self {
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let reply = Self { status, headers, text: answer.text().await.expect("a body") };
        assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "no request id: {reply:?}");
        for word in ["panicked", "Error {", "Error(", "Some(", "SELECT ", "src/"] {
            assert!(!reply.text.contains(word), "{word} in {reply:?}");
        }
        reply
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|why| panic!("{why} in {self:?}"))
    }

    /// The code of the first error of a GraphQL answer. Each of its errors has a code, the request's id, and a message
    /// of one line.
    pub fn code(&self) -> String {
        let body = self.body();
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {body}"));
        for error in errors {
            assert_eq!(error["extensions"]["requestId"].as_str(), self.header("x-request-id"), "{body}");
            let message = error["message"].as_str().expect("a message");
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
            assert!(error["extensions"]["code"].is_string(), "{error}");
        }
        errors[0]["extensions"]["code"].as_str().expect("a code").to_owned()
    }

    /// The message of the first error of a GraphQL answer.
    pub fn message(&self) -> String {
        self.body()["errors"][0]["message"].as_str().expect("a message").to_owned()
    }
}
