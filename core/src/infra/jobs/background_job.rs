//! Background jobs and their outcomes; enqueues them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    EntityTrait, Set,
    sea_query::{Expr, OnConflict},
};
use serde::{Serialize, de::DeserializeOwned};

use super::queries;
use crate::{
    base::{Error, Result},
    infra::{
        Tx,
        entity::{JobStatus, job},
        telemetry::trace_context::current_trace_context,
    },
};

/// A background job. Its payload contains keys instead of rows: rows are read when the job runs. The payload is not
/// shown to anyone, but must contain no secrets.
pub trait BackgroundJob: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of the job. It must never change, because stored jobs refer to it.
    const KIND: &'static str;
    /// The queue. Concurrency is limited per queue; queues do not wait for each other.
    const QUEUE: &'static str = "default";
    /// The maximum number of attempts; `jobs.max_attempts` if `None`.
    const MAX_ATTEMPTS: Option<u32> = None;
    /// The maximum delay between attempts; `jobs.max_backoff` if `None` or if that is less.
    const MAX_RETRY_DELAY: Option<Duration> = None;
    /// Whether the job loses its deduplication key when it starts, so that an equal job that is enqueued from then on is
    /// stored: a job that reads its work when it runs misses none.
    const RELEASES_DEDUP_KEY: bool = false;

    /// Returns the deduplication key: a job is not stored while an unfinished job of the same kind has the same key.
    fn dedup_key(&self) -> Option<String> {
        None
    }

    /// Returns the ordering key: jobs with equal keys run one at a time, in the order in which they were stored.
    fn ordering_key(&self) -> Option<String> {
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

impl Tx {
    /// Enqueues a job in this transaction. Statements: 1.
    pub async fn enqueue_job<J: BackgroundJob>(&self, job: J) -> Result<()> {
        self.enqueue_job_at(job, self.now()).await
    }

    /// Enqueues a job that is due at `run_at`.
    pub async fn enqueue_job_at<J: BackgroundJob>(&self, job: J, run_at: DateTime<Utc>) -> Result<()> {
        let payload = serde_json::to_value(&job).map_err(|error| Error::internal("serializing a job", error))?;
        let new_job = job::ActiveModel {
            queue: Set(J::QUEUE.to_owned()),
            kind: Set(J::KIND.to_owned()),
            dedup_key: Set(job.dedup_key()),
            ordering_key: Set(job.ordering_key()),
            payload: Set(Some(payload)),
            trace_context: Set(current_trace_context()),
            run_at: Set(Some(run_at)),
            ..Default::default()
        };
        insert_job(self, new_job).await
    }

    /// Enqueues jobs with deduplication keys that are due at `run_at`, in the order of the slice. A pending job with an
    /// equal key becomes due at `run_at`, if that is earlier. Statements: 1 for any number, none without jobs.
    pub async fn enqueue_or_advance_jobs<J: BackgroundJob>(&self, jobs: &[J], run_at: DateTime<Utc>) -> Result<()> {
        self.enqueue_or_advance_jobs_at(jobs.iter().map(|job| (job, run_at))).await
    }

    /// Enqueues jobs with deduplication keys, each due at a time of its own, as [`Self::enqueue_or_advance_jobs`] does.
    pub async fn enqueue_or_advance_jobs_at<'a, J: BackgroundJob>(
        &self,
        jobs: impl Iterator<Item = (&'a J, DateTime<Utc>)>,
    ) -> Result<()> {
        let trace_context = current_trace_context();
        let to_row = |(job, run_at): (&J, DateTime<Utc>)| {
            let payload = serde_json::to_value(job).map_err(|error| Error::internal("serializing a job", error))?;
            Ok(job::ActiveModel {
                queue: Set(J::QUEUE.to_owned()),
                kind: Set(J::KIND.to_owned()),
                dedup_key: Set(job.dedup_key()),
                ordering_key: Set(job.ordering_key()),
                payload: Set(Some(payload)),
                trace_context: Set(trace_context.clone()),
                status: Set(JobStatus::Pending),
                run_at: Set(Some(run_at)),
                attempts: Set(0),
                created_at: Set(self.now()),
                updated_at: Set(self.now()),
                ..Default::default()
            })
        };
        let rows = jobs.map(to_row).collect::<Result<Vec<_>>>()?;
        if rows.is_empty() {
            return Ok(());
        }
        queries::insert_or_advance_jobs(self, &rows).await?;
        self.notify_workers_on_commit();
        Ok(())
    }
}

/// Inserts a pending job, unless an unfinished one of the same kind has its deduplication key.
pub(super) async fn insert_job(tx: &Tx, new_job: job::ActiveModel) -> Result<()> {
    let row = job::ActiveModel {
        status: Set(JobStatus::Pending),
        attempts: Set(0),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..new_job
    };
    let unfinished_duplicate = OnConflict::columns([job::Column::Kind, job::Column::DedupKey])
        .target_and_where(Expr::cust("dedup_key IS NOT NULL AND status IN ('pending', 'running')"))
        .do_nothing()
        .to_owned();
    job::Entity::insert(row).on_conflict(unfinished_duplicate).exec_without_returning(tx).await?;
    tx.notify_workers_on_commit();
    Ok(())
}
