//! Notification preferences of customers, by event type and channel.

use std::collections::HashMap;

use sea_orm::{ActiveEnum, ConnectionTrait, QueryResult};
use serde_json::{Value, json};

use super::{NotificationChannel, NotificationEventType};
use crate::{
    base::{Error, Result},
    infra::{SqlBuilder, Tx},
};

/// Preferences of an account. Combinations without a choice use the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelPreferences(HashMap<(NotificationEventType, NotificationChannel), bool>);

impl ChannelPreferences {
    /// Returns whether the event is sent on the channel.
    #[must_use]
    pub fn is_enabled(&self, event_type: NotificationEventType, channel: NotificationChannel) -> bool {
        self.explicit_choice(event_type, channel).unwrap_or_else(|| event_type.is_enabled_by_default(channel))
    }

    /// Returns the explicit choice, if any.
    #[must_use]
    pub fn explicit_choice(&self, event_type: NotificationEventType, channel: NotificationChannel) -> Option<bool> {
        self.0.get(&(event_type, channel)).copied()
    }

    fn insert_row(&mut self, row: &QueryResult) -> Result<()> {
        let key = (row.try_get("", "event_type")?, row.try_get("", "channel")?);
        self.0.insert(key, row.try_get("", "enabled")?);
        Ok(())
    }
}

/// Returns the preferences of an account. Statements: 1.
pub async fn load_preferences(db: &impl ConnectionTrait, account_id: i64) -> Result<ChannelPreferences> {
    Ok(load_preferences_by_account(db, &[account_id]).await?.remove(&account_id).unwrap_or_default())
}

/// Returns the preferences by account; accounts without a choice are missing. Statements: 1.
pub async fn load_preferences_by_account(
    db: &impl ConnectionTrait,
    account_ids: &[i64],
) -> Result<HashMap<i64, ChannelPreferences>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT account_id, event_type, channel, enabled FROM notification_preference WHERE ");
    sql.eq_any("account_id", account_ids.iter().copied());
    let mut by_account: HashMap<i64, ChannelPreferences> = HashMap::new();
    for row in db.query_all_raw(sql.into_statement()).await? {
        by_account.entry(row.try_get("", "account_id")?).or_default().insert_row(&row)?;
    }
    Ok(by_account)
}

/// Sets the preferences of an account for an event type; `None` leaves a channel unchanged.
///
/// # Errors
/// Returns `BadUserInput` if the event type is not optional.
pub async fn set_preferences(
    tx: &Tx,
    account_id: i64,
    event_type: NotificationEventType,
    choices: [(NotificationChannel, Option<bool>); 2],
) -> Result<ChannelPreferences> {
    if !event_type.is_optional() {
        let message = "these letters come only when they are asked for; they cannot be switched off";
        return Err(Error::bad_input("input.event", message));
    }
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let row = |(channel, enabled): (NotificationChannel, Option<bool>)| -> Option<Value> {
        Some(json!([account_id, event_type.to_value(), channel.to_value(), enabled?, now, now]))
    };
    let rows: Vec<Value> = choices.into_iter().filter_map(row).collect();
    if !rows.is_empty() {
        let columns = [
            ("account_id", "bigint"),
            ("event_type", "text"),
            ("channel", "text"),
            ("enabled", "boolean"),
            ("created_at", "timestamptz"),
            ("updated_at", "timestamptz"),
        ];
        let mut sql = tx.sql();
        sql.insert_rows("notification_preference", &columns, rows);
        sql.push(" ON CONFLICT (account_id, event_type, channel) DO UPDATE SET enabled = excluded.enabled, ");
        sql.push("updated_at = excluded.updated_at");
        tx.execute_raw(sql.into_statement()).await?;
    }
    load_preferences(tx, account_id).await
}
