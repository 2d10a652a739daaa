//! Expiry of orders whose payment did not arrive, or that the shop did not confirm, in time.

use chrono::{DateTime, Utc};

use super::{
    cancel::cancel_locked_order,
    order_payment::{OrderWithPayment, lock_order_and_payment},
    queries::{EXPIRED_ORDER_BATCH_SIZE, find_expired_orders},
    void::end_payment,
};
use crate::{
    base::Result,
    cart,
    infra::{Db, Tx},
    order::Status,
    payment::{PaymentState, manual},
};

/// Cancels an expired order, unless it was paid in the meantime, and reopens its cart. Returns whether it was canceled.
pub async fn expire_order(tx: &Tx, order: i64, now: DateTime<Utc>) -> Result<bool> {
    let OrderWithPayment { order, payment } = lock_order_and_payment(tx, order).await?;
    if order.status != Status::Pending || order.expires_at.is_none_or(|expires_at| expires_at > now) {
        return Ok(false);
    }
    let reason = if payment.provider == manual::MANUAL_PROVIDER_NAME {
        "the shop did not confirm the order in time"
    } else {
        "the payment did not come in time"
    };
    let order = cancel_locked_order(tx, order, Some(reason)).await?;
    if payment.status.is_pending() {
        end_payment(tx, payment, PaymentState::Expired).await?;
    }
    cart::reopen_cart(tx, order.id).await?;
    Ok(true)
}

/// Cancels all expired orders, or only those that reserve stock of the given variants. Returns their number.
pub async fn expire_overdue_orders(db: &Db, variant_ids: Option<&[i64]>) -> Result<u64> {
    let (now, mut expired_count, mut cursor) = (db.now(), 0, None);
    loop {
        let batch = find_expired_orders(db, now, variant_ids, cursor).await?;
        for expired in &batch {
            let order_id = expired.id;
            // One transaction per order, so that a failure does not block the others.
            match db.write_with_retry(async |tx| expire_order(tx, order_id, now).await).await {
                Ok(true) => expired_count += 1,
                Ok(false) => {}
                Err(error) => tracing::warn!(order_id, error = error.log_message(), "could not expire order"),
            }
        }
        cursor = batch.last().copied();
        if batch.len() < EXPIRED_ORDER_BATCH_SIZE {
            return Ok(expired_count);
        }
    }
}
