//! How many of each variant there are, and where. For now at one default location.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    base::{Result, id::Kind},
    infra::{Change, Sql, Tx},
};

/// The location every shop begins with.
const DEFAULT_LOCATION: i64 = 1;

/// What can be bought of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// On hand and not reserved, of what is counted.
    pub available: i64,
    /// Whether any can be bought: some are available, or they are not counted.
    pub buyable: bool,
}

/// Says how many of each variant are on hand at the default location. What buyers have reserved stays theirs: on hand
/// never falls below it.
///
/// # Errors
/// When the database refuses.
pub async fn set_on_hand(tx: &Tx, counts: &[(i64, i64)]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let mut counts = counts.to_vec();
    counts.sort_unstable();
    counts.dedup_by_key(|(variant, _)| *variant);
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let rows = counts.iter().map(|(variant, count)| serde_json::json!([variant, DEFAULT_LOCATION, count, 0, now, now]));
    let columns = [
        ("variant_id", "bigint"),
        ("location_id", "bigint"),
        ("on_hand", "bigint"),
        ("reserved", "bigint"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let mut sql = tx.sql();
    sql.insert("inventory", &columns, rows.collect()).push(
        " ON CONFLICT (variant_id, location_id) DO UPDATE SET updated_at = excluded.updated_at, \
         on_hand = CASE WHEN excluded.on_hand < inventory.reserved THEN inventory.reserved ELSE excluded.on_hand END \
         WHERE inventory.on_hand <> excluded.on_hand",
    );
    tx.execute_raw(sql.statement()).await?;
    let variants: Vec<i64> = counts.iter().map(|(variant, _)| *variant).collect();
    mark(tx, &variants).await
}

/// The same, said by staff: with lines in the audit log where a count becomes another.
///
/// # Errors
/// When the database refuses.
pub async fn recount(tx: &Tx, counts: &[(i64, i64)]) -> Result<()> {
    if counts.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = counts.iter().map(|(variant, _)| *variant).collect();
    let before = on_hand(tx, &keys).await?;
    set_on_hand(tx, counts).await?;
    let after = on_hand(tx, &keys).await?;
    let change = |key: &i64| Change {
        action: "inventory.set",
        thing: (Kind::Variant, *key),
        before: Some(json!({ "onHand": before.get(key) })),
        after: Some(json!({ "onHand": after.get(key) })),
    };
    let differs = keys.iter().filter(|key| before.get(key) != after.get(key));
    tx.record(&differs.map(change).collect::<Vec<_>>()).await
}

async fn on_hand(tx: &Tx, variants: &[i64]) -> Result<HashMap<i64, i64>> {
    let mut sql = tx.sql();
    sql.push("SELECT variant_id, on_hand FROM inventory WHERE location_id = ").bind(DEFAULT_LOCATION).push(" AND ");
    sql.any("variant_id", variants.iter().copied());
    let rows = tx.query_all_raw(sql.statement()).await?;
    rows.iter().map(|row| Ok((row.try_get("", "variant_id")?, row.try_get("", "on_hand")?))).collect()
}

/// Whether each product of these variants can be bought is kept with the product, where lists filter by it. Written
/// only where it turns, so that selling from a full shelf does not touch the product.
///
/// # Errors
/// When the database refuses.
pub async fn mark(tx: &Tx, variants: &[i64]) -> Result<()> {
    if variants.is_empty() {
        return Ok(());
    }
    let buyable = "EXISTS (SELECT 1 FROM variant AS v LEFT JOIN inventory AS i ON i.variant_id = v.id \
                   WHERE v.product_id = product.id AND v.deleted_at IS NULL \
                   AND (NOT v.track_stock OR i.on_hand > i.reserved))";
    let mut sql = tx.sql();
    sql.push("UPDATE product SET in_stock = NOT in_stock WHERE id IN (SELECT product_id FROM variant WHERE ");
    sql.any("id", variants.iter().copied()).push(") AND in_stock <> ").push(buyable);
    tx.execute_raw(sql.statement()).await?;
    Ok(())
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
         MAX(CASE WHEN NOT v.track_stock OR i.on_hand > i.reserved THEN 1 ELSE 0 END) AS buyable \
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
