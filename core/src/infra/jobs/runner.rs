//! The worker's main loop: woken by notifications and by finished tasks, with polling as fallback.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    claim, outbox_relay,
    queries::{self, DueWork},
    schedule,
    worker::Worker,
};
use crate::base::Result;

/// The delay after a failed search for due jobs.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// The interval at which the subscriptions are registered again.
const SUBSCRIPTION_REFRESH_INTERVAL: TimeDelta = TimeDelta::hours(1);
/// The number of attempts to release unfinished jobs at shutdown.
const RELEASE_ATTEMPTS: u32 = 40;
/// The delay after an attempt to release unfinished jobs.
const RELEASE_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The pending work, from one query.
#[derive(Debug, Default)]
struct Backlog {
    has_events: bool,
    next_schedule_at: Option<DateTime<Utc>>,
    next_due_at_by_queue: BTreeMap<&'static str, DateTime<Utc>>,
}

/// The running tasks, whose ends wake the loop, and the free slots of each queue.
struct RunningTasks {
    tasks: JoinSet<()>,
    free_slots: BTreeMap<&'static str, Arc<Semaphore>>,
}

impl Worker {
    /// Runs until the shutdown; then running jobs may finish within the timeout, and the rest is released.
    pub async fn run(self: &Arc<Self>, shutdown: &CancellationToken, timeout: Duration) {
        let config = &self.context.config;
        let free_slots_of = |queue: &&'static str| (*queue, Arc::new(Semaphore::new(config.queue_concurrency(queue))));
        let mut running_tasks = RunningTasks {
            tasks: JoinSet::new(),
            free_slots: self.delivery_queues.keys().map(free_slots_of).collect(),
        };
        let _listener_task = self.context.db.job_notifier().listen(&config.database);
        let _lease_task = AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).maintain_leases()));
        let mut wake_signal = self.context.db.job_notifier().subscribe();
        let mut is_healthy = true;
        loop {
            wake_signal.borrow_and_update();
            let wait_duration = match self.start_due_work(&mut running_tasks, shutdown).await {
                Ok(wait_duration) => {
                    if !is_healthy {
                        tracing::info!("worker recovered");
                    }
                    is_healthy = true;
                    wait_duration
                }
                Err(error) => {
                    if is_healthy {
                        tracing::warn!(
                            error = error.log_message(),
                            "searching for due jobs failed; retrying every second"
                        );
                    }
                    is_healthy = false;
                    RETRY_INTERVAL
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = wake_signal.changed() => {}
                Some(_) = running_tasks.tasks.join_next() => {}
                () = tokio::time::sleep(wait_duration) => {}
            }
            while running_tasks.tasks.try_join_next().is_some() {}
        }
        self.shut_down(running_tasks, timeout).await;
    }

    /// Starts due work; returns the time until the next check. Claims no job after the shutdown.
    async fn start_due_work(
        self: &Arc<Self>,
        running_tasks: &mut RunningTasks,
        shutdown: &CancellationToken,
    ) -> Result<Duration> {
        let db = &self.context.db;
        let mut backlog = self.load_backlog().await?;
        let now = db.now();
        if backlog.has_events && outbox_relay::relay_events(db).await? > 0 {
            backlog.next_due_at_by_queue.extend(
                self.delivery_queues
                    .iter()
                    .filter(|(_, is_delivery_queue)| **is_delivery_queue)
                    .map(|(queue, _)| (*queue, now)),
            );
        }
        let mut wait_duration = self.context.config.jobs.poll_interval;
        let mut wait_until =
            |due_at: DateTime<Utc>| wait_duration = wait_duration.min((due_at - now).to_std().unwrap_or_default());
        match backlog.next_schedule_at {
            Some(due_at) if due_at <= now => {
                schedule::start_due_schedules(db, &self.registry).await?;
                backlog.next_due_at_by_queue.insert(super::registry::SCHEDULE_QUEUE, now);
            }
            Some(due_at) => wait_until(due_at),
            None => {}
        }
        for (queue, due_at) in backlog.next_due_at_by_queue {
            let Some(free_slots) = running_tasks.free_slots.get(queue).filter(|_| due_at <= now) else {
                wait_until(due_at);
                continue;
            };
            let free_task_count = free_slots.available_permits();
            // The shutdown is read after the slots: a slot that became free after it is not used.
            if free_task_count == 0 || shutdown.is_cancelled() {
                continue;
            }
            for batch in self.claim_batches(queue, free_task_count).await? {
                let (worker, permit) = (Arc::clone(self), Arc::clone(free_slots).try_acquire_owned());
                running_tasks.tasks.spawn(async move {
                    worker.run_batch(batch).await;
                    drop(permit);
                });
            }
        }
        Ok(wait_duration)
    }

    /// Loads the pending work. Statements: 1, which reads only the first entries of indexes.
    async fn load_backlog(&self) -> Result<Backlog> {
        let mut backlog = Backlog::default();
        for DueWork { source, due_at } in
            queries::find_due_work(&self.context.db, self.delivery_queues.keys().copied()).await?
        {
            match (source.as_str(), due_at) {
                (_, None) => {}
                (queries::EVENT_SOURCE, Some(_)) => backlog.has_events = true,
                (queries::SCHEDULE_SOURCE, due_at) => backlog.next_schedule_at = due_at,
                (source, Some(due_at)) => {
                    backlog
                        .next_due_at_by_queue
                        .extend(self.delivery_queues.get_key_value(source).map(|(queue, _)| (*queue, due_at)));
                }
            }
        }
        Ok(backlog)
    }

    /// Extends the leases of running jobs and refreshes the subscriptions, until it is dropped.
    async fn maintain_leases(self: Arc<Self>) {
        let db = &self.context.db;
        let lease_duration = self.context.config.jobs.lease_duration;
        let mut registered_at = db.now();
        loop {
            tokio::time::sleep(lease_duration / 3).await;
            if let Err(error) = claim::extend_leases(db, &self.id, &self.running_job_ids(), lease_duration).await {
                tracing::warn!(error = error.log_message(), "could not extend job leases");
            }
            if db.now() - registered_at < SUBSCRIPTION_REFRESH_INTERVAL {
                continue;
            }
            registered_at = db.now();
            if let Err(error) =
                db.write(async |tx| outbox_relay::register_subscriptions(tx, &self.registry).await).await
            {
                tracing::warn!(error = error.log_message(), "could not register event subscriptions");
            }
        }
    }

    fn running_job_ids(&self) -> Vec<i64> {
        self.running_job_ids.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    async fn shut_down(&self, mut running_tasks: RunningTasks, timeout: Duration) {
        let all_finished = async { while running_tasks.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(timeout, all_finished).await.is_ok() {
            return;
        }
        running_tasks.tasks.shutdown().await;
        let job_ids = self.running_job_ids();
        tracing::warn!(jobs = job_ids.len(), "jobs still running at shutdown; releasing them");
        let mut remaining = job_ids.len() as u64;
        // The rows of an aborted transaction are locked until the database has noticed the abort.
        for _ in 0..RELEASE_ATTEMPTS {
            match claim::release_jobs(&self.context.db, &self.id, &job_ids).await {
                Ok(released_count) => remaining = remaining.saturating_sub(released_count),
                Err(error) => {
                    tracing::warn!(error = error.log_message(), "could not release jobs; their leases will expire");
                }
            }
            if remaining == 0 {
                return;
            }
            tokio::time::sleep(RELEASE_RETRY_DELAY).await;
        }
    }
}
