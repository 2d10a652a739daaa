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
    sales::order_payment::{OrderWithPayment, lock_order_and_payment},
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
    let refund = payment::queries::find_refund(db, refund_id).await?;
    if refund.status != RefundStatus::Pending {
        return Ok(PaymentResult::Succeeded { reference: format!("refund-{refund_id}") });
    }
    let locked = db.write(async |tx| lock_order_and_payment(tx, refund.order_id).await).await?;
    let OrderWithPayment { order, payment } = locked;
    // A provider repeats its result for a key: a declined refund is retried under a new key.
    let attempt_suffix = if refund.attempt > 1 { format!("-{}", refund.attempt) } else { String::new() };
    let idempotency_key = format!("refund-{refund_id}{attempt_suffix}");
    let request = PaymentRequest { amount: refund.amount, ..PaymentRequest::new(&order, &payment, idempotency_key) };
    let result = providers.find_by_name(&payment.provider)?.refund(request).await;
    db.write_with_retry(async |tx| apply_refund_result(tx, &refund, &result).await).await?;
    Ok(result)
}

/// Applies a provider result to a refund. Idempotent.
async fn apply_refund_result(tx: &Tx, refund: &RefundRow, result: &PaymentResult) -> Result<OrderRow> {
    let order = queries::lock_order(tx, refund.order_id, OwnerScope::All).await?;
    let error = match result {
        PaymentResult::Succeeded { .. } | PaymentResult::Authorized { .. } => None,
        PaymentResult::Declined { reason } => Some(reason.as_str()),
        PaymentResult::Pending { .. } | PaymentResult::Unknown { .. } => return Ok(order),
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
        transaction_type: TransactionType::Refund,
        amount: refund.amount,
        reference: &format!("refund-{}", refund.id),
    };
    transactions::record_transaction(tx, transaction).await?;
    let payment = payment::queries::find_payment_by_order(tx, order.id).await?;
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
