//! Retention of carts: deletion of expired carts.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use crate::{
    base::Result,
    infra::{Db, Tx, config::CartConfig},
};

/// The number of carts deleted per transaction.
const EXPIRED_CART_BATCH_SIZE: u64 = 500;

/// Deletes carts that were not updated within their lifetime, in batches, and returns their number. Instances may run
/// it concurrently.
pub async fn delete_expired_carts(db: &Db, config: &CartConfig) -> Result<u64> {
    let retention_rules = [
        ("(account_id IS NULL OR status <> 'open')", db.now() - config.guest_ttl),
        ("account_id IS NOT NULL AND status = 'open'", db.now() - config.customer_ttl),
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
