//! Topics: what a subscription follows, and which events concern it.

use crate::{
    cart::CartChanged,
    catalog::events::ProductsChanged,
    infra::{
        event_feed::FeedEvent,
        jobs::events::JobFailed,
        outbox::{self, Event},
    },
    inventory::{StockChanged, StockLow},
    order::{OrderPlaced, OrderUpdated},
};

/// What a subscription follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Changes of an order.
    Order(i64),
    /// New and changed orders of an account.
    OrdersOfAccount(i64),
    /// New orders.
    NewOrders,
    /// Changes of a cart.
    Cart(i64),
    /// Changes of the stock of a variant.
    Stock(i64),
    /// Changes of a product.
    Product(i64),
    /// Stock levels that became low.
    LowStock,
    /// Jobs that failed for good.
    FailedJobs,
}

impl Topic {
    /// Returns the topics of an event; none if nothing can follow it.
    #[must_use]
    pub fn list_of_event(event: &FeedEvent) -> Vec<Self> {
        let topics = match event.kind.as_str() {
            OrderPlaced::KIND => parse_event::<OrderPlaced>(event).map(|OrderPlaced { order, account }| {
                let topics = [Self::Order(order), Self::NewOrders];
                topics.into_iter().chain(account.map(Self::OrdersOfAccount)).collect()
            }),
            OrderUpdated::KIND => parse_event::<OrderUpdated>(event).map(|OrderUpdated { order, account }| {
                [Self::Order(order)].into_iter().chain(account.map(Self::OrdersOfAccount)).collect()
            }),
            CartChanged::KIND => parse_event::<CartChanged>(event).map(|event| vec![Self::Cart(event.cart)]),
            StockChanged::KIND => {
                parse_event::<StockChanged>(event).map(|event| event.variants.into_iter().map(Self::Stock).collect())
            }
            ProductsChanged::KIND => parse_event::<ProductsChanged>(event)
                .map(|event| event.products.into_iter().map(Self::Product).collect()),
            StockLow::KIND => Some(vec![Self::LowStock]),
            JobFailed::KIND => Some(vec![Self::FailedJobs]),
            _ => None,
        };
        topics.unwrap_or_default()
    }
}

/// Parses the payload of an event; `None` if a version with another format has emitted it.
pub(super) fn parse_event<E: outbox::Event>(event: &FeedEvent) -> Option<E> {
    if event.kind != E::KIND {
        return None;
    }
    serde_json::from_value(event.payload.clone())
        .inspect_err(|error| tracing::warn!(%error, kind = event.kind, "event has an unknown format"))
        .ok()
}
