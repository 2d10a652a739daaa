//! The worker: relays events, starts due schedules and runs due jobs.

use std::{
    collections::{BTreeMap, HashSet},
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::FutureExt;
use tracing::{Instrument, Span};
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
    infra::{
        JobContext,
        backoff::Backoff,
        call_batcher::CallBatcher,
        telemetry::{self, span_export::is_tracing_enabled, trace_context::continue_stored_trace},
    },
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
    /// Jobs that are done at the same time are completed in one transaction.
    completions: CallBatcher<ClaimedJob, ()>,
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
        Ok(Self {
            context,
            registry,
            delivery_queues,
            id,
            running_job_ids: Mutex::default(),
            completions: CallBatcher::default(),
        })
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
        let registrations = self.registry.registrations.iter().filter(|(_, registration)| registration.queue == queue);
        let kinds: Vec<&str> = registrations.clone().map(|(kind, _)| kind.as_str()).collect();
        let key_releasing = registrations.filter(|(_, registration)| registration.releases_dedup_key);
        let key_releasing_kinds: Vec<&str> = key_releasing.map(|(kind, _)| kind.as_str()).collect();
        let (worker_id, lease_duration) = (self.id.as_str(), self.context.config.jobs.lease_duration);
        let request = ClaimRequest {
            worker_id,
            queue,
            kinds: &kinds,
            key_releasing_kinds: &key_releasing_kinds,
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
                self.run_job(&job).instrument(create_job_span(&job)).await;
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
                handler(tx, job).instrument(create_job_span(job)).await?;
            }
            Ok(())
        }));
        let has_committed = matches!(outcome.await, Some(Ok(())));
        if has_committed {
            for job in batch {
                self.count_attempt(job, "done");
            }
        }
        has_committed
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
                    Some(Ok(())) => return self.count_attempt(job, "done"),
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
        self.count_attempt(job, self.outcome_label(job, &outcome));
        let stored = if outcome == JobOutcome::Done {
            self.completions.call(job.clone(), |jobs| self.complete_jobs(jobs)).await
        } else {
            claim::store_outcome(db, &self.id, FinishedAttempt { job, outcome }, self.retry_policy(job)).await
        };
        if let Err(error) = stored {
            // The job is retried when its lease expires.
            tracing::warn!(job = job.id, kind = job.kind, error = error.log_message(), "could not store job result");
        }
    }

    async fn complete_jobs(&self, jobs: Vec<ClaimedJob>) -> Result<Vec<()>> {
        self.context.db.write(async |tx| claim::complete_jobs(tx, &self.id, &jobs).await).await?;
        Ok(vec![(); jobs.len()])
    }

    /// Returns the label value of the outcome of an attempt.
    fn outcome_label(&self, job: &ClaimedJob, outcome: &JobOutcome) -> &'static str {
        match outcome {
            JobOutcome::Done => "done",
            JobOutcome::Retry(_) if job.attempts.unsigned_abs() < self.retry_policy(job).max_attempts => "retried",
            JobOutcome::Retry(_) | JobOutcome::Fail(_) => "dead",
        }
    }

    /// Counts a finished attempt.
    fn count_attempt(&self, job: &ClaimedJob, outcome: &'static str) {
        if let Some(metrics) = telemetry::metrics()
            && let Some(registration) = self.registry.registrations.get(&job.kind)
        {
            metrics.count_job_attempt(registration.queue, outcome);
        }
    }

    fn execution_mode(&self, job: &ClaimedJob) -> Option<ExecutionMode> {
        self.registry.registrations.get(&job.kind).map(|registration| registration.mode.clone())
    }

    fn retry_policy(&self, job: &ClaimedJob) -> RetryPolicy {
        let registration = self.registry.registrations.get(&job.kind);
        let config = &self.context.config.jobs;
        let max_attempts = registration.and_then(|registration| registration.max_attempts);
        let max_delay = registration.and_then(|registration| registration.max_retry_delay);
        RetryPolicy {
            max_attempts: max_attempts.unwrap_or(config.max_attempts),
            backoff: Backoff {
                first: config.backoff,
                max: max_delay.map_or(config.max_backoff, |delay| delay.min(config.max_backoff)),
            },
        }
    }

    fn has_exhausted_attempts(&self, job: &ClaimedJob) -> bool {
        job.attempts.unsigned_abs() > self.retry_policy(job).max_attempts
    }
}

/// Creates the span of a job, which continues the trace of the request that enqueued it.
fn create_job_span(job: &ClaimedJob) -> Span {
    if !is_tracing_enabled() {
        return Span::none();
    }
    let span = tracing::info_span!("job", otel.name = job.kind, otel.kind = "consumer", job = job.id);
    continue_stored_trace(&span, job.trace_context.as_deref());
    span
}

/// Returns the result, or `None` on a panic, which must not affect other jobs.
async fn catch_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}
