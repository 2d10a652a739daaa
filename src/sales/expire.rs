//! Order cancellation, and the query of expired orders.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::{OrderRow, PaymentStatus, queries, state_machine::OrderAction, transition};
use crate::{
    base::Result,
    infra::{Db, Tx},
    inventory::reservation,
};

/// Maximum number of orders in one batch of expired orders.
pub const EXPIRED_ORDER_BATCH_SIZE: usize = 100;

/// Cancels a locked order and releases its reservations. The caller voids or refunds its payment.
///
/// # Errors
/// Returns `IllegalTransition` if the order cannot be canceled in its status.
pub async fn cancel_order(tx: &Tx, order: OrderRow, reason: Option<&str>) -> Result<OrderRow> {
    let new_payment_status = match order.payment_status {
        PaymentStatus::Pending | PaymentStatus::Authorized => PaymentStatus::Voided,
        other => other,
    };
    let order = transition::transition_order(
        tx,
        OrderRow { payment_status: new_payment_status, ..order },
        OrderAction::Cancel,
        reason,
    )
    .await?;
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    let unshipped: Vec<_> =
        lines.iter().filter(|line| line.track_stock).map(|line| (line.id, line.unshipped_quantity())).collect();
    reservation::release_reservations(tx, &unshipped).await?;
    Ok(order)
}

/// Cursor of expired orders: expiry time and order id.
pub type ExpiredOrderCursor = (DateTime<Utc>, i64);

/// Returns one batch of expired orders after a cursor, earliest expiry first; with `variants`, only orders that reserve
/// stock of these variants.
pub async fn find_expired_orders(
    db: &Db,
    now: DateTime<Utc>,
    (variants, after): (Option<&[i64]>, Option<ExpiredOrderCursor>),
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
