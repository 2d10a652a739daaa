//! Notification lists for staff, newest first, and preferences of many accounts. Statements per page: 1. Each condition of
//! a list has an index of its own.

use sea_orm::{ActiveEnum, ConnectionTrait};

use super::{
    NotificationChannel, NotificationEventType, NotificationStatus,
    entity::{notification, notification_preference},
    notification::Model,
};
use crate::{
    base::{
        Error, Result,
        pagination::{Page, PageRequest},
    },
    infra::{
        SqlBuilder,
        keyset::{self, KeysetOrder},
        sql_builder::query_rows,
    },
};

/// Newest first.
const NOTIFICATION_ORDER: KeysetOrder = KeysetOrder { tag: 'm', columns: &[], id_column: "id", descending: true };
/// Maximum length of a recipient to search for, in characters.
const MAX_RECIPIENT_CHARS: usize = 254;

/// Filter of notification lists. Conditions are combined with AND; `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct NotificationListFilter {
    /// Status of the notification.
    pub status: Option<NotificationStatus>,
    /// Channel of the notification.
    pub channel: Option<NotificationChannel>,
    /// Type of the event.
    pub event_type: Option<NotificationEventType>,
    /// Id of the order.
    pub order_id: Option<i64>,
    /// Account id of the customer.
    pub account_id: Option<i64>,
    /// Exact e-mail address or phone number, case-insensitive.
    pub recipient: Option<String>,
}

impl NotificationListFilter {
    /// Validates and normalizes the filter.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the recipient is too long.
    pub fn validate(mut self) -> Result<Self> {
        self.recipient = self.recipient.map(|text| text.trim().to_lowercase());
        if self.recipient.as_ref().is_some_and(|text| text.chars().count() > MAX_RECIPIENT_CHARS) {
            return Err(Error::bad_input("filter.recipient", format!("at most {MAX_RECIPIENT_CHARS} characters")));
        }
        Ok(self)
    }

    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let Self { status, channel, event_type, order_id, account_id, recipient } = self;
        sql.push(" FROM notification WHERE true");
        let text_conditions = [
            ("status", status.map(ActiveEnum::into_value)),
            ("channel", channel.map(ActiveEnum::into_value)),
            ("event_type", event_type.map(ActiveEnum::into_value)),
            ("lower(recipient)", recipient.clone()),
        ];
        for (column, value) in text_conditions {
            if let Some(value) = value {
                sql.push(&format!(" AND {column} = ")).bind(value);
            }
        }
        for (column, value) in [("order_id", order_id), ("account_id", account_id)] {
            if let Some(value) = value {
                sql.push(&format!(" AND {column} = ")).bind(*value);
            }
        }
    }
}

/// Returns one page of notifications. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor does not belong to this list.
pub async fn list_notifications(
    db: &impl ConnectionTrait,
    filter: &NotificationListFilter,
    page_request: &PageRequest,
) -> Result<Page<Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ").push_columns::<notification::Entity>("notification");
    filter.push_conditions(&mut sql);
    NOTIFICATION_ORDER.load_page(db, sql, page_request).await
}

/// Returns the number of matching notifications. Statements: 1.
pub async fn count_notifications(db: &impl ConnectionTrait, filter: &NotificationListFilter) -> Result<i64> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT COUNT(*)");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

/// Returns the pagination cursor of a notification.
#[must_use]
pub fn encode_notification_cursor(row: &Model) -> String {
    NOTIFICATION_ORDER.cursor(Vec::new(), row.id)
}

/// Returns the preferences of accounts. Statements: 1, whose text is the same for any number of accounts.
pub(super) async fn list_preferences(
    db: &impl ConnectionTrait,
    account_ids: &[i64],
) -> Result<Vec<notification_preference::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ").push_columns::<notification_preference::Entity>("notification_preference");
    sql.push(" FROM notification_preference WHERE ").eq_any("account_id", account_ids.iter().copied());
    query_rows(db, sql).await
}
