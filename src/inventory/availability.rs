//! Availability of products and variants, loaded in bulk.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use crate::{base::Result, infra::SqlBuilder};

/// The availability of a product or variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockAvailability {
    /// Units on hand minus reserved units, of tracked variants only.
    pub available: i64,
    /// Whether it can be bought: units are available, stock is not tracked, or backorders are allowed.
    pub buyable: bool,
}

/// Returns the availability of products, summed over their active variants. Statements: 1.
pub async fn load_product_availability(
    db: &impl ConnectionTrait,
    products: &[i64],
) -> Result<HashMap<i64, StockAvailability>> {
    load_availability(db, "v.product_id", products).await
}

/// Returns the availability of variants. Statements: 1.
pub async fn load_variant_availability(
    db: &impl ConnectionTrait,
    variants: &[i64],
) -> Result<HashMap<i64, StockAvailability>> {
    load_availability(db, "v.id", variants).await
}

async fn load_availability(
    db: &impl ConnectionTrait,
    owner: &str,
    keys: &[i64],
) -> Result<HashMap<i64, StockAvailability>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ").push(owner).push(
        " AS owner, CAST(COALESCE(SUM(CASE WHEN v.track_stock THEN i.on_hand - i.reserved END), 0) AS BIGINT) AS available, \
         MAX(CASE WHEN NOT v.track_stock OR v.allow_backorder OR i.on_hand > i.reserved THEN 1 ELSE 0 END) AS buyable \
         FROM variant AS v LEFT JOIN inventory_level AS i ON i.variant_id = v.id WHERE v.deleted_at IS NULL AND ",
    );
    sql.eq_any(owner, keys.iter().copied()).push(" GROUP BY ").push(owner);
    let mut availability_by_owner = HashMap::with_capacity(keys.len());
    for row in db.query_all_raw(sql.into_statement()).await? {
        let buyable: i32 = row.try_get("", "buyable")?;
        availability_by_owner.insert(
            row.try_get("", "owner")?,
            StockAvailability { available: row.try_get("", "available")?, buyable: buyable == 1 },
        );
    }
    Ok(availability_by_owner)
}
