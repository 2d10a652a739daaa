//! The languages of notifications.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A language of emails and SMS.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    Serialize,
    Deserialize,
    sea_orm::EnumIter,
    sea_orm::DeriveActiveEnum,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum LanguageCode {
    /// English.
    #[default]
    #[serde(rename = "en")]
    #[sea_orm(string_value = "en")]
    English,
    /// Swahili.
    #[serde(rename = "sw")]
    #[sea_orm(string_value = "sw")]
    Swahili,
}

impl LanguageCode {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::English, Self::Swahili];

    /// Returns the ISO 639-1 code, as stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Swahili => "sw",
        }
    }

    /// Returns the language of an ISO 639-1 code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }
}

/// Formats the ISO 639-1 code.
impl fmt::Display for LanguageCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for LanguageCode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_code(text).ok_or("it must be en or sw")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_code_round_trips() {
        for (language, code) in [(LanguageCode::English, "en"), (LanguageCode::Swahili, "sw")] {
            assert_eq!((language.code(), code.parse().ok()), (code, Some(language)));
            assert_eq!(language.to_string(), code);
        }
        assert!("fr".parse::<LanguageCode>().is_err());
    }
}
