//! Application of provider results to orders. A result may arrive repeatedly and at any time: right after placement,
//! after a crash, or after the order was canceled.

use super::{
    cancel::cancel_locked_order,
    order_payment::{OrderWithPayment, lock_order_and_payment},
    refund::effects::create_refund,
};
use crate::{
    base::Result,
    cart,
    infra::Tx,
    inventory::reservation,
    order::{
        OrderRow, PaymentStatus, Status, history, history::OrderHistoryEvent, queries, state_machine::OrderAction,
        transition,
    },
    payment::{
        self, NewRefund, Payment, PaymentResult, PaymentState, TransactionType,
        jobs::VoidPayment,
        transactions::{self, NewTransaction},
    },
};

/// Applies a provider result to the payment and its order. Idempotent.
pub async fn apply_payment_result(tx: &Tx, order: i64, result: &PaymentResult) -> Result<OrderRow> {
    let OrderWithPayment { order, mut payment } = lock_order_and_payment(tx, order).await?;
    match result {
        PaymentResult::Unknown { .. } => return Ok(order),
        PaymentResult::Pending { reference, action_url } => {
            if payment.status != PaymentState::Pending {
                return Ok(order);
            }
            payment.reference = reference.clone().or(payment.reference);
            payment.action_url.clone_from(action_url);
            transactions::update_payment_status(tx, &payment).await?;
            return Ok(order);
        }
        PaymentResult::Declined { reason } => return apply_decline(tx, order, payment, reason).await,
        PaymentResult::Authorized { reference } => {
            let transaction = NewTransaction {
                payment_id: payment.id,
                transaction_type: TransactionType::Authorize,
                amount: payment.amount,
                reference,
            };
            if !transactions::record_transaction(tx, transaction).await? {
                return Ok(order);
            }
            payment.reference = Some(reference.clone());
            if payment.status == PaymentState::Pending {
                payment.status = PaymentState::Authorized;
            }
            payment.action_url = None;
            transactions::update_payment_status(tx, &payment).await?;
        }
        PaymentResult::Succeeded { reference } => {
            payment.reference.get_or_insert_with(|| reference.clone());
            payment.action_url = None;
            payment.error = None;
            transactions::update_payment_status(tx, &payment).await?;
            let transaction = NewTransaction {
                payment_id: payment.id,
                transaction_type: TransactionType::Capture,
                amount: payment.amount,
                reference,
            };
            if !transactions::record_transaction(tx, transaction).await? {
                return Ok(order);
            }
        }
    }
    let payment = payment::queries::find_payment_by_order(tx, order.id).await?.unwrap_or(payment);
    apply_success(tx, order, payment).await
}

/// Applies an authorization or a capture: confirms the order if it is pending. If the order was canceled, the payment
/// is voided or refunded.
async fn apply_success(tx: &Tx, order: OrderRow, payment: Payment) -> Result<OrderRow> {
    if order.status == Status::Canceled {
        if payment.status == PaymentState::Captured {
            let reason = Some("the payment came after the order had ended".to_owned());
            let new_refund = NewRefund { amount: payment.captured, reason, ..NewRefund::default() };
            return create_refund(tx, order, payment, new_refund).await.map(|created| created.order);
        }
        tx.enqueue_job(VoidPayment { payment: payment.id }).await?;
        return Ok(order);
    }
    let lines: Vec<i64> = queries::load_lines_of_order(tx, order.id).await?.iter().map(|line| line.id).collect();
    reservation::confirm_reservations(tx, &lines).await?;
    let is_captured = payment.status == PaymentState::Captured;
    let note = history::OrderNote::public(Some(if is_captured { "paid" } else { "promised" }));
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, note).await?;
    let order =
        OrderRow { payment_status: transactions::derive_payment_status(Some(&payment)), expires_at: None, ..order };
    if order.status == Status::Pending {
        return transition::transition_order(tx, order, OrderAction::Confirm, None).await;
    }
    transition::update_order(tx, order).await
}

/// Applies a decline: cancels the order if it is pending.
async fn apply_decline(tx: &Tx, order: OrderRow, mut payment: Payment, reason: &str) -> Result<OrderRow> {
    if payment.status != PaymentState::Pending {
        return Ok(order);
    }
    payment.status = PaymentState::Failed;
    payment.error = Some(reason.chars().take(500).collect());
    payment.action_url = None;
    transactions::update_payment_status(tx, &payment).await?;
    let transaction = NewTransaction {
        payment_id: payment.id,
        transaction_type: TransactionType::Fail,
        amount: 0,
        reference: &format!("payment-{}", payment.id),
    };
    transactions::record_transaction(tx, transaction).await?;
    if order.status == Status::Pending {
        let order = OrderRow { payment_status: PaymentStatus::Voided, ..order };
        let order = cancel_locked_order(tx, order, Some("the payment was refused")).await?;
        cart::reopen_cart(tx, order.id).await?;
        return Ok(order);
    }
    Ok(order)
}
