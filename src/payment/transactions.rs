//! Writes of payments and their transaction ledger.

use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, sea_query::OnConflict};

use super::{
    entity::{
        Payment, PaymentState, TransactionType, payment,
        payment_transaction::{self, Column},
    },
    queries,
};
use crate::{
    base::Result,
    infra::{Batch, Tx},
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

/// An entry to insert into the transaction ledger.
#[derive(Debug, Clone, Copy)]
pub struct NewTransaction<'a> {
    /// Id of the payment.
    pub payment_id: i64,
    /// Type of the entry.
    pub transaction_type: TransactionType,
    /// Amount in minor units.
    pub amount: i64,
    /// Reference, unique for the payment and the type.
    pub reference: &'a str,
}

/// Inserts a pending payment of an order. Returns its id.
pub async fn create_payment(tx: &Tx, payment: NewPayment<'_>) -> Result<i64> {
    Ok(new_payment_row(tx, payment, None).insert(tx).await?.id)
}

/// Adds the statements that insert a payment to a batch; with a reference it is authorized, which is its first ledger
/// entry.
pub fn add_payment(batch: &mut Batch, tx: &Tx, payment: NewPayment<'_>, reference: Option<&str>) {
    let row = new_payment_row(tx, payment, reference);
    batch.add_named(queries::INSERTED_PAYMENT, queries::insert_payment(tx, row));
    if let Some(reference) = reference {
        batch.add(queries::insert_authorization(tx, payment, reference));
    }
}

/// Returns the row of a new payment, authorized if there is a reference.
fn new_payment_row(tx: &Tx, payment: NewPayment<'_>, reference: Option<&str>) -> payment::ActiveModel {
    let NewPayment { order_id, provider, amount } = payment;
    let status = if reference.is_some() { PaymentState::Authorized } else { PaymentState::Pending };
    payment::ActiveModel {
        order_id: Set(order_id),
        provider: Set(provider.to_owned()),
        reference: Set(reference.map(str::to_owned)),
        status: Set(status),
        amount: Set(amount),
        captured: Set(0),
        refunded: Set(0),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    }
}

/// Inserts a ledger entry; database triggers add up the captured and refunded amounts. Returns whether it is new: a
/// repeated reference is ignored.
pub async fn record_transaction(tx: &Tx, transaction: NewTransaction<'_>) -> Result<bool> {
    let NewTransaction { payment_id, transaction_type, amount, reference } = transaction;
    let row = payment_transaction::ActiveModel {
        payment_id: Set(payment_id),
        transaction_type: Set(transaction_type),
        amount: Set(amount),
        reference: Set(reference.to_owned()),
        created_at: Set(tx.now()),
        ..Default::default()
    };
    let unless_recorded =
        OnConflict::columns([Column::PaymentId, Column::TransactionType, Column::Reference]).do_nothing().to_owned();
    let insert = payment_transaction::Entity::insert(row).on_conflict(unless_recorded);
    Ok(insert.exec_without_returning(tx).await? == 1)
}

/// Updates the columns of a payment that do not follow from its ledger.
pub async fn update_payment_status(tx: &Tx, payment: &Payment) -> Result<()> {
    let changes = payment::ActiveModel {
        status: Set(payment.status),
        reference: Set(payment.reference.clone()),
        action_url: Set(payment.action_url.clone()),
        error: Set(payment.error.clone()),
        amount: Set(payment.amount),
        capture_requested_at: Set(payment.capture_requested_at),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    payment::Entity::update_many().set(changes).filter(payment::Column::Id.eq(payment.id)).exec(tx).await?;
    Ok(())
}

/// Returns the order's payment status for its payment.
#[must_use]
pub fn derive_payment_status(payment: Option<&Payment>) -> PaymentStatus {
    payment.map_or(PaymentStatus::Pending, Payment::order_payment_status)
}
