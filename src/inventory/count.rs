//! Counting many variants at once, and what a product keeps of it.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{DEFAULT_LOCATION, row};
use crate::{
    base::{
        Error, Result,
        error::{Code, Problem},
        id::Kind,
    },
    infra::{Change, Tx},
};

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
    let by = tx.origin().actor.to_string();
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let rows =
        counts.iter().map(|(variant, count)| json!([variant, DEFAULT_LOCATION, count, 0, "count", by, now, now]));
    let columns = [
        ("variant_id", "bigint"),
        ("location_id", "bigint"),
        ("on_hand", "bigint"),
        ("reserved", "bigint"),
        ("moved_why", "text"),
        ("moved_by", "text"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let mut sql = tx.sql();
    sql.insert("inventory", &columns, rows.collect()).push(
        " ON CONFLICT (variant_id, location_id) DO UPDATE SET updated_at = excluded.updated_at, \
         moved_why = excluded.moved_why, moved_for = NULL, moved_by = excluded.moved_by, \
         on_hand = CASE WHEN excluded.on_hand < inventory.reserved THEN inventory.reserved ELSE excluded.on_hand END \
         WHERE inventory.on_hand <> excluded.on_hand",
    );
    tx.execute_raw(sql.statement()).await?;
    let variants: Vec<i64> = counts.iter().map(|(variant, _)| *variant).collect();
    mark(tx, &variants).await
}

/// Locks the stock of variants and checks that as many are on hand at the default location as their editors expect: each
/// expectation is a variant, a quantity, and the input field that says so.
///
/// # Errors
/// With each variant of which another number is on hand.
pub async fn check_on_hand(tx: &Tx, expected: &[(i64, i64, String)]) -> Result<()> {
    if expected.is_empty() {
        return Ok(());
    }
    let rows = row::hold(tx, expected.iter().map(|(variant, ..)| *variant)).await?;
    let problem = |(variant, quantity, field): &(i64, i64, String)| {
        let there = rows.iter().find(|row| row.variant_id == *variant && row.location_id == DEFAULT_LOCATION);
        let on_hand = there.map_or(0, |row| row.on_hand);
        let message = format!("there are {on_hand} on hand now, not {quantity}: others have changed it; count again");
        let field = field.split('.').map(str::to_owned).collect();
        (on_hand != *quantity).then_some(Problem { code: Code::VersionConflict, field, message })
    };
    Error::all(expected.iter().filter_map(problem).collect())
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
/// The products are held before they are looked at: of two buyers who take the last of two variants at once, neither
/// sees what the other took, but the second one here does.
///
/// # Errors
/// When the database refuses.
pub async fn mark(tx: &Tx, variants: &[i64]) -> Result<()> {
    if variants.is_empty() {
        return Ok(());
    }
    let buyable = "EXISTS (SELECT 1 FROM variant AS v LEFT JOIN inventory AS i ON i.variant_id = v.id \
                   WHERE v.product_id = product.id AND v.deleted_at IS NULL \
                   AND (NOT v.track_stock OR v.backorder OR i.on_hand > i.reserved))";
    hold_products(tx, variants).await?;
    let mut sql = tx.sql();
    sql.push("UPDATE product SET in_stock = NOT in_stock WHERE id IN (SELECT product_id FROM variant WHERE ");
    sql.any("id", variants.iter().copied()).push(") AND in_stock <> ").push(buyable);
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Keeps the products of variants as they are until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub(super) async fn hold_products(tx: &Tx, variants: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    if sql.postgres() {
        sql.push("SELECT id FROM product WHERE id IN (SELECT product_id FROM variant WHERE ");
        sql.any("id", variants.iter().copied()).push(") ORDER BY id FOR NO KEY UPDATE");
        tx.execute_raw(sql.statement()).await?;
    }
    Ok(())
}
