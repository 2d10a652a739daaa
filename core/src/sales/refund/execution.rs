//! Execution of refunds: the call of the provider and what its result changes.

use super::effects::finalize_order;
use crate::{
    base::Result,
    customer::OwnerScope,
    infra::{Db, Tx, jobs::JobOutcome},
    order::{OrderRefunded, OrderRow, history, history::OrderHistoryEvent, queries, transition},
    payment::{
        self, PaymentProviders, PaymentRequest, PaymentResult, RefundRow, RefundStatus, TransactionType,
        jobs::RefundPayment,
        refunds,
        transactions::{self, NewTransaction},
    },
    sales::order_payment::{OrderWithPayment, lock_payment},
};

/// Runs [`RefundPayment`]; retries until the result is known.
pub async fn run_refund_job(db: Db, providers: PaymentProviders, job: RefundPayment) -> JobOutcome {
    match execute_refund(&db, &providers, job.refund).await {
        Ok(PaymentResult::Unknown { reason: error }) => JobOutcome::Retry(error),
        Ok(PaymentResult::Pending { .. }) => JobOutcome::Retry("the provider has not given the money back yet".into()),
        Ok(_) => JobOutcome::Done,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

/// Calls the provider, idempotently, and applies its result.
///
/// # Errors
/// Returns `NotFound` if the refund does not exist.
pub(super) async fn execute_refund(db: &Db, providers: &PaymentProviders, refund_id: i64) -> Result<PaymentResult> {
    let call = db.write_with_retry(async |tx| begin_refund(tx, refund_id).await).await?;
    let Some((RefundTarget { provider, refund, request }, is_repeated)) = call else {
        return Ok(PaymentResult::Succeeded { reference: format!("refund-{refund_id}"), amount: None });
    };
    let client = providers.find_by_name(&provider)?;
    let known = if is_repeated { client.query_refund(request.clone()).await } else { PaymentResult::NotFound };
    let result = if known == PaymentResult::NotFound { client.refund(request).await } else { known };
    db.write_with_retry(async |tx| apply_refund_result(tx, &provider, &refund, &result).await).await?;
    Ok(result)
}

/// A refund with the request to its provider.
pub(in crate::sales) struct RefundTarget {
    /// Name of the provider.
    pub provider: String,
    /// Refund.
    pub refund: RefundRow,
    /// Request of its current attempt.
    pub request: PaymentRequest,
}

/// Locks the order of a refund and returns the refund with its request.
///
/// # Errors
/// Returns `NotFound` if the refund does not exist.
pub(in crate::sales) async fn lock_refund(tx: &Tx, refund_id: i64) -> Result<RefundTarget> {
    let payment_id = payment::queries::find_refund(tx, refund_id).await?.payment_id;
    let OrderWithPayment { order, payment } = lock_payment(tx, payment_id).await?;
    // Read again under the order's lock.
    let refund = payment::queries::find_refund(tx, refund_id).await?;
    // Each attempt has its own idempotency key.
    let attempt_suffix = if refund.attempt > 1 { format!("-{}", refund.attempt) } else { String::new() };
    let idempotency_key = format!("refund-{refund_id}{attempt_suffix}");
    let request = PaymentRequest {
        amount: refund.amount,
        refund_id: Some(refund_id),
        refund_reference: refund.reference.clone(),
        capture_reference: payment::queries::find_capture_reference(tx, payment_id).await?,
        ..PaymentRequest::new(&order, &payment, idempotency_key)
    };
    Ok(RefundTarget { provider: payment.provider, refund, request })
}

/// Stores that the provider is called, and returns whether it was called before: its answer may have been lost. Returns
/// `None` if the refund is no longer pending.
async fn begin_refund(tx: &Tx, refund_id: i64) -> Result<Option<(RefundTarget, bool)>> {
    let target = lock_refund(tx, refund_id).await?;
    if target.refund.status != RefundStatus::Pending {
        return Ok(None);
    }
    let is_repeated = target.refund.sent_at.is_some();
    if !is_repeated {
        refunds::mark_refund_sent(tx, &target.refund, None).await?;
    }
    Ok(Some((target, is_repeated)))
}

/// Applies the result of a provider, given by its name, to a refund. Idempotent.
pub(in crate::sales) async fn apply_refund_result(
    tx: &Tx,
    provider: &str,
    refund: &RefundRow,
    result: &PaymentResult,
) -> Result<OrderRow> {
    let order = queries::lock_order(tx, refund.order_id, OwnerScope::All).await?;
    let (reference, error) = match result {
        result if result.find_amount_mismatch(refund.amount, &order.currency).is_some() => {
            ("", Some("the provider reports another amount than requested; check the refund at the provider"))
        }
        PaymentResult::Succeeded { reference, .. } | PaymentResult::Authorized { reference, .. } => {
            (reference.as_str(), None)
        }
        PaymentResult::Declined { reason, .. } => ("", Some(reason.as_str())),
        PaymentResult::Voided => ("", Some("the refund was canceled at the provider")),
        PaymentResult::Pending { reference, .. } => {
            if reference.is_some() && refund.reference != *reference {
                refunds::mark_refund_sent(tx, refund, reference.as_deref()).await?;
            }
            return Ok(order);
        }
        PaymentResult::Unknown { .. } | PaymentResult::NotFound => return Ok(order),
    };
    if !refunds::finish_refund(tx, refund, error).await? {
        return Ok(order);
    }
    if error.is_some() {
        history::record_history_event(tx, order.id, OrderHistoryEvent::Refund, history::OrderNote::internal(error))
            .await?;
        return transition::update_order(tx, order).await;
    }
    let transaction = NewTransaction {
        payment_id: refund.payment_id,
        provider,
        transaction_type: TransactionType::Refund,
        amount: refund.amount,
        reference,
    };
    transactions::record_transaction(tx, transaction).await?;
    let payment = payment::queries::find_current_payment(tx, order.id).await?;
    let order = OrderRow { payment_status: transactions::derive_payment_status(payment.as_ref()), ..order };
    history::record_history_event(
        tx,
        order.id,
        OrderHistoryEvent::Refund,
        history::OrderNote::public(refund.reason.as_deref()),
    )
    .await?;
    let order = finalize_order(tx, order, payment, refund.reason.as_deref()).await?;
    tx.emit_event(OrderRefunded { order: order.id, refund: refund.id }).await?;
    Ok(order)
}
