//! Creation of notifications, in the transaction of the event handler.

use sea_orm::{ActiveEnum, ActiveModelTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QuerySelect, Set, sea_query::LockType};
use serde_json::{Value, json};

use super::{
    NotificationChannel, NotificationEventType, NotificationStatus, OrderTemplateData, notification,
    preference::{self, ChannelPreferences},
    send::SendNotification,
};
use crate::{
    base::{Error, LanguageCode, Result, error::PublicErrorCode, global_id::NodeType},
    infra::{AuditRecord, Tx},
};

/// Skip reason of a notification that the customer opted out of.
const OPTED_OUT_REASON: &str = "the customer does not want it";

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
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let row = |channel: NotificationChannel, recipient: Option<String>| -> Option<Value> {
        let recipient = recipient.filter(|recipient| !recipient.is_empty())?;
        let is_enabled = preferences.is_enabled(event_type, channel);
        // Channels that are off by default, not by choice, leave no skipped row.
        let (status, reason) = match (is_enabled, preferences.explicit_choice(event_type, channel)) {
            (true, _) => (NotificationStatus::Queued, None),
            (false, Some(_)) => (NotificationStatus::Skipped, Some(OPTED_OUT_REASON)),
            (false, None) => return None,
        };
        Some(json!([
            event_id,
            event_type.to_value(),
            channel.to_value(),
            recipient,
            account_id,
            order_id,
            language.map(LanguageCode::code),
            template_data,
            status.to_value(),
            reason,
            0,
            0,
            now,
            now
        ]))
    };
    let channels =
        [(NotificationChannel::Email, email), (NotificationChannel::Sms, phone.filter(|_| event_type.is_optional()))];
    let rows: Vec<Value> = channels.into_iter().filter_map(|(channel, recipient)| row(channel, recipient)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let columns = [
        ("event_id", "bigint"),
        ("event_type", "text"),
        ("channel", "text"),
        ("recipient", "text"),
        ("account_id", "bigint"),
        ("order_id", "bigint"),
        ("language", "text"),
        ("template_data", "jsonb"),
        ("status", "text"),
        ("failure_reason", "text"),
        ("attempts", "int"),
        ("resend_count", "int"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let mut sql = tx.sql();
    sql.insert_rows("notification", &columns, rows)
        .push(" ON CONFLICT (event_id, channel) DO NOTHING RETURNING id, status");
    let inserted = tx.query_all_raw(sql.into_statement()).await?;
    for row in &inserted {
        // At most one per channel.
        let (notification_id, status): (i64, NotificationStatus) = (row.try_get("", "id")?, row.try_get("", "status")?);
        if status == NotificationStatus::Queued {
            tx.enqueue_job(SendNotification { notification_id }).await?;
        }
    }
    Ok(())
}

/// Resends a failed, skipped or undelivered notification.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `IllegalTransition` if it is queued or its recipient was erased.
pub async fn resend_notification(tx: &Tx, notification_id: i64) -> Result<notification::Model> {
    let existing = notification::Entity::find_by_id(notification_id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let existing = existing.ok_or_else(|| Error::not_found("id", "message"))?;
    if existing.status == NotificationStatus::Queued {
        return Err(Error::user(
            PublicErrorCode::IllegalTransition,
            "id",
            "it waits to be sent; it can be sent again once it was sent, has failed or was skipped",
        ));
    }
    if existing.recipient.is_none() {
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", "its recipient has been forgotten"));
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
        entity: (NodeType::Message, notification_id),
        before: Some(json!({ "status": before.to_value() })),
        after: Some(json!({ "status": row.status.to_value() })),
    }])
    .await?;
    Ok(row)
}
