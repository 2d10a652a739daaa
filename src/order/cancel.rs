//! Ending an order that has not been sent: what was promised to it is free again.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::{Order, PaymentStatus, advance, find, lifecycle::Step};
use crate::{
    base::Result,
    infra::{Db, Tx},
    inventory::hold,
};

/// How many orders are looked at in one go.
pub const BATCH: usize = 100;

/// Cancels an order that is held. Its money is for the caller to see to.
///
/// # Errors
/// When it has been sent, or has ended.
pub async fn cancel(tx: &Tx, order: Order, reason: Option<&str>) -> Result<Order> {
    let paid = match order.payment_status {
        PaymentStatus::Pending | PaymentStatus::Authorised => PaymentStatus::Voided,
        other => other,
    };
    let order = advance::go(tx, Order { payment_status: paid, ..order }, Step::Cancel, reason).await?;
    let lines = find::lines_of(tx, order.id).await?;
    let kept: Vec<_> = lines.iter().filter(|line| line.tracked).map(|line| (line.id, line.unsent())).collect();
    hold::release(tx, &kept).await?;
    Ok(order)
}

/// When an order expires, and its key: its place among those that are overdue.
pub type Overdue = (DateTime<Utc>, i64);

/// Returns one batch of the orders whose time is over, the earliest first, after a place among them; or only of those that
/// keep something of these variants.
///
/// # Errors
/// When the database cannot be asked.
pub async fn overdue(
    db: &Db,
    now: DateTime<Utc>,
    (variants, after): (Option<&[i64]>, Option<Overdue>),
) -> Result<Vec<Overdue>> {
    let mut sql = db.sql();
    sql.push("SELECT o.expires_at, o.id FROM customer_order AS o WHERE o.expires_at <= ").bind(now);
    if let Some((at, order)) = after {
        sql.push(" AND (o.expires_at, o.id) > (").bind(at).push(", ").bind(order).push(")");
    }
    if let Some(variants) = variants {
        sql.push(" AND EXISTS (SELECT 1 FROM order_line AS l JOIN stock_hold AS h ON h.order_line_id = l.id WHERE l.order_id = o.id AND ");
        sql.any("h.variant_id", variants.iter().copied()).push(")");
    }
    sql.push(&format!(" ORDER BY o.expires_at, o.id LIMIT {BATCH}"));
    let rows = db.query_all_raw(sql.statement()).await?;
    rows.iter().map(|row| Ok((row.try_get_by(0)?, row.try_get_by(1)?))).collect()
}
