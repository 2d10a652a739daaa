//! Parsing of requests to `/graphql`, and their errors.

use std::time::Duration;

use async_graphql::{Pos, ServerError};
use axum::{
    body::Bytes,
    extract::Query,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use serde::Deserialize;

use super::{
    authentication, content_negotiation,
    persisted_query::{DocumentParameters, DocumentReference, OperationAddress},
};
use crate::{
    base::{Error, error::PublicErrorCode},
    graphql::{
        error::ErrorStage,
        execution::document::{DocumentError, errors::error_with_code},
    },
    identity::error::AuthError,
};

/// Byte order mark that some clients send before the JSON; it is skipped.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// JSON object.
type JsonObject = serde_json::Map<String, serde_json::Value>;

/// GraphQL request.
#[derive(Debug)]
pub struct GraphqlRequest {
    /// Document.
    pub document: DocumentReference,
    /// Name of the operation to execute.
    pub operation: Option<String>,
    /// Values of the variables.
    pub variables: Option<JsonObject>,
}

/// Request as JSON.
#[derive(Debug, Deserialize)]
pub struct GraphqlRequestBody {
    query: Option<String>,
    #[serde(rename = "documentId", alias = "doc_id")]
    document_id: Option<String>,
    #[serde(rename = "operationName")]
    operation: Option<String>,
    variables: Option<JsonObject>,
    extensions: Option<JsonObject>,
}

impl GraphqlRequestBody {
    /// Returns the request.
    ///
    /// # Errors
    /// Returns [`RequestError`] if the request names no document, or two.
    pub fn into_request(self) -> Result<GraphqlRequest, RequestError> {
        let GraphqlRequestBody { query, document_id, operation, variables, extensions } = self;
        let persisted_query = take_persisted_query(extensions);
        let document = DocumentReference::from_parameters(DocumentParameters { query, document_id, persisted_query })?;
        let document = document.ok_or_else(|| {
            let message = "The body is not a GraphQL request: missing field `query`, and no `documentId`.";
            RequestError::from_http(StatusCode::BAD_REQUEST, message)
        })?;
        Ok(GraphqlRequest { document, operation, variables })
    }
}

/// Query parameters of a GET request.
#[derive(Debug, Deserialize)]
struct GraphqlGetParams {
    query: Option<String>,
    #[serde(rename = "documentId", alias = "doc_id")]
    document_id: Option<String>,
    #[serde(rename = "operationName")]
    operation: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
    /// Version of an app, in the address of an operation.
    version: Option<String>,
}

/// Error of a request that is not executed.
pub struct RequestError {
    /// Status code of the response.
    pub status: StatusCode,
    /// Stage in which the request failed.
    pub stage: ErrorStage,
    /// Errors of the request.
    pub errors: Vec<ServerError>,
}

impl RequestError {
    /// Creates an error for a request that violates GraphQL over HTTP.
    pub fn from_http(status: StatusCode, message: impl Into<String>) -> Self {
        let mut error = ServerError::new(message, None);
        error.extensions.get_or_insert_default().set("code", "BAD_REQUEST");
        Self { status, stage: ErrorStage::Validate, errors: vec![error] }
    }

    /// Creates an error for a failed authentication. The reason is logged, not returned.
    #[must_use]
    pub fn from_authentication_failure(failure: &AuthError) -> Self {
        let public_error = authentication::explain_failure(failure).to_public_error();
        let status = match public_error.code {
            PublicErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let error = error_with_code(public_error.message, public_error.code);
        Self { status, stage: ErrorStage::Validate, errors: vec![error] }
    }

    /// Creates an error for a request that took longer than its limit.
    #[must_use]
    pub fn timed_out(limit: Duration) -> Self {
        let message = format!("The request took longer than {} s.", limit.as_secs_f64());
        let errors = vec![error_with_code(message, PublicErrorCode::Timeout)];
        Self { status: StatusCode::SERVICE_UNAVAILABLE, stage: ErrorStage::Execute, errors }
    }

    /// Creates an error for a request that is rejected before its execution.
    #[must_use]
    pub fn from_error(error: Error) -> Self {
        let code = error.to_public_error().code;
        let status = match code {
            PublicErrorCode::BadUserInput => StatusCode::BAD_REQUEST,
            PublicErrorCode::IdempotencyConflict => StatusCode::CONFLICT,
            PublicErrorCode::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            PublicErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            PublicErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut error = async_graphql::Error::from(error).into_server_error(Pos::default());
        error.locations.clear();
        if code == PublicErrorCode::IdempotencyConflict {
            error.extensions.get_or_insert_default().set("retryAfter", 1);
        }
        Self { status, stage: ErrorStage::Execute, errors: vec![error] }
    }

    /// Creates an error for a well-formed request that cannot be executed.
    #[must_use]
    pub fn from_graphql(stage: ErrorStage, error: ServerError) -> Self {
        Self { status: StatusCode::BAD_REQUEST, stage, errors: vec![error] }
    }
}

impl From<DocumentError> for RequestError {
    fn from(DocumentError { stage, errors, .. }: DocumentError) -> Self {
        Self { status: StatusCode::BAD_REQUEST, stage, errors }
    }
}

/// Parses a request from its body (POST) or its URL (GET).
///
/// # Errors
/// Returns [`RequestError`] if the request violates GraphQL over HTTP.
pub fn parse_request(
    method: &Method,
    headers: &HeaderMap,
    uri: &Uri,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<GraphqlRequest, RequestError> {
    match *method {
        Method::POST => {}
        Method::GET | Method::HEAD => return parse_get_request(uri),
        _ => return Err(RequestError::from_http(StatusCode::METHOD_NOT_ALLOWED, "Use POST, or GET for queries.")),
    }
    if !content_negotiation::has_json_content_type(headers) {
        let message = "The body must be JSON in UTF-8, with `Content-Type: application/json`.";
        return Err(RequestError::from_http(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            RequestError::from_http(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.")
        }
        _ => RequestError::from_http(StatusCode::BAD_REQUEST, "The body was not received completely."),
    })?;
    let body = body.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(&body);
    if body.trim_ascii_start().starts_with(b"[") {
        let message = "Send one request at a time: lists of requests are not supported.";
        return Err(RequestError::from_http(StatusCode::BAD_REQUEST, message));
    }
    let body: GraphqlRequestBody = serde_json::from_slice(body).map_err(|error| {
        let message = match error.classify() {
            serde_json::error::Category::Data => format!("The body is not a GraphQL request: {error}."),
            _ => format!("The body is not JSON: {error}."),
        };
        RequestError::from_http(StatusCode::BAD_REQUEST, message)
    })?;
    body.into_request()
}

fn take_persisted_query(extensions: Option<JsonObject>) -> Option<serde_json::Value> {
    extensions?.remove("persistedQuery").filter(|extension| !extension.is_null())
}

/// Parses a request by the address of a published operation.
///
/// # Errors
/// Returns [`RequestError`] if the query string is invalid.
pub fn parse_address_request(uri: &Uri, app: String, operation: String) -> Result<GraphqlRequest, RequestError> {
    let GraphqlGetParams { variables, extensions, version, query, document_id, operation: _ } = parse_params(uri)?;
    if query.is_some() || document_id.is_some() {
        let message = "The address names the document: `query` and `documentId` are not allowed.";
        return Err(RequestError::from_http(StatusCode::BAD_REQUEST, message));
    }
    parse_map("extensions", extensions)?;
    let version = version.filter(|version| !version.is_empty());
    Ok(GraphqlRequest {
        document: DocumentReference::Address(OperationAddress { app, operation, version }),
        operation: None,
        variables: parse_map("variables", variables)?,
    })
}

fn parse_get_request(uri: &Uri) -> Result<GraphqlRequest, RequestError> {
    let GraphqlGetParams { query, document_id, operation, variables, extensions, version: _ } = parse_params(uri)?;
    let persisted_query = take_persisted_query(parse_map("extensions", extensions)?);
    let document = DocumentReference::from_parameters(DocumentParameters { query, document_id, persisted_query })?;
    let document = document.ok_or_else(|| {
        let message = "`query` is missing. Explore at /graphiql.";
        RequestError::from_http(StatusCode::BAD_REQUEST, message)
    })?;
    let operation = operation.filter(|name| !name.is_empty());
    Ok(GraphqlRequest { document, operation, variables: parse_map("variables", variables)? })
}

fn parse_params(uri: &Uri) -> Result<GraphqlGetParams, RequestError> {
    let params = Query::try_from_uri(uri).ok().filter(|_| is_valid_percent_encoding(uri.query().unwrap_or_default()));
    params.map(|Query(params)| params).ok_or_else(|| {
        let message = "The query string cannot be parsed: each parameter once, percent-encoded UTF-8.";
        RequestError::from_http(StatusCode::BAD_REQUEST, message)
    })
}

fn parse_map(name: &str, text: Option<String>) -> Result<Option<JsonObject>, RequestError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    serde_json::from_str(text.trim_start_matches(BYTE_ORDER_MARK)).map_err(|error| {
        RequestError::from_http(StatusCode::BAD_REQUEST, format!("`{name}` is not a JSON object: {error}."))
    })
}

/// Returns whether a query string is valid percent-encoded UTF-8. Invalid parts would be decoded lossily.
pub(super) fn is_valid_percent_encoding(text: &str) -> bool {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for escaped_part in parts {
        let digits = escaped_part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        bytes.push(byte);
        bytes.extend_from_slice(&escaped_part.as_bytes()[2..]);
    }
    std::str::from_utf8(&bytes).is_ok()
}
