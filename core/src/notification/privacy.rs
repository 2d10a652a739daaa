//! Erasure and export of a person's notifications and preferences.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, DerivePartialModel, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    UpdateMany,
    sea_query::{Expr, Func},
};
use serde::Serialize;
use serde_json::Value;

use super::entity::{
    NotificationStatus,
    notification::{self, Column},
    notification_preference,
};
use crate::{base::Result, infra::Tx};

/// Returns the update that empties notifications. Unsent ones are not sent any more.
fn empty_notifications() -> UpdateMany<notification::Entity> {
    let erased = notification::ActiveModel {
        recipient: Set(None),
        template_data: Set(None),
        provider_id: Set(None),
        ..Default::default()
    };
    let if_sent = |value: Expr| Expr::case(Column::Status.eq(NotificationStatus::Sent), value);
    let reason = if_sent(Expr::value(None::<String>)).finally("its recipient's data has been erased");
    let status = if_sent(Expr::value(NotificationStatus::Sent)).finally(NotificationStatus::Skipped);
    notification::Entity::update_many()
        .set(erased)
        .col_expr(Column::FailureReason, reason.into())
        .col_expr(Column::Status, status.into())
}

/// Deletes the preferences of an account and empties its notifications. Statements: 2.
pub async fn erase_account(tx: &Tx, account_id: i64) -> Result<()> {
    notification_preference::Entity::delete_many()
        .filter(notification_preference::Column::AccountId.eq(account_id))
        .exec(tx)
        .await?;
    empty_notifications().filter(Column::AccountId.eq(account_id)).exec(tx).await?;
    Ok(())
}

/// Empties the notifications of a guest: those of these orders, and all that are not queued. Statements: 1.
pub async fn erase_guest(tx: &Tx, email: &str, order_ids: &[i64]) -> Result<()> {
    let is_of_recipient = Func::lower(Expr::col(Column::Recipient)).eq(email.to_lowercase());
    let is_sent_to_recipient = Condition::all().add(Column::Status.ne(NotificationStatus::Queued)).add(is_of_recipient);
    let is_of_order = Column::OrderId.is_in(order_ids.iter().copied());
    empty_notifications()
        .filter(Column::AccountId.is_null())
        .filter(Condition::any().add(is_of_order).add(is_sent_to_recipient))
        .exec(tx)
        .await?;
    Ok(())
}

/// Notifications and preferences of an account, as exported to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedNotifications {
    notifications: Vec<ExportedMessage>,
    notification_preferences: Vec<ExportedPreference>,
}

/// Notification sent to the customer.
#[derive(Debug, Serialize, DerivePartialModel)]
#[sea_orm(entity = "notification::Entity")]
#[serde(rename_all = "camelCase")]
struct ExportedMessage {
    #[sea_orm(from_col = "event_type")]
    event: String,
    channel: String,
    recipient: Option<String>,
    language: Option<String>,
    template_data: Option<Value>,
    status: String,
    failure_reason: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// Notification preference.
#[derive(Debug, Serialize, DerivePartialModel)]
#[sea_orm(entity = "notification_preference::Entity")]
#[serde(rename_all = "camelCase")]
struct ExportedPreference {
    #[sea_orm(from_col = "event_type")]
    event: String,
    channel: String,
    enabled: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Exports the notifications and preferences of an account. Statements: 2.
pub async fn export_account(db: &impl ConnectionTrait, account_id: i64) -> Result<ExportedNotifications> {
    let notifications = notification::Entity::find().filter(Column::AccountId.eq(account_id));
    let preferences =
        notification_preference::Entity::find().filter(notification_preference::Column::AccountId.eq(account_id));
    Ok(ExportedNotifications {
        notifications: notifications.order_by_asc(Column::CreatedAt).into_partial_model().all(db).await?,
        notification_preferences: preferences
            .order_by_asc(notification_preference::Column::CreatedAt)
            .into_partial_model()
            .all(db)
            .await?,
    })
}
