//! Settings of the checkout: `[checkout]`.

use std::time::Duration;

use serde::Deserialize;

use super::range::within;

/// The highest configurable number of units.
const MOST_UNITS: i64 = 1_000_000_000;

/// `[checkout]`
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutConfig {
    /// The time for which stock stays reserved for an order whose payment is pending.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub payment_lifetime: Duration,
    /// The available payment methods.
    pub payment_methods: Vec<String>,
    /// The time for which stock stays reserved for an unconfirmed order of an unverified buyer with manual payment;
    /// zero: without limit.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub unconfirmed_lifetime: Duration,
    /// The maximum number of units per line in an order of an unverified buyer.
    pub unverified_line_units: i64,
    /// The maximum number of units in an order of an unverified buyer.
    pub unverified_order_units: i64,
}

impl CheckoutConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        let lifetime = self.payment_lifetime;
        if lifetime < Duration::from_mins(1) || lifetime > Duration::from_hours(24 * 30) {
            return Err("checkout.payment_lifetime must be from a minute to 30 days".into());
        }
        if self.payment_methods.is_empty() {
            return Err("checkout.payment_methods must name at least one payment method".into());
        }
        let lifetime = self.unconfirmed_lifetime;
        if !lifetime.is_zero() && (lifetime < Duration::from_mins(1) || lifetime > Duration::from_hours(24 * 365)) {
            return Err("checkout.unconfirmed_lifetime must be 0, or from a minute to a year".into());
        }
        within("checkout.unverified_line_units", self.unverified_line_units, 1..=MOST_UNITS)?;
        within("checkout.unverified_order_units", self.unverified_order_units, 1..=MOST_UNITS)
    }
}
