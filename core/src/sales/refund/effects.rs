//! Effects of a refund on its order: units, stock and statuses.

use crate::{
    base::Result,
    infra::Tx,
    inventory::{
        reservation::{self, LineRelease},
        stock_level::VariantUnits,
    },
    order::{
        OrderLineRow, OrderRow, Status, history, history::OrderHistoryEvent, queries, state_machine::OrderAction,
        transition,
    },
    payment::{NewRefund, Payment, RefundLine, jobs::RefundPayment, refunds},
};

/// A created refund.
#[derive(Debug)]
pub struct CreatedRefund {
    /// The order after the refund was created.
    pub order: OrderRow,
    /// Id of the refund; `None` if it has no amount, so that no provider is called.
    pub refund_id: Option<i64>,
}

/// Creates a refund of a locked order: inserts its lines, releases and restocks units, enqueues the provider job.
pub async fn create_refund(tx: &Tx, order: OrderRow, payment: Payment, new_refund: NewRefund) -> Result<CreatedRefund> {
    let refund_id = refunds::insert_refund(tx, &payment, &new_refund).await?;
    let NewRefund { amount, shipping: _, lines, reason } = new_refund;
    if !lines.is_empty() {
        release_and_restock(tx, &order, &lines).await?;
    }
    if amount == 0 {
        history::record_history_event(
            tx,
            order.id,
            OrderHistoryEvent::Refund,
            history::OrderNote::public(reason.as_deref()),
        )
        .await?;
        let order = finalize_order(tx, order, Some(payment), reason.as_deref()).await?;
        return Ok(CreatedRefund { order, refund_id: None });
    }
    let order = update_fulfillment_status(tx, order).await?;
    tx.enqueue_job(RefundPayment { refund: refund_id }).await?;
    Ok(CreatedRefund { order, refund_id: Some(refund_id) })
}

/// Releases the reservations of unshipped units and restocks returned units.
async fn release_and_restock(tx: &Tx, order: &OrderRow, lines: &[RefundLine]) -> Result<()> {
    let order_lines = queries::load_lines_of_order(tx, order.id).await?;
    let find_tracked_line = |line_id: i64| order_lines.iter().find(|line| line.id == line_id && line.track_stock);
    let unshipped = lines
        .iter()
        .filter(|refund_line| refund_line.unfulfilled > 0 && find_tracked_line(refund_line.line_id).is_some());
    let to_release = |refund_line: &RefundLine| LineRelease {
        order_line_id: refund_line.line_id,
        quantity: refund_line.unfulfilled,
    };
    let released: Vec<_> = unshipped.map(to_release).collect();
    if !released.is_empty() {
        reservation::release_reservations(tx, &released).await?;
    }
    let returned = lines.iter().filter(|refund_line| refund_line.returned() > 0);
    let to_units = |refund_line: &RefundLine| {
        let variant_id = find_tracked_line(refund_line.line_id)?.variant_id?;
        Some(VariantUnits { variant_id, quantity: refund_line.returned() })
    };
    let returned: Vec<_> = returned.filter_map(to_units).collect();
    if !returned.is_empty() {
        reservation::restock_variants(tx, &returned, &format!("order {}", order.number)).await?;
    }
    Ok(())
}

/// Updates the fulfillment status; canceled units can complete a partial fulfillment.
async fn update_fulfillment_status(tx: &Tx, order: OrderRow) -> Result<OrderRow> {
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    let order = OrderRow { fulfillment_status: transition::derive_fulfillment_status(&lines), ..order };
    let is_fully_shipped =
        lines.iter().all(|line| line.unshipped_quantity() == 0) && lines.iter().any(|line| line.quantity_fulfilled > 0);
    if is_fully_shipped && order.status == Status::Processing {
        return transition::transition_order(tx, order, OrderAction::Fulfill { is_last: true }, None).await;
    }
    transition::update_order(tx, order).await
}

/// Transitions a completely refunded order to `refunded`; any other order gets its fulfillment status updated. A free
/// order is completely refunded when all its units are.
pub(super) async fn finalize_order(
    tx: &Tx,
    order: OrderRow,
    payment: Option<Payment>,
    reason: Option<&str>,
) -> Result<OrderRow> {
    let captured = payment.as_ref().map_or(0, |payment| payment.captured);
    let is_refunded = payment.is_some_and(|payment| payment.refunded == payment.captured);
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    let is_fully_refunded =
        is_refunded && (captured > 0 || lines.iter().all(|line| line.quantity_refunded == line.quantity));
    if !is_fully_refunded || order.status.next_status(OrderAction::Refund, order.payment_status).is_none() {
        return update_fulfillment_status(tx, order).await;
    }
    // Unshipped units of a refunded order will not be shipped.
    let tracked = lines.iter().filter(|line| line.track_stock);
    let to_release = |line: &OrderLineRow| LineRelease { order_line_id: line.id, quantity: line.unshipped_quantity() };
    let reserved: Vec<_> = tracked.map(to_release).collect();
    reservation::release_reservations(tx, &reserved).await?;
    let order = OrderRow { fulfillment_status: transition::derive_fulfillment_status(&lines), ..order };
    transition::transition_order(tx, order, OrderAction::Refund, reason).await
}
