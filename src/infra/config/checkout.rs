//! Settings of the till: `[checkout]`.

use std::time::Duration;

use serde::Deserialize;

use super::range::within;

/// More units no order has.
const MOST_UNITS: i64 = 1_000_000_000;

/// `[checkout]`
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutConfig {
    /// How long an order keeps its goods while its payment has not come.
    #[serde(deserialize_with = "super::seconds")]
    pub payment_lifetime: Duration,
    /// The payment methods that buyers may choose.
    pub payment_methods: Vec<String>,
    /// How long an order of an unverified buyer that is paid by hand keeps its goods until staff confirm it; zero: for good.
    #[serde(deserialize_with = "super::seconds")]
    pub unconfirmed_lifetime: Duration,
    /// The most units of one product in an order of an unverified buyer.
    pub unverified_line_units: i64,
    /// The most units in all.
    pub unverified_order_units: i64,
}

impl CheckoutConfig {
    /// What is well formed but cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        let life = self.payment_lifetime;
        if life < Duration::from_mins(1) || life > Duration::from_hours(24 * 30) {
            return Err("checkout.payment_lifetime must be from a minute to 30 days".into());
        }
        if self.payment_methods.is_empty() {
            return Err("checkout.payment_methods must name at least one payment method".into());
        }
        let life = self.unconfirmed_lifetime;
        if !life.is_zero() && (life < Duration::from_mins(1) || life > Duration::from_hours(24 * 365)) {
            return Err("checkout.unconfirmed_lifetime must be 0, or from a minute to a year".into());
        }
        within("checkout.unverified_line_units", self.unverified_line_units, 1..=MOST_UNITS)?;
        within("checkout.unverified_order_units", self.unverified_order_units, 1..=MOST_UNITS)
    }
}
