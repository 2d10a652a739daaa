//! The body of a request has to come whole within a time, for every path: one byte a second keeps nobody waiting.

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

use super::{envelope, request_id::RequestId};

/// Answers 408 when the body was not there in time, whatever came of it.
pub(super) async fn limit(
    State(time): State<Duration>,
    Extension(RequestId(id)): Extension<RequestId>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let overdue = Arc::new(AtomicBool::new(false));
    let sleep = Box::pin(tokio::time::sleep(time));
    let timed = |body| Body::new(TimedBody { body, sleep, overdue: Arc::clone(&overdue) });
    let answer = next.run(request.map(timed)).await;
    if !overdue.load(Ordering::Relaxed) {
        return answer;
    }
    let message = format!("The body did not arrive within {} s.", time.as_secs());
    envelope::error(StatusCode::REQUEST_TIMEOUT, &id, "TIMEOUT", &message)
}

/// A body that breaks when its time is over.
struct TimedBody {
    body: Body,
    sleep: Pin<Box<Sleep>>,
    overdue: Arc<AtomicBool>,
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.sleep.as_mut().poll(context).is_ready() {
            self.overdue.store(true, Ordering::Relaxed);
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
