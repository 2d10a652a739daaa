//! Expiry of unpaid orders in the reference model, and payments that arrive after it.

use super::{LedgerOrder, LedgerPaymentState, ReferenceLedger};

impl ReferenceLedger {
    /// Cancels the overdue orders that the filter selects.
    pub fn expire_overdue_orders(&mut self, filter: impl Fn(&LedgerOrder) -> bool) {
        let now = self.elapsed_minutes;
        let overdue =
            |order: &LedgerOrder| order.expires_at.is_some_and(|expires_at| expires_at <= now) && filter(order);
        let all: Vec<usize> =
            (0..self.orders.len()).filter(|order_index| overdue(&self.orders[*order_index])).collect();
        for order_index in all {
            let order = &mut self.orders[order_index];
            order.is_expired = order.payment_state == LedgerPaymentState::Pending && !order.is_declined;
            self.close_canceled_order(order_index);
        }
    }

    /// Captures a payment late: for a pending or for a canceled order. An expired order is reinstated if its items are
    /// still available.
    pub fn record_late_payment(&mut self, order: usize) {
        let (order, variants) = (&mut self.orders[order], &mut self.variants);
        order.payment_state = LedgerPaymentState::Captured;
        order.expires_at = None;
        if order.status != "CANCELED" {
            order.status = "CONFIRMED";
            return;
        }
        let is_available = order.lines.iter().all(|line| variants[line.variant].available() >= line.quantity);
        if !order.is_expired || !is_available {
            order.refunded = order.total;
            return;
        }
        for line in &mut order.lines {
            let variant = &mut variants[line.variant];
            line.reserved = variant.allocate(line.quantity);
            (0..2).for_each(|location| variant.reserved[location] += line.reserved[location]);
        }
        order.status = "CONFIRMED";
    }
}
