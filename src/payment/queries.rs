//! Queries of payments and refunds.
//!
//! Batches are SQL text whose list of keys is one bound value, so that each is prepared once for any number of keys.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect};

use super::{
    RefundRow, RefundStatus,
    entity::{Payment, payment, refund},
    transactions::NewPayment,
};
use crate::{
    base::{Error, Result},
    infra::{
        SqlBuilder, Tx,
        sql_builder::{group_by_owner, query_rows},
    },
    order::entity::LineQuantityRow,
};

/// Returns the latest payment of an order. The transaction must have locked the order.
pub async fn find_payment_by_order(tx: &Tx, order_id: i64) -> Result<Option<Payment>> {
    let payments = payment::Entity::find().filter(payment::Column::OrderId.eq(order_id));
    Ok(payments.order_by_asc(payment::Column::Id).all(tx).await?.pop())
}

/// Returns the payments of orders, oldest first. Statements: 1.
pub async fn list_payments_by_order(
    db: &impl ConnectionTrait,
    order_ids: &[i64],
) -> Result<HashMap<i64, Vec<Payment>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT p.* FROM payment AS p WHERE ")
        .eq_any("p.order_id", order_ids.iter().copied())
        .push(" ORDER BY p.id");
    Ok(group_by_owner(query_rows(db, sql).await?, |payment: &Payment| payment.order_id))
}

/// Returns the order id of a payment. Lock order: the order before its payment.
pub async fn find_order_id_by_payment(db: &impl ConnectionTrait, payment_id: i64) -> Result<Option<i64>> {
    let query = payment::Entity::find_by_id(payment_id).select_only().column(payment::Column::OrderId);
    Ok(query.into_tuple().one(db).await?)
}

/// Returns a refund.
///
/// # Errors
/// Returns `NotFound` if it does not exist.
pub async fn find_refund(db: &impl ConnectionTrait, refund_id: i64) -> Result<RefundRow> {
    let row = refund::Entity::find_by_id(refund_id).one(db).await?;
    row.ok_or_else(|| Error::not_found("id", "refund"))
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
    let refunds = refund::Entity::find().filter(refund::Column::OrderId.eq(order_id));
    Ok(refunds.order_by_asc(refund::Column::Id).all(db).await?)
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

/// Returns the captured amount that is neither refunded nor part of a pending refund, in minor units.
pub async fn load_refundable_amount(tx: &Tx, payment: &Payment) -> Result<i64> {
    let pending_sum = refund::Entity::find()
        .select_only()
        .column_as(refund::Column::Amount.sum().cast_as("BIGINT"), "pending")
        .filter(refund::Column::PaymentId.eq(payment.id))
        .filter(refund::Column::Status.eq(RefundStatus::Pending));
    let pending = pending_sum.into_tuple::<Option<i64>>().one(tx).await?.flatten().unwrap_or(0);
    Ok(payment.captured - payment.refunded - pending)
}

/// Name of the statement that inserts the payment in a batch.
pub(super) const INSERTED_PAYMENT: &str = "inserted_payment";

/// Returns the statement that inserts a payment. It returns the payment's id.
///
/// As text, because it is part of a batch.
pub(super) fn insert_payment(tx: &Tx, row: payment::ActiveModel) -> SqlBuilder {
    let mut sql = tx.sql();
    sql.insert_models(&[row]).push(" RETURNING id");
    sql
}

/// Returns the statement that inserts the authorization of a payment. It must be in one batch with the statement named
/// [`INSERTED_PAYMENT`].
///
/// As text, because it inserts from the rows of that statement.
pub(super) fn insert_authorization(tx: &Tx, payment: NewPayment<'_>, reference: &str) -> SqlBuilder {
    let NewPayment { order_id, provider: _, amount } = payment;
    let mut sql = tx.sql();
    sql.push("INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) SELECT id, 'authorize', ");
    sql.bind(amount).push(", ").bind(reference).push(", ").bind(tx.now()).push(" FROM ");
    if sql.is_postgres() {
        sql.push(INSERTED_PAYMENT);
    } else {
        sql.push("payment WHERE order_id = ").bind(order_id);
    }
    sql
}
