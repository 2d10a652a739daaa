//! The statement that reads sellable variants, as text: it joins tables of other modules and sums the stock.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::sellable_variant::SellableVariant;
use crate::{base::Result, infra::SqlBuilder};

/// The columns of [`SELLABLE_VARIANT_TABLES`] that [`SellableVariant::from_row`] reads.
pub const SELLABLE_VARIANT_COLUMNS: &str = "v.id, v.product_id, p.category_id, v.sku, p.name, v.name AS variant_name, \
    COALESCE(v.image, p.image) AS image, v.price, v.sale_price, v.sale_starts_at, v.sale_ends_at, v.weight_grams, \
    v.track_stock, v.allow_backorder, p.status, v.deleted_at, p.deleted_at AS product_deleted_at, \
    CAST(COALESCE((SELECT SUM(i.on_hand - i.reserved) FROM inventory_level AS i WHERE i.variant_id = v.id), 0) AS \
    BIGINT) \
    AS available";
/// The tables of sellable variants.
pub const SELLABLE_VARIANT_TABLES: &str = "variant AS v JOIN product AS p ON p.id = v.product_id";

/// Loads variants by primary key. Deleted ones are included, but not for sale; unknown ones are omitted. Statements: 1.
pub async fn load_sellable_variants(
    db: &impl ConnectionTrait,
    now: DateTime<Utc>,
    variants: &[i64],
) -> Result<HashMap<i64, SellableVariant>> {
    if variants.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ").push(SELLABLE_VARIANT_COLUMNS).push(" FROM ").push(SELLABLE_VARIANT_TABLES).push(" WHERE ");
    sql.eq_any("v.id", variants.iter().copied());
    let rows = db.query_all_raw(sql.into_statement()).await?;
    rows.iter().map(|row| SellableVariant::from_row(row, now).map(|variant| (variant.variant_id, variant))).collect()
}
