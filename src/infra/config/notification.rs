//! Settings of emails and SMS: `[mail]`, `[sms]`, `[notification]`.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use lettre::message::Mailbox;
use serde::Deserialize;

use super::{
    ShopMode,
    range::{DAY, seconds_within, within},
};

/// The username of Africa's Talking's public sandbox.
const SANDBOX_USERNAME: &str = "sandbox";

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

/// `[mail]`
#[derive(Clone, Deserialize)]
pub struct EmailConfig {
    /// `auto`, `folder`, `smtp` or `none`; see [`EmailConfig::delivery_mode`].
    pub send: String,
    /// The sender.
    #[serde(deserialize_with = "super::deserialize_parsed")]
    pub from: Mailbox,
    /// The `Reply-To` mailbox; empty for none.
    pub reply_to: String,
    /// The SMTP server.
    pub host: String,
    /// The port of the SMTP server.
    pub port: u16,
    /// The encryption of the SMTP connection.
    #[serde(deserialize_with = "super::deserialize_parsed")]
    pub tls: SmtpTls,
    /// The SMTP user.
    pub user: String,
    /// The SMTP password; never shown.
    pub password: String,
    /// The maximum number of SMTP connections.
    pub connections: u32,
    /// The timeout of an SMTP command.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub timeout: Duration,
}

impl fmt::Debug for EmailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("EmailConfig");
        out.field("send", &self.send).field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// The encryption of an SMTP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// STARTTLS; a server without it is refused.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// No encryption.
    Disabled,
}

impl FromStr for SmtpTls {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "starttls" => Ok(Self::StartTls),
            "tls" => Ok(Self::Implicit),
            "none" => Ok(Self::Disabled),
            _ => Err("it is starttls, tls or none"),
        }
    }
}

/// `[sms]`
#[derive(Clone, Deserialize)]
pub struct SmsConfig {
    /// `auto`, `folder`, `africastalking` or `none`; see [`SmsConfig::delivery_mode`].
    pub send: String,
    /// The Africa's Talking application.
    pub username: String,
    /// The API key; never shown.
    pub api_key: String,
    /// The sender id; empty for the gateway's default.
    pub sender: String,
    /// The base URL of the gateway; empty for its public one.
    pub url: String,
    /// The timeout of a request.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub timeout: Duration,
    /// The maximum number of SMS to guests per day.
    pub guest_daily_limit: u32,
}

impl fmt::Debug for SmsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("SmsConfig");
        out.field("send", &self.send).field("username", &self.username).finish_non_exhaustive()
    }
}

/// `[notification]`
#[derive(Debug, Clone, Deserialize)]
pub struct NotificationConfig {
    /// The folder of message files.
    pub folder: PathBuf,
    /// The URL of the order page, with `{number}` and `{token}`.
    pub order_url: String,
    /// The URL of the email verification page, with `{token}`.
    pub verify_url: String,
    /// The URL of the password reset page, with `{token}`.
    pub reset_url: String,
    /// The minimum interval between emails of one kind to one address.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub email_interval: Duration,
    /// The maximum delay of an email.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub email_delay_limit: Duration,
    /// Retention of messages in days.
    pub keep_days: u16,
}

/// Parses a delivery mode; `service_name` is the value that means [`DeliveryMode::Service`].
fn parse_delivery_mode(setting: &str, service_name: &str, mode: ShopMode) -> Option<DeliveryMode> {
    match setting {
        "auto" if mode == ShopMode::Development => Some(DeliveryMode::File),
        "auto" | "none" => Some(DeliveryMode::Disabled),
        "folder" => Some(DeliveryMode::File),
        _ => (setting == service_name).then_some(DeliveryMode::Service),
    }
}

impl EmailConfig {
    /// Returns the delivery mode of emails.
    #[must_use]
    pub fn delivery_mode(&self, mode: ShopMode) -> DeliveryMode {
        parse_delivery_mode(&self.send, "smtp", mode).unwrap_or(DeliveryMode::Disabled)
    }

    /// Validates the settings.
    pub(super) fn validate(&self, mode: ShopMode) -> Result<(), String> {
        let Some(delivery_mode) = parse_delivery_mode(&self.send, "smtp", mode) else {
            return Err(format!("mail.send: `{}` is none of auto, smtp, folder, none", self.send));
        };
        if !self.reply_to.is_empty() && self.reply_to.parse::<Mailbox>().is_err() {
            return Err("mail.reply_to: this is no mailbox; write NAME <ADDRESS>".into());
        }
        if self.user.is_empty() != self.password.is_empty() {
            return Err("mail.user and mail.password belong together: set both, or neither".into());
        }
        if delivery_mode == DeliveryMode::Service && self.host.is_empty() {
            return Err("mail.host: mail.send = \"smtp\" needs the SMTP server's name".into());
        }
        within("mail.port", self.port, 1..=u16::MAX)?;
        within("mail.connections", self.connections, 1..=1_000)?;
        seconds_within("mail.timeout", self.timeout, 1..=3_600)
    }
}

impl SmsConfig {
    /// Returns the delivery mode of SMS.
    #[must_use]
    pub fn delivery_mode(&self, mode: ShopMode) -> DeliveryMode {
        parse_delivery_mode(&self.send, "africastalking", mode).unwrap_or(DeliveryMode::Disabled)
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
        let Some(delivery_mode) = parse_delivery_mode(&self.send, "africastalking", mode) else {
            return Err(format!("sms.send: `{}` is none of auto, africastalking, folder, none", self.send));
        };
        if delivery_mode == DeliveryMode::Service && (self.username.is_empty() || self.api_key.is_empty()) {
            return Err("sms.api_key: sms.send = \"africastalking\" needs sms.username and sms.api_key".into());
        }
        if !self.api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("sms.api_key: a key has no spaces and no odd characters".into());
        }
        let base_url = reqwest::Url::parse(self.base_url()).ok();
        let base_url = base_url.filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
        if base_url.is_none_or(|url| {
            delivery_mode == DeliveryMode::Service && mode == ShopMode::Production && url.scheme() != "https"
        }) {
            return Err("sms.url: this is no address of a service; write https://HOST".into());
        }
        seconds_within("sms.timeout", self.timeout, 1..=3_600)
    }
}

impl NotificationConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        seconds_within("notification.email_interval", self.email_interval, 0..=DAY)?;
        seconds_within("notification.email_delay_limit", self.email_delay_limit, 0..=DAY)?;
        within("notification.keep_days", self.keep_days, 1..=36_500)?;
        if self.folder.as_os_str().is_empty() {
            return Err("notification.folder must name a folder".into());
        }
        let urls = [("order_url", &self.order_url), ("verify_url", &self.verify_url), ("reset_url", &self.reset_url)];
        for (name, url) in urls {
            if url.is_empty() {
                continue;
            }
            // App links are allowed: any scheme except those that execute or open local content.
            let parsed = reqwest::Url::parse(&url.replace(['{', '}'], ""));
            if parsed.map_or(true, |url| matches!(url.scheme(), "javascript" | "data" | "file" | "vbscript")) {
                return Err(format!("notification.{name}: `{url}` is no address; write https://HOST/PATH"));
            }
            if !url.contains("{token}") && !url.contains("{number}") {
                return Err(format!("notification.{name}: it is to hold {{token}}, where the token is filled in"));
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
        assert_eq!(config.mail.delivery_mode(ShopMode::Development), DeliveryMode::File);
        assert_eq!(config.sms.delivery_mode(ShopMode::Development), DeliveryMode::File);
        assert_eq!(config.mail.delivery_mode(ShopMode::Production), DeliveryMode::Disabled);
        assert_eq!(config.sms.base_url(), "https://api.sandbox.africastalking.com");
        let production = load_config(&[("SAVANNAH_SMS__USERNAME", "shop")]).expect("settings");
        assert_eq!(production.sms.base_url(), "https://api.africastalking.com");
    }

    #[test]
    fn invalid_setting_is_named_and_secrets_are_not_shown() {
        let cases: [(&[(&str, &str)], &str); 9] = [
            (&[("SAVANNAH_MAIL__SEND", "pigeon")], "mail.send"),
            (&[("SAVANNAH_MAIL__SEND", "smtp")], "mail.host"),
            (&[("SAVANNAH_MAIL__FROM", "nobody")], "SAVANNAH_MAIL__FROM"),
            (&[("SAVANNAH_MAIL__PASSWORD", "sesame")], "mail.user"),
            (&[("SAVANNAH_MAIL__TLS", "sometimes")], "SAVANNAH_MAIL__TLS"),
            (&[("SAVANNAH_SMS__SEND", "africastalking")], "sms.api_key"),
            (&[("SAVANNAH_SMS__URL", "gopher://x")], "sms.url"),
            (&[("SAVANNAH_NOTIFICATION__ORDER_URL", "javascript:alert('{token}')")], "notification.order_url"),
            (&[("SAVANNAH_NOTIFICATION__RESET_URL", "https://shop.example/reset")], "notification.reset_url"),
        ];
        for (variables, setting) in cases {
            let error = load_config(variables).expect_err("a refusal");
            assert!(error.contains(setting), "{variables:?}: {error}");
        }
        let variables =
            [("SAVANNAH_MAIL__USER", "shop"), ("SAVANNAH_MAIL__PASSWORD", "sesame"), ("SAVANNAH_SMS__API_KEY", "atsk")];
        let debug_output = format!("{:?}", load_config(&variables).expect("settings"));
        assert!(!debug_output.contains("sesame") && !debug_output.contains("atsk"), "{debug_output}");
    }
}
