//! Writes of payments and their transaction ledger.

use sea_orm::ConnectionTrait;

use super::entity::{Payment, PaymentState, TransactionType};
use crate::{
    base::{Error, Result},
    infra::{Batch, SqlBuilder, Tx},
    order::PaymentStatus,
};

/// A payment to insert.
#[derive(Debug, Clone, Copy)]
pub struct NewPayment<'a> {
    /// Id of the order.
    pub order_id: i64,
    /// Name of the provider.
    pub provider: &'a str,
    /// Amount in minor units.
    pub amount: i64,
}

/// Inserts a pending payment of an order. Returns its id.
pub async fn create_payment(tx: &Tx, payment: NewPayment<'_>) -> Result<i64> {
    let row = tx.query_one_raw(insert_payment(tx, payment, None).into_statement()).await?;
    row.map_or_else(|| Err(Error::internal("opening a payment", "it is not there")), |row| Ok(row.try_get_by(0)?))
}

/// Adds the statements that insert a payment to a batch; with a reference it is authorized, which is its first ledger
/// entry.
pub fn add_payment(batch: &mut Batch, tx: &Tx, payment: NewPayment<'_>, reference: Option<&str>) {
    batch.add_named(PAYMENT, insert_payment(tx, payment, reference));
    if let Some(reference) = reference {
        batch.add(insert_authorization(tx, payment, reference));
    }
}

/// Name of the statement that inserts the payment in a batch.
const PAYMENT: &str = "opened_payment";

/// Returns the statement that inserts a payment, authorized if there is a reference. It returns the payment's id.
fn insert_payment(tx: &Tx, payment: NewPayment<'_>, reference: Option<&str>) -> SqlBuilder {
    let NewPayment { order_id, provider, amount } = payment;
    let status = if reference.is_some() { PaymentState::Authorized } else { PaymentState::Pending };
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO payment (order_id, provider, reference, status, amount, captured, refunded, created_at, updated_at) \
         VALUES (",
    );
    sql.bind(order_id)
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

/// Returns the statement that inserts the authorization of a payment. It must be in one batch with the statement named
/// [`PAYMENT`].
fn insert_authorization(tx: &Tx, payment: NewPayment<'_>, reference: &str) -> SqlBuilder {
    let NewPayment { order_id, provider: _, amount } = payment;
    let mut sql = tx.sql();
    sql.push("INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) SELECT id, 'authorize', ");
    sql.bind(amount).push(", ").bind(reference).push(", ").bind(tx.now()).push(" FROM ");
    if sql.is_postgres() {
        sql.push(PAYMENT);
    } else {
        sql.push("payment WHERE order_id = ").bind(order_id);
    }
    sql
}

/// Inserts a ledger entry; database triggers add up the captured and refunded amounts. Returns whether it is new: a
/// repeated reference is ignored.
pub async fn record_transaction(
    tx: &Tx,
    payment_id: i64,
    (transaction_type, amount): (TransactionType, i64),
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

/// Returns the order's payment status for its payment.
#[must_use]
pub fn derive_payment_status(payment: Option<&Payment>) -> PaymentStatus {
    payment.map_or(PaymentStatus::Pending, Payment::order_payment_status)
}
