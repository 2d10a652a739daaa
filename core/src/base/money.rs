//! Money: integer minor units internally, exact decimals in the API, never floats.

use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

/// The largest price in minor units, low enough that sums cannot overflow.
pub const MAX_MINOR_UNITS: i64 = 1_000_000_000_000_000;

/// An amount in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// The amount in the currency's minor unit (cents for KES, yen for JPY, fils for KWD).
    pub minor_units: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// Creates an amount of `minor_units` of `currency`.
    #[must_use]
    pub const fn new(minor_units: i64, currency: Currency) -> Self {
        Self { minor_units, currency }
    }

    /// Returns the number of decimal places of a currency.
    #[must_use]
    pub fn decimal_places(currency: Currency) -> u32 {
        currency.exponent().map_or(0, u32::from)
    }

    /// Returns the amount as a decimal with exactly the currency's decimal places.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.minor_units, Self::decimal_places(self.currency))
    }

    /// Converts a decimal, rounding half to even; the flag is true if the amount was rounded. Returns `None` if the
    /// amount is negative or above [`MAX_MINOR_UNITS`].
    #[must_use]
    pub fn from_decimal(amount: Decimal, currency: Currency) -> Option<(Self, bool)> {
        let decimal_places = Self::decimal_places(currency);
        let rounded = amount.round_dp_with_strategy(decimal_places, RoundingStrategy::MidpointNearestEven);
        let minor_units = rounded.checked_mul(Decimal::from(10_i64.checked_pow(decimal_places)?))?;
        let minor_units = i64::try_from(minor_units.trunc()).ok()?;
        (0..=MAX_MINOR_UNITS).contains(&minor_units).then_some((Self::new(minor_units, currency), rounded != amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_amount(text: &str, currency: Currency) -> Option<(i64, bool)> {
        let amount = text.parse().expect("a decimal");
        Money::from_decimal(amount, currency).map(|(money, rounded)| (money.minor_units, rounded))
    }

    #[test]
    fn amount_has_the_decimal_places_of_its_currency() {
        assert_eq!(parse_amount("12.5", Currency::KES), Some((1_250, false)));
        assert_eq!(parse_amount("12.500", Currency::KES), Some((1_250, false)));
        assert_eq!(parse_amount("1250", Currency::JPY), Some((1_250, false)));
        assert_eq!(parse_amount("1.250", Currency::KWD), Some((1_250, false)));
        assert_eq!(Money::new(1_250, Currency::KES).to_decimal().to_string(), "12.50");
        assert_eq!(Money::new(1_250, Currency::JPY).to_decimal().to_string(), "1250");
    }

    #[test]
    fn half_is_rounded_to_even_and_reported() {
        assert_eq!(parse_amount("0.125", Currency::KES), Some((12, true)));
        assert_eq!(parse_amount("0.135", Currency::KES), Some((14, true)));
    }

    #[test]
    fn amount_out_of_range_is_rejected() {
        assert_eq!(parse_amount("-0.01", Currency::KES), None);
        assert_eq!(parse_amount("79228162514264337593543950335", Currency::KES), None);
    }
}
