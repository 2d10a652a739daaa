//! Authorization of payments at their provider. A job repeats it until the result is known.

use chrono::TimeDelta;

use super::{
    order_payment::{OrderWithPayment, lock_payment},
    payment_result::apply_payment_result,
};
use crate::{
    base::Result,
    infra::{Db, Tx, jobs::JobOutcome},
    payment::{
        PaymentProviders, PaymentRequest, PaymentResult,
        jobs::{AuthorizePayment, PAYMENT_RETRY_DELAY},
        transactions,
    },
};

/// Maximum delay between queries of a pending payment.
const MAX_PAYMENT_RETRY_DELAY: TimeDelta = TimeDelta::hours(1);

/// A call to authorize a payment.
struct AuthorizationCall {
    target: OrderWithPayment,
    /// Whether the provider was called before; its answer may have been lost.
    is_repeated: bool,
}

/// Authorizes a payment at its provider and applies the result. A repeated call only asks for the result, unless the
/// provider knows nothing of the payment. Returns `None` if the payment is no longer pending.
///
/// # Errors
/// Returns `NotFound` if the payment does not exist.
pub async fn authorize_payment(
    db: &Db,
    providers: &PaymentProviders,
    payment_id: i64,
) -> Result<Option<PaymentResult>> {
    let call = db.write_with_retry(async |tx| begin_authorization(tx, payment_id).await).await?;
    let Some(AuthorizationCall { target: OrderWithPayment { order, payment }, is_repeated }) = call else {
        return Ok(None);
    };
    let provider = providers.find_by_name(&payment.provider)?;
    let request = PaymentRequest::new(&order, &payment, format!("payment-{payment_id}"));
    let known = if is_repeated { provider.query_payment(request.clone()).await } else { PaymentResult::NotFound };
    let result = if known == PaymentResult::NotFound { provider.authorize(request).await } else { known };
    db.write_with_retry(async |tx| apply_payment_result(tx, payment_id, &result).await).await?;
    Ok(Some(result))
}

/// Stores that the provider is called. Returns `None` if the payment is no longer pending.
async fn begin_authorization(tx: &Tx, payment_id: i64) -> Result<Option<AuthorizationCall>> {
    let mut target = lock_payment(tx, payment_id).await?;
    if !target.payment.status.is_pending() {
        return Ok(None);
    }
    let is_repeated = target.payment.authorize_sent_at.is_some();
    if !is_repeated {
        target.payment.authorize_sent_at = Some(tx.now());
        transactions::update_payment(tx, &target.payment).await?;
    }
    Ok(Some(AuthorizationCall { target, is_repeated }))
}

/// Runs [`AuthorizePayment`]; retries until the result is known or the payment is no longer pending.
pub async fn run_authorize_job(db: Db, providers: PaymentProviders, job: AuthorizePayment) -> JobOutcome {
    match authorize_payment(&db, &providers, job.payment).await {
        Ok(Some(PaymentResult::Unknown { reason })) => JobOutcome::Retry(reason),
        Ok(Some(PaymentResult::Pending { .. })) => JobOutcome::from(schedule_next_query(&db, job).await),
        Ok(_) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

/// Schedules the next query of a pending payment, with increasing delay.
async fn schedule_next_query(db: &Db, job: AuthorizePayment) -> Result<()> {
    db.write(async |tx| {
        let OrderWithPayment { order: _, payment } = lock_payment(tx, job.payment).await?;
        let delay = ((tx.now() - payment.created_at) / 2).clamp(PAYMENT_RETRY_DELAY, MAX_PAYMENT_RETRY_DELAY);
        tx.enqueue_job_at(job, tx.now() + delay).await
    })
    .await
}
