//! The registry of event handlers, job handlers and schedules.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

use cron::Schedule as Cron;
use futures_util::future::BoxFuture;

use super::{BackgroundJob, JobOutcome, claimed_job::ClaimedJob};
use crate::{
    base::Result,
    infra::{
        JobContext, Tx,
        outbox::{DeliveredEvent, Event},
    },
};

/// The queue of scheduled jobs.
pub(super) const SCHEDULE_QUEUE: &str = "schedule";

/// An event handler: `async fn(&Tx, &DeliveredEvent<E>) -> Result<()>`. Its writes and the completion of the delivery
/// are committed together, so they happen exactly once. It must not call external services; it enqueues a job for that.
pub trait EventHandler<'a, E>: Send + Sync + 'static {
    /// Handles an event.
    fn handle(&self, tx: &'a Tx, event: &'a DeliveredEvent<E>) -> BoxFuture<'a, Result<()>>;
}

impl<'a, E: 'a, F, Done> EventHandler<'a, E> for F
where
    F: Fn(&'a Tx, &'a DeliveredEvent<E>) -> Done + Send + Sync + 'static,
    Done: Future<Output = Result<()>> + Send + 'a,
{
    fn handle(&self, tx: &'a Tx, event: &'a DeliveredEvent<E>) -> BoxFuture<'a, Result<()>> {
        Box::pin(self(tx, event))
    }
}

/// A job handler: `async fn(&JobContext, J) -> JobOutcome`, outside of any transaction. It is called at least once, so
/// its external effects must be idempotent.
pub trait JobHandler<'a, J>: Send + Sync + 'static {
    /// Performs a job.
    fn perform(&self, context: &'a JobContext, job: J) -> BoxFuture<'a, JobOutcome>;
}

impl<'a, J, F, Done> JobHandler<'a, J> for F
where
    F: Fn(&'a JobContext, J) -> Done + Send + Sync + 'static,
    Done: Future<Output = JobOutcome> + Send + 'a,
{
    fn perform(&self, context: &'a JobContext, job: J) -> BoxFuture<'a, JobOutcome> {
        Box::pin(self(context, job))
    }
}

/// A scheduled task: `async fn(&JobContext) -> Result<()>`, outside of any transaction, at least once for each run.
pub trait ScheduledTask<'a>: Send + Sync + 'static {
    /// Runs the task.
    fn run(&self, context: &'a JobContext) -> BoxFuture<'a, Result<()>>;
}

impl<'a, F, Done> ScheduledTask<'a> for F
where
    F: Fn(&'a JobContext) -> Done + Send + Sync + 'static,
    Done: Future<Output = Result<()>> + Send + 'a,
{
    fn run(&self, context: &'a JobContext) -> BoxFuture<'a, Result<()>> {
        Box::pin(self(context))
    }
}

type EventHandlerFn = dyn for<'a> Fn(&'a Tx, &'a ClaimedJob) -> BoxFuture<'a, Result<()>> + Send + Sync;
type JobHandlerFn = dyn for<'a> Fn(&'a JobContext, &'a ClaimedJob) -> BoxFuture<'a, JobOutcome> + Send + Sync;

/// The execution mode of a kind of job.
#[derive(Clone)]
pub(super) enum ExecutionMode {
    /// In the transaction that completes the job.
    Transactional(Arc<EventHandlerFn>),
    /// Outside of any transaction.
    NonTransactional(Arc<JobHandlerFn>),
}

/// The registration of a kind of job.
pub(super) struct JobRegistration {
    pub(super) queue: &'static str,
    pub(super) max_attempts: Option<u32>,
    pub(super) max_retry_delay: Option<Duration>,
    pub(super) releases_dedup_key: bool,
    pub(super) mode: ExecutionMode,
}

/// An event type that a consumer handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subscription {
    pub(super) consumer: &'static str,
    pub(super) event_type: &'static str,
}

/// A schedule by name.
pub(super) struct ScheduleEntry {
    pub(super) name: &'static str,
    pub(super) cron_expression: &'static str,
    pub(super) schedule: Result<Cron, String>,
}

/// All event handlers, job handlers and schedules; `crate::job_registry` builds the application's.
#[derive(Default)]
pub struct JobRegistry {
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) registrations: BTreeMap<String, JobRegistration>,
    pub(super) schedules: Vec<ScheduleEntry>,
    /// The kinds that were registered twice.
    duplicate_kinds: Vec<String>,
}

impl fmt::Debug for JobRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRegistry").field("kinds", &self.registrations.keys()).finish_non_exhaustive()
    }
}

impl JobRegistry {
    /// Registers an event handler under a consumer name. A consumer may handle several kinds of events. It receives the
    /// events of one aggregate in order, each after the previous one is done or discarded.
    #[must_use]
    pub fn on_event<E: Event>(mut self, name: &'static str, handler: impl for<'a> EventHandler<'a, E>) -> Self {
        let handler = Arc::new(handler);
        let handler_fn: Arc<EventHandlerFn> = Arc::new(move |tx, claimed| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let event: DeliveredEvent<E> = claimed.decode_event()?;
                handler.handle(tx, &event).await
            })
        });
        self.subscriptions.push(Subscription { consumer: name, event_type: E::KIND });
        let registration = JobRegistration {
            queue: name,
            max_attempts: None,
            max_retry_delay: None,
            releases_dedup_key: false,
            mode: ExecutionMode::Transactional(handler_fn),
        };
        self.register_kind(format!("{name}/{}", E::KIND), registration)
    }

    /// Registers the handler of a kind of job.
    #[must_use]
    pub fn with_job<J: BackgroundJob>(self, handler: impl for<'a> JobHandler<'a, J>) -> Self {
        let handler = Arc::new(handler);
        let handler_fn: Arc<JobHandlerFn> = Arc::new(move |context, claimed| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                match claimed.decode_job() {
                    Ok(job) => handler.perform(context, job).await,
                    Err(error) => JobOutcome::from(Err(error)),
                }
            })
        });
        let registration = JobRegistration {
            queue: J::QUEUE,
            max_attempts: J::MAX_ATTEMPTS,
            max_retry_delay: J::MAX_RETRY_DELAY,
            releases_dedup_key: J::RELEASES_DEDUP_KEY,
            mode: ExecutionMode::NonTransactional(handler_fn),
        };
        self.register_kind(J::KIND.to_owned(), registration)
    }

    /// Registers a scheduled task. `cron_expression` has the fields seconds, minutes, hours, days of month, months,
    /// days of week, in UTC. Runs missed while no worker was running are made up for by one run.
    #[must_use]
    pub fn with_schedule(
        mut self,
        name: &'static str,
        cron_expression: &'static str,
        task: impl for<'a> ScheduledTask<'a>,
    ) -> Self {
        let task = Arc::new(task);
        let handler_fn: Arc<JobHandlerFn> = Arc::new(move |context, _| {
            let task = Arc::clone(&task);
            Box::pin(async move { JobOutcome::from(task.run(context).await) })
        });
        let schedule = Cron::from_str(cron_expression).map_err(|error| error.to_string());
        self.schedules.push(ScheduleEntry { name, cron_expression, schedule });
        self.register_kind(
            name.to_owned(),
            JobRegistration {
                queue: SCHEDULE_QUEUE,
                max_attempts: None,
                max_retry_delay: None,
                releases_dedup_key: false,
                mode: ExecutionMode::NonTransactional(handler_fn),
            },
        )
    }

    fn register_kind(mut self, kind: String, registration: JobRegistration) -> Self {
        if self.registrations.contains_key(&kind) {
            self.duplicate_kinds.push(kind.clone());
        }
        self.registrations.insert(kind, registration);
        self
    }

    /// Returns the names of the queues.
    #[must_use]
    pub fn queue_names(&self) -> Vec<&'static str> {
        self.delivery_queues().into_keys().collect()
    }

    /// Returns the queues, each with whether it contains event deliveries.
    pub(super) fn delivery_queues(&self) -> BTreeMap<&'static str, bool> {
        self.registrations
            .values()
            .map(|registration| (registration.queue, matches!(registration.mode, ExecutionMode::Transactional(_))))
            .collect()
    }

    /// Validates the registry.
    ///
    /// # Errors
    /// Returns a message for the developer.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(kind) = self.duplicate_kinds.first() {
            return Err(format!("`{kind}` is registered twice"));
        }
        if let Some(Subscription { consumer, .. }) =
            self.subscriptions.iter().find(|subscription| subscription.consumer.contains('/'))
        {
            return Err(format!("`{consumer}` is not a valid name of a consumer: it contains a /"));
        }
        for entry in &self.schedules {
            if let Err(error) = &entry.schedule {
                return Err(format!("`{}` of {} is not a cron expression: {error}", entry.cron_expression, entry.name));
            }
        }
        Ok(())
    }
}
