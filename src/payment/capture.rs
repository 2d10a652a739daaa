//! Captures and voids of authorized payments. The intent is stored before the provider is called, and a job retries
//! until the result is known.

use serde::{Deserialize, Serialize};

use super::{
    Payment, PaymentProvider, PaymentProviders, PaymentRequest, PaymentResult, PaymentState, entity, manual,
    payment_result::{self, PAYMENT_RETRY_DELAY, VoidPayment},
    transactions,
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::{
        Db, Tx,
        jobs::{BackgroundJob, JobOutcome},
    },
    order::{
        OrderRow, Status, history,
        history::OrderHistoryEvent,
        transition::{self, OrderTarget},
    },
};

/// Job that captures a payment at its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturePayment {
    /// Id of the payment.
    pub payment: i64,
}

impl BackgroundJob for CapturePayment {
    const KIND: &'static str = "payment.capture";
    const QUEUE: &'static str = "payment";
}

/// Captures the authorized payment of an order. If the provider's result is unknown, returns the order unchanged, and a
/// job retries.
///
/// # Errors
/// Returns `IllegalTransition` if no payment is authorized, `PaymentFailed` if the provider declines.
pub async fn capture_payment(db: &Db, providers: &PaymentProviders, target: OrderTarget) -> Result<OrderRow> {
    let (order, payment) = db.write_with_retry(|| async |tx| request_capture(tx, target).await).await?;
    if payment.capture_asked_at.is_none() {
        return Ok(order);
    }
    match execute_capture(db, providers, payment.id).await? {
        (_, Some(PaymentResult::Declined { reason })) => Err(Error::user(PublicErrorCode::PaymentFailed, "id", reason)),
        (order, _) => Ok(order),
    }
}

/// Stores the intent to capture a payment, with its job. Manual payments are captured immediately.
async fn request_capture(tx: &Tx, target: OrderTarget) -> Result<(OrderRow, Payment)> {
    let order = transition::lock_target_order(tx, target).await?;
    let payment = entity::find_payment_by_order(tx, order.id).await?;
    let mut payment = payment.ok_or_else(|| Error::internal("taking money", "the order has no payment"))?;
    if payment.status == PaymentState::Captured {
        return Ok((order, payment));
    }
    check_capturable(&order, &payment)?;
    if payment.provider == manual::MANUAL_PROVIDER_NAME {
        let reference = format!("capture-{}", payment.id);
        let order = payment_result::apply_payment_result(tx, order.id, &PaymentResult::Succeeded { reference }).await?;
        return Ok((order, payment));
    }
    if payment.capture_asked_at.is_none() {
        payment.capture_asked_at = Some(tx.now());
        transactions::update_payment_status(tx, &payment).await?;
        tx.enqueue_job_at(CapturePayment { payment: payment.id }, tx.now() + PAYMENT_RETRY_DELAY).await?;
    }
    Ok((order, payment))
}

fn check_capturable(order: &OrderRow, payment: &Payment) -> Result<()> {
    let is_ended = [Status::Cancelled, Status::Refunded].contains(&order.status);
    let is_manual = payment.provider == manual::MANUAL_PROVIDER_NAME && payment.status == PaymentState::Pending;
    if (payment.status == PaymentState::Authorised || is_manual) && !is_ended {
        return Ok(());
    }
    let message = "no money is promised for this order that could be taken";
    Err(Error::user(PublicErrorCode::IllegalTransition, "id", message))
}

/// Calls the provider, idempotently, and applies its result. Returns no result if there is nothing to capture.
async fn execute_capture(
    db: &Db,
    providers: &PaymentProviders,
    payment: i64,
) -> Result<(OrderRow, Option<PaymentResult>)> {
    let (order, payment) = lock_order_by_payment(db, payment).await?;
    if payment.status == PaymentState::Captured || payment.capture_asked_at.is_none() {
        return Ok((order, None));
    }
    let result = send_capture(providers.find_by_name(&payment.provider)?.as_ref(), &order, &payment).await;
    let order = db.write_with_retry(|| async |tx| apply_capture_result(tx, order.id, &result).await).await?;
    Ok((order, Some(result)))
}

async fn lock_order_by_payment(db: &Db, payment_id: i64) -> Result<(OrderRow, Payment)> {
    let order_id =
        entity::find_order_id_by_payment(db, payment_id).await?.ok_or_else(|| Error::not_found("id", "payment"))?;
    db.write(async |tx| payment_result::lock_order_and_payment(tx, order_id).await).await
}

async fn send_capture(provider: &dyn PaymentProvider, order: &OrderRow, payment: &Payment) -> PaymentResult {
    provider
        .capture(PaymentRequest {
            idempotency_key: format!("capture-{}", payment.id),
            ..payment_result::build_payment_request(order, payment)
        })
        .await
}

/// Applies the result of a capture. A decline clears the intent; staff can request a capture again.
async fn apply_capture_result(tx: &Tx, order: i64, result: &PaymentResult) -> Result<OrderRow> {
    let PaymentResult::Declined { reason } = result else {
        return payment_result::apply_payment_result(tx, order, result).await;
    };
    let (order, mut payment) = payment_result::lock_order_and_payment(tx, order).await?;
    if payment.status == PaymentState::Captured || payment.capture_asked_at.is_none() {
        return Ok(order);
    }
    payment.capture_asked_at = None;
    transactions::update_payment_status(tx, &payment).await?;
    let note = format!("the capture was refused: {reason}");
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, history::OrderNote::internal(Some(&note)))
        .await?;
    transition::update_order(tx, order).await
}

/// Runs [`CapturePayment`]; retries until the result is known or no capture is requested.
pub async fn run_capture_job(db: &Db, providers: &PaymentProviders, job: CapturePayment) -> JobOutcome {
    match execute_capture(db, providers, job.payment).await {
        Ok((_, Some(PaymentResult::Unknown { reason: error }))) => JobOutcome::Retry(error),
        Ok((_, Some(PaymentResult::Pending { .. }))) => {
            JobOutcome::Retry("the provider has not taken the money yet".into())
        }
        Ok(_) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

/// Runs [`VoidPayment`]. If the provider declines, the payment was or is being captured: its status is requested, and a
/// capture for a canceled order is refunded.
pub async fn run_void_job(db: &Db, providers: &PaymentProviders, job: VoidPayment) -> JobOutcome {
    match void_payment(db, providers, job.payment).await {
        Ok(PaymentResult::Unknown { reason: error }) => JobOutcome::Retry(error),
        Ok(PaymentResult::Pending { .. } | PaymentResult::Authorized { .. }) => {
            JobOutcome::Retry("the provider has not let go of the money yet".into())
        }
        Ok(PaymentResult::Declined { reason: error }) => JobOutcome::Fail(error),
        Ok(PaymentResult::Succeeded { .. }) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

async fn void_payment(db: &Db, providers: &PaymentProviders, payment: i64) -> Result<PaymentResult> {
    let (order, payment) = lock_order_by_payment(db, payment).await?;
    if payment.status == PaymentState::Captured {
        return Ok(PaymentResult::Succeeded { reference: format!("void-{}", payment.id) });
    }
    let provider = providers.find_by_name(&payment.provider)?;
    let result = provider
        .void(PaymentRequest {
            idempotency_key: format!("void-{}", payment.id),
            ..payment_result::build_payment_request(&order, &payment)
        })
        .await;
    if !matches!(result, PaymentResult::Declined { .. }) {
        return Ok(result);
    }
    // Same idempotency keys as before: a repeated call moves no money again.
    let current_result = if payment.capture_asked_at.is_some() {
        send_capture(provider.as_ref(), &order, &payment).await
    } else {
        provider.authorize(payment_result::build_payment_request(&order, &payment)).await
    };
    if matches!(current_result, PaymentResult::Succeeded { .. }) {
        db.write_with_retry(|| async |tx| payment_result::apply_payment_result(tx, order.id, &current_result).await)
            .await?;
    }
    Ok(current_result)
}
