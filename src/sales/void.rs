//! Voids of the payments of canceled orders at their provider.

use super::{
    capture::send_capture,
    order_payment::{OrderWithPayment, load_order_by_payment},
    payment_result::apply_payment_result,
};
use crate::{
    base::Result,
    infra::{Db, jobs::JobOutcome},
    payment::{PaymentProviders, PaymentRequest, PaymentResult, PaymentState, jobs::VoidPayment},
};

/// Runs [`VoidPayment`]. If the provider declines, the payment was or is being captured: its status is requested, and a
/// capture for a canceled order is refunded.
pub async fn run_void_job(db: Db, providers: PaymentProviders, job: VoidPayment) -> JobOutcome {
    match void_payment(&db, &providers, job.payment).await {
        Ok(PaymentResult::Unknown { reason: error }) => JobOutcome::Retry(error),
        Ok(PaymentResult::Pending { .. } | PaymentResult::Authorized { .. }) => {
            JobOutcome::Retry("the provider has not let go of the money yet".into())
        }
        Ok(PaymentResult::Declined { reason: error }) => JobOutcome::Fail(error),
        Ok(PaymentResult::Succeeded { .. }) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

async fn void_payment(db: &Db, providers: &PaymentProviders, payment_id: i64) -> Result<PaymentResult> {
    let OrderWithPayment { order, payment } = load_order_by_payment(db, payment_id).await?;
    let idempotency_key = format!("void-{payment_id}");
    if payment.status == PaymentState::Captured {
        return Ok(PaymentResult::Succeeded { reference: idempotency_key });
    }
    let provider = providers.find_by_name(&payment.provider)?;
    let result = provider.void(PaymentRequest::new(&order, &payment, idempotency_key)).await;
    if !matches!(result, PaymentResult::Declined { .. }) {
        return Ok(result);
    }
    // Same idempotency keys as before: a repeated call moves no money again.
    let current_result = if payment.capture_requested_at.is_some() {
        send_capture(provider.as_ref(), &order, &payment).await
    } else {
        provider.authorize(PaymentRequest::new(&order, &payment, format!("payment-{payment_id}"))).await
    };
    if matches!(current_result, PaymentResult::Succeeded { .. }) {
        db.write_with_retry(async |tx| apply_payment_result(tx, order.id, &current_result).await).await?;
    }
    Ok(current_result)
}
