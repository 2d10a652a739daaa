//! Retention of carts: deletion of expired carts.

use super::queries::{ExpiringCarts, delete_expired_batch};
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
        (ExpiringCarts::Other, db.now() - config.guest_ttl),
        (ExpiringCarts::Customer, db.now() - config.customer_ttl),
    ];
    let mut total = 0;
    for (carts, cutoff) in retention_rules {
        loop {
            let delete_batch = async |tx: &Tx| delete_expired_batch(tx, carts, cutoff, EXPIRED_CART_BATCH_SIZE).await;
            let deleted = db.write(delete_batch).await?;
            total += deleted;
            if deleted < EXPIRED_CART_BATCH_SIZE {
                break;
            }
        }
    }
    Ok(total)
}
