//! Order history.

use async_graphql::{Context, Enum, ID, Object};
use chrono::{DateTime, Utc};

use super::status::OrderStatus;
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    graphql::{context::request_context, guard::RequirePermission, identity::account::Account},
    identity::Permission,
    infra::ActorKind,
    order::entity::{OrderHistoryRow, order_history::OrderHistoryEventType},
};

/// Type of an order history entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "OrderHistoryEventType")]
pub enum OrderEventType {
    /// The order was placed.
    Placed,
    /// The order status changed.
    Status,
    /// A payment event.
    Payment,
    /// A fulfillment was shipped.
    Fulfillment,
    /// A refund was created.
    Refund,
    /// A note was added.
    Note,
}

/// Type of actor that changed an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "ActorKind")]
pub enum OrderActor {
    /// Anonymous caller.
    Anonymous,
    /// Customer or staff account.
    Account,
    /// API key.
    ApiKey,
    /// The system: a scheduled job or a payment event.
    System,
}

/// Entry of the order history.
#[derive(Debug, Clone)]
pub struct OrderHistoryEntry(pub OrderHistoryRow);

/// Entry of the order history.
#[Object]
impl OrderHistoryEntry {
    /// Global ID.
    async fn id(&self) -> ID {
        GlobalId::new(NodeType::OrderHistoryEntry, self.0.id).encode().into()
    }

    /// Type of the entry.
    #[graphql(name = "type")]
    async fn event_type(&self) -> OrderEventType {
        self.0.event_type.into()
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
        self.0.actor_kind.into()
    }

    /// Account of the actor; null for other types of actors. Staff only.
    #[graphql(guard = "RequirePermission(Permission::OrderRead)")]
    async fn account(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
        match self.0.actor_id.filter(|_| self.0.actor_kind == ActorKind::Account) {
            Some(account_id) => Account::find(request_context(ctx), account_id).await,
            None => Ok(None),
        }
    }

    /// Reason or note; null if none was given.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }

    /// Whether the entry is visible to the buyer.
    async fn public(&self) -> bool {
        self.0.is_public
    }

    /// Time of the entry.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
