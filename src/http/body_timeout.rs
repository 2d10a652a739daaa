//! Timeout for receiving the whole request body, on every path: protects against slow-body attacks.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::Response,
};
use hyper::body::{Frame, SizeHint};
use tokio::time::Sleep;

use super::{request_id::RequestId, rest_response};
use crate::{base::error::PublicErrorCode, infra::Config, media::is_upload_path};

/// Timeouts of bodies.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyTimeouts {
    default: Duration,
    upload: Duration,
}

impl BodyTimeouts {
    /// Returns the timeouts of the settings.
    pub(super) const fn new(config: &Config) -> Self {
        Self { default: config.server.body_timeout, upload: config.media.upload_timeout }
    }

    /// Returns the timeout of a path: uploads are larger than other bodies.
    fn of_path(self, path: &str) -> Duration {
        if is_upload_path(path) { self.upload } else { self.default }
    }
}

/// Responds with 408 if the body was not received in time, regardless of the handler's response.
pub(super) async fn limit_body_time(
    State(timeouts): State<BodyTimeouts>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let body_timeout = timeouts.of_path(request.uri().path());
    let is_overdue = Arc::new(AtomicBool::new(false));
    let deadline = Box::pin(tokio::time::sleep(body_timeout));
    let with_deadline = |body| Body::new(TimedBody { body, deadline, is_overdue: Arc::clone(&is_overdue) });
    let response = next.run(request.map(with_deadline)).await;
    if !is_overdue.load(Ordering::Relaxed) {
        return response;
    }
    let message = format!("The body was not received within {} s.", body_timeout.as_secs());
    rest_response::error_response(StatusCode::REQUEST_TIMEOUT, &id, PublicErrorCode::Timeout.as_str(), &message)
}

/// Body that fails when the deadline is over.
struct TimedBody {
    body: Body,
    deadline: Pin<Box<Sleep>>,
    is_overdue: Arc<AtomicBool>,
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.deadline.as_mut().poll(context).is_ready() {
            self.is_overdue.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
