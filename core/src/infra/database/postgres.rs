//! PostgreSQL connections: pools for reads and writes, limits of statements, locks and idle transactions, detection of
//! dead connections.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, Database};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Semaphore;

use super::{Connections, ReadConnections, pool_usage::ConnectionDemand, resolve_connection_count};
use crate::infra::config::DatabaseConfig;

/// The idle time after which a connection is tested before its next use.
const PING_AFTER_IDLE_FOR: Duration = Duration::from_secs(30);

/// The time of the last lost connection. Connections that have been idle since before it may be dead as well.
#[derive(Debug, Default)]
pub(super) struct ConnectionLoss(Mutex<Option<Instant>>);

impl ConnectionLoss {
    /// Records that a connection was lost now.
    pub(super) fn record(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
    }

    /// Returns whether a connection that has been idle for `idle_for` may be dead.
    fn may_affect(&self, idle_for: Duration) -> bool {
        let last_loss = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last_loss.is_some_and(|lost_at| lost_at.elapsed() <= idle_for)
    }
}

pub(super) async fn connect_postgres(config: &DatabaseConfig) -> Result<Connections, String> {
    test_connection(config).await?;
    let loss = Arc::new(ConnectionLoss::default());
    let reader_count = resolve_connection_count(config);
    let writer_count = resolve_writer_count(config.max_write_connections, reader_count);
    let connect = async |settings| {
        let pool = Database::connect(pool_options(config, settings, &loss)).await;
        pool.map_err(|error| format!("cannot reach the database at {}: {error}", config.location()))
    };
    let pool = connect(PoolSettings::of_primary(config, reader_count, &[])).await?;
    let writer = connect(PoolSettings::of_primary(config, writer_count, &WRITER_SETTINGS)).await?;
    let write_limit = usize::try_from(writer_count).unwrap_or(usize::MAX);
    Ok(Connections {
        readers: ReadConnections::Pooled { pool, loss },
        writer,
        replica: OnceLock::new(),
        write_permits: Arc::new(Semaphore::new(write_limit)),
        write_limit,
        acquire_timeout: config.acquire_timeout,
        demand: ConnectionDemand::default(),
    })
}

/// What differs between the pools.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolSettings<'a> {
    url: &'a SecretString,
    max_connections: u32,
    min_connections: u32,
    acquire_timeout: Duration,
    /// Settings of the sessions, in addition to those of all pools.
    session_settings: &'static [(&'static str, &'static str)],
    /// Connects when the first connection is needed.
    is_lazy: bool,
}

impl<'a> PoolSettings<'a> {
    /// Settings of a pool of the primary.
    fn of_primary(
        config: &'a DatabaseConfig,
        max_connections: u32,
        session_settings: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            url: &config.url,
            max_connections,
            min_connections: config.min_connections.min(max_connections),
            acquire_timeout: config.acquire_timeout,
            session_settings,
            is_lazy: false,
        }
    }

    /// Settings of the pool of the replica.
    pub(super) fn of_replica(config: &'a DatabaseConfig, acquire_timeout: Duration) -> Self {
        let max_connections = match config.replica_max_connections {
            0 => resolve_connection_count(config),
            count => count,
        };
        let (url, min_connections) = (&config.replica_url, config.min_connections.min(max_connections));
        Self { url, max_connections, min_connections, acquire_timeout, session_settings: &[], is_lazy: true }
    }

    /// Settings of the single connection that polls a server.
    pub(super) fn of_monitor(url: &'a SecretString, acquire_timeout: Duration) -> Self {
        let (max_connections, min_connections) = (1, 0);
        Self { url, max_connections, min_connections, acquire_timeout, session_settings: &[], is_lazy: true }
    }
}

/// Statements of transactions must use an index whatever the statistics are: they are planned once per connection,
/// possibly while a table was empty and a sequential scan was free. PostgreSQL also caches the plans of foreign keys
/// and triggers, so the setting must apply to the whole connection.
const WRITER_SETTINGS: [(&str, &str); 2] = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];

pub(super) fn pool_options(
    config: &DatabaseConfig,
    pool_settings: PoolSettings<'_>,
    loss: &Arc<ConnectionLoss>,
) -> ConnectOptions {
    let PoolSettings {
        url,
        max_connections,
        min_connections,
        acquire_timeout,
        session_settings: own_settings,
        is_lazy,
    } = pool_settings;
    let to_millis = |limit: Duration| limit.as_millis().to_string();
    let session_settings = [
        // Statements are short and concurrent: JIT compilation and parallel workers made searches in a large catalog
        // ten times slower.
        ("jit", "off".to_owned()),
        ("max_parallel_workers_per_gather", "0".to_owned()),
        // Suppresses notices such as "relation already exists".
        ("client_min_messages", "warning".to_owned()),
        // 0 means no limit.
        ("statement_timeout", to_millis(config.statement_timeout)),
        ("lock_timeout", to_millis(config.lock_timeout)),
        ("idle_in_transaction_session_timeout", to_millis(config.idle_transaction_timeout)),
    ];
    let loss = Arc::clone(loss);
    let mut options = ConnectOptions::new(url.expose_secret());
    options
        .max_connections(max_connections)
        .min_connections(min_connections)
        .acquire_timeout(acquire_timeout)
        .connect_lazy(is_lazy)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        // A ping before each use would cost a round trip per statement.
        .test_before_acquire(false)
        .map_sqlx_postgres_opts(move |options| {
            options.options(session_settings.clone()).options(own_settings.iter().copied())
        })
        .map_sqlx_postgres_pool_opts(move |pool| {
            let loss = Arc::clone(&loss);
            pool.before_acquire(move |connection, metadata| {
                let is_suspect = metadata.idle_for > PING_AFTER_IDLE_FOR || loss.may_affect(metadata.idle_for);
                // A connection that does not answer is closed, and the next one is used.
                Box::pin(async move { Ok(!is_suspect || connection.ping().await.is_ok()) })
            })
        });
    options
}

/// Returns the number of write connections: the configured one, or about two thirds of the read connections.
fn resolve_writer_count(configured: u32, reader_count: u32) -> u32 {
    if configured == 0 { reader_count - reader_count / 3 } else { configured }
}

/// Tests one connection before the pool is created: a pool would retry until its timeout and report only that.
async fn test_connection(config: &DatabaseConfig) -> Result<(), String> {
    let options = sqlx::postgres::PgConnectOptions::from_str(config.url.expose_secret()).map_err(|_| {
        "DATABASE_URL is not a valid PostgreSQL URL; write postgres://USER:PASSWORD@HOST:PORT/NAME".to_owned()
    })?;
    let outcome = tokio::time::timeout(config.acquire_timeout, options.connect()).await;
    let reason = match outcome {
        // The connection works; an error on closing it is irrelevant.
        Ok(Ok(connection)) => return connection.close().await.or(Ok(())),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it does not respond".to_owned(),
    };
    Err(format!("cannot reach the database at {}: {reason}", config.location()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writer_count_is_two_thirds_of_reader_count_unless_it_is_configured() {
        let counts = [1, 2, 3, 4, 6, 10, 12].map(|reader_count| resolve_writer_count(0, reader_count));
        assert_eq!(counts, [1, 2, 2, 3, 4, 7, 8]);
        assert_eq!(resolve_writer_count(5, 4), 5);
    }

    #[test]
    fn connection_idle_since_before_a_loss_is_suspect() {
        let loss = ConnectionLoss::default();
        assert!(!loss.may_affect(Duration::from_hours(1)));
        loss.record();
        assert!(loss.may_affect(Duration::from_hours(1)));
        assert!(!loss.may_affect(Duration::ZERO));
    }
}
