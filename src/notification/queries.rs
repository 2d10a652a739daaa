//! Notification lists for staff, newest first, and preferences of many accounts. Statements per page: 1. Each condition of
//! a list has an index of its own.

use sea_orm::{ActiveEnum, ConnectionTrait, FromQueryResult};

use super::{
    NotificationChannel, NotificationEventType, NotificationStatus, entity::notification_preference,
    notification::Model,
};
use crate::{
    base::{
        Error, Result,
        pagination::{Cursor, Page, PageRequest},
    },
    infra::{SqlBuilder, sql_builder::query_rows},
};

/// Tag of this list's cursors.
const NOTIFICATION_CURSOR_TAG: char = 'm';
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
    let field = if page_request.backwards { "before" } else { "after" };
    let cursor = page_request
        .cursor
        .as_deref()
        .map(|text| Cursor::decode(text, NOTIFICATION_CURSOR_TAG, &[], field))
        .transpose()?;
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT *");
    filter.push_conditions(&mut sql);
    let (comparison, direction) = if page_request.backwards { (">", "") } else { ("<", " DESC") };
    if let Some(cursor) = cursor {
        sql.push(&format!(" AND id {comparison} ")).bind(cursor.id);
    }
    sql.push(&format!(" ORDER BY id{direction} LIMIT {}", page_request.size + 1));
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let rows = rows.iter().map(|row| Model::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::from_rows(rows, page_request))
}

/// Returns the number of matching notifications. Statements: 1.
pub async fn count_notifications(db: &impl ConnectionTrait, filter: &NotificationListFilter) -> Result<i64> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT COUNT(*) AS many");
    filter.push_conditions(&mut sql);
    let row = db.query_one_raw(sql.into_statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get("", "many"))?)
}

/// Returns the pagination cursor of a notification.
#[must_use]
pub fn encode_notification_cursor(row: &Model) -> String {
    Cursor { sort_tag: NOTIFICATION_CURSOR_TAG, values: Vec::new(), id: row.id }.encode()
}

/// Returns the preferences of accounts. Statements: 1, whose text is the same for any number of accounts.
pub(super) async fn list_preferences(
    db: &impl ConnectionTrait,
    account_ids: &[i64],
) -> Result<Vec<notification_preference::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT * FROM notification_preference WHERE ").eq_any("account_id", account_ids.iter().copied());
    query_rows(db, sql).await
}
