//! Countries, by ISO 3166-1.

use std::{fmt, str::FromStr};

/// A country, as the two letters of ISO 3166-1: `KE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Country(iso_currency::Country);

impl Country {
    /// Its name in English.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Reads its two letters; small ones will do.
    #[must_use]
    pub fn named(code: &str) -> Option<Self> {
        // The empty word means "unspecified" to the list, which is no country.
        let code = Some(code.trim().to_ascii_uppercase()).filter(|code| code.len() == 2)?;
        code.parse().ok().map(Self)
    }
}

/// The two letters.
impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Country {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::named(text).ok_or("it is the two letters of a country by ISO 3166-1, such as KE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_known_by_two_letters() {
        assert_eq!(Country::named(" ke ").map(|country| country.to_string()), Some("KE".into()));
        assert_eq!(Country::named("SS").map(Country::name), Some("South Sudan"));
        for text in ["", "  ", "X", "XX", "KEN", "Kenya", "é"] {
            assert_eq!(Country::named(text), None, "{text}");
        }
    }
}
