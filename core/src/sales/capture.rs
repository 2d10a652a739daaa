//! Captures of authorized payments. The intent is stored before the provider is called, and a job retries until the
//! result is known.

use super::{
    SalesContext,
    order_payment::{OrderWithPayment, lock_payment, require_payment},
    payment_result::apply_payment_result,
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::{Db, Tx, jobs::JobOutcome},
    order::{
        OrderRow, Status, history,
        history::OrderHistoryEvent,
        transition::{self, OrderTarget},
    },
    payment::{
        Payment, PaymentProviders, PaymentRequest, PaymentResult, PaymentState,
        jobs::{CapturePayment, PAYMENT_RETRY_DELAY},
        manual, transactions,
    },
};

/// Captures the authorized payment of an order. If the provider's result is unknown, returns the order unchanged, and a
/// job retries.
///
/// # Errors
/// Returns `IllegalTransition` if no payment is authorized, `PaymentFailed` if the provider declines.
pub async fn capture_payment(context: &SalesContext<'_>, target: OrderTarget) -> Result<OrderRow> {
    let requested = context.db.write_with_retry(async |tx| request_capture(tx, target).await).await?;
    let OrderWithPayment { order, payment } = requested;
    if payment.capture_requested_at.is_none() {
        return Ok(order);
    }
    let CaptureOutcome { order, result } = execute_capture(context.db, context.payment_providers, payment.id).await?;
    match result {
        Some(PaymentResult::Declined { reason, .. }) => Err(Error::user(PublicErrorCode::PaymentFailed, "id", reason)),
        _ => Ok(order),
    }
}

/// Stores the intent to capture a payment, with its job. Manual payments are captured immediately.
async fn request_capture(tx: &Tx, target: OrderTarget) -> Result<OrderWithPayment> {
    let order = transition::lock_target_order(tx, target).await?;
    let mut payment = require_payment(tx, order.id).await?;
    if payment.status == PaymentState::Captured {
        return Ok(OrderWithPayment { order, payment });
    }
    check_capturable(&order, &payment)?;
    if payment.provider == manual::MANUAL_PROVIDER_NAME {
        let reference = format!("capture-{}", payment.id);
        let result = PaymentResult::Succeeded { reference, amount: None };
        let order = apply_payment_result(tx, payment.id, &result).await?;
        return Ok(OrderWithPayment { order, payment });
    }
    if payment.capture_requested_at.is_none() {
        payment.capture_requested_at = Some(tx.now());
        transactions::update_payment(tx, &payment).await?;
        tx.enqueue_job_at(CapturePayment { payment: payment.id }, tx.now() + PAYMENT_RETRY_DELAY).await?;
    }
    Ok(OrderWithPayment { order, payment })
}

fn check_capturable(order: &OrderRow, payment: &Payment) -> Result<()> {
    let is_ended = [Status::Canceled, Status::Refunded].contains(&order.status);
    let is_manual = payment.provider == manual::MANUAL_PROVIDER_NAME && payment.status.is_pending();
    if (payment.status == PaymentState::Authorized || is_manual) && !is_ended {
        return Ok(());
    }
    let message = "no money is promised for this order that could be taken";
    Err(Error::user(PublicErrorCode::IllegalTransition, "id", message))
}

/// Result of a capture.
#[derive(Debug)]
struct CaptureOutcome {
    /// The order after the result was applied.
    order: OrderRow,
    /// The provider's result; `None` if there was nothing to capture.
    result: Option<PaymentResult>,
}

/// Calls the provider and applies its result. A repeated call asks for the state first.
async fn execute_capture(db: &Db, providers: &PaymentProviders, payment_id: i64) -> Result<CaptureOutcome> {
    let (target, is_repeated) = db.write_with_retry(async |tx| begin_capture(tx, payment_id).await).await?;
    let OrderWithPayment { order, payment } = target;
    if payment.status != PaymentState::Authorized || payment.capture_requested_at.is_none() {
        return Ok(CaptureOutcome { order, result: None });
    }
    let provider = providers.find_by_name(&payment.provider)?;
    let request = PaymentRequest::new(&order, &payment, format!("capture-{payment_id}"));
    let known = if is_repeated { provider.query_payment(request.clone()).await } else { PaymentResult::NotFound };
    let result = match known {
        PaymentResult::NotFound | PaymentResult::Authorized { .. } => provider.capture(request).await,
        known => known,
    };
    let order = db.write_with_retry(async |tx| apply_capture_result(tx, payment_id, &result).await).await?;
    Ok(CaptureOutcome { order, result: Some(result) })
}

/// Stores that the provider is called, unless there is nothing to capture. Returns whether it was called before.
async fn begin_capture(tx: &Tx, payment_id: i64) -> Result<(OrderWithPayment, bool)> {
    let mut target = lock_payment(tx, payment_id).await?;
    let is_repeated = target.payment.capture_sent_at.is_some();
    if target.payment.status == PaymentState::Authorized
        && target.payment.capture_requested_at.is_some()
        && !is_repeated
    {
        target.payment.capture_sent_at = Some(tx.now());
        transactions::update_payment(tx, &target.payment).await?;
    }
    Ok((target, is_repeated))
}

/// Applies the result of a capture. A decline clears the intent; staff can request a capture again.
async fn apply_capture_result(tx: &Tx, payment_id: i64, result: &PaymentResult) -> Result<OrderRow> {
    let PaymentResult::Declined { reason, .. } = result else {
        return apply_payment_result(tx, payment_id, result).await;
    };
    let OrderWithPayment { order, mut payment } = lock_payment(tx, payment_id).await?;
    if payment.status != PaymentState::Authorized || payment.capture_requested_at.is_none() {
        return Ok(order);
    }
    payment.capture_requested_at = None;
    payment.capture_sent_at = None;
    transactions::update_payment(tx, &payment).await?;
    let note = format!("the capture was declined: {reason}");
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, history::OrderNote::internal(Some(&note)))
        .await?;
    transition::update_order(tx, order).await
}

/// Runs [`CapturePayment`]; retries until the result is known or no capture is requested.
pub async fn run_capture_job(db: Db, providers: PaymentProviders, job: CapturePayment) -> JobOutcome {
    match execute_capture(&db, &providers, job.payment).await.map(|outcome| outcome.result) {
        Ok(Some(PaymentResult::Unknown { reason: error })) => JobOutcome::Retry(error),
        Ok(Some(PaymentResult::Pending { .. })) => JobOutcome::Retry("the provider has not taken the money yet".into()),
        Ok(_) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}
