//! The database: reads at any time, writes only inside a transaction, and a count of what a request has asked of it.

mod batch;
mod postgres;
mod retry;
mod schema;
mod sqlite;
mod transaction;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, prelude::async_trait,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use super::{Budget, Meter, Origin, Sql, bell::Bell, config::DatabaseConfig, meter::Enforcement};
use crate::base::{Clock, Result, error::is_connection_lost};
pub use batch::Batch;
use postgres::ConnectionLoss;
use sqlite::{Reader, ReaderSet, StatementDeadline};
pub use transaction::Tx;

/// The shop's database, or a request's view of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    connections: Arc<Connections>,
    clock: Clock,
    meter: Option<Arc<Meter>>,
    origin: Arc<Origin>,
    bell: Arc<Bell>,
}

/// The open connections, and what limits their use.
#[derive(Debug)]
struct Connections {
    readers: Readers,
    writer: DatabaseConnection,
    /// As many as there are connections that write.
    write_permits: Arc<Semaphore>,
    acquire_timeout: Duration,
}

/// Where reads go.
#[derive(Debug)]
enum Readers {
    /// PostgreSQL: a pool of their own, so that reads are answered while every writer waits for a lock.
    Pooled { pool: DatabaseConnection, loss: Arc<ConnectionLoss> },
    /// SQLite: connections of their own.
    Separate { readers: ReaderSet, write_deadline: Arc<StatementDeadline> },
}

/// A connection for one read.
enum ReadConnection<'a> {
    Pooled(&'a DatabaseConnection),
    Separate(Reader<'a>),
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
    /// Opens it.
    ///
    /// # Errors
    /// A sentence for the operator. It never holds the password.
    pub async fn open(config: &DatabaseConfig, clock: Clock) -> Result<Self, String> {
        let sqlite = config.url.starts_with("sqlite:");
        let connections = if sqlite { sqlite::open(config).await? } else { postgres::open(config).await? };
        let connections = Arc::new(connections);
        Ok(Self { connections, clock, meter: None, origin: Arc::default(), bell: Arc::default() })
    }

    /// The same database for one request: with a meter of its own, and knowing who asks.
    #[must_use]
    pub fn for_request(&self, origin: Origin, budget: Budget) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::new(budget));
        (Self { meter: Some(Arc::clone(&meter)), origin: Arc::new(origin), ..self.clone() }, meter)
    }

    /// Which kind it is.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.connections.writer.get_database_backend()
    }

    /// The shop's time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A statement to be written for it.
    #[must_use]
    pub fn sql(&self) -> Sql {
        Sql::new(self.backend())
    }

    /// The connection that may change things: for migrations, which manage transactions of their own.
    #[must_use]
    pub fn owner(&self) -> &DatabaseConnection {
        &self.connections.writer
    }

    /// What rings when a write has left something to do.
    #[must_use]
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Does everything in `work`, or nothing of it. When its future is dropped before the commit has begun, nothing of
    /// it; after that the commit is carried to its end.
    ///
    /// On SQLite it begins `IMMEDIATE`: writers queue at the start instead of failing in the middle.
    ///
    /// # Errors
    /// What `work` or the database says; the transaction is then undone.
    pub async fn write<T>(&self, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin().await?;
        match work(&tx).await {
            Ok(made) => {
                tx.commit(self).await?;
                Ok(made)
            }
            Err(why) => {
                tx.roll_back().await;
                Err(why)
            }
        }
    }

    /// Does everything in `work`, looks at what comes of it, and undoes it.
    ///
    /// # Errors
    /// What `work` or the database says.
    pub async fn rehearse<T>(&self, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin().await?;
        let outcome = work(&tx).await;
        tx.roll_back().await;
        outcome
    }

    async fn begin(&self) -> Result<Tx> {
        // A transaction that has begun is finished, whatever it takes: it is not cut in its middle.
        Meter::check(self.meter.as_ref())?;
        let permit = self.connections.permit_write().await?;
        let inner = match self.connections.begin().await {
            // Nothing has been done yet, so another connection can do it all.
            Err(why) if self.connections.note_loss(&why) => self.connections.begin().await?,
            begun => begun?,
        };
        Ok(Tx::new(self, inner, permit))
    }

    /// Whether the database answers, and how fast.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<Duration> {
        let began = Instant::now();
        let statement = Statement::from_string(self.backend(), "SELECT 1");
        self.query_one_raw(statement).await?;
        Ok(began.elapsed())
    }

    /// Closes every connection. Waits for those that are in use.
    pub async fn close(self) {
        match &self.connections.readers {
            Readers::Separate { readers, .. } => readers.close().await,
            Readers::Pooled { pool, .. } => {
                if let Err(why) = pool.close_by_ref().await {
                    tracing::warn!(error = %why, "the database did not close cleanly");
                }
            }
        }
        if let Err(why) = self.connections.writer.close_by_ref().await {
            tracing::warn!(error = %why, "the database did not close cleanly");
        }
    }
}

impl Connections {
    async fn permit_write(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.write_permits).acquire_owned();
        match tokio::time::timeout(self.acquire_timeout, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed).into()),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout).into()),
        }
    }

    async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let connection = self.writer.clone();
        run_to_completion(async move { connection.begin_with_options(options).await }).await
    }

    async fn read(&self) -> Result<ReadConnection<'_>, DbErr> {
        match &self.readers {
            Readers::Pooled { pool, .. } => Ok(ReadConnection::Pooled(pool)),
            Readers::Separate { readers, .. } => Ok(ReadConnection::Separate(readers.acquire().await?)),
        }
    }

    /// Whether the error says that the connection was lost; then the other idle ones are tested before they are used.
    fn note_loss(&self, error: &DbErr) -> bool {
        let Readers::Pooled { loss, .. } = &self.readers else { return false };
        let lost = is_connection_lost(error);
        if lost {
            tracing::info!(%error, "a connection to the database was lost");
            loss.note();
        }
        lost
    }

    /// Called before each statement of a transaction.
    fn start_write_statement(&self) {
        if let Readers::Separate { write_deadline, .. } = &self.readers {
            write_deadline.start_statement();
        }
    }
}

/// Runs a future to its end, also when the caller stops waiting: a BEGIN, COMMIT or ROLLBACK whose answer is not read
/// would leave its connection in a state that nobody knows.
async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, DbErr>> + Send + 'static,
) -> Result<T, DbErr> {
    let outcome = tokio::spawn(work.in_current_span()).await;
    outcome.unwrap_or_else(|why| Err(DbErr::Custom(format!("the transaction's task ended early: {why}"))))
}

/// How many connections there may be.
fn connection_count(config: &DatabaseConfig) -> u32 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let by_cores = u32::try_from(cores * 2 + 2).unwrap_or(u32::MAX);
    if config.connections == 0 { by_cores } else { config.connections }
}

/// The address without user and password.
fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    rest.split('?').next().unwrap_or(rest).to_owned()
}

/// Reads through a connection of its own; once more through another one when the connection was lost on the way.
macro_rules! read {
    ($db:expr, $method:ident, $statement:expr) => {{
        let (db, statement) = ($db, $statement);
        let again = matches!(db.connections.readers, Readers::Pooled { .. }).then(|| statement.clone());
        let connection = db.connections.read().await?;
        let outcome = Meter::run(db.meter.as_ref(), Enforcement::Enforced, connection.$method(statement)).await;
        match (outcome, again) {
            (Err(why), Some(statement)) if db.connections.note_loss(&why) => {
                Meter::run(db.meter.as_ref(), Enforcement::Enforced, connection.$method(statement)).await
            }
            (outcome, _) => outcome,
        }
    }};
}

#[async_trait::async_trait]
impl ConnectionTrait for Db {
    fn get_database_backend(&self) -> DbBackend {
        self.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let connection = self.connections.read().await?;
        Meter::run(self.meter.as_ref(), Enforcement::Enforced, connection.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let connection = self.connections.read().await?;
        Meter::run(self.meter.as_ref(), Enforcement::Enforced, connection.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        read!(self, query_one_raw, statement)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        read!(self, query_all_raw, statement)
    }
}
