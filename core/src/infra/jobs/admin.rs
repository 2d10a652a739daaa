//! Administration of jobs: list, retry, discard.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, IntoActiveModel,
    QueryFilter, QuerySelect, Set, sea_query::LockType,
};
use serde_json::json;

use crate::{
    base::{
        Error, Result,
        error::PublicErrorCode,
        global_id::NodeType,
        pagination::{Page, PageRequest},
    },
    infra::{
        AuditRecord, Db, SqlBuilder, Tx,
        entity::{JobStatus, job, outbox_event},
        eq_any,
        keyset::{self, KeysetOrder},
    },
};

/// A job without its payload.
#[derive(Debug, Clone, DerivePartialModel)]
#[sea_orm(entity = "job::Entity")]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct JobRow {
    pub id: i64,
    pub queue: String,
    pub kind: String,
    pub status: JobStatus,
    pub attempts: i32,
    pub run_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub event_id: Option<i64>,
    #[sea_orm(from_expr = "outbox_event::Column::Aggregate.into_expr()")]
    pub aggregate: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A filter of jobs. Fields that are `None` do not filter.
#[derive(Debug, Clone, Default)]
pub struct JobRowFilter {
    /// The status.
    pub status: Option<JobStatus>,
    /// The queue.
    pub queue: Option<String>,
    /// The kind.
    pub kind: Option<String>,
}

/// Newest first.
const JOB_ORDER: KeysetOrder = KeysetOrder { tag: 'j', columns: &[], id_column: "j.id", descending: true };

impl JobRow {
    /// Returns the job's cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        JOB_ORDER.cursor(Vec::new(), self.id)
    }
}

/// Returns a page of jobs, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_jobs(db: &Db, filter: &JobRowFilter, request: &PageRequest) -> Result<Page<JobRow>> {
    let mut sql = db.sql();
    sql.push(
        "SELECT j.id, j.queue, j.kind, j.status, j.attempts, j.run_at, j.last_error, j.event_id, o.aggregate, \
         j.created_at, j.updated_at FROM job AS j LEFT JOIN outbox_event AS o ON o.id = j.event_id",
    );
    filter.push_conditions(&mut sql);
    JOB_ORDER.load_page(db, sql, request).await
}

/// Returns the number of jobs. Statements: 1.
pub async fn count_jobs(db: &Db, filter: &JobRowFilter) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM job AS j");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

impl JobRowFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let Self { status, queue, kind } = self;
        sql.push(" WHERE true");
        if let Some(status) = status {
            sql.push(" AND j.status = ").bind(*status);
        }
        if let Some(queue) = queue {
            sql.push(" AND j.queue = ").bind(queue.as_str());
        }
        if let Some(kind) = kind {
            sql.push(" AND j.kind = ").bind(kind.as_str());
        }
    }
}

/// Returns jobs by id. Statements: 1.
pub async fn find_jobs(db: &impl ConnectionTrait, ids: &[i64]) -> Result<HashMap<i64, JobRow>> {
    let query = job::Entity::find().filter(eq_any(db, job::Column::Id, ids.iter().copied()));
    let rows: Vec<JobRow> = query.left_join(outbox_event::Entity).into_partial_model().all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Returns a job by id. Statements: 1.
pub async fn find_job(db: &impl ConnectionTrait, id: i64) -> Result<Option<JobRow>> {
    Ok(job::Entity::find_by_id(id).left_join(outbox_event::Entity).into_partial_model().one(db).await?)
}

/// Retries a dead or discarded job with a fresh attempt count; a pending job becomes due now.
///
/// # Errors
/// Returns `NotFound`, `IllegalTransition` if the job is running or done, or `AlreadyExists` if an equal job is
/// pending.
pub async fn retry_job(db: &Db, id: i64) -> Result<JobRow> {
    db.write(async |tx| {
        let before = lock_job(tx, id).await?;
        if !matches!(before.status, JobStatus::Pending | JobStatus::Dead | JobStatus::Discarded) {
            return Err(illegal_transition(&before, "retried", "one that is pending, dead or discarded"));
        }
        let mut changes = before.clone().into_active_model();
        changes.status = Set(JobStatus::Pending);
        changes.attempts = Set(0);
        changes.run_at = Set(Some(tx.now()));
        let after = update_job(tx, changes).await.map_err(|error| {
            if error.is_unique_violation() {
                Error::user(PublicErrorCode::AlreadyExists, "id", "an equal job is already waiting")
            } else {
                error
            }
        })?;
        record_decision(tx, "job.retry", &before, &after).await
    })
    .await
}

/// Discards a pending or dead job.
///
/// # Errors
/// Returns `NotFound`, or `IllegalTransition` if the job is running, done or discarded.
pub async fn discard_job(db: &Db, id: i64) -> Result<JobRow> {
    db.write(async |tx| {
        let before = lock_job(tx, id).await?;
        if !matches!(before.status, JobStatus::Pending | JobStatus::Dead) {
            return Err(illegal_transition(&before, "discarded", "one that is pending or dead"));
        }
        let mut changes = before.clone().into_active_model();
        changes.status = Set(JobStatus::Discarded);
        changes.run_at = Set(None);
        let after = update_job(tx, changes).await?;
        record_decision(tx, "job.discard", &before, &after).await
    })
    .await
}

async fn lock_job(tx: &Tx, id: i64) -> Result<job::Model> {
    let row = job::Entity::find_by_id(id).lock(LockType::NoKeyUpdate).one(tx).await?;
    row.ok_or_else(|| Error::not_found("id", "job"))
}

async fn update_job(tx: &Tx, mut changes: job::ActiveModel) -> Result<job::Model> {
    changes.updated_at = Set(tx.now());
    let after = changes.update(tx).await?;
    // The job, or the next one of its ordering key, may run.
    tx.notify_workers_on_commit();
    Ok(after)
}

fn illegal_transition(row: &job::Model, attempted_action: &str, allowed_statuses: &str) -> Error {
    let status = row.status.to_value();
    let message = format!("a job that is {status} cannot be {attempted_action}; only {allowed_statuses} can");
    Error::user(PublicErrorCode::IllegalTransition, "id", message)
}

async fn record_decision(tx: &Tx, action: &'static str, before: &job::Model, after: &job::Model) -> Result<JobRow> {
    let to_audit_json =
        |row: &job::Model| Some(json!({ "kind": row.kind, "status": row.status.to_value(), "attempts": row.attempts }));
    tx.record_audit(&[AuditRecord {
        action,
        entity: (NodeType::Job, after.id),
        before: to_audit_json(before),
        after: to_audit_json(after),
    }])
    .await?;
    find_job(tx, after.id).await?.ok_or_else(|| Error::not_found("id", "job"))
}
