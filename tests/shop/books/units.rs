//! Cancellation on paper: of orders, of units that were not shipped, of parcels that came back.

use super::{Books, Money, Outcome, Part, drop_held};

impl Books {
    fn is_cancellable(&self, sale: usize) -> bool {
        let sale = &self.sales[sale];
        let is_out = ["PROCESSING", "SHIPPED"].contains(&sale.status);
        ["PENDING", "CONFIRMED"].contains(&sale.status) || (is_out && sale.money != Money::Taken)
    }

    /// Cancels an order; its money has gone back when all work is done. Shipped units may have come back.
    pub fn cancel(&mut self, sale: usize, restock: Option<&[(usize, i64)]>) -> Outcome {
        let is_out = !["PENDING", "CONFIRMED"].contains(&self.sales[sale].status);
        let restock = match restock {
            None if is_out => return Err("ILLEGAL_TRANSITION"),
            restock => restock.unwrap_or_default(),
        };
        if restock.iter().any(|(part, many)| *many > self.sales[sale].parts[*part].kept()) {
            return Err("VALIDATION_ERROR");
        }
        if !self.is_cancellable(sale) {
            return Err("ILLEGAL_TRANSITION");
        }
        for (part, many) in restock {
            let part = &mut self.sales[sale].parts[*part];
            part.refunded += many;
            part.returned += many;
            self.shelves[part.variant].on_hand[0] += many;
        }
        self.end(sale);
        Ok(())
    }

    /// Cancels units that were not shipped, of an order that is not paid.
    pub fn cancel_units(&mut self, sale: usize, lines: &[(usize, i64)]) -> Outcome {
        if lines.iter().any(|(part, many)| *many > self.sales[sale].parts[*part].unsent()) {
            return Err("VALIDATION_ERROR");
        }
        if self.sales[sale].money == Money::Taken || !self.is_cancellable(sale) {
            return Err("ILLEGAL_TRANSITION");
        }
        let (one, shelves) = (&mut self.sales[sale], &mut self.shelves);
        let left: i64 = one.parts.iter().map(Part::unsent).sum();
        let all = lines.iter().map(|(_, many)| many).sum::<i64>() == left;
        if all && one.parts.iter().all(|part| part.fulfilled == 0) {
            self.end(sale);
            return Ok(());
        }
        if one.money == Money::Awaited && !one.by_hand {
            return Err("ILLEGAL_TRANSITION");
        }
        for (part, many) in lines {
            let part = &mut one.parts[*part];
            drop_held(part, &mut shelves[part.variant], *many);
            part.refunded += many;
            part.cancelled += many;
            one.total -= part.price * many;
        }
        if one.status == "PROCESSING" && one.all_sent() {
            one.status = "SHIPPED";
        }
        Ok(())
    }
}
