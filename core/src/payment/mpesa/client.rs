//! HTTP client of the Daraja API, and what its errors mean.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::{Method, StatusCode, header::AUTHORIZATION};
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::access_token::{AccessTokenStore, FetchedToken, IssuedToken};
use crate::{
    base::{Clock, error::format_error_chain, text::to_single_line},
    infra::{
        HttpClient,
        config::MpesaConfig,
        http_client::{JsonRequest, basic_authorization, bearer_authorization},
    },
};

/// How long a token is used if the response does not say it.
const DEFAULT_TOKEN_SECONDS: i64 = 3000;
/// Error codes of an invalid access token. They come with the HTTP status 400 or 404.
const INVALID_TOKEN_CODES: [&str; 2] = ["404.001.03", "400.003.01"];
/// Error codes of a request that was rejected because of the load, before it was processed.
const BUSY_CODES: [&str; 2] = ["500.003.02", "500.003.03"];
/// Error code of many rejections with the HTTP status 500; the message distinguishes them.
const AMBIGUOUS_CODE: &str = "500.001.1001";
/// Messages with which a request under [`AMBIGUOUS_CODE`] was rejected before it was processed.
const REJECTION_MESSAGES: [&str; 4] =
    ["merchant does not exist", "wrong credentials", "unable to lock subscriber", "being processed"];

/// Client of the Daraja API. Cheap to clone; clones share the access token.
#[derive(Debug, Clone)]
pub(super) struct DarajaClient {
    http: HttpClient,
    clock: Clock,
    base_url: String,
    consumer_key: String,
    consumer_secret: secrecy::SecretString,
    timeout: Duration,
    tokens: AccessTokenStore,
}

/// An error of a call. Its texts are for logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DarajaError {
    /// M-Pesa rejected the request and did nothing.
    #[error("M-Pesa rejected the request: {code} {message}")]
    Rejected {
        /// Error code, or the HTTP status.
        code: String,
        /// Error message.
        message: String,
    },
    /// M-Pesa did not process the request: there is no connection, no access token, or too much load.
    #[error("M-Pesa is not available: {0}")]
    Unavailable(String),
    /// The response was lost or is unreadable; the request may have been processed.
    #[error("the response of M-Pesa is unknown: {0}")]
    Lost(String),
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: String,
    /// Seconds, as text or as a number.
    #[serde(default)]
    expires_in: Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ErrorResponse {
    error_code: String,
    error_message: String,
}

impl DarajaClient {
    pub fn new(http: &HttpClient, clock: &Clock, config: &MpesaConfig, timeout: Duration) -> Self {
        Self {
            http: http.clone(),
            clock: clock.clone(),
            base_url: config.url.trim_end_matches('/').to_owned(),
            consumer_key: config.consumer_key.clone(),
            consumer_secret: config.consumer_secret.clone(),
            timeout,
            tokens: AccessTokenStore::default(),
        }
    }

    /// Sends a request. An access token that M-Pesa rejects is renewed once: a request with it was not processed.
    pub async fn call<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, DarajaError> {
        let mut token = self.obtain_token(None).await?;
        let mut response = self.send(path, body, &token).await?;
        if is_token_rejected(response.0, &response.1) {
            token = self.obtain_token(Some(&token)).await?;
            response = self.send(path, body, &token).await?;
        }
        let (status, bytes) = response;
        if is_token_rejected(status, &bytes) {
            return Err(DarajaError::Unavailable(format!("a new access token was rejected with {}", status.as_u16())));
        }
        if !status.is_success() {
            return Err(classify_error(status, &bytes));
        }
        serde_json::from_slice(&bytes).map_err(|_| DarajaError::Lost("the response cannot be parsed".into()))
    }

    async fn send(&self, path: &str, body: &Value, token: &IssuedToken) -> Result<(StatusCode, Vec<u8>), DarajaError> {
        let request = JsonRequest {
            method: Method::POST,
            url: &format!("{}{path}", self.base_url),
            headers: &[(AUTHORIZATION, token.authorization.clone())],
            body: Some(body),
            timeout: self.timeout,
        };
        self.http.send_json(request).await.map_err(|error| {
            let text = format_error_chain(&error);
            if error.is_unsent() { DarajaError::Unavailable(text) } else { DarajaError::Lost(text) }
        })
    }

    async fn obtain_token(&self, rejected: Option<&IssuedToken>) -> Result<IssuedToken, DarajaError> {
        self.tokens.obtain(self.clock.now(), rejected, async || self.fetch_token().await).await
    }

    /// Fetches an access token. Every failure means that the call itself was not sent.
    async fn fetch_token(&self) -> Result<FetchedToken, DarajaError> {
        let unavailable = |reason: String| DarajaError::Unavailable(format!("no access token: {reason}"));
        let authorization = basic_authorization(&self.consumer_key, self.consumer_secret.expose_secret())
            .map_err(|_| unavailable("the consumer key or secret is malformed".into()))?;
        let request = JsonRequest {
            method: Method::GET,
            url: &format!("{}/oauth/v1/generate?grant_type=client_credentials", self.base_url),
            headers: &[(AUTHORIZATION, authorization)],
            body: None,
            timeout: self.timeout,
        };
        let requested_at = self.clock.now();
        let sent = self.http.send_json(request).await;
        let (status, body) = sent.map_err(|error| unavailable(format_error_chain(&error)))?;
        if !status.is_success() {
            // The response is not quoted: it may repeat credentials.
            return Err(unavailable(format!("it was rejected with {}", status.as_u16())));
        }
        let response: TokenResponse =
            serde_json::from_slice(&body).map_err(|_| unavailable("the response cannot be parsed".into()))?;
        let authorization =
            bearer_authorization(&response.access_token).map_err(|_| unavailable("the token is malformed".into()))?;
        let seconds = flexible_text(&response.expires_in).parse().unwrap_or(DEFAULT_TOKEN_SECONDS);
        Ok(FetchedToken { authorization, expires_at: requested_at + TimeDelta::seconds(seconds.clamp(0, 86_400)) })
    }
}

fn parse_error(body: &[u8]) -> ErrorResponse {
    serde_json::from_slice(body).unwrap_or_default()
}

fn is_token_rejected(status: StatusCode, body: &[u8]) -> bool {
    status == StatusCode::UNAUTHORIZED
        || (status.is_client_error() && INVALID_TOKEN_CODES.contains(&parse_error(body).error_code.as_str()))
}

/// Returns what an error response means. Only documented rejections count as rejections.
fn classify_error(status: StatusCode, body: &[u8]) -> DarajaError {
    let ErrorResponse { error_code, error_message } = parse_error(body);
    let message = to_single_line(&error_message, 200);
    let code = if error_code.is_empty() { status.as_u16().to_string() } else { to_single_line(&error_code, 40) };
    if status == StatusCode::TOO_MANY_REQUESTS || BUSY_CODES.contains(&code.as_str()) {
        return DarajaError::Unavailable(format!("{code} {message}"));
    }
    let lower_case = message.to_lowercase();
    let is_known_rejection =
        code == AMBIGUOUS_CODE && REJECTION_MESSAGES.iter().any(|known| lower_case.contains(known));
    if is_known_rejection || (status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT) {
        return DarajaError::Rejected { code, message };
    }
    DarajaError::Lost(format!("{code} {message}"))
}

/// Returns a text or a number as text; otherwise an empty text.
pub(super) fn flexible_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Deserializes a code that is a text in one response and a number in another.
pub(super) fn deserialize_flexible<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Value::deserialize(deserializer).map(|value| flexible_text(&value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn classify(status: u16, code: &str, message: &str) -> DarajaError {
        let body = json!({ "requestId": "1", "errorCode": code, "errorMessage": message }).to_string();
        classify_error(StatusCode::from_u16(status).expect("a status"), body.as_bytes())
    }

    #[test]
    fn documented_rejections_are_distinguished_from_lost_responses() {
        for (status, code, message) in [
            (400, "400.002.02", "Bad Request - Invalid PhoneNumber"),
            (404, "404.001.01", "Resource not found"),
            (405, "405.001", "Method Not Allowed"),
            (500, "500.001.1001", "Merchant does not exist"),
            (500, "500.001.1001", "Wrong credentials"),
            (500, "500.001.1001", "Unable to lock subscriber, a transaction is already in process"),
            (500, "500.001.1001", "The transaction is being processed"),
        ] {
            assert_eq!(
                classify(status, code, message),
                DarajaError::Rejected { code: code.into(), message: message.into() }
            );
        }
        for (status, code) in [(429, ""), (500, "500.003.02"), (500, "500.003.03"), (503, "500.003.02")] {
            assert!(matches!(classify(status, code, "busy"), DarajaError::Unavailable(_)), "{status} {code}");
        }
        for (status, code) in [(500, "500.003.1001"), (500, "500.001.1001"), (502, ""), (504, ""), (302, ""), (408, "")]
        {
            assert!(matches!(classify(status, code, "Internal Server Error"), DarajaError::Lost(_)), "{status} {code}");
        }
        assert!(matches!(classify_error(StatusCode::BAD_GATEWAY, b"<html>"), DarajaError::Lost(_)));
    }

    #[test]
    fn invalid_token_is_recognized_by_status_or_code() {
        let is_rejected =
            |status, code: &str| is_token_rejected(status, json!({ "errorCode": code }).to_string().as_bytes());
        assert!(is_rejected(StatusCode::UNAUTHORIZED, ""));
        assert!(is_rejected(StatusCode::NOT_FOUND, "404.001.03"));
        assert!(is_rejected(StatusCode::BAD_REQUEST, "400.003.01"));
        assert!(!is_rejected(StatusCode::NOT_FOUND, "404.001.01"));
        assert!(!is_rejected(StatusCode::OK, "404.001.03"));
    }
}
