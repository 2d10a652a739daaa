//! Refunds: complete, by lines, or by amount. Unshipped units are canceled with it; returned units are restocked.

pub mod lines;
pub mod effects;
pub mod execution;

use iso_currency::Currency;

use self::{
    effects::{CreatedRefund, create_refund},
    execution::execute_refund,
    lines::{calculate_refund_value, refund_remaining_units, validate_refund_lines},
};
use super::SalesContext;
use crate::{
    base::{Error, Money, Result, error::PublicErrorCode},
    customer::OwnerScope,
    infra::{IdempotencyClaim, IdempotencyKey, ResourceKey, Tx},
    order::{
        OrderLineRow, OrderRow, queries,
        state_machine::OrderAction,
        transition::{self, OrderTarget},
    },
    payment::{self, NewRefund, PaymentState, RefundLine, RefundStatus, jobs::RefundPayment, refunds},
};

/// Input of a refund.
#[derive(Debug, Clone)]
pub struct RefundRequest {
    /// Idempotency key.
    pub idempotency_key: IdempotencyKey,
    /// Refunded lines; without lines and `amount`, everything that remains is refunded.
    pub lines: Option<Vec<RefundLine>>,
    /// Amount in minor units; `None` refunds the value of the lines.
    pub amount: Option<i64>,
    /// Whether shipping is refunded in addition to the lines.
    pub shipping: bool,
    /// Reason.
    pub reason: Option<String>,
}

/// Refunds the captured payment of an order. A request that was carried out before only returns the order.
///
/// # Errors
/// Returns `NotFound` if the order or a line does not exist, `VersionConflict` if the version differs,
/// `IllegalTransition` if no payment is captured, `BadUserInput` if the amount exceeds the refundable amount or a line
/// has fewer units.
pub async fn refund_order(context: &SalesContext<'_>, target: OrderTarget, request: RefundRequest) -> Result<OrderRow> {
    let created = context.db.write_with_retry(async |tx| {
        let resource = ResourceKey::Existing(target.id);
        if let IdempotencyClaim::Replay(_) = tx.claim_idempotency_key(&request.idempotency_key, resource).await? {
            return Ok(None);
        }
        let order = transition::lock_target_order(tx, target).await?;
        request_refund(tx, order, &request).await.map(|created| created.refund_id)
    });
    if let Some(refund_id) = created.await? {
        // Executes the refund immediately if possible; otherwise the job stored with it retries.
        execute_refund(context.db, context.payment_providers, refund_id).await?;
    }
    queries::find_order(context.db, target.id).await
}

/// Retries a declined refund under a new idempotency key. Its lines stay unchanged.
///
/// # Errors
/// Returns `NotFound` if it does not exist, `IllegalTransition` if it was not declined or its amount was refunded
/// otherwise.
pub async fn retry_refund(context: &SalesContext<'_>, refund_id: i64) -> Result<OrderRow> {
    let order = context.db.write_with_retry(async |tx| restart_declined_refund(tx, refund_id).await).await?;
    execute_refund(context.db, context.payment_providers, refund_id).await?;
    queries::find_order(context.db, order.id).await
}

/// Creates a requested refund of a locked order.
async fn request_refund(tx: &Tx, order: OrderRow, request: &RefundRequest) -> Result<CreatedRefund> {
    let payment = payment::queries::find_current_payment(tx, order.id).await?;
    let Some(payment) = payment.filter(|payment| payment.status == PaymentState::Captured) else {
        let allowed_actions: Vec<_> =
            order.status.available_actions(order.payment_status).map(OrderAction::name).collect();
        let message = format!("nothing has been paid yet that could go back; it can: {}", allowed_actions.join(", "));
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    };
    let refundable = payment::queries::load_refundable_amount(tx, &payment).await?;
    let order_lines = queries::load_lines_of_order(tx, order.id).await?;
    let RefundRequest { idempotency_key: _, lines, amount, shipping, reason } = request;
    let is_full = lines.is_none() && amount.is_none();
    let lines = match lines {
        Some(lines) => validate_refund_lines(&order_lines, lines)?,
        None if is_full => order_lines
            .iter()
            .filter(|line| line.quantity_refunded < line.quantity)
            .map(refund_remaining_units)
            .collect(),
        None => Vec::new(),
    };
    let shipping = match (*shipping && !is_full, amount) {
        (true, Some(_)) => {
            let message = "an amount already says how much goes back; the shipping goes back beside lines";
            return Err(Error::bad_input("input.shipping", message));
        }
        (true, None) => calculate_refundable_shipping(tx, &order, &order_lines).await?,
        (false, _) => 0,
    };
    let (amount, error_field) = match amount {
        Some(amount) => (*amount, "input.amount"),
        None if is_full => (refundable, "id"),
        None => (calculate_refund_value(&order_lines, &lines) + shipping, "input.lines"),
    };
    // Free lines and free orders are refunded without a payment.
    let is_free = !lines.is_empty() && error_field != "input.amount" && (!is_full || payment.captured == 0);
    let min_amount = i64::from(!is_free);
    if amount < min_amount || amount > refundable {
        let to_decimal =
            |minor| Currency::from_code(&order.currency).map(|currency| Money::new(minor, currency).to_decimal());
        let [refundable, amount] = [refundable, amount].map(|minor| {
            to_decimal(minor).map_or_else(|| minor.to_string(), |decimal_amount| decimal_amount.to_string())
        });
        let message = format!("at most {refundable} {} can be refunded; this comes to {amount}", order.currency);
        return Err(Error::bad_input(error_field, message));
    }
    create_refund(tx, order, payment, NewRefund { amount, shipping, lines, reason: reason.clone() }).await
}

/// Returns the shipping cost of an order including tax, in minor units. Shipping can be refunded once.
async fn calculate_refundable_shipping(tx: &Tx, order: &OrderRow, order_lines: &[OrderLineRow]) -> Result<i64> {
    let previous_refunds = payment::queries::list_refunds_of_order(tx, order.id).await?;
    if previous_refunds.iter().any(|refund| refund.shipping > 0 && refund.status != RefundStatus::Failed) {
        return Err(Error::bad_input("input.shipping", "the shipping has been refunded already"));
    }
    Ok(order.total - order_lines.iter().map(|line| line.total).sum::<i64>())
}

/// Makes a declined refund pending again and enqueues its job.
async fn restart_declined_refund(tx: &Tx, refund_id: i64) -> Result<OrderRow> {
    let refund = payment::queries::find_refund(tx, refund_id).await?;
    let order = queries::lock_order(tx, refund.order_id, OwnerScope::All).await?;
    // Read again under the order's lock.
    let refund = payment::queries::find_refund(tx, refund_id).await?;
    if refund.status != RefundStatus::Failed {
        return Err(Error::user(
            PublicErrorCode::IllegalTransition,
            "id",
            "this refund was not refused; only those are asked for again",
        ));
    }
    let payment = payment::queries::find_payment(tx, refund.payment_id).await?;
    let refundable = payment::queries::load_refundable_amount(tx, &payment).await?;
    let order_refunds = payment::queries::list_refunds_of_order(tx, order.id).await?;
    let is_shipping_refunded = refund.shipping > 0
        && order_refunds.iter().any(|other| other.shipping > 0 && other.status != RefundStatus::Failed);
    if refund.amount > refundable || is_shipping_refunded {
        let message = "its money has been refunded another way since; less is left than it comes to";
        return Err(Error::user(PublicErrorCode::IllegalTransition, "id", message));
    }
    refunds::restart_refund(tx, refund_id).await?;
    tx.enqueue_job(RefundPayment { refund: refund_id }).await?;
    transition::update_order(tx, order).await
}
