//! Rows, queries and writes of refunds.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult, Set};

pub use super::entity::refund::Model as RefundRow;
use super::entity::{Payment, RefundStatus, refund_line};
use crate::{
    base::{Error, Result},
    infra::{
        SqlBuilder, Tx,
        sql_builder::{group_by_owner, query_rows},
    },
    order::entity::LineQuantityRow,
};

/// Refunded units of an order line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RefundLine {
    /// Id of the order line.
    pub line_id: i64,
    /// Number of shipped units.
    pub fulfilled: i64,
    /// Number of unshipped units; they are canceled.
    pub unfulfilled: i64,
    /// Whether the shipped units were returned and are restocked.
    pub restock: bool,
}

impl RefundLine {
    /// Returns the number of refunded units.
    #[must_use]
    pub const fn quantity(&self) -> i64 {
        self.fulfilled + self.unfulfilled
    }

    /// Returns the number of units that are restocked.
    #[must_use]
    pub const fn returned(&self) -> i64 {
        if self.restock { self.fulfilled } else { 0 }
    }
}

/// A validated refund with its final amount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRefund {
    /// Amount in minor units; 0 refunds lines without a payment.
    pub amount: i64,
    /// Part of the amount that refunds shipping, in minor units.
    pub shipping: i64,
    /// Refunded lines.
    pub lines: Vec<RefundLine>,
    /// Reason.
    pub reason: Option<String>,
}

/// Returns a refund.
///
/// # Errors
/// Returns `NotFound` if it does not exist.
pub async fn find_refund(db: &impl ConnectionTrait, refund_id: i64) -> Result<RefundRow> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT r.* FROM refund AS r WHERE r.id = ").bind(refund_id);
    let row = db.query_one_raw(sql.into_statement()).await?.ok_or_else(|| Error::not_found("id", "refund"))?;
    Ok(RefundRow::from_query_result(&row, "")?)
}

/// Returns the refunds of orders, of any status, oldest first. Statements: 1.
pub async fn list_refunds_by_order(
    db: &impl ConnectionTrait,
    order_ids: &[i64],
) -> Result<HashMap<i64, Vec<RefundRow>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT r.* FROM refund AS r WHERE ").eq_any("r.order_id", order_ids.iter().copied());
    sql.push(" ORDER BY r.order_id, r.id");
    Ok(group_by_owner(query_rows(db, sql).await?, |refund: &RefundRow| refund.order_id))
}

/// Returns the refunds of an order, of any status, oldest first. Statements: 1.
pub async fn list_refunds_of_order(db: &impl ConnectionTrait, order_id: i64) -> Result<Vec<RefundRow>> {
    Ok(list_refunds_by_order(db, &[order_id]).await?.remove(&order_id).unwrap_or_default())
}

/// Returns the line quantities of refunds. Statements: 1.
pub async fn list_refund_lines(
    db: &impl ConnectionTrait,
    refund_ids: &[i64],
) -> Result<HashMap<i64, Vec<LineQuantityRow>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT refund_id AS owner, order_line_id, quantity FROM refund_line WHERE ");
    sql.eq_any("refund_id", refund_ids.iter().copied()).push(" ORDER BY order_line_id");
    Ok(group_by_owner(query_rows(db, sql).await?, |line: &LineQuantityRow| line.owner))
}

/// Inserts a refund of a payment with its lines; returns its id. One without an amount is done at once.
pub async fn insert_refund(tx: &Tx, payment: &Payment, new_refund: &NewRefund) -> Result<i64> {
    let NewRefund { amount, shipping, lines, reason } = new_refund;
    let status = if *amount == 0 { RefundStatus::Succeeded } else { RefundStatus::Pending };
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO refund (order_id, payment_id, amount, shipping, status, reason, created_at, updated_at) VALUES (",
    );
    sql.bind(payment.order_id).push(", ").bind(payment.id).push(", ").bind(*amount).push(", ").bind(*shipping);
    sql.push(", ").bind(status).push(", ").bind(reason.as_deref()).push(", ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(") RETURNING id");
    let row = tx.query_one_raw(sql.into_statement()).await?;
    let refund_id: i64 =
        row.map_or_else(|| Err(Error::internal("giving money back", "no refund")), |row| Ok(row.try_get_by(0)?))?;
    let to_row = |refund_line: &RefundLine| refund_line::ActiveModel {
        refund_id: Set(refund_id),
        order_line_id: Set(refund_line.line_id),
        quantity: Set(refund_line.quantity()),
        quantity_canceled: Set(refund_line.unfulfilled),
        quantity_returned: Set(refund_line.returned()),
    };
    tx.insert_rows(&lines.iter().map(to_row).collect::<Vec<_>>()).await?;
    Ok(refund_id)
}

/// Makes a declined refund pending again, as a new attempt.
pub async fn restart_refund(tx: &Tx, refund_id: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE refund SET status = 'pending', error = NULL, attempt = attempt + 1, updated_at = ").bind(tx.now());
    sql.push(" WHERE id = ").bind(refund_id);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Stores the result of a refund's attempt: done, or failed with an error. Returns whether it was pending.
pub async fn finish_refund(tx: &Tx, refund: &RefundRow, error: Option<&str>) -> Result<bool> {
    let status = if error.is_some() { RefundStatus::Failed } else { RefundStatus::Succeeded };
    let mut sql = tx.sql();
    sql.push("UPDATE refund SET status = ").bind(status).push(", error = ").bind(error).push(", updated_at = ");
    sql.bind(tx.now()).push(" WHERE status = 'pending' AND id = ").bind(refund.id);
    sql.push(" AND attempt = ").bind(refund.attempt);
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected() > 0)
}

/// Returns the captured amount that is neither refunded nor part of a pending refund, in minor units.
pub async fn load_refundable_amount(tx: &Tx, payment: &Payment) -> Result<i64> {
    let mut sql = tx.sql();
    sql.push("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM refund WHERE status = 'pending' AND payment_id = ");
    sql.bind(payment.id);
    let row = tx.query_one_raw(sql.into_statement()).await?;
    let pending: i64 = row.map_or(Ok(0), |row| row.try_get_by(0))?;
    Ok(payment.captured - payment.refunded - pending)
}
