//! Amounts in Stripe's units, which are not always the currency's minor units.

use iso_currency::Currency;

use crate::base::Money;

/// Largest amount of most currencies: eight digits.
const MAX_AMOUNT: i64 = 99_999_999;
/// Largest amount in Indonesian rupiah: twelve digits.
const MAX_RUPIAH_AMOUNT: i64 = 999_999_999_999;

/// Relation of Stripe's unit to the currency's minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StripeUnit {
    /// The minor unit.
    Minor,
    /// The minor unit, in multiples of ten.
    MinorTens,
    /// A hundredth of the minor unit: a currency without decimals that Stripe represents with two.
    MinorHundredth,
    /// A hundred minor units: a currency with decimals that Stripe represents without.
    MinorHundreds,
}

/// Returns the unit of a currency; `None` if Stripe's unit of it is not known.
fn find_unit(currency: Currency) -> Option<StripeUnit> {
    match (Money::decimal_places(currency), currency) {
        (0, Currency::ISK | Currency::UGX) => Some(StripeUnit::MinorHundredth),
        (2, Currency::MGA) => Some(StripeUnit::MinorHundreds),
        (
            0,
            Currency::BIF
            | Currency::CLP
            | Currency::DJF
            | Currency::GNF
            | Currency::JPY
            | Currency::KMF
            | Currency::KRW
            | Currency::PYG
            | Currency::RWF
            | Currency::VND
            | Currency::VUV
            | Currency::XAF
            | Currency::XOF
            | Currency::XPF,
        )
        | (2, _) => Some(StripeUnit::Minor),
        (3, Currency::BHD | Currency::JOD | Currency::KWD | Currency::OMR | Currency::TND) => {
            Some(StripeUnit::MinorTens)
        }
        _ => None,
    }
}

/// Returns an amount in Stripe's unit; `None` if Stripe cannot move it.
pub(super) fn to_stripe_amount(money: Money) -> Option<i64> {
    let Money { minor_units, currency } = money;
    let amount = match find_unit(currency)? {
        StripeUnit::Minor => minor_units,
        StripeUnit::MinorTens if minor_units % 10 == 0 => minor_units,
        StripeUnit::MinorHundredth => minor_units.checked_mul(100)?,
        StripeUnit::MinorHundreds if minor_units % 100 == 0 => minor_units / 100,
        StripeUnit::MinorTens | StripeUnit::MinorHundreds => return None,
    };
    let maximum = if currency == Currency::IDR { MAX_RUPIAH_AMOUNT } else { MAX_AMOUNT };
    (1..=maximum).contains(&amount).then_some(amount)
}

/// Returns an amount that Stripe reports; `None` if its currency is not known, or it is no whole number of minor units.
pub(super) fn from_stripe_amount(amount: i64, currency_code: &str) -> Option<Money> {
    let currency = Currency::from_code(&currency_code.to_uppercase())?;
    let minor_units = match find_unit(currency)? {
        StripeUnit::Minor | StripeUnit::MinorTens => amount,
        StripeUnit::MinorHundredth if amount % 100 == 0 => amount / 100,
        StripeUnit::MinorHundreds => amount.checked_mul(100)?,
        StripeUnit::MinorHundredth => return None,
    };
    Some(Money::new(minor_units, currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_the_units_of_stripe() {
        for (currency, minor_units, expected) in [
            (Currency::KES, 125_050, 125_050),
            (Currency::USD, 50, 50),
            (Currency::JPY, 500, 500),
            (Currency::KRW, 500, 500),
            (Currency::KWD, 5120, 5120),
            (Currency::UGX, 5, 500),
            (Currency::ISK, 5, 500),
            (Currency::MGA, 500, 5),
            (Currency::IDR, 999_999_999_999, 999_999_999_999),
        ] {
            let money = Money::new(minor_units, currency);
            assert_eq!(to_stripe_amount(money), Some(expected), "{currency}");
            let code = currency.code().to_lowercase();
            assert_eq!(from_stripe_amount(expected, &code), Some(money), "{currency}");
        }
    }

    #[test]
    fn amount_that_stripe_cannot_move_is_not_accepted() {
        for (currency, minor_units) in [
            (Currency::KWD, 5124),
            (Currency::MGA, 150),
            (Currency::IQD, 1000),
            (Currency::CLF, 10_000),
            (Currency::KES, 0),
            (Currency::KES, -1),
            (Currency::KES, 100_000_000),
            (Currency::UGX, 1_000_000),
            (Currency::UGX, i64::MAX),
        ] {
            assert_eq!(to_stripe_amount(Money::new(minor_units, currency)), None, "{currency} {minor_units}");
        }
        assert_eq!(from_stripe_amount(50, "isk"), None);
        assert_eq!(from_stripe_amount(50, "xyz"), None);
    }
}
