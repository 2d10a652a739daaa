//! Errors of REST requests: the statuses of all codes, and the details by field.

use std::collections::BTreeMap;

use async_graphql::{ServerError, Value as GraphqlValue};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::success::ResponseMeta;
use crate::{
    graphql::error::finalize_errors,
    http::{authentication, graphql_request::RequestError, request_log::ErrorSummary},
    infra::telemetry,
};

/// Seconds after which a request that was answered 503 should be repeated.
const RETRY_AFTER_SECONDS: u64 = 1;
/// Challenge of a request without a token.
const TOKEN_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");

/// Error of a REST request.
#[derive(Debug)]
pub struct RestError {
    /// Status.
    pub status: StatusCode,
    /// Machine-readable code.
    pub code: String,
    /// Description of the error.
    pub message: String,
    /// Messages by field.
    pub details: BTreeMap<String, Vec<String>>,
    /// Methods of the path, for 405.
    pub allowed_methods: Option<String>,
    /// Seconds after which the request should be repeated.
    pub retry_after: Option<u64>,
    /// Whether the request has a token that is invalid.
    pub has_invalid_token: bool,
    /// Errors of the operation, for the log line; `None` if the status tells all.
    pub(super) summary: Option<ErrorSummary>,
}

/// Body of an error response.
#[derive(Debug, Serialize)]
struct ErrorEnvelope<'a> {
    error: ErrorContent<'a>,
    meta: ResponseMeta<'a>,
}

/// Error in a response.
#[derive(Debug, Serialize)]
struct ErrorContent<'a> {
    code: &'a str,
    message: &'a str,
    details: Option<&'a BTreeMap<String, Vec<String>>>,
}

/// Error of an operation: of its execution, or one that the caller can correct.
#[derive(Debug)]
pub struct OperationError {
    /// Code.
    pub code: String,
    /// Description.
    pub message: String,
    /// Path of the field, starting at the arguments.
    pub field: Vec<String>,
    /// Seconds after which the request should be repeated.
    pub retry_after: Option<u64>,
}

/// Returns the status of an error code in responses to REST endpoints. `None` for codes of requests that
/// were rejected before their execution, which have a status of their own.
#[must_use]
pub fn status_of_code(code: &str) -> Option<StatusCode> {
    Some(match code {
        "BAD_USER_INPUT" | "QUERY_TOO_COMPLEX" | "CURSOR_EXPIRED" | "GRAPHQL_VALIDATION_FAILED" => {
            StatusCode::BAD_REQUEST
        }
        "UNAUTHENTICATED" => StatusCode::UNAUTHORIZED,
        "FORBIDDEN" => StatusCode::FORBIDDEN,
        "NOT_FOUND" => StatusCode::NOT_FOUND,
        "ALREADY_EXISTS" | "VERSION_CONFLICT" | "ILLEGAL_TRANSITION" | "IDEMPOTENCY_CONFLICT" => StatusCode::CONFLICT,
        "PRECONDITION_FAILED" => StatusCode::PRECONDITION_FAILED,
        "VALIDATION_ERROR"
        | "PRODUCT_NOT_AVAILABLE"
        | "INSUFFICIENT_STOCK"
        | "PRICE_CHANGED"
        | "PAYMENT_FAILED"
        | "INVALID_CREDENTIALS"
        | "IDEMPOTENCY_MISMATCH" => StatusCode::UNPROCESSABLE_ENTITY,
        "RATE_LIMITED" => StatusCode::TOO_MANY_REQUESTS,
        "UNAVAILABLE" | "TIMEOUT" => StatusCode::SERVICE_UNAVAILABLE,
        "INTERNAL" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => return None,
    })
}

impl RestError {
    /// Creates an error.
    #[must_use]
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            details: BTreeMap::new(),
            allowed_methods: None,
            retry_after: None,
            has_invalid_token: false,
            summary: None,
        }
    }

    /// Creates an error of a request that is malformed.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    /// Creates an error with the messages of fields; `None` without any.
    #[must_use]
    pub fn of_fields(status: StatusCode, code: &str, messages: Vec<(String, String)>) -> Option<Self> {
        let (field, first) = messages.first()?;
        let summary = match messages.len() {
            1 => format!("{field}: {first}."),
            count => format!("{count} values are invalid, see details; the first is {field}: {first}."),
        };
        let mut error = Self::new(status, code, summary);
        for (field, message) in messages {
            error.details.entry(field).or_default().push(message);
        }
        Some(error)
    }

    /// Creates the error of a request that was rejected before its execution.
    #[must_use]
    pub fn of_rejection(error: RequestError, request_id: &str, is_authentication: bool) -> Self {
        let RequestError { status, stage, mut errors } = error;
        finalize_errors(&mut errors, stage, request_id);
        let summary = ErrorSummary::of_errors(&errors);
        let operation_errors = errors.iter().map(OperationError::of_server_error).collect();
        let error = Self::of_operation(operation_errors);
        let status = status_of_code(&error.code).unwrap_or(status);
        Self { status, summary, has_invalid_token: is_authentication && status == StatusCode::UNAUTHORIZED, ..error }
    }

    /// Creates the error of an operation that has failed.
    #[must_use]
    pub fn of_operation(errors: Vec<OperationError>) -> Self {
        let Some(first) = errors.first() else {
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "An internal error occurred.");
        };
        let status = status_of_code(&first.code).unwrap_or(StatusCode::BAD_REQUEST);
        let mut error = Self::new(status, &first.code, first.message.clone());
        error.retry_after = errors.iter().find_map(|error| error.retry_after);
        for OperationError { field, message, .. } in errors.into_iter().filter(|error| !error.field.is_empty()) {
            error.details.entry(field.join(".")).or_default().push(message);
        }
        error
    }

    /// Converts the error to a response.
    #[must_use]
    pub fn into_response(self, request_id: &str) -> Response {
        let Self { status, code, message, details, allowed_methods, retry_after, has_invalid_token, summary } = self;
        if let Some(metrics) = telemetry::metrics().filter(|_| summary.is_none()) {
            metrics.count_error(&code);
        }
        let details = (!details.is_empty()).then_some(&details);
        let error = ErrorContent { code: &code, message: &message, details };
        let mut response = (status, Json(ErrorEnvelope { error, meta: ResponseMeta::new(request_id) })).into_response();
        if let Some(summary) = summary {
            response.extensions_mut().insert(summary);
        }
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(methods) = allowed_methods.and_then(|methods| HeaderValue::try_from(methods).ok()) {
            headers.insert(header::ALLOW, methods);
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = if has_invalid_token { authentication::INVALID_TOKEN_CHALLENGE } else { TOKEN_CHALLENGE };
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        let is_unavailable = status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = retry_after.or(is_unavailable.then_some(RETRY_AFTER_SECONDS)) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl OperationError {
    fn of_server_error(error: &ServerError) -> Self {
        let find = |name: &str| error.extensions.as_ref().and_then(|extensions| extensions.get(name));
        let text = |value: &GraphqlValue| match value {
            GraphqlValue::String(text) => Some(text.clone()),
            _ => None,
        };
        let field = match find("field") {
            Some(GraphqlValue::List(segments)) => segments.iter().filter_map(text).collect(),
            _ => Vec::new(),
        };
        let retry_after = match find("retryAfter") {
            Some(GraphqlValue::Number(seconds)) => seconds.as_u64(),
            _ => None,
        };
        let code = find("code").and_then(text).unwrap_or_else(|| "INTERNAL".to_owned());
        Self { code, message: error.message.clone(), field, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::PublicErrorCode;

    #[test]
    fn each_code_has_a_status() {
        let codes = [
            PublicErrorCode::BadUserInput,
            PublicErrorCode::NotFound,
            PublicErrorCode::AlreadyExists,
            PublicErrorCode::VersionConflict,
            PublicErrorCode::IllegalTransition,
            PublicErrorCode::ProductNotAvailable,
            PublicErrorCode::InsufficientStock,
            PublicErrorCode::PriceChanged,
            PublicErrorCode::IdempotencyMismatch,
            PublicErrorCode::IdempotencyConflict,
            PublicErrorCode::PaymentFailed,
            PublicErrorCode::InvalidCredentials,
            PublicErrorCode::Unauthenticated,
            PublicErrorCode::Forbidden,
            PublicErrorCode::RateLimited,
            PublicErrorCode::QueryTooComplex,
            PublicErrorCode::CursorExpired,
            PublicErrorCode::Unavailable,
            PublicErrorCode::Timeout,
            PublicErrorCode::Internal,
        ];
        for code in codes {
            assert!(status_of_code(code.as_str()).is_some(), "{}", code.as_str());
        }
        assert_eq!(status_of_code("VALIDATION_ERROR"), Some(StatusCode::UNPROCESSABLE_ENTITY));
    }
}
