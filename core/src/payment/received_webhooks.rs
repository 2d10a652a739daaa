//! Writes and reads of received webhooks.

use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict};

pub use super::entity::received_webhook::Model as ReceivedWebhookRow;
use super::{
    entity::{
        ReceivedWebhookStatus,
        received_webhook::{self, Column},
    },
    jobs::ApplyWebhook,
    webhook::WebhookEvent,
};
use crate::{
    base::{Error, Result},
    infra::{Db, Tx},
};

/// Stores a verified webhook with the job that applies it. Returns whether it is new: a repeated one is ignored.
/// Statements: 2.
pub async fn store_received_webhook(tx: &Tx, provider: &str, event: WebhookEvent, body: String) -> Result<bool> {
    let row = received_webhook::ActiveModel {
        provider: Set(provider.to_owned()),
        event_id: Set(event.event_id),
        event_type: Set(event.event_type),
        subject: Set(event.subject),
        body: Set(body),
        status: Set(ReceivedWebhookStatus::Received),
        received_at: Set(tx.now()),
        ..Default::default()
    };
    let unless_stored = OnConflict::columns([Column::Provider, Column::EventId]).do_nothing().to_owned();
    let insert = received_webhook::Entity::insert(row).on_conflict(unless_stored);
    let Some(inserted) = insert.exec_with_returning_many(tx).await?.into_iter().next() else { return Ok(false) };
    tx.enqueue_job(ApplyWebhook { webhook: inserted.id }).await?;
    Ok(true)
}

/// Returns a received webhook.
///
/// # Errors
/// Returns `NotFound` if it does not exist.
pub async fn find_received_webhook(db: &impl ConnectionTrait, webhook_id: i64) -> Result<ReceivedWebhookRow> {
    let row = received_webhook::Entity::find_by_id(webhook_id).one(db).await?;
    row.ok_or_else(|| Error::not_found("id", "received webhook"))
}

/// Stores the result of a webhook.
pub async fn finish_received_webhook(
    tx: &Tx,
    webhook_id: i64,
    status: ReceivedWebhookStatus,
    error: Option<&str>,
) -> Result<()> {
    let changes = received_webhook::ActiveModel {
        status: Set(status),
        error: Set(error.map(str::to_owned)),
        processed_at: Set(Some(tx.now()).filter(|_| status != ReceivedWebhookStatus::Received)),
        ..Default::default()
    };
    received_webhook::Entity::update_many().set(changes).filter(Column::Id.eq(webhook_id)).exec(tx).await?;
    Ok(())
}

/// Applies a stored webhook again.
///
/// # Errors
/// Returns `NotFound` if it does not exist.
pub async fn replay_received_webhook(tx: &Tx, webhook_id: i64) -> Result<ReceivedWebhookRow> {
    let row = find_received_webhook(tx, webhook_id).await?;
    finish_received_webhook(tx, webhook_id, ReceivedWebhookStatus::Received, None).await?;
    tx.enqueue_job(ApplyWebhook { webhook: webhook_id }).await?;
    Ok(ReceivedWebhookRow { status: ReceivedWebhookStatus::Received, error: None, processed_at: None, ..row })
}

/// Deletes webhooks past their retention. They contain personal data.
pub async fn delete_expired_webhooks(db: &Db, retention: std::time::Duration) -> Result<()> {
    let cutoff = db.now() - TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
    let expired = received_webhook::Entity::find().filter(Column::ReceivedAt.lte(cutoff));
    db.delete_in_batches(Column::Id, expired.filter(Column::Status.ne(ReceivedWebhookStatus::Received))).await
}
