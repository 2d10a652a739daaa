//! Application of provider results to orders. A result may arrive repeatedly and at any time: right after placement,
//! after a crash, or after the order was canceled.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    Payment, PaymentProviders, PaymentRequest, PaymentResult, PaymentState, entity,
    refund::{self, NewRefund},
    transactions,
};
use crate::{
    base::{Error, Result},
    cart,
    customer::OwnerScope,
    infra::{
        Db, Tx,
        jobs::{BackgroundJob, JobOutcome},
    },
    inventory::reservation,
    order::{
        OrderRow, PaymentStatus, Status, cancel, history, history::OrderHistoryEvent, queries,
        state_machine::OrderAction, transition,
    },
};

/// Delay before a job repeats a provider call, in case its result was lost.
pub const PAYMENT_RETRY_DELAY: TimeDelta = TimeDelta::seconds(30);
/// Maximum delay between status requests of a pending payment.
const MAX_PAYMENT_RETRY_DELAY: TimeDelta = TimeDelta::hours(1);

/// Job that authorizes a payment at its provider and applies the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// Id of the payment.
    pub payment: i64,
}

impl BackgroundJob for AuthorizePayment {
    const KIND: &'static str = "payment.ask";
    const QUEUE: &'static str = "payment";
}

/// Job that voids an authorized payment at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidPayment {
    /// Id of the payment.
    pub payment: i64,
}

impl BackgroundJob for VoidPayment {
    const KIND: &'static str = "payment.void";
    const QUEUE: &'static str = "payment";
}

/// Authorizes a payment at its provider and applies the result. Idempotent: repeated calls move money once.
///
/// # Errors
/// Returns `NotFound` if the payment does not exist.
pub async fn authorize_payment(
    db: &Db,
    providers: &PaymentProviders,
    payment: i64,
) -> Result<(OrderRow, PaymentResult)> {
    let order = entity::find_order_id_by_payment(db, payment).await?;
    let order = order.ok_or_else(|| Error::not_found("id", "payment"))?;
    let (order, payment) = db.write(async |tx| lock_order_and_payment(tx, order).await).await?;
    let provider = providers.find_by_name(&payment.provider)?;
    let result = provider.authorize(build_payment_request(&order, &payment)).await;
    let order = db.write_with_retry(|| async |tx| apply_payment_result(tx, order.id, &result).await).await?;
    Ok((order, result))
}

/// Runs [`AuthorizePayment`]; retries until the result is known or the payment is no longer pending.
pub async fn run_authorize_job(db: &Db, providers: &PaymentProviders, job: AuthorizePayment) -> JobOutcome {
    let is_pending = async {
        let Some(order) = entity::find_order_id_by_payment(db, job.payment).await? else { return Ok(false) };
        let by_order = entity::list_payments_by_order(db, &[order]).await?;
        let is_pending = by_order
            .get(&order)
            .and_then(|payments| payments.last())
            .map(|latest| latest.status == PaymentState::Pending);
        Ok::<_, Error>(is_pending == Some(true))
    };
    match is_pending.await {
        Ok(false) => return JobOutcome::Done,
        Ok(true) => {}
        Err(error) => return JobOutcome::from(Err(error)),
    }
    match authorize_payment(db, providers, job.payment).await {
        Ok((_, PaymentResult::Unknown { reason: error })) => JobOutcome::Retry(error),
        Ok((order, PaymentResult::Pending { .. })) => JobOutcome::from(schedule_authorize_retry(db, &order, job).await),
        Ok(_) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

/// Schedules the next status request of a pending payment, with increasing delay.
async fn schedule_authorize_retry(db: &Db, order: &OrderRow, job: AuthorizePayment) -> Result<()> {
    let delay = ((db.now() - order.placed_at) / 2).clamp(PAYMENT_RETRY_DELAY, MAX_PAYMENT_RETRY_DELAY);
    db.write(async |tx| tx.enqueue_job_at(job, tx.now() + delay).await).await
}

/// Builds the provider request of an order's payment.
#[must_use]
pub fn build_payment_request(order: &OrderRow, payment: &Payment) -> PaymentRequest {
    PaymentRequest {
        idempotency_key: format!("payment-{}", payment.id),
        reference: payment.reference.clone(),
        order_number: order.number.clone(),
        amount: payment.amount,
        currency: order.currency.clone(),
        phone: order.phone.clone(),
        email: order.email.clone(),
    }
}

/// Locks an order and returns it with its payment.
///
/// # Errors
/// Returns `NotFound` if the order does not exist.
pub async fn lock_order_and_payment(tx: &Tx, order: i64) -> Result<(OrderRow, Payment)> {
    let order = queries::lock_order(tx, order, OwnerScope::All).await?;
    let payment = entity::find_payment_by_order(tx, order.id).await?;
    Ok((order, payment.ok_or_else(|| Error::internal("settling a payment", "it is not there"))?))
}

/// Applies a provider result to the payment and its order. Idempotent.
pub async fn apply_payment_result(tx: &Tx, order: i64, result: &PaymentResult) -> Result<OrderRow> {
    let (order, mut payment) = lock_order_and_payment(tx, order).await?;
    match result {
        PaymentResult::Unknown { .. } => return Ok(order),
        PaymentResult::Pending { reference, action_url } => {
            if payment.status != PaymentState::Pending {
                return Ok(order);
            }
            payment.reference = reference.clone().or(payment.reference);
            payment.action_url.clone_from(action_url);
            transactions::update_payment_status(tx, &payment).await?;
            return Ok(order);
        }
        PaymentResult::Declined { reason } => return apply_decline(tx, order, payment, reason).await,
        PaymentResult::Authorized { reference } => {
            if !transactions::record_transaction(tx, payment.id, ("authorise", payment.amount), reference).await? {
                return Ok(order);
            }
            payment.reference = Some(reference.clone());
            if payment.status == PaymentState::Pending {
                payment.status = PaymentState::Authorised;
            }
            payment.action_url = None;
            transactions::update_payment_status(tx, &payment).await?;
        }
        PaymentResult::Succeeded { reference } => {
            payment.reference.get_or_insert_with(|| reference.clone());
            payment.action_url = None;
            payment.error = None;
            transactions::update_payment_status(tx, &payment).await?;
            if !transactions::record_transaction(tx, payment.id, ("capture", payment.amount), reference).await? {
                return Ok(order);
            }
        }
    }
    let payment = entity::find_payment_by_order(tx, order.id).await?.unwrap_or(payment);
    apply_success(tx, order, payment).await
}

/// Applies an authorization or a capture: confirms the order if it is pending. If the order was canceled, the payment
/// is voided or refunded.
async fn apply_success(tx: &Tx, order: OrderRow, payment: Payment) -> Result<OrderRow> {
    if order.status == Status::Cancelled {
        if payment.status == PaymentState::Captured {
            let reason = Some("the payment came after the order had ended".to_owned());
            let new_refund = NewRefund { amount: payment.captured, reason, ..NewRefund::default() };
            return refund::create_refund(tx, order, payment, new_refund).await.map(|(order, _)| order);
        }
        tx.enqueue_job(VoidPayment { payment: payment.id }).await?;
        return Ok(order);
    }
    let lines: Vec<i64> = queries::load_lines_of_order(tx, order.id).await?.iter().map(|line| line.id).collect();
    reservation::confirm_reservations(tx, &lines).await?;
    let is_captured = payment.status == PaymentState::Captured;
    let note = history::OrderNote::public(Some(if is_captured { "paid" } else { "promised" }));
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, note).await?;
    let order =
        OrderRow { payment_status: transactions::derive_payment_status(Some(&payment)), expires_at: None, ..order };
    if order.status == Status::Pending {
        return transition::transition_order(tx, order, OrderAction::Confirm, None).await;
    }
    transition::update_order(tx, order).await
}

/// Applies a decline: cancels the order if it is pending.
async fn apply_decline(tx: &Tx, order: OrderRow, mut payment: Payment, reason: &str) -> Result<OrderRow> {
    if payment.status != PaymentState::Pending {
        return Ok(order);
    }
    payment.status = PaymentState::Failed;
    payment.error = Some(reason.chars().take(500).collect());
    payment.action_url = None;
    transactions::update_payment_status(tx, &payment).await?;
    transactions::record_transaction(tx, payment.id, ("fail", 0), &format!("payment-{}", payment.id)).await?;
    if order.status == Status::Pending {
        let order = OrderRow { payment_status: PaymentStatus::Voided, ..order };
        let order = cancel::cancel_order(tx, order, Some("the payment was refused")).await?;
        cart::reopen_cart(tx, order.id).await?;
        return Ok(order);
    }
    Ok(order)
}
