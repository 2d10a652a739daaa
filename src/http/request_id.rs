//! Request IDs: the valid ID of the client or a new one; included in every log line and in the response.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

/// Header of the request ID.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of a client's request ID; longer ones are replaced.
const MAX_REQUEST_ID_LENGTH: usize = 128;

/// Request ID, as an extension for handlers.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Assigns the request ID and logs the completed request.
pub async fn assign_request_id(mut request: Request, next: Next) -> Response {
    let received_id = request
        .headers()
        .get(REQUEST_ID_HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|request_id| is_valid_request_id(request_id));
    let request_id = received_id.map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned);
    let span = tracing::info_span!("request", request_id, method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(RequestId(request_id.clone()));
    let started_at = std::time::Instant::now();
    let response = async move {
        let response = next.run(request).await;
        let duration_millis = u64::try_from(started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = response.status().as_u16();
        if status >= 500 {
            tracing::warn!(status, duration_millis, "request completed");
        } else {
            tracing::debug!(status, duration_millis, "request completed");
        }
        response
    };
    let mut response = response.instrument(span).await;
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, request_id);
    }
    response
}

/// Returns whether a request ID is safe to log: ASCII letters, digits and `-_.:` only.
fn is_valid_request_id(request_id: &str) -> bool {
    (1..=MAX_REQUEST_ID_LENGTH).contains(&request_id.len())
        && request_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}
