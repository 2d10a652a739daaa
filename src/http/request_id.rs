//! Every request has an id: the caller's, if it is sane, else a new one. It is in every log line and in the answer.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

/// Where it travels.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are not taken over.
const LONGEST: usize = 128;

/// The id of a request, for handlers.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Gives the request its id, and writes a line when it is answered.
pub async fn give(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|id| sane(id));
    let id = given.map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned);
    let span = tracing::info_span!("request", id, method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(RequestId(id.clone()));
    let began = std::time::Instant::now();
    let answer = async move {
        let answer = next.run(request).await;
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = answer.status().as_u16();
        if status >= 500 {
            tracing::warn!(status, millis, "answered");
        } else {
            tracing::debug!(status, millis, "answered");
        }
        answer
    };
    let mut answer = answer.instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(HEADER, id);
    }
    answer
}

/// Nothing that could be mistaken for something else in a log.
fn sane(id: &str) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}
