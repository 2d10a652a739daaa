//! Cached responses that are sent before the middleware.
//!
//! The middleware and the router of the framework cost more than a cached response. If the whole request has arrived, it
//! is looked up first; what the middleware would add to the response is added here. All other requests are passed on.

use std::{
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{Method, header},
    response::Response,
};
use hyper::body::{Frame, SizeHint};

use super::{
    ReceivedRequest,
    render::{RequestedForm, respond_from_memory},
};
use crate::http::{
    App,
    graphql_execution::RequestHead,
    request_id::{self, DirectResponse},
    subscription::transport,
};

/// Maximum length of the body of a request that is looked up, in bytes.
const MAX_BODY_BYTES: u64 = 64 * 1024;
/// Path of the endpoint, and first part of the addresses of published operations.
const GRAPHQL_PATH: &str = "/graphql";

/// Outcome of looking up a request.
#[derive(Debug)]
pub enum DirectOutcome {
    /// The response.
    Hit(Response),
    /// The request, for the router.
    Miss(Request),
}

/// Answers a request from the cache of responses if its body has arrived, without waiting for it.
#[must_use]
pub fn answer_from_cache<B>(app: &App, mut request: axum::http::Request<B>, peer_address: SocketAddr) -> DirectOutcome
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError> + Send> + Send + Unpin + 'static,
{
    if !may_be_cached(app, &request) {
        return DirectOutcome::Miss(request.map(Body::new));
    }
    if *request.method() == Method::GET {
        return match find_response(app, &request, &[], peer_address) {
            Some(response) => DirectOutcome::Hit(response),
            None => DirectOutcome::Miss(request.map(Body::new)),
        };
    }
    let body = match take_received_body(request.body_mut()) {
        Ok(body) => body,
        Err(first) => return DirectOutcome::Miss(request.map(|rest| Body::new(StartedBody { first, rest }))),
    };
    match find_response(app, &request, &body, peer_address) {
        Some(response) => DirectOutcome::Hit(response),
        None => DirectOutcome::Miss(request.map(|_| Body::from(body))),
    }
}

/// Part of a body, or the reason why it could not be received.
type ReceivedFrame<B> = Result<Frame<Bytes>, <B as HttpBody>::Error>;

/// Returns the body if it was received whole, otherwise its first part, if there is one.
fn take_received_body<B: HttpBody<Data = Bytes> + Unpin>(body: &mut B) -> Result<Bytes, Option<ReceivedFrame<B>>> {
    // The waker is of no use: a body that is not complete is polled again by its reader.
    let mut context = Context::from_waker(Waker::noop());
    let first = match Pin::new(&mut *body).poll_frame(&mut context) {
        Poll::Ready(first) => first,
        Poll::Pending => None,
    };
    match first {
        Some(Ok(frame)) if body.is_end_stream() => frame.into_data().map_err(|frame| Some(Ok(frame))),
        first => Err(first),
    }
}

/// Returns whether the response to a request may be cached, by its head.
fn may_be_cached<B: HttpBody>(app: &App, request: &axum::http::Request<B>) -> bool {
    let headers = request.headers();
    let has_short_body = || {
        let length = request.body().size_hint().exact();
        length.is_some_and(|length| length <= MAX_BODY_BYTES.min(app.state.config.server.max_body_bytes as u64))
    };
    app.response_cache.is_some()
        && request.uri().path().starts_with(GRAPHQL_PATH)
        && match *request.method() {
            Method::GET => request.body().is_end_stream(),
            Method::POST => has_short_body(),
            _ => false,
        }
        && !headers.contains_key(header::AUTHORIZATION)
        && !headers.contains_key(header::UPGRADE)
        // The client waits for the decision of the handler before it sends the body.
        && !headers.contains_key(header::EXPECT)
        && !transport::prefers_event_stream(headers)
}

/// Returns the response to a request, with the headers of the middleware.
fn find_response<B>(
    app: &App,
    request: &axum::http::Request<B>,
    body: &[u8],
    peer_address: SocketAddr,
) -> Option<Response> {
    let started_at = Instant::now();
    let head = RequestHead { method: request.method(), headers: request.headers() };
    let cache = app.response_cache.as_ref()?;
    let received = ReceivedRequest::identify(app, head, request.uri(), body)?;
    let form = RequestedForm::negotiate(head.headers)?;
    let (hit, operation) = cache.find_received(app, received, |response| form.is_ready(response))?;
    let mut response = respond_from_memory(app, &hit, form, head);
    app.cors_policy.insert_headers(response.headers_mut(), head.headers.get(header::ORIGIN));
    let direct = DirectResponse { operation, peer_address, started_at, received_at: received.received_at };
    request_id::complete_direct_response(&app.request_log, request, &mut response, direct);
    Some(response)
}

/// Body of a request whose first part was received.
struct StartedBody<B: HttpBody> {
    first: Option<ReceivedFrame<B>>,
    rest: B,
}

// No field is pinned by its address.
impl<B: HttpBody + Unpin> Unpin for StartedBody<B> {}

impl<B: HttpBody<Data = Bytes> + Unpin> HttpBody for StartedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(|first| first.as_ref().ok()).and_then(Frame::data_ref);
        let first_length = first.map_or(0, Bytes::len) as u64;
        let rest = self.rest.size_hint();
        let mut size_hint = SizeHint::new();
        size_hint.set_lower(rest.lower() + first_length);
        if let Some(upper) = rest.upper() {
            size_hint.set_upper(upper + first_length);
        }
        size_hint
    }
}
