//! Changing the database's schema: in one transaction, and by one process at a time.

use migration::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use super::Db;

/// The advisory lock that whoever changes the schema on PostgreSQL holds: the letters of "savannah" as a number.
const SCHEMA_LOCK: i64 = 0x7361_7661_6e6e_6168;

impl Db {
    /// How many migrations have not been applied yet. Changes nothing.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn count_pending_migrations(&self) -> Result<usize, DbErr> {
        Ok(Migrator::get_pending_migrations_read_only(self.owner()).await?.len())
    }

    /// Brings the schema up to date; or undoes so many of the newest changes. All of it or nothing, also when the
    /// process is killed: PostgreSQL and SQLite both undo changes of the schema with their transaction. Others who want
    /// the same wait, and then find it done.
    ///
    /// # Errors
    /// When a migration fails.
    pub async fn change_schema(&self, down: Option<u32>) -> Result<(), DbErr> {
        let transaction = self.connections.begin().await?;
        if self.backend() == DbBackend::Postgres {
            let lock = format!("SELECT pg_advisory_xact_lock({SCHEMA_LOCK})");
            transaction.execute_unprepared(&lock).await?;
        }
        match down {
            Some(steps) => Migrator::down(&transaction, Some(steps)).await?,
            None => Migrator::up(&transaction, None).await?,
        }
        transaction.commit().await
    }
}
