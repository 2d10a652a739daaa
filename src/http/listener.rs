//! Accept loop: connection limit, TLS and graceful shutdown.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::HeaderValue};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{
    App,
    connection::{self, ConnectionTimeouts, HttpConnection},
    subscription::dispatch_events,
    tls::TlsCertificates,
};
use crate::infra::{Config, config::ServerConfig};

/// Connections beyond the limit: they get health checks answered, else 503, so that load balancers and monitoring get
/// a response while the server is at its limit.
const RESERVED_CONNECTIONS: usize = 32;
/// File descriptors reserved for other uses: database, logs, outgoing requests.
const OTHER_OPEN_FILES: usize = 100;
/// How long a stopping server still accepts connections and requests that have arrived but were not read yet.
const ACCEPT_AFTER_STOP: Duration = Duration::from_millis(100);
/// Maximum number of established connections that wait to be accepted.
const LISTEN_BACKLOG: usize = 1024;
/// Time for the connections of live updates to close.
const LIVE_CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Delay before the next `accept` after a system error.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// The socket of the server and what its connections use for TLS.
#[derive(Debug)]
pub struct ServerListener {
    socket: TcpListener,
    tls: Option<Arc<TlsCertificates>>,
}

impl ServerListener {
    /// Creates a listener; without certificates it serves plain HTTP.
    #[must_use]
    pub fn new(socket: TcpListener, tls: Option<Arc<TlsCertificates>>) -> Self {
        Self { socket, tls }
    }
}

/// Permit for one connection.
#[derive(Debug)]
enum ConnectionSlot {
    Regular(OwnedSemaphorePermit),
    Reserved(OwnedSemaphorePermit),
}

/// Serves connections until `shutdown` is canceled, then lets running requests finish and returns when the last
/// connection is closed. Dropping the future closes all connections immediately.
pub async fn serve_connections(listener: ServerListener, app: Arc<App>, router: Router, shutdown: CancellationToken) {
    let ServerListener { socket, tls } = listener;
    let config = &app.state.config.server;
    let transport_security = transport_security_header(config);
    let regular_permits = Arc::new(Semaphore::new(effective_connection_limit(config.max_connections)));
    let reserved_permits = Arc::new(Semaphore::new(RESERVED_CONNECTIONS));
    let connections = TaskTracker::new();
    let aborted = CancellationToken::new();
    let _abort_on_drop = aborted.clone().drop_guard();
    let _dispatcher = AbortOnDropHandle::new(tokio::spawn(dispatch_events(Arc::clone(&app))));
    let mut stop_wait = std::pin::pin!(wait_after_shutdown(shutdown.clone(), ACCEPT_AFTER_STOP));
    // Of connections that the system has established, but that were not accepted when the server stopped.
    let mut remaining: Option<usize> = None;
    loop {
        let next_connection = async {
            let (stream, peer_address) = accept_connection(&socket).await;
            (stream, peer_address, acquire_connection_slot(&regular_permits, &reserved_permits).await)
        };
        let (stream, peer_address, slot) = tokio::select! {
            biased;
            () = &mut stop_wait, if remaining.is_none() => {
                remaining = Some(LISTEN_BACKLOG);
                continue;
            }
            next_connection = next_connection, if remaining != Some(0) => next_connection,
            () = std::future::ready(()), if remaining.is_some() => break,
        };
        remaining = remaining.map(|count| count - 1);
        let (is_reserved, permit) = match slot {
            ConnectionSlot::Regular(permit) => (false, permit),
            ConnectionSlot::Reserved(permit) => (true, permit),
        };
        let connection = HttpConnection {
            app: Arc::clone(&app),
            router: router.clone(),
            peer_address,
            is_reserved,
            transport_security: transport_security.clone(),
        };
        let timeouts = ConnectionTimeouts::new(config, is_reserved);
        let connection_stop = wait_after_shutdown(shutdown.clone(), ACCEPT_AFTER_STOP * 2);
        let (tls, aborted) = (tls.clone(), aborted.clone());
        connections.spawn(async move {
            match tls {
                None => connection::serve_connection(connection, stream, &timeouts, connection_stop, aborted).await,
                // On the heap, so that connections without TLS do not need its memory.
                Some(tls) => {
                    let served = async {
                        let mut connection_stop = std::pin::pin!(connection_stop);
                        let accepted = tls.accept(stream, timeouts.first_request, &mut connection_stop);
                        let Some(Some(stream)) = aborted.run_until_cancelled(accepted).await else { return };
                        connection::serve_connection(connection, stream, &timeouts, connection_stop, aborted.clone())
                            .await;
                    };
                    Box::pin(served).await;
                }
            }
            drop(permit);
        });
    }
    // No new connections are accepted from here on.
    drop(socket);
    connections.close();
    // Clients of live updates reconnect elsewhere; the stop does not wait for those that do not answer.
    let _ = tokio::time::timeout(LIVE_CLOSE_TIMEOUT, app.subscriptions.close_connections()).await;
    connections.wait().await;
}

/// Returns the value of the header Strict-Transport-Security; `None` if it is not sent.
fn transport_security_header(config: &ServerConfig) -> Option<HeaderValue> {
    let max_age = config.hsts_max_age.as_secs();
    let is_sent = max_age > 0 && config.tls_files().is_some();
    is_sent.then(|| HeaderValue::from_str(&format!("max-age={max_age}")).ok()).flatten()
}

/// Waits until `shutdown` is canceled, and then for `delay`.
async fn wait_after_shutdown(shutdown: CancellationToken, delay: Duration) {
    shutdown.cancelled().await;
    tokio::time::sleep(delay).await;
}

async fn accept_connection(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer_address)) => {
                // Sends small responses without delay. An error here occurs again on the first write.
                let _ = stream.set_nodelay(true);
                return (stream, peer_address);
            }
            Err(error) if is_single_connection_error(&error) => {}
            Err(error) => {
                tracing::error!(error = %error, "could not accept connection");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
            }
        }
    }
}

/// Returns whether an `accept` error affects only that connection.
fn is_single_connection_error(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Acquires a slot for a connection; waits if neither a regular nor a reserved slot is free.
async fn acquire_connection_slot(
    regular_permits: &Arc<Semaphore>,
    reserved_permits: &Arc<Semaphore>,
) -> ConnectionSlot {
    let (regular_permits, reserved_permits) = (Arc::clone(regular_permits), Arc::clone(reserved_permits));
    tokio::select! {
        biased;
        Ok(permit) = regular_permits.acquire_owned() => ConnectionSlot::Regular(permit),
        Ok(permit) = reserved_permits.acquire_owned() => ConnectionSlot::Reserved(permit),
        // Neither semaphore is ever closed.
        else => std::future::pending().await,
    }
}

/// Returns the configured limit, lowered to what the open file limit allows.
fn effective_connection_limit(configured: usize) -> usize {
    let Some(open_files) = open_file_limit() else { return configured };
    let max_connections = open_files.saturating_sub(RESERVED_CONNECTIONS + OTHER_OPEN_FILES).max(1);
    if max_connections < configured {
        tracing::warn!(
            max_connections = max_connections,
            open_files = open_files,
            "server.max_connections lowered to fit the open file limit (ulimit -n)"
        );
    }
    configured.min(max_connections)
}

/// Returns the configured limit of connections with live updates, lowered to what the open file limit leaves after the
/// other connections.
pub(super) fn live_connection_limit(config: &Config) -> usize {
    let configured = config.subscriptions.max_connections;
    let Some(open_files) = open_file_limit() else { return configured };
    let other_files = config.server.max_connections.min(open_files / 2) + RESERVED_CONNECTIONS + OTHER_OPEN_FILES;
    let max_connections = open_files.saturating_sub(other_files).max(1);
    if max_connections < configured {
        tracing::info!(
            max_connections,
            open_files,
            "subscriptions.max_connections lowered to fit the open file limit (ulimit -n)"
        );
    }
    configured.min(max_connections)
}

/// Returns the open file limit of the process, if available.
fn open_file_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit_line = limits.lines().find_map(|limit_line| limit_line.strip_prefix("Max open files"))?;
    limit_line.split_whitespace().next()?.parse().ok()
}
