//! What it all comes to: exact, in whole minor units, rounded half to even once for each line. Pure.

use crate::base::{Error, Result, money::MAX_MINOR};

/// More of one thing nobody buys at once.
pub const MOST: i64 = 10_000;

/// A rate of tax as the arithmetic knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Hundredths of a percent: 1600 are 16 %.
    pub basis_points: i32,
    /// Whether prices contain it.
    pub included: bool,
}

/// So many of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// How many.
    pub quantity: i64,
    /// The regular price of one.
    pub list: i64,
    /// What one costs now.
    pub unit: i64,
    /// What one weighs; what nobody has weighed weighs nothing.
    pub grams: Option<i64>,
    /// How it is taxed, if it is.
    pub tax: Option<Rate>,
}

/// What sending costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// For every parcel.
    pub price: i64,
    /// For every kilogram that is begun.
    pub per_kg: Option<i64>,
    /// Goods of this worth travel free.
    pub free_from: Option<i64>,
    /// How it is taxed, if it is.
    pub tax: Option<Rate>,
}

/// What one line comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// At regular prices.
    pub list_total: i64,
    /// What sales take off that.
    pub discount: i64,
    /// The tax, in the price or on top of it.
    pub tax: i64,
    /// What is paid for it: with its tax, whether that is in the price or on top.
    pub total: i64,
}

/// What everything comes to: `total = subtotal - discount + shipping + tax - tax_included`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All lines at regular prices.
    pub subtotal: i64,
    /// What sales take off that.
    pub discount: i64,
    /// What sending costs.
    pub shipping: i64,
    /// All tax, of lines and of shipping.
    pub tax: i64,
    /// As much of the tax as the prices contain, so that it is not added to them.
    pub tax_included: i64,
    /// What is paid.
    pub total: i64,
}

/// What a purchase comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Each line, in the order asked for.
    pub lines: Vec<Line>,
    /// The tax on shipping, which is among the totals' tax.
    pub shipping_tax: i64,
    /// What all weighs together.
    pub grams: i64,
    /// What all comes to.
    pub totals: Totals,
}

/// What these come to, sent this way.
///
/// # Errors
/// When a quantity or a price cannot be, or the whole is more than the shop counts to.
pub fn quote(items: &[Item], way: Option<&Way>) -> Result<Quote> {
    let mut totals = Totals::default();
    let lines = items.iter().map(|item| line(item, &mut totals)).collect::<Result<Vec<_>>>()?;
    let grams = weight(items)?;
    let goods = totals.subtotal - totals.discount;
    let mut shipping_tax = 0;
    if let Some(way) = way {
        totals.shipping = way.amount(grams, goods)?;
        let tax = Tax::of(totals.shipping, way.tax)?;
        shipping_tax = tax.amount;
        totals.add(tax)?;
    }
    totals.total = counted(sum([goods, totals.shipping, totals.tax, -totals.tax_included]))?;
    Ok(Quote { lines, shipping_tax, grams, totals })
}

/// What items weigh together.
///
/// # Errors
/// When it is more than can be counted.
pub fn weight(items: &[Item]) -> Result<i64> {
    let grams = items.iter().map(|item| i128::from(item.quantity) * i128::from(item.grams.unwrap_or(0).max(0)));
    i64::try_from(grams.sum::<i128>()).map_err(|_| too_much())
}

impl Way {
    /// What it costs to send so many grams of goods of some worth.
    ///
    /// # Errors
    /// When it is more than the shop counts to.
    pub fn amount(&self, grams: i64, goods: i64) -> Result<i64> {
        if self.free_from.is_some_and(|from| goods >= from) {
            return Ok(0);
        }
        let begun = i128::from(grams.max(0)).div_euclid(1000) + i128::from(grams.max(0) % 1000 > 0);
        counted(i128::from(self.price) + i128::from(self.per_kg.unwrap_or(0)) * begun)
    }
}

fn line(item: &Item, totals: &mut Totals) -> Result<Line> {
    let Item { quantity, list, unit, grams: _, tax } = *item;
    if !(1..=MOST).contains(&quantity) {
        return Err(Error::bad_input("quantity", format!("a quantity is from 1 to {MOST}")));
    }
    if unit < 0 || list < unit {
        return Err(Error::fault("pricing a line", "a price is below zero, or above the regular one"));
    }
    let list_total = counted(i128::from(list) * i128::from(quantity))?;
    let paid = counted(i128::from(unit) * i128::from(quantity))?;
    let tax = Tax::of(paid, tax)?;
    let total = counted(sum([paid, tax.amount, -tax.included]))?;
    totals.subtotal = counted(sum([totals.subtotal, list_total]))?;
    totals.discount = counted(sum([totals.discount, list_total - paid]))?;
    totals.add(tax)?;
    Ok(Line { list_total, discount: list_total - paid, tax: tax.amount, total })
}

/// The tax of one amount.
#[derive(Debug, Clone, Copy)]
struct Tax {
    amount: i64,
    /// As much of it as the amount contains: all of it or nothing.
    included: i64,
}

impl Tax {
    fn of(amount: i64, rate: Option<Rate>) -> Result<Self> {
        let Some(Rate { basis_points, included }) = rate else { return Ok(Self { amount: 0, included: 0 }) };
        let points = i128::from(basis_points.max(0));
        let whole = if included { 10_000 + points } else { 10_000 };
        let tax = counted(half_even(i128::from(amount) * points, whole))?;
        Ok(Self { amount: tax, included: if included { tax } else { 0 } })
    }
}

impl Totals {
    /// As much of the tax as comes on top of the prices.
    #[must_use]
    pub fn tax_added(&self) -> i64 {
        self.tax - self.tax_included
    }

    fn add(&mut self, tax: Tax) -> Result<()> {
        self.tax = counted(sum([self.tax, tax.amount]))?;
        self.tax_included = counted(sum([self.tax_included, tax.included]))?;
        Ok(())
    }
}

/// A fraction of two numbers that are not below zero, to the nearest whole one; from the middle to the even one.
fn half_even(over: i128, under: i128) -> i128 {
    let (whole, rest) = (over / under, over % under);
    let up = match (rest * 2).cmp(&under) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => whole % 2 == 1,
        std::cmp::Ordering::Greater => true,
    };
    whole + i128::from(up)
}

fn sum<const N: usize>(parts: [i64; N]) -> i128 {
    parts.iter().map(|part| i128::from(*part)).sum()
}

/// An amount that the shop counts to.
fn counted(amount: i128) -> Result<i64> {
    i64::try_from(amount).ok().filter(|amount| (0..=MAX_MINOR).contains(amount)).ok_or_else(too_much)
}

fn too_much() -> Error {
    Error::bad_input("", "this comes to more than the shop can count; take fewer")
}

#[cfg(test)]
mod tests;
