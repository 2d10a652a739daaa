//! Opening SQLite: one writer, several readers, and statements that are interrupted when their time is over or when
//! nobody waits for them any more.

use std::{
    collections::VecDeque,
    ops::Deref,
    path::Path,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnAcquireErr, DatabaseConnection, DbErr, SqlxSqliteConnector};
use sqlx::{
    ConnectOptions as _, Connection as _,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Connections, Readers, connection_count, place};
use crate::infra::{config::DatabaseConfig, private_files};

/// How long a command waits for another process's write; a server waits for the lock timeout.
const COMMAND_BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// After how many of SQLite's own instructions it is seen whether the statement's time is over: well below a millisecond.
const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 10_000;

/// When the statement that a connection carries out is to be interrupted.
#[derive(Debug)]
pub(super) struct StatementDeadline {
    origin: Instant,
    limit: Option<Duration>,
    /// Microseconds after `origin`.
    at: AtomicU64,
}

impl StatementDeadline {
    /// No limit when it is zero.
    fn new(limit: Duration) -> Self {
        let limit = (!limit.is_zero()).then_some(limit);
        Self { origin: Instant::now(), limit, at: AtomicU64::new(u64::MAX) }
    }

    /// A statement begins.
    pub(super) fn start_statement(&self) {
        let at = self.limit.map_or(u64::MAX, |limit| micros(self.origin.elapsed() + limit));
        self.at.store(at, Ordering::Relaxed);
    }

    /// Nobody waits any more for a statement that may still be running.
    fn interrupt(&self) {
        self.at.store(0, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        micros(self.origin.elapsed()) >= self.at.load(Ordering::Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The connections for reads: each a pool of one, so that each has a deadline of its own.
#[derive(Debug)]
pub(super) struct ReaderSet {
    connections: Vec<DatabaseConnection>,
    /// Those that nobody uses, the one that has been free the longest first.
    free: Mutex<VecDeque<usize>>,
    permits: Semaphore,
    acquire_timeout: Duration,
}

/// A connection for one read. It is free again when this is dropped.
pub(super) struct Reader<'a> {
    set: &'a ReaderSet,
    index: usize,
    _permit: SemaphorePermit<'a>,
}

impl ReaderSet {
    fn new(connections: Vec<DatabaseConnection>, acquire_timeout: Duration) -> Self {
        let free = (0..connections.len()).collect();
        let permits = Semaphore::new(connections.len());
        Self { connections, free: Mutex::new(free), permits, acquire_timeout }
    }

    pub(super) async fn acquire(&self) -> Result<Reader<'_>, DbErr> {
        let permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => match tokio::time::timeout(self.acquire_timeout, self.permits.acquire()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
                Err(_) => return Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
            },
        };
        let index = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        // There are as many permits as connections.
        let index = index.ok_or(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))?;
        Ok(Reader { set: self, index, _permit: permit })
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        for connection in &self.connections {
            if let Err(why) = connection.close_by_ref().await {
                tracing::warn!(error = %why, "the database did not close cleanly");
            }
        }
    }
}

impl Deref for Reader<'_> {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        &self.set.connections[self.index]
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.set.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.index);
    }
}

pub(super) async fn open(config: &DatabaseConfig) -> Result<Connections, String> {
    let file = SqliteConnectOptions::from_str(&config.url)
        .map_err(|_| "DATABASE_URL is not one that SQLite understands; write sqlite://FOLDER/FILE.db".to_owned())?;
    make_private_file(file.get_filename())?;
    let options = connect_options(config, file);
    let write_deadline = Arc::new(StatementDeadline::new(config.statement_timeout));
    let writer = pool_of_one(config, &write_deadline).connect_with(options.clone().create_if_missing(true)).await;
    let writer = writer.map_err(|why| format!("cannot reach the database at {}: {why}", place(&config.url)))?;
    let options = options.pragma("query_only", "ON");
    let reader = |_| {
        let deadline = Arc::new(StatementDeadline::new(config.statement_timeout));
        // Opened when it is first used.
        let pool = pool_of_one(config, &deadline).connect_lazy_with(options.clone());
        SqlxSqliteConnector::from_sqlx_sqlite_pool(pool)
    };
    let readers = (0..connection_count(config)).map(reader).collect();
    let readers = ReaderSet::new(readers, config.acquire_timeout);
    Ok(Connections {
        readers: Readers::Separate { readers, write_deadline },
        writer: SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
        write_permits: Arc::new(Semaphore::new(1)),
        acquire_timeout: config.acquire_timeout,
    })
}

/// The file and its folder, readable by their owner alone where they are not there yet: there are people and keys in it.
/// SQLite gives the files beside it the same mode.
fn make_private_file(file: &Path) -> Result<(), String> {
    if let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) {
        private_files::create_folder(folder)
            .map_err(|why| format!("cannot make the folder {}: {why}", folder.display()))?;
    }
    // Only a new one: closing a file takes away the locks that SQLite has on it. What stands in the way is reported when
    // SQLite opens it.
    let _ = private_files::open_options().create_new(true).append(true).open(file);
    Ok(())
}

fn connect_options(config: &DatabaseConfig, file: SqliteConnectOptions) -> SqliteConnectOptions {
    let busy = if config.lock_timeout.is_zero() { COMMAND_BUSY_TIMEOUT } else { config.lock_timeout };
    file.foreign_keys(true)
        .busy_timeout(busy)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-8000")
        .statement_cache_capacity(200)
        .disable_statement_logging()
}

fn pool_of_one(config: &DatabaseConfig, deadline: &Arc<StatementDeadline>) -> SqlitePoolOptions {
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(config.acquire_timeout);
    keep_deadline(pool.test_before_acquire(false), deadline)
}

/// Interrupts what takes too long and what nobody waits for, and closes a connection that comes back with a transaction
/// open: after a COMMIT or ROLLBACK that failed, sqlx and SQLite disagree about it, and what follows would be lost.
fn keep_deadline(pool: SqlitePoolOptions, deadline: &Arc<StatementDeadline>) -> SqlitePoolOptions {
    let [connected, acquired, released] = [(); 3].map(|()| Arc::clone(deadline));
    pool.after_connect(move |connection, _| {
        let deadline = Arc::clone(&connected);
        Box::pin(async move {
            deadline.start_statement();
            let mut handle = connection.lock_handle().await?;
            handle.set_progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, move || !deadline.is_over());
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
            // Behind whatever still runs, and behind the ROLLBACK of a transaction that was dropped.
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}
