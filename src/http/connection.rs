//! Connection handling: passes requests to the router and closes connections that exceed their timeouts.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    extract::ConnectInfo,
    http::{HeaderValue, Request, StatusCode, Version, header},
    response::Response,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{
    App,
    request_id::create_request_id,
    response_cache::{self, DirectOutcome},
    rest_response,
};
use crate::{base::error::PublicErrorCode, infra::config::ServerConfig};

/// Maximum header and idle timeout of a reserved connection.
const RESERVED_CONNECTION_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval of HTTP/2 keep-alive pings; the response is due within [`PING_TIMEOUT`].
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum number of concurrent streams of an HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
/// Time for the graceful close of a connection after its timeout.
const GRACEFUL_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Context for the requests of a connection.
#[derive(Debug, Clone)]
pub(super) struct HttpConnection {
    pub(super) app: Arc<App>,
    pub(super) router: Router,
    pub(super) peer_address: SocketAddr,
    /// Whether the connection is beyond the limit: it may only send one health check.
    pub(super) is_reserved: bool,
    /// Value of the header Strict-Transport-Security of its responses.
    pub(super) transport_security: Option<HeaderValue>,
}

/// Timeouts for the first and for following requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionTimeouts {
    pub(super) first_request: Duration,
    next_request: Duration,
}

impl ConnectionTimeouts {
    pub(super) fn new(config: &ServerConfig, is_reserved: bool) -> Self {
        let capped = |time: Duration| if is_reserved { time.min(RESERVED_CONNECTION_TIMEOUT) } else { time };
        Self { first_request: capped(config.header_timeout), next_request: capped(config.idle_timeout) }
    }
}

/// Handle for requests that close their connection without waiting for the client, as an extension.
#[derive(Debug, Clone)]
pub(super) struct ConnectionAbort(Arc<Notify>);

impl ConnectionAbort {
    /// Closes the connection.
    pub(super) fn abort(&self) {
        self.0.notify_one();
    }
}

/// Number of active requests of a connection, and since when it is idle.
#[derive(Debug)]
struct ConnectionActivity {
    active_request_count: AtomicUsize,
    has_served_request: AtomicBool,
    idle_since: Mutex<Instant>,
}

impl ConnectionActivity {
    fn new() -> Arc<Self> {
        let (active_request_count, has_served_request) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { active_request_count, has_served_request, idle_since: Mutex::new(Instant::now()) })
    }

    fn begin_request(self: &Arc<Self>) -> ActiveRequest {
        self.active_request_count.fetch_add(1, Ordering::AcqRel);
        self.has_served_request.store(true, Ordering::Release);
        ActiveRequest(Arc::clone(self))
    }

    /// Waits until the connection has been idle longer than its timeout.
    async fn wait_until_overdue(&self, timeouts: &ConnectionTimeouts) {
        loop {
            let timeout = if self.has_served_request.load(Ordering::Acquire) {
                timeouts.next_request
            } else {
                timeouts.first_request
            };
            let is_busy = self.active_request_count.load(Ordering::Acquire) > 0;
            let since =
                if is_busy { Instant::now() } else { *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) };
            if !is_busy && since.elapsed() >= timeout {
                return;
            }
            tokio::time::sleep_until(since + timeout).await;
        }
    }
}

/// Guard of an active request, dropped when the response body is complete.
#[derive(Debug)]
struct ActiveRequest(Arc<ConnectionActivity>);

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.active_request_count.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Why a connection is to be closed. The futures that wait for it are polled when they are woken, not for each request.
enum ConnectionSignal {
    /// A request, or the end of the server, closes it at once.
    Abort,
    /// It was idle too long.
    Overdue,
    /// The server is stopping: the active requests are completed.
    Stop,
}

/// Serves one connection until it is closed. When `stopping` resolves, it closes after the active requests; when `aborted`
/// is canceled, at once.
pub(super) async fn serve_connection(
    connection: HttpConnection,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    timeouts: &ConnectionTimeouts,
    stopping: impl Future<Output = ()> + Send,
    aborted: CancellationToken,
) {
    let activity = ConnectionActivity::new();
    let abort = ConnectionAbort(Arc::default());
    let abort_signal = Arc::clone(&abort.0);
    let mut connection_builder = auto::Builder::new(TokioExecutor::new());
    connection_builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS);
    let tracked_activity = Arc::clone(&activity);
    let connection = Arc::new(connection);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let active_request = tracked_activity.begin_request();
        let (connection, abort) = (Arc::clone(&connection), abort.clone());
        async move {
            let response = connection.handle_request(request, abort).await;
            Ok::<_, Infallible>(response.map(|body| TrackedBody { body, _active_request: active_request }))
        }
    });
    let mut http = pin!(connection_builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut signals = FuturesUnordered::<BoxFuture<'_, ConnectionSignal>>::from_iter([
        abort_signal.notified().map(|()| ConnectionSignal::Abort).boxed(),
        aborted.cancelled_owned().map(|()| ConnectionSignal::Abort).boxed(),
        activity.wait_until_overdue(timeouts).map(|()| ConnectionSignal::Overdue).boxed(),
        stopping.map(|()| ConnectionSignal::Stop).boxed(),
    ]);
    // Connection errors are caused by the client and ignored. A request that has arrived is read before the connection is
    // closed: its client could not know whether it was processed.
    loop {
        tokio::select! {
            biased;
            _ = &mut http => return,
            Some(signal) = signals.next() => match signal {
                ConnectionSignal::Abort => return,
                ConnectionSignal::Overdue => break,
                ConnectionSignal::Stop => http.as_mut().graceful_shutdown(),
            },
        }
    }
    http.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GRACEFUL_CLOSE_TIMEOUT, http).await;
}

impl HttpConnection {
    async fn handle_request(&self, request: Request<Incoming>, abort: ConnectionAbort) -> Response {
        let is_http1 = request.version() <= Version::HTTP_11;
        let mut response = if self.is_reserved && !request.uri().path().starts_with("/health") {
            connection_limit_response()
        } else {
            match response_cache::answer_from_cache(&self.app, request, self.peer_address) {
                DirectOutcome::Hit(response) => response,
                DirectOutcome::Miss(request) => self.route_request(request, abort).await,
            }
        };
        let closes_connection = self.is_reserved
            || self.app.is_stopping.load(Ordering::Relaxed)
            // The rest of the request body is still being received.
            || response.status() == StatusCode::REQUEST_TIMEOUT;
        if is_http1 && closes_connection {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(value) = &self.transport_security {
            response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value.clone());
        }
        response
    }

    async fn route_request(&self, mut request: Request<Body>, abort: ConnectionAbort) -> Response {
        request.extensions_mut().insert(abort);
        request.extensions_mut().insert(ConnectInfo(self.peer_address));
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Creates the 503 response for the connection limit.
fn connection_limit_response() -> Response {
    let request_id = create_request_id();
    let message = "The shop has too many connections at the moment; please try again in a few seconds.";
    let mut response = rest_response::error_response(
        StatusCode::SERVICE_UNAVAILABLE,
        &request_id,
        PublicErrorCode::Unavailable.as_str(),
        message,
    );
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Response body that keeps its request active until it is complete.
struct TrackedBody {
    body: Body,
    _active_request: ActiveRequest,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
