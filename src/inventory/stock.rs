//! What can be bought of products and variants, for many at once.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;

use crate::{base::Result, infra::Sql};

/// What can be bought of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// On hand and not reserved, of what is counted.
    pub available: i64,
    /// Whether any can be bought: some are available, or they are not counted, or may be ordered before they are there.
    pub buyable: bool,
}

/// The stock of products, all their living variants together. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_products(db: &impl ConnectionTrait, products: &[i64]) -> Result<HashMap<i64, Stock>> {
    stock(db, "v.product_id", products).await
}

/// The stock of variants. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_variants(db: &impl ConnectionTrait, variants: &[i64]) -> Result<HashMap<i64, Stock>> {
    stock(db, "v.id", variants).await
}

async fn stock(db: &impl ConnectionTrait, owner: &str, keys: &[i64]) -> Result<HashMap<i64, Stock>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT ").push(owner).push(
        " AS owner, CAST(COALESCE(SUM(CASE WHEN v.track_stock THEN i.on_hand - i.reserved END), 0) AS BIGINT) AS available, \
         MAX(CASE WHEN NOT v.track_stock OR v.backorder OR i.on_hand > i.reserved THEN 1 ELSE 0 END) AS buyable \
         FROM variant AS v LEFT JOIN inventory AS i ON i.variant_id = v.id WHERE v.deleted_at IS NULL AND ",
    );
    sql.any(owner, keys.iter().copied()).push(" GROUP BY ").push(owner);
    let mut found = HashMap::with_capacity(keys.len());
    for row in db.query_all_raw(sql.statement()).await? {
        let buyable: i32 = row.try_get("", "buyable")?;
        found.insert(
            row.try_get("", "owner")?,
            Stock { available: row.try_get("", "available")?, buyable: buyable == 1 },
        );
    }
    Ok(found)
}
