//! Redelivery: finished deliveries become pending again, one or those of a time.

use sea_orm::EntityTrait;
use serde_json::json;

use super::{
    delivery::DeliverWebhooks,
    endpoint::{WebhookContext, lock_endpoint},
    entity::{WebhookDeliveryStatus, WebhookEndpointStatus, webhook_delivery, webhook_endpoint},
    queries::{self, RedeliverySelection},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Tx},
};

/// Maximum number of deliveries that are repeated at once.
pub const MAX_REDELIVERIES: u32 = 10_000;

/// Repeats a delivery that was accepted or has failed. The event keeps its id.
///
/// # Errors
/// Returns `NotFound`, or `IllegalTransition` if the delivery is pending or the endpoint is not active.
pub async fn repeat_delivery(context: WebhookContext<'_>, delivery_id: i64) -> Result<webhook_delivery::Model> {
    context
        .db
        .write(async |tx| {
            let find = || webhook_delivery::Entity::find_by_id(delivery_id).one(tx);
            let not_found = || Error::not_found("id", "webhook delivery");
            let row = find().await?.ok_or_else(not_found)?;
            lock_active_endpoint(tx, context, row.endpoint_id).await?;
            let selection = RedeliverySelection {
                endpoint_id: row.endpoint_id,
                status: None,
                created_from: row.created_at,
                created_until: row.created_at,
            };
            if queries::repeat_delivery(tx, delivery_id).await? == 0 {
                let message = "the delivery is pending; it can be repeated after it was accepted or has failed";
                return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
            }
            finish_redelivery(tx, &selection, 1).await?;
            find().await?.ok_or_else(not_found)
        })
        .await
}

/// Repeats the deliveries of a selection, the oldest first, at most [`MAX_REDELIVERIES`]. Returns how many.
///
/// # Errors
/// Returns `NotFound`, `BadUserInput` if the range is empty, or `IllegalTransition` if the endpoint is not active.
pub async fn repeat_deliveries(context: WebhookContext<'_>, selection: &RedeliverySelection) -> Result<u64> {
    if selection.created_from >= selection.created_until {
        return Err(Error::bad_input("input.createdUntil", "it must be later than createdFrom"));
    }
    if selection.status == Some(WebhookDeliveryStatus::Pending) {
        return Err(Error::bad_input("input.status", "pending deliveries are sent anyway"));
    }
    context
        .db
        .write(async |tx| {
            lock_active_endpoint(tx, context, selection.endpoint_id)
                .await
                .map_err(|error| error.at_field("input.endpointId"))?;
            let repeated_count = queries::repeat_deliveries(tx, selection, MAX_REDELIVERIES).await?;
            if repeated_count > 0 {
                finish_redelivery(tx, selection, repeated_count).await?;
            }
            Ok(repeated_count)
        })
        .await
}

async fn lock_active_endpoint(
    tx: &Tx,
    context: WebhookContext<'_>,
    endpoint_id: i64,
) -> Result<webhook_endpoint::Model> {
    let endpoint = lock_endpoint(tx, context.caller, endpoint_id).await?;
    if endpoint.status == WebhookEndpointStatus::Active {
        return Ok(endpoint);
    }
    Err(Error::user(PublicErrorCode::IllegalTransition, "id", "the endpoint is not active; activate it first"))
}

/// Wakes the sender and records the change.
async fn finish_redelivery(tx: &Tx, selection: &RedeliverySelection, count: u64) -> Result<()> {
    let RedeliverySelection { endpoint_id, status, created_from, created_until } = selection;
    tx.enqueue_or_advance_jobs(&[DeliverWebhooks { endpoint_id: *endpoint_id }], tx.now()).await?;
    let after = json!({
        "deliveries": count,
        "status": status.map(|status| sea_orm::ActiveEnum::to_value(&status)),
        "createdFrom": created_from,
        "createdUntil": created_until,
    });
    let entity = (NodeType::WebhookEndpoint, *endpoint_id);
    tx.record_audit(&[AuditRecord { action: "webhook_delivery.retry", entity, before: None, after: Some(after) }]).await
}
