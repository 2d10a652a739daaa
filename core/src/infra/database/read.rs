//! Reads without a transaction: on the replica or the primary, counted, and repeated if a connection was lost.

use futures_util::{TryStreamExt, future::BoxFuture};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement, StreamTrait,
    prelude::async_trait,
};

use super::{Db, ReadConnections};
use crate::infra::{
    QueryStats, SqlBuilder, query_stats::BudgetEnforcement, telemetry::trace_context::create_statement_span,
};

impl Db {
    /// Reads rows one after another and adds each to a value, so that their number does not decide how much memory is used.
    ///
    /// # Errors
    /// Returns the error of the database, or of `add`.
    pub async fn fold_rows<T, F>(&self, sql: SqlBuilder, add: F) -> Result<T, DbErr>
    where
        T: Default + Send + 'static,
        F: Fn(&mut T, &QueryResult) -> Result<(), DbErr> + Copy + Send + Sync + 'static,
    {
        self.read(sql.into_statement(), |connection, statement| {
            Box::pin(async move {
                let mut rows = connection.stream_raw(statement).await?;
                let mut folded = T::default();
                while let Some(row) = rows.try_next().await? {
                    add(&mut folded, &row)?;
                }
                Ok(folded)
            })
        })
        .await
    }

    /// Runs a read on the replica or the primary; repeats it once on another connection if the connection to the primary
    /// was lost.
    async fn read<T>(
        &self,
        statement: Statement,
        run: impl for<'c> Fn(&'c DatabaseConnection, Statement) -> BoxFuture<'c, Result<T, DbErr>> + Send + Sync,
    ) -> Result<T, DbErr> {
        let is_pooled = matches!(self.connections.readers, ReadConnections::Pooled { .. });
        let retry_statement = is_pooled.then(|| statement.clone());
        let span = create_statement_span(&statement.sql);
        let stats = self.query_stats.as_ref();
        let _read = self.connections.demand.begin_read();
        let connection = self.connections.acquire_reader().await?;
        let outcome = QueryStats::run_statement(stats, BudgetEnforcement::Enforced, span.clone(), async {
            match self.read_from_replica(|replica| run(replica, statement.clone())).await {
                Some(outcome) => outcome,
                None => run(&connection, statement).await,
            }
        })
        .await;
        match (outcome, retry_statement) {
            (Err(error), Some(statement)) if self.connections.record_connection_loss(&error) => {
                let retry = run(&connection, statement);
                QueryStats::run_statement(stats, BudgetEnforcement::Enforced, span, retry).await
            }
            (outcome, _) => outcome,
        }
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Db {
    fn get_database_backend(&self) -> DbBackend {
        self.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let _read = self.connections.demand.begin_read();
        let connection = self.connections.acquire_reader().await?;
        let span = create_statement_span(&statement.sql);
        QueryStats::run_statement(
            self.query_stats.as_ref(),
            BudgetEnforcement::Enforced,
            span,
            connection.execute_raw(statement),
        )
        .await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let _read = self.connections.demand.begin_read();
        let connection = self.connections.acquire_reader().await?;
        QueryStats::run_statement(
            self.query_stats.as_ref(),
            BudgetEnforcement::Enforced,
            create_statement_span(sql),
            connection.execute_unprepared(sql),
        )
        .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.read(statement, |connection, statement| connection.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.read(statement, |connection, statement| connection.query_all_raw(statement)).await
    }
}
