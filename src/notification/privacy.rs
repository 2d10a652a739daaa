//! Erasure and export of a person's notifications and preferences.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;
use serde_json::Value;

use crate::{
    base::Result,
    infra::{SqlBuilder, Tx, sql_builder::query_rows},
};

/// Columns to set on erased notifications. Unsent ones are not sent any more.
const ERASED_MESSAGE_SQL: &str = "UPDATE notification SET recipient = NULL, template_data = NULL, provider_id = NULL, \
     failure_reason = CASE status WHEN 'sent' THEN NULL ELSE 'its recipient's data has been erased' END, \
     status = CASE status WHEN 'sent' THEN 'sent' ELSE 'skipped' END WHERE account_id ";

/// Deletes the preferences of an account and empties its notifications. Statements: 2.
pub async fn erase_account(tx: &Tx, account_id: i64) -> Result<()> {
    for statement in ["DELETE FROM notification_preference WHERE account_id ", ERASED_MESSAGE_SQL] {
        let mut sql = tx.sql();
        sql.push(statement).push("= ").bind(account_id);
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

/// Empties the notifications of a guest: those of these orders, and all that are not queued. Statements: 1.
pub async fn erase_guest(tx: &Tx, email: &str, order_ids: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    sql.push(ERASED_MESSAGE_SQL).push("IS NULL AND (").eq_any("order_id", order_ids.iter().copied());
    sql.push(" OR (status <> 'queued' AND lower(recipient) = ").bind(email.to_lowercase()).push("))");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Notifications and preferences of an account, as exported to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedNotifications {
    messages: Vec<ExportedMessage>,
    notification_preferences: Vec<ExportedPreference>,
}

/// Notification sent to the customer.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedMessage {
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
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedPreference {
    event: String,
    channel: String,
    enabled: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

const MESSAGES_SQL: &str = "SELECT event_type AS event, channel, recipient, language, template_data, status, \
    failure_reason, sent_at, created_at FROM notification WHERE account_id = ";
const PREFERENCES_SQL: &str = "SELECT event_type AS event, channel, enabled, created_at, updated_at FROM notification_preference WHERE account_id = ";

/// Exports the notifications and preferences of an account. Statements: 2.
pub async fn export_account(db: &impl ConnectionTrait, account_id: i64) -> Result<ExportedNotifications> {
    let query = |text: &str| {
        let mut sql = SqlBuilder::new(db.get_database_backend());
        sql.push(text).bind(account_id).push(" ORDER BY created_at");
        sql
    };
    let messages = query_rows(db, query(MESSAGES_SQL)).await?;
    let notification_preferences = query_rows(db, query(PREFERENCES_SQL)).await?;
    Ok(ExportedNotifications { messages, notification_preferences })
}
