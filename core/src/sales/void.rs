//! Voids of payments that no longer count: of canceled orders, or replaced by another payment.

use chrono::TimeDelta;

use super::{
    order_payment::{OrderWithPayment, lock_payment},
    payment_result::apply_payment_result,
};
use crate::{
    base::Result,
    infra::{Db, Tx, jobs::JobOutcome},
    payment::{
        self, Payment, PaymentProviders, PaymentRequest, PaymentResult, PaymentState, TransactionType,
        jobs::VoidPayment,
        transactions::{self, NewTransaction},
    },
};

/// Time after which a void that the provider does not confirm is not retried.
const MAX_VOID_TIME: TimeDelta = TimeDelta::days(2);

/// Marks a pending or authorized payment of a locked order as ended, and enqueues the job that voids it at its provider.
pub(super) async fn end_payment(tx: &Tx, mut payment: Payment, status: PaymentState) -> Result<()> {
    payment.status = status;
    transactions::update_payment(tx, &payment).await?;
    let transaction = NewTransaction {
        payment_id: payment.id,
        provider: &payment.provider,
        transaction_type: TransactionType::Void,
        amount: 0,
        reference: &format!("void-{}", payment.id),
    };
    transactions::record_transaction(tx, transaction).await?;
    tx.enqueue_job(VoidPayment { payment: payment.id }).await?;
    Ok(())
}

/// Runs [`VoidPayment`]. If the provider declines, the payment was or is being captured: its state is queried, and a
/// capture that does not count is refunded.
pub async fn run_void_job(db: Db, providers: PaymentProviders, job: VoidPayment) -> JobOutcome {
    match void_payment(&db, &providers, job.payment).await {
        Ok(PaymentResult::Unknown { reason }) => retry_or_give_up(&db, job, reason).await,
        Ok(PaymentResult::Pending { .. } | PaymentResult::Authorized { .. }) => {
            retry_or_give_up(&db, job, "the provider has not voided the payment yet".into()).await
        }
        Ok(_) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

/// Retries for a limited time: some pending payments can only end on their own. If money arrives later, the webhook or
/// the reconciliation reports it, and it is refunded.
async fn retry_or_give_up(db: &Db, job: VoidPayment, reason: String) -> JobOutcome {
    match payment::queries::find_payment(db, job.payment).await {
        Ok(payment) if payment.void_sent_at.is_some_and(|sent_at| db.now() - sent_at > MAX_VOID_TIME) => {
            tracing::warn!(payment_id = payment.id, reason, "payment not voided");
            JobOutcome::Done
        }
        Ok(_) => JobOutcome::Retry(reason),
        Err(error) => JobOutcome::from(Err(error)),
    }
}

async fn void_payment(db: &Db, providers: &PaymentProviders, payment_id: i64) -> Result<PaymentResult> {
    let call = db.write_with_retry(async |tx| begin_void(tx, payment_id).await).await?;
    let Some((OrderWithPayment { order, payment }, is_repeated)) = call else { return Ok(PaymentResult::Voided) };
    let provider = providers.find_by_name(&payment.provider)?;
    let request = PaymentRequest::new(&order, &payment, format!("void-{payment_id}"));
    if is_repeated {
        let state = provider.query_payment(request.clone()).await;
        if !matches!(state, PaymentResult::Authorized { .. } | PaymentResult::Pending { .. } | PaymentResult::NotFound)
        {
            return apply_final_state(db, payment_id, state).await;
        }
    }
    let result = match provider.void(request.clone()).await {
        PaymentResult::Declined { .. } => provider.query_payment(request).await,
        result => result,
    };
    apply_final_state(db, payment_id, result).await
}

/// Stores that the provider is called. Returns `None` if there is nothing to void.
async fn begin_void(tx: &Tx, payment_id: i64) -> Result<Option<(OrderWithPayment, bool)>> {
    let mut target = lock_payment(tx, payment_id).await?;
    let is_ended = matches!(target.payment.status, PaymentState::Voided | PaymentState::Expired);
    // A payment that the provider never received cannot be voided there.
    if !is_ended || target.payment.authorize_sent_at.is_none() {
        return Ok(None);
    }
    let is_repeated = target.payment.void_sent_at.is_some();
    if !is_repeated {
        target.payment.void_sent_at = Some(tx.now());
        transactions::update_payment(tx, &target.payment).await?;
    }
    Ok(Some((target, is_repeated)))
}

/// Applies a capture that the provider reports instead of the void.
async fn apply_final_state(db: &Db, payment_id: i64, state: PaymentResult) -> Result<PaymentResult> {
    if matches!(state, PaymentResult::Succeeded { .. }) {
        db.write_with_retry(async |tx| apply_payment_result(tx, payment_id, &state).await).await?;
    }
    Ok(state)
}
