//! Reference model of stock, orders and payments, in memory.

mod cancellation;
mod late_payment;
mod stock;

use super::FakePaymentResponse;

/// Result of an operation of the model; the error is the expected error code.
pub type LedgerResult<T = ()> = Result<T, &'static str>;

/// A variant with stock at two locations.
#[derive(Debug, Clone, Default)]
pub struct LedgerVariant {
    pub price: i64,
    pub on_hand: [i64; 2],
    pub reserved: [i64; 2],
    pub backorder: bool,
}

impl LedgerVariant {
    pub fn available(&self) -> i64 {
        (0..2).map(|location| self.available_at(location)).sum()
    }

    fn available_at(&self, location: usize) -> i64 {
        self.on_hand[location] - self.reserved[location]
    }

    /// Returns the quantities to take from each location, limited to the available stock.
    fn allocate(&self, quantity: i64) -> [i64; 2] {
        let first = quantity.min(self.available_at(0));
        [first, (quantity - first).min(self.available_at(1))]
    }
}

/// An order line.
#[derive(Debug, Clone)]
pub struct LedgerLine {
    pub variant: usize,
    pub quantity: i64,
    pub price: i64,
    pub reserved: [i64; 2],
    pub fulfilled: i64,
    pub refunded: i64,
    pub canceled: i64,
    pub returned: i64,
}

impl LedgerLine {
    pub fn unfulfilled(&self) -> i64 {
        self.quantity - self.fulfilled - self.canceled
    }

    /// Returns the number of shipped units that are not refunded.
    fn returnable(&self) -> i64 {
        self.fulfilled - (self.refunded - self.canceled)
    }
}

/// Refunded units of a line.
#[derive(Debug, Clone, Copy)]
pub struct LedgerRefundLine {
    pub line: usize,
    pub fulfilled: i64,
    pub unfulfilled: i64,
    pub restock: bool,
}

/// Payment state of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerPaymentState {
    Pending,
    Authorized,
    Captured,
    Voided,
}

/// An order.
#[derive(Debug, Clone)]
pub struct LedgerOrder {
    pub status: &'static str,
    pub payment_state: LedgerPaymentState,
    /// Amount due; reduced when unpaid units are canceled.
    pub total: i64,
    pub refunded: i64,
    /// Manual payment; confirmed by staff.
    pub is_manual_payment: bool,
    /// Whether the bank declined the payment.
    pub is_declined: bool,
    /// Whether the order expired while its payment was pending: a late payment can reinstate it.
    pub is_expired: bool,
    pub expires_at: Option<i64>,
    pub lines: Vec<LedgerLine>,
}

impl LedgerOrder {
    pub fn captured(&self) -> i64 {
        if self.payment_state == LedgerPaymentState::Captured { self.total } else { 0 }
    }

    pub fn payment_status(&self) -> &'static str {
        match self.payment_state {
            LedgerPaymentState::Pending => "PENDING",
            LedgerPaymentState::Authorized => "AUTHORIZED",
            LedgerPaymentState::Voided => "VOIDED",
            LedgerPaymentState::Captured if self.refunded == 0 => "PAID",
            LedgerPaymentState::Captured if self.refunded < self.total => "PARTIALLY_REFUNDED",
            LedgerPaymentState::Captured => "REFUNDED",
        }
    }

    pub fn fulfillment_status(&self) -> &'static str {
        if self.lines.iter().all(|line| line.fulfilled == 0) {
            "UNFULFILLED"
        } else if self.is_fulfilled() {
            "FULFILLED"
        } else {
            "PARTIAL"
        }
    }

    fn is_fulfilled(&self) -> bool {
        self.lines.iter().all(|line| line.unfulfilled() == 0)
    }
}

/// The reference model.
#[derive(Debug, Clone, Default)]
pub struct ReferenceLedger {
    pub variants: Vec<LedgerVariant>,
    pub orders: Vec<LedgerOrder>,
    /// Elapsed time in minutes.
    pub elapsed_minutes: i64,
}

impl ReferenceLedger {
    /// Places an order, with a manual payment (`None`) or a provider response.
    pub fn place_order(
        &mut self,
        items: &[(usize, i64)],
        response: Option<FakePaymentResponse>,
    ) -> LedgerResult<usize> {
        let mut quantities = vec![0; self.variants.len()];
        for (variant, quantity) in items {
            quantities[*variant] += quantity;
        }
        if self.is_stock_insufficient(&quantities) {
            // Expired orders release stock for this order.
            let holds_needed_stock = |ledger_order: &LedgerOrder| {
                ledger_order.lines.iter().any(|line| quantities[line.variant] > 0 && line.reserved != [0, 0])
            };
            self.expire_overdue_orders(holds_needed_stock);
            if self.is_stock_insufficient(&quantities) {
                return Err("INSUFFICIENT_STOCK");
            }
        }
        let mut lines = Vec::new();
        for (variant, quantity) in quantities.into_iter().enumerate().filter(|(_, quantity)| *quantity > 0) {
            let ledger_variant = &mut self.variants[variant];
            let reserved = ledger_variant.allocate(quantity);
            (0..2).for_each(|location| ledger_variant.reserved[location] += reserved[location]);
            let price = ledger_variant.price;
            lines.push(LedgerLine {
                variant,
                quantity,
                price,
                reserved,
                fulfilled: 0,
                refunded: 0,
                canceled: 0,
                returned: 0,
            });
        }
        let total = lines.iter().map(|line| line.price * line.quantity).sum();
        let (status, payment_state, expires_at) = match response {
            None => ("PENDING", LedgerPaymentState::Pending, Some(self.elapsed_minutes + 24 * 60)),
            Some(FakePaymentResponse::Authorized) => ("CONFIRMED", LedgerPaymentState::Authorized, None),
            Some(FakePaymentResponse::Succeeded) => ("CONFIRMED", LedgerPaymentState::Captured, None),
            Some(_) => ("PENDING", LedgerPaymentState::Pending, Some(self.elapsed_minutes + 15)),
        };
        self.orders.push(LedgerOrder {
            status,
            payment_state,
            total,
            refunded: 0,
            is_manual_payment: response.is_none(),
            is_declined: response == Some(FakePaymentResponse::Declined),
            is_expired: false,
            expires_at,
            lines,
        });
        Ok(self.orders.len() - 1)
    }

    fn is_stock_insufficient(&self, quantities: &[i64]) -> bool {
        self.variants
            .iter()
            .zip(quantities)
            .any(|(ledger_variant, quantity)| !ledger_variant.backorder && ledger_variant.available() < *quantity)
    }

    pub fn confirm_order(&mut self, order: usize) -> LedgerResult {
        let order = &mut self.orders[order];
        if order.status != "PENDING" || (order.payment_state == LedgerPaymentState::Pending && !order.is_manual_payment)
        {
            return Err("ILLEGAL_TRANSITION");
        }
        (order.status, order.payment_state, order.expires_at) = ("CONFIRMED", LedgerPaymentState::Authorized, None);
        Ok(())
    }

    /// Ships the given line quantities, or all that remains.
    pub fn fulfill_order(&mut self, order: usize, requested: Option<&[(usize, i64)]>) -> LedgerResult {
        let (order, variants) = (&mut self.orders[order], &mut self.variants);
        if !["CONFIRMED", "PROCESSING"].contains(&order.status) {
            return Err("ILLEGAL_TRANSITION");
        }
        let all = order
            .lines
            .iter()
            .map(LedgerLine::unfulfilled)
            .enumerate()
            .filter(|(_, remaining)| *remaining > 0)
            .collect::<Vec<_>>();
        let requested = requested.map_or(all, <[_]>::to_vec);
        if requested.is_empty() {
            return Err("ILLEGAL_TRANSITION");
        }
        if requested.iter().any(|(line, quantity)| *quantity > order.lines[*line].unfulfilled()) {
            return Err("VALIDATION_ERROR");
        }
        let is_short = |(line, quantity): &(usize, i64)| {
            let line = &order.lines[*line];
            variants[line.variant].available() < quantity - line.reserved.iter().sum::<i64>()
        };
        if requested.iter().any(is_short) {
            return Err("INSUFFICIENT_STOCK");
        }
        for (line, quantity) in requested {
            let line = &mut order.lines[line];
            let ledger_variant = &mut variants[line.variant];
            let released = release_reserved(line, ledger_variant, quantity);
            (0..2).for_each(|location| ledger_variant.on_hand[location] -= released[location]);
            let unreserved = ledger_variant.allocate(quantity - released[0] - released[1]);
            (0..2).for_each(|location| ledger_variant.on_hand[location] -= unreserved[location]);
            line.fulfilled += quantity;
        }
        order.status = if order.is_fulfilled() { "SHIPPED" } else { "PROCESSING" };
        Ok(())
    }

    pub fn deliver_order(&mut self, order: usize) -> LedgerResult {
        if self.orders[order].status != "SHIPPED" {
            return Err("ILLEGAL_TRANSITION");
        }
        self.orders[order].status = "DELIVERED";
        Ok(())
    }

    pub fn capture_order(&mut self, order: usize) -> LedgerResult {
        let order = &mut self.orders[order];
        match order.payment_state {
            LedgerPaymentState::Captured => return Ok(()),
            LedgerPaymentState::Authorized if order.status != "CANCELED" => {}
            LedgerPaymentState::Pending if order.is_manual_payment && order.status != "CANCELED" => {}
            _ => return Err("ILLEGAL_TRANSITION"),
        }
        order.payment_state = LedgerPaymentState::Captured;
        order.expires_at = None;
        if order.status == "PENDING" {
            order.status = "CONFIRMED";
        }
        Ok(())
    }

    /// Refunds lines, an amount, or everything that remains.
    pub fn refund_order(
        &mut self,
        order: usize,
        lines: Option<&[LedgerRefundLine]>,
        amount: Option<i64>,
    ) -> LedgerResult {
        let (order, variants) = (&mut self.orders[order], &mut self.variants);
        if order.payment_state != LedgerPaymentState::Captured {
            return Err("ILLEGAL_TRANSITION");
        }
        let remaining = order.total - order.refunded;
        let remaining_line = |(line_index, line): (usize, &LedgerLine)| LedgerRefundLine {
            line: line_index,
            fulfilled: line.returnable(),
            unfulfilled: line.unfulfilled(),
            restock: false,
        };
        let (lines, amount) = match (lines, amount) {
            (Some(lines), _) => {
                let is_invalid = |refund_line: &LedgerRefundLine| {
                    let line = &order.lines[refund_line.line];
                    refund_line.fulfilled > line.returnable()
                        || refund_line.unfulfilled > line.unfulfilled()
                        || (refund_line.restock && refund_line.fulfilled == 0)
                };
                if lines
                    .iter()
                    .any(|refund_line| is_invalid(refund_line) || refund_line.fulfilled + refund_line.unfulfilled == 0)
                {
                    return Err("VALIDATION_ERROR");
                }
                (
                    lines.to_vec(),
                    lines
                        .iter()
                        .map(|refund_line| {
                            order.lines[refund_line.line].price * (refund_line.fulfilled + refund_line.unfulfilled)
                        })
                        .sum(),
                )
            }
            (None, Some(amount)) => (Vec::new(), amount),
            (None, None) => (order.lines.iter().enumerate().map(remaining_line).collect(), remaining),
        };
        if amount < 1 || amount > remaining {
            return Err("VALIDATION_ERROR");
        }
        for LedgerRefundLine { line, fulfilled, unfulfilled, restock } in lines {
            let line = &mut order.lines[line];
            release_reserved(line, &mut variants[line.variant], unfulfilled);
            line.refunded += fulfilled + unfulfilled;
            line.canceled += unfulfilled;
            if restock {
                line.returned += fulfilled;
                variants[line.variant].on_hand[0] += fulfilled;
            }
        }
        if order.status == "PROCESSING" && order.is_fulfilled() {
            order.status = "SHIPPED";
        }
        order.refunded += amount;
        if order.refunded == order.total && order.status != "CANCELED" {
            order.status = "REFUNDED";
            order.lines.iter_mut().for_each(|line| release_all_reserved(line, variants));
        }
        Ok(())
    }

    fn close_canceled_order(&mut self, order: usize) {
        let (order, variants) = (&mut self.orders[order], &mut self.variants);
        order.status = "CANCELED";
        order.expires_at = None;
        order.lines.iter_mut().for_each(|line| release_all_reserved(line, variants));
        match order.payment_state {
            LedgerPaymentState::Captured => order.refunded = order.total,
            _ => order.payment_state = LedgerPaymentState::Voided,
        }
    }
}

fn release_all_reserved(line: &mut LedgerLine, variants: &mut [LedgerVariant]) {
    release_reserved(line, &mut variants[line.variant], i64::MAX);
}

/// Releases up to this many reserved units. Returns the released units by location.
fn release_reserved(line: &mut LedgerLine, ledger_variant: &mut LedgerVariant, quantity: i64) -> [i64; 2] {
    let first = quantity.min(line.reserved[0]);
    let released = [first, (quantity - first).min(line.reserved[1])];
    for (location, released) in released.iter().enumerate() {
        line.reserved[location] -= released;
        ledger_variant.reserved[location] -= released;
    }
    released
}
