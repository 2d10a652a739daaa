//! Settings of the rate limits of requests: `[rate_limit]`.

use serde::Deserialize;

use super::{RateLimit, parsed::deserialize_parsed};

/// `[rate_limit]`: cost points of requests, per principal.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct RateLimitConfig {
    /// Whether requests are limited.
    pub enabled: bool,
    /// Points of anonymous requests from one network.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub points_per_network: RateLimit,
    /// Points of a customer.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub points_per_customer: RateLimit,
    /// Points of an API key.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub points_per_api_key: RateLimit,
    /// Points of an account with a permission.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub points_per_staff_account: RateLimit,
}
