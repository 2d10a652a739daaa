//! Settings of the checkout: `[checkout]`.

use std::time::Duration;

use serde::Deserialize;

use super::{
    duration::{DAY, MINUTE, deserialize_duration, duration_within},
    range::within,
};

/// The highest configurable number of units.
const MOST_UNITS: i64 = 1_000_000_000;

/// `[checkout]`
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutConfig {
    /// The time for which stock stays reserved for an order whose payment is pending.
    #[serde(deserialize_with = "deserialize_duration")]
    pub payment_timeout: Duration,
    /// The ids of the enabled payment methods, in the order of their display.
    pub payment_methods: Vec<String>,
    /// The time for which stock stays reserved for an unconfirmed order of an unverified buyer with manual payment;
    /// zero: without limit.
    #[serde(deserialize_with = "deserialize_duration")]
    pub confirmation_timeout: Duration,
    /// The maximum number of units per line in an order of an unverified buyer.
    pub max_unverified_line_units: i64,
    /// The maximum number of units in an order of an unverified buyer.
    pub max_unverified_order_units: i64,
}

impl CheckoutConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        duration_within("checkout.payment_timeout", self.payment_timeout, MINUTE..=DAY * 30)?;
        if !self.confirmation_timeout.is_zero() {
            duration_within("checkout.confirmation_timeout", self.confirmation_timeout, MINUTE..=DAY * 365)?;
        }
        within("checkout.max_unverified_line_units", self.max_unverified_line_units, 1..=MOST_UNITS)?;
        within("checkout.max_unverified_order_units", self.max_unverified_order_units, 1..=MOST_UNITS)
    }
}
