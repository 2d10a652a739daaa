//! Reconciliation: asks the providers about payments and refunds whose result is missing, and applies what they say.

use futures_util::{StreamExt, stream};
use sea_orm::ActiveEnum;

use super::{
    order_payment::{OrderWithPayment, lock_payment},
    payment_result::apply_payment_result,
    refund::execution::{RefundTarget, apply_refund_result, lock_refund},
};
use crate::{
    base::{Error, Result},
    infra::{Db, Tx, jobs::JobOutcome},
    order::{
        history,
        history::{OrderHistoryEvent, OrderNote},
    },
    payment::{
        self, PaymentProviders, PaymentRequest, PaymentResult,
        jobs::ReconcilePayments,
        queries::{list_payments_in_doubt, list_refunds_in_doubt},
        transactions,
    },
};

/// Maximum number of concurrent queries.
const MAX_CONCURRENT_QUERIES: usize = 4;

/// A payment or refund that the reconciliation changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentDifference {
    /// Number of the order.
    pub order_number: String,
    /// Name of the provider.
    pub provider: String,
    /// The payment or refund: `payment 7`, `refund 3`.
    pub subject: String,
    /// Status before.
    pub before: String,
    /// Status after.
    pub after: String,
}

/// Result of a reconciliation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReconciliationReport {
    /// Number of payments and refunds that the providers were asked about.
    pub checked: usize,
    /// Number without an answer; they are asked about again.
    pub unanswered: usize,
    /// What was changed.
    pub differences: Vec<PaymentDifference>,
}

impl ReconciliationReport {
    /// Runs checks, some at a time, and adds their outcomes.
    async fn run_checks<Check>(&mut self, checks: impl Iterator<Item = Check>)
    where
        Check: Future<Output = Result<Option<PaymentDifference>>>,
    {
        let mut outcomes = std::pin::pin!(stream::iter(checks).buffer_unordered(MAX_CONCURRENT_QUERIES));
        while let Some(outcome) = outcomes.next().await {
            self.checked += 1;
            match outcome {
                Ok(difference) => self.differences.extend(difference),
                Err(error) => {
                    self.unanswered += 1;
                    tracing::warn!(error = error.log_message(), "could not reconcile a payment");
                }
            }
        }
    }
}

/// Runs [`ReconcilePayments`].
pub async fn run_reconcile_job(db: Db, providers: PaymentProviders, _job: ReconcilePayments) -> JobOutcome {
    match reconcile_payments(&db, &providers).await {
        Ok(ReconciliationReport { checked, unanswered, differences }) => {
            if checked > 0 {
                tracing::info!(checked, unanswered, differences = differences.len(), "payments reconciled");
            }
            JobOutcome::Done
        }
        Err(error) => JobOutcome::from(Err(error)),
    }
}

/// Asks the providers about all payments and refunds in doubt, and applies their answers.
///
/// # Errors
/// Returns an error if the database fails. A provider that fails is counted in the report.
pub async fn reconcile_payments(db: &Db, providers: &PaymentProviders) -> Result<ReconciliationReport> {
    let mut report = ReconciliationReport::default();
    let remote_providers = providers.list_remote_providers();
    let mut after_id = 0;
    loop {
        let batch = list_payments_in_doubt(db, db.now(), &remote_providers, after_id).await?;
        let Some(last) = batch.last() else { break };
        after_id = last.id;
        report.run_checks(batch.into_iter().map(|payment| reconcile_payment(db, providers, payment.id))).await;
    }
    let mut after_id = 0;
    loop {
        let batch = list_refunds_in_doubt(db, db.now(), after_id).await?;
        let Some(last) = batch.last() else { return Ok(report) };
        after_id = last.id;
        report.run_checks(batch.into_iter().map(|refund| reconcile_refund(db, providers, refund.id))).await;
    }
}

async fn reconcile_payment(
    db: &Db,
    providers: &PaymentProviders,
    payment_id: i64,
) -> Result<Option<PaymentDifference>> {
    let OrderWithPayment { order, payment } = db.write(async |tx| lock_payment(tx, payment_id).await).await?;
    let provider = providers.find_by_name(&payment.provider)?;
    let request = PaymentRequest::new(&order, &payment, format!("payment-{payment_id}"));
    let result = provider.query_payment(request).await;
    if let PaymentResult::Unknown { reason } = result {
        return Err(Error::internal("asking a provider about a payment", reason));
    }
    db.write_with_retry(async |tx| {
        let before = lock_payment(tx, payment_id).await?.payment;
        let order = apply_payment_result(tx, payment_id, &result).await?;
        transactions::mark_payment_checked(tx, payment_id).await?;
        let after = payment::queries::find_payment(tx, payment_id).await?;
        let difference = PaymentDifference {
            order_number: order.number.clone(),
            provider: before.provider,
            subject: format!("payment {payment_id}"),
            before: before.status.to_value(),
            after: after.status.to_value(),
        };
        record_difference(tx, order.id, difference).await
    })
    .await
}

async fn reconcile_refund(db: &Db, providers: &PaymentProviders, refund_id: i64) -> Result<Option<PaymentDifference>> {
    let target = db.write(async |tx| lock_refund(tx, refund_id).await).await?;
    let RefundTarget { provider, refund, request } = target;
    let result = providers.find_by_name(&provider)?.query_refund(request).await;
    if let PaymentResult::Unknown { reason } = result {
        return Err(Error::internal("asking a provider about a refund", reason));
    }
    db.write_with_retry(async |tx| {
        let order = apply_refund_result(tx, &provider, &refund, &result).await?;
        let after = payment::queries::find_refund(tx, refund_id).await?;
        let difference = PaymentDifference {
            order_number: order.number.clone(),
            provider: provider.clone(),
            subject: format!("refund {refund_id}"),
            before: refund.status.to_value(),
            after: after.status.to_value(),
        };
        record_difference(tx, order.id, difference).await
    })
    .await
}

/// Records what the reconciliation changed in the order's history, for staff. Returns `None` if it changed nothing.
async fn record_difference(tx: &Tx, order_id: i64, difference: PaymentDifference) -> Result<Option<PaymentDifference>> {
    let PaymentDifference { subject, before, after, provider, .. } = &difference;
    if before == after {
        return Ok(None);
    }
    let note = format!("reconciliation with {provider}: {subject} was {before}, is {after}");
    let note = OrderNote::internal(Some(&note));
    history::record_history_event(tx, order_id, OrderHistoryEvent::Payment, note).await?;
    Ok(Some(difference))
}
