//! Settings of notifications: `[notification]`, and the delivery modes of its channels.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{
    ShopMode,
    duration::{CENTURY, DAY, deserialize_duration, duration_within},
};

/// The delivery mode of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryMode {
    /// Each message is written to a file.
    File,
    /// Messages are sent through the SMTP server or SMS gateway.
    Service,
    /// Messages are not sent.
    Disabled,
}

/// Parses a delivery mode; `service_name` is the value that means [`DeliveryMode::Service`].
pub(super) fn parse_delivery_mode(setting: &str, service_name: &str, mode: ShopMode) -> Option<DeliveryMode> {
    match setting {
        "auto" if mode == ShopMode::Development => Some(DeliveryMode::File),
        "auto" | "none" => Some(DeliveryMode::Disabled),
        "file" => Some(DeliveryMode::File),
        _ => (setting == service_name).then_some(DeliveryMode::Service),
    }
}

/// `[notification]`
#[derive(Debug, Clone, Deserialize)]
pub struct NotificationConfig {
    /// The directory of message files.
    pub file_directory: PathBuf,
    /// The URL of the order page, with `{number}` and `{token}`.
    pub order_url: String,
    /// The URL of the email verification page, with `{token}`.
    pub verify_url: String,
    /// The URL of the password reset page, with `{token}`.
    pub reset_url: String,
    /// The URL of the page that confirms a new email address, with `{token}`.
    pub change_email_url: String,
    /// The minimum interval between emails of one kind to one address.
    #[serde(deserialize_with = "deserialize_duration")]
    pub email_interval: Duration,
    /// The maximum delay of an email.
    #[serde(deserialize_with = "deserialize_duration")]
    pub max_email_delay: Duration,
    /// Retention of messages.
    #[serde(deserialize_with = "deserialize_duration")]
    pub retention: Duration,
}

impl NotificationConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        duration_within("notification.email_interval", self.email_interval, Duration::ZERO..=DAY)?;
        duration_within("notification.max_email_delay", self.max_email_delay, Duration::ZERO..=DAY)?;
        duration_within("notification.retention", self.retention, DAY..=CENTURY)?;
        if self.file_directory.as_os_str().is_empty() {
            return Err("notification.file_directory must name a directory".into());
        }
        let urls = [
            ("order_url", &self.order_url),
            ("verify_url", &self.verify_url),
            ("reset_url", &self.reset_url),
            ("change_email_url", &self.change_email_url),
        ];
        for (name, url) in urls {
            if url.is_empty() {
                continue;
            }
            // App links are allowed: any scheme except those that execute or open local content.
            let parsed = reqwest::Url::parse(&url.replace(['{', '}'], ""));
            if parsed.map_or(true, |url| matches!(url.scheme(), "javascript" | "data" | "file" | "vbscript")) {
                return Err(format!("notification.{name}: `{url}` is not a URL; write https://HOST/PATH"));
            }
            if !url.contains("{token}") && !url.contains("{number}") {
                return Err(format!("notification.{name}: it must contain {{token}}, which is replaced by the token"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_config(variables: &[(&str, &str)]) -> Result<super::super::Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Vec<_>>();
        super::super::Config::load_from(std::path::Path::new("/nowhere"), variables.into_iter())
    }

    #[test]
    fn delivery_mode_auto_sends_nothing_outside() {
        let config = load_config(&[]).expect("the defaults");
        assert_eq!(config.email.delivery_mode(ShopMode::Development), DeliveryMode::File);
        assert_eq!(config.sms.delivery_mode(ShopMode::Development), DeliveryMode::File);
        assert_eq!(config.email.delivery_mode(ShopMode::Production), DeliveryMode::Disabled);
        assert_eq!(config.sms.base_url(), "https://api.sandbox.africastalking.com");
        let production = load_config(&[("SAVANNAH_SMS__USERNAME", "shop")]).expect("settings");
        assert_eq!(production.sms.base_url(), "https://api.africastalking.com");
    }

    #[test]
    fn invalid_setting_is_named_and_secrets_are_not_shown() {
        let cases: [(&[(&str, &str)], &str); 9] = [
            (&[("SAVANNAH_EMAIL__TRANSPORT", "pigeon")], "email.transport"),
            (&[("SAVANNAH_EMAIL__TRANSPORT", "smtp")], "email.host"),
            (&[("SAVANNAH_EMAIL__FROM", "nobody")], "SAVANNAH_EMAIL__FROM"),
            (&[("SAVANNAH_EMAIL__PASSWORD", "sesame")], "email.username"),
            (&[("SAVANNAH_EMAIL__TLS", "sometimes")], "SAVANNAH_EMAIL__TLS"),
            (&[("SAVANNAH_SMS__TRANSPORT", "africastalking")], "sms.api_key"),
            (&[("SAVANNAH_SMS__URL", "gopher://x")], "sms.url"),
            (&[("SAVANNAH_NOTIFICATION__ORDER_URL", "javascript:alert('{token}')")], "notification.order_url"),
            (&[("SAVANNAH_NOTIFICATION__RESET_URL", "https://shop.example/reset")], "notification.reset_url"),
        ];
        for (variables, setting) in cases {
            let error = load_config(variables).expect_err("a refusal");
            assert!(error.contains(setting), "{variables:?}: {error}");
        }
        let variables = [
            ("SAVANNAH_EMAIL__USERNAME", "shop"),
            ("SAVANNAH_EMAIL__PASSWORD", "sesame"),
            ("SAVANNAH_SMS__API_KEY", "atsk"),
        ];
        let debug_output = format!("{:?}", load_config(&variables).expect("settings"));
        assert!(!debug_output.contains("sesame") && !debug_output.contains("atsk"), "{debug_output}");
    }
}
