//! The database: reads without a transaction, writes only in transactions, and statistics per request.

mod batch;
mod bulk;
mod condition;
mod pool_usage;
mod postgres;
mod read;
mod replica;
mod retry;
mod schema;
mod snapshot;
mod sqlite;
mod transaction;

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use super::{
    QueryBudget, QueryStats, RequestOrigin, SqlBuilder, cache::TagVersions, config::DatabaseConfig,
    job_notifier::JobNotifier,
};
use crate::base::{Clock, Result, error::is_connection_lost};
pub use batch::Batch;
pub use condition::{eq_any, literal};
use pool_usage::ConnectionDemand;
use postgres::ConnectionLoss;
pub use replica::{InvalidWalPosition, ReplicaState, WalPosition};
use replica::{Replica, ReplicaReads};
pub use sqlite::find_sqlite_file;
use sqlite::{SqliteReader, SqliteReaderPool, StatementDeadline};
pub use transaction::Tx;

/// The database, or a request's view of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    connections: Arc<Connections>,
    clock: Clock,
    query_stats: Option<Arc<QueryStats>>,
    request_origin: Arc<RequestOrigin>,
    job_notifier: Arc<JobNotifier>,
    tag_versions: Arc<TagVersions>,
    /// Where the reads of the request go; `None`: to the primary.
    replica_reads: Option<Arc<ReplicaReads>>,
}

/// The open connections and their limits.
#[derive(Debug)]
struct Connections {
    readers: ReadConnections,
    writer: DatabaseConnection,
    /// The replica, once it is attached.
    replica: OnceLock<Replica>,
    /// One permit per write connection.
    write_permits: Arc<Semaphore>,
    /// Number of write connections.
    write_limit: usize,
    acquire_timeout: Duration,
    /// Reads that run or wait for a connection, and transactions that wait for one.
    demand: ConnectionDemand,
}

/// The connections of reads.
#[derive(Debug)]
enum ReadConnections {
    /// PostgreSQL: a separate pool, so that reads succeed while all writers wait for locks.
    Pooled { pool: DatabaseConnection, loss: Arc<ConnectionLoss> },
    /// SQLite: separate connections.
    Separate { readers: SqliteReaderPool, write_deadline: Arc<StatementDeadline> },
}

/// A connection for one read.
enum ReadConnection<'a> {
    Pooled(&'a DatabaseConnection),
    Separate(SqliteReader<'a>),
}

impl std::ops::Deref for ReadConnection<'_> {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        match self {
            Self::Pooled(pool) => pool,
            Self::Separate(reader) => reader,
        }
    }
}

impl Db {
    /// Connects to the database.
    ///
    /// # Errors
    /// Returns a message for the operator, without the password, if the connection fails.
    pub async fn connect(config: &DatabaseConfig, clock: Clock) -> Result<Self, String> {
        let connections = if config.is_sqlite() {
            sqlite::connect_sqlite(config).await?
        } else {
            postgres::connect_postgres(config).await?
        };
        let connections = Arc::new(connections);
        Ok(Self {
            connections,
            clock,
            query_stats: None,
            request_origin: Arc::default(),
            job_notifier: Arc::default(),
            tag_versions: Arc::default(),
            replica_reads: None,
        })
    }

    /// Creates a request's view of the database, with its own statistics, budget and origin. It reads from the primary.
    #[must_use]
    pub fn for_request(&self, origin: RequestOrigin, budget: QueryBudget) -> (Self, Arc<QueryStats>) {
        let query_stats = Arc::new(QueryStats::new(budget));
        let view = Self {
            query_stats: Some(Arc::clone(&query_stats)),
            request_origin: Arc::new(origin),
            replica_reads: None,
            ..self.clone()
        };
        (view, query_stats)
    }

    /// Returns the database backend.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.connections.writer.get_database_backend()
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Returns the clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Creates an SQL builder for this database.
    #[must_use]
    pub fn sql(&self) -> SqlBuilder {
        SqlBuilder::new(self.backend())
    }

    /// Returns the write connection: for migrations, which manage their own transactions.
    #[must_use]
    pub fn writer_connection(&self) -> &DatabaseConnection {
        &self.connections.writer
    }

    /// Returns the notifier that wakes workers after a write that stored events or jobs.
    #[must_use]
    pub fn job_notifier(&self) -> &Arc<JobNotifier> {
        &self.job_notifier
    }

    /// Returns the versions of the tags of cached values, shared by all users of this database in this process.
    #[must_use]
    pub fn tag_versions(&self) -> &TagVersions {
        &self.tag_versions
    }

    /// Runs `work` in a transaction and commits it, or rolls back if it fails. Dropping the future before the commit
    /// has begun rolls back; after that the commit is completed.
    ///
    /// On SQLite it begins `IMMEDIATE`: writers queue at the start instead of failing in the middle.
    ///
    /// # Errors
    /// Returns the error of `work` or of the database; the transaction is then rolled back.
    pub async fn write<T>(&self, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin_transaction().await?;
        match work(&tx).await {
            Ok(result) => {
                tx.commit(self).await?;
                Ok(result)
            }
            Err(error) => {
                tx.roll_back().await;
                Err(error)
            }
        }
    }

    /// Runs `work` in a transaction, returns its result and rolls back.
    ///
    /// # Errors
    /// Returns the error of `work` or of the database.
    pub async fn dry_run<T>(&self, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin_transaction().await?;
        let outcome = work(&tx).await;
        tx.roll_back().await;
        outcome
    }

    async fn begin_transaction(&self) -> Result<Tx> {
        // The budget is checked only here: a transaction that has begun is not aborted by it.
        QueryStats::check_budget(self.query_stats.as_ref())?;
        self.use_primary();
        let permit = self.connections.acquire_write_permit().await?;
        let inner = match self.connections.begin_transaction().await {
            // Nothing has been written yet, so another connection can be used.
            Err(error) if self.connections.record_connection_loss(&error) => {
                self.connections.begin_transaction().await?
            }
            outcome => outcome?,
        };
        Ok(Tx::new(self, inner, permit))
    }

    /// Checks that the database answers; returns the latency.
    pub async fn check_connectivity(&self) -> Result<Duration> {
        let started_at = Instant::now();
        let statement = Statement::from_string(self.backend(), "SELECT 1");
        self.query_one_raw(statement).await?;
        Ok(started_at.elapsed())
    }

    /// Closes all connections after waiting for those in use.
    pub async fn close(self) {
        if let Some(replica) = self.connections.replica.get() {
            replica.close().await;
        }
        match &self.connections.readers {
            ReadConnections::Separate { readers, .. } => readers.close().await,
            ReadConnections::Pooled { pool, .. } => {
                if let Err(error) = pool.close_by_ref().await {
                    tracing::warn!(error = %error, "closing the database failed");
                }
            }
        }
        if let Err(error) = self.connections.writer.close_by_ref().await {
            tracing::warn!(error = %error, "closing the database failed");
        }
    }
}

impl Connections {
    async fn acquire_write_permit(&self) -> Result<OwnedSemaphorePermit> {
        let _waiting = self.demand.begin_wait_for_writer();
        let permit = Arc::clone(&self.write_permits).acquire_owned();
        match tokio::time::timeout(self.acquire_timeout, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed).into()),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout).into()),
        }
    }

    async fn begin_transaction(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let connection = self.writer.clone();
        run_to_completion(async move { connection.begin_with_options(options).await }).await
    }

    async fn acquire_reader(&self) -> Result<ReadConnection<'_>, DbErr> {
        match &self.readers {
            ReadConnections::Pooled { pool, .. } => Ok(ReadConnection::Pooled(pool)),
            ReadConnections::Separate { readers, .. } => Ok(ReadConnection::Separate(readers.acquire().await?)),
        }
    }

    /// Returns whether the error means that the connection was lost; if so, other idle connections are tested before
    /// use.
    fn record_connection_loss(&self, error: &DbErr) -> bool {
        let ReadConnections::Pooled { loss, .. } = &self.readers else { return false };
        let is_lost = is_connection_lost(error);
        if is_lost {
            tracing::info!(%error, "database connection lost");
            loss.record();
        }
        is_lost
    }

    /// Starts the statement deadline; called before each statement of a transaction.
    fn start_write_statement(&self) {
        if let ReadConnections::Separate { write_deadline, .. } = &self.readers {
            write_deadline.start_statement();
        }
    }
}

/// Runs a future to completion even if the caller is canceled: a BEGIN, COMMIT or ROLLBACK whose response is not read
/// would leave its connection in an unknown state.
async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, DbErr>> + Send + 'static,
) -> Result<T, DbErr> {
    let outcome = tokio::spawn(work.in_current_span()).await;
    outcome.unwrap_or_else(|error| Err(DbErr::Custom(format!("transaction task failed: {error}"))))
}

/// Returns the number of read connections.
fn resolve_connection_count(config: &DatabaseConfig) -> u32 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let default_count = u32::try_from(cores * 2 + 2).unwrap_or(u32::MAX);
    if config.max_connections == 0 { default_count } else { config.max_connections }
}
