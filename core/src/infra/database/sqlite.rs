//! SQLite connections: one writer, several readers, and interruption of statements that time out or are canceled.

use std::{
    collections::VecDeque,
    ops::Deref,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnAcquireErr, DatabaseConnection, DbErr, SqlxSqliteConnector};
use secrecy::ExposeSecret;
use sqlx::{
    ConnectOptions as _, Connection as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Connections, ReadConnections, pool_usage::ConnectionDemand};
use crate::infra::{config::DatabaseConfig, private_files};

/// The time that a command waits for another process's write; a server waits for the lock timeout.
const COMMAND_BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// The delay before a locked database is opened again.
const LOCKED_RETRY_DELAY: Duration = Duration::from_millis(10);
/// The result code of SQLite for a locked database, and the bits of an extended result code that hold it.
const SQLITE_BUSY: i32 = 5;
const PRIMARY_CODE_MASK: i32 = 0xff;
/// The number of SQLite VM instructions between two deadline checks: well below a millisecond.
const INSTRUCTIONS_PER_DEADLINE_CHECK: i32 = 10_000;

/// The deadline of a connection's current statement.
#[derive(Debug)]
pub(super) struct StatementDeadline {
    started_at: Instant,
    limit: Option<Duration>,
    /// Microseconds after `started_at`.
    deadline_micros: AtomicU64,
}

impl StatementDeadline {
    /// Creates a deadline; a zero `limit` means no limit.
    fn new(limit: Duration) -> Self {
        let limit = (!limit.is_zero()).then_some(limit);
        Self { started_at: Instant::now(), limit, deadline_micros: AtomicU64::new(u64::MAX) }
    }

    /// Sets the deadline of a statement that starts now.
    pub(super) fn start_statement(&self) {
        let deadline_micros = self.limit.map_or(u64::MAX, |limit| to_micros(self.started_at.elapsed() + limit));
        self.deadline_micros.store(deadline_micros, Ordering::Relaxed);
    }

    /// Interrupts the running statement, whose result is no longer needed.
    fn interrupt(&self) {
        self.deadline_micros.store(0, Ordering::Relaxed);
    }

    fn is_expired(&self) -> bool {
        to_micros(self.started_at.elapsed()) >= self.deadline_micros.load(Ordering::Relaxed)
    }
}

fn to_micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The pool of read connections: each is a pool of one, so that each has its own deadline.
#[derive(Debug)]
pub(super) struct SqliteReaderPool {
    connections: Vec<DatabaseConnection>,
    /// The indexes of free connections, least recently used first.
    free_indexes: Mutex<VecDeque<usize>>,
    permits: Semaphore,
    acquire_timeout: Duration,
}

/// A connection for one read; dropping it returns it to the pool.
pub(super) struct SqliteReader<'a> {
    pool: &'a SqliteReaderPool,
    index: usize,
    _permit: SemaphorePermit<'a>,
}

impl SqliteReaderPool {
    fn new(connections: Vec<DatabaseConnection>, acquire_timeout: Duration) -> Self {
        let free_indexes = (0..connections.len()).collect();
        let permits = Semaphore::new(connections.len());
        Self { connections, free_indexes: Mutex::new(free_indexes), permits, acquire_timeout }
    }

    pub(super) async fn acquire(&self) -> Result<SqliteReader<'_>, DbErr> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(self.acquire_timeout, self.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
                Err(_) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
            },
        };
        let index = self.free_indexes.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        // There are as many permits as connections.
        let index = index.ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        Ok(SqliteReader { pool: self, index, _permit: permit })
    }

    /// Returns the number of connections.
    pub(super) fn limit(&self) -> usize {
        self.connections.len()
    }

    /// Returns the number of connections that are not in use.
    pub(super) fn free_count(&self) -> usize {
        self.permits.available_permits()
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        for connection in &self.connections {
            if let Err(error) = connection.close_by_ref().await {
                tracing::warn!(error = %error, "closing the database failed");
            }
        }
    }
}

impl Deref for SqliteReader<'_> {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.pool.connections[self.index]
    }
}

impl Drop for SqliteReader<'_> {
    fn drop(&mut self) {
        self.pool.free_indexes.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.index);
    }
}

/// Returns the file of an SQLite database, whether it exists or not.
///
/// # Errors
/// Returns a message for the operator if the URL is invalid.
pub fn find_sqlite_file(config: &DatabaseConfig) -> Result<PathBuf, String> {
    Ok(parse_url(config)?.get_filename().to_owned())
}

fn parse_url(config: &DatabaseConfig) -> Result<SqliteConnectOptions, String> {
    SqliteConnectOptions::from_str(config.url.expose_secret())
        .map_err(|_| "DATABASE_URL is not a valid SQLite URL; write sqlite://FOLDER/FILE.db".to_owned())
}

pub(super) async fn connect_sqlite(config: &DatabaseConfig) -> Result<Connections, String> {
    let file_options = parse_url(config)?;
    create_private_file(file_options.get_filename())?;
    let options = connect_options(config, file_options);
    let write_deadline = Arc::new(StatementDeadline::new(config.statement_timeout));
    let writer = connect_writer(config, &options, &write_deadline).await;
    let writer = writer.map_err(|error| format!("cannot reach the database at {}: {error}", config.location()))?;
    let options = options.pragma("query_only", "ON");
    let connect_reader = |_| {
        let deadline = Arc::new(StatementDeadline::new(config.statement_timeout));
        // Opened on first use.
        let pool = single_connection_pool(config, &deadline).connect_lazy_with(options.clone());
        SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
    };
    let readers = (0..super::resolve_connection_count(config)).map(connect_reader).collect();
    let readers = SqliteReaderPool::new(readers, config.acquire_timeout);
    Ok(Connections {
        readers: ReadConnections::Separate { readers, write_deadline },
        writer: SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
        replica: OnceLock::new(),
        write_permits: Arc::new(Semaphore::new(1)),
        write_limit: 1,
        acquire_timeout: config.acquire_timeout,
        demand: ConnectionDemand::default(),
    })
}

/// Opens the write connection, which creates the database.
///
/// The first connection switches the database to WAL mode. If another process does so at the same moment, SQLite reports
/// that the database is locked without waiting for the busy timeout.
async fn connect_writer(
    config: &DatabaseConfig,
    options: &SqliteConnectOptions,
    deadline: &Arc<StatementDeadline>,
) -> sqlx::Result<SqlitePool> {
    let started_at = Instant::now();
    loop {
        let options = options.clone().create_if_missing(true);
        match single_connection_pool(config, deadline).connect_with(options).await {
            Err(error) if is_locked(&error) && started_at.elapsed() < resolve_busy_timeout(config) => {
                tokio::time::sleep(LOCKED_RETRY_DELAY).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_locked(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let code = error.code().and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & PRIMARY_CODE_MASK == SQLITE_BUSY)
}

/// Creates the database file and its folder with owner-only permissions if they do not exist, because they contain
/// personal data and keys. SQLite gives its auxiliary files the same mode.
fn create_private_file(path: &Path) -> Result<(), String> {
    let folder = private_files::parent_folder(path);
    private_files::create_private_dir(folder)
        .map_err(|error| format!("cannot create the directory {}: {error}", folder.display()))?;
    // Only a new file is opened: closing an existing one would release SQLite's locks on it. Errors are reported when
    // SQLite opens the file.
    let _ = private_files::private_open_options().create_new(true).append(true).open(path);
    Ok(())
}

fn connect_options(config: &DatabaseConfig, options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .foreign_keys(true)
        .busy_timeout(resolve_busy_timeout(config))
        .journal_mode(SqliteJournalMode::Wal)
        // Commits survive a power failure.
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-8000")
        .statement_cache_capacity(200)
        .disable_statement_logging()
}

fn resolve_busy_timeout(config: &DatabaseConfig) -> Duration {
    if config.lock_timeout.is_zero() { COMMAND_BUSY_TIMEOUT } else { config.lock_timeout }
}

fn single_connection_pool(config: &DatabaseConfig, deadline: &Arc<StatementDeadline>) -> SqlitePoolOptions {
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(config.acquire_timeout);
    enforce_deadline(pool.test_before_acquire(false), deadline)
}

/// Interrupts statements that time out or are canceled, and closes a connection returned with an open transaction:
/// after a failed COMMIT or ROLLBACK, sqlx and SQLite disagree about its state, and later writes would be lost.
fn enforce_deadline(pool: SqlitePoolOptions, deadline: &Arc<StatementDeadline>) -> SqlitePoolOptions {
    let [connected, acquired, released] = [(); 3].map(|()| Arc::clone(deadline));
    pool.after_connect(move |connection, _| {
        let deadline = Arc::clone(&connected);
        Box::pin(async move {
            deadline.start_statement();
            let mut handle = connection.lock_handle().await?;
            handle.set_progress_handler(INSTRUCTIONS_PER_DEADLINE_CHECK, move || !deadline.is_expired());
            Ok(())
        })
    })
    .before_acquire(move |_, _| {
        acquired.start_statement();
        Box::pin(async { Ok(true) })
    })
    .after_release(move |connection, _| {
        released.interrupt();
        Box::pin(async move {
            // The ping runs after any running statement and after the ROLLBACK of a dropped transaction.
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Executor as _;

    use super::*;

    #[tokio::test]
    async fn new_database_locked_by_another_process_is_awaited() {
        let folder = tempfile::tempdir().expect("a directory");
        let config = DatabaseConfig {
            url: format!("sqlite://{}/new.db", folder.path().display()).into(),
            replica_url: String::new().into(),
            min_connections: 0,
            max_connections: 1,
            max_write_connections: 0,
            replica_max_connections: 0,
            replica_max_lag: Duration::ZERO,
            statement_timeout: Duration::ZERO,
            lock_timeout: Duration::ZERO,
            idle_transaction_timeout: Duration::ZERO,
            acquire_timeout: Duration::from_secs(20),
        };
        let options = SqliteConnectOptions::from_str(config.url.expose_secret()).expect("a URL");
        let mut other = options.create_if_missing(true).connect().await.expect("a connection");
        other.execute("BEGIN IMMEDIATE").await.expect("a lock");

        let mut connecting = std::pin::pin!(connect_sqlite(&config));
        tokio::time::timeout(5 * LOCKED_RETRY_DELAY, &mut connecting).await.expect_err("it waits for the lock");
        other.execute("COMMIT").await.expect("a released lock");
        connecting.await.expect("a connection");
    }
}
