//! The job that sends the pending deliveries of an endpoint. There is at most one at a time for an endpoint, so it needs
//! no other lock, and an endpoint that answers slowly occupies one slot of the queue.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};

use super::{
    WebhookEventType,
    attempt::{EndpointTarget, FinishedDelivery, attempt_delivery},
    attempt_log::{FinishedRound, NextStep, enqueue_next_jobs, record_rounds},
    entity::{WebhookEndpointStatus, webhook_endpoint, webhook_event},
    queries::{self, DueDelivery},
};
use crate::{
    base::Result,
    identity::Permissions,
    infra::{
        Db, JobContext,
        call_batcher::CallBatcher,
        config::WEBHOOK_DELIVERY_QUEUE,
        jobs::{BackgroundJob, JobOutcome},
        sql_builder::group_by_owner,
    },
};

/// Maximum number of requests to an endpoint at the same time.
const MAX_IN_FLIGHT: usize = 8;
/// Maximum number of deliveries of a round, whose results are stored together.
const MAX_ROUND_SIZE: usize = 32;
/// Time after which a round begins no requests, so that its results are stored soon.
const MAX_ROUND_DURATION: Duration = Duration::from_secs(1);
/// Number of rounds after which a job lets others have its slot.
const MAX_ROUNDS: u32 = 50;
/// Delay of a failing endpoint while all slots of failing endpoints are in use.
const FAILING_SLOT_DELAY: TimeDelta = TimeDelta::seconds(1);

/// Sends the pending deliveries of an endpoint.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct DeliverWebhooks {
    /// The endpoint.
    pub endpoint_id: i64,
}

impl BackgroundJob for DeliverWebhooks {
    const KIND: &'static str = "DeliverWebhooks";
    const QUEUE: &'static str = WEBHOOK_DELIVERY_QUEUE;
    const RELEASES_DEDUP_KEY: bool = true;

    fn dedup_key(&self) -> Option<String> {
        Some(self.endpoint_id.to_string())
    }

    fn ordering_key(&self) -> Option<String> {
        // `queries::find_stalled_endpoints` finds the job by this key.
        Some(format!("webhook {}", self.endpoint_id))
    }
}

/// An execution of the payload query of an endpoint.
#[derive(Debug, Clone)]
pub struct PayloadRequest {
    /// Text of the query.
    pub query: String,
    /// Global ids of the event's objects, for the variables `$id` and `$ids`.
    pub subject_ids: Vec<String>,
    /// Type of the event.
    pub event_type: WebhookEventType,
    /// Permissions of the endpoint.
    pub permissions: Permissions,
    /// Account that registered the endpoint; it limits the permissions.
    pub account_id: Option<i64>,
}

/// A function that executes payload queries. Returns the data, or a message for staff.
type RenderFn = dyn Fn(PayloadRequest) -> BoxFuture<'static, Result<serde_json::Value, String>> + Send + Sync;

/// Executes payload queries; the GraphQL schema, which is above this module, provides it.
#[derive(Clone)]
pub struct PayloadRenderer(Arc<RenderFn>);

impl fmt::Debug for PayloadRenderer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PayloadRenderer").finish_non_exhaustive()
    }
}

impl PayloadRenderer {
    /// Creates a renderer.
    pub fn new(
        render: impl Fn(PayloadRequest) -> BoxFuture<'static, Result<serde_json::Value, String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(render))
    }

    /// Executes a payload query.
    ///
    /// # Errors
    /// Returns a message for staff.
    pub async fn render(&self, request: PayloadRequest) -> Result<serde_json::Value, String> {
        (self.0)(request).await
    }
}

/// Sends webhooks; shared by all jobs of a worker.
#[derive(Debug, Clone)]
pub struct WebhookSender {
    pub(super) renderer: PayloadRenderer,
    /// Number of running jobs of failing endpoints.
    failing_count: Arc<AtomicUsize>,
    /// Rounds that begin at the same time are loaded together ...
    loads: Arc<CallBatcher<i64, Option<LoadedRound>>>,
    /// ... and rounds that end at the same time are stored in one transaction.
    records: Arc<CallBatcher<Arc<FinishedRound>, NextStep>>,
}

/// A slot of a failing endpoint.
struct FailingSlot(Arc<AtomicUsize>);

impl Drop for FailingSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl WebhookSender {
    /// Creates a sender.
    #[must_use]
    pub fn new(renderer: PayloadRenderer) -> Self {
        Self { renderer, failing_count: Arc::default(), loads: Arc::default(), records: Arc::default() }
    }

    /// Runs the job.
    pub async fn run_delivery_job(&self, context: &JobContext, job: DeliverWebhooks) -> JobOutcome {
        self.send_pending(context, job).await.into()
    }

    /// Sends deliveries in rounds until none is due. Statements: 3 to 12 for each round, shared with the rounds of other
    /// endpoints that begin or end at the same time.
    async fn send_pending(&self, context: &JobContext, job: DeliverWebhooks) -> Result<()> {
        let db = &context.db;
        let mut slot = None;
        for round in 1..=MAX_ROUNDS {
            // Events that were stored before the job was claimed are seen; later ones have enqueued another job, which
            // waits for this one.
            let loaded = self.loads.call(job.endpoint_id, |ids| load_rounds(db, ids)).await?;
            let Some(LoadedRound { endpoint, due, events }) = loaded else { return Ok(()) };
            if let Some(resume_at) = endpoint.resume_at.filter(|resume_at| *resume_at > db.now()) {
                return enqueue_at(context, job, resume_at).await;
            }
            let is_failing = endpoint.failure_count > 0;
            if !is_failing {
                slot = None;
            } else if slot.is_none() {
                slot = self.take_failing_slot(context.config.webhooks.failing_concurrency);
                if slot.is_none() {
                    return enqueue_at(context, job, db.now() + FAILING_SLOT_DELAY).await;
                }
            }
            let (blocked, mut due): (Vec<_>, Vec<_>) = due.into_iter().partition(|delivery| delivery.has_predecessor);
            due.truncate(if is_failing { 1 } else { MAX_ROUND_SIZE });
            let target = EndpointTarget::decrypt(context, endpoint)?;
            let finished_round = FinishedRound {
                endpoint_id: job.endpoint_id,
                finished: self.send_round(context, &target, due, &events).await,
                blocked_ids: blocked.into_iter().map(|delivery| delivery.id).collect(),
                is_last: round == MAX_ROUNDS,
            };
            let next_step =
                self.records.call(Arc::new(finished_round), |rounds| record_rounds(context, rounds)).await?;
            if next_step == NextStep::End {
                break;
            }
        }
        drop(slot);
        Ok(())
    }

    /// Sends deliveries, some at the same time. After a time, and after an answer that slows the endpoint down, none is
    /// begun.
    async fn send_round(
        &self,
        context: &JobContext,
        target: &EndpointTarget,
        due: Vec<DueDelivery>,
        events: &HashMap<i64, webhook_event::Model>,
    ) -> Vec<FinishedDelivery> {
        let started_at = Instant::now();
        let mut waiting = due.into_iter();
        let mut running = FuturesUnordered::new();
        let mut finished = Vec::new();
        let mut is_stopped = false;
        loop {
            while !is_stopped
                && running.len() < MAX_IN_FLIGHT
                && let Some(delivery) = waiting.next()
            {
                if let Some(event) = events.get(&delivery.event_id) {
                    running.push(attempt_delivery(self, context, target, delivery, event));
                }
            }
            let Some(attempt) = running.next().await else { return finished };
            is_stopped |= started_at.elapsed() > MAX_ROUND_DURATION || attempt.outcome.slows_down();
            finished.push(attempt);
        }
    }

    /// Takes a slot of failing endpoints, if one is free.
    fn take_failing_slot(&self, limit: usize) -> Option<FailingSlot> {
        let taken = self.failing_count.fetch_add(1, Ordering::SeqCst);
        let slot = FailingSlot(Arc::clone(&self.failing_count));
        (taken < limit).then_some(slot)
    }
}

/// What a round of an endpoint sends.
#[derive(Debug)]
struct LoadedRound {
    endpoint: webhook_endpoint::Model,
    due: Vec<DueDelivery>,
    /// The events of these and of other rounds.
    events: Arc<HashMap<i64, webhook_event::Model>>,
}

/// Loads the next rounds of endpoints; `None` for those that are not active. Statements: 3.
async fn load_rounds(db: &Db, endpoint_ids: Vec<i64>) -> Result<Vec<Option<LoadedRound>>> {
    let mut endpoints = queries::load_endpoints(db, &endpoint_ids).await?;
    endpoints.retain(|_, row| row.status == WebhookEndpointStatus::Active);
    let active_ids: Vec<i64> = endpoints.keys().copied().collect();
    let due = queries::load_due_deliveries(db, &active_ids).await?;
    let event_ids: BTreeSet<i64> = due.iter().map(|delivery| delivery.event_id).collect();
    let events = queries::load_events(db, &event_ids.into_iter().collect::<Vec<_>>()).await?;
    let events = Arc::new(events);
    let mut due = group_by_owner(due, |delivery| delivery.endpoint_id);
    let to_round = |id: &i64| {
        let endpoint = endpoints.remove(id)?;
        Some(LoadedRound { endpoint, due: due.remove(id).unwrap_or_default(), events: Arc::clone(&events) })
    };
    Ok(endpoint_ids.iter().map(to_round).collect())
}

/// Enqueues the next job of the endpoint. Statements: 1, on PostgreSQL 2.
async fn enqueue_at(context: &JobContext, job: DeliverWebhooks, run_at: DateTime<Utc>) -> Result<()> {
    context.db.write(async |tx| enqueue_next_jobs(tx, vec![(job, run_at)]).await).await
}
