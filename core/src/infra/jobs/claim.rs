//! Claiming, completing and releasing jobs. Worker id and attempt number form the lease; a worker that has lost either
//! cannot complete the job.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{
    JobOutcome,
    claimed_job::{ClaimRequest, ClaimedJob},
    events::JobFailed,
    queries::{self, JobChanges},
};
use crate::{
    base::{Error, Result},
    infra::{
        Db, Tx,
        backoff::Backoff,
        entity::{
            JobStatus,
            job::{self, Column},
        },
    },
};

/// The maximum length of a stored error. Characters.
const MAX_ERROR_LENGTH: usize = 500;

/// Claims due jobs in order. Writes nothing if none is due.
pub(super) async fn claim_jobs(db: &Db, request: &ClaimRequest<'_>) -> Result<Vec<ClaimedJob>> {
    // On SQLite a read is cheap, while a write waits for the only writer.
    if !db.sql().is_postgres() && !queries::has_due_jobs(db, request).await? {
        return Ok(Vec::new());
    }
    let claimed = db.write(async |tx| {
        if request.is_delivery_queue {
            queries::disable_synchronous_commit(tx).await?;
        }
        queries::claim_due_jobs(tx, request, lease_end(tx.now(), request.lease_duration)).await
    });
    let mut claimed = claimed.await?;
    claimed.sort_unstable_by_key(|job| job.id);
    Ok(claimed)
}

fn lease_end(now: DateTime<Utc>, lease_duration: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(lease_duration).unwrap_or_default()
}

/// Completes jobs. Statements: 1.
///
/// # Errors
/// Returns an error if another worker has claimed one of them; the transaction must then roll back.
pub(super) async fn complete_jobs(tx: &Tx, worker_id: &str, jobs: &[ClaimedJob]) -> Result<()> {
    if queries::mark_jobs_done(tx, worker_id, jobs).await? == jobs.len() as u64 {
        return Ok(());
    }
    Err(Error::internal("completing jobs", "another worker has claimed one"))
}

/// The limits of further attempts of a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
}

/// A job with the outcome of its attempt.
#[derive(Debug)]
pub(super) struct FinishedAttempt<'a> {
    pub(super) job: &'a ClaimedJob,
    pub(super) outcome: JobOutcome,
}

/// Stores the outcome of a job: done, another attempt later, or dead. Jobs that are done are usually completed together.
pub(super) async fn store_outcome(
    db: &Db,
    worker_id: &str,
    finished: FinishedAttempt<'_>,
    retry_policy: RetryPolicy,
) -> Result<()> {
    let FinishedAttempt { job, outcome } = finished;
    let RetryPolicy { max_attempts, backoff } = retry_policy;
    let (error_message, is_last) = match outcome {
        JobOutcome::Done => {
            return db.write(async |tx| complete_jobs(tx, worker_id, std::slice::from_ref(job)).await).await;
        }
        JobOutcome::Retry(error_message) => (error_message, job.attempts.unsigned_abs() >= max_attempts),
        JobOutcome::Fail(error_message) => (error_message, true),
    };
    let error_message: String = error_message.chars().take(MAX_ERROR_LENGTH).collect();
    db.write(async |tx| {
        let next_run_at = tx.now() + backoff.delay_after(job.id, job.attempts);
        let status = if is_last { JobStatus::Dead } else { JobStatus::Pending };
        let updated = job::Entity::update_many()
            .col_expr(Column::Status, Expr::value(status))
            .col_expr(Column::LockedBy, Expr::value(None::<String>))
            .col_expr(Column::RunAt, Expr::value((!is_last).then_some(next_run_at)))
            .col_expr(Column::LastError, Expr::value(error_message))
            .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
            .filter(Column::Id.eq(job.id))
            .filter(Column::Attempts.eq(job.attempts))
            .filter(Column::LockedBy.eq(worker_id))
            .filter(Column::Status.eq(JobStatus::Running))
            .exec(tx)
            .await?;
        if updated.rows_affected == 0 {
            return Err(Error::internal("storing a job's failure", "another worker has claimed it"));
        }
        if is_last {
            tx.emit_event(JobFailed { job: job.id }).await?;
        }
        // The next job of its ordering key may run.
        tx.notify_workers_on_commit();
        Ok(())
    })
    .await
}

/// Extends the leases of running jobs. Rows locked by a transaction that completes them are skipped.
pub(super) async fn extend_leases(db: &Db, worker_id: &str, job_ids: &[i64], lease_duration: Duration) -> Result<u64> {
    if job_ids.is_empty() {
        return Ok(0);
    }
    db.write(async |tx| {
        let changes = JobChanges::ExtendLease(lease_end(tx.now(), lease_duration));
        queries::update_running_jobs(tx, worker_id, job_ids, changes).await
    })
    .await
}

/// Releases unfinished jobs for other workers; the attempt is not counted.
pub(super) async fn release_jobs(db: &Db, worker_id: &str, job_ids: &[i64]) -> Result<u64> {
    if job_ids.is_empty() {
        return Ok(0);
    }
    db.write(async |tx| {
        tx.notify_workers_on_commit();
        queries::update_running_jobs(tx, worker_id, job_ids, JobChanges::Release).await
    })
    .await
}
