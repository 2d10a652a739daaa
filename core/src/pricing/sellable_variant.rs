//! Sellable variants: price, weight, publication and available stock at a given time.

use chrono::{DateTime, Utc};
use sea_orm::QueryResult;

use crate::{
    base::Result,
    catalog::{PublicationStatus, product_filter::ProductVisibility, variant},
};

/// A variant with its current price and stock. Orders copy the names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column or a fact of its own")]
pub struct SellableVariant {
    /// The variant's primary key.
    pub variant_id: i64,
    /// The product's primary key.
    pub product_id: i64,
    /// The primary key of the product's category.
    pub category_id: i64,
    /// The SKU.
    pub sku: String,
    /// The name of the product.
    pub name: String,
    /// The name of the variant, from its options.
    pub variant_name: String,
    /// The URL of an image.
    pub image: Option<String>,
    /// The regular price, in minor units.
    pub list_price: i64,
    /// The current price, in minor units.
    pub unit_price: i64,
    /// The unit weight.
    pub weight_grams: Option<i64>,
    /// Whether its stock is tracked.
    pub track_stock: bool,
    /// Whether it can be ordered without stock.
    pub allow_backorder: bool,
    /// Whether the product is active and neither it nor the variant is deleted.
    pub is_for_sale: bool,
    /// Whether the variant or its product is deleted.
    pub is_deleted: bool,
    /// The stock on hand minus reservations, at all locations.
    pub available: i64,
}

/// The reason why a quantity of a variant cannot be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailability {
    /// The variant is not for sale.
    NotForSale,
    /// No stock is available.
    SoldOut,
    /// Only this quantity is available.
    InsufficientStock(i64),
}

impl SellableVariant {
    /// Returns whether a caller with this visibility may see the variant.
    #[must_use]
    pub const fn is_visible_to(&self, visibility: ProductVisibility) -> bool {
        match visibility {
            ProductVisibility::Shopper => self.is_for_sale,
            ProductVisibility::Staff => !self.is_deleted,
        }
    }

    /// Reads a variant from a row with the [`SELLABLE_VARIANT_COLUMNS`](super::queries::SELLABLE_VARIANT_COLUMNS).
    pub fn from_row(row: &QueryResult, now: DateTime<Utc>) -> Result<Self> {
        // `variant::Model` implements the rule for the current price.
        let price_fields = variant::Model {
            price: row.try_get("", "price")?,
            sale_price: row.try_get("", "sale_price")?,
            sale_starts_at: row.try_get("", "sale_starts_at")?,
            sale_ends_at: row.try_get("", "sale_ends_at")?,
            ..variant::Model::default()
        };
        let status: PublicationStatus = row.try_get("", "status")?;
        let deleted_at: [Option<DateTime<Utc>>; 2] =
            [row.try_get("", "deleted_at")?, row.try_get("", "product_deleted_at")?];
        Ok(Self {
            variant_id: row.try_get("", "id")?,
            product_id: row.try_get("", "product_id")?,
            category_id: row.try_get("", "category_id")?,
            sku: row.try_get("", "sku")?,
            name: row.try_get("", "name")?,
            variant_name: row.try_get("", "variant_name")?,
            image: row.try_get("", "image")?,
            list_price: price_fields.price,
            unit_price: price_fields.current_price(now),
            weight_grams: row.try_get("", "weight_grams")?,
            track_stock: row.try_get("", "track_stock")?,
            allow_backorder: row.try_get("", "allow_backorder")?,
            is_for_sale: status == PublicationStatus::Active && deleted_at == [None, None],
            is_deleted: deleted_at != [None, None],
            available: row.try_get("", "available")?,
        })
    }

    /// Returns the quantity that can be ordered; `None` if unlimited.
    #[must_use]
    pub fn max_quantity(&self) -> Option<i64> {
        (self.track_stock && !self.allow_backorder).then_some(self.available.max(0))
    }

    /// Returns the reason why a quantity cannot be ordered, or `None` if it can.
    #[must_use]
    pub fn unavailability(&self, quantity: i64) -> Option<Unavailability> {
        if !self.is_for_sale {
            return Some(Unavailability::NotForSale);
        }
        match self.max_quantity() {
            Some(0) => Some(Unavailability::SoldOut),
            Some(max_quantity) if max_quantity < quantity => Some(Unavailability::InsufficientStock(max_quantity)),
            _ => None,
        }
    }
}
