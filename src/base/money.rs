//! Money: whole minor units inside, exact decimals outside, never a float.

use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};

/// The largest amount a price may have, in minor units: far past any price, far below where sums overflow.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// An amount of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// In the currency's smallest unit (cents for KES, yen for JPY, fils for KWD).
    pub minor: i64,
    /// Which currency.
    pub currency: Currency,
}

impl Money {
    /// `minor` units of `currency`.
    #[must_use]
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// How many decimals amounts of this currency have.
    #[must_use]
    pub fn decimals(currency: Currency) -> u32 {
        currency.exponent().map_or(0, u32::from)
    }

    /// The amount as it travels: with exactly the currency's decimals.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.minor, Self::decimals(self.currency))
    }

    /// Reads an amount, rounding half to even; the flag says whether anything was rounded off.
    /// `None` when it is below zero or past [`MAX_MINOR`].
    #[must_use]
    pub fn from_decimal(amount: Decimal, currency: Currency) -> Option<(Self, bool)> {
        let decimals = Self::decimals(currency);
        let rounded = amount.round_dp_with_strategy(decimals, RoundingStrategy::MidpointNearestEven);
        let minor = rounded.checked_mul(Decimal::from(10_i64.checked_pow(decimals)?))?;
        let minor = i64::try_from(minor.trunc()).ok()?;
        (0..=MAX_MINOR).contains(&minor).then_some((Self::new(minor, currency), rounded != amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, currency: Currency) -> Option<(i64, bool)> {
        let amount = text.parse().expect("a decimal");
        Money::from_decimal(amount, currency).map(|(money, rounded)| (money.minor, rounded))
    }

    #[test]
    fn the_currencys_own_decimals_hold() {
        assert_eq!(read("12.5", Currency::KES), Some((1_250, false)));
        assert_eq!(read("12.500", Currency::KES), Some((1_250, false)));
        assert_eq!(read("1250", Currency::JPY), Some((1_250, false)));
        assert_eq!(read("1.250", Currency::KWD), Some((1_250, false)));
        assert_eq!(Money::new(1_250, Currency::KES).decimal().to_string(), "12.50");
        assert_eq!(Money::new(1_250, Currency::JPY).decimal().to_string(), "1250");
    }

    #[test]
    fn half_goes_to_even_and_says_so() {
        assert_eq!(read("0.125", Currency::KES), Some((12, true)));
        assert_eq!(read("0.135", Currency::KES), Some((14, true)));
    }

    #[test]
    fn no_price_is_below_zero_or_beyond_reason() {
        assert_eq!(read("-0.01", Currency::KES), None);
        assert_eq!(read("79228162514264337593543950335", Currency::KES), None);
    }
}
