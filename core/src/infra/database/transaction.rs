//! Database transactions.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    vec,
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement, prelude::async_trait,
};
use tokio::sync::OwnedSemaphorePermit;
use tracing::Span;

use super::{Connections, Db, run_to_completion};
use crate::{
    base::{Error, Result},
    infra::{
        QueryStats, RequestOrigin, SqlBuilder,
        cache::CacheTag,
        query_stats::BudgetEnforcement,
        telemetry::{self, Measurement, trace_context::create_statement_span},
    },
};

/// A write transaction.
#[derive(Debug)]
pub struct Tx {
    inner: DatabaseTransaction,
    connections: Arc<Connections>,
    now: DateTime<Utc>,
    query_stats: Option<Arc<QueryStats>>,
    request_origin: Arc<RequestOrigin>,
    notify_on_commit: AtomicBool,
    /// Tags of cached values that the changes of this transaction invalidate.
    changed_tags: Mutex<Vec<CacheTag>>,
    /// What to count after the commit.
    measurements: Mutex<Vec<Measurement>>,
    write_permit: OwnedSemaphorePermit,
}

impl Tx {
    pub(super) fn new(db: &Db, inner: DatabaseTransaction, write_permit: OwnedSemaphorePermit) -> Self {
        Self {
            inner,
            connections: Arc::clone(&db.connections),
            now: db.now(),
            query_stats: db.query_stats.clone(),
            request_origin: Arc::clone(&db.request_origin),
            notify_on_commit: AtomicBool::new(false),
            changed_tags: Mutex::default(),
            measurements: Mutex::default(),
            write_permit,
        }
    }

    /// Returns the transaction's time, the same for all its statements.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Returns the actor and the request of the transaction.
    #[must_use]
    pub fn origin(&self) -> &RequestOrigin {
        &self.request_origin
    }

    /// Creates an SQL builder for this database.
    #[must_use]
    pub fn sql(&self) -> SqlBuilder {
        SqlBuilder::new(self.inner.get_database_backend())
    }

    /// Notifies the workers after this transaction has committed, because it stored an event or a job.
    pub(in crate::infra) fn notify_workers_on_commit(&self) {
        self.notify_on_commit.store(true, Ordering::Relaxed);
    }

    /// Invalidates cached values after this transaction has committed, before its writer continues.
    pub fn invalidate_on_commit(&self, tags: impl IntoIterator<Item = CacheTag>) {
        self.changed_tags.lock().unwrap_or_else(PoisonError::into_inner).extend(tags);
    }

    /// Counts something after this transaction has committed, if metrics are recorded.
    pub fn measure_on_commit(&self, measurement: impl FnOnce() -> Measurement) {
        if telemetry::metrics().is_some() {
            self.measurements.lock().unwrap_or_else(PoisonError::into_inner).push(measurement());
        }
    }

    pub(super) async fn commit(self, db: &Db) -> Result<()> {
        let Self { inner, connections, notify_on_commit, changed_tags, measurements, write_permit, .. } = self;
        let measurements = measurements.into_inner().unwrap_or_else(PoisonError::into_inner);
        let changed_tags = changed_tags.into_inner().unwrap_or_else(PoisonError::into_inner);
        let tag_versions = Arc::clone(&db.tag_versions);
        let job_notifier = notify_on_commit.into_inner().then(|| Arc::clone(&db.job_notifier));
        let commit = async move {
            let outcome = inner.commit().await;
            // Even if the commit failed: a connection that was lost may have lost the response of a commit.
            tag_versions.invalidate(&changed_tags);
            outcome?;
            drop(write_permit);
            measurements.into_iter().for_each(Measurement::record);
            if let Some(job_notifier) = job_notifier {
                job_notifier.notify(&connections.writer);
            }
            Ok(())
        };
        Ok(run_to_completion(commit).await?)
    }

    pub(super) async fn roll_back(self) {
        let Self { inner, write_permit, .. } = self;
        let rollback = async move {
            let outcome = inner.rollback().await;
            drop(write_permit);
            outcome
        };
        // The first error is the one reported; a connection that cannot roll back is closed.
        if let Err(error) = run_to_completion(rollback).await {
            tracing::warn!(error = %error, "rollback failed");
        }
    }

    /// Allocates ids for `count` new rows of a table, so that rows that reference each other can be inserted together.
    pub async fn allocate_ids(&self, table: &'static str, count: usize) -> Result<vec::IntoIter<i64>> {
        let count = i64::try_from(count).map_err(|error| Error::internal("allocating row ids", error))?;
        if count == 0 {
            return Ok(Vec::new().into_iter());
        }
        let mut sql = self.sql();
        if sql.is_postgres() {
            sql.push(&format!(
                "SELECT nextval(pg_get_serial_sequence('{table}', 'id')) AS key FROM generate_series(1, "
            ))
            .bind(count)
            .push(")");
            let rows = self.query_all_raw(sql.into_statement()).await?;
            let ids: Vec<i64> = rows.iter().map(|row| row.try_get("", "key")).collect::<Result<_, _>>()?;
            return Ok(ids.into_iter());
        }
        // SQLite has one writer, so the ids after the last one are free.
        sql.push(&format!(
            "SELECT MAX(COALESCE((SELECT MAX(id) FROM {table}), 0), \
             COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), 0)) AS key"
        ));
        let row = self.query_one_raw(sql.into_statement()).await?;
        let last_id: i64 = row.map_or(Ok(0), |row| row.try_get("", "key"))?;
        Ok((last_id + 1..=last_id + count).collect::<Vec<_>>().into_iter())
    }

    async fn run_statement<T>(
        &self,
        span: Span,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        self.connections.start_write_statement();
        QueryStats::run_statement(self.query_stats.as_ref(), BudgetEnforcement::Exempt, span, statement).await
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run_statement(create_statement_span(&statement.sql), self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.run_statement(create_statement_span(sql), self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.run_statement(create_statement_span(&statement.sql), self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.run_statement(create_statement_span(&statement.sql), self.inner.query_all_raw(statement)).await
    }
}
