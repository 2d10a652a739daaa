//! What a caller sends to `/graphql`, and why it is not executed.

use async_graphql::ServerError;
use axum::{
    body::Bytes,
    extract::Query,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use serde::Deserialize;

use super::negotiate;
use crate::{
    base::error::Code,
    graphql::{document::DocumentError, error::Stage},
    identity::outside::Denied,
};

/// The mark that some writers put before a text. It is no part of it.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a caller sends.
#[derive(Debug, Deserialize)]
pub struct GraphqlRequest {
    /// The document.
    pub query: String,
    /// Which of its operations.
    #[serde(rename = "operationName")]
    pub operation: Option<String>,
    /// The values of its variables.
    pub variables: Option<serde_json::Map<String, serde_json::Value>>,
    #[expect(dead_code, reason = "checked to be a map; nothing here reads it yet")]
    extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The same in an address: the parameters of a GET.
#[derive(Debug, Deserialize)]
struct Address {
    query: Option<String>,
    #[serde(rename = "operationName")]
    operation: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// Why a request is not executed.
pub struct RequestError {
    /// The status of the answer.
    pub status: StatusCode,
    /// Where it failed.
    pub stage: Stage,
    /// What is wrong.
    pub errors: Vec<ServerError>,
}

impl RequestError {
    /// The request is not one of GraphQL over HTTP.
    pub fn http(status: StatusCode, message: impl Into<String>) -> Self {
        let mut error = ServerError::new(message, None);
        error.extensions.get_or_insert_default().set("code", "BAD_REQUEST");
        Self { status, stage: Stage::Validate, errors: vec![error] }
    }

    /// It brings something to show who asks, and that does not hold or cannot be looked into. Why is for the log.
    pub fn denied(why: &Denied) -> Self {
        let (status, code, message) = match why {
            Denied::Refused(why) => {
                tracing::info!(reason = %why, "a token was refused");
                (StatusCode::UNAUTHORIZED, Code::Unauthenticated, "The token does not hold; sign in again.")
            }
            Denied::Unreachable(why) => {
                tracing::warn!(reason = why, "a token could not be checked");
                let message = "The token cannot be checked just now: its issuer does not answer. Try again.";
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
            }
            Denied::Fault(why) => {
                tracing::error!(error = why.log(), "a token could not be checked");
                let message = "The token cannot be checked just now. Try again.";
                (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message)
            }
        };
        let mut error = ServerError::new(message, None);
        error.extensions.get_or_insert_default().set("code", code.as_str());
        Self { status, stage: Stage::Validate, errors: vec![error] }
    }

    /// It is one, but cannot be executed.
    #[must_use]
    pub fn graphql(stage: Stage, error: ServerError) -> Self {
        Self { status: StatusCode::BAD_REQUEST, stage, errors: vec![error] }
    }
}

impl From<DocumentError> for RequestError {
    fn from(DocumentError { stage, errors, .. }: DocumentError) -> Self {
        Self { status: StatusCode::BAD_REQUEST, stage, errors }
    }
}

/// Reads a request from its body or its address.
///
/// # Errors
/// When it is not one of GraphQL over HTTP.
pub fn read(
    method: &Method,
    headers: &HeaderMap,
    uri: &Uri,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<GraphqlRequest, RequestError> {
    match *method {
        Method::POST => {}
        Method::GET | Method::HEAD => return read_address(uri),
        _ => return Err(RequestError::http(StatusCode::METHOD_NOT_ALLOWED, "Use POST, or GET for queries.")),
    }
    if !negotiate::is_json(headers) {
        let message = "The body must be JSON in UTF-8, and `Content-Type: application/json` must say so.";
        return Err(RequestError::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let body = body.map_err(|why| match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => RequestError::http(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
        _ => RequestError::http(StatusCode::BAD_REQUEST, "The body did not arrive whole."),
    })?;
    let body = body.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(&body);
    if body.trim_ascii_start().starts_with(b"[") {
        let message = "One request at a time: a list of requests is not answered.";
        return Err(RequestError::http(StatusCode::BAD_REQUEST, message));
    }
    serde_json::from_slice(body).map_err(|why| {
        let message = match why.classify() {
            serde_json::error::Category::Data => format!("The body is not a GraphQL request: {why}."),
            _ => format!("The body is not JSON: {why}."),
        };
        RequestError::http(StatusCode::BAD_REQUEST, message)
    })
}

fn read_address(uri: &Uri) -> Result<GraphqlRequest, RequestError> {
    let bad = |message: String| RequestError::http(StatusCode::BAD_REQUEST, message);
    let address = Query::try_from_uri(uri).ok().filter(|_| well_encoded(uri.query().unwrap_or_default()));
    let Some(Query(Address { query, operation, variables, extensions })) = address else {
        return Err(bad("The address cannot be read: each parameter once, percent-encoded UTF-8.".into()));
    };
    let query = query.ok_or_else(|| bad("`query` is missing. Explore at /graphiql.".into()))?;
    let map = |name: &str, text: Option<String>| match text.filter(|text| !text.is_empty()) {
        Some(text) => serde_json::from_str(text.trim_start_matches(BYTE_ORDER_MARK))
            .map_err(|why| bad(format!("`{name}` is not a JSON object: {why}."))),
        None => Ok(None),
    };
    let operation = operation.filter(|name| !name.is_empty());
    Ok(GraphqlRequest {
        query,
        operation,
        variables: map("variables", variables)?,
        extensions: map("extensions", extensions)?,
    })
}

/// Whether every `%` begins a byte, and all bytes together are UTF-8. What is not would be read as something else.
fn well_encoded(text: &str) -> bool {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return false };
        bytes.push(byte);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    std::str::from_utf8(&bytes).is_ok()
}
