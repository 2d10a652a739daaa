//! One connection: its requests go to the router, and it ends when it lets the server wait for too long.

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
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{net::TcpStream, time::Instant};
use tower::ServiceExt;
use uuid::Uuid;

use super::{App, envelope};
use crate::{base::error::Code, infra::config::ServerConfig};

/// How long a connection of the reserve may take for the head of its request.
const RESERVED_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the other end of an HTTP/2 connection is asked whether it is still there, and how long it has to answer.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How many requests one HTTP/2 connection may have under way.
const MAX_STREAMS: u32 = 100;
/// How long a connection whose time is over may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// What a connection's requests are answered with.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) app: Arc<App>,
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    /// It is beyond the limit: it is answered one health check.
    pub(super) reserved: bool,
}

/// How long a connection may let the server wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    first_request: Duration,
    next_request: Duration,
}

impl Limits {
    pub(super) fn new(config: &ServerConfig, reserved: bool) -> Self {
        let limit = |time: Duration| if reserved { time.min(RESERVED_TIMEOUT) } else { time };
        Self { first_request: limit(config.header_timeout), next_request: limit(config.idle_timeout) }
    }
}

/// Whether a connection has requests under way, and since when it has none.
#[derive(Debug)]
struct Activity {
    under_way: AtomicUsize,
    served: AtomicBool,
    idle_since: Mutex<Instant>,
}

impl Activity {
    fn new() -> Arc<Self> {
        let (under_way, served) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { under_way, served, idle_since: Mutex::new(Instant::now()) })
    }

    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        self.served.store(true, Ordering::Release);
        UnderWay(Arc::clone(self))
    }

    /// Until the connection has let the server wait for longer than it may.
    async fn until_overdue(&self, limits: &Limits) {
        loop {
            let limit = if self.served.load(Ordering::Acquire) { limits.next_request } else { limits.first_request };
            let busy = self.under_way.load(Ordering::Acquire) > 0;
            let since =
                if busy { Instant::now() } else { *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) };
            if !busy && since.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(since + limit).await;
        }
    }
}

/// A request that is under way, until the last of its answer is handed over.
#[derive(Debug)]
struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves one connection to its end. Once `stopping` is over, it ends after the requests that are under way.
pub(super) async fn run(
    connection: Connection,
    stream: TcpStream,
    limits: &Limits,
    stopping: impl Future<Output = ()>,
) {
    // Small answers go out at once. What fails here fails again when it is written.
    let _ = stream.set_nodelay(true);
    let activity = Activity::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS);
    let tracked = Arc::clone(&activity);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let under_way = tracked.begin();
        let connection = connection.clone();
        async move {
            let answer = connection.answer(request.map(Body::new)).await;
            Ok::<_, Infallible>(answer.map(|body| Body::new(TrackedBody { body, _under_way: under_way })))
        }
    });
    let mut http = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    // How it ends, broken connections included, is the caller's affair.
    let (mut overdue, mut stopping) = (pin!(activity.until_overdue(limits)), pin!(stopping));
    tokio::select! {
        _ = &mut http => return,
        () = &mut overdue => {}
        () = &mut stopping => {
            http.as_mut().graceful_shutdown();
            tokio::select! {
                _ = &mut http => return,
                () = &mut overdue => {}
            }
        }
    }
    http.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(GOODBYE, http).await;
}

impl Connection {
    async fn answer(self, mut request: Request<Body>) -> Response {
        let http1 = request.version() <= Version::HTTP_11;
        let mut answer = if self.reserved && !request.uri().path().starts_with("/health") {
            full()
        } else {
            request.extensions_mut().insert(ConnectInfo(self.peer));
            match self.router.oneshot(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            }
        };
        let ends = self.reserved
            || self.app.stopping.load(Ordering::Relaxed)
            // The rest of its body is still on the way.
            || answer.status() == StatusCode::REQUEST_TIMEOUT;
        if http1 && ends {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// The server has as many connections as it may.
fn full() -> Response {
    let id = Uuid::now_v7().simple().to_string();
    let message = "The shop has too many connections just now; please try again in a few seconds.";
    let mut answer = envelope::error(StatusCode::SERVICE_UNAVAILABLE, &id, Code::Unavailable.as_str(), message);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// A body that keeps its request under way until it has been handed over.
struct TrackedBody {
    body: Body,
    _under_way: UnderWay,
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
