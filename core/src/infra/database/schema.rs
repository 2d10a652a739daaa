//! Schema migrations: in one transaction, by one process at a time, without keeping the requests of running processes
//! from the tables.

use std::time::Duration;

use migration::{CONCURRENT_INDEXES, ConcurrentIndex, Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, Statement};

use super::Db;
use crate::base::error::is_lock_conflict;

/// The key of PostgreSQL's advisory lock for migrations: the bytes of "savannah" as a number.
const SCHEMA_LOCK_KEY: i64 = 0x7361_7661_6e6e_6168;
/// The key of the advisory lock for indexes that are built concurrently.
const INDEX_LOCK_KEY: i64 = SCHEMA_LOCK_KEY + 1;
/// How long a migration waits for a table. All later statements of the table wait behind it. Much shorter than the time
/// after which PostgreSQL looks for deadlocks (`deadlock_timeout`, 1 s), so that a deadlock ends the migration's attempt,
/// not the transaction of a request.
const TABLE_LOCK_TIMEOUT: Duration = Duration::from_millis(300);
/// How often the migrations are attempted.
const MAX_LOCK_ATTEMPTS: u32 = 100;
/// The delay before the next attempt, and before the next look at a lock that another process has.
const LOCK_RETRY_DELAY: Duration = Duration::from_secs(1);

impl Db {
    /// Returns the number of pending migrations. Changes nothing.
    pub async fn count_pending_migrations(&self) -> Result<usize, DbErr> {
        Ok(Migrator::get_pending_migrations_read_only(self.writer_connection()).await?.len())
    }

    /// Applies all pending migrations, or reverts the last `down_steps`. All or nothing, also if the process is killed:
    /// both databases have transactional DDL. Concurrent callers wait and then find the schema current. Then builds the
    /// missing indexes of existing tables, one at a time, while their tables are written to.
    ///
    /// # Errors
    /// Returns an error if a migration fails, or a table is locked by others in each attempt.
    pub async fn migrate_schema(&self, down_steps: Option<u32>) -> Result<(), DbErr> {
        self.change_schema(async |transaction| match down_steps {
            Some(steps) => Migrator::down(transaction, Some(steps)).await,
            None => Migrator::up(transaction, None).await,
        })
        .await?;
        if down_steps.is_none() { self.build_indexes(&CONCURRENT_INDEXES).await } else { Ok(()) }
    }

    /// Runs a change of the schema in one transaction. On PostgreSQL it waits for each table only briefly, then rolls
    /// back and starts again: while it waits, all statements of the table wait behind it.
    ///
    /// # Errors
    /// Returns the error of the change, or that a table was locked in each attempt.
    pub async fn change_schema(
        &self,
        change: impl AsyncFn(&DatabaseTransaction) -> Result<(), DbErr>,
    ) -> Result<(), DbErr> {
        let mut attempt = 1;
        loop {
            match self.try_schema_change(&change).await {
                Err(error) if is_lock_conflict(&error) && attempt < MAX_LOCK_ATTEMPTS => {
                    tracing::info!(attempt, "a table is in use; the schema change is attempted again");
                }
                outcome => return outcome,
            }
            tokio::time::sleep(LOCK_RETRY_DELAY).await;
            attempt += 1;
        }
    }

    async fn try_schema_change(
        &self,
        change: impl AsyncFn(&DatabaseTransaction) -> Result<(), DbErr>,
    ) -> Result<(), DbErr> {
        let transaction = self.connections.begin_transaction().await?;
        if self.backend() == DbBackend::Postgres {
            // Another process may have a long migration; no table is locked meanwhile.
            let lock = format!("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock({SCHEMA_LOCK_KEY})");
            transaction.execute_unprepared(&lock).await?;
            let limit = format!("SET LOCAL lock_timeout = {}", TABLE_LOCK_TIMEOUT.as_millis());
            transaction.execute_unprepared(&limit).await?;
        }
        change(&transaction).await?;
        transaction.commit().await
    }

    /// Builds the indexes that do not exist, on PostgreSQL without blocking the writers of their tables. One that was
    /// interrupted is built again.
    ///
    /// # Errors
    /// Returns an error if an index cannot be built; those before it are kept.
    pub async fn build_indexes(&self, indexes: &[ConcurrentIndex]) -> Result<(), DbErr> {
        let connection = self.writer_connection();
        for index in indexes {
            if self.backend() != DbBackend::Postgres {
                connection.execute_unprepared(&index.create_statement(false)).await?;
                continue;
            }
            // Waiting for the lock would keep a snapshot, for the end of which the builder waits.
            let lock = loop {
                let transaction = self.connections.begin_transaction().await?;
                let sql = format!("SELECT pg_try_advisory_xact_lock({INDEX_LOCK_KEY}) AS is_locked");
                let row = transaction.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
                if row.is_some_and(|row| row.try_get("", "is_locked").unwrap_or(false)) {
                    break transaction;
                }
                transaction.rollback().await?;
                tokio::time::sleep(LOCK_RETRY_DELAY).await;
            };
            let outcome = build_index(connection, index).await;
            lock.rollback().await?;
            outcome?;
        }
        Ok(())
    }
}

async fn build_index(connection: &impl ConnectionTrait, index: &ConcurrentIndex) -> Result<(), DbErr> {
    let sql = "SELECT indisvalid AS is_valid FROM pg_index WHERE indexrelid = to_regclass($1)";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [index.name.into()]);
    let is_valid: Option<bool> =
        connection.query_one_raw(statement).await?.map(|row| row.try_get("", "is_valid")).transpose()?;
    if is_valid == Some(true) {
        return Ok(());
    }
    if is_valid == Some(false) {
        connection.execute_unprepared(&format!("DROP INDEX CONCURRENTLY {}", index.name)).await?;
    }
    tracing::info!(index = index.name, "building an index");
    connection.execute_unprepared(&index.create_statement(true)).await?;
    Ok(())
}
