//! The worker: relays events, starts due schedules and runs due jobs.

use std::{
    collections::{BTreeMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt;
use uuid::Uuid;

use super::{
    JobOutcome,
    claim::{self, FinishedAttempt, RetryPolicy},
    claimed_job::{ClaimRequest, ClaimedJob},
    outbox_relay, queries,
    registry::{ExecutionMode, JobRegistry},
    schedule,
};
use crate::{
    base::{Error, Result},
    infra::JobContext,
};

/// The maximum number of deliveries handled in one transaction.
const DELIVERY_BATCH_SIZE: usize = 20;

/// A worker. There is one per worker process; tests run it until it is idle.
#[derive(Debug)]
pub struct Worker {
    pub(super) context: JobContext,
    pub(super) registry: Arc<JobRegistry>,
    pub(super) delivery_queues: BTreeMap<&'static str, bool>,
    /// The worker's id, unique across processes and restarts.
    pub(super) id: String,
    /// The ids of the running jobs.
    pub(super) running_job_ids: Mutex<HashSet<i64>>,
}

/// The jobs of one task: one job, or several deliveries handled in one transaction.
pub(super) type WorkBatch = Vec<ClaimedJob>;

impl Worker {
    /// Creates a worker and registers the handlers in the database.
    ///
    /// # Errors
    /// Returns an error if the registry is invalid.
    pub async fn create(context: JobContext, registry: Arc<JobRegistry>) -> Result<Self> {
        super::register_job_handlers(&context.db, &registry).await?;
        let delivery_queues = registry.delivery_queues();
        let id = format!("{}-{}", std::process::id(), Uuid::now_v7().simple());
        Ok(Self { context, registry, delivery_queues, id, running_job_ids: Mutex::default() })
    }

    /// Runs everything that is due, sequentially; returns the number of processed events and jobs.
    pub async fn run_until_idle(&self) -> Result<u64> {
        let mut total_count = 0;
        loop {
            let mut done_count = outbox_relay::relay_events(&self.context.db).await?
                + schedule::start_due_schedules(&self.context.db, &self.registry).await?;
            for queue in self.delivery_queues.keys() {
                for batch in self.claim_batches(queue, 1).await? {
                    done_count += batch.len() as u64;
                    self.run_batch(batch).await;
                }
            }
            total_count += done_count;
            if done_count == 0 {
                return Ok(total_count);
            }
        }
    }

    /// Claims due jobs of a queue, for at most `tasks` tasks.
    pub(super) async fn claim_batches(&self, queue: &'static str, tasks: usize) -> Result<Vec<WorkBatch>> {
        let is_delivery_queue = self.delivery_queues.get(queue).copied().unwrap_or_default();
        let batch_limit = if is_delivery_queue { DELIVERY_BATCH_SIZE } else { 1 };
        let registrations =
            self.registry.registrations.iter().filter(|(_, registrations)| registrations.queue == queue);
        let kinds: Vec<&str> = registrations.map(|(kind, _)| kind.as_str()).collect();
        let (worker_id, lease_duration) = (self.id.as_str(), self.context.config.jobs.lease_duration);
        let request = ClaimRequest {
            worker_id,
            queue,
            kinds: &kinds,
            limit: tasks * batch_limit,
            lease_duration,
            is_delivery_queue,
        };
        let claimed = claim::claim_jobs(&self.context.db, &request).await?;
        let mut running_job_ids = self.running_job_ids.lock().unwrap_or_else(PoisonError::into_inner);
        running_job_ids.extend(claimed.iter().map(|job| job.id));
        // Distributed over the tasks; deliveries share a transaction only when there are more than tasks.
        let batch_size = claimed.len().div_ceil(tasks.max(1)).clamp(1, batch_limit);
        Ok(claimed.chunks(batch_size).map(<[ClaimedJob]>::to_vec).collect())
    }

    /// Runs a claimed batch and stores its outcome.
    pub(super) async fn run_batch(&self, batch: WorkBatch) {
        let job_ids: Vec<i64> = batch.iter().map(|job| job.id).collect();
        if batch.len() < 2 || !self.run_batch_in_transaction(&batch).await {
            for job in batch {
                self.run_job(&job).await;
            }
        }
        let mut running_job_ids = self.running_job_ids.lock().unwrap_or_else(PoisonError::into_inner);
        for job_id in job_ids {
            running_job_ids.remove(&job_id);
        }
    }

    /// Handles deliveries in one transaction; returns whether it committed. Otherwise nothing has changed.
    async fn run_batch_in_transaction(&self, batch: &[ClaimedJob]) -> bool {
        let outcome = catch_panic(self.context.db.write(async |tx| {
            queries::disable_synchronous_commit(tx).await?;
            claim::complete_jobs(tx, &self.id, batch).await?;
            for job in batch {
                let Some(ExecutionMode::Transactional(handler)) = self.execution_mode(job) else {
                    return Err(Error::internal("handling deliveries", "the batch contains a job"));
                };
                if self.has_exhausted_attempts(job) {
                    return Err(Error::internal("handling deliveries", "a delivery has no attempts left"));
                }
                handler(tx, job).await?;
            }
            Ok(())
        }));
        matches!(outcome.await, Some(Ok(())))
    }

    async fn run_job(&self, job: &ClaimedJob) {
        let db = &self.context.db;
        let outcome = match self.execution_mode(job) {
            // Its workers disappeared so often that the job may be what crashes them.
            _ if self.has_exhausted_attempts(job) => {
                Some(JobOutcome::Fail("the worker stopped before the job was done".into()))
            }
            None => Some(JobOutcome::Fail("no handler is registered for this kind of job".into())),
            Some(ExecutionMode::NonTransactional(handler)) => catch_panic(handler(&self.context, job)).await,
            Some(ExecutionMode::Transactional(handler)) => {
                let outcome = catch_panic(db.write(async |tx| {
                    queries::disable_synchronous_commit(tx).await?;
                    claim::complete_jobs(tx, &self.id, std::slice::from_ref(job)).await?;
                    handler(tx, job).await
                }));
                match outcome.await {
                    Some(Ok(())) => return,
                    Some(Err(error)) => {
                        tracing::warn!(
                            job = job.id,
                            kind = job.kind,
                            error = error.log_message(),
                            "event handler failed"
                        );
                        Some(JobOutcome::Retry(error.to_public_error().to_string()))
                    }
                    None => None,
                }
            }
        };
        let outcome = outcome.unwrap_or_else(|| JobOutcome::Retry("the handler panicked".into()));
        match &outcome {
            JobOutcome::Done => {}
            JobOutcome::Retry(reason) | JobOutcome::Fail(reason) => {
                tracing::warn!(job = job.id, kind = job.kind, attempt = job.attempts, reason = reason, "job failed");
            }
        }
        let retry_policy = RetryPolicy { max_attempts: self.max_attempts(job), config: &self.context.config.jobs };
        let finished = FinishedAttempt { job, outcome };
        if let Err(error) = claim::store_outcome(db, &self.id, finished, retry_policy).await {
            // The job is retried when its lease expires.
            tracing::warn!(job = job.id, kind = job.kind, error = error.log_message(), "could not store job result");
        }
    }

    fn execution_mode(&self, job: &ClaimedJob) -> Option<ExecutionMode> {
        self.registry.registrations.get(&job.kind).map(|registration| registration.mode.clone())
    }

    fn max_attempts(&self, job: &ClaimedJob) -> u32 {
        let own_limit = self.registry.registrations.get(&job.kind).and_then(|registration| registration.max_attempts);
        own_limit.unwrap_or(self.context.config.jobs.max_attempts)
    }

    fn has_exhausted_attempts(&self, job: &ClaimedJob) -> bool {
        job.attempts.unsigned_abs() > self.max_attempts(job)
    }
}

/// Returns the result, or `None` on a panic, which must not affect other jobs.
async fn catch_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}
