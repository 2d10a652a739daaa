//! What the shop offers of a variant at a moment: its price, its weight, whether it is on sale and how many are left.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::{
    base::Result,
    catalog::{Status, filter::Sight, variant},
    infra::Sql,
};

/// A variant as it can be bought now. The names are what an order copies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column or a fact of its own")]
pub struct Offer {
    /// The variant.
    pub variant: i64,
    /// Its product.
    pub product: i64,
    /// The product's category.
    pub category: i64,
    /// The shop's own number for the variant.
    pub sku: String,
    /// What the product is called.
    pub name: String,
    /// The variant's options in words.
    pub variant_name: String,
    /// Where a picture of it is.
    pub image: Option<String>,
    /// The regular price.
    pub list: i64,
    /// What it costs now.
    pub unit: i64,
    /// What one weighs.
    pub grams: Option<i64>,
    /// Whether its stock is counted.
    pub track_stock: bool,
    /// Whether it can be ordered while there is none.
    pub backorder: bool,
    /// Whether the shop sells it.
    pub on_sale: bool,
    /// Whether it, or its product, is deleted.
    pub deleted: bool,
    /// How many are on hand and not reserved, at all locations together.
    pub available: i64,
}

/// What stands between a shopper and so many of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The shop does not sell it, or not any more.
    Gone,
    /// There are none.
    SoldOut,
    /// There are only so many.
    Fewer(i64),
}

impl Offer {
    /// Whether a caller with this sight may know that the variant exists.
    #[must_use]
    pub const fn is_visible_to(&self, sight: Sight) -> bool {
        match sight {
            Sight::Shopper => self.on_sale,
            Sight::Staff => !self.deleted,
        }
    }

    /// Reads one from a row that has the [`COLUMNS`].
    ///
    /// # Errors
    /// When the row cannot be read.
    pub fn read(row: &QueryResult, now: DateTime<Utc>) -> Result<Self> {
        // The catalog's own rule says what it costs now.
        let priced = variant::Model {
            price: row.try_get("", "price")?,
            sale_price: row.try_get("", "sale_price")?,
            sale_starts_at: row.try_get("", "sale_starts_at")?,
            sale_ends_at: row.try_get("", "sale_ends_at")?,
            ..variant::Model::default()
        };
        let status: Status = row.try_get("", "status")?;
        let gone: [Option<DateTime<Utc>>; 2] = [row.try_get("", "deleted_at")?, row.try_get("", "product_deleted_at")?];
        Ok(Self {
            variant: row.try_get("", "id")?,
            product: row.try_get("", "product_id")?,
            category: row.try_get("", "category_id")?,
            sku: row.try_get("", "sku")?,
            name: row.try_get("", "name")?,
            variant_name: row.try_get("", "variant_name")?,
            image: row.try_get("", "image")?,
            list: priced.price,
            unit: priced.price_now(now),
            grams: row.try_get("", "weight_grams")?,
            track_stock: row.try_get("", "track_stock")?,
            backorder: row.try_get("", "backorder")?,
            on_sale: status == Status::Active && gone == [None, None],
            deleted: gone != [None, None],
            available: row.try_get("", "available")?,
        })
    }

    /// How many can be bought; `None` when there is no end to them.
    #[must_use]
    pub fn most(&self) -> Option<i64> {
        (self.track_stock && !self.backorder).then_some(self.available.max(0))
    }

    /// What stands between a shopper and so many.
    #[must_use]
    pub fn obstacle(&self, quantity: i64) -> Option<Obstacle> {
        if !self.on_sale {
            return Some(Obstacle::Gone);
        }
        match self.most() {
            Some(0) => Some(Obstacle::SoldOut),
            Some(most) if most < quantity => Some(Obstacle::Fewer(most)),
            _ => None,
        }
    }
}

/// The columns that [`Offer::read`] reads from [`TABLES`].
pub const COLUMNS: &str = "v.id, v.product_id, p.category_id, v.sku, p.name, v.name AS variant_name, \
    COALESCE(v.image, p.image) AS image, v.price, v.sale_price, v.sale_starts_at, v.sale_ends_at, v.weight_grams, \
    v.track_stock, v.backorder, p.status, v.deleted_at, p.deleted_at AS product_deleted_at, \
    CAST(COALESCE((SELECT SUM(i.on_hand - i.reserved) FROM inventory AS i WHERE i.variant_id = v.id), 0) AS BIGINT) \
    AS available";
/// Where offers are read from.
pub const TABLES: &str = "variant AS v JOIN product AS p ON p.id = v.product_id";

/// The offers of variants, as far as these are there; what is deleted is there too, and not on sale. One statement for
/// any number.
///
/// # Errors
/// When the database cannot be asked.
pub async fn offers(db: &impl ConnectionTrait, now: DateTime<Utc>, variants: &[i64]) -> Result<HashMap<i64, Offer>> {
    if variants.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT ").push(COLUMNS).push(" FROM ").push(TABLES).push(" WHERE ");
    sql.any("v.id", variants.iter().copied());
    let rows = db.query_all_raw(sql.statement()).await?;
    rows.iter().map(|row| Offer::read(row, now).map(|offer| (offer.variant, offer))).collect()
}
