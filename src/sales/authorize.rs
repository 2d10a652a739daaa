//! Authorization of payments at their provider. A job repeats it until the result is known.

use chrono::TimeDelta;

use super::{
    order_payment::{OrderWithPayment, load_order_by_payment},
    payment_result::apply_payment_result,
};
use crate::{
    base::Result,
    infra::{Db, jobs::JobOutcome},
    order::OrderRow,
    payment::{
        self, PaymentProviders, PaymentRequest, PaymentResult, PaymentState,
        jobs::{AuthorizePayment, PAYMENT_RETRY_DELAY},
    },
};

/// Maximum delay between status requests of a pending payment.
const MAX_PAYMENT_RETRY_DELAY: TimeDelta = TimeDelta::hours(1);

/// Result of an authorization.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizationOutcome {
    /// The order after the result was applied.
    pub order: OrderRow,
    /// The provider's result.
    pub result: PaymentResult,
}

/// Authorizes a payment at its provider and applies the result. Idempotent: repeated calls move money once.
///
/// # Errors
/// Returns `NotFound` if the payment does not exist.
pub async fn authorize_payment(db: &Db, providers: &PaymentProviders, payment_id: i64) -> Result<AuthorizationOutcome> {
    let OrderWithPayment { order, payment } = load_order_by_payment(db, payment_id).await?;
    let provider = providers.find_by_name(&payment.provider)?;
    let request = PaymentRequest::new(&order, &payment, format!("payment-{payment_id}"));
    let result = provider.authorize(request).await;
    let order = db.write_with_retry(async |tx| apply_payment_result(tx, order.id, &result).await).await?;
    Ok(AuthorizationOutcome { order, result })
}

/// Runs [`AuthorizePayment`]; retries until the result is known or the payment is no longer pending.
pub async fn run_authorize_job(db: Db, providers: PaymentProviders, job: AuthorizePayment) -> JobOutcome {
    match is_payment_pending(&db, job.payment).await {
        Ok(false) => return JobOutcome::Done,
        Ok(true) => {}
        Err(error) => return JobOutcome::from(Err(error)),
    }
    let AuthorizationOutcome { order, result } = match authorize_payment(&db, &providers, job.payment).await {
        Ok(outcome) => outcome,
        Err(error) => return JobOutcome::from(Err(error)),
    };
    match result {
        PaymentResult::Unknown { reason: error } => JobOutcome::Retry(error),
        PaymentResult::Pending { .. } => JobOutcome::from(schedule_authorize_retry(&db, &order, job).await),
        _ => JobOutcome::Done,
    }
}

async fn is_payment_pending(db: &Db, payment_id: i64) -> Result<bool> {
    let Some(order_id) = payment::queries::find_order_id_by_payment(db, payment_id).await? else { return Ok(false) };
    let payments =
        payment::queries::list_payments_by_order(db, &[order_id]).await?.remove(&order_id).unwrap_or_default();
    Ok(payments.last().is_some_and(|latest| latest.status == PaymentState::Pending))
}

/// Schedules the next status request of a pending payment, with increasing delay.
async fn schedule_authorize_retry(db: &Db, order: &OrderRow, job: AuthorizePayment) -> Result<()> {
    let delay = ((db.now() - order.placed_at) / 2).clamp(PAYMENT_RETRY_DELAY, MAX_PAYMENT_RETRY_DELAY);
    db.write(async |tx| tx.enqueue_job_at(job, tx.now() + delay).await).await
}
