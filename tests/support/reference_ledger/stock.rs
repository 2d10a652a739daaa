//! Stock changes by staff in the reference model.

use super::{LedgerResult, ReferenceLedger};

impl ReferenceLedger {
    pub fn adjust_stock(&mut self, variant: usize, location: usize, delta: i64) -> LedgerResult {
        let ledger_variant = &mut self.variants[variant];
        if ledger_variant.on_hand[location] + delta < ledger_variant.reserved[location] {
            return Err("INSUFFICIENT_STOCK");
        }
        ledger_variant.on_hand[location] += delta;
        Ok(())
    }

    pub fn set_stock(&mut self, variant: usize, location: usize, (quantity, expected): (i64, i64)) -> LedgerResult {
        if self.variants[variant].on_hand[location] != expected {
            return Err("VERSION_CONFLICT");
        }
        self.adjust_stock(variant, location, quantity - expected)
    }

    pub fn transfer_stock(&mut self, variant: usize, (from, to): (usize, usize), quantity: i64) -> LedgerResult {
        self.adjust_stock(variant, from, -quantity)?;
        self.adjust_stock(variant, to, quantity)
    }
}
