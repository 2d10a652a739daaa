//! Settings of the shop, and switches that depend on its mode.

use std::str::FromStr;

use chrono_tz::Tz;
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
    /// Development or production.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub mode: ShopMode,
    /// How available quantities are displayed to callers without the permission for stock.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub stock_display: StockDisplay,
    /// The largest displayed quantity with `StockDisplay::Capped`.
    pub stock_display_cap: u32,
}

impl ShopConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        one_line_of_text("shop.name", &self.name)?;
        within("shop.stock_display_cap", self.stock_display_cap, 1..=1_000_000)
    }
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
