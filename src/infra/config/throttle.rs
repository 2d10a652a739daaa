//! Limits of what anybody may do: `[throttle]`.

use std::{str::FromStr, time::Duration};

use serde::Deserialize;

/// The longest window.
const MAX_WINDOW: Duration = Duration::from_hours(24 * 7);
/// The highest count, so that counters never overflow.
const MAX_COUNT: u32 = 1_000_000_000;

/// How often something may be done within a window: `"100/1h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How often; at least once.
    pub count: u32,
    /// Since the first time.
    pub window: Duration,
}

impl Limit {
    /// The same window without a limit: counted only.
    #[must_use]
    pub const fn unlimited(self) -> Self {
        Self { count: MAX_COUNT, ..self }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| "write COUNT/WINDOW, like 100/1h: from 1, within 1s to 7d (s, m, h, d)".to_owned())
    }
}

fn parse(text: &str) -> Option<Limit> {
    let (count, window) = text.split_once('/')?;
    let count = count.trim().parse().ok().filter(|count| (1..=MAX_COUNT).contains(count))?;
    let window = window.trim();
    let (number, unit) = window.split_at_checked(window.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let window = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?);
    (!window.is_zero() && window <= MAX_WINDOW).then_some(Limit { count, window })
}

/// `[throttle]`
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "config.example.toml explains the settings")]
pub struct ThrottleConfig {
    #[serde(deserialize_with = "super::parsed")]
    pub orders_per_address: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub orders_per_recipient: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub cart_changes_per_address: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub registrations_per_address: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub registrations_per_email: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub failed_logins: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub failed_logins_per_address: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub failed_logins_per_account: Limit,
    #[serde(deserialize_with = "super::seconds")]
    pub max_login_delay: Duration,
    #[serde(deserialize_with = "super::parsed")]
    pub login_starts_per_address: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub reset_requests_per_address: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub mails_per_account: Limit,
    #[serde(deserialize_with = "super::parsed")]
    pub unknown_tokens_per_address: Limit,
}

impl ThrottleConfig {
    /// What is well formed but cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.max_login_delay > Duration::from_hours(1) {
            return Err("throttle.max_login_delay must be at most an hour".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_with_count_and_window_is_parsed() {
        let limit = |count, seconds| Some(Limit { count, window: Duration::from_secs(seconds) });
        assert_eq!(parse("100/1h"), limit(100, 3600));
        assert_eq!(parse(" 1 / 90s "), limit(1, 90));
        assert_eq!(parse("5/7d"), limit(5, 604_800));
        for wrong in ["", "5", "5/", "0/1h", "5/0s", "5/8d", "5/1", "5/h", "-1/1h", "5/1y", "5/1é", "2000000000/1h"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
