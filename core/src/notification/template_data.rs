//! Template data of orders: a snapshot with formatted amounts.

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::base::Money;

/// Order data of a notification. Stored with it, so that every attempt renders the same text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTemplateData {
    /// Order number.
    pub number: String,
    /// Name of the recipient; may be empty.
    pub name: String,
    /// Order lines.
    pub lines: Vec<LineTemplateData>,
    /// Total of the lines.
    pub subtotal: String,
    /// Discount; `None` if zero.
    pub discount: Option<String>,
    /// Shipping cost.
    pub shipping: String,
    /// Taxes added to the prices; `None` if zero.
    pub tax: Option<String>,
    /// Taxes included in the prices; `None` if zero.
    pub tax_included: Option<String>,
    /// Total of the order.
    pub total: String,
    /// Lines of the shipping address.
    pub address: Vec<String>,
    /// Fulfillment of the notification.
    pub parcel: Option<FulfillmentTemplateData>,
    /// Refunded amount.
    pub refund: Option<String>,
}

/// A line of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTemplateData {
    /// Name of the product.
    pub name: String,
    /// Name of the variant; empty if the product has only one.
    pub variant: String,
    /// Quantity.
    pub quantity: i64,
    /// Total of the line.
    pub total: String,
}

/// A fulfillment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FulfillmentTemplateData {
    /// Shipped lines.
    pub lines: Vec<LineTemplateData>,
    /// Name of the carrier.
    pub carrier: Option<String>,
    /// Tracking number of the carrier.
    pub tracking: Option<String>,
    /// Tracking URL; `http` or `https` only.
    pub url: Option<String>,
    /// Whether units of the order are still unshipped.
    pub partial: bool,
}

/// Formats an amount of minor units for display: `KES 1,250.00`.
#[must_use]
pub fn format_amount(minor: i64, currency: Currency) -> String {
    let text = Money::new(minor, currency).to_decimal().to_string();
    let (integer_part, fraction) =
        text.split_once('.').map_or((text.as_str(), None), |(integer_part, fraction)| (integer_part, Some(fraction)));
    let (sign, digits) = integer_part.strip_prefix('-').map_or(("", integer_part), |digits| ("-", digits));
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.map(|fraction| format!(".{fraction}")).unwrap_or_default();
    format!("{sign}{} {grouped}{fraction}", currency.code())
}

/// Returns the normalized URL if it is `http` or `https`; other schemes could execute scripts.
#[must_use]
pub fn sanitize_web_url(url: &str) -> Option<String> {
    let parsed = reqwest::Url::parse(url).ok()?;
    matches!(parsed.scheme(), "http" | "https").then(|| parsed.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amount_uses_currency_decimals() {
        assert_eq!(format_amount(123_456_789, Currency::KES), "KES 1,234,567.89");
        assert_eq!(format_amount(5, Currency::KES), "KES 0.05");
        assert_eq!(format_amount(100_000, Currency::KES), "KES 1,000.00");
        assert_eq!(format_amount(1_250, Currency::JPY), "JPY 1,250");
        assert_eq!(format_amount(999_250, Currency::KWD), "KWD 999.250");
        assert_eq!(format_amount(-100_000, Currency::KES), "-KES 1,000.00");
    }

    #[test]
    fn non_http_url_is_rejected() {
        assert_eq!(sanitize_web_url("https://track.example/1").as_deref(), Some("https://track.example/1"));
        for url in ["javascript:alert(1)", "data:text/html,x", "track.example", ""] {
            assert_eq!(sanitize_web_url(url), None, "{url}");
        }
    }
}
