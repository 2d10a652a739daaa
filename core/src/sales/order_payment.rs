//! Orders with their payments. Lock order: the order before its payment.

use crate::{
    base::{Error, Result},
    customer::OwnerScope,
    infra::Tx,
    order::{OrderRow, queries},
    payment::{self, Payment},
};

/// An order with one of its payments.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderWithPayment {
    /// Order.
    pub order: OrderRow,
    /// Payment.
    pub payment: Payment,
}

/// Locks an order and returns it with the payment that counts for it.
///
/// # Errors
/// Returns `NotFound` if the order does not exist.
pub async fn lock_order_and_payment(tx: &Tx, order_id: i64) -> Result<OrderWithPayment> {
    let order = queries::lock_order(tx, order_id, OwnerScope::All).await?;
    let payment = require_payment(tx, order.id).await?;
    Ok(OrderWithPayment { order, payment })
}

/// Locks the order of a payment and returns both.
///
/// # Errors
/// Returns `NotFound` if the payment does not exist.
pub async fn lock_payment(tx: &Tx, payment_id: i64) -> Result<OrderWithPayment> {
    let order_id = payment::queries::find_order_id_by_payment(tx, payment_id).await?;
    let order_id = order_id.ok_or_else(|| Error::not_found("id", "payment"))?;
    let order = queries::lock_order(tx, order_id, OwnerScope::All).await?;
    let payment = payment::queries::find_payment(tx, payment_id).await?;
    Ok(OrderWithPayment { order, payment })
}

/// Returns the payment that counts for a locked order.
pub(super) async fn require_payment(tx: &Tx, order_id: i64) -> Result<Payment> {
    let payment = payment::queries::find_current_payment(tx, order_id).await?;
    payment.ok_or_else(|| Error::internal("loading the payment of an order", "row not found"))
}
