//! Settings of emails: `[email]`.

use std::{str::FromStr, time::Duration};

use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    ShopMode,
    duration::{HOUR, SECOND, deserialize_duration, duration_within},
    notification::{DeliveryMode, parse_delivery_mode},
    parsed::deserialize_parsed,
    range::within,
};

/// `[email]`
#[derive(Debug, Clone, Deserialize)]
pub struct EmailConfig {
    /// `auto`, `file`, `smtp` or `none`; see [`EmailConfig::delivery_mode`].
    pub transport: String,
    /// The sender.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub from: Mailbox,
    /// The `Reply-To` mailbox; empty for none.
    pub reply_to: String,
    /// The SMTP server.
    pub host: String,
    /// The port of the SMTP server.
    pub port: u16,
    /// The encryption of the SMTP connection.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub tls: SmtpTls,
    /// The SMTP user.
    pub username: String,
    /// The SMTP password.
    pub password: SecretString,
    /// The maximum number of SMTP connections.
    pub max_connections: u32,
    /// The timeout of an SMTP command.
    #[serde(deserialize_with = "deserialize_duration")]
    pub timeout: Duration,
}

impl EmailConfig {
    /// Returns the delivery mode of emails.
    #[must_use]
    pub fn delivery_mode(&self, mode: ShopMode) -> DeliveryMode {
        parse_delivery_mode(&self.transport, "smtp", mode).unwrap_or(DeliveryMode::Disabled)
    }

    /// Validates the settings.
    pub(super) fn validate(&self, mode: ShopMode) -> Result<(), String> {
        let Some(delivery_mode) = parse_delivery_mode(&self.transport, "smtp", mode) else {
            return Err(format!("email.transport: `{}` is none of auto, smtp, file, none", self.transport));
        };
        if !self.reply_to.is_empty() && self.reply_to.parse::<Mailbox>().is_err() {
            return Err("email.reply_to: this is not a mailbox; write NAME <ADDRESS>".into());
        }
        if self.username.is_empty() != self.password.expose_secret().is_empty() {
            return Err("email.username and email.password belong together: set both, or neither".into());
        }
        if delivery_mode == DeliveryMode::Service && self.host.is_empty() {
            return Err("email.host: email.transport = \"smtp\" needs the SMTP server's name".into());
        }
        within("email.port", self.port, 1..=u16::MAX)?;
        within("email.max_connections", self.max_connections, 1..=1_000)?;
        duration_within("email.timeout", self.timeout, SECOND..=HOUR)
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
            _ => Err("it must be starttls, tls or none"),
        }
    }
}
