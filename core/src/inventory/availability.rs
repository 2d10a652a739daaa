//! Availability of products and variants, loaded in bulk.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use super::queries::{AvailabilityOwner, load_availability};
use crate::base::Result;

/// The availability of a product or variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct StockAvailability {
    /// Units on hand minus reserved units, of tracked variants only.
    pub available: i64,
    /// Whether it can be bought: units are available, stock is not tracked, or backorders are allowed.
    pub buyable: bool,
    /// Whether the stock of every variant is tracked.
    pub tracked: bool,
    /// Whether a variant with tracked stock can be ordered without stock.
    pub backorderable: bool,
    /// Whether the stock of a variant is at or below its low-stock threshold, at any location.
    pub low: bool,
}

/// Returns the availability of products, summed over their active variants. Statements: 1.
pub async fn load_product_availability(
    db: &impl ConnectionTrait,
    products: &[i64],
) -> Result<HashMap<i64, StockAvailability>> {
    load_availability(db, AvailabilityOwner::Product, products).await
}

/// Returns the availability of variants. Statements: 1.
pub async fn load_variant_availability(
    db: &impl ConnectionTrait,
    variants: &[i64],
) -> Result<HashMap<i64, StockAvailability>> {
    load_availability(db, AvailabilityOwner::Variant, variants).await
}
