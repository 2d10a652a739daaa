//! Settings of carts: `[cart]`.

use std::time::Duration;

use serde::Deserialize;

/// `[cart]`
#[derive(Debug, Clone, Deserialize)]
pub struct CartConfig {
    /// Of a guest's cart that nobody touches, and of one that has been ordered.
    #[serde(deserialize_with = "super::seconds")]
    pub guest_lifetime: Duration,
    /// Of a customer's cart that nobody touches.
    #[serde(deserialize_with = "super::seconds")]
    pub customer_lifetime: Duration,
}

impl CartConfig {
    /// What is well formed but cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        let century = Duration::from_hours(24 * 36_500);
        for (name, life) in [("guest_lifetime", self.guest_lifetime), ("customer_lifetime", self.customer_lifetime)] {
            if life.is_zero() || life > century {
                return Err(format!("cart.{name} must be from 1 second to a hundred years"));
            }
        }
        Ok(())
    }
}
