//! Cancellation and expiry of orders with their payments: whole orders or unshipped units.

use chrono::{DateTime, Utc};

use super::{
    PaymentProviders, PaymentResult, PaymentState, entity, manual,
    payment_result::{self, VoidPayment},
    refund::{self, NewRefund, RefundLine},
    transactions,
};
use crate::{
    base::{
        Error, Result,
        error::{PublicError, PublicErrorCode},
    },
    cart,
    infra::{Db, Tx},
    order::{
        OrderLineRow, OrderRow, Status, cancel, queries,
        state_machine::OrderAction,
        transition::{self, OrderTarget},
    },
};

/// Input of an order cancellation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CancelOrderRequest {
    /// Reason, visible to the buyer.
    pub reason: Option<String>,
    /// Unshipped units to cancel, by line; `None` cancels the whole order.
    pub lines: Option<Vec<(i64, i64)>>,
    /// Returned units to restock, by line; `None` if no shipment was returned.
    pub restock: Option<Vec<(i64, i64)>>,
    /// Whether the caller is staff. Buyers can cancel only whole orders without shipped units.
    pub is_staff: bool,
}

/// Cancels an order or some of its unshipped units: releases stock, and voids or refunds the payment.
///
/// # Errors
/// Returns `NotFound` if the order or a line does not exist, `VersionConflict` if the version differs, `Forbidden` if a
/// buyer cancels units, `IllegalTransition` if the order cannot be canceled, `BadUserInput` if a line has fewer units.
pub async fn cancel_order(tx: &Tx, target: OrderTarget, request: CancelOrderRequest) -> Result<OrderRow> {
    let order = transition::lock_target_order(tx, target).await?;
    let CancelOrderRequest { reason, lines, restock, is_staff } = request;
    if !is_staff && (lines.is_some() || restock.is_some()) {
        return Err(Error::user(PublicErrorCode::Forbidden, "input", "units of an order are canceled by staff"));
    }
    if let Some(lines) = lines {
        if restock.is_some() {
            let message = "units come back when a whole order is canceled, or are refunded";
            return Err(Error::bad_input("input.restock", message));
        }
        return cancel_order_units(tx, order, (&lines, reason)).await;
    }
    let can_cancel = order.status.next_status(OrderAction::Cancel, order.payment_status).is_some();
    if can_cancel && restock.is_none() && !order.status.is_cancelable_by_buyer() {
        let message = "a part of it has been shipped; when the parcel has come back, staff cancel it with `restock`";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    let to_refund_line = |(line_id, units): &(i64, i64)| RefundLine {
        line_id: *line_id,
        fulfilled: *units,
        restock: true,
        ..RefundLine::default()
    };
    let returned_lines: Vec<_> = restock.iter().flatten().map(to_refund_line).collect();
    let returned_lines =
        refund::validate_refund_lines(&queries::load_lines_of_order(tx, order.id).await?, &returned_lines)
            .map_err(|error| remap_line_errors(error, "restock"))?;
    order.status.apply(OrderAction::Cancel, order.payment_status)?;
    let order = match entity::find_payment_by_order(tx, order.id).await? {
        Some(payment) if !returned_lines.is_empty() => {
            let new_refund = NewRefund { lines: returned_lines, reason: reason.clone(), ..NewRefund::default() };
            refund::create_refund(tx, order, payment, new_refund).await?.0
        }
        _ => order,
    };
    let order = cancel::cancel_order(tx, order, reason.as_deref()).await?;
    void_or_refund_payment(tx, order).await
}

/// Cancels unshipped units of an order whose payment is not captured, and reduces the payment's amount.
async fn cancel_order_units(
    tx: &Tx,
    order: OrderRow,
    (requested, reason): (&[(i64, i64)], Option<String>),
) -> Result<OrderRow> {
    let order_lines = queries::load_lines_of_order(tx, order.id).await?;
    let requested: Vec<_> = requested
        .iter()
        .map(|(line, units)| RefundLine { line_id: *line, unfulfilled: *units, ..RefundLine::default() })
        .collect();
    let lines =
        refund::validate_refund_lines(&order_lines, &requested).map_err(|error| remap_line_errors(error, "lines"))?;
    let payment = entity::find_payment_by_order(tx, order.id).await?;
    let mut payment = payment.ok_or_else(|| Error::internal("canceling units", "the order has no payment"))?;
    if payment.status == PaymentState::Captured {
        let message = "the order is paid; refund the units with orderRefund, which cancels them";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    order.status.apply(OrderAction::Cancel, order.payment_status)?;
    let unshipped_units: i64 = order_lines.iter().map(OrderLineRow::unshipped_quantity).sum();
    let units: i64 = lines.iter().map(|refund_line| refund_line.unfulfilled).sum();
    if unshipped_units == units && order_lines.iter().all(|line| line.quantity_fulfilled == 0) {
        let order = cancel::cancel_order(tx, order, reason.as_deref()).await?;
        return void_or_refund_payment(tx, order).await;
    }
    let is_paying = payment.status == PaymentState::Pending && payment.provider != manual::MANUAL_PROVIDER_NAME;
    if is_paying || payment.capture_requested_at.is_some() {
        return Err(Error::user(
            PublicErrorCode::IllegalTransition,
            "id",
            "its payment is under way; try again when it has come",
        ));
    }
    let share = |refund_line: &RefundLine| {
        order_lines
            .iter()
            .find(|line| line.id == refund_line.line_id)
            .map_or(0, |line| line.refund_share(refund_line.unfulfilled))
    };
    payment.amount -= lines.iter().map(share).sum::<i64>();
    transactions::update_payment_status(tx, &payment).await?;
    refund::create_refund(tx, order, payment, NewRefund { lines, reason, ..NewRefund::default() })
        .await
        .map(|(order, _)| order)
}

/// Maps the field paths of line errors to the cancellation input.
fn remap_line_errors(error: Error, list_name: &str) -> Error {
    let remap = |mut user_error: PublicError| {
        if let [_, list_segment, .., last_segment] = user_error.field.as_mut_slice() {
            list_name.clone_into(list_segment);
            if last_segment.starts_with("quantity") {
                "quantity".clone_into(last_segment);
            }
        }
        user_error
    };
    match error {
        Error::UserErrors(user_errors) => Error::UserErrors(user_errors.into_iter().map(remap).collect()),
        Error::User(user_error) => Error::User(remap(user_error)),
        other @ (Error::RateLimited { .. } | Error::Internal(_)) => other,
    }
}

/// Confirms an order. Authorizes the pending manual payment of an unverified buyer.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `VersionConflict` if the version differs, `IllegalTransition` if it is not
/// pending or its payment is not authorized.
pub async fn confirm_order(tx: &Tx, providers: &PaymentProviders, target: OrderTarget) -> Result<OrderRow> {
    let order = transition::lock_target_order(tx, target).await?;
    let payment = entity::find_payment_by_order(tx, order.id).await?;
    let pending_payment =
        payment.filter(|payment| payment.status == PaymentState::Pending && order.status == Status::Pending);
    if let Some(payment) = pending_payment
        && providers.find_by_name(&payment.provider)?.is_local()
    {
        let reference = format!("order-{}", order.id);
        return payment_result::apply_payment_result(tx, order.id, &PaymentResult::Authorized { reference }).await;
    }
    transition::confirm_order(tx, target).await
}

/// Cancels an expired order, unless it was paid in the meantime, and reopens its cart. Returns whether it was canceled.
pub async fn expire_order(tx: &Tx, order: i64, now: DateTime<Utc>) -> Result<bool> {
    let (order, payment) = payment_result::lock_order_and_payment(tx, order).await?;
    if order.status != Status::Pending || order.expires_at.is_none_or(|expires_at| expires_at > now) {
        return Ok(false);
    }
    let reason = if payment.provider == manual::MANUAL_PROVIDER_NAME {
        "the shop did not confirm the order in time"
    } else {
        "the payment did not come in time"
    };
    let order = cancel::cancel_order(tx, order, Some(reason)).await?;
    let order = void_or_refund_payment(tx, order).await?;
    cart::reopen_cart(tx, order.id).await?;
    Ok(true)
}

/// Cancels all expired orders, or only those that reserve stock of the given variants. Returns their number.
pub async fn expire_overdue_orders(db: &Db, variant_ids: Option<&[i64]>) -> Result<u64> {
    let (now, mut expired_count, mut cursor) = (db.now(), 0, None);
    loop {
        let batch = cancel::find_expired_orders(db, now, (variant_ids, cursor)).await?;
        for (_, order_id) in &batch {
            // One transaction per order, so that a failure does not block the others.
            match db.write_with_retry(|| async |tx| expire_order(tx, *order_id, now).await).await {
                Ok(true) => expired_count += 1,
                Ok(false) => {}
                Err(error) => tracing::warn!(order_id, error = error.log_message(), "could not expire order"),
            }
        }
        cursor = batch.last().copied();
        if batch.len() < cancel::EXPIRED_ORDER_BATCH_SIZE {
            return Ok(expired_count);
        }
    }
}

/// Voids or refunds the payment of a canceled order.
async fn void_or_refund_payment(tx: &Tx, order: OrderRow) -> Result<OrderRow> {
    let Some(mut payment) = entity::find_payment_by_order(tx, order.id).await? else { return Ok(order) };
    match payment.status {
        PaymentState::Captured => {
            let amount = transactions::load_refundable_amount(tx, &payment).await?;
            if amount == 0 {
                return Ok(order);
            }
            let reason = Some("the order was canceled".to_owned());
            let (order, _) =
                refund::create_refund(tx, order, payment, NewRefund { amount, reason, ..NewRefund::default() }).await?;
            Ok(order)
        }
        PaymentState::Pending | PaymentState::Authorized => {
            payment.status = PaymentState::Voided;
            payment.action_url = None;
            transactions::update_payment_status(tx, &payment).await?;
            transactions::record_transaction(tx, payment.id, ("void", 0), &format!("void-{}", payment.id)).await?;
            tx.enqueue_job(VoidPayment { payment: payment.id }).await?;
            Ok(order)
        }
        PaymentState::Failed | PaymentState::Voided => Ok(order),
    }
}
