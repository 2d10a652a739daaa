//! Retention of carts: deletion of expired carts, erasure and export of a customer's carts.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::entity::cart::{self, CartStatus};
use crate::{
    base::{GlobalId, Result, global_id::NodeType},
    infra::{Db, SqlBuilder, Tx, config::CartConfig},
};

/// The number of carts deleted per transaction.
const EXPIRED_CART_BATCH_SIZE: u64 = 500;

/// Deletes carts that were not updated within their lifetime, in batches, and returns their number. Instances may run
/// it concurrently.
pub async fn delete_expired_carts(db: &Db, config: &CartConfig) -> Result<u64> {
    let retention_rules = [
        ("(account_id IS NULL OR state <> 'open')", db.now() - config.guest_ttl),
        ("account_id IS NOT NULL AND state = 'open'", db.now() - config.customer_ttl),
    ];
    let mut total = 0;
    for (condition, cutoff) in retention_rules {
        loop {
            let deleted = db.write(async |tx| delete_expired_batch(tx, condition, cutoff).await).await?;
            total += deleted;
            if deleted < EXPIRED_CART_BATCH_SIZE {
                break;
            }
        }
    }
    Ok(total)
}

async fn delete_expired_batch(tx: &Tx, condition: &str, cutoff: DateTime<Utc>) -> Result<u64> {
    let mut sql = tx.sql();
    sql.push(&format!("DELETE FROM cart WHERE id IN (SELECT id FROM cart WHERE {condition} AND updated_at < "))
        .bind(cutoff);
    sql.push(&format!(" ORDER BY updated_at LIMIT {EXPIRED_CART_BATCH_SIZE}"));
    // Carts locked by a concurrent transaction are being updated and are skipped.
    sql.push(if sql.is_postgres() { " FOR UPDATE SKIP LOCKED)" } else { ")" });
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// Deletes all carts of a customer whose personal data is erased. Statements: 1.
pub async fn delete_carts_by_account(tx: &Tx, account: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart WHERE account_id = ").bind(account);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Deletes all guest carts with an email address. Statements: 1.
pub async fn delete_guest_carts(tx: &Tx, email: &str) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart WHERE account_id IS NULL AND lower(email) = ").bind(email.to_lowercase());
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Exports all carts of a customer for a data request. Statements: 2.
pub async fn export_carts(db: &impl ConnectionTrait, account: i64) -> Result<Vec<Value>> {
    let query = cart::Entity::find().filter(cart::Column::AccountId.eq(account));
    let rows = query.order_by_asc(cart::Column::Id).all(db).await?;
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT l.cart_id, l.variant_id, v.sku, l.quantity, l.created_at FROM cart_line AS l ");
    sql.push("JOIN variant AS v ON v.id = l.variant_id WHERE ");
    sql.eq_any("l.cart_id", rows.iter().map(|row| row.id)).push(" ORDER BY l.cart_id, l.position");
    let mut lines = std::collections::HashMap::<i64, Vec<Value>>::new();
    for row in db.query_all_raw(sql.into_statement()).await? {
        let (variant, sku): (i64, String) = (row.try_get("", "variant_id")?, row.try_get("", "sku")?);
        let (quantity, added_at): (i64, DateTime<Utc>) = (row.try_get("", "quantity")?, row.try_get("", "created_at")?);
        let variant = GlobalId::new(NodeType::Variant, variant).encode();
        let line = json!({ "variant": variant, "sku": sku, "quantity": quantity, "addedAt": added_at });
        lines.entry(row.try_get("", "cart_id")?).or_default().push(line);
    }
    let to_json = |row: cart::Model| {
        let state = match row.state {
            CartStatus::Open => "open",
            CartStatus::Ordered => "ordered",
            CartStatus::Merged => "merged",
        };
        json!({
            "state": state, "lines": lines.remove(&row.id).unwrap_or_default(),
            "shippingAddress": row.shipping_address, "billingAddress": row.billing_address,
            "email": row.email, "phone": row.phone, "note": row.note,
            "createdAt": row.created_at, "updatedAt": row.updated_at,
        })
    };
    Ok(rows.into_iter().map(to_json).collect())
}
