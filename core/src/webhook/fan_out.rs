//! Creation of the deliveries of an event, in the transaction of the event handler: one for each endpoint.

use sea_orm::{ActiveModelTrait, EntityTrait, Set};
use serde_json::json;

use super::{
    delivery::DeliverWebhooks,
    entity::{WebhookDeliveryStatus, webhook_delivery, webhook_event},
    event_data::{EventData, load_event_data},
    payload::PayloadEnvelope,
    queries,
    source::WebhookSource,
};
use crate::{
    base::{Error, Result},
    infra::{Tx, entity::outbox_event, outbox::DeliveredEvent},
};

/// Creates the deliveries of an event to all endpoints that have subscribed to its type. Statements: 1 without such
/// endpoints, else a number that does not depend on theirs.
pub async fn fan_out_event<E: WebhookSource>(tx: &Tx, delivered: &DeliveredEvent<E>) -> Result<()> {
    let Some((event_type, subject)) = delivered.event.to_webhook() else { return Ok(()) };
    let endpoint_ids = queries::find_subscribed_endpoints(tx, event_type).await?;
    if endpoint_ids.is_empty() {
        return Ok(());
    }
    let Some(EventData { subject_ids, data }) = load_event_data(tx, &subject).await? else { return Ok(()) };
    let Some(outbox_row) = outbox_event::Entity::find_by_id(delivered.id).one(tx).await? else { return Ok(()) };
    let event_id = allocate_event_id(tx).await?;
    let envelope = PayloadEnvelope {
        event_id,
        event_type,
        occurred_at: delivered.occurred_at,
        aggregate: outbox_row.aggregate.clone(),
        sequence: Some(outbox_row.sequence),
    };
    let event = webhook_event::ActiveModel {
        id: Set(event_id),
        outbox_event_id: Set(Some(delivered.id)),
        event_type: Set(event_type),
        aggregate: Set(outbox_row.aggregate),
        sequence: Set(Some(outbox_row.sequence)),
        subject_ids: Set(json!(subject_ids)),
        body: Set(envelope.to_body(&data)?),
        occurred_at: Set(delivered.occurred_at),
        created_at: Set(tx.now()),
    };
    let event = event.insert(tx).await?;
    add_deliveries(tx, &event, &endpoint_ids).await
}

/// Allocates the key of an event: its body contains it.
pub(super) async fn allocate_event_id(tx: &Tx) -> Result<i64> {
    let mut ids = tx.allocate_ids("webhook_event", 1).await?;
    ids.next().ok_or_else(|| Error::internal("creating a webhook", "no row id"))
}

/// Adds the deliveries of an event to endpoints, in ascending order, and wakes their senders. Statements: 3.
pub(super) async fn add_deliveries(tx: &Tx, event: &webhook_event::Model, endpoint_ids: &[i64]) -> Result<()> {
    // Transactions that wake several endpoints would otherwise wait for each other in a circle.
    queries::lock_fan_out(tx).await?;
    let to_row = |endpoint_id: &i64| webhook_delivery::ActiveModel {
        endpoint_id: Set(*endpoint_id),
        event_id: Set(event.id),
        event_type: Set(event.event_type),
        aggregate: Set(event.aggregate.clone()),
        status: Set(WebhookDeliveryStatus::Pending),
        attempts: Set(0),
        failures: Set(0),
        next_attempt_at: Set(Some(tx.now())),
        is_blocked: Set(false),
        requested_at: Set(tx.now()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    tx.insert_rows(&endpoint_ids.iter().map(to_row).collect::<Vec<_>>()).await?;
    let jobs: Vec<DeliverWebhooks> =
        endpoint_ids.iter().map(|endpoint_id| DeliverWebhooks { endpoint_id: *endpoint_id }).collect();
    tx.enqueue_or_advance_jobs(&jobs, tx.now()).await
}
