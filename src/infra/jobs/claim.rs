//! Claiming, completing and releasing jobs. Worker id and attempt number form the lease; a worker that has lost either
//! cannot complete the job.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

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
        config::JobsConfig,
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
pub(super) struct RetryPolicy<'a> {
    pub(super) max_attempts: u32,
    pub(super) config: &'a JobsConfig,
}

/// A job with the outcome of its attempt.
#[derive(Debug)]
pub(super) struct FinishedAttempt<'a> {
    pub(super) job: &'a ClaimedJob,
    pub(super) outcome: JobOutcome,
}

/// Stores the outcome of a job: done, another attempt later, or dead.
pub(super) async fn store_outcome(
    db: &Db,
    worker_id: &str,
    finished: FinishedAttempt<'_>,
    retry_policy: RetryPolicy<'_>,
) -> Result<()> {
    let FinishedAttempt { job, outcome } = finished;
    let RetryPolicy { max_attempts, config } = retry_policy;
    let (error_message, is_last) = match outcome {
        JobOutcome::Done => {
            return db.write(async |tx| complete_jobs(tx, worker_id, std::slice::from_ref(job)).await).await;
        }
        JobOutcome::Retry(error_message) => (error_message, job.attempts.unsigned_abs() >= max_attempts),
        JobOutcome::Fail(error_message) => (error_message, true),
    };
    let error_message: String = error_message.chars().take(MAX_ERROR_LENGTH).collect();
    db.write(async |tx| {
        let next_run_at = tx.now() + retry_delay(config, job.id, job.attempts);
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

/// Returns the delay before the next attempt: it doubles with each attempt up to a limit, minus a jitter of up to one
/// half, so that jobs that failed together are not retried together. The jitter is derived from the job's id and the
/// attempt.
fn retry_delay(config: &JobsConfig, job_id: i64, attempts: i32) -> TimeDelta {
    let factor = 2_u32.saturating_pow(attempts.unsigned_abs().saturating_sub(1));
    let max_delay = config.backoff.saturating_mul(factor).min(config.max_backoff);
    let mut hasher = DefaultHasher::new();
    (job_id, attempts).hash(&mut hasher);
    let jitter_permille = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    let jitter = max_delay.saturating_mul(jitter_permille) / 2000;
    TimeDelta::from_std(max_delay.saturating_sub(jitter)).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_doubles_up_to_its_limit_with_jitter() {
        let config = JobsConfig {
            max_attempts: 10,
            backoff: Duration::from_secs(2),
            max_backoff: Duration::from_mins(1),
            lease_duration: Duration::from_mins(1),
            poll_interval: Duration::from_secs(1),
            concurrency: 4,
            queue_concurrency: Vec::new(),
            retention: Duration::from_hours(24 * 30),
            audit_log_retention: Duration::from_hours(24 * 1095),
        };
        for (attempt, seconds) in [(1, 2), (2, 4), (3, 8), (6, 60), (40, 60), (i32::MAX, 60)] {
            let max_delay = TimeDelta::seconds(seconds);
            let delays: Vec<_> = (1..50).map(|job_id| retry_delay(&config, job_id, attempt)).collect();
            assert!(delays.iter().all(|delay| *delay <= max_delay && *delay >= max_delay / 2), "{attempt}: {delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]), "{attempt}");
        }
    }
}
