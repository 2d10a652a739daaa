//! Orders with their payments. Lock order: the order before its payment.

use crate::{
    base::{Error, Result},
    customer::OwnerScope,
    infra::{Db, Tx},
    order::{OrderRow, queries},
    payment::{self, Payment},
};

/// An order with its payment.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderWithPayment {
    /// Order.
    pub order: OrderRow,
    /// Its latest payment.
    pub payment: Payment,
}

/// Locks an order and returns it with its payment.
///
/// # Errors
/// Returns `NotFound` if the order does not exist.
pub async fn lock_order_and_payment(tx: &Tx, order_id: i64) -> Result<OrderWithPayment> {
    let order = queries::lock_order(tx, order_id, OwnerScope::All).await?;
    let payment = require_payment(tx, order.id).await?;
    Ok(OrderWithPayment { order, payment })
}

/// Returns the payment of a locked order.
pub(super) async fn require_payment(tx: &Tx, order_id: i64) -> Result<Payment> {
    let payment = payment::queries::find_payment_by_order(tx, order_id).await?;
    payment.ok_or_else(|| Error::internal("settling a payment", "it is not there"))
}

/// Returns a payment and its order as they are in one moment.
///
/// # Errors
/// Returns `NotFound` if the payment does not exist.
pub(super) async fn load_order_by_payment(db: &Db, payment_id: i64) -> Result<OrderWithPayment> {
    let order_id = payment::queries::find_order_id_by_payment(db, payment_id).await?;
    let order_id = order_id.ok_or_else(|| Error::not_found("id", "payment"))?;
    db.write(async |tx| lock_order_and_payment(tx, order_id).await).await
}
