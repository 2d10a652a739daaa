//! Background jobs: stored in the transaction of the change that needs them, run afterwards at least once.

mod claim;
pub mod retention;
pub mod admin;
mod pg_listener;
mod outbox_relay;
mod runner;
pub mod schedule;
mod registry;
mod worker;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use serde::{Serialize, de::DeserializeOwned};

use super::{Db, Tx};
use crate::base::{Error, Result};

pub use admin::JobStatus;
pub use registry::JobRegistry;
pub use worker::Worker;

/// A background job. Its payload contains keys instead of rows: rows are read when the job runs. The payload is not
/// shown to anyone, but must contain no secrets.
pub trait BackgroundJob: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of the job. It must never change, because stored jobs refer to it.
    const KIND: &'static str;
    /// The queue. Concurrency is limited per queue; queues do not wait for each other.
    const QUEUE: &'static str = "default";
    /// The maximum number of attempts; `jobs.attempts` if `None`.
    const MAX_ATTEMPTS: Option<u32> = None;

    /// Returns the deduplication key: a job is not stored while an unfinished job of the same kind has the same key.
    fn dedup_key(&self) -> Option<String> {
        None
    }
}

/// The outcome of a job. Messages are shown to staff: no secrets, no SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// The job is done.
    Done,
    /// The job failed and is retried later, until its attempts are exhausted.
    Retry(String),
    /// The job failed permanently and becomes a dead letter.
    Fail(String),
}

impl From<Result<()>> for JobOutcome {
    /// Internal errors are logged and retried; user errors are permanent.
    fn from(outcome: Result<()>) -> Self {
        match outcome {
            Ok(()) => Self::Done,
            Err(error @ Error::Internal(_)) => {
                tracing::warn!(error = error.log_message(), "job failed");
                Self::Retry(error.to_public_error().message)
            }
            Err(error) => Self::Fail(error.to_public_error().to_string()),
        }
    }
}

/// Registers event subscriptions and schedules in the database, so that relays create deliveries for them. An instance
/// that only emits events does so too, because running workers may be of a version without some of the handlers.
///
/// # Errors
/// Returns an error if the registry is invalid.
pub async fn register_job_handlers(db: &Db, registry: &JobRegistry) -> Result<()> {
    registry.validate().map_err(|error| Error::internal("validating the job registry", error))?;
    db.write(async |tx| {
        outbox_relay::register_subscriptions(tx, registry).await?;
        schedule::register_schedules(tx, registry).await
    })
    .await
}

impl Tx {
    /// Enqueues a job in this transaction. Statements: 1.
    pub async fn enqueue_job<J: BackgroundJob>(&self, job: J) -> Result<()> {
        self.enqueue_job_at(job, self.now()).await
    }

    /// Enqueues a job that is due at `run_at`.
    pub async fn enqueue_job_at<J: BackgroundJob>(&self, job: J, run_at: DateTime<Utc>) -> Result<()> {
        let payload = serde_json::to_value(&job).map_err(|error| Error::internal("serializing a job", error))?;
        insert_job(self, (J::QUEUE, J::KIND), (job.dedup_key(), payload), run_at).await
    }
}

async fn insert_job(
    tx: &Tx,
    (queue, kind): (&str, &str),
    (dedup_key, payload): (Option<String>, serde_json::Value),
    run_at: DateTime<Utc>,
) -> Result<()> {
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO job (queue, kind, dedup_key, payload, status, run_at, attempts, created_at, updated_at) VALUES (",
    );
    sql.bind(queue).push(", ").bind(kind).push(", ").bind(dedup_key).push(", ").bind(payload);
    sql.push(", 'pending', ").bind(run_at).push(", 0, ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(
        ") ON CONFLICT (kind, dedup_key) WHERE dedup_key IS NOT NULL AND status IN ('pending', 'running') DO NOTHING",
    );
    tx.execute_raw(sql.into_statement()).await?;
    tx.notify_workers_on_commit();
    Ok(())
}
