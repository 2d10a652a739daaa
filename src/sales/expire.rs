//! Expiry of orders whose payment did not arrive, or that the shop did not confirm, in time.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::{
    cancel::{cancel_locked_order, void_or_refund_payment},
    order_payment::lock_order_and_payment,
};
use crate::{
    base::Result,
    cart,
    infra::{Db, Tx},
    order::Status,
    payment::manual,
};

/// Maximum number of orders in one batch of expired orders.
const EXPIRED_ORDER_BATCH_SIZE: usize = 100;

/// Cursor of expired orders: expiry time and order id.
type ExpiredOrderCursor = (DateTime<Utc>, i64);

/// Returns one batch of expired orders after a cursor, earliest expiry first; with `variants`, only orders that reserve
/// stock of these variants.
async fn find_expired_orders(
    db: &Db,
    now: DateTime<Utc>,
    variants: Option<&[i64]>,
    after: Option<ExpiredOrderCursor>,
) -> Result<Vec<ExpiredOrderCursor>> {
    let mut sql = db.sql();
    sql.push("SELECT o.expires_at, o.id FROM orders AS o WHERE o.expires_at <= ").bind(now);
    if let Some((expires_at, order_id)) = after {
        sql.push(" AND (o.expires_at, o.id) > (").bind(expires_at).push(", ").bind(order_id).push(")");
    }
    if let Some(variants) = variants {
        sql.push(" AND EXISTS (SELECT 1 FROM order_line AS l JOIN stock_reservation AS r ON r.order_line_id = l.id WHERE l.order_id = o.id AND ");
        sql.eq_any("r.variant_id", variants.iter().copied()).push(")");
    }
    sql.push(&format!(" ORDER BY o.expires_at, o.id LIMIT {EXPIRED_ORDER_BATCH_SIZE}"));
    let rows = db.query_all_raw(sql.into_statement()).await?;
    rows.iter().map(|row| Ok((row.try_get_by(0)?, row.try_get_by(1)?))).collect()
}

/// Cancels an expired order, unless it was paid in the meantime, and reopens its cart. Returns whether it was canceled.
pub async fn expire_order(tx: &Tx, order: i64, now: DateTime<Utc>) -> Result<bool> {
    let (order, payment) = lock_order_and_payment(tx, order).await?;
    if order.status != Status::Pending || order.expires_at.is_none_or(|expires_at| expires_at > now) {
        return Ok(false);
    }
    let reason = if payment.provider == manual::MANUAL_PROVIDER_NAME {
        "the shop did not confirm the order in time"
    } else {
        "the payment did not come in time"
    };
    let order = cancel_locked_order(tx, order, Some(reason)).await?;
    let order = void_or_refund_payment(tx, order).await?;
    cart::reopen_cart(tx, order.id).await?;
    Ok(true)
}

/// Cancels all expired orders, or only those that reserve stock of the given variants. Returns their number.
pub async fn expire_overdue_orders(db: &Db, variant_ids: Option<&[i64]>) -> Result<u64> {
    let (now, mut expired_count, mut cursor) = (db.now(), 0, None);
    loop {
        let batch = find_expired_orders(db, now, variant_ids, cursor).await?;
        for (_, order_id) in &batch {
            // One transaction per order, so that a failure does not block the others.
            match db.write_with_retry(async |tx| expire_order(tx, *order_id, now).await).await {
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
