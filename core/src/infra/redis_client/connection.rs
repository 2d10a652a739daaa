//! The connection to Redis and its circuit breaker.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use redis::{AsyncConnectionConfig, ErrorKind, ServerErrorKind, aio::MultiplexedConnection};
use secrecy::ExposeSecret;

use super::{RedisResult, RedisUnavailable};
use crate::infra::config::RedisConfig;

/// The minimum timeout of a connection attempt, which no request waits for.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The minimum time between two warnings about rejected commands.
const REJECTION_WARNING_INTERVAL: Duration = Duration::from_mins(1);

/// A Redis server with at most one connection, on which concurrent commands are pipelined.
#[derive(Debug)]
pub(super) struct RedisServer {
    client: redis::Client,
    prefix: String,
    timeout: Duration,
    retry_delay: Duration,
    /// The connection; `None` while the server is unavailable.
    connection: ArcSwapOption<MultiplexedConnection>,
    last_rejection_warning: Mutex<Option<Instant>>,
}

impl RedisServer {
    /// Creates the server and tries to connect once; further attempts are made in the background.
    pub(super) async fn connect(config: &RedisConfig, prefix: String) -> Result<Arc<Self>, String> {
        // The error would show the URL.
        let client = redis::Client::open(config.url.expose_secret()).map_err(|_| "REDIS_URL is invalid".to_owned())?;
        let server = Arc::new(Self {
            client,
            prefix,
            timeout: config.timeout(),
            retry_delay: config.retry_delay(),
            connection: ArcSwapOption::empty(),
            last_rejection_warning: Mutex::new(None),
        });
        if let Err(reason) = server.try_connect().await {
            server.warn_unavailable(&reason);
            server.spawn_reconnect();
        }
        Ok(server)
    }

    /// Returns whether there is a connection.
    pub(super) fn is_available(&self) -> bool {
        self.connection.load().is_some()
    }

    /// Adds the prefix of the database.
    pub(super) fn prefixed(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Returns the timeout of a connection attempt.
    fn connect_timeout(&self) -> Duration {
        self.timeout.max(MIN_CONNECT_TIMEOUT)
    }

    /// Runs a command. If it fails in a way that concerns the server or the connection, all calls fail until the
    /// background task has reconnected.
    pub(super) async fn run<T>(
        self: &Arc<Self>,
        command: impl AsyncFnOnce(&mut MultiplexedConnection) -> redis::RedisResult<T>,
    ) -> RedisResult<T> {
        let Some(connection) = self.connection.load_full() else { return Err(RedisUnavailable) };
        let mut pipelined_connection = MultiplexedConnection::clone(&connection);
        match tokio::time::timeout(self.timeout, command(&mut pipelined_connection)).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) if is_rejection(&error) => self.warn_rejection(&error),
            Ok(Err(error)) => self.disconnect(&connection, &error.to_string()),
            Err(_) => self.disconnect(&connection, &self.timeout_message()),
        }
        Err(RedisUnavailable)
    }

    /// Opens the circuit breaker, unless another failure of the same connection has.
    fn disconnect(self: &Arc<Self>, failed_connection: &Arc<MultiplexedConnection>, reason: &str) {
        let previous = self.connection.compare_and_swap(failed_connection, None);
        if previous.as_ref().is_some_and(|previous| Arc::ptr_eq(previous, failed_connection)) {
            self.warn_unavailable(reason);
            self.spawn_reconnect();
        }
    }

    /// Reconnects in the background; ends when the client is dropped.
    fn spawn_reconnect(self: &Arc<Self>) {
        tokio::spawn(reconnect(Arc::downgrade(self), self.retry_delay));
    }

    /// Connects and sends a PING with the timeout of a command, so that a slow server stays unavailable.
    async fn try_connect(&self) -> Result<(), String> {
        let options = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&options);
        let connecting = tokio::time::timeout(self.connect_timeout(), connecting).await;
        let mut connection = connecting
            .map_err(|_| format!("no connection within {} ms", self.connect_timeout().as_millis()))?
            .map_err(|error| error.to_string())?;
        let ping_command = redis::cmd("PING");
        let ping = tokio::time::timeout(self.timeout, ping_command.query_async::<String>(&mut connection)).await;
        let response = ping.map_err(|_| self.timeout_message())?.map_err(|error| error.to_string())?;
        if response != "PONG" {
            return Err("the response to PING is invalid".to_owned());
        }
        self.connection.store(Some(Arc::new(connection)));
        Ok(())
    }

    fn timeout_message(&self) -> String {
        format!("no response within {} ms", self.timeout.as_millis())
    }

    fn warn_unavailable(&self, reason: &str) {
        let address = self.client.get_connection_info().addr();
        tracing::warn!(%address, reason, "Redis is unavailable: continuing without it");
    }

    /// Logs a rejected command, at most once per interval.
    fn warn_rejection(&self, error: &redis::RedisError) {
        let mut last_warning = self.last_rejection_warning.lock().unwrap_or_else(PoisonError::into_inner);
        if last_warning.is_none_or(|warned_at| warned_at.elapsed() >= REJECTION_WARNING_INTERVAL) {
            *last_warning = Some(Instant::now());
            tracing::warn!(%error, "Redis rejected a command");
        }
    }
}

/// Connects until it succeeds.
async fn reconnect(server: Weak<RedisServer>, retry_delay: Duration) {
    loop {
        tokio::time::sleep(retry_delay).await;
        let Some(server) = server.upgrade() else { return };
        match server.try_connect().await {
            Ok(()) => {
                tracing::info!(address = %server.client.get_connection_info().addr(), "Redis is available again");
                return;
            }
            Err(reason) => tracing::debug!(reason, "Redis is still unavailable"),
        }
    }
}

/// Returns whether the server is usable and rejected only this command, for example because its memory is full.
fn is_rejection(error: &redis::RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(
            ServerErrorKind::BusyLoading
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly
            | ServerErrorKind::Moved,
        ) => false,
        ErrorKind::Server(_) => true,
        // Codes that the library does not know.
        ErrorKind::Extension => error.code() != Some("NOAUTH"),
        _ => false,
    }
}
