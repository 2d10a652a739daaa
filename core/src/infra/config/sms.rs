//! Settings of SMS: `[sms]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    ShopMode,
    duration::{HOUR, SECOND, deserialize_duration, duration_within},
    notification::{DeliveryMode, parse_delivery_mode},
};

/// The username of Africa's Talking's public sandbox.
const SANDBOX_USERNAME: &str = "sandbox";

/// `[sms]`
#[derive(Debug, Clone, Deserialize)]
pub struct SmsConfig {
    /// `auto`, `file`, `africastalking` or `none`; see [`SmsConfig::delivery_mode`].
    pub transport: String,
    /// The Africa's Talking application.
    pub username: String,
    /// The API key.
    pub api_key: SecretString,
    /// The sender id; empty for the gateway's default.
    pub sender: String,
    /// The base URL of the gateway; empty for its public one.
    pub url: String,
    /// The timeout of a request.
    #[serde(deserialize_with = "deserialize_duration")]
    pub timeout: Duration,
    /// The maximum number of SMS to guests per day.
    pub guest_daily_limit: u32,
}

impl SmsConfig {
    /// Returns the delivery mode of SMS.
    #[must_use]
    pub fn delivery_mode(&self, mode: ShopMode) -> DeliveryMode {
        parse_delivery_mode(&self.transport, "africastalking", mode).unwrap_or(DeliveryMode::Disabled)
    }

    /// Returns the base URL of the gateway.
    #[must_use]
    pub fn base_url(&self) -> &str {
        match (self.url.as_str(), self.username.as_str()) {
            ("", SANDBOX_USERNAME) => "https://api.sandbox.africastalking.com",
            ("", _) => "https://api.africastalking.com",
            (url, _) => url.trim_end_matches('/'),
        }
    }

    /// Validates the settings.
    pub(super) fn validate(&self, mode: ShopMode) -> Result<(), String> {
        let Some(delivery_mode) = parse_delivery_mode(&self.transport, "africastalking", mode) else {
            return Err(format!("sms.transport: `{}` is none of auto, africastalking, file, none", self.transport));
        };
        let api_key = self.api_key.expose_secret();
        if delivery_mode == DeliveryMode::Service && (self.username.is_empty() || api_key.is_empty()) {
            return Err("sms.api_key: sms.transport = \"africastalking\" needs sms.username and sms.api_key".into());
        }
        if !api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("sms.api_key: a key contains only printable ASCII characters without spaces".into());
        }
        let base_url = reqwest::Url::parse(self.base_url()).ok();
        let base_url = base_url.filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
        if base_url.is_none_or(|url| {
            delivery_mode == DeliveryMode::Service && mode == ShopMode::Production && url.scheme() != "https"
        }) {
            return Err("sms.url: this is not the URL of a service; write https://HOST".into());
        }
        duration_within("sms.timeout", self.timeout, SECOND..=HOUR)
    }
}
