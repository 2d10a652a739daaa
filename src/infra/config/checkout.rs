//! Settings of the till: `[checkout]`.

use std::time::Duration;

use serde::Deserialize;

/// `[checkout]`
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutConfig {
    /// How long an order keeps its goods while its payment has not come.
    #[serde(deserialize_with = "super::seconds")]
    pub payment_lifetime: Duration,
}

impl CheckoutConfig {
    /// What is well formed but cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        let life = self.payment_lifetime;
        if life < Duration::from_mins(1) || life > Duration::from_hours(24 * 30) {
            return Err("checkout.payment_lifetime must be from a minute to 30 days".into());
        }
        Ok(())
    }
}
