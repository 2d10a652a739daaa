//! Reinstatement of expired orders whose payment arrived late.

use crate::{
    base::Result,
    cart::{self, FormerCart},
    infra::Tx,
    inventory::reservation::{self, ReservationRequest},
    order::{
        OrderLineRow, OrderRow, history,
        history::{OrderHistoryEvent, OrderNote},
        queries,
        state_machine::OrderAction,
        transition,
    },
    payment::{Payment, transactions::derive_payment_status},
};

/// Reinstates a locked, expired order whose payment was captured, if all its stock is still available and its cart was
/// not ordered again. Returns `None` and changes nothing otherwise.
pub(super) async fn reinstate_order(tx: &Tx, order: &OrderRow, payment: &Payment) -> Result<Option<OrderRow>> {
    let former_cart = match order.cart_id {
        Some(cart_id) => cart::lock_former_cart(tx, cart_id, order.id, order.updated_at).await?,
        None => FormerCart::Closed,
    };
    if former_cart == FormerCart::OrderedAgain {
        return Ok(None);
    }
    let lines = queries::load_lines_of_order(tx, order.id).await?;
    let remaining_units = |line: &OrderLineRow| line.quantity - line.quantity_canceled;
    let to_request = |line: &OrderLineRow| {
        let (order_line_id, quantity) = (line.id, remaining_units(line));
        Some(ReservationRequest { order_line_id, variant_id: line.variant_id?, quantity, allow_backorder: false })
    };
    let tracked = lines.iter().filter(|line| line.track_stock && remaining_units(line) > 0);
    let Some(requests) = tracked.map(to_request).collect::<Option<Vec<_>>>() else { return Ok(None) };
    if !reservation::reserve_stock(tx, &requests, None).await?.is_empty() {
        return Ok(None);
    }
    let mut order = OrderRow { payment_status: derive_payment_status(Some(payment)), ..order.clone() };
    match (former_cart, order.cart_id) {
        (FormerCart::Unchanged, Some(cart_id)) => cart::close_reopened_cart(tx, cart_id, order.id).await?,
        (FormerCart::Changed, _) => {
            // The cart can be ordered on its own.
            transition::detach_cart(tx, order.id).await?;
            order.cart_id = None;
        }
        _ => {}
    }
    history::record_history_event(tx, order.id, OrderHistoryEvent::Payment, OrderNote::public(Some("paid"))).await?;
    let note = "the payment arrived after the order had expired, and its items are still available";
    transition::transition_order(tx, order, OrderAction::Reinstate, Some(note)).await.map(Some)
}
