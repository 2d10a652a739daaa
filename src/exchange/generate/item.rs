//! One made-up product before it is put into words: what it is, what it costs, and what there is to choose.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::catalog::{Sale, VariantDraft};

use super::dice::Dice;
use super::name::{count_of, push_number};
use super::tree::Theme;

/// Sales with dates begin in the year after this moment: the first of January 2026.
const NEW_YEAR: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

/// How many sizes, looks and materials there are to choose from; three zeros for a simple product.
pub type Shape = (usize, usize, usize);

const TWO: [Shape; 2] = [(2, 0, 0), (0, 2, 0)];
const MORE: [Shape; 14] = [
    (3, 0, 0),
    (4, 0, 0),
    (5, 0, 0),
    (6, 0, 0),
    (0, 3, 0),
    (0, 5, 0),
    (2, 2, 0),
    (3, 2, 0),
    (2, 3, 0),
    (4, 2, 0),
    (2, 4, 0),
    (3, 0, 2),
    (2, 2, 2),
    (0, 4, 2),
];

/// Half of all products have one variant, one in four has two, and the others up to eight.
pub fn shape(dice: &mut Dice) -> Shape {
    match dice.below(100) {
        0..50 => (0, 0, 0),
        50..72 => dice.pick(&TWO),
        _ => dice.pick(&MORE),
    }
}

/// What a product is.
pub struct Item<'a> {
    /// Its number.
    pub n: u64,
    /// Where its words come from.
    pub theme: &'a Theme,
    /// The thing.
    pub noun: &'static str,
    /// The kind of that thing.
    pub kind: &'static str,
    /// Its coined word.
    pub model: String,
    /// The place of its first material in the theme's list.
    pub material: usize,
    /// What there is to choose.
    pub shape: Shape,
}

impl Item<'_> {
    /// `Acacia Classic Desk Lamp Karimo 27`: the material is left out where it can be chosen.
    pub fn name(&self, dice: &mut Dice) -> String {
        let material = self.materials().first().filter(|_| self.shape.2 == 0 && dice.percent(60));
        let mut name = String::with_capacity(64);
        for word in material.into_iter().chain(&[self.kind, self.noun, &self.model]) {
            name.push_str(word);
            name.push(' ');
        }
        push_number(&mut name, 1 + dice.below(99), 1);
        name
    }

    /// The one material, or the several to choose from.
    pub fn materials(&self) -> &[&'static str] {
        let many = self.shape.2.max(1);
        let all = &self.theme.materials;
        let first = self.material.min(all.len() - many);
        &all[first..first + many]
    }

    /// The names of the options.
    pub fn options(&self) -> Vec<String> {
        let (sizes, looks, materials) = self.shape;
        let source = &self.theme.source;
        [(sizes, "Size"), (looks, source.looks.0), (materials, source.third)]
            .into_iter()
            .filter(|(values, _)| *values > 0)
            .map(|(_, name)| name.to_owned())
            .collect()
    }

    /// Everything that can be bought, with prices in whole units of a currency with so many decimals.
    pub fn variants(&self, dice: &mut Dice, decimals: u32) -> Vec<VariantDraft> {
        let source = &self.theme.source;
        let (looks, materials) = (self.shape.1.max(1), self.shape.2.max(1));
        let many = self.shape.0.max(1) * looks * materials;
        let first_size = dice.index(self.theme.sizes.len() + 1 - self.shape.0.max(1));
        let first_look = dice.index(self.theme.looks.len());
        let (price, ending) = (dice.low_of(source.price), dice.below(4));
        let grams = dice.low_of(source.grams);
        let off = if dice.percent(15) { dice.pick(&[10, 15, 20, 20, 25, 30, 40]) } else { 0 };
        let (starts_at, ends_at) = dates(dice);

        let variant = |n: usize| {
            let (size, look, material) = (n / materials / looks, n / materials % looks, n % materials);
            let step = count_of(size);
            let price = tidy(price * (100 + source.growth * step) / 100, ending);
            let reduced = price * (100 - off) / 100;
            let sale = || Sale { price: money(reduced - reduced % 10, decimals), starts_at, ends_at };
            let (mut weight, mut options) = (grams + grams * step / 8, Vec::with_capacity(3));
            if self.shape.0 > 0 {
                let size = self.theme.sizes[first_size + size];
                weight = contents(size).unwrap_or(weight);
                options.push(size.to_owned());
            }
            if self.shape.1 > 0 {
                let all = &self.theme.looks;
                options.push(all[(first_look + look) % all.len()].to_owned());
            }
            if self.shape.2 > 0 {
                options.push(self.materials()[material].to_owned());
            }
            VariantDraft {
                line: 0,
                sku: Some(self.sku(n)),
                options,
                price: Some(money(price, decimals)),
                sale: Some((off > 0).then(sale)),
                stock: Some(stock(dice)),
                weight_grams: i64::try_from(weight).ok(),
                image: None,
                barcode: None,
            }
        };
        (0..many).map(variant).collect()
    }

    /// `HOM-00028` for a simple product, `HOM-00028-1` and so on for one with options.
    fn sku(&self, variant: usize) -> String {
        let mut sku = String::with_capacity(16);
        sku.push_str(self.theme.source.code);
        sku.push('-');
        push_number(&mut sku, self.n + 1, 5);
        if self.shape != (0, 0, 0) {
            sku.push('-');
            push_number(&mut sku, count_of(variant) + 1, 1);
        }
        sku
    }
}

/// A price as shops write it: to the ten when it is small, else ending in 99, 50 or 00, or any ten.
fn tidy(price: u64, ending: u64) -> u64 {
    let hundreds = price - price % 100;
    match ending {
        _ if price < 300 => price - price % 10,
        0 => hundreds + 99,
        1 => hundreds + 50,
        2 => hundreds,
        _ => price - price % 10,
    }
}

/// What a pack of this size weighs with its wrapping, when the size says so: 550 for `500 g`.
fn contents(size: &str) -> Option<u64> {
    let (number, unit) = size.split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "g" | "ml" => Some(number * 11 / 10),
        "kg" | "l" => Some(number * 1100),
        _ => None,
    }
}

/// Whole units as an amount, written with the currency's decimals. More than four are no currency's.
fn money(units: u64, decimals: u32) -> Decimal {
    let decimals = decimals.min(4);
    let minor = units * 10_u64.pow(decimals);
    Decimal::new(i64::try_from(minor).unwrap_or(i64::MAX), decimals)
}

/// None on hand for about one in twelve; mostly few, sometimes hundreds for the rest.
fn stock(dice: &mut Dice) -> i64 {
    if dice.percent(8) {
        return 0;
    }
    i64::try_from(dice.low_of((1, 500))).unwrap_or(1)
}

/// When a sale begins and ends: for one in five in 2026 or early 2027, else it simply holds.
fn dates(dice: &mut Dice) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let (day, length) = (dice.below(365), 7 + dice.below(60));
    if !dice.percent(20) {
        return (None, None);
    }
    let at = |day: u64| {
        let seconds = i64::try_from(day).ok()? * DAY;
        DateTime::from_timestamp(NEW_YEAR + seconds, 0)
    };
    (at(day), at(day + length))
}
