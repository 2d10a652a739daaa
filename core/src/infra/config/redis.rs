//! Settings of Redis: `[redis]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::range::within;

/// The longest key prefix in bytes.
const MAX_KEY_PREFIX_BYTES: usize = 64;

/// `[redis]`
#[derive(Debug, Clone, Deserialize)]
pub struct RedisConfig {
    /// The URL, which may contain a password; empty: Redis is not used.
    pub url: SecretString,
    /// The first part of all keys.
    pub key_prefix: String,
    /// The timeout of a command in milliseconds.
    pub timeout_millis: u64,
    /// The milliseconds between two attempts to reach an unavailable server.
    pub retry_millis: u64,
}

impl RedisConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.is_configured() && redis::Client::open(self.url.expose_secret()).is_err() {
            return Err(
                "REDIS_URL must be like redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], rediss://… with TLS, unix://PATH or \
                 empty"
                    .into()
            );
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if self.key_prefix.is_empty()
            || self.key_prefix.len() > MAX_KEY_PREFIX_BYTES
            || !self.key_prefix.bytes().all(is_allowed)
        {
            return Err(format!(
                "redis.key_prefix must be 1 to {MAX_KEY_PREFIX_BYTES} ASCII letters, digits, dots, colons, hyphens or underscores"
            ));
        }
        within("redis.timeout_millis", self.timeout_millis, 1..=60_000)?;
        within("redis.retry_millis", self.retry_millis, 10..=60_000)
    }

    /// Returns whether a server is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }

    /// Returns the timeout of a command.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis)
    }

    /// Returns the time between two attempts to reach an unavailable server.
    #[must_use]
    pub fn retry_delay(&self) -> Duration {
        Duration::from_millis(self.retry_millis)
    }
}
