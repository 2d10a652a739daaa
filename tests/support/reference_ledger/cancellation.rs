//! Cancellation in the reference model: orders, unshipped units, returned units.

use super::{LedgerLine, LedgerPaymentState, LedgerResult, ReferenceLedger, release_reserved};

impl ReferenceLedger {
    fn is_cancelable(&self, order: usize) -> bool {
        let order = &self.orders[order];
        let is_out = ["PROCESSING", "SHIPPED"].contains(&order.status);
        ["PENDING", "CONFIRMED"].contains(&order.status)
            || (is_out && order.payment_state != LedgerPaymentState::Captured)
    }

    /// Cancels an order; a captured payment counts as refunded. Shipped units can be restocked.
    pub fn cancel_order(&mut self, order: usize, restock: Option<&[(usize, i64)]>) -> LedgerResult {
        let is_out = !["PENDING", "CONFIRMED"].contains(&self.orders[order].status);
        let restock = match restock {
            None if is_out => return Err("ILLEGAL_TRANSITION"),
            restock => restock.unwrap_or_default(),
        };
        if restock.iter().any(|(line, quantity)| *quantity > self.orders[order].lines[*line].returnable()) {
            return Err("VALIDATION_ERROR");
        }
        if !self.is_cancelable(order) {
            return Err("ILLEGAL_TRANSITION");
        }
        for (line, quantity) in restock {
            let line = &mut self.orders[order].lines[*line];
            line.refunded += quantity;
            line.returned += quantity;
            self.variants[line.variant].on_hand[0] += quantity;
        }
        self.close_canceled_order(order);
        Ok(())
    }

    /// Cancels unshipped units of an unpaid order.
    pub fn cancel_units(&mut self, order: usize, lines: &[(usize, i64)]) -> LedgerResult {
        if lines.iter().any(|(line, quantity)| *quantity > self.orders[order].lines[*line].unfulfilled()) {
            return Err("VALIDATION_ERROR");
        }
        if self.orders[order].payment_state == LedgerPaymentState::Captured || !self.is_cancelable(order) {
            return Err("ILLEGAL_TRANSITION");
        }
        let (ledger_order, variants) = (&mut self.orders[order], &mut self.variants);
        let remaining: i64 = ledger_order.lines.iter().map(LedgerLine::unfulfilled).sum();
        let all = lines.iter().map(|(_, quantity)| quantity).sum::<i64>() == remaining;
        if all && ledger_order.lines.iter().all(|line| line.fulfilled == 0) {
            self.close_canceled_order(order);
            return Ok(());
        }
        let is_paying = !ledger_order.is_manual_payment && !ledger_order.is_declined;
        if ledger_order.payment_state == LedgerPaymentState::Pending && is_paying {
            return Err("ILLEGAL_TRANSITION");
        }
        for (line, quantity) in lines {
            let line = &mut ledger_order.lines[*line];
            release_reserved(line, &mut variants[line.variant], *quantity);
            line.refunded += quantity;
            line.canceled += quantity;
            ledger_order.total -= line.price * quantity;
        }
        if ledger_order.status == "PROCESSING" && ledger_order.is_fulfilled() {
            ledger_order.status = "SHIPPED";
        }
        Ok(())
    }
}
