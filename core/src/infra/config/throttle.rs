//! Settings of rate limits: `[throttle]`.

use std::{str::FromStr, time::Duration};

use serde::Deserialize;

use super::{
    duration::{HOUR, deserialize_duration, duration_within, parse_duration},
    parsed::deserialize_parsed,
};

/// The longest window: a week.
const MAX_RATE_LIMIT_WINDOW: Duration = Duration::from_hours(24 * 7);
/// The highest count, so that counters never overflow.
const MAX_RATE_LIMIT_COUNT: u32 = 1_000_000_000;

/// A rate limit: a count per window, `"100/1h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The maximum number of actions; at least one.
    pub count: u32,
    /// The length of the window, which begins with the first action.
    pub window: Duration,
}

impl RateLimit {
    /// Returns the limit with the maximum count, for subjects that are only counted.
    #[must_use]
    pub const fn unlimited(self) -> Self {
        Self { count: MAX_RATE_LIMIT_COUNT, ..self }
    }
}

impl FromStr for RateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_rate_limit(text).ok_or_else(|| "write COUNT/WINDOW, like 100/1h: from 1, within 1s to 7d".to_owned())
    }
}

fn parse_rate_limit(text: &str) -> Option<RateLimit> {
    let (count, window) = text.split_once('/')?;
    let count = count.trim().parse().ok().filter(|count| (1..=MAX_RATE_LIMIT_COUNT).contains(count))?;
    let window = parse_duration(window.trim()).ok()?;
    (!window.is_zero() && window <= MAX_RATE_LIMIT_WINDOW).then_some(RateLimit { count, window })
}

/// `[throttle]`
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "config.example.toml explains the settings")]
pub struct ThrottleConfig {
    #[serde(deserialize_with = "deserialize_parsed")]
    pub orders_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub orders_per_recipient: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub cart_changes_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub registrations_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub registrations_per_email: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub failed_logins_per_account_and_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub failed_logins_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub failed_logins_per_account: RateLimit,
    #[serde(deserialize_with = "deserialize_duration")]
    pub max_login_delay: Duration,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub oidc_logins_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub password_resets_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub emails_per_account: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub email_changes_per_account: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub order_links_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub order_links_per_recipient: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub login_codes_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub login_codes_per_recipient: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub idempotency_keys_per_caller: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub invalid_tokens_per_ip: RateLimit,
    #[serde(deserialize_with = "deserialize_parsed")]
    pub client_tokens_per_api_key: RateLimit,
}

impl ThrottleConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        duration_within("throttle.max_login_delay", self.max_login_delay, Duration::ZERO..=HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limit_with_count_and_window_is_parsed() {
        let rate_limit = |count, seconds| Some(RateLimit { count, window: Duration::from_secs(seconds) });
        assert_eq!(parse_rate_limit("100/1h"), rate_limit(100, 3600));
        assert_eq!(parse_rate_limit(" 1 / 90s "), rate_limit(1, 90));
        assert_eq!(parse_rate_limit("5/7d"), rate_limit(5, 604_800));
        for text in ["", "5", "5/", "0/1h", "5/0s", "5/8d", "5/1", "5/h", "-1/1h", "5/1y", "5/1é", "2000000000/1h"] {
            assert_eq!(parse_rate_limit(text), None, "{text}");
        }
    }
}
