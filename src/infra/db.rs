//! The database: many readers, writes only inside a transaction, and a meter of what a request has asked of it.

use std::{
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult,
    QueryResult, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, prelude::async_trait,
};
use sqlx::{ConnectOptions as _, Connection as _};

use super::{Budget, Meter, Origin, Sql, bell::Bell, config::DatabaseConfig, meter::Limit};
use crate::base::{Clock, Error, Result};

/// How long a connection may lie idle before it is tried once before its next use.
const PING_AFTER_IDLE: Duration = Duration::from_secs(30);
/// How long a writer of SQLite waits for another process's.
const SQLITE_BUSY: Duration = Duration::from_secs(20);

/// How often a write is tried that met others crosswise.
const TRIES: usize = 5;

/// `Db::write`, and all of it once more when the database had to break a circle of writers that waited for each other.
///
/// A macro, because the work is done anew each time and a closure that can be called again may not borrow across await.
macro_rules! write_again {
    ($db:expr, $work:expr) => {{
        let mut tries = 0;
        loop {
            let outcome = $db.write($work).await;
            tries += 1;
            if !$crate::infra::db::crossed(&outcome, tries) {
                break outcome;
            }
        }
    }};
}
pub(crate) use write_again;

/// Whether a write met others crosswise and is to be tried again.
pub fn crossed<T>(outcome: &Result<T>, tries: usize) -> bool {
    let Some(why) = outcome.as_ref().err().filter(|why| tries < TRIES && why.is_deadlock()) else { return false };
    tracing::info!(error = why.log(), "writers met crosswise; trying again");
    true
}

/// The shop's database, or a request's view of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    reader: DatabaseConnection,
    writer: DatabaseConnection,
    clock: Clock,
    meter: Option<Arc<Meter>>,
    origin: Arc<Origin>,
    bell: Arc<Bell>,
}

impl Db {
    /// Opens it.
    ///
    /// # Errors
    /// A sentence for the operator. It never holds the password.
    pub async fn open(config: &DatabaseConfig, clock: Clock) -> Result<Self, String> {
        let outcome =
            if config.url.starts_with("sqlite:") { open_sqlite(config).await } else { open_postgres(config).await };
        let (reader, writer) = outcome?;
        Ok(Self { reader, writer, clock, meter: None, origin: Arc::default(), bell: Arc::default() })
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
        self.reader.get_database_backend()
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
        &self.writer
    }

    /// What rings when a write has left something to do.
    #[must_use]
    pub fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Does everything in `work`, or nothing of it.
    ///
    /// On SQLite it begins `IMMEDIATE`: writers queue at the start instead of failing in the middle.
    ///
    /// # Errors
    /// What `work` or the database says; the transaction is then undone.
    pub async fn write<T>(&self, work: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let tx = self.begin().await?;
        match work(&tx).await {
            Ok(made) => {
                tx.inner.commit().await?;
                if tx.rings.into_inner() {
                    self.bell.ring(&self.writer);
                }
                Ok(made)
            }
            Err(why) => {
                tx.undo().await;
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
        tx.undo().await;
        outcome
    }

    async fn begin(&self) -> Result<Tx> {
        // A transaction that has begun is finished, whatever it takes: it is not cut in its middle.
        Meter::check(self.meter.as_ref())?;
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let inner = self.writer.begin_with_options(options).await?;
        Ok(Tx {
            inner,
            now: self.clock.now(),
            meter: self.meter.clone(),
            origin: Arc::clone(&self.origin),
            rings: AtomicBool::new(false),
        })
    }

    /// Whether the database answers, and how fast.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<Duration> {
        let began = Instant::now();
        self.reader.ping().await?;
        Ok(began.elapsed())
    }

    /// Lets go of every connection.
    pub async fn close(self) {
        for pool in [self.reader, self.writer] {
            if let Err(why) = pool.close().await {
                tracing::warn!(error = %why, "the database did not close cleanly");
            }
        }
    }
}

async fn open_postgres(config: &DatabaseConfig) -> Result<(DatabaseConnection, DatabaseConnection), String> {
    knock(config).await?;
    let mut options = pool(config, &config.url);
    // Statements are short and many at once: none is worth compiling, nor a process of its own beside this one's, which
    // made searches in a large shop ten times slower.
    options
        .map_sqlx_postgres_opts(|options| options.options([("jit", "off"), ("max_parallel_workers_per_gather", "0")]));
    if !config.statement_timeout.is_zero() {
        options.statement_timeout(config.statement_timeout);
    }
    let both = connect(options, &place(&config.url)).await?;
    Ok((both.clone(), both))
}

/// One connection before there is a pool: a pool tries again and again where nobody listens, and then can only say that
/// it took too long.
async fn knock(config: &DatabaseConfig) -> Result<(), String> {
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

async fn open_sqlite(config: &DatabaseConfig) -> Result<(DatabaseConnection, DatabaseConnection), String> {
    let file = sqlx::sqlite::SqliteConnectOptions::from_str(&config.url)
        .map_err(|_| "DATABASE_URL is not one that SQLite understands; write sqlite://FOLDER/FILE.db".to_owned())?;
    if let Some(folder) = file.get_filename().parent().filter(|folder| *folder != Path::new("")) {
        std::fs::create_dir_all(folder).map_err(|why| format!("cannot make the folder {}: {why}", folder.display()))?;
    }
    let url = config.url.clone();
    let mut writer = pool(config, &url);
    writer.max_connections(1).map_sqlx_sqlite_opts(|options| sqlite(options).create_if_missing(true));
    let writer = connect(writer, &url).await?;
    let mut reader = pool(config, &url);
    reader.map_sqlx_sqlite_opts(|options| sqlite(options).pragma("query_only", "ON"));
    Ok((connect(reader, &url).await?, writer))
}

/// Every connection: foreign keys watched, readers beside the writer, a commit that survives a power cut.
fn sqlite(options: sqlx::sqlite::SqliteConnectOptions) -> sqlx::sqlite::SqliteConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    options
        .foreign_keys(true)
        .busy_timeout(SQLITE_BUSY)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-8000")
        .statement_cache_capacity(200)
}

fn pool(config: &DatabaseConfig, url: &str) -> ConnectOptions {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let by_cores = u32::try_from(cores * 2 + 2).unwrap_or(u32::MAX);
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(if config.connections == 0 { by_cores } else { config.connections })
        .acquire_timeout(config.acquire_timeout)
        // A ping before each use would cost a round trip a statement.
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(PING_AFTER_IDLE)
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    options
}

async fn connect(options: ConnectOptions, place: &str) -> Result<DatabaseConnection, String> {
    Database::connect(options).await.map_err(|why| format!("cannot reach the database at {place}: {}", reason(&why)))
}

/// The address without user and password.
fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    rest.split('?').next().unwrap_or(rest).to_owned()
}

fn reason(why: &DbErr) -> String {
    match why {
        DbErr::Conn(sea_orm::RuntimeErr::SqlxError(cause)) => match &**cause {
            sqlx::Error::PoolTimedOut => "it does not answer".to_owned(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

/// A transaction: what a write takes.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    now: DateTime<Utc>,
    meter: Option<Arc<Meter>>,
    origin: Arc<Origin>,
    rings: AtomicBool,
}

impl Tx {
    /// The moment of everything in this transaction.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Who does what is done in it, and in which request.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// A statement to be written for this database.
    #[must_use]
    pub fn sql(&self) -> Sql {
        Sql::new(self.inner.get_database_backend())
    }

    /// Says that this transaction leaves something to do: whoever does such things hears of it once it has committed.
    pub(super) fn ring(&self) {
        self.rings.store(true, Ordering::Relaxed);
    }

    /// Lets the database keep the plans of this transaction's statements. They find rows by their keys, whatever is asked
    /// for; making a plan anew each time, because a list is shorter than usual, took as long again as the rest of an
    /// order. Nothing on SQLite, which never does that.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn keep_plans(&self) -> Result<()> {
        if self.sql().postgres() {
            self.inner.execute_unprepared("SET LOCAL plan_cache_mode = force_generic_plan").await?;
        }
        Ok(())
    }

    async fn undo(self) {
        // The first reason is the one worth telling; a connection that cannot roll back is dropped.
        if let Err(why) = self.inner.rollback().await {
            tracing::warn!(error = %why, "a transaction could not be rolled back");
        }
    }

    /// Keys for `count` new rows of a table, so that rows that name each other can be written together.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn keys(&self, table: &'static str, count: usize) -> Result<std::vec::IntoIter<i64>> {
        let count = i64::try_from(count).map_err(|why| Error::fault("counting new rows", why))?;
        if count == 0 {
            return Ok(Vec::new().into_iter());
        }
        let mut sql = self.sql();
        if sql.postgres() {
            sql.push(&format!(
                "SELECT nextval(pg_get_serial_sequence('{table}', 'id')) AS key FROM generate_series(1, "
            ))
            .bind(count)
            .push(")");
            let rows = self.query_all_raw(sql.statement()).await?;
            let keys: Vec<i64> = rows.iter().map(|row| row.try_get("", "key")).collect::<Result<_, _>>()?;
            return Ok(keys.into_iter());
        }
        // The writer is alone on SQLite, so what comes after the last key is free.
        sql.push(&format!(
            "SELECT MAX(COALESCE((SELECT MAX(id) FROM {table}), 0), \
             COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)) AS key"
        ));
        let row = self.query_one_raw(sql.statement()).await?;
        let last: i64 = row.map_or(Ok(0), |row| row.try_get("", "key"))?;
        Ok((last + 1..=last + count).collect::<Vec<_>>().into_iter())
    }
}

macro_rules! metered_connection {
    ($type:ty, $inner:ident, $limit:expr) => {
        #[async_trait::async_trait]
        impl ConnectionTrait for $type {
            fn get_database_backend(&self) -> DbBackend {
                self.$inner.get_database_backend()
            }

            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                Meter::run(self.meter.as_ref(), $limit, self.$inner.execute_raw(statement)).await
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                Meter::run(self.meter.as_ref(), $limit, self.$inner.execute_unprepared(sql)).await
            }

            async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
                Meter::run(self.meter.as_ref(), $limit, self.$inner.query_one_raw(statement)).await
            }

            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                Meter::run(self.meter.as_ref(), $limit, self.$inner.query_all_raw(statement)).await
            }
        }
    };
}

// A `Db` reads through the pool and within the request's budget, a `Tx` inside its transaction; both are counted.
metered_connection!(Db, reader, Limit::Enforced);
metered_connection!(Tx, inner, Limit::Exempt);
