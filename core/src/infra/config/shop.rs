//! Settings of the shop, and switches that depend on its mode.

use std::str::FromStr;

use chrono_tz::Tz;
use email_address::EmailAddress;
use iso_currency::Currency;
use serde::{Deserialize, Deserializer, de};

use super::{
    parsed::deserialize_parsed,
    range::{one_line_of_text, within},
};
use crate::base::{Country, LanguageCode};

/// `[shop]`
#[derive(Debug, Clone, Deserialize)]
pub struct ShopConfig {
    /// The name of the shop.
    pub name: String,
    /// The currency of all prices.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub currency: Currency,
    /// The default country of phone numbers without a country code.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub country: Country,
    /// The time zone of dates in imported files.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub time_zone: Tz,
    /// The default language of notifications.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub language: LanguageCode,
    /// The contact email address; empty for none.
    pub contact_email: String,
    /// The URL of the logo; empty for none.
    pub logo_url: String,
    /// The policies, each as `NAME=URL`.
    pub policies: Vec<String>,
    /// Development or production.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub mode: ShopMode,
    /// How available quantities are displayed to callers without the permission for stock.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub stock_display: StockDisplay,
    /// The largest displayed quantity with `StockDisplay::Capped`.
    pub stock_display_cap: u32,
}

/// How available quantities are displayed to shoppers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockDisplay {
    /// Exactly.
    Exact,
    /// Up to a maximum.
    Capped,
    /// Not at all.
    Hidden,
}

impl FromStr for StockDisplay {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "exact" => Ok(Self::Exact),
            "capped" => Ok(Self::Capped),
            "hidden" => Ok(Self::Hidden),
            _ => Err("it must be exact, capped or hidden"),
        }
    }
}

/// A policy of the shop, such as its terms of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShopPolicy<'a> {
    /// The name.
    pub name: &'a str,
    /// The URL of its page.
    pub url: &'a str,
}

impl ShopConfig {
    /// Returns the policies in the configured order.
    pub fn policies(&self) -> impl Iterator<Item = ShopPolicy<'_>> {
        self.policies.iter().filter_map(|line| parse_policy(line))
    }

    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        one_line_of_text("shop.name", &self.name)?;
        within("shop.stock_display_cap", self.stock_display_cap, 1..=1_000_000)?;
        if !self.contact_email.is_empty() && !EmailAddress::is_valid(&self.contact_email) {
            return Err(format!("shop.contact_email: `{}` is not an email address", self.contact_email));
        }
        if !self.logo_url.is_empty() && !is_web_url(&self.logo_url) {
            return Err(format!("shop.logo_url: `{}` is not a URL; write https://HOST/PATH", self.logo_url));
        }
        match self.policies.iter().find(|line| parse_policy(line).is_none()) {
            Some(line) => Err(format!("shop.policies: `{line}` is invalid; write NAME=https://HOST/PATH")),
            None => Ok(()),
        }
    }
}

fn parse_policy(line: &str) -> Option<ShopPolicy<'_>> {
    let (name, url) = line.split_once('=')?;
    let policy = ShopPolicy { name: name.trim(), url: url.trim() };
    (!policy.name.is_empty() && is_web_url(policy.url)).then_some(policy)
}

fn is_web_url(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
}

/// The mode of the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShopMode {
    /// For a developer's machine.
    Development,
    /// For a public shop.
    Production,
}

impl FromStr for ShopMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err("it must be development or production"),
        }
    }
}

/// A switch: on, off, or derived from the shop's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoBool {
    /// On in development, off in production.
    Auto,
    /// A configured value.
    Set(bool),
}

impl AutoBool {
    /// Returns whether it is on in a mode.
    #[must_use]
    pub fn resolve(self, mode: ShopMode) -> bool {
        match self {
            Self::Auto => mode == ShopMode::Development,
            Self::Set(is_on) => is_on,
        }
    }
}

impl<'de> Deserialize<'de> for AutoBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(Self::Auto),
            "true" => Ok(Self::Set(true)),
            "false" => Ok(Self::Set(false)),
            text => Err(de::Error::custom(format!("`{text}` is none of auto, true, false"))),
        }
    }
}
