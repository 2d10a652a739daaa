//! Availability of products and variants, as the shop displays it.

use async_graphql::SimpleObject;
use macros::BatchedObject;

use crate::{
    graphql::{context::RequestContext, scalars::clamp_to_i32},
    identity::Permission,
    infra::config::StockDisplay,
    inventory::StockAvailability,
};

/// Availability of a product or variant.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct Availability {
    /// Whether it is available for purchase.
    available: bool,
    /// Available quantity, on hand minus reserved; null if the stock of the variant, or of a variant of the product, is
    /// not tracked, or if the shop does not display quantities. The setting `shop.stock_display` may cap it.
    quantity: Option<i32>,
    /// Whether it can be ordered without stock.
    backorderable: bool,
    /// Whether the stock of the variant, or of a variant of the product, is at or below its low-stock threshold.
    low: bool,
}

impl Availability {
    /// Creates the availability that the caller may see; nothing is available without a row.
    #[must_use]
    pub fn new(stock: Option<StockAvailability>, context: &RequestContext) -> Self {
        let Some(stock) = stock else {
            return Self { available: false, quantity: None, backorderable: false, low: false };
        };
        let quantity = displayed_quantity(stock, context).filter(|_| stock.tracked);
        let StockAvailability { buyable: available, backorderable, low, .. } = stock;
        Self { available, quantity: quantity.map(clamp_to_i32), backorderable, low }
    }
}

/// Returns the available quantity that the caller may see; `None` if it is hidden.
#[must_use]
pub fn displayed_quantity(stock: StockAvailability, context: &RequestContext) -> Option<i64> {
    if context.caller.permissions().has(Permission::StockWrite) {
        return Some(stock.available);
    }
    let shop = &context.app_state.config.shop;
    match shop.stock_display {
        StockDisplay::Exact => Some(stock.available),
        StockDisplay::Capped => Some(stock.available.min(shop.stock_display_cap.into())),
        StockDisplay::Hidden => None,
    }
}
