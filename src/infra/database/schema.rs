//! Schema migrations: in one transaction, by one process at a time.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::Db;

/// The key of PostgreSQL's advisory lock for migrations: the bytes of "savannah" as a number.
const SCHEMA_LOCK_KEY: i64 = 0x7361_7661_6e6e_6168;

impl Db {
    /// Returns the number of pending migrations. Changes nothing.
    pub async fn count_pending_migrations(&self) -> Result<usize, DbErr> {
        Ok(Migrator::get_pending_migrations_read_only(self.writer_connection()).await?.len())
    }

    /// Applies all pending migrations, or reverts the last `down_steps`. All or nothing, also if the process is killed:
    /// both databases have transactional DDL. Concurrent callers wait and then find the schema current.
    ///
    /// # Errors
    /// Returns an error if a migration fails.
    pub async fn migrate_schema(&self, down_steps: Option<u32>) -> Result<(), DbErr> {
        let transaction = self.connections.begin_transaction().await?;
        if self.backend() == DbBackend::Postgres {
            let lock_statement = format!("SELECT pg_advisory_xact_lock({SCHEMA_LOCK_KEY})");
            transaction.execute_unprepared(&lock_statement).await?;
        }
        match down_steps {
            Some(steps) => Migrator::down(&transaction, Some(steps)).await?,
            None => Migrator::up(&transaction, None).await?,
        }
        transaction.commit().await
    }
}
