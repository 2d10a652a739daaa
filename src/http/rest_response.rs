//! Format of REST responses: `{"data", "meta"}` or `{"error", "meta"}`.

use std::panic::AssertUnwindSafe;

use axum::{
    Extension, Json,
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::{authentication, request_id::RequestId};
use crate::{
    base::{Clock, Error, error::PublicErrorCode},
    identity::error::AuthError,
    infra::telemetry,
};

/// Creates a success response.
#[must_use]
pub fn data_response(status: StatusCode, request_id: &str, data: &Value) -> Response {
    (status, Json(json!({ "data": data, "meta": response_meta(request_id) }))).into_response()
}

/// Creates an error response.
#[must_use]
pub fn error_response(status: StatusCode, request_id: &str, code: &str, message: &str) -> Response {
    if let Some(metrics) = telemetry::metrics() {
        metrics.count_error(code);
    }
    let error = json!({ "code": code, "message": message, "details": null });
    (status, Json(json!({ "error": error, "meta": response_meta(request_id) }))).into_response()
}

/// Converts an error to a response; logs internal errors.
#[must_use]
pub fn error_to_response(request_id: &str, failure: &Error) -> Response {
    let public_error = failure.to_public_error();
    if matches!(failure, Error::Internal(_)) {
        tracing::error!(error = failure.log_message(), "request failed");
    }
    let mut response =
        error_response(status_code(public_error.code), request_id, public_error.code.as_str(), &public_error.message);
    if let Error::RateLimited { retry_after } = failure {
        response.headers_mut().insert(header::RETRY_AFTER, (*retry_after).into());
    }
    response
}

/// Creates the response to a request whose token is invalid or cannot be verified.
#[must_use]
pub fn authentication_error_response(request_id: &str, failure: &AuthError) -> Response {
    let mut response = error_to_response(request_id, &authentication::explain_failure(failure));
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, authentication::INVALID_TOKEN_CHALLENGE);
    }
    response
}

const fn status_code(code: PublicErrorCode) -> StatusCode {
    match code {
        PublicErrorCode::NotFound => StatusCode::NOT_FOUND,
        PublicErrorCode::AlreadyExists | PublicErrorCode::VersionConflict | PublicErrorCode::IllegalTransition => {
            StatusCode::CONFLICT
        }
        PublicErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        PublicErrorCode::Forbidden => StatusCode::FORBIDDEN,
        PublicErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        PublicErrorCode::Unavailable | PublicErrorCode::Timeout => StatusCode::SERVICE_UNAVAILABLE,
        PublicErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn response_meta(request_id: &str) -> Value {
    json!({ "timestamp": Clock::default().now(), "request_id": request_id })
}

/// Handles unknown paths with 404.
pub async fn handle_not_found(Extension(RequestId(request_id)): Extension<RequestId>) -> Response {
    let message = "Not found. The API is at /graphql, its explorer at /graphiql.";
    error_response(StatusCode::NOT_FOUND, &request_id, "NOT_FOUND", message)
}

/// Handles unsupported methods with 405.
pub async fn handle_method_not_allowed(Extension(RequestId(request_id)): Extension<RequestId>) -> Response {
    error_response(StatusCode::METHOD_NOT_ALLOWED, &request_id, "METHOD_NOT_ALLOWED", "This path accepts only GET.")
}

/// Responds with 500 for a handler that panicked. The panic hook logs the panic; this logs the request.
pub async fn catch_panic(
    Extension(RequestId(request_id)): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    // Only caches outlive a request, and their writes are atomic.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic_payload) => {
            let panic_message = panic_payload.downcast_ref::<String>().map(String::as_str);
            let panic_message = panic_message.or_else(|| panic_payload.downcast_ref::<&str>().copied());
            tracing::error!(cause = panic_message.unwrap_or("unknown"), "request handler panicked");
            error_response(StatusCode::INTERNAL_SERVER_ERROR, &request_id, "INTERNAL", "An internal error occurred.")
        }
    }
}
