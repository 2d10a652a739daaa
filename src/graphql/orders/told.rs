//! The history of an order.

use async_graphql::{Context, Enum, Object};
use chrono::{DateTime, Utc};

use super::{
    super::{context::scope, customer::Customer, guard::Can},
    OrderStatus,
};
use crate::{base::Result, identity::Permission, order::entity::Entry};

/// What kind of thing has happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderEntryKind {
    /// It was placed.
    Placed,
    /// It has come further, or to its end.
    Status,
    /// Something about its money.
    Payment,
    /// A parcel went off.
    Fulfilment,
    /// Money went back.
    Refund,
    /// Somebody wrote something down.
    Note,
}

/// Who did something with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum OrderActor {
    /// Somebody who had not signed in.
    Guest,
    /// A person who had.
    Person,
    /// A machine.
    Machine,
    /// The shop itself, by the clock or a payment.
    Shop,
}

/// Something that has happened to an order.
#[derive(Debug, Clone)]
pub struct OrderEntry(pub Entry);

/// Something that has happened to an order.
#[Object]
impl OrderEntry {
    /// What kind of thing.
    async fn kind(&self) -> OrderEntryKind {
        match self.0.kind.as_str() {
            "placed" => OrderEntryKind::Placed,
            "status" => OrderEntryKind::Status,
            "payment" => OrderEntryKind::Payment,
            "fulfilment" => OrderEntryKind::Fulfilment,
            "refund" => OrderEntryKind::Refund,
            _ => OrderEntryKind::Note,
        }
    }

    /// Where the order stood before; null unless its status changed.
    async fn from_status(&self) -> Option<OrderStatus> {
        self.0.from_status.map(OrderStatus::from)
    }

    /// Where it stands since; null unless its status changed.
    async fn to_status(&self) -> Option<OrderStatus> {
        self.0.to_status.map(OrderStatus::from)
    }

    /// Who did it.
    async fn actor(&self) -> OrderActor {
        match self.0.actor_kind.as_str() {
            "nobody" => OrderActor::Guest,
            "account" => OrderActor::Person,
            "api_key" => OrderActor::Machine,
            _ => OrderActor::Shop,
        }
    }

    /// The account of the person who did it; null when nobody had signed in. Staff only. One statement for any number.
    #[graphql(guard = "Can(Permission::OrderRead)")]
    async fn person(&self, ctx: &Context<'_>) -> Result<Option<Customer>> {
        match self.0.actor_id.filter(|_| self.0.actor_kind == "account") {
            Some(account) => Customer::find(scope(ctx), account).await,
            None => Ok(None),
        }
    }

    /// Why, or what was written down; null when nothing was said.
    async fn note(&self) -> Option<&str> {
        self.0.note.as_deref()
    }

    /// Whether the buyer sees it too.
    async fn is_public(&self) -> bool {
        self.0.is_public
    }

    /// When.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}
