//! HTTP client of the Stripe API, and what its errors mean.

use std::time::Duration;

use reqwest::{
    Method, StatusCode,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    base::{error::format_error_chain, text::to_single_line},
    infra::{
        HttpClient,
        config::StripeConfig,
        http_client::{FormRequest, HttpClientError, JsonRequest, bearer_authorization},
    },
};

/// Version of the API that this code was written for.
pub const STRIPE_API_VERSION: &str = "2026-10-28.endive";

const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Client of the Stripe API. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct StripeClient {
    http: HttpClient,
    base_url: String,
    authorization: HeaderValue,
    timeout: Duration,
}

/// An error of a call. Its texts are for logs, except [`StripeCallError::Declined`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum StripeCallError {
    /// The card or account was declined.
    #[error("Stripe declined: {code} {message}")]
    Declined {
        /// Decline code, or the error code.
        code: String,
        /// Message that may be shown to the buyer.
        message: String,
    },
    /// Stripe rejected the request and did nothing.
    #[error("Stripe rejected the request: {code} {message}")]
    Rejected {
        /// Error code; empty if there is none.
        code: String,
        /// Message for developers.
        message: String,
    },
    /// The object does not exist in the account.
    #[error("Stripe does not know the object")]
    NotFound,
    /// The result is unknown, or Stripe did not process the request now: it can be repeated with its key.
    #[error("the result is unknown: {0}")]
    Unknown(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StripeErrorBody {
    error: StripeErrorObject,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct StripeErrorObject {
    #[serde(rename = "type")]
    error_type: String,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
}

impl StripeClient {
    /// # Errors
    /// Returns a message for the operator if the secret key is malformed.
    pub fn new(http: &HttpClient, config: &StripeConfig, timeout: Duration) -> Result<Self, String> {
        let authorization = bearer_authorization(config.secret_key.expose_secret())
            .map_err(|_| "payment.stripe.secret_key: a key contains only printable ASCII characters".to_owned())?;
        let base_url = config.url.trim_end_matches('/').to_owned();
        Ok(Self { http: http.clone(), base_url, authorization, timeout })
    }

    /// Sends a form with an idempotency key.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        idempotency_key: &str,
    ) -> Result<T, StripeCallError> {
        let key = HeaderValue::from_str(idempotency_key)
            .map_err(|_| StripeCallError::Unknown("the idempotency key is malformed".into()))?;
        let mut headers = self.headers();
        headers.push((IDEMPOTENCY_KEY, key));
        let url = format!("{}{path}", self.base_url);
        let form = FormRequest { method: Method::POST, url: &url, headers: &headers, fields, timeout: self.timeout };
        parse_response(self.http.send_form(form).await)
    }

    /// Reads an object or a list.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, StripeCallError> {
        let (headers, url) = (self.headers(), format!("{}{path}", self.base_url));
        let request =
            JsonRequest { method: Method::GET, url: &url, headers: &headers, body: None, timeout: self.timeout };
        parse_response(self.http.send_json(request).await)
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        vec![
            (AUTHORIZATION, self.authorization.clone()),
            (STRIPE_VERSION, HeaderValue::from_static(STRIPE_API_VERSION)),
        ]
    }
}

fn parse_response<T: DeserializeOwned>(
    sent: Result<(StatusCode, Vec<u8>), HttpClientError>,
) -> Result<T, StripeCallError> {
    let (status, body) = sent.map_err(|error| StripeCallError::Unknown(format_error_chain(&error)))?;
    if !status.is_success() {
        return Err(classify_error(status, &body));
    }
    serde_json::from_slice(&body).map_err(|_| StripeCallError::Unknown("the response cannot be parsed".into()))
}

/// Returns what an error response means. Everything that is not a documented rejection is unknown.
fn classify_error(status: StatusCode, body: &[u8]) -> StripeCallError {
    let StripeErrorObject { error_type, code, decline_code, message } =
        serde_json::from_slice::<StripeErrorBody>(body).unwrap_or_default().error;
    let (code, message) = (code.unwrap_or_default(), to_single_line(&message.unwrap_or_default(), 300));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        // The message is not logged: it may contain parts of the key.
        tracing::error!(status = status.as_u16(), code, "stripe rejected the secret key: check payment.stripe");
        return StripeCallError::Unknown(format!("the secret key was rejected with {}", status.as_u16()));
    }
    if error_type == "card_error" || status == StatusCode::PAYMENT_REQUIRED {
        return StripeCallError::Declined { code: decline_code.unwrap_or(code), message };
    }
    let is_temporary = error_type == "idempotency_error" || matches!(code.as_str(), "rate_limit" | "lock_timeout");
    if error_type != "invalid_request_error" || is_temporary {
        return StripeCallError::Unknown(format!("{} {error_type} {code} {message}", status.as_u16()));
    }
    match status {
        StatusCode::NOT_FOUND if code == "resource_missing" => StripeCallError::NotFound,
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => StripeCallError::Rejected { code, message },
        _ => StripeCallError::Unknown(format!("{} {error_type} {code} {message}", status.as_u16())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn classify(status: u16, error: &Value) -> StripeCallError {
        let body = json!({ "error": error }).to_string();
        classify_error(StatusCode::from_u16(status).expect("a status"), body.as_bytes())
    }

    #[test]
    fn card_errors_are_declines() {
        let error = json!({ "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
            "message": "Your card has insufficient funds." });
        assert_eq!(
            classify(402, &error),
            StripeCallError::Declined {
                code: "insufficient_funds".into(),
                message: "Your card has insufficient funds.".into()
            }
        );
        let without_decline_code = classify(402, &json!({ "type": "card_error", "code": "expired_card" }));
        assert_eq!(
            without_decline_code,
            StripeCallError::Declined { code: "expired_card".into(), message: String::new() }
        );
    }

    #[test]
    fn invalid_requests_are_rejected_without_effect() {
        let error = |code: &str| json!({ "type": "invalid_request_error", "code": code, "message": "No" });
        assert_eq!(
            classify(400, &error("amount_too_small")),
            StripeCallError::Rejected { code: "amount_too_small".into(), message: "No".into() }
        );
        assert_eq!(classify(404, &error("resource_missing")), StripeCallError::NotFound);
    }

    #[test]
    fn other_errors_are_unknown() {
        for (status, error_type, code) in [
            (400, "idempotency_error", ""),
            (409, "idempotency_error", "idempotency_key_in_use"),
            (409, "invalid_request_error", "lock_timeout"),
            (400, "invalid_request_error", "rate_limit"),
            (429, "invalid_request_error", "rate_limit"),
            (429, "api_error", ""),
            (500, "api_error", ""),
            (500, "invalid_request_error", ""),
            (424, "invalid_request_error", ""),
            (400, "", ""),
        ] {
            let unknown = classify(status, &json!({ "type": error_type, "code": code, "message": "x" }));
            assert!(matches!(unknown, StripeCallError::Unknown(_)), "{status} {error_type} {code}: {unknown:?}");
        }
        for body in [&b""[..], b"<html>Bad gateway</html>", b"[]", b"{\"error\":3}"] {
            assert!(matches!(classify_error(StatusCode::BAD_GATEWAY, body), StripeCallError::Unknown(_)));
        }
    }

    #[test]
    fn rejected_key_is_not_repeated_in_the_error() {
        for status in [401, 403] {
            let error =
                json!({ "type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_sesame" });
            let unknown = classify(status, &error);
            assert!(matches!(unknown, StripeCallError::Unknown(_)), "{unknown:?}");
            assert!(!unknown.to_string().contains("sesame"), "{unknown}");
        }
    }
}
