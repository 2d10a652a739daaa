//! Calculation of totals: exact, in whole minor units, rounded half to even once per line. Pure.

use crate::base::{Error, Result, money::MAX_MINOR_UNITS};

/// The maximum quantity of a line.
pub const MAX_LINE_QUANTITY: i64 = 10_000;

/// A tax rate for calculations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveTaxRate {
    /// The rate in basis points: 1600 is 16 %.
    pub rate_bps: i32,
    /// Whether prices include the tax.
    pub included: bool,
}

/// A line to price. Prices are in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteItem {
    /// The quantity.
    pub quantity: i64,
    /// The regular unit price.
    pub list_price: i64,
    /// The current unit price.
    pub unit_price: i64,
    /// The unit weight; `None` counts as 0 grams.
    pub weight_grams: Option<i64>,
    /// The tax rate; `None` if untaxed.
    pub tax_rate: Option<EffectiveTaxRate>,
}

/// The price of shipping, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShippingCharge {
    /// The base price per shipment.
    pub price: i64,
    /// The price per started kilogram.
    pub price_per_kg: Option<i64>,
    /// The goods total from which shipping is free.
    pub free_shipping_threshold: Option<i64>,
    /// The tax rate; `None` if untaxed.
    pub tax_rate: Option<EffectiveTaxRate>,
}

/// The totals of a line, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuoteLine {
    /// The total at regular prices.
    pub list_total: i64,
    /// The discount from sales.
    pub discount: i64,
    /// The tax, included in the price or added to it.
    pub tax: i64,
    /// The amount to pay, including tax.
    pub total: i64,
}

/// The totals in minor units: `total = list_subtotal - discount + shipping + tax - tax_included`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// The total of all lines at regular prices.
    pub list_subtotal: i64,
    /// The discount from sales.
    pub discount: i64,
    /// The shipping price.
    pub shipping: i64,
    /// The tax of lines and shipping.
    pub tax: i64,
    /// The part of the tax that prices include; it is not added to the total.
    pub tax_included: i64,
    /// The amount to pay.
    pub total: i64,
}

/// The calculated totals of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The lines, in the requested order.
    pub lines: Vec<QuoteLine>,
    /// The tax on shipping; part of the totals' `tax`.
    pub shipping_tax: i64,
    /// The total weight. Grams.
    pub weight_grams: i64,
    /// The totals.
    pub totals: Totals,
}

/// Calculates the totals of items with an optional shipping charge.
///
/// # Errors
/// Returns `BadUserInput` if a quantity is out of range or an amount exceeds [`MAX_MINOR_UNITS`], and an internal error
/// if a price is invalid.
pub fn calculate_quote(items: &[QuoteItem], shipping_charge: Option<&ShippingCharge>) -> Result<Quote> {
    let mut totals = Totals::default();
    let lines = items.iter().map(|item| calculate_line(item, &mut totals)).collect::<Result<Vec<_>>>()?;
    let grams = calculate_weight(items)?;
    let goods_total = totals.subtotal();
    let mut shipping_tax = 0;
    if let Some(shipping_charge) = shipping_charge {
        totals.shipping = shipping_charge.calculate_amount(grams, goods_total)?;
        let tax = TaxAmount::calculate(totals.shipping, shipping_charge.tax_rate)?;
        shipping_tax = tax.amount;
        totals.add_tax(tax)?;
    }
    totals.total = checked_amount(sum_amounts([goods_total, totals.shipping, totals.tax, -totals.tax_included]))?;
    Ok(Quote { lines, shipping_tax, weight_grams: grams, totals })
}

/// Calculates the total weight in grams.
///
/// # Errors
/// Returns `BadUserInput` if the weight exceeds the range of `i64`.
pub fn calculate_weight(items: &[QuoteItem]) -> Result<i64> {
    let grams = items.iter().map(|item| i128::from(item.quantity) * i128::from(item.weight_grams.unwrap_or(0).max(0)));
    i64::try_from(grams.sum::<i128>()).map_err(|_| amount_too_large_error())
}

impl ShippingCharge {
    /// Calculates the shipping price for a weight in grams and a goods total in minor units.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the price exceeds [`MAX_MINOR_UNITS`].
    pub fn calculate_amount(&self, grams: i64, goods_total: i64) -> Result<i64> {
        if self.free_shipping_threshold.is_some_and(|threshold| goods_total >= threshold) {
            return Ok(0);
        }
        let started_kilograms = i128::from(grams.max(0)).div_euclid(1000) + i128::from(grams.max(0) % 1000 > 0);
        checked_amount(i128::from(self.price) + i128::from(self.price_per_kg.unwrap_or(0)) * started_kilograms)
    }
}

fn calculate_line(item: &QuoteItem, totals: &mut Totals) -> Result<QuoteLine> {
    let QuoteItem { quantity, list_price, unit_price, weight_grams: _, tax_rate: tax } = *item;
    if !(1..=MAX_LINE_QUANTITY).contains(&quantity) {
        return Err(Error::bad_input("quantity", format!("a quantity is from 1 to {MAX_LINE_QUANTITY}")));
    }
    if unit_price < 0 || list_price < unit_price {
        return Err(Error::internal("pricing a line", "a price is below zero, or above the regular one"));
    }
    let list_total = checked_amount(i128::from(list_price) * i128::from(quantity))?;
    let paid = checked_amount(i128::from(unit_price) * i128::from(quantity))?;
    let tax = TaxAmount::calculate(paid, tax)?;
    let total = checked_amount(sum_amounts([paid, tax.amount, -tax.included]))?;
    totals.list_subtotal = checked_amount(sum_amounts([totals.list_subtotal, list_total]))?;
    totals.discount = checked_amount(sum_amounts([totals.discount, list_total - paid]))?;
    totals.add_tax(tax)?;
    Ok(QuoteLine { list_total, discount: list_total - paid, tax: tax.amount, total })
}

/// The tax on an amount.
#[derive(Debug, Clone, Copy)]
struct TaxAmount {
    amount: i64,
    /// The part that the amount includes: all of the tax or 0.
    included: i64,
}

impl TaxAmount {
    fn calculate(amount: i64, rate: Option<EffectiveTaxRate>) -> Result<Self> {
        let Some(EffectiveTaxRate { rate_bps, included }) = rate else {
            return Ok(Self { amount: 0, included: 0 });
        };
        let points = i128::from(rate_bps.max(0));
        let denominator = if included { 10_000 + points } else { 10_000 };
        let tax = checked_amount(divide_half_even(i128::from(amount) * points, denominator))?;
        Ok(Self { amount: tax, included: if included { tax } else { 0 } })
    }
}

impl Totals {
    /// Returns the price of the goods: the total of all lines at current prices.
    #[must_use]
    pub const fn subtotal(&self) -> i64 {
        self.list_subtotal - self.discount
    }

    /// Returns the tax that is added to the prices.
    #[must_use]
    pub fn tax_excluded_total(&self) -> i64 {
        self.tax - self.tax_included
    }

    fn add_tax(&mut self, tax: TaxAmount) -> Result<()> {
        self.tax = checked_amount(sum_amounts([self.tax, tax.amount]))?;
        self.tax_included = checked_amount(sum_amounts([self.tax_included, tax.included]))?;
        Ok(())
    }
}

/// Divides two non-negative numbers and rounds half to even.
fn divide_half_even(numerator: i128, denominator: i128) -> i128 {
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    let round_up = match (remainder * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient % 2 == 1,
        std::cmp::Ordering::Greater => true,
    };
    quotient + i128::from(round_up)
}

fn sum_amounts<const N: usize>(parts: [i64; N]) -> i128 {
    parts.iter().map(|part| i128::from(*part)).sum()
}

/// Converts to an amount within `0..=MAX_MINOR_UNITS`.
fn checked_amount(amount: i128) -> Result<i64> {
    i64::try_from(amount)
        .ok()
        .filter(|amount| (0..=MAX_MINOR_UNITS).contains(amount))
        .ok_or_else(amount_too_large_error)
}

fn amount_too_large_error() -> Error {
    Error::bad_input("", "this comes to more than the shop can count; take fewer")
}

#[cfg(test)]
mod tests;
