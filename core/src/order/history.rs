//! Order history: event, actor, time and note.

use sea_orm::{ActiveValue::Set, EntityTrait};

use super::{
    Status,
    entity::order_history::{self, OrderHistoryEventType},
};
use crate::{base::Result, infra::Tx};

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
    order_history::Entity::insert(new_history_row(tx, order_id, event, note)).exec_without_returning(tx).await?;
    Ok(())
}

/// Returns the row of a new history entry.
pub(super) fn new_history_row(
    tx: &Tx,
    order_id: i64,
    event: OrderHistoryEvent,
    note: OrderNote<'_>,
) -> order_history::ActiveModel {
    let (event_type, from_status, to_status) = match event {
        OrderHistoryEvent::Placed => (OrderHistoryEventType::Placed, None, None),
        OrderHistoryEvent::StatusChanged(from, to) => (OrderHistoryEventType::Status, Some(from), Some(to)),
        OrderHistoryEvent::Payment => (OrderHistoryEventType::Payment, None, None),
        OrderHistoryEvent::Fulfillment => (OrderHistoryEventType::Fulfillment, None, None),
        OrderHistoryEvent::Refund => (OrderHistoryEventType::Refund, None, None),
        OrderHistoryEvent::Note => (OrderHistoryEventType::Note, None, None),
    };
    let (actor_kind, actor_id) = tx.origin().actor.to_db_parts();
    order_history::ActiveModel {
        order_id: Set(order_id),
        event_type: Set(event_type),
        from_status: Set(from_status),
        to_status: Set(to_status),
        actor_kind: Set(actor_kind),
        actor_id: Set(actor_id),
        note: Set(note.text.map(str::to_owned)),
        is_public: Set(note.is_public),
        created_at: Set(tx.now()),
        ..Default::default()
    }
}
