//! PostgreSQL connections: pools for reads and writes, limits of statements, locks and idle transactions, detection of
//! dead connections.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, Database};
use secrecy::ExposeSecret;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Semaphore;

use super::{Connections, ReadConnections, resolve_connection_count};
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
    let readers = resolve_connection_count(config);
    let writers = writer_count(readers);
    let connect = async |count, settings| {
        let pool = Database::connect(pool_options(config, count, settings, &loss)).await;
        pool.map_err(|error| format!("cannot reach the database at {}: {error}", config.location()))
    };
    let (pool, writer) = (connect(readers, &[][..]).await?, connect(writers, &WRITER_SETTINGS).await?);
    Ok(Connections {
        readers: ReadConnections::Pooled { pool, loss },
        writer,
        write_permits: Arc::new(Semaphore::new(usize::try_from(writers).unwrap_or(usize::MAX))),
        acquire_timeout: config.acquire_timeout,
    })
}

/// Statements of transactions must use an index whatever the statistics are: they are planned once per connection,
/// possibly while a table was empty and a sequential scan was free. PostgreSQL also caches the plans of foreign keys
/// and triggers, so the setting must apply to the whole connection.
const WRITER_SETTINGS: [(&str, &str); 2] = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];

fn pool_options(
    config: &DatabaseConfig,
    count: u32,
    settings: &'static [(&'static str, &'static str)],
    loss: &Arc<ConnectionLoss>,
) -> ConnectOptions {
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
    let mut options = ConnectOptions::new(config.url.expose_secret());
    options
        .max_connections(count)
        .acquire_timeout(config.acquire_timeout)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        // A ping before each use would cost a round trip per statement.
        .test_before_acquire(false)
        .map_sqlx_postgres_opts(move |options| {
            options.options(session_settings.clone()).options(settings.iter().copied())
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

/// Returns the number of write connections for a number of read connections: about two thirds.
fn writer_count(connections: u32) -> u32 {
    connections - connections / 3
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
    fn writer_count_is_two_thirds_of_reader_count() {
        assert_eq!([1, 2, 3, 4, 6, 10, 12].map(writer_count), [1, 2, 2, 3, 4, 7, 8]);
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
