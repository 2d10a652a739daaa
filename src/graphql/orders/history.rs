//! Order history.

use async_graphql::{Context, Enum, Object};
use chrono::{DateTime, Utc};

use super::{
    super::{context::request_context, customer::Customer, guard::RequirePermission},
    status::OrderStatus,
};
use crate::{base::Result, identity::Permission, order::entity::OrderHistoryRow};

/// Type of an order history entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderEntryKind {
    /// The order was placed.
    Placed,
    /// The order status changed.
    Status,
    /// A payment event.
    Payment,
    /// A fulfillment was shipped.
    Fulfilment,
    /// A refund was created.
    Refund,
    /// A note was added.
    Note,
}

/// Type of actor that changed an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderActor {
    /// Anonymous caller.
    Guest,
    /// Customer or staff account.
    Person,
    /// API key.
    Machine,
    /// The system: a scheduled job or a payment event.
    Shop,
}

/// Entry of the order history.
#[derive(Debug, Clone)]
pub struct OrderEntry(pub OrderHistoryRow);

/// Entry of the order history.
#[Object]
impl OrderEntry {
    /// Type of the entry.
    async fn kind(&self) -> OrderEntryKind {
        match self.0.event_type.as_str() {
            "placed" => OrderEntryKind::Placed,
            "status" => OrderEntryKind::Status,
            "payment" => OrderEntryKind::Payment,
            "fulfillment" => OrderEntryKind::Fulfilment,
            "refund" => OrderEntryKind::Refund,
            _ => OrderEntryKind::Note,
        }
    }

    /// Previous order status; null unless the status changed.
    async fn from_status(&self) -> Option<OrderStatus> {
        self.0.from_status.map(OrderStatus::from)
    }

    /// New order status; null unless the status changed.
    async fn to_status(&self) -> Option<OrderStatus> {
        self.0.to_status.map(OrderStatus::from)
    }

    /// Type of actor.
    async fn actor(&self) -> OrderActor {
        match self.0.actor_kind.as_str() {
            "anonymous" => OrderActor::Guest,
            "account" => OrderActor::Person,
            "api_key" => OrderActor::Machine,
            _ => OrderActor::Shop,
        }
    }

    /// Account of the actor; null for other types of actors. Staff only.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn person(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        match self.0.actor_id.filter(|_| self.0.actor_kind == "account") {
            Some(account_id) => Customer::find(request_context(ctx), account_id).await,
            None => Ok(None),
        }
    }

    /// Reason or note; null if none was given.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }

    /// Whether the entry is visible to the buyer.
    async fn is_public(&self) -> bool {
        self.0.is_public
    }

    /// Time of the entry.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
