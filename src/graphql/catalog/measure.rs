//! Contents of variants, and prices per unit of measure.

use async_graphql::{Enum, InputObject, SimpleObject};
use macros::BatchedObject;
use rust_decimal::Decimal;

use crate::{
    catalog::measure::{Measure, MeasureUnit, UnitPrice, quantity_to_decimal},
    graphql::{batched::Batched, context::RequestContext, scalars::MoneyObject},
};

/// Unit of measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "MeasureUnit", remote = "MeasureUnit")]
pub enum MeasureUnitEnum {
    /// Milligram.
    Milligram,
    /// Gram.
    Gram,
    /// Kilogram.
    Kilogram,
    /// Milliliter.
    Milliliter,
    /// Centiliter.
    Centiliter,
    /// Liter.
    Liter,
    /// Millimeter.
    Millimeter,
    /// Centimeter.
    Centimeter,
    /// Meter.
    Meter,
    /// Square meter.
    SquareMeter,
    /// Piece.
    Item,
}

/// Quantity in a unit of measure.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
#[graphql(name = "Measure")]
pub struct MeasureObject {
    /// Quantity.
    quantity: Decimal,
    /// Unit of measure.
    unit: MeasureUnitEnum,
}

impl From<Measure> for MeasureObject {
    fn from(measure: Measure) -> Self {
        Self { quantity: quantity_to_decimal(measure.quantity), unit: measure.unit.into() }
    }
}

/// Price per unit of measure.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
#[graphql(name = "UnitPrice")]
pub struct UnitPriceObject {
    /// Current price of the measure.
    amount: Batched<MoneyObject>,
    /// Measure that it is the price of: one kilogram, liter, meter, square meter or piece.
    measure: Batched<MeasureObject>,
}

impl UnitPriceObject {
    /// Creates a unit price in the shop's currency.
    #[must_use]
    pub fn new(unit_price: UnitPrice, context: &RequestContext) -> Self {
        let measure = MeasureObject { quantity: Decimal::ONE, unit: unit_price.unit.into() };
        Self { amount: context.money(unit_price.amount), measure: Batched(measure) }
    }
}

/// Quantity in a unit of measure.
#[derive(Debug, Clone, PartialEq, InputObject)]
pub struct MeasureInput {
    /// Quantity, above 0 and with at most three decimals.
    pub quantity: Decimal,
    /// Unit of measure.
    pub unit: MeasureUnitEnum,
}
