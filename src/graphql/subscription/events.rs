//! Events as subscriptions deliver them.

use async_graphql::SimpleObject;

use crate::graphql::{
    admin::jobs::Job,
    cart::Cart,
    catalog::{product::Product, variant::Variant},
    inventory::stock::StockLevel,
    order::Order,
};

/// New or changed order.
#[derive(Debug, SimpleObject)]
pub struct OrderEvent {
    /// Current state of the order.
    pub order: Order,
    /// Cursor of the event for `after`.
    pub cursor: String,
}

/// Changed cart.
#[derive(Debug, SimpleObject)]
pub struct CartEvent {
    /// Current state of the cart.
    pub cart: Cart,
    /// Cursor of the event for `after`.
    pub cursor: String,
}

/// Changed stock of variants.
#[derive(Debug, SimpleObject)]
pub struct StockEvent {
    /// Current state of the requested variants whose stock changed together.
    pub variants: Vec<Variant>,
    /// Cursor of the event for `after`.
    pub cursor: String,
}

/// Changed product.
#[derive(Debug, SimpleObject)]
pub struct ProductEvent {
    /// Current state of the product; null if it was deleted or is no longer published.
    pub product: Option<Product>,
    /// Cursor of the event for `after`.
    pub cursor: String,
}

/// Stock level that became low.
#[derive(Debug, SimpleObject)]
pub struct LowStockEvent {
    /// Current state of the stock level; null if the variant was deleted.
    pub stock_level: Option<StockLevel>,
    /// Cursor of the event for `after`.
    pub cursor: String,
}

/// Job that failed for good.
#[derive(Debug, SimpleObject)]
pub struct JobEvent {
    /// Current state of the job; null if it was deleted.
    pub job: Option<Job>,
    /// Cursor of the event for `after`.
    pub cursor: String,
}
