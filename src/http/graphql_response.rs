//! Responses to GraphQL requests.

use async_graphql::{Response as Answer, ServerError};
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
    response_cache::CacheHit,
};
use crate::{
    base::{Error, error::PublicErrorCode},
    graphql::error::{ErrorStage, finalize_errors},
};

/// Status codes of well-formed requests that are rejected; with `application/json` they are answered 200.
const REJECTION_STATUSES: [StatusCode; 4] =
    [StatusCode::BAD_REQUEST, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY, StatusCode::TOO_MANY_REQUESTS];

/// Value of the `Server-Timing` header.
pub(super) type ServerTiming = Option<HeaderValue>;

/// Response of an executed request.
#[derive(Debug)]
pub struct ExecutedRequest {
    /// Serialized response.
    pub body: Vec<u8>,
    /// Whether a field of the operation has returned an object; false if all of them have failed.
    pub has_payload: bool,
    /// Whether the response contains tokens of a session.
    pub contains_tokens: bool,
    /// Whether the response has errors.
    pub has_errors: bool,
    pub(super) origin: ResponseOrigin,
    pub(super) timing: ServerTiming,
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
            contains_tokens: false,
            has_errors: false,
            origin: ResponseOrigin::Executed,
            timing: None,
        }
    }
}

/// Response of an executed request, or the error of one that was not executed.
pub type ExecutionResult = Result<ExecutedRequest, RequestError>;

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
    let needs_allow_header = status == StatusCode::METHOD_NOT_ALLOWED;
    let needs_challenge = status == StatusCode::UNAUTHORIZED;
    if media_type == ResponseMediaType::Json && is_well_formed && REJECTION_STATUSES.contains(&status) {
        status = StatusCode::OK;
    }
    // By the specification, the response to a request that was not executed has no `data`.
    let body = serde_json::json!({ "errors": errors });
    let mut response = build_response(media_type, status, body.to_string().into_bytes(), None);
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
    let ExecutedRequest { body, origin, timing, .. } = executed;
    if !matches!(origin, ResponseOrigin::Replayed) {
        return build_response(media_type, StatusCode::OK, body, timing);
    }
    let body = idempotency::replace_request_id(body, request_id);
    let mut response = build_response(media_type, StatusCode::OK, body, timing);
    response.headers_mut().insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    response
}

fn build_response(media_type: ResponseMediaType, status: StatusCode, body: Vec<u8>, timing: ServerTiming) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type.content_type());
    headers.append(header::VARY, HeaderValue::from_static("accept"));
    // A response depends on the caller and the time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(timing) = timing {
        headers.insert("server-timing", timing);
    }
    response
}
