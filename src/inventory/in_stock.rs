//! The `in_stock` flag of products.

use sea_orm::ConnectionTrait;

use crate::{base::Result, infra::Tx};

/// Updates the `in_stock` flag of the products of variants, by which product lists filter. Writes only products whose
/// flag changes, so that most sales do not touch the product row.
///
/// Locks the products before reading stock: of two concurrent transactions that sell the last units of two variants of
/// one product, the second waits for the lock and then sees the change of the first.
pub async fn refresh_in_stock(tx: &Tx, variants: &[i64]) -> Result<()> {
    if variants.is_empty() {
        return Ok(());
    }
    let buyable_sql = "EXISTS (SELECT 1 FROM variant AS v LEFT JOIN inventory_level AS i ON i.variant_id = v.id \
                   WHERE v.product_id = product.id AND v.deleted_at IS NULL \
                   AND (NOT v.track_stock OR v.allow_backorder OR i.on_hand > i.reserved))";
    lock_products(tx, variants).await?;
    let mut sql = tx.sql();
    sql.push("UPDATE product SET in_stock = NOT in_stock WHERE id IN (SELECT product_id FROM variant WHERE ");
    sql.eq_any("id", variants.iter().copied()).push(") AND in_stock <> ").push(buyable_sql);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Locks the products of variants until the transaction ends. No-op on SQLite, which has a single writer.
pub(super) async fn lock_products(tx: &Tx, variants: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    if sql.is_postgres() {
        sql.push("SELECT id FROM product WHERE id IN (SELECT product_id FROM variant WHERE ");
        sql.eq_any("id", variants.iter().copied()).push(") ORDER BY id FOR NO KEY UPDATE");
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}
