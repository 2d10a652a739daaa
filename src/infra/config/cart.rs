//! Settings of carts: `[cart]`.

use std::time::Duration;

use serde::Deserialize;

/// `[cart]`
#[derive(Debug, Clone, Deserialize)]
pub struct CartConfig {
    /// The lifetime of an unchanged guest cart, and of an ordered cart.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub guest_lifetime: Duration,
    /// The lifetime of an unchanged customer cart.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub customer_lifetime: Duration,
}

impl CartConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        let max_lifetime = Duration::from_hours(24 * 36_500);
        for (name, lifetime) in [("guest_lifetime", self.guest_lifetime), ("customer_lifetime", self.customer_lifetime)]
        {
            if lifetime.is_zero() || lifetime > max_lifetime {
                return Err(format!("cart.{name} must be from 1 second to a hundred years"));
            }
        }
        Ok(())
    }
}
