//! Settings of letters and short messages: `[mail]`, `[sms]`, `[notification]`.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use lettre::message::Mailbox;
use serde::Deserialize;

use super::{
    Mode,
    range::{DAY, seconds_within, within},
};

/// What goes for the Africa's Talking account that is everybody's to try with.
const SANDBOX: &str = "sandbox";

/// How messages of a kind go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each becomes a file.
    Folder,
    /// To the service that delivers them.
    Service,
    /// Not at all.
    Nowhere,
}

/// `[mail]`
#[derive(Clone, Deserialize)]
pub struct MailConfig {
    /// `auto`, `folder`, `smtp` or `none`: see [`MailConfig::way`].
    pub send: String,
    /// Who letters come from.
    #[serde(deserialize_with = "super::parsed")]
    pub from: Mailbox,
    /// Where answers go.
    pub reply_to: String,
    /// The SMTP server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to in secret.
    #[serde(deserialize_with = "super::parsed")]
    pub tls: Tls,
    /// Who the shop is there.
    pub user: String,
    /// It is never shown.
    pub password: String,
    /// The most at once.
    pub connections: u32,
    /// For one letter.
    #[serde(deserialize_with = "super::seconds")]
    pub timeout: Duration,
}

impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("MailConfig");
        out.field("send", &self.send).field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

/// Whether an SMTP server is spoken to in secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// After a greeting in the open; a server that cannot is given nothing.
    StartTls,
    /// From the first byte.
    Always,
    /// In the open.
    Never,
}

impl FromStr for Tls {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "starttls" => Ok(Self::StartTls),
            "tls" => Ok(Self::Always),
            "none" => Ok(Self::Never),
            _ => Err("it is starttls, tls or none"),
        }
    }
}

/// `[sms]`
#[derive(Clone, Deserialize)]
pub struct SmsConfig {
    /// `auto`, `folder`, `africastalking` or `none`: see [`SmsConfig::way`].
    pub send: String,
    /// The application there.
    pub username: String,
    /// Its key: never shown.
    pub api_key: String,
    /// Who messages come from; empty: whom the service says.
    pub sender: String,
    /// Where the service is; empty: where it is published to be.
    pub url: String,
    /// For one message.
    #[serde(deserialize_with = "super::seconds")]
    pub timeout: Duration,
    /// How many messages go to guests in a day.
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
    /// Where files go.
    pub folder: PathBuf,
    /// The page of an order, with `{number}` and `{token}`.
    pub order_url: String,
    /// Where the token that verifies an address is taken.
    pub verify_url: String,
    /// Where the token that sets a password is taken.
    pub reset_url: String,
    /// How soon one e-mail of a kind follows another to one address.
    #[serde(deserialize_with = "super::seconds")]
    pub email_interval: Duration,
    /// How long one is postponed at most.
    #[serde(deserialize_with = "super::seconds")]
    pub email_delay_limit: Duration,
    /// How long messages are kept.
    pub keep_days: u16,
}

/// The way that a word means, where `service` means the service.
fn way(send: &str, service: &str, mode: Mode) -> Option<Way> {
    match send {
        "auto" if mode == Mode::Development => Some(Way::Folder),
        "auto" | "none" => Some(Way::Nowhere),
        "folder" => Some(Way::Folder),
        _ => (send == service).then_some(Way::Service),
    }
}

impl MailConfig {
    /// How letters go out.
    #[must_use]
    pub fn way(&self, mode: Mode) -> Way {
        way(&self.send, "smtp", mode).unwrap_or(Way::Nowhere)
    }

    /// What is well formed but cannot be.
    pub(super) fn check(&self, mode: Mode) -> Result<(), String> {
        let Some(way) = way(&self.send, "smtp", mode) else {
            return Err(format!("mail.send: `{}` is none of auto, smtp, folder, none", self.send));
        };
        if !self.reply_to.is_empty() && self.reply_to.parse::<Mailbox>().is_err() {
            return Err("mail.reply_to: this is no mailbox; write NAME <ADDRESS>".into());
        }
        if self.user.is_empty() != self.password.is_empty() {
            return Err("mail.user and mail.password belong together: set both, or neither".into());
        }
        if way == Way::Service && self.host.is_empty() {
            return Err("mail.host: mail.send = \"smtp\" needs the SMTP server's name".into());
        }
        within("mail.port", self.port, 1..=u16::MAX)?;
        within("mail.connections", self.connections, 1..=1_000)?;
        seconds_within("mail.timeout", self.timeout, 1..=3_600)
    }
}

impl SmsConfig {
    /// How short messages go out.
    #[must_use]
    pub fn way(&self, mode: Mode) -> Way {
        way(&self.send, "africastalking", mode).unwrap_or(Way::Nowhere)
    }

    /// Where the service is.
    #[must_use]
    pub fn place(&self) -> &str {
        match (self.url.as_str(), self.username.as_str()) {
            ("", SANDBOX) => "https://api.sandbox.africastalking.com",
            ("", _) => "https://api.africastalking.com",
            (url, _) => url.trim_end_matches('/'),
        }
    }

    /// What is well formed but cannot be.
    pub(super) fn check(&self, mode: Mode) -> Result<(), String> {
        let Some(way) = way(&self.send, "africastalking", mode) else {
            return Err(format!("sms.send: `{}` is none of auto, africastalking, folder, none", self.send));
        };
        if way == Way::Service && (self.username.is_empty() || self.api_key.is_empty()) {
            return Err("sms.api_key: sms.send = \"africastalking\" needs sms.username and sms.api_key".into());
        }
        if !self.api_key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("sms.api_key: a key has no spaces and no odd characters".into());
        }
        let place = reqwest::Url::parse(self.place()).ok();
        let place = place.filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
        if place.is_none_or(|url| way == Way::Service && mode == Mode::Production && url.scheme() != "https") {
            return Err("sms.url: this is no address of a service; write https://HOST".into());
        }
        seconds_within("sms.timeout", self.timeout, 1..=3_600)
    }
}

impl NotificationConfig {
    /// What is well formed but cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        seconds_within("notification.email_interval", self.email_interval, 0..=DAY)?;
        seconds_within("notification.email_delay_limit", self.email_delay_limit, 0..=DAY)?;
        within("notification.keep_days", self.keep_days, 1..=36_500)?;
        if self.folder.as_os_str().is_empty() {
            return Err("notification.folder must name a folder".into());
        }
        let all = [("order_url", &self.order_url), ("verify_url", &self.verify_url), ("reset_url", &self.reset_url)];
        for (name, url) in all {
            if url.is_empty() {
                continue;
            }
            // An app may take them as well: any scheme but those that run something.
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

    fn read(vars: &[(&str, &str)]) -> Result<super::super::Config, String> {
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Vec<_>>();
        super::super::Config::read(std::path::Path::new("/nowhere"), vars.into_iter())
    }

    #[test]
    fn nothing_leaves_a_developers_machine_unasked() {
        let config = read(&[]).expect("the defaults");
        assert_eq!(config.mail.way(Mode::Development), Way::Folder);
        assert_eq!(config.sms.way(Mode::Development), Way::Folder);
        assert_eq!(config.mail.way(Mode::Production), Way::Nowhere);
        assert_eq!(config.sms.place(), "https://api.sandbox.africastalking.com");
        let live = read(&[("SAVANNAH_SMS__USERNAME", "shop")]).expect("settings");
        assert_eq!(live.sms.place(), "https://api.africastalking.com");
    }

    #[test]
    fn what_cannot_be_is_named_and_secrets_are_not() {
        let wrong: [(&[(&str, &str)], &str); 9] = [
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
        for (vars, named) in wrong {
            let why = read(vars).expect_err("a refusal");
            assert!(why.contains(named), "{vars:?}: {why}");
        }
        let vars =
            [("SAVANNAH_MAIL__USER", "shop"), ("SAVANNAH_MAIL__PASSWORD", "sesame"), ("SAVANNAH_SMS__API_KEY", "atsk")];
        let shown = format!("{:?}", read(&vars).expect("settings"));
        assert!(!shown.contains("sesame") && !shown.contains("atsk"), "{shown}");
    }
}
