//! Settings of outbound webhooks: `[webhooks]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    duration::{CENTURY, DAY, HOUR, MINUTE, SECOND, deserialize_duration, duration_within},
    range::within,
};

/// The queue of the jobs that send webhooks.
pub const WEBHOOK_DELIVERY_QUEUE: &str = "webhook.delivery";
/// The minimum length of the encryption key in characters.
const MIN_ENCRYPTION_KEY_CHARS: usize = 32;

/// `[webhooks]`
#[derive(Debug, Clone, Deserialize)]
pub struct WebhooksConfig {
    /// The key that secrets of endpoints are encrypted with; empty: a known one in development, none in production.
    pub encryption_key: SecretString,
    /// Whether endpoints may have private addresses and URLs without TLS.
    pub allow_private_addresses: bool,
    /// The maximum number of endpoints.
    pub max_endpoints: u64,
    /// The number of endpoints that a worker sends to at the same time.
    pub concurrency: usize,
    /// How many of these may be failing endpoints.
    pub failing_concurrency: usize,
    /// The timeout of a request, response included.
    #[serde(deserialize_with = "deserialize_duration")]
    pub timeout: Duration,
    /// The delay before the second attempt.
    #[serde(deserialize_with = "deserialize_duration")]
    pub backoff: Duration,
    /// The maximum delay between attempts.
    #[serde(deserialize_with = "deserialize_duration")]
    pub max_backoff: Duration,
    /// How long a delivery is retried.
    #[serde(deserialize_with = "deserialize_duration")]
    pub retry_window: Duration,
    /// How long an endpoint may fail before it is paused.
    #[serde(deserialize_with = "deserialize_duration")]
    pub pause_after: Duration,
    /// Retention of the delivery log.
    #[serde(deserialize_with = "deserialize_duration")]
    pub retention: Duration,
}

impl WebhooksConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        let key_length = self.encryption_key.expose_secret().chars().count();
        if key_length > 0 && key_length < MIN_ENCRYPTION_KEY_CHARS {
            return Err(format!(
                "webhooks.encryption_key must have at least {MIN_ENCRYPTION_KEY_CHARS} random characters, or be empty"
            ));
        }
        within("webhooks.max_endpoints", self.max_endpoints, 1..=10_000)?;
        within("webhooks.concurrency", self.concurrency, 1..=1000)?;
        within("webhooks.failing_concurrency", self.failing_concurrency, 1..=1000)?;
        duration_within("webhooks.timeout", self.timeout, SECOND..=MINUTE)?;
        duration_within("webhooks.backoff", self.backoff, Duration::ZERO..=HOUR)?;
        duration_within("webhooks.max_backoff", self.max_backoff, Duration::ZERO..=DAY)?;
        duration_within("webhooks.retry_window", self.retry_window, MINUTE..=DAY * 7)?;
        duration_within("webhooks.pause_after", self.pause_after, MINUTE..=DAY * 30)?;
        duration_within("webhooks.retention", self.retention, DAY..=CENTURY)?;
        if self.backoff > self.max_backoff {
            return Err("webhooks.max_backoff must not be less than webhooks.backoff".into());
        }
        if self.retention < self.retry_window {
            return Err("webhooks.retention must not be less than webhooks.retry_window".into());
        }
        Ok(())
    }
}
