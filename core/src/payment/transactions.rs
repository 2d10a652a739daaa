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
    infra::{Batch, Tx, telemetry::Measurement},
    order::PaymentStatus,
    payment::method::PaymentMethod,
};

/// A payment to insert.
#[derive(Debug, Clone, Copy)]
pub struct NewPayment<'a> {
    /// Id of the order.
    pub order_id: i64,
    /// Payment method.
    pub method: &'a PaymentMethod,
    /// Phone number of the payer (E.164), if it differs from the order's.
    pub phone: Option<&'a str>,
    /// Amount in minor units.
    pub amount: i64,
}

/// An entry to insert into the transaction ledger.
#[derive(Debug, Clone, Copy)]
pub struct NewTransaction<'a> {
    /// Id of the payment.
    pub payment_id: i64,
    /// Name of its provider.
    pub provider: &'a str,
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
        measure_result(tx, payment.method.provider_name(payment.amount), TransactionType::Authorize);
    }
}

/// Returns the row of a new payment, authorized if there is a reference.
fn new_payment_row(tx: &Tx, payment: NewPayment<'_>, reference: Option<&str>) -> payment::ActiveModel {
    let NewPayment { order_id, method, phone, amount } = payment;
    let status = if reference.is_some() { PaymentState::Authorized } else { PaymentState::Pending };
    payment::ActiveModel {
        order_id: Set(order_id),
        method: Set(method.id.clone()),
        provider: Set(method.provider_name(amount).to_owned()),
        phone: Set(phone.map(str::to_owned).filter(|_| reference.is_none())),
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
    let NewTransaction { payment_id, provider, transaction_type, amount, reference } = transaction;
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
    let is_new = insert.exec_without_returning(tx).await? == 1;
    if is_new {
        measure_result(tx, provider, transaction_type);
    }
    Ok(is_new)
}

/// Counts an entry of the ledger after the commit.
fn measure_result(tx: &Tx, provider: &str, transaction_type: TransactionType) {
    let outcome = match transaction_type {
        TransactionType::Authorize => "authorized",
        TransactionType::Capture => "captured",
        TransactionType::Refund => "refunded",
        TransactionType::Void => "voided",
        TransactionType::Fail => "declined",
    };
    tx.measure_on_commit(|| Measurement::PaymentResult { provider: provider.to_owned(), outcome });
}

/// Updates the columns of a payment that do not follow from its ledger. Deletes what is needed only while the result is
/// pending: the action of the buyer and the phone number.
pub async fn update_payment(tx: &Tx, payment: &Payment) -> Result<()> {
    let is_pending = payment.status.is_pending();
    let changes = payment::ActiveModel {
        status: Set(payment.status),
        reference: Set(payment.reference.clone()),
        is_surplus: Set(payment.is_surplus),
        phone: Set(payment.phone.clone().filter(|_| is_pending)),
        action: Set(payment.action.clone().filter(|_| payment.status == PaymentState::ActionRequired)),
        decline_code: Set(payment.decline_code.filter(|_| payment.status == PaymentState::Failed)),
        error: Set(payment.error.clone()),
        amount: Set(payment.amount),
        authorize_sent_at: Set(payment.authorize_sent_at),
        capture_requested_at: Set(payment.capture_requested_at),
        capture_sent_at: Set(payment.capture_sent_at),
        void_sent_at: Set(payment.void_sent_at),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    payment::Entity::update_many().set(changes).filter(payment::Column::Id.eq(payment.id)).exec(tx).await?;
    Ok(())
}

/// Stores that the provider was asked about a payment.
pub async fn mark_payment_checked(tx: &Tx, payment_id: i64) -> Result<()> {
    let changes = payment::ActiveModel { checked_at: Set(Some(tx.now())), ..Default::default() };
    payment::Entity::update_many().set(changes).filter(payment::Column::Id.eq(payment_id)).exec(tx).await?;
    Ok(())
}

/// Returns the order's payment status for its payment.
#[must_use]
pub fn derive_payment_status(payment: Option<&Payment>) -> PaymentStatus {
    payment.map_or(PaymentStatus::Pending, Payment::order_payment_status)
}
