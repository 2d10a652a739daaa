//! Order history: event, actor, time and note.

use sea_orm::ConnectionTrait;

use super::{Status, entity::order_history::OrderHistoryEventType};
use crate::{
    base::Result,
    infra::{SqlBuilder, Tx},
};

/// Type of a history entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderHistoryEvent {
    /// The order was placed.
    Placed,
    /// The status changed from the first to the second value.
    StatusChanged(Status, Status),
    /// The payment changed.
    Payment,
    /// A fulfillment was created.
    Fulfillment,
    /// A refund was completed or declined.
    Refund,
    /// A note was added.
    Note,
}

/// Note of a history entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderNote<'a> {
    /// Text; `None` for an entry without a note.
    pub text: Option<&'a str>,
    /// Whether the buyer sees the entry.
    pub is_public: bool,
}

impl<'a> OrderNote<'a> {
    /// Creates a note that the buyer sees.
    #[must_use]
    pub const fn public(text: Option<&'a str>) -> Self {
        Self { text, is_public: true }
    }

    /// Creates a note that only staff see.
    #[must_use]
    pub const fn internal(text: Option<&'a str>) -> Self {
        Self { text, is_public: false }
    }
}

/// Adds an entry to the order's history.
pub async fn record_history_event(tx: &Tx, order_id: i64, event: OrderHistoryEvent, note: OrderNote<'_>) -> Result<()> {
    tx.execute_raw(statement(tx, order_id, event, note).into_statement()).await?;
    Ok(())
}

/// Returns the statement that inserts a history entry.
pub(super) fn statement(tx: &Tx, order: i64, event: OrderHistoryEvent, note: OrderNote<'_>) -> SqlBuilder {
    let OrderNote { text, is_public } = note;
    let (event_type, from, to) = match event {
        OrderHistoryEvent::Placed => (OrderHistoryEventType::Placed, None, None),
        OrderHistoryEvent::StatusChanged(from, to) => (OrderHistoryEventType::Status, Some(from), Some(to)),
        OrderHistoryEvent::Payment => (OrderHistoryEventType::Payment, None, None),
        OrderHistoryEvent::Fulfillment => (OrderHistoryEventType::Fulfillment, None, None),
        OrderHistoryEvent::Refund => (OrderHistoryEventType::Refund, None, None),
        OrderHistoryEvent::Note => (OrderHistoryEventType::Note, None, None),
    };
    let (actor, actor_id) = tx.origin().actor.to_db_parts();
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO order_history (order_id, event_type, from_status, to_status, actor_kind, actor_id, note, is_public, ",
    );
    sql.push("created_at) VALUES (").bind(order).push(", ").bind(event_type).push(", ").bind(from);
    sql.push(", ").bind(to).push(", ").bind(actor).push(", ").bind(actor_id).push(", ");
    sql.bind(text).push(", ").bind(is_public).push(", ").bind(tx.now()).push(")");
    sql
}
