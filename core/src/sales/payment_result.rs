//! Application of provider results to payments and their orders. A result may arrive repeatedly, in any order and at any
//! time: right after placement, after a crash, after the order expired, or after another payment was accepted.

use super::{
    order_payment::{OrderWithPayment, lock_payment},
    refund::effects::create_refund,
    reinstate::reinstate_order,
    void::end_payment,
};
use crate::{
    base::{Money, Result},
    infra::Tx,
    inventory::reservation,
    order::{
        OrderRow, Status, history,
        history::{OrderHistoryEvent, OrderNote},
        queries,
        state_machine::OrderAction,
        transition,
    },
    payment::{
        self, DeclineCode, NewRefund, Payment, PaymentAction, PaymentResult, PaymentState, TransactionType,
        events::{PaymentCaptured, PaymentFailed},
        jobs::VoidPayment,
        select_current_payment,
        transactions::{self, NewTransaction, derive_payment_status},
    },
};

/// Maximum length of a stored error, in characters.
const MAX_ERROR_LENGTH: usize = 500;

/// Applies a provider result to a payment and its order. Idempotent.
///
/// # Errors
/// Returns `NotFound` if the payment does not exist.
pub async fn apply_payment_result(tx: &Tx, payment_id: i64, result: &PaymentResult) -> Result<OrderRow> {
    let target = lock_payment(tx, payment_id).await?;
    if let Some(reported) = result.find_amount_mismatch(target.payment.amount, &target.order.currency) {
        return record_amount_mismatch(tx, target, reported).await;
    }
    match result {
        PaymentResult::Unknown { .. } | PaymentResult::NotFound => Ok(target.order),
        PaymentResult::Pending { reference, action } => {
            apply_pending(tx, target, reference.as_ref(), action.as_ref()).await
        }
        PaymentResult::Authorized { reference, .. } => Box::pin(apply_authorization(tx, target, reference)).await,
        PaymentResult::Succeeded { reference, .. } => Box::pin(apply_capture(tx, target, reference)).await,
        PaymentResult::Declined { code, reason } => Box::pin(apply_decline(tx, target, *code, reason)).await,
        PaymentResult::Voided => {
            apply_decline(tx, target, DeclineCode::CanceledByBuyer, "the payment was canceled at the provider").await
        }
    }
}

/// Records a result with another amount for staff; it does not count.
async fn record_amount_mismatch(tx: &Tx, target: OrderWithPayment, reported: Money) -> Result<OrderRow> {
    let OrderWithPayment { order, mut payment } = target;
    let requested = Money::new(payment.amount, reported.currency).to_decimal();
    let error = format!(
        "the provider reports {} {}, but {requested} {} was requested; check the payment at the provider",
        reported.to_decimal(),
        reported.currency.code(),
        order.currency
    );
    if payment.error.as_ref() == Some(&error) {
        return Ok(order);
    }
    tracing::error!(payment_id = payment.id, error, "payment with a wrong amount");
    payment.error = Some(error.clone());
    transactions::update_payment(tx, &payment).await?;
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, OrderNote::internal(Some(&error))).await?;
    transition::update_order(tx, order).await
}

/// Stores the reference and the action of a pending payment.
async fn apply_pending(
    tx: &Tx,
    target: OrderWithPayment,
    reference: Option<&String>,
    action: Option<&PaymentAction>,
) -> Result<OrderRow> {
    let OrderWithPayment { order, mut payment } = target;
    let is_reference_new = payment.reference.is_none() && reference.is_some();
    payment.reference = payment.reference.or_else(|| reference.cloned());
    match payment.status {
        PaymentState::Pending | PaymentState::ActionRequired => {
            let is_unchanged = !is_reference_new && (action.is_none() || payment.action.as_ref() == action);
            if is_unchanged {
                return Ok(order);
            }
            if action.is_some() {
                payment.status = PaymentState::ActionRequired;
                payment.action = action.cloned();
            }
            transactions::update_payment(tx, &payment).await?;
            transition::update_order(tx, order).await
        }
        // It was ended before the provider's response arrived, and can be voided now that its reference is known.
        PaymentState::Voided | PaymentState::Expired if is_reference_new => {
            transactions::update_payment(tx, &payment).await?;
            tx.enqueue_job(VoidPayment { payment: payment.id }).await?;
            Ok(order)
        }
        _ => Ok(order),
    }
}

/// Returns whether another payment of the order was accepted.
async fn has_other_accepted_payment(tx: &Tx, payment: &Payment) -> Result<bool> {
    let payments = payment::queries::list_payments_of_order(tx, payment.order_id).await?;
    let current = select_current_payment(&payments);
    Ok(current.is_some_and(|current| current.id != payment.id && current.status.is_accepted()))
}

async fn apply_authorization(tx: &Tx, target: OrderWithPayment, reference: &str) -> Result<OrderRow> {
    let OrderWithPayment { order, mut payment } = target;
    let transaction = NewTransaction {
        payment_id: payment.id,
        provider: &payment.provider,
        transaction_type: TransactionType::Authorize,
        amount: payment.amount,
        reference,
    };
    if !transactions::record_transaction(tx, transaction).await? {
        // Reported again after the payment ended: it is still to be voided.
        if matches!(payment.status, PaymentState::Voided | PaymentState::Expired) {
            tx.enqueue_job(VoidPayment { payment: payment.id }).await?;
        }
        return Ok(order);
    }
    payment.reference = Some(reference.to_owned());
    let is_needed = !has_other_accepted_payment(tx, &payment).await? && order.status != Status::Canceled;
    if is_needed && !matches!(payment.status, PaymentState::Authorized | PaymentState::Captured) {
        payment.status = PaymentState::Authorized;
        payment.error = None;
    }
    transactions::update_payment(tx, &payment).await?;
    if payment.status.is_accepted() {
        return apply_acceptance(tx, order, payment).await;
    }
    if payment.status.is_pending() || payment.status == PaymentState::Failed {
        end_payment(tx, payment, PaymentState::Voided).await?;
        return Ok(order);
    }
    tx.enqueue_job(VoidPayment { payment: payment.id }).await?;
    Ok(order)
}

async fn apply_capture(tx: &Tx, target: OrderWithPayment, reference: &str) -> Result<OrderRow> {
    let OrderWithPayment { order, mut payment } = target;
    if payment.captured > 0 || (payment.amount == 0 && payment.status == PaymentState::Captured) {
        return Ok(order);
    }
    let previous_status = payment.status;
    payment.is_surplus = has_other_accepted_payment(tx, &payment).await?;
    payment.reference.get_or_insert_with(|| reference.to_owned());
    payment.status = PaymentState::Captured;
    payment.error = None;
    transactions::update_payment(tx, &payment).await?;
    let transaction = NewTransaction {
        payment_id: payment.id,
        provider: &payment.provider,
        transaction_type: TransactionType::Capture,
        amount: payment.amount,
        reference,
    };
    transactions::record_transaction(tx, transaction).await?;
    payment.captured = payment.amount;
    tx.emit_event(PaymentCaptured { order: order.id, payment: payment.id }).await?;
    if payment.is_surplus {
        return refund_payment(tx, order, payment, "the order was paid with another payment").await;
    }
    if order.status != Status::Canceled {
        return apply_acceptance(tx, order, payment).await;
    }
    if previous_status == PaymentState::Expired
        && let Some(order) = reinstate_order(tx, &order, &payment).await?
    {
        return Ok(order);
    }
    refund_payment(tx, order, payment, "the payment arrived after the order had ended").await
}

/// Refunds a whole payment that does not count.
async fn refund_payment(tx: &Tx, order: OrderRow, payment: Payment, reason: &str) -> Result<OrderRow> {
    let new_refund = NewRefund { amount: payment.captured, reason: Some(reason.to_owned()), ..NewRefund::default() };
    create_refund(tx, order, payment, new_refund).await.map(|created| created.order)
}

/// Applies an accepted payment to its order: confirms the order if it is pending, and ends other pending payments.
async fn apply_acceptance(tx: &Tx, order: OrderRow, payment: Payment) -> Result<OrderRow> {
    let lines: Vec<i64> = queries::load_lines_of_order(tx, order.id).await?.iter().map(|line| line.id).collect();
    reservation::confirm_reservations(tx, &lines).await?;
    end_pending_payments(tx, order.id).await?;
    let note = if payment.status == PaymentState::Captured { "paid" } else { "promised" };
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, OrderNote::public(Some(note))).await?;
    let order = OrderRow { payment_status: derive_payment_status(Some(&payment)), expires_at: None, ..order };
    if order.status == Status::Pending {
        return transition::transition_order(tx, order, OrderAction::Confirm, None).await;
    }
    transition::update_order(tx, order).await
}

/// Ends the pending payments of a locked order, because another payment replaces them.
pub(super) async fn end_pending_payments(tx: &Tx, order_id: i64) -> Result<()> {
    let payments = payment::queries::list_payments_of_order(tx, order_id).await?;
    for pending in payments.into_iter().filter(|payment| payment.status.is_pending()) {
        end_payment(tx, pending, PaymentState::Voided).await?;
    }
    Ok(())
}

/// Applies a decline. The order keeps its stock until it expires, so that the buyer can pay again.
async fn apply_decline(tx: &Tx, target: OrderWithPayment, code: DeclineCode, reason: &str) -> Result<OrderRow> {
    let OrderWithPayment { order, mut payment } = target;
    let status = match payment.status {
        PaymentState::Pending | PaymentState::ActionRequired => PaymentState::Failed,
        // The provider ended the authorization, for example because it was not captured in time.
        PaymentState::Authorized => PaymentState::Voided,
        _ => return Ok(order),
    };
    payment.status = status;
    payment.decline_code = Some(code);
    payment.error = Some(reason.chars().take(MAX_ERROR_LENGTH).collect());
    transactions::update_payment(tx, &payment).await?;
    let transaction = NewTransaction {
        payment_id: payment.id,
        provider: &payment.provider,
        transaction_type: TransactionType::Fail,
        amount: 0,
        reference: &format!("payment-{}", payment.id),
    };
    transactions::record_transaction(tx, transaction).await?;
    tx.emit_event(PaymentFailed { order: order.id, payment: payment.id }).await?;
    let note = format!("the payment was declined: {reason}");
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, OrderNote::public(Some(&note))).await?;
    let current = payment::queries::find_current_payment(tx, order.id).await?;
    let is_ended = matches!(order.status, Status::Canceled | Status::Refunded);
    let payment_status = if is_ended { order.payment_status } else { derive_payment_status(current.as_ref()) };
    transition::update_order(tx, OrderRow { payment_status, ..order }).await
}
