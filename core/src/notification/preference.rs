//! Notification preferences of customers, by event type and channel.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, EntityTrait, Set, sea_query::OnConflict};

use super::{
    NotificationChannel, NotificationEventType,
    entity::notification_preference::{self, Column},
    queries,
};
use crate::{
    base::{Error, Result},
    infra::Db,
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
    let mut by_account: HashMap<i64, ChannelPreferences> = HashMap::new();
    for row in queries::list_preferences(db, account_ids).await? {
        by_account.entry(row.account_id).or_default().0.insert((row.event_type, row.channel), row.enabled);
    }
    Ok(by_account)
}

/// Sets the preferences of an account for an event type; `None` leaves a channel unchanged.
///
/// # Errors
/// Returns `BadUserInput` if the event type is not optional.
pub async fn set_preferences(
    db: &Db,
    account_id: i64,
    event_type: NotificationEventType,
    choices: [(NotificationChannel, Option<bool>); 2],
) -> Result<ChannelPreferences> {
    db.write(async |tx| {
        if !event_type.is_optional() {
            let message = "these e-mails are sent only on request; they cannot be switched off";
            return Err(Error::bad_input("input.event", message));
        }
        let to_row = |(channel, enabled): (NotificationChannel, Option<bool>)| {
            Some(notification_preference::ActiveModel {
                account_id: Set(account_id),
                event_type: Set(event_type),
                channel: Set(channel),
                enabled: Set(enabled?),
                created_at: Set(tx.now()),
                updated_at: Set(tx.now()),
            })
        };
        let rows: Vec<_> = choices.into_iter().filter_map(to_row).collect();
        if !rows.is_empty() {
            let change = OnConflict::columns([Column::AccountId, Column::EventType, Column::Channel])
                .update_columns([Column::Enabled, Column::UpdatedAt])
                .to_owned();
            let insert = notification_preference::Entity::insert_many(rows).on_conflict(change);
            insert.exec_without_returning(tx).await?;
        }
        load_preferences(tx, account_id).await
    })
    .await
}
