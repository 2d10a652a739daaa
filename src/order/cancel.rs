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
const BATCH: u64 = 100;

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

/// The orders whose money has not come in time; or only those among them that keep something of these variants.
///
/// # Errors
/// When the database cannot be asked.
pub async fn overdue(db: &Db, now: DateTime<Utc>, variants: Option<&[i64]>) -> Result<Vec<i64>> {
    let mut sql = db.sql();
    sql.push("SELECT o.id FROM customer_order AS o WHERE o.expires_at <= ").bind(now);
    if let Some(variants) = variants {
        sql.push(" AND EXISTS (SELECT 1 FROM order_line AS l JOIN stock_hold AS h ON h.order_line_id = l.id WHERE l.order_id = o.id AND ");
        sql.any("h.variant_id", variants.iter().copied()).push(")");
    }
    sql.push(&format!(" ORDER BY o.expires_at LIMIT {BATCH}"));
    let rows = db.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| row.try_get_by(0)).collect::<Result<_, _>>()?)
}
