//! Request IDs: the valid ID of the client or a new one; included in every log line and in the response.

use std::{
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use chrono::{DateTime, Utc};
use tracing::{Instrument, Span};
use uuid::{Builder, Uuid, fmt::Simple};

use super::request_log::{RequestLog, RequestSource};
use crate::{
    base::Clock,
    infra::telemetry::{RequestOperation, RequestRecord, span_export::is_tracing_enabled, trace_context},
    media::{UPLOADS_PATH, is_upload_path},
};

/// Header of the request ID.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Maximum length of a client's request ID; longer ones are replaced.
const MAX_REQUEST_ID_LENGTH: usize = 128;

/// Request ID, as an extension for handlers.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Assigns the request ID, and logs and counts the completed request.
pub async fn assign_request_id(
    State(request_log): State<Arc<RequestLog>>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id = received_request_id(request.headers()).map_or_else(create_request_id, str::to_owned);
    let span = create_span(&request, &request_id);
    trace_context::continue_received_trace(&span, request.headers());
    let record = Arc::<RequestRecord>::default();
    request.extensions_mut().insert(RequestId(request_id.clone()));
    request.extensions_mut().insert(Arc::clone(&record));
    let source = RequestSource::capture(&request);
    let started_at = Instant::now();
    let response = async move {
        let response = next.run(request).await;
        request_log.complete(&record, &source, &response, started_at);
        response
    };
    let mut response = response.instrument(span).await;
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, request_id);
    }
    response
}

/// Adds the request ID to a response from memory, which does not pass through the middleware, and logs and counts it.
pub fn complete_direct_response<B>(
    request_log: &RequestLog,
    request: &axum::http::Request<B>,
    response: &mut Response,
    DirectResponse { operation, peer_address, started_at, received_at }: DirectResponse,
) {
    let mut buffer = [0; Simple::LENGTH];
    let request_id = match received_request_id(request.headers()) {
        Some(request_id) => request_id,
        None => create_uuid(received_at).simple().encode_lower(&mut buffer),
    };
    let duration = started_at.elapsed();
    if request_log.count_direct(&operation, duration) {
        let source = RequestSource::direct(request, peer_address);
        // The span is part of no other line.
        create_span(request, request_id).in_scope(|| {
            let record = RequestRecord { operation: operation.into(), ..RequestRecord::default() };
            request_log.write_line(&record, &source, response, duration, false);
        });
    }
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, request_id);
    }
}

/// What is known of a request that is answered from memory.
#[derive(Debug)]
pub struct DirectResponse {
    /// Operation.
    pub operation: RequestOperation,
    /// Address of the connection.
    pub peer_address: SocketAddr,
    /// When its processing began, to measure its duration.
    pub started_at: Instant,
    /// Time of its receipt.
    pub received_at: DateTime<Utc>,
}

/// Returns the request ID of the client, if it has sent a valid one.
fn received_request_id(headers: &HeaderMap) -> Option<&str> {
    let request_id = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    request_id.filter(|request_id| is_valid_request_id(request_id))
}

/// Creates a request ID: a UUID of version 7.
#[must_use]
pub fn create_request_id() -> String {
    create_uuid(Clock::default().now()).simple().to_string()
}

/// Creates a UUID of version 7. Its random part is a keyed hash of a counter, because a system call for random bytes costs
/// more than all other work for a cached response. It is unique, and not a secret.
fn create_uuid(created_at: DateTime<Utc>) -> Uuid {
    static HASH_STATE: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let hash = [HASH_STATE.hash_one((number, 0)), HASH_STATE.hash_one((number, 1))].map(u64::to_le_bytes);
    let mut random_bytes = [0; 10];
    random_bytes.copy_from_slice(&hash.as_flattened()[..10]);
    let millis = u64::try_from(created_at.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random_bytes).into_uuid()
}

fn create_span<B>(request: &axum::http::Request<B>, request_id: &str) -> Span {
    let (method, path) = (request.method(), loggable_path(request.uri().path()));
    if is_tracing_enabled() {
        return tracing::info_span!("request", otel.kind = "server", request_id, %method, path);
    }
    tracing::info_span!("request", request_id, %method, path)
}

/// Returns a path without the secret of an upload.
fn loggable_path(path: &str) -> &str {
    if is_upload_path(path) { UPLOADS_PATH } else { path }
}

/// Returns whether a request ID is safe to log: ASCII letters, digits and `-_.:` only.
fn is_valid_request_id(request_id: &str) -> bool {
    (1..=MAX_REQUEST_ID_LENGTH).contains(&request_id.len())
        && request_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}
