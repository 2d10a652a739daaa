//! Responses to GraphQL requests.

use async_graphql::{Response as Answer, ServerError, Value};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    authentication,
    bounded_json::{self, BoundedJson},
    content_negotiation::ResponseMediaType,
    graphql_request::RequestError,
    idempotency::{self, REPLAYED_HEADER},
    request_log::ErrorSummary,
    response_cache::CacheHit,
    write_position::{self, WRITE_POSITION_HEADER},
};
use crate::{
    base::{Error, error::PublicErrorCode},
    graphql::error::{ErrorStage, finalize_errors},
    infra::WalPosition,
};

/// Status codes of well-formed requests that are rejected; with `application/json` they are answered 200.
const REJECTION_STATUSES: [StatusCode; 4] =
    [StatusCode::BAD_REQUEST, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::TOO_MANY_REQUESTS];

/// Seconds after which a request that was answered 503 should be repeated.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Value of the `Server-Timing` header.
pub(super) type ServerTiming = Option<HeaderValue>;

/// Response of an executed request.
#[derive(Debug)]
pub struct ExecutedRequest {
    /// Serialized response.
    pub body: Vec<u8>,
    /// Whether a field of the operation has returned an object; false if all of them have failed.
    pub has_payload: bool,
    /// Accounts of the sessions of which the response contains tokens.
    pub token_accounts: Vec<i64>,
    /// Whether the response has errors.
    pub has_errors: bool,
    /// Summary of the errors of an executed request.
    pub(super) error_summary: Option<ErrorSummary>,
    /// Whether all fields have failed because the database is unavailable.
    pub is_unavailable: bool,
    pub(super) origin: ResponseOrigin,
    pub(super) timing: ServerTiming,
    /// Position of the writes of a mutation; `None` without a replica.
    pub(super) write_position: Option<WalPosition>,
}

/// Where the response of a request comes from.
#[derive(Debug)]
pub(super) enum ResponseOrigin {
    /// The request was executed.
    Executed,
    /// A request with the same idempotency key was executed before.
    Replayed,
    /// The response is in the response cache.
    Cached(CacheHit),
}

impl ExecutedRequest {
    /// Creates the response of a request that was executed before.
    #[must_use]
    pub fn replay(body: Vec<u8>) -> Self {
        Self { origin: ResponseOrigin::Replayed, ..Self::with_body(body) }
    }

    /// Creates the response of a request that was answered from the cache.
    #[must_use]
    pub fn from_cache(hit: CacheHit) -> Self {
        Self { origin: ResponseOrigin::Cached(hit), ..Self::with_body(Vec::new()) }
    }

    /// Adds the response in the cache, which is sent instead of the body.
    #[must_use]
    pub fn with_cached(self, hit: CacheHit) -> Self {
        Self { origin: ResponseOrigin::Cached(hit), ..self }
    }

    fn with_body(body: Vec<u8>) -> Self {
        Self {
            body,
            has_payload: true,
            token_accounts: Vec::new(),
            has_errors: false,
            error_summary: None,
            is_unavailable: false,
            origin: ResponseOrigin::Executed,
            timing: None,
            write_position: None,
        }
    }
}

/// Response of an executed request, or the error of one that was not executed.
pub type ExecutionResult = Result<ExecutedRequest, RequestError>;

/// Returns whether an operation has no data, because each of its fields has failed with `UNAVAILABLE`.
pub(super) fn is_unavailable(response: &Answer) -> bool {
    let is_unavailable = |error: &ServerError| {
        let code = error.extensions.as_ref().and_then(|extensions| extensions.get("code"));
        code.is_some_and(|code| *code == Value::from(PublicErrorCode::Unavailable.as_str()))
    };
    let has_no_data = match &response.data {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(|value| *value == Value::Null),
        _ => false,
    };
    has_no_data && !response.errors.is_empty() && response.errors.iter().all(is_unavailable)
}

/// Serializes a response; of one that is too large, an error.
pub(super) fn serialize_response(
    response: &Answer,
    max_response_bytes: usize,
    request_id: &str,
) -> Result<Vec<u8>, RequestError> {
    let serialized = bounded_json::serialize_bounded(response, max_response_bytes)
        .map_err(|error| RequestError::from_error(Error::internal("serializing a response", error)))?;
    if let BoundedJson::Complete(body) = serialized {
        return Ok(body);
    }
    let message =
        format!("The operation was executed, but its response is larger than {max_response_bytes} bytes: select less.");
    let mut errors = vec![ServerError::new(message, None)];
    errors[0].extensions.get_or_insert_default().set("code", PublicErrorCode::QueryTooComplex.as_str());
    finalize_errors(&mut errors, ErrorStage::Execute, request_id);
    Ok(serde_json::json!({ "data": null, "errors": errors }).to_string().into_bytes())
}

pub(super) fn error_response(
    media_type: ResponseMediaType,
    error: RequestError,
    request_id: &str,
    is_well_formed: bool,
) -> Response {
    let RequestError { mut status, stage, mut errors } = error;
    finalize_errors(&mut errors, stage, request_id);
    let error_summary = ErrorSummary::of_errors(&errors);
    let needs_allow_header = status == StatusCode::METHOD_NOT_ALLOWED;
    let needs_challenge = status == StatusCode::UNAUTHORIZED;
    if media_type == ResponseMediaType::Json && is_well_formed && REJECTION_STATUSES.contains(&status) {
        status = StatusCode::OK;
    }
    // By the specification, the response to a request that was not executed has no `data`.
    let body = serde_json::json!({ "errors": errors });
    let mut response = build_response(media_type, status, body.to_string().into_bytes(), None);
    add_summary(&mut response, error_summary);
    if needs_challenge {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, authentication::INVALID_TOKEN_CHALLENGE);
    }
    if needs_allow_header {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

pub(super) fn operation_response(
    media_type: ResponseMediaType,
    executed: ExecutedRequest,
    request_id: &str,
) -> Response {
    let ExecutedRequest { body, origin, timing, error_summary, write_position, is_unavailable, .. } = executed;
    let is_replay = matches!(origin, ResponseOrigin::Replayed);
    let body = if is_replay { idempotency::replace_request_id(body, request_id) } else { body };
    let status = if is_unavailable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut response = build_response(media_type, status, body, timing);
    if is_replay {
        response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    } else {
        add_summary(&mut response, error_summary);
    }
    if let Some(position) = write_position.and_then(write_position::to_header_value) {
        response.headers_mut().insert(WRITE_POSITION_HEADER, position);
    }
    response
}

/// Tells the log line and the metrics which errors the response has.
fn add_summary(response: &mut Response, error_summary: Option<ErrorSummary>) {
    if let Some(error_summary) = error_summary {
        response.extensions_mut().insert(error_summary);
    }
}

fn build_response(media_type: ResponseMediaType, status: StatusCode, body: Vec<u8>, timing: ServerTiming) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type.content_type());
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    }
    // A response depends on the caller and the time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(timing) = timing {
        headers.insert("server-timing", timing);
    }
    response
}
