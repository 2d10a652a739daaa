//! Application of stored webhooks of payment providers.

use chrono::TimeDelta;

use super::{
    order_payment::{OrderWithPayment, lock_payment},
    payment_result::apply_payment_result,
    refund::execution::{RefundTarget, apply_refund_result, lock_refund},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::{Db, jobs::JobOutcome},
    order::{
        history,
        history::{OrderHistoryEvent, OrderNote},
        transition,
    },
    payment::{
        self, PaymentProviders, PaymentRequest, PaymentResult,
        entity::ReceivedWebhookStatus,
        jobs::ApplyWebhook,
        received_webhooks::{ReceivedWebhookRow, find_received_webhook, finish_received_webhook},
        webhook::WebhookSubject,
    },
};

/// How long a webhook waits for the payment that it is about: a webhook can arrive before the response of the call that
/// created the payment.
const MAX_SUBJECT_DELAY: TimeDelta = TimeDelta::minutes(10);

/// Runs [`ApplyWebhook`]. Webhooks may be repeated and arrive in any order.
pub async fn run_apply_webhook_job(db: Db, providers: PaymentProviders, job: ApplyWebhook) -> JobOutcome {
    match apply_received_webhook(&db, &providers, job.webhook).await {
        Ok(outcome) => outcome,
        Err(error) => JobOutcome::from(Err(error)),
    }
}

async fn apply_received_webhook(db: &Db, providers: &PaymentProviders, webhook_id: i64) -> Result<JobOutcome> {
    let row = find_received_webhook(db, webhook_id).await?;
    if row.status != ReceivedWebhookStatus::Received {
        return Ok(JobOutcome::Done);
    }
    match &row.subject {
        WebhookSubject::Payment(payment_id) => apply_to_payment(db, providers, &row, *payment_id).await,
        WebhookSubject::PaymentReference(reference) => match find_payment_id(db, &row, reference).await? {
            Some(payment_id) => apply_to_payment(db, providers, &row, payment_id).await,
            None => wait_or_ignore(db, &row).await,
        },
        WebhookSubject::Refund(refund_id) => apply_to_refund(db, providers, &row, *refund_id).await,
        WebhookSubject::Dispute { payment_reference, note } => {
            match find_payment_id(db, &row, payment_reference).await? {
                Some(payment_id) => record_dispute(db, &row, payment_id, note).await,
                None => wait_or_ignore(db, &row).await,
            }
        }
        WebhookSubject::Other => ignore_webhook(db, &row, "the event is of no use for the shop").await,
    }
}

async fn find_payment_id(db: &Db, row: &ReceivedWebhookRow, reference: &str) -> Result<Option<i64>> {
    payment::queries::find_payment_id_by_reference(db, &row.provider, reference).await
}

/// Retries a webhook whose payment is not known yet, and ignores it later.
async fn wait_or_ignore(db: &Db, row: &ReceivedWebhookRow) -> Result<JobOutcome> {
    let message = "no payment of the shop has this reference";
    if db.now() - row.received_at < MAX_SUBJECT_DELAY {
        return Ok(JobOutcome::Retry(message.into()));
    }
    ignore_webhook(db, row, message).await
}

async fn ignore_webhook(db: &Db, row: &ReceivedWebhookRow, reason: &str) -> Result<JobOutcome> {
    let status = ReceivedWebhookStatus::Ignored;
    db.write(async |tx| finish_received_webhook(tx, row.id, status, Some(reason)).await).await?;
    Ok(JobOutcome::Done)
}

async fn apply_to_payment(
    db: &Db,
    providers: &PaymentProviders,
    row: &ReceivedWebhookRow,
    payment_id: i64,
) -> Result<JobOutcome> {
    let target = db.write(async |tx| lock_payment(tx, payment_id).await).await;
    let Some(OrderWithPayment { order, payment }) =
        found_or_none(target)?.filter(|target| target.payment.provider == row.provider)
    else {
        return ignore_webhook(db, row, "the payment does not exist").await;
    };
    let provider = providers.find_by_name(&row.provider)?;
    let request = PaymentRequest::new(&order, &payment, format!("payment-{payment_id}"));
    let result = provider.interpret_webhook(row.body.clone().into_bytes(), request).await;
    if let PaymentResult::Unknown { reason } = result {
        return Ok(JobOutcome::Retry(reason));
    }
    db.write_with_retry(async |tx| {
        apply_payment_result(tx, payment_id, &result).await?;
        finish_received_webhook(tx, row.id, ReceivedWebhookStatus::Processed, None).await
    })
    .await?;
    Ok(JobOutcome::Done)
}

async fn apply_to_refund(
    db: &Db,
    providers: &PaymentProviders,
    row: &ReceivedWebhookRow,
    refund_id: i64,
) -> Result<JobOutcome> {
    let target = found_or_none(db.write(async |tx| lock_refund(tx, refund_id).await).await)?;
    let Some(RefundTarget { provider, refund, request }) = target.filter(|target| target.provider == row.provider)
    else {
        return ignore_webhook(db, row, "the refund does not exist").await;
    };
    let client = providers.find_by_name(&provider)?;
    let result = client.interpret_webhook(row.body.clone().into_bytes(), request).await;
    if let PaymentResult::Unknown { reason } = result {
        return Ok(JobOutcome::Retry(reason));
    }
    db.write_with_retry(async |tx| {
        apply_refund_result(tx, &provider, &refund, &result).await?;
        finish_received_webhook(tx, row.id, ReceivedWebhookStatus::Processed, None).await
    })
    .await?;
    Ok(JobOutcome::Done)
}

/// Records a dispute in the order's history, for staff.
async fn record_dispute(db: &Db, row: &ReceivedWebhookRow, payment_id: i64, note: &str) -> Result<JobOutcome> {
    db.write_with_retry(async |tx| {
        let OrderWithPayment { order, payment: _ } = lock_payment(tx, payment_id).await?;
        let note = OrderNote::internal(Some(note));
        history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, note).await?;
        transition::update_order(tx, order).await?;
        finish_received_webhook(tx, row.id, ReceivedWebhookStatus::Processed, None).await
    })
    .await?;
    Ok(JobOutcome::Done)
}

/// Returns `None` for a row that does not exist.
fn found_or_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(row) => Ok(Some(row)),
        Err(Error::User(error)) if error.code == PublicErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
