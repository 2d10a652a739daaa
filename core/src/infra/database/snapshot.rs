//! Read snapshots: several statements that see one state of the database.

use sea_orm::{
    AccessMode, DatabaseTransaction, DbBackend, IsolationLevel, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

use super::{Db, run_to_completion};
use crate::base::Result;

impl Db {
    /// Runs `work` in a read-only transaction, whose statements all see the state at the first one. Writers do not wait
    /// for it.
    ///
    /// # Errors
    /// Returns the error of `work` or of the database.
    pub async fn read_snapshot<T>(&self, work: impl AsyncFnOnce(&DatabaseTransaction) -> Result<T>) -> Result<T> {
        let is_postgres = self.backend() == DbBackend::Postgres;
        let options = TransactionOptions {
            isolation_level: is_postgres.then_some(IsolationLevel::RepeatableRead),
            access_mode: is_postgres.then_some(AccessMode::ReadOnly),
            sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
        };
        let reader = self.connections.acquire_reader().await?;
        let connection = (*reader).clone();
        let snapshot = run_to_completion(async move { connection.begin_with_options(options).await }).await?;
        let outcome = work(&snapshot).await;
        // Nothing was written. The first error is the one reported.
        let ended = run_to_completion(snapshot.rollback()).await;
        let result = outcome?;
        ended?;
        Ok(result)
    }
}
