//! Storing finished attempts: the log, the next attempt of each delivery, and the state of the endpoint.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, Set, Unchanged, sea_query::Expr,
};
use serde_json::json;

use super::{
    attempt::{AttemptOutcome, FinishedDelivery},
    delivery::DeliverWebhooks,
    entity::{WebhookDeliveryStatus, WebhookEndpointStatus, webhook_attempt, webhook_delivery, webhook_endpoint},
    pause::WebhookEndpointStopped,
    queries,
};
use crate::{
    base::{Result, global_id::NodeType},
    infra::{AuditRecord, JobContext, Tx, backoff::Backoff, config::WebhooksConfig},
};

/// Maximum delay between requests to a failing endpoint; single deliveries wait longer.
const MAX_PROBE_DELAY: std::time::Duration = std::time::Duration::from_mins(10);
/// Number of consecutive failures from which requests to an endpoint are delayed.
const DELAYED_FAILURE_COUNT: i32 = 5;
/// Minimum number of consecutive failures of an endpoint that is paused.
const MIN_PAUSE_FAILURES: i32 = 3;

/// What a round of requests to an endpoint has done.
#[derive(Debug)]
pub(super) struct FinishedRound {
    pub(super) endpoint_id: i64,
    pub(super) finished: Vec<FinishedDelivery>,
    /// Due deliveries that were found to wait for others.
    pub(super) blocked_ids: Vec<i64>,
    /// Whether the job ends.
    pub(super) is_last: bool,
}

/// What follows a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextStep {
    /// Another round: deliveries are due.
    Continue,
    /// The job ends. Another one was enqueued if deliveries are pending.
    End,
}

/// Stores what rounds of requests to different endpoints have done, and enqueues the next job of each endpoint whose job
/// ends. Statements: 2 without attempts, else at most 9, and more for endpoints that are paused or ended.
pub(super) async fn record_rounds(context: &JobContext, rounds: Vec<Arc<FinishedRound>>) -> Result<Vec<NextStep>> {
    context.db.write_with_retry(async |tx| store_rounds(tx, &context.config.webhooks, &rounds).await).await
}

async fn store_rounds(tx: &Tx, config: &WebhooksConfig, rounds: &[Arc<FinishedRound>]) -> Result<Vec<NextStep>> {
    let endpoint_ids: Vec<i64> = rounds.iter().map(|round| round.endpoint_id).collect();
    // Without those that staff have deleted.
    let mut endpoints = queries::lock_endpoints(tx, &endpoint_ids).await?;
    let existing = || rounds.iter().filter(|round| endpoints.contains_key(&round.endpoint_id));
    let finished: Vec<&FinishedDelivery> = existing().flat_map(|round| &round.finished).collect();
    tx.insert_rows(&finished.iter().map(|attempt| to_log_row(attempt)).collect::<Vec<_>>()).await?;
    let changes: Vec<_> = finished.iter().map(|attempt| to_changes(tx, config, attempt)).collect();
    tx.update_rows(&changes).await?;
    let blocked_ids: Vec<i64> = existing().flat_map(|round| round.blocked_ids.iter().copied()).collect();
    if !blocked_ids.is_empty() {
        queries::block_deliveries(tx, &blocked_ids).await?;
    }
    let is_done = |changes: &webhook_delivery::ActiveModel| changes.next_attempt_at == Set(None);
    let done = finished.iter().zip(&changes).filter(|(_, changes)| is_done(changes));
    let done: Vec<_> = done.map(|(attempt, _)| (attempt.delivery.endpoint_id, &*attempt.delivery.aggregate)).collect();
    if !done.is_empty() {
        queries::unblock_successors(tx, &done).await?;
    }
    let mut health_changes = Vec::new();
    for round in rounds.iter().filter(|round| !round.finished.is_empty()) {
        if let Some(row) = endpoints.remove(&round.endpoint_id) {
            let row = update_health(tx, config, row, &round.finished, &mut health_changes).await?;
            endpoints.insert(row.id, row);
        }
    }
    tx.update_rows(&health_changes).await?;
    end_jobs(tx, rounds, &endpoints).await
}

/// Decides which jobs end, and enqueues their successors. Statements: 1, on PostgreSQL 3 if jobs are enqueued.
async fn end_jobs(
    tx: &Tx,
    rounds: &[Arc<FinishedRound>],
    endpoints: &HashMap<i64, webhook_endpoint::Model>,
) -> Result<Vec<NextStep>> {
    let is_active = |id: &i64| endpoints.get(id).is_some_and(|row| row.status == WebhookEndpointStatus::Active);
    let active_ids: Vec<i64> = rounds.iter().map(|round| round.endpoint_id).filter(is_active).collect();
    let next_due_times = queries::find_next_due_times(tx, &active_ids).await?;
    let mut next_jobs = Vec::new();
    let mut next_steps = Vec::new();
    for FinishedRound { endpoint_id, is_last, .. } in rounds.iter().map(|round| &**round) {
        let resume_at = endpoints.get(endpoint_id).and_then(|row| row.resume_at);
        let next_due_at = next_due_times.get(endpoint_id).map(|due_at| resume_at.unwrap_or(*due_at).max(*due_at));
        let continues = next_due_at.is_some_and(|due_at| due_at <= tx.now() && !is_last);
        next_steps.push(if continues { NextStep::Continue } else { NextStep::End });
        if let Some(due_at) = next_due_at.filter(|_| !continues) {
            next_jobs.push((DeliverWebhooks { endpoint_id: *endpoint_id }, due_at));
        }
    }
    enqueue_next_jobs(tx, next_jobs).await?;
    Ok(next_steps)
}

/// Enqueues jobs of endpoints. Statements: 1, on PostgreSQL 2; none without jobs.
pub(super) async fn enqueue_next_jobs(tx: &Tx, mut jobs: Vec<(DeliverWebhooks, DateTime<Utc>)>) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    // As for deliveries that are added: those who wake several endpoints must not wait for each other.
    queries::lock_fan_out(tx).await?;
    jobs.sort_unstable_by_key(|(job, _)| job.endpoint_id);
    tx.enqueue_or_advance_jobs_at(jobs.iter().map(|(job, due_at)| (job, *due_at))).await
}

fn to_log_row(attempt: &FinishedDelivery) -> webhook_attempt::ActiveModel {
    let FinishedDelivery { delivery, requested_at, duration, response_status, response_body, error, .. } = attempt;
    webhook_attempt::ActiveModel {
        delivery_id: Set(delivery.id),
        attempt: Set(delivery.attempts + 1),
        requested_at: Set(*requested_at),
        duration_ms: Set(i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)),
        response_status: Set(response_status.map(i32::from)),
        response_body: Set(response_body.clone()),
        error: Set(error.clone()),
        ..Default::default()
    }
}

fn to_changes(tx: &Tx, config: &WebhooksConfig, attempt: &FinishedDelivery) -> webhook_delivery::ActiveModel {
    let FinishedDelivery { delivery, outcome, response_status, error, new_body, .. } = attempt;
    let now = tx.now();
    let failures = delivery.failures + i32::from(*outcome != AttemptOutcome::Accepted);
    let (status, next_attempt_at, delivered_at) = match outcome {
        AttemptOutcome::Accepted => (WebhookDeliveryStatus::Delivered, None, Some(now)),
        AttemptOutcome::Ended => (WebhookDeliveryStatus::Failed, None, None),
        AttemptOutcome::Failed { retry_after, .. } => {
            let backoff = Backoff { first: config.backoff, max: config.max_backoff };
            let delay = backoff.delay_after(delivery.id, failures).max(retry_after.unwrap_or_default());
            let retry_until = delivery.requested_at + config.retry_window;
            match now + delay {
                next_attempt_at if next_attempt_at <= retry_until => {
                    (WebhookDeliveryStatus::Pending, Some(next_attempt_at), None)
                }
                _ => (WebhookDeliveryStatus::Failed, None, None),
            }
        }
    };
    webhook_delivery::ActiveModel {
        id: Unchanged(delivery.id),
        status: Set(status),
        attempts: Set(delivery.attempts + 1),
        failures: Set(failures),
        next_attempt_at: Set(next_attempt_at),
        body: Set(new_body.clone().or_else(|| delivery.body.clone())),
        response_status: Set(response_status.map(i32::from)),
        last_error: Set(error.clone()),
        delivered_at: Set(delivered_at),
        updated_at: Set(now),
        ..Default::default()
    }
}

/// Returns how long all events of the endpoint wait after failed attempts: as long as it asked to, or a delay that grows
/// with its failures if it is overloaded, does not respond, or keeps failing.
fn endpoint_delay(
    config: &WebhooksConfig,
    endpoint: &webhook_endpoint::Model,
    finished: &[FinishedDelivery],
) -> Option<TimeDelta> {
    let mut asked_delay = None;
    let mut is_slowed_down = endpoint.failure_count >= DELAYED_FAILURE_COUNT;
    for attempt in finished {
        if let AttemptOutcome::Failed { retry_after, slows_down } = attempt.outcome {
            asked_delay = asked_delay.max(retry_after);
            is_slowed_down |= slows_down;
        }
    }
    let backoff = Backoff { first: config.backoff, max: config.max_backoff.min(MAX_PROBE_DELAY) };
    asked_delay.or_else(|| is_slowed_down.then(|| backoff.delay_after(endpoint.id, endpoint.failure_count)))
}

/// Updates the failures of an endpoint, and ends or pauses it. Returns its row. Statements: none, unless it is ended or
/// paused; changes are added to `health_changes`.
async fn update_health(
    tx: &Tx,
    config: &WebhooksConfig,
    mut row: webhook_endpoint::Model,
    finished: &[FinishedDelivery],
    health_changes: &mut Vec<webhook_endpoint::ActiveModel>,
) -> Result<webhook_endpoint::Model> {
    let accepted_count = finished.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Accepted).count();
    let is_healthy = accepted_count == finished.len() && row.failure_count == 0 && row.resume_at.is_none();
    if is_healthy || row.status != WebhookEndpointStatus::Active {
        return Ok(row);
    }
    if finished.iter().any(|attempt| attempt.outcome == AttemptOutcome::Ended) {
        let reason = "the endpoint answered 410 (Gone)".to_owned();
        fail_pending(tx, row.id, &reason).await?;
        return stop_endpoint(tx, row, WebhookEndpointStatus::Ended, reason).await;
    }
    let failed_count = i32::try_from(finished.len() - accepted_count).unwrap_or(i32::MAX);
    if accepted_count > 0 {
        (row.failure_count, row.failing_since) = (0, None);
    } else {
        row.failure_count = row.failure_count.saturating_add(failed_count);
        row.failing_since = row.failing_since.or(Some(tx.now()));
    }
    row.resume_at = endpoint_delay(config, &row, finished).map(|delay| tx.now() + delay);
    if let Some(failing_since) = row.failing_since
        && row.failure_count >= MIN_PAUSE_FAILURES
        && tx.now() - failing_since >= TimeDelta::from_std(config.pause_after).unwrap_or(TimeDelta::MAX)
    {
        let error = finished.iter().find_map(|attempt| attempt.error.clone()).unwrap_or_default();
        let reason = format!("every attempt since {} has failed: {error}", failing_since.format("%Y-%m-%d %H:%M UTC"));
        return stop_endpoint(tx, row, WebhookEndpointStatus::Paused, reason).await;
    }
    health_changes.push(webhook_endpoint::ActiveModel {
        id: Unchanged(row.id),
        failure_count: Set(row.failure_count),
        failing_since: Set(row.failing_since),
        resume_at: Set(row.resume_at),
        ..Default::default()
    });
    Ok(row)
}

/// Fails the other pending deliveries of an endpoint that has ended.
async fn fail_pending(tx: &Tx, endpoint_id: i64, reason: &str) -> Result<()> {
    webhook_delivery::Entity::update_many()
        .col_expr(webhook_delivery::Column::Status, Expr::value(WebhookDeliveryStatus::Failed))
        .col_expr(webhook_delivery::Column::NextAttemptAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(webhook_delivery::Column::IsBlocked, Expr::value(false))
        .col_expr(webhook_delivery::Column::LastError, Expr::value(reason))
        .col_expr(webhook_delivery::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(webhook_delivery::Column::EndpointId.eq(endpoint_id))
        .filter(webhook_delivery::Column::Status.eq(WebhookDeliveryStatus::Pending))
        .exec(tx)
        .await?;
    Ok(())
}

/// Ends or pauses an endpoint: no request is sent until staff activate it. Staff are notified.
async fn stop_endpoint(
    tx: &Tx,
    row: webhook_endpoint::Model,
    status: WebhookEndpointStatus,
    reason: String,
) -> Result<webhook_endpoint::Model> {
    let (endpoint_id, version) = (row.id, row.version);
    let mut changes = row.into_active_model();
    changes.reset(webhook_endpoint::Column::FailureCount);
    changes.reset(webhook_endpoint::Column::FailingSince);
    changes.resume_at = Set(None);
    changes.status = Set(status);
    changes.status_reason = Set(Some(reason.chars().take(500).collect()));
    changes.version = Set(version + 1);
    changes.updated_at = Set(tx.now());
    let row = changes.update(tx).await?;
    let action = if status == WebhookEndpointStatus::Ended { "webhook_endpoint.end" } else { "webhook_endpoint.pause" };
    let after = json!({ "status": sea_orm::ActiveEnum::to_value(&status), "reason": row.status_reason });
    let entity = (NodeType::WebhookEndpoint, endpoint_id);
    tx.record_audit(&[AuditRecord { action, entity, before: None, after: Some(after) }]).await?;
    tracing::warn!(endpoint = endpoint_id, reason = row.status_reason, "webhook endpoint stopped");
    tx.emit_event(WebhookEndpointStopped { endpoint: endpoint_id }).await?;
    Ok(row)
}
