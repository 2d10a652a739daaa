//! Claiming, completing and releasing jobs. Worker id and attempt number form the lease; a worker that has lost either
//! cannot complete the job.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{BackgroundJob, JobOutcome};
use crate::{
    base::{Error, Result},
    infra::{
        Db, SqlBuilder, Tx,
        config::JobsConfig,
        outbox::{DeliveredEvent, Event},
    },
};

/// The maximum length of a stored error. Characters.
const MAX_ERROR_LENGTH: usize = 500;

/// A job claimed by this worker.
#[derive(Debug, Clone, FromQueryResult)]
pub struct ClaimedJob {
    /// The job's id.
    pub id: i64,
    /// The kind of the job.
    pub kind: String,
    /// The number of the attempt, from 1.
    pub attempts: i32,
    payload: Option<Value>,
    event_id: Option<i64>,
    event_payload: Option<Value>,
    event_created_at: Option<DateTime<Utc>>,
}

impl ClaimedJob {
    /// Returns the event to deliver.
    pub(super) fn decode_event<E: Event>(&self) -> Result<DeliveredEvent<E>> {
        let (Some(id), Some(occurred_at), Some(payload)) = (self.event_id, self.event_created_at, &self.event_payload)
        else {
            return Err(Error::internal("decoding an event", "the job has no event"));
        };
        Ok(DeliveredEvent { id, occurred_at, event: deserialize_json(payload, "decoding an event")? })
    }

    /// Returns the payload of the job.
    pub(super) fn decode_job<J: BackgroundJob>(&self) -> Result<J> {
        deserialize_json(self.payload.as_ref().unwrap_or(&Value::Null), "decoding a job")
    }
}

fn deserialize_json<T: DeserializeOwned>(value: &Value, operation: &'static str) -> Result<T> {
    T::deserialize(value).map_err(|error| Error::internal(operation, error))
}

/// The parameters of a claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClaimRequest<'a> {
    pub(super) worker_id: &'a str,
    pub(super) queue: &'a str,
    /// The kinds registered in this worker.
    pub(super) kinds: &'a [&'a str],
    pub(super) limit: usize,
    pub(super) lease_duration: Duration,
    /// Whether the queue contains event deliveries.
    pub(super) is_delivery_queue: bool,
}

/// Lets a transaction commit without waiting for the disk. Only for changes inside the database, which are repeated if
/// a crash loses them. Claiming a job with external effects commits synchronously, and with it everything committed
/// before.
pub(super) async fn disable_synchronous_commit(tx: &Tx) -> Result<()> {
    if tx.sql().is_postgres() {
        tx.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
    }
    Ok(())
}

/// Selects the due jobs of a queue: of each ordering key only the earliest unfinished one, and no job leased by another
/// worker unless the lease has expired.
fn push_due_jobs_query(sql: &mut SqlBuilder, request: &ClaimRequest<'_>, now: DateTime<Utc>) {
    sql.push("SELECT j.id AS key FROM job AS j WHERE j.queue = ").bind(request.queue);
    sql.push(" AND j.status IN ('pending', 'running') AND j.run_at <= ").bind(now).push(" AND ");
    sql.eq_any_text("j.kind", request.kinds.iter().copied());
    sql.push(
        " AND NOT EXISTS (SELECT 1 FROM job AS e WHERE e.ordering_key = j.ordering_key AND e.id < j.id \
         AND e.status IN ('pending', 'running')) ORDER BY j.run_at, j.id LIMIT ",
    );
    sql.push(&request.limit.to_string());
}

/// Claims due jobs in order. Writes nothing if none is due.
pub(super) async fn claim_jobs(db: &Db, request: &ClaimRequest<'_>) -> Result<Vec<ClaimedJob>> {
    if !db.sql().is_postgres() {
        // On SQLite a read is cheap, while a write waits for the only writer.
        let mut sql = db.sql();
        push_due_jobs_query(&mut sql, &ClaimRequest { limit: 1, ..*request }, db.now());
        if db.query_one_raw(sql.into_statement()).await?.is_none() {
            return Ok(Vec::new());
        }
    }
    let claimed = db.write(async |tx| {
        if request.is_delivery_queue {
            disable_synchronous_commit(tx).await?;
        }
        let mut sql = tx.sql();
        sql.push("WITH picked AS (");
        push_due_jobs_query(&mut sql, request, tx.now());
        sql.push(if sql.is_postgres() { " FOR NO KEY UPDATE SKIP LOCKED)" } else { ")" });
        sql.push(" UPDATE job SET status = 'running', attempts = attempts + 1, locked_by = ").bind(request.worker_id);
        sql.push(", run_at = ")
            .bind(lease_end(tx.now(), request.lease_duration))
            .push(", updated_at = ")
            .bind(tx.now());
        sql.push(
            " FROM picked WHERE job.id = picked.key RETURNING id, kind, attempts, payload, event_id, \
             (SELECT o.payload FROM outbox_event AS o WHERE o.id = event_id) AS event_payload, \
             (SELECT o.created_at FROM outbox_event AS o WHERE o.id = event_id) AS event_created_at",
        );
        let rows = tx.query_all_raw(sql.into_statement()).await?;
        Ok(rows.iter().map(|row| ClaimedJob::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?)
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
    let mut sql = tx.sql();
    let rows = jobs.iter().map(|job| json!([job.id, job.attempts])).collect();
    sql.with_rows(&[("key", "bigint"), ("attempt", "int")], rows);
    sql.push("UPDATE job SET status = 'done', run_at = NULL, locked_by = NULL, last_error = NULL, updated_at = ");
    sql.bind(tx.now()).push(" FROM given WHERE job.id = given.key AND attempts = given.attempt AND locked_by = ");
    sql.bind(worker_id).push(" AND status = 'running'");
    let changed_count = tx.execute_raw(sql.into_statement()).await?.rows_affected();
    if changed_count == jobs.len() as u64 {
        return Ok(());
    }
    Err(Error::internal("completing jobs", "another worker has claimed one"))
}

/// Stores the outcome of a job: done, another attempt later, or dead.
pub(super) async fn store_outcome(
    db: &Db,
    worker_id: &str,
    job: &ClaimedJob,
    (outcome, max_attempts, config): (JobOutcome, u32, &JobsConfig),
) -> Result<()> {
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
        let mut sql = tx.sql();
        sql.push("UPDATE job SET locked_by = NULL, status = ").bind(if is_last { "dead" } else { "pending" });
        sql.push(", run_at = ").bind((!is_last).then_some(next_run_at)).push(", last_error = ").bind(error_message);
        sql.push(", updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(job.id);
        sql.push(" AND attempts = ").bind(job.attempts).push(" AND locked_by = ").bind(worker_id);
        sql.push(" AND status = 'running'");
        if tx.execute_raw(sql.into_statement()).await?.rows_affected() == 0 {
            return Err(Error::internal("storing a job's failure", "another worker has claimed it"));
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
pub(super) async fn extend_leases(
    db: &Db,
    (worker_id, lease_duration): (&str, Duration),
    job_ids: &[i64],
) -> Result<u64> {
    update_running_jobs(db, (worker_id, job_ids), "run_at = ", Some(lease_duration)).await
}

/// Releases unfinished jobs for other workers; the attempt is not counted.
pub(super) async fn release_jobs(db: &Db, worker_id: &str, job_ids: &[i64]) -> Result<u64> {
    update_running_jobs(
        db,
        (worker_id, job_ids),
        "status = 'pending', locked_by = NULL, attempts = attempts - 1, run_at = ",
        None,
    )
    .await
}

async fn update_running_jobs(
    db: &Db,
    (worker_id, job_ids): (&str, &[i64]),
    set_clause: &str,
    lease_duration: Option<Duration>,
) -> Result<u64> {
    if job_ids.is_empty() {
        return Ok(0);
    }
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("WITH picked AS (SELECT id AS key FROM job WHERE locked_by = ").bind(worker_id);
        sql.push(" AND status = 'running' AND ").eq_any("id", job_ids.iter().copied());
        sql.push(if sql.is_postgres() { " ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) " } else { ") " });
        sql.push("UPDATE job SET ").push(set_clause).bind(lease_end(tx.now(), lease_duration.unwrap_or_default()));
        sql.push(", updated_at = ").bind(tx.now()).push(" FROM picked WHERE job.id = picked.key");
        if lease_duration.is_none() {
            tx.notify_workers_on_commit();
        }
        Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
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
