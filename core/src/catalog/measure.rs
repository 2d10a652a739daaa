//! Measures of contents, and prices per unit of measure. Pure functions.

use rust_decimal::{Decimal, prelude::ToPrimitive};

/// Thousandths of a unit, in which quantities are stored.
const SCALE: i64 = 1_000;
/// Maximum quantity in thousandths.
const MAX_QUANTITY: i64 = 1_000_000_000 * SCALE;

/// Unit of measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum MeasureUnit {
    /// Milligram.
    #[sea_orm(string_value = "mg")]
    Milligram,
    /// Gram.
    #[sea_orm(string_value = "g")]
    Gram,
    /// Kilogram.
    #[sea_orm(string_value = "kg")]
    Kilogram,
    /// Milliliter.
    #[sea_orm(string_value = "ml")]
    Milliliter,
    /// Centiliter.
    #[sea_orm(string_value = "cl")]
    Centiliter,
    /// Liter.
    #[sea_orm(string_value = "l")]
    Liter,
    /// Millimeter.
    #[sea_orm(string_value = "mm")]
    Millimeter,
    /// Centimeter.
    #[sea_orm(string_value = "cm")]
    Centimeter,
    /// Meter.
    #[sea_orm(string_value = "m")]
    Meter,
    /// Square meter.
    #[sea_orm(string_value = "m2")]
    SquareMeter,
    /// Piece.
    #[sea_orm(string_value = "item")]
    Item,
}

/// Quantity in a unit of measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Quantity in thousandths of the unit.
    pub quantity: i64,
    /// Unit of measure.
    pub unit: MeasureUnit,
}

/// Price of one unit of measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitPrice {
    /// Price in minor units.
    pub amount: i64,
    /// Unit that it is the price of.
    pub unit: MeasureUnit,
}

impl MeasureUnit {
    /// Returns the unit that prices are compared by, and how many of this unit it is.
    const fn price_unit(self) -> (Self, i64) {
        match self {
            Self::Milligram => (Self::Kilogram, 1_000_000),
            Self::Gram => (Self::Kilogram, 1_000),
            Self::Milliliter => (Self::Liter, 1_000),
            Self::Centiliter => (Self::Liter, 100),
            Self::Millimeter => (Self::Meter, 1_000),
            Self::Centimeter => (Self::Meter, 100),
            Self::Kilogram | Self::Liter | Self::Meter | Self::SquareMeter | Self::Item => (self, 1),
        }
    }
}

/// Converts a quantity to thousandths; `None` unless it is positive, at most 1,000,000,000, and has at most three
/// decimals.
#[must_use]
pub fn quantity_from_decimal(quantity: Decimal) -> Option<i64> {
    let scaled = quantity.checked_mul(Decimal::from(SCALE))?;
    scaled.fract().is_zero().then(|| scaled.to_i64())?.filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))
}

/// Converts a quantity in thousandths to a decimal.
#[must_use]
pub fn quantity_to_decimal(quantity: i64) -> Decimal {
    (Decimal::from(quantity) / Decimal::from(SCALE)).normalize()
}

/// Returns the price of one kilogram, liter, meter, square meter or piece of a content with a price in minor units,
/// rounded half to even; `None` if it is too large.
#[must_use]
pub fn unit_price(price: i64, content: Measure) -> Option<UnitPrice> {
    let (unit, count) = content.unit.price_unit();
    let dividend = i128::from(price) * i128::from(count) * i128::from(SCALE);
    let divisor = i128::from(content.quantity.max(1));
    let (quotient, double_rest) = (dividend / divisor, dividend % divisor * 2);
    let rounds_up = double_rest > divisor || (double_rest == divisor && quotient % 2 == 1);
    let amount = i64::try_from(quotient + i128::from(rounds_up)).ok()?;
    Some(UnitPrice { amount, unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(price: i64, quantity: i64, unit: MeasureUnit) -> Option<(i64, MeasureUnit)> {
        unit_price(price, Measure { quantity, unit }).map(|unit_price| (unit_price.amount, unit_price.unit))
    }

    #[test]
    fn unit_price_is_per_kilogram_liter_or_piece() {
        assert_eq!(amount(25_000, 500_000, MeasureUnit::Gram), Some((50_000, MeasureUnit::Kilogram)));
        assert_eq!(amount(100, 750_000, MeasureUnit::Milliliter), Some((133, MeasureUnit::Liter)));
        assert_eq!(amount(100, 6_000, MeasureUnit::Item), Some((17, MeasureUnit::Item)));
        assert_eq!(amount(100, 1_500, MeasureUnit::Liter), Some((67, MeasureUnit::Liter)));
    }

    #[test]
    fn unit_price_is_rounded_half_to_even() {
        assert_eq!(amount(1, 2_000, MeasureUnit::Item), Some((0, MeasureUnit::Item)));
        assert_eq!(amount(3, 2_000, MeasureUnit::Item), Some((2, MeasureUnit::Item)));
        assert_eq!(amount(i64::MAX, 1, MeasureUnit::Milligram), None);
    }

    #[test]
    fn quantities_have_three_decimals() {
        assert_eq!(quantity_from_decimal(Decimal::new(75, 2)), Some(750));
        assert_eq!(quantity_from_decimal(Decimal::new(7_505, 4)), None);
        assert_eq!(quantity_from_decimal(Decimal::ZERO), None);
        assert_eq!(quantity_to_decimal(750).to_string(), "0.75");
        assert_eq!(quantity_to_decimal(500_000).to_string(), "500");
    }
}
