//! Opening PostgreSQL: a pool for reads and one for writes, limits on statements, locks and idle transactions, and dead connections found out.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, Database};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::Semaphore;

use super::{Connections, Readers, connection_count, place};
use crate::infra::config::DatabaseConfig;

/// How long a connection may be idle before it is tested once before its next use.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);

/// When a connection was last found to be lost. Others that have been idle since before then may be dead as well.
#[derive(Debug, Default)]
pub(super) struct ConnectionLoss(Mutex<Option<Instant>>);

impl ConnectionLoss {
    /// Remembers that a connection was lost just now.
    pub(super) fn note(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(Instant::now());
    }

    /// Whether a connection that has been idle for so long may be dead.
    fn concerns(&self, idle_for: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|lost| lost.elapsed() <= idle_for)
    }
}

pub(super) async fn open(config: &DatabaseConfig) -> Result<Connections, String> {
    test_connection(config).await?;
    let loss = Arc::new(ConnectionLoss::default());
    let readers = connection_count(config);
    let writers = writers_of(readers);
    let connect = async |count, settings| {
        let pool = Database::connect(pool(config, count, settings, &loss)).await;
        pool.map_err(|why| format!("cannot reach the database at {}: {why}", place(&config.url)))
    };
    let (pool, writer) = (connect(readers, &[][..]).await?, connect(writers, &WRITER_SETTINGS).await?);
    Ok(Connections {
        readers: Readers::Pooled { pool, loss },
        writer,
        write_permits: Arc::new(Semaphore::new(usize::try_from(writers).unwrap_or(usize::MAX))),
        acquire_timeout: config.acquire_timeout,
    })
}

/// What a transaction asks for is found by an index, whatever the statistics say: its statements are planned once for each
/// connection, also when that was while a table was empty and a scan of all of it cost nothing. PostgreSQL keeps the plans
/// of foreign keys and triggers in the same way, so this has to hold for the whole connection.
const WRITER_SETTINGS: [(&str, &str); 2] = [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off")];

fn pool(
    config: &DatabaseConfig,
    count: u32,
    settings: &'static [(&'static str, &'static str)],
    loss: &Arc<ConnectionLoss>,
) -> ConnectOptions {
    let millis = |limit: Duration| limit.as_millis().to_string();
    let session = [
        // Statements are short and many at once: none is worth compiling, nor a process of its own beside this one's,
        // which made searches in a large shop ten times slower.
        ("jit", "off".to_owned()),
        ("max_parallel_workers_per_gather", "0".to_owned()),
        // That a table is there already is no news.
        ("client_min_messages", "warning".to_owned()),
        // 0 is none.
        ("statement_timeout", millis(config.statement_timeout)),
        ("lock_timeout", millis(config.lock_timeout)),
        ("idle_in_transaction_session_timeout", millis(config.idle_transaction_timeout)),
    ];
    let loss = Arc::clone(loss);
    let mut options = ConnectOptions::new(&config.url);
    options
        .max_connections(count)
        .acquire_timeout(config.acquire_timeout)
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        // A ping before each use would cost a round trip a statement.
        .test_before_acquire(false)
        .map_sqlx_postgres_opts(move |options| options.options(session.clone()).options(settings.iter().copied()))
        .map_sqlx_postgres_pool_opts(move |pool| {
            let loss = Arc::clone(&loss);
            pool.before_acquire(move |connection, about| {
                let suspect = about.idle_for > PING_AFTER_IDLE || loss.concerns(about.idle_for);
                // One that does not answer is closed, and the next one is taken.
                Box::pin(async move { Ok(!suspect || connection.ping().await.is_ok()) })
            })
        });
    options
}

/// How many connections write, beside so many that read: about two thirds.
fn writers_of(connections: u32) -> u32 {
    connections - connections / 3
}

/// Opens one connection before there is a pool: a pool tries again and again where nobody listens, and then can only say
/// that it took too long.
async fn test_connection(config: &DatabaseConfig) -> Result<(), String> {
    let options = sqlx::postgres::PgConnectOptions::from_str(&config.url).map_err(|_| {
        "DATABASE_URL is not one that PostgreSQL understands; write postgres://USER:PASSWORD@HOST:PORT/NAME".to_owned()
    })?;
    let outcome = tokio::time::timeout(config.acquire_timeout, options.connect()).await;
    let failed = match outcome {
        // It has said all it had to say; whether it says goodbye does not matter.
        Ok(Ok(connection)) => return connection.close().await.or(Ok(())),
        Ok(Err(why)) => why.to_string(),
        Err(_) => "it does not answer".to_owned(),
    };
    Err(format!("cannot reach the database at {}: {failed}", place(&config.url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_are_two_thirds_of_readers() {
        assert_eq!([1, 2, 3, 4, 6, 10, 12].map(writers_of), [1, 2, 2, 3, 4, 7, 8]);
    }

    #[test]
    fn connections_idle_since_before_a_loss_are_suspect() {
        let loss = ConnectionLoss::default();
        assert!(!loss.concerns(Duration::from_hours(1)));
        loss.note();
        assert!(loss.concerns(Duration::from_hours(1)));
        assert!(!loss.concerns(Duration::ZERO));
    }
}
