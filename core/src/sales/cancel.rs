//! Cancellation of orders with their payments: whole orders or unshipped units.

use super::{
    SalesContext,
    order_access::{OrderAccess, authorize_order_target},
    order_payment::require_payment,
    refund::{
        effects::create_refund,
        lines::{calculate_refund_value, validate_refund_lines},
    },
    void::end_payment,
};
use crate::{
    base::{
        Error, Result,
        error::{PublicError, PublicErrorCode},
    },
    cart,
    identity::{Caller, Permission},
    infra::Tx,
    inventory::reservation::{self, LineRelease},
    order::{
        LineQuantity, OrderLineRow, OrderRow, PaymentStatus, Status, queries, state_machine::OrderAction, transition,
    },
    payment::{self, NewRefund, Payment, PaymentState, RefundLine, manual, transactions},
};

/// Input of an order cancellation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CancelOrderRequest {
    /// Id of the order.
    pub order_id: i64,
    /// Expected current version; `None` skips the check.
    pub expected_version: Option<i32>,
    /// Guest access token of the order, if given.
    pub token: Option<String>,
    /// Reason, visible to the buyer.
    pub reason: Option<String>,
    /// Unshipped units to cancel, by line; `None` cancels the whole order.
    pub lines: Option<Vec<LineQuantity>>,
    /// Returned units to restock, by line; `None` if no shipment was returned.
    pub restock: Option<Vec<LineQuantity>>,
}

/// Part of an order to cancel.
enum CancellationScope<'a> {
    /// Unshipped units, by line.
    Units(&'a [LineQuantity]),
    /// The whole order; with the returned units to restock if shipments were returned.
    Order(Option<&'a [LineQuantity]>),
}

impl CancelOrderRequest {
    /// Returns which order is accessed, and how.
    fn access(&self) -> OrderAccess<'_> {
        let Self { order_id, expected_version, token, .. } = self;
        OrderAccess { order_id: *order_id, expected_version: *expected_version, token: token.as_deref() }
    }

    /// Returns what is canceled. Buyers can cancel only whole orders without shipped units.
    fn scope(&self, caller: Caller) -> Result<CancellationScope<'_>> {
        let is_staff = caller.permissions().has(Permission::OrderWrite);
        match (self.lines.as_deref(), self.restock.as_deref()) {
            (None, None) => Ok(CancellationScope::Order(None)),
            _ if !is_staff => {
                Err(Error::user(PublicErrorCode::Forbidden, "input", "units of an order are canceled by staff"))
            }
            (Some(_), Some(_)) => {
                let message = "units come back when a whole order is canceled, or are refunded";
                Err(Error::bad_input("input.restock", message))
            }
            (Some(lines), None) => Ok(CancellationScope::Units(lines)),
            (None, restock) => Ok(CancellationScope::Order(restock)),
        }
    }
}

/// Cancels an order or some of its unshipped units: releases stock, and voids or refunds the payment.
///
/// # Errors
/// Returns `NotFound` if the caller may not access the order, or it or a line does not exist, `VersionConflict` if the
/// version differs, `Forbidden` if a buyer cancels units, `IllegalTransition` if the order cannot be canceled,
/// `BadUserInput` if a line has fewer units.
pub async fn cancel_order(context: &SalesContext<'_>, request: CancelOrderRequest) -> Result<OrderRow> {
    let target = authorize_order_target(context, &request.access()).await?;
    let reason = request.reason.as_deref();
    context
        .db
        .write_with_retry(async |tx| {
            let order = transition::lock_target_order(tx, target).await?;
            match request.scope(context.caller)? {
                CancellationScope::Units(lines) => cancel_units(tx, order, lines, reason).await,
                CancellationScope::Order(restock) => cancel_whole_order(tx, order, restock, reason).await,
            }
        })
        .await
}

/// Cancels a locked order with its payment. Returned units are restocked.
async fn cancel_whole_order(
    tx: &Tx,
    order: OrderRow,
    restock: Option<&[LineQuantity]>,
    reason: Option<&str>,
) -> Result<OrderRow> {
    let can_cancel = order.status.next_status(OrderAction::Cancel, order.payment_status).is_some();
    if can_cancel && restock.is_none() && !order.status.is_cancelable_by_buyer() {
        let message = "a part of it has been shipped; when the parcel has come back, staff cancel it with `restock`";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    let to_refund_line = |line: &LineQuantity| RefundLine {
        line_id: line.line_id,
        fulfilled: line.quantity,
        restock: true,
        ..RefundLine::default()
    };
    let returned_lines: Vec<_> = restock.into_iter().flatten().map(to_refund_line).collect();
    let returned_lines = validate_refund_lines(&queries::load_lines_of_order(tx, order.id).await?, &returned_lines)
        .map_err(|error| remap_line_errors(error, "restock"))?;
    order.status.apply(OrderAction::Cancel, order.payment_status)?;
    let order = match payment::queries::find_current_payment(tx, order.id).await? {
        Some(payment) if !returned_lines.is_empty() => {
            let reason = reason.map(str::to_owned);
            let new_refund = NewRefund { lines: returned_lines, reason, ..NewRefund::default() };
            create_refund(tx, order, payment, new_refund).await?.order
        }
        _ => order,
    };
    let is_unpaid = order.status == Status::Pending && order.payment_status == PaymentStatus::Pending;
    let order = cancel_locked_order(tx, order, reason).await?;
    let order = void_or_refund_payment(tx, order).await?;
    if is_unpaid {
        cart::reopen_cart(tx, order.id).await?;
    }
    Ok(order)
}

/// Cancels unshipped units of an order whose payment is not captured, and reduces the payment's amount.
async fn cancel_units(tx: &Tx, order: OrderRow, requested: &[LineQuantity], reason: Option<&str>) -> Result<OrderRow> {
    let order_lines = queries::load_lines_of_order(tx, order.id).await?;
    let requested: Vec<_> = requested
        .iter()
        .map(|line| RefundLine { line_id: line.line_id, unfulfilled: line.quantity, ..RefundLine::default() })
        .collect();
    let lines = validate_refund_lines(&order_lines, &requested).map_err(|error| remap_line_errors(error, "lines"))?;
    let mut payment = require_payment(tx, order.id).await?;
    if payment.status == PaymentState::Captured {
        let message = "the order is paid; refund the units with orderRefund, which cancels them";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    order.status.apply(OrderAction::Cancel, order.payment_status)?;
    let unshipped_units: i64 = order_lines.iter().map(OrderLineRow::unshipped_quantity).sum();
    let units: i64 = lines.iter().map(|refund_line| refund_line.unfulfilled).sum();
    if unshipped_units == units && order_lines.iter().all(|line| line.quantity_fulfilled == 0) {
        let order = cancel_locked_order(tx, order, reason).await?;
        return void_or_refund_payment(tx, order).await;
    }
    check_payment_reducible(&payment)?;
    payment.amount -= calculate_refund_value(&order_lines, &lines);
    transactions::update_payment(tx, &payment).await?;
    let new_refund = NewRefund { lines, reason: reason.map(str::to_owned), ..NewRefund::default() };
    create_refund(tx, order, payment, new_refund).await.map(|created| created.order)
}

/// Rejects a payment whose amount the provider is authorizing or capturing.
fn check_payment_reducible(payment: &Payment) -> Result<()> {
    let is_paying = payment.status.is_pending() && payment.provider != manual::MANUAL_PROVIDER_NAME;
    if !is_paying && payment.capture_requested_at.is_none() {
        return Ok(());
    }
    let message = "its payment is under way; try again when it has come";
    Err(Error::user(PublicErrorCode::IllegalTransition, "id", message))
}

/// Cancels a locked order and releases its reservations. The caller voids or refunds its payment.
///
/// # Errors
/// Returns `IllegalTransition` if the order cannot be canceled in its status.
pub(super) async fn cancel_locked_order(tx: &Tx, order: OrderRow, reason: Option<&str>) -> Result<OrderRow> {
    let new_payment_status = match order.payment_status {
        PaymentStatus::Pending | PaymentStatus::Authorized => PaymentStatus::Voided,
        other => other,
    };
    let order = transition::transition_order(
        tx,
        OrderRow { payment_status: new_payment_status, ..order },
        OrderAction::Cancel,
        reason,
    )
    .await?;
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    let tracked = lines.iter().filter(|line| line.track_stock);
    let to_release = |line: &OrderLineRow| LineRelease { order_line_id: line.id, quantity: line.unshipped_quantity() };
    let unshipped: Vec<_> = tracked.map(to_release).collect();
    reservation::release_reservations(tx, &unshipped).await?;
    Ok(order)
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

/// Voids or refunds the payment of a canceled order.
pub(super) async fn void_or_refund_payment(tx: &Tx, order: OrderRow) -> Result<OrderRow> {
    let Some(payment) = payment::queries::find_current_payment(tx, order.id).await? else { return Ok(order) };
    match payment.status {
        PaymentState::Captured => {
            let amount = payment::queries::load_refundable_amount(tx, &payment).await?;
            if amount == 0 {
                return Ok(order);
            }
            let reason = Some("the order was canceled".to_owned());
            let new_refund = NewRefund { amount, reason, ..NewRefund::default() };
            create_refund(tx, order, payment, new_refund).await.map(|created| created.order)
        }
        PaymentState::Pending | PaymentState::ActionRequired | PaymentState::Authorized => {
            end_payment(tx, payment, PaymentState::Voided).await?;
            Ok(order)
        }
        PaymentState::Failed | PaymentState::Expired | PaymentState::Voided => Ok(order),
    }
}
