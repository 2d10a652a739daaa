//! Server-sent events: GraphQL over SSE, distinct connections mode. Each request is one operation.

use std::{convert::Infallible, fmt::Write, net::SocketAddr, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{
    super::{
        App, authentication,
        connection::ConnectionAbort,
        content_negotiation::ResponseMediaType,
        graphql_request::{self, GraphqlRequest, RequestError},
        graphql_response,
        request_id::RequestId,
    },
    client::{Client, ClientQueue, OperationOutput},
    close_reason::CloseReason,
    hub::SubscriptionGuard,
    registry::ConnectionPlace,
    run::{NewOperation, run_operation},
    token_check::ConnectionCaller,
    transport,
};
use crate::graphql::{
    context::RequestInfo,
    subscription::cursor::{decode_cursor, encode_cursor},
};

/// Header of the last event that a client has received.
const LAST_EVENT_ID_HEADER: &str = "last-event-id";
/// Tells the client to reconnect after a second. Without a `complete` event the subscription has not ended.
const RECONNECT: &str = "retry: 1000\n\n";

/// Streams the output of the request's operation.
pub(super) async fn stream_events(app: Arc<App>, request: Request) -> Response {
    let request_id = request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone()).unwrap_or_default();
    let peer_address = request.extensions().get::<ConnectInfo<SocketAddr>>().copied().map(Extension);
    let abort = request.extensions().get::<ConnectionAbort>().cloned();
    let (method, headers, uri) = (request.method().clone(), request.headers().clone(), request.uri().clone());
    let request_info = match authentication::authenticate_request(&app, &headers, peer_address, &request_id).await {
        Ok(request_info) => request_info,
        Err(error) => return error_response(RequestError::from_authentication_failure(&error), &request_id),
    };
    let body = transport::read_body(request).await;
    let request = match graphql_request::parse_request(&method, &headers, &uri, body) {
        Ok(request) => request,
        Err(error) => return error_response(error, &request_id),
    };
    let last_event = match read_last_event(&headers) {
        Ok(last_event) => last_event,
        Err(error) => return error_response(RequestError::from_error(error), &request_id),
    };
    let mut place = match transport::reserve_place(&app, &headers, peer_address, &request_id) {
        Ok(place) => place,
        Err(response) => return *response,
    };
    if let Err(status) = place.assign_to_caller(request_info.caller) {
        return transport::rejection(status, &request_id);
    }
    let token = authentication::bearer_token(&headers).ok().flatten().map(|token| token.to_owned().into());
    let caller = ConnectionCaller { caller: request_info.caller, token };
    let request = StreamRequest { request, method, headers, request_info, last_event };
    let stream = EventStreamBody::start(app, request, StreamClient { place, caller, abort });
    let frames = stream::unfold(stream, |mut stream| async move {
        let text = Box::pin(stream.next_text()).await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), stream))
    });
    let mut response = (StatusCode::OK, Body::from_stream(frames)).into_response();
    let response_headers = response.headers_mut();
    response_headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response_headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response_headers.append(header::VARY, HeaderValue::from_static("accept"));
    // Proxies must not collect the events.
    response_headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Reads the position of `Last-Event-ID`.
fn read_last_event(headers: &HeaderMap) -> crate::base::Result<Option<i64>> {
    let value = headers.get(LAST_EVENT_ID_HEADER).filter(|value| !value.is_empty());
    value.map(|value| decode_cursor(value.to_str().unwrap_or_default(), LAST_EVENT_ID_HEADER)).transpose()
}

/// Responds to a request that does not start a stream.
fn error_response(error: RequestError, request_id: &str) -> Response {
    graphql_response::error_response(ResponseMediaType::Json, error, request_id, false)
}

/// Request of a stream.
struct StreamRequest {
    request: GraphqlRequest,
    method: axum::http::Method,
    headers: HeaderMap,
    request_info: RequestInfo,
    last_event: Option<i64>,
}

/// Client of a stream.
struct StreamClient {
    place: ConnectionPlace,
    caller: ConnectionCaller,
    abort: Option<ConnectionAbort>,
}

/// Body of a stream. Dropped, the operation ends.
struct EventStreamBody {
    app: Arc<App>,
    client: Arc<Client>,
    queue: ClientQueue,
    caller: ConnectionCaller,
    guard: Option<SubscriptionGuard>,
    checked_at: Instant,
    sent_at: Instant,
    is_complete: bool,
    _place: ConnectionPlace,
    _task: AbortOnDropHandle<()>,
}

/// Next step of a stream.
enum StreamStep {
    Close(CloseReason),
    Output(OperationOutput),
    Timer,
}

impl EventStreamBody {
    /// Starts the operation of a request.
    fn start(app: Arc<App>, request: StreamRequest, stream_client: StreamClient) -> Self {
        let StreamRequest { request, method, headers, request_info, last_event } = request;
        let StreamClient { place, caller, abort } = stream_client;
        let (client, queue) = Client::new(&app.state.config.subscriptions);
        if let Some(abort) = abort {
            client.set_abort(abort);
        }
        place.set_client(&client);
        let operation =
            NewOperation { request, method, headers, request_info, client: Arc::clone(&client), number: 0, last_event };
        let task = tokio::spawn(run_operation(Arc::clone(&app), operation).in_current_span());
        let now = Instant::now();
        Self {
            app,
            client,
            queue,
            caller,
            guard: None,
            checked_at: now,
            sent_at: now,
            is_complete: false,
            _place: place,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Returns the next part of the stream; `None` at its end.
    async fn next_text(&mut self) -> Option<String> {
        if self.is_complete {
            return None;
        }
        let app = Arc::clone(&self.app);
        let config = &app.state.config.subscriptions;
        loop {
            let mut timer = self.sent_at + config.ping_interval;
            if self.caller.token.is_some() {
                timer = timer.min(self.checked_at + config.token_check_interval);
            }
            let step = tokio::select! {
                biased;
                reason = self.client.wait_for_close() => StreamStep::Close(reason),
                // The client that the queue belongs to is kept.
                Some(queued) = self.queue.receive() => StreamStep::Output(queued.output),
                () = tokio::time::sleep_until(timer) => StreamStep::Timer,
            };
            let text = match step {
                StreamStep::Close(reason) => Some(self.close(reason)),
                StreamStep::Output(output) => self.output_text(output).await,
                StreamStep::Timer => self.timer_text().await,
            };
            if let Some(text) = text {
                self.sent_at = Instant::now();
                return Some(text);
            }
        }
    }

    async fn output_text(&mut self, output: OperationOutput) -> Option<String> {
        match output {
            OperationOutput::Started { guard, position } => {
                self.guard = Some(guard);
                // Without data: the browser stores the ID, from which it continues, and dispatches nothing.
                Some(format!(":\nid: {}\n\n", encode_cursor(position)))
            }
            OperationOutput::Event { response, position } => match self.caller.check(&self.app).await {
                Ok(()) => Some(next_text(Some(position), &response)),
                Err(reason) => Some(self.close(reason)),
            },
            OperationOutput::Response(response) => Some(self.complete(next_text(None, &response))),
            OperationOutput::Failed(errors) => {
                Some(self.complete(next_text(None, json!({ "errors": errors }).to_string().as_bytes())))
            }
        }
    }

    async fn timer_text(&mut self) -> Option<String> {
        let config = &self.app.state.config.subscriptions;
        let now = Instant::now();
        let is_check_due = self.caller.token.is_some() && now >= self.checked_at + config.token_check_interval;
        let is_ping_due = now >= self.sent_at + config.ping_interval;
        if is_check_due {
            self.checked_at = now;
            if let Err(reason) = self.caller.check(&self.app).await {
                return Some(self.close(reason));
            }
        }
        is_ping_due.then(|| ":\n\n".to_owned())
    }

    /// Ends the stream. The client reconnects, except without access, for which it gets an error.
    fn close(&mut self, reason: CloseReason) -> String {
        self.is_complete = true;
        self.guard = None;
        if reason != CloseReason::Forbidden {
            return RECONNECT.to_owned();
        }
        let message = "The token has expired or was revoked; sign in again.";
        let error = json!({ "message": message, "extensions": { "code": "UNAUTHENTICATED" } });
        self.complete(next_text(None, json!({ "errors": [error] }).to_string().as_bytes()))
    }

    fn complete(&mut self, mut text: String) -> String {
        self.is_complete = true;
        text.push_str("event: complete\ndata: \n\n");
        text
    }
}

/// Builds a `next` event around a serialized response, which has no line breaks.
fn next_text(position: Option<i64>, response: &[u8]) -> String {
    let response = String::from_utf8_lossy(response);
    let mut text = String::with_capacity(response.len() + 64);
    if let Some(position) = position {
        // Writing to a string does not fail.
        let _ = writeln!(text, "id: {}", encode_cursor(position));
    }
    text.push_str("event: next\ndata: ");
    text.push_str(&response);
    text.push_str("\n\n");
    text
}
