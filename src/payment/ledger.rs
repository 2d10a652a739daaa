//! Writing payments and their ledger.

use sea_orm::ConnectionTrait;

use super::{Payment, PaymentState};
use crate::{
    base::{Error, Result},
    infra::{Sql, Tx},
    order::PaymentStatus,
};

/// A payment that an order waits for; its key.
///
/// # Errors
/// When the database refuses.
pub async fn open(tx: &Tx, order: i64, money: (&str, i64)) -> Result<i64> {
    let row = tx.query_one_raw(insert(tx, order, money, None).statement()).await?;
    row.map_or_else(|| Err(Error::fault("opening a payment", "it is not there")), |row| Ok(row.try_get_by(0)?))
}

/// The name of the statement that [`insert`] gives, for [`first_entry`].
pub const PAYMENT: &str = "opened_payment";

/// The statement that inserts a payment; authorized by this reference, if there is one. It returns the payment's key.
#[must_use]
pub fn insert(tx: &Tx, order: i64, (provider, amount): (&str, i64), reference: Option<&str>) -> Sql {
    let status = if reference.is_some() { "authorised" } else { "pending" };
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

/// The statement that adds the first entry of a payment: its authorization. It goes into one batch with [`insert`],
/// which is there by the name [`PAYMENT`].
#[must_use]
pub fn first_entry(tx: &Tx, order: i64, amount: i64, reference: &str) -> Sql {
    let mut sql = tx.sql();
    sql.push("INSERT INTO payment_entry (payment_id, kind, amount, reference, created_at) SELECT id, 'authorise', ");
    sql.bind(amount).push(", ").bind(reference).push(", ").bind(tx.now()).push(" FROM ");
    if sql.postgres() {
        sql.push(PAYMENT);
    } else {
        sql.push("payment WHERE order_id = ").bind(order);
    }
    sql
}

/// Adds an entry; the database adds up what was captured and refunded. Says whether it was new: the same reference
/// counts once, however often its provider tells of it.
///
/// # Errors
/// When the database refuses.
pub async fn enter(tx: &Tx, payment: i64, (kind, amount): (&str, i64), reference: &str) -> Result<bool> {
    let mut sql = tx.sql();
    sql.push("INSERT INTO payment_entry (payment_id, kind, amount, reference, created_at) VALUES (").bind(payment);
    sql.push(", ").bind(kind).push(", ").bind(amount).push(", ").bind(reference).push(", ").bind(tx.now());
    sql.push(") ON CONFLICT (payment_id, kind, reference) DO NOTHING");
    Ok(tx.execute_raw(sql.statement()).await?.rows_affected() == 1)
}

/// Says how a payment stands, where nothing was captured.
///
/// # Errors
/// When the database refuses.
pub async fn stand(tx: &Tx, payment: &Payment) -> Result<()> {
    let status = match payment.status {
        PaymentState::Pending => "pending",
        PaymentState::Authorised => "authorised",
        PaymentState::Captured => "captured",
        PaymentState::Failed => "failed",
        PaymentState::Voided => "voided",
    };
    let mut sql = tx.sql();
    sql.push("UPDATE payment SET status = ").bind(status).push(", reference = ").bind(payment.reference.as_deref());
    sql.push(", action_url = ").bind(payment.action_url.as_deref()).push(", error = ").bind(payment.error.as_deref());
    sql.push(", amount = ").bind(payment.amount).push(", capture_asked_at = ").bind(payment.capture_asked_at);
    sql.push(", updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(payment.id);
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// What is still to be given back of what was captured, besides what is on its way.
///
/// # Errors
/// When the database cannot be asked.
pub async fn left(tx: &Tx, payment: &Payment) -> Result<i64> {
    let mut sql = tx.sql();
    sql.push("SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM refund WHERE status = 'pending' AND payment_id = ");
    sql.bind(payment.id);
    let row = tx.query_one_raw(sql.statement()).await?;
    let pending: i64 = row.map_or(Ok(0), |row| row.try_get_by(0))?;
    Ok(payment.captured - payment.refunded - pending)
}

/// What an order's money is called when this is its payment.
#[must_use]
pub fn status(payment: Option<&Payment>) -> PaymentStatus {
    payment.map_or(PaymentStatus::Pending, Payment::says)
}
