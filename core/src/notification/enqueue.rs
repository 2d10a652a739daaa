//! Creation of notifications, in the transaction of the event handler.

use sea_orm::{
    ActiveEnum, ActiveModelTrait, EntityTrait, IntoActiveModel, QuerySelect, Set, TryInsertResult, sea_query::LockType,
};
use serde_json::json;

use super::{
    NotificationChannel, NotificationEventType, NotificationStatus, OrderTemplateData,
    notification::{self, Column},
    preference::{self, ChannelPreferences},
    send::SendNotification,
};
use crate::{
    base::{Error, LanguageCode, Result, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Db, Tx},
};

/// Skip reason of a notification that the customer opted out of.
const OPTED_OUT_REASON: &str = "the customer has opted out";

/// A notification to enqueue.
#[derive(Debug, Clone)]
pub struct NewNotification {
    /// Outbox id of the event; each channel gets at most one notification of an event.
    pub event_id: i64,
    /// Type of the event.
    pub event_type: NotificationEventType,
    /// Recipient of the notification.
    pub recipient: NotificationRecipient,
    /// Id of the order, with its template data.
    pub order: Option<(i64, OrderTemplateData)>,
}

/// Recipient of a notification.
#[derive(Debug, Clone, Default)]
pub struct NotificationRecipient {
    /// Account whose preferences apply; `None` for a guest.
    pub account_id: Option<i64>,
    /// E-mail address; `None` sends no email.
    pub email: Option<String>,
    /// Phone number; `None` sends no SMS.
    pub phone: Option<String>,
    /// Language; `None` uses the shop's.
    pub language: Option<LanguageCode>,
}

/// Inserts a notification per channel and enqueues its delivery. Existing notifications of the event stay unchanged.
/// Statements: constant.
pub async fn enqueue_notification(tx: &Tx, notification: NewNotification) -> Result<()> {
    let NewNotification { event_id, event_type, recipient: notification_recipient, order: order_id } = notification;
    let NotificationRecipient { account_id, email, phone, language } = notification_recipient;
    let preferences = match account_id {
        Some(account_id) if event_type.is_optional() => preference::load_preferences(tx, account_id).await?,
        _ => ChannelPreferences::default(),
    };
    let (order_id, template_data) = match order_id {
        Some((order_key, template_data)) => (Some(order_key), Some(json!(template_data))),
        None => (None, None),
    };
    let to_row = |channel: NotificationChannel, recipient: Option<String>| {
        let is_supported = event_type.supports_channel(channel);
        let recipient = recipient.filter(|recipient| is_supported && !recipient.is_empty())?;
        let is_enabled = preferences.is_enabled(event_type, channel);
        // Channels that are off by default, not by choice, leave no skipped row.
        let (status, reason) = match (is_enabled, preferences.explicit_choice(event_type, channel)) {
            (true, _) => (NotificationStatus::Queued, None),
            (false, Some(_)) => (NotificationStatus::Skipped, Some(OPTED_OUT_REASON.to_owned())),
            (false, None) => return None,
        };
        Some(notification::ActiveModel {
            event_id: Set(event_id),
            event_type: Set(event_type),
            channel: Set(channel),
            recipient: Set(Some(recipient)),
            account_id: Set(account_id),
            order_id: Set(order_id),
            language: Set(language),
            template_data: Set(template_data.clone()),
            status: Set(status),
            failure_reason: Set(reason),
            attempts: Set(0),
            resend_count: Set(0),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
            ..Default::default()
        })
    };
    let channels = [(NotificationChannel::Email, email), (NotificationChannel::Sms, phone)];
    let rows = channels.into_iter().filter_map(|(channel, recipient)| to_row(channel, recipient));
    let inserted = notification::Entity::insert_many(rows)
        .on_conflict_do_nothing_on([Column::EventId, Column::Channel])
        .exec_with_returning_many(tx)
        .await?;
    let TryInsertResult::Inserted(inserted) = inserted else { return Ok(()) };
    // At most one per channel.
    for row in inserted.iter().filter(|row| row.status == NotificationStatus::Queued) {
        tx.enqueue_job(SendNotification { notification_id: row.id }).await?;
    }
    Ok(())
}

/// Resends a failed, skipped or undelivered notification.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `IllegalTransition` if it is queued or its recipient was erased.
pub async fn resend_notification(db: &Db, notification_id: i64) -> Result<notification::Model> {
    db.write(async |tx| {
        let existing = notification::Entity::find_by_id(notification_id).lock(LockType::NoKeyUpdate).one(tx).await?;
        let existing = existing.ok_or_else(|| Error::not_found("id", "message"))?;
        if existing.status == NotificationStatus::Queued {
            return Err(Error::user(
                PublicErrorCode::IllegalTransition,
                "id",
                "it is queued; it can be sent again after it was sent, has failed or was skipped",
            ));
        }
        if existing.recipient.is_none() {
            return Err(Error::user(PublicErrorCode::IllegalTransition, "id", "its recipient's data has been erased"));
        }
        let (before, resend_count) = (existing.status, existing.resend_count + 1);
        let mut row = existing.into_active_model();
        row.status = Set(NotificationStatus::Queued);
        // A resend by staff bypasses the sending limits.
        row.send_at = Set(Some(tx.now()));
        row.failure_reason = Set(None);
        row.attempts = Set(0);
        row.resend_count = Set(resend_count);
        row.updated_at = Set(tx.now());
        let row = row.update(tx).await?;
        tx.enqueue_job(SendNotification { notification_id }).await?;
        tx.record_audit(&[AuditRecord {
            action: "notification.resend",
            entity: (NodeType::Notification, notification_id),
            before: Some(json!({ "status": before.to_value() })),
            after: Some(json!({ "status": row.status.to_value() })),
        }])
        .await?;
        Ok(row)
    })
    .await
}
