//! What a transaction has achieved, counted after its commit.

use metrics::counter;

use super::names::{ORDER_VALUE, ORDERS, PAYMENTS, STOCK_RESERVATIONS};

/// Something that happened, if the transaction commits.
#[derive(Debug, Clone)]
pub enum Measurement {
    /// An order was placed.
    OrderPlaced {
        /// Total in minor units.
        total: i64,
        /// ISO 4217 code of the shop.
        currency: String,
    },
    /// A provider reported the result of a payment.
    PaymentResult {
        /// Name of the provider.
        provider: String,
        /// Type of the entry in the ledger.
        outcome: &'static str,
    },
    /// Stock was reserved.
    StockReserved {
        /// Number of order lines.
        lines: u64,
    },
}

impl Measurement {
    /// Counts it.
    pub(in crate::infra) fn record(self) {
        match self {
            Self::OrderPlaced { total, currency } => {
                counter!(ORDERS).increment(1);
                counter!(ORDER_VALUE, "currency" => currency).increment(u64::try_from(total).unwrap_or_default());
            }
            Self::PaymentResult { provider, outcome } => {
                counter!(PAYMENTS, "provider" => provider, "outcome" => outcome).increment(1);
            }
            Self::StockReserved { lines } => count_reservations("reserved", lines),
        }
    }
}

/// Counts order lines by the outcome of their reservation.
pub(super) fn count_reservations(outcome: &'static str, lines: u64) {
    counter!(STOCK_RESERVATIONS, "outcome" => outcome).increment(lines);
}
