//! The languages that the shop writes in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A language of letters and short messages.
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
pub enum Language {
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

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Swahili];

    /// By ISO 639-1, as it is stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Swahili => "sw",
        }
    }

    /// The language of a code.
    #[must_use]
    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }
}

/// The two letters.
impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Language {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::named(text).ok_or("it is en or sw")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_their_codes() {
        for (language, code) in [(Language::English, "en"), (Language::Swahili, "sw")] {
            assert_eq!((language.code(), code.parse().ok()), (code, Some(language)));
            assert_eq!(language.to_string(), code);
        }
        assert!("fr".parse::<Language>().is_err());
    }
}
