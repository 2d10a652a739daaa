//! Settings of carts: `[cart]`.

use std::time::Duration;

use serde::Deserialize;

use super::duration::{CENTURY, SECOND, deserialize_duration, duration_within};

/// `[cart]`
#[derive(Debug, Clone, Deserialize)]
pub struct CartConfig {
    /// The lifetime of an unchanged guest cart, and of an ordered cart.
    #[serde(deserialize_with = "deserialize_duration")]
    pub guest_ttl: Duration,
    /// The lifetime of an unchanged customer cart.
    #[serde(deserialize_with = "deserialize_duration")]
    pub customer_ttl: Duration,
}

impl CartConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        duration_within("cart.guest_ttl", self.guest_ttl, SECOND..=CENTURY)?;
        duration_within("cart.customer_ttl", self.customer_ttl, SECOND..=CENTURY)
    }
}
