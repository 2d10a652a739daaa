//! ISO 3166-1 countries.

use std::{fmt, str::FromStr};

/// A country, identified by its ISO 3166-1 alpha-2 code: `KE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(iso_currency::Country);

impl Country {
    /// Returns all countries, ordered by code.
    pub fn all() -> impl Iterator<Item = Self> {
        ('A'..='Z').flat_map(|first| ('A'..='Z').filter_map(move |second| Self::from_code(&format!("{first}{second}"))))
    }

    /// Returns the English name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Parses an alpha-2 code; lower case is accepted.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        // `iso_currency` parses an empty string as "unspecified", which is not a country.
        let code = Some(code.trim().to_ascii_uppercase()).filter(|code| code.len() == 2)?;
        code.parse().ok().map(Self)
    }
}

/// Formats the alpha-2 code.
impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Country {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_code(text).ok_or("it must be the two-letter ISO 3166-1 code of a country, such as KE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_countries_are_listed_once_in_order() {
        let codes: Vec<_> = Country::all().map(|country| country.to_string()).collect();
        assert!(codes.is_sorted() && codes.len() > 240, "{codes:?}");
        assert!(["KE", "TZ", "UG", "US"].iter().all(|code| codes.iter().any(|listed| listed == code)));
    }

    #[test]
    fn country_from_code_accepts_two_letters_only() {
        assert_eq!(Country::from_code(" ke ").map(|country| country.to_string()), Some("KE".into()));
        assert_eq!(Country::from_code("SS").map(Country::name), Some("South Sudan"));
        for text in ["", "  ", "X", "XX", "KEN", "Kenya", "é"] {
            assert_eq!(Country::from_code(text), None, "{text}");
        }
    }
}
