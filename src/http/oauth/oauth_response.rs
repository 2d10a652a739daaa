//! Responses of the OAuth 2.0 endpoints: JSON that is never stored.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::form::MAX_FORM_BYTES;
use crate::{
    base::{Error, error::PublicErrorCode},
    identity::oauth_error::OauthError,
    infra::telemetry,
};

/// `WWW-Authenticate` challenge of a client that could not be authenticated.
const CLIENT_CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"savannah\", charset=\"UTF-8\"");

/// Headers of all responses: they are not stored.
const NO_STORE_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::PRAGMA, HeaderValue::from_static("no-cache")),
];

/// Creates a success response.
pub(super) fn json_response(body: &Value) -> Response {
    (NO_STORE_HEADERS, Json(body)).into_response()
}

/// Creates the response to a revocation, which has no body.
pub(super) fn empty_response() -> Response {
    NO_STORE_HEADERS.into_response()
}

/// Converts an error to a response; logs internal errors.
pub(super) fn error_response(error: &OauthError) -> Response {
    let OauthErrorBody { status, error: name, description, code } = OauthErrorBody::from_error(error);
    if let Some(metrics) = telemetry::metrics() {
        metrics.count_error(code.as_str());
    }
    let body = json!({ "error": name, "error_description": description });
    let mut response = (status, NO_STORE_HEADERS, Json(body)).into_response();
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, CLIENT_CHALLENGE);
    }
    if let OauthError::Failure(Error::RateLimited { retry_after }) = error {
        headers.insert(header::RETRY_AFTER, (*retry_after).into());
    }
    response
}

/// Error as clients see it, with its code in the metrics.
struct OauthErrorBody {
    status: StatusCode,
    error: &'static str,
    description: String,
    code: PublicErrorCode,
}

impl OauthErrorBody {
    fn from_error(error: &OauthError) -> Self {
        let bad_request = |error, description: &str| Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description: description.to_owned(),
            code: PublicErrorCode::BadUserInput,
        };
        match error {
            OauthError::InvalidRequest(description) => bad_request("invalid_request", description),
            OauthError::InvalidGrant(description) => bad_request("invalid_grant", description),
            OauthError::InvalidScope(description) => bad_request("invalid_scope", description),
            OauthError::UnsupportedGrantType => bad_request(
                "unsupported_grant_type",
                "The grant types are client_credentials and refresh_token; people sign in by GraphQL.",
            ),
            OauthError::BodyTooLarge => Self {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                ..bad_request("invalid_request", &format!("The body has at most {MAX_FORM_BYTES} bytes."))
            },
            OauthError::InvalidClient(description) => Self {
                status: StatusCode::UNAUTHORIZED,
                code: PublicErrorCode::Unauthenticated,
                ..bad_request("invalid_client", description)
            },
            OauthError::Failure(failure) => Self::from_failure(failure),
        }
    }

    fn from_failure(failure: &Error) -> Self {
        let public_error = failure.to_public_error();
        if matches!(failure, Error::Internal(_)) {
            tracing::error!(error = failure.log_message(), "request failed");
        }
        let (status, error) = match public_error.code {
            PublicErrorCode::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
            PublicErrorCode::Unavailable | PublicErrorCode::Timeout => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            PublicErrorCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            _ => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        Self { status, error, description: public_error.message, code: public_error.code }
    }
}
