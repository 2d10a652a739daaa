//! Writes of payments and their transaction ledger.

use sea_orm::ConnectionTrait;

use super::Payment;
use crate::{
    base::{Error, Result},
    infra::{SqlBuilder, Tx},
    order::PaymentStatus,
};

/// Inserts a pending payment of an order. Returns its id.
pub async fn create_payment(tx: &Tx, order_id: i64, money: (&str, i64)) -> Result<i64> {
    let row = tx.query_one_raw(insert(tx, order_id, money, None).into_statement()).await?;
    row.map_or_else(|| Err(Error::internal("opening a payment", "it is not there")), |row| Ok(row.try_get_by(0)?))
}

/// Name of the statement of [`insert`] in a batch, for [`first_entry`].
pub const PAYMENT: &str = "opened_payment";

/// Returns the statement that inserts a payment, authorized if there is a reference. It returns the payment's id.
#[must_use]
pub fn insert(tx: &Tx, order: i64, (provider, amount): (&str, i64), reference: Option<&str>) -> SqlBuilder {
    let status = if reference.is_some() { "authorized" } else { "pending" };
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO payment (order_id, provider, reference, status, amount, captured, refunded, created_at, updated_at) \
         VALUES (",
    );
    sql.bind(order)
        .push(", ")
        .bind(provider)
        .push(", ")
        .bind(reference)
        .push(", ")
        .bind(status)
        .push(", ")
        .bind(amount);
    sql.push(", 0, 0, ").bind(tx.now()).push(", ").bind(tx.now()).push(") RETURNING id");
    sql
}

/// Returns the statement that inserts the first ledger entry of a payment, its authorization. It must be in one batch
/// with [`insert`], which is named [`PAYMENT`] there.
#[must_use]
pub fn first_entry(tx: &Tx, order: i64, amount: i64, reference: &str) -> SqlBuilder {
    let mut sql = tx.sql();
    sql.push("INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) SELECT id, 'authorize', ");
    sql.bind(amount).push(", ").bind(reference).push(", ").bind(tx.now()).push(" FROM ");
    if sql.is_postgres() {
        sql.push(PAYMENT);
    } else {
        sql.push("payment WHERE order_id = ").bind(order);
    }
    sql
}

/// Inserts a ledger entry; database triggers add up the captured and refunded amounts. Returns whether it is new: a
/// repeated reference is ignored.
pub async fn record_transaction(
    tx: &Tx,
    payment_id: i64,
    (transaction_type, amount): (&str, i64),
    reference: &str,
) -> Result<bool> {
    let mut sql = tx.sql();
    sql.push("INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) VALUES (")
        .bind(payment_id);
    sql.push(", ").bind(transaction_type).push(", ").bind(amount).push(", ").bind(reference).push(", ").bind(tx.now());
    sql.push(") ON CONFLICT (payment_id, transaction_type, reference) DO NOTHING");
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected() == 1)
}

/// Updates the columns of a payment that do not follow from its ledger.
pub async fn update_payment_status(tx: &Tx, payment: &Payment) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE payment SET status = ")
        .bind(payment.status)
        .push(", reference = ")
        .bind(payment.reference.as_deref());
    sql.push(", action_url = ").bind(payment.action_url.as_deref()).push(", error = ").bind(payment.error.as_deref());
    sql.push(", amount = ").bind(payment.amount).push(", capture_requested_at = ").bind(payment.capture_requested_at);
    sql.push(", updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(payment.id);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
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

/// Returns the order's payment status for its payment.
#[must_use]
pub fn derive_payment_status(payment: Option<&Payment>) -> PaymentStatus {
    payment.map_or(PaymentStatus::Pending, Payment::order_payment_status)
}
