//! Requests to the REST endpoints.

use reqwest::Method;
use serde_json::Value;

use super::{HttpResponse, TestApp};

/// Part of a request besides its address.
#[derive(Debug, Default, Clone, Copy)]
pub struct RestCall<'a> {
    /// Token of the caller.
    pub token: Option<&'a str>,
    /// Further headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body; `None` for none.
    pub body: Option<&'a Value>,
}

impl TestApp {
    /// Sends a request to a path below `/api/v1`. Asserts that the response has the envelope.
    pub async fn call_rest(&self, method: Method, path: &str, call: RestCall<'_>) -> HttpResponse {
        let RestCall { token, headers, body } = call;
        let mut request = self.build_request(method, &format!("/api/v1{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = HttpResponse::send(request).await;
        if response.status != 204 && !response.text.is_empty() {
            let envelope = response.json();
            assert_eq!(envelope["meta"]["request_id"].as_str(), response.header("x-request-id"), "{envelope}");
            assert!(envelope["meta"]["timestamp"].is_string(), "{envelope}");
            let key = if response.status < 400 { "data" } else { "error" };
            assert!(envelope.get(key).is_some(), "no {key} in {envelope}");
        }
        response
    }

    /// Sends a body with a token.
    pub async fn send_rest(&self, method: Method, path: &str, token: &str, body: &Value) -> HttpResponse {
        self.call_rest(method, path, RestCall { token: Some(token), body: Some(body), ..RestCall::default() }).await
    }

    /// Reads a resource without a token.
    pub async fn get_rest(&self, path: &str) -> HttpResponse {
        self.call_rest(Method::GET, path, RestCall::default()).await
    }
}

impl HttpResponse {
    /// Returns `data` of a REST response with this status.
    pub fn rest_data(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()["data"].clone()
    }

    /// Asserts the status and the code of a REST error, and that its details name exactly these fields.
    pub fn assert_rest_error(&self, status: u16, code: &str, fields: &[&str]) {
        assert_eq!(self.status, status, "{self:?}");
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
        let details = error["details"].as_object();
        let mut found: Vec<&str> = details.into_iter().flatten().map(|(field, _)| field.as_str()).collect();
        let mut expected = fields.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{error}");
    }
}
