//! What a message says of an order, as it was when there was something to tell: amounts are texts by now.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::base::Money;

/// What a message says of an order. Kept with the message, so that it says the same however often it is tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderWords {
    /// What people call it by.
    pub number: String,
    /// Who gets it; may be empty.
    pub name: String,
    /// What was bought.
    pub lines: Vec<LineWords>,
    /// What the lines cost.
    pub subtotal: String,
    /// What was taken off; `None` when nothing was.
    pub discount: Option<String>,
    /// What sending it costs.
    pub shipping: String,
    /// The taxes on top of that; `None` when there are none.
    pub tax: Option<String>,
    /// The taxes that the prices contain; `None` when there are none.
    pub tax_included: Option<String>,
    /// What is paid for all.
    pub total: String,
    /// Where it goes, line by line.
    pub address: Vec<String>,
    /// The parcel that this is about.
    pub parcel: Option<ParcelWords>,
    /// What goes back.
    pub refund: Option<String>,
}

/// One line of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineWords {
    /// What it is.
    pub name: String,
    /// Which one of it; empty where there is but one.
    pub variant: String,
    /// How many.
    pub quantity: i64,
    /// What they cost together.
    pub total: String,
}

/// A parcel on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelWords {
    /// What is in it.
    pub lines: Vec<LineWords>,
    /// Who carries it.
    pub carrier: Option<String>,
    /// What the carrier knows it by.
    pub tracking: Option<String>,
    /// Where it can be followed; only an `http` address.
    pub url: Option<String>,
    /// Whether more of the order is yet to come.
    pub partial: bool,
}

/// An amount as people read it: `KES 1,250.00`.
#[must_use]
pub fn amount(minor: i64, currency: Currency) -> String {
    let text = Money::new(minor, currency).decimal().to_string();
    let (whole, cents) = text.split_once('.').map_or((text.as_str(), None), |(whole, cents)| (whole, Some(cents)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let cents = cents.map(|cents| format!(".{cents}")).unwrap_or_default();
    format!("{sign}{} {grouped}{cents}", currency.code())
}

/// An address that may stand behind a link: a carrier's, not a script.
#[must_use]
pub fn web(url: &str) -> Option<String> {
    let parsed = reqwest::Url::parse(url).ok()?;
    matches!(parsed.scheme(), "http" | "https").then(|| parsed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_currencys_decimals() {
        assert_eq!(amount(123_456_789, Currency::KES), "KES 1,234,567.89");
        assert_eq!(amount(5, Currency::KES), "KES 0.05");
        assert_eq!(amount(100_000, Currency::KES), "KES 1,000.00");
        assert_eq!(amount(1_250, Currency::JPY), "JPY 1,250");
        assert_eq!(amount(999_250, Currency::KWD), "KWD 999.250");
        assert_eq!(amount(-100_000, Currency::KES), "-KES 1,000.00");
    }

    #[test]
    fn only_the_web_is_linked_to() {
        assert_eq!(web("https://track.example/1").as_deref(), Some("https://track.example/1"));
        for url in ["javascript:alert(1)", "data:text/html,x", "track.example", ""] {
            assert_eq!(web(url), None, "{url}");
        }
    }
}
