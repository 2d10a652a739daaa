//! Generation of a product: name, options, variants, prices and stock.

use super::categories::Theme;
use super::names::{convert_to_u64, push_number};
use super::rng::DemoRng;
use super::{DemoSale, DemoVariant};

/// Sales with dates begin within a year after this timestamp: 2026-01-01. Seconds since 1970.
const FIRST_SALE_TIMESTAMP: u64 = 1_767_225_600;
const SECONDS_PER_DAY: u64 = 86_400;

/// The number of sizes, styles and materials to choose from; all zero for a simple product.
pub type OptionCounts = (usize, usize, usize);

const TWO_VARIANT_COUNTS: [OptionCounts; 2] = [(2, 0, 0), (0, 2, 0)];
const MANY_VARIANT_COUNTS: [OptionCounts; 14] = [
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

/// Chooses the options: 50 % of the products have one variant, 22 % two, the others up to eight.
pub fn choose_option_counts(rng: &mut DemoRng) -> OptionCounts {
    match rng.next_below(100) {
        0..50 => (0, 0, 0),
        50..72 => rng.choose(&TWO_VARIANT_COUNTS),
        _ => rng.choose(&MANY_VARIANT_COUNTS),
    }
}

/// The attributes of a generated product.
pub struct ProductAttributes<'a> {
    /// The index of the product.
    pub index: u64,
    /// The source of its words.
    pub theme: &'a Theme,
    /// The noun.
    pub noun: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The generated model name.
    pub model: String,
    /// The index of its first material in the theme's list.
    pub first_material: usize,
    /// The number of option values.
    pub option_counts: OptionCounts,
}

impl ProductAttributes<'_> {
    /// Generates a name like `Acacia Classic Desk Lamp Karimo 27`, without the material if that is an option.
    pub fn generate_name(&self, rng: &mut DemoRng) -> String {
        let material = self.materials().first().filter(|_| self.option_counts.2 == 0 && rng.next_bool(60));
        let mut name = String::with_capacity(64);
        for word in material.into_iter().chain(&[self.kind, self.noun, &self.model]) {
            name.push_str(word);
            name.push(' ');
        }
        push_number(&mut name, 1 + rng.next_below(99), 1);
        name
    }

    /// Returns the material, or those to choose from.
    pub fn materials(&self) -> &[&'static str] {
        let count = self.option_counts.2.max(1);
        let available = &self.theme.materials;
        let first_index = self.first_material.min(available.len() - count);
        &available[first_index..first_index + count]
    }

    /// Returns the names of the options.
    pub fn option_names(&self) -> Vec<String> {
        let (sizes, styles, materials) = self.option_counts;
        let template = &self.theme.template;
        [(sizes, "Size"), (styles, template.style_option.0), (materials, template.material_option)]
            .into_iter()
            .filter(|(values, _)| *values > 0)
            .map(|(_, name)| name.to_owned())
            .collect()
    }

    /// Generates the variants.
    pub fn generate_variants(&self, rng: &mut DemoRng) -> Vec<DemoVariant> {
        let template = &self.theme.template;
        let (styles, materials) = (self.option_counts.1.max(1), self.option_counts.2.max(1));
        let variant_count = self.option_counts.0.max(1) * styles * materials;
        let first_size = rng.next_index(self.theme.sizes.len() + 1 - self.option_counts.0.max(1));
        let first_style = rng.next_index(self.theme.styles.len());
        let (price, ending) = (rng.next_skewed(template.price_range), rng.next_below(4));
        let grams = rng.next_skewed(template.weight_range_grams);
        let discount_percent = if rng.next_bool(15) { rng.choose(&[10, 15, 20, 20, 25, 30, 40]) } else { 0 };
        let period = choose_sale_period(rng);

        let variant = |index: usize| {
            let (size, style, material) = (index / materials / styles, index / materials % styles, index % materials);
            let size_step = convert_to_u64(size);
            let price = round_price(price * (100 + template.size_price_growth * size_step) / 100, ending);
            let discounted_price = price * (100 - discount_percent) / 100;
            let build_sale = || DemoSale { price: discounted_price - discounted_price % 10, period };
            let (mut weight, mut options) = (grams + grams * size_step / 8, Vec::with_capacity(3));
            if self.option_counts.0 > 0 {
                let size = self.theme.sizes[first_size + size];
                weight = parse_content_weight(size).unwrap_or(weight);
                options.push(size.to_owned());
            }
            if self.option_counts.1 > 0 {
                let available = &self.theme.styles;
                options.push(available[(first_style + style) % available.len()].to_owned());
            }
            if self.option_counts.2 > 0 {
                options.push(self.materials()[material].to_owned());
            }
            DemoVariant {
                sku: self.format_sku(index),
                options,
                price,
                sale: (discount_percent > 0).then(build_sale),
                on_hand: choose_stock(rng),
                weight_grams: weight,
            }
        };
        (0..variant_count).map(variant).collect()
    }

    /// Formats a SKU: `HOM-00028` for a simple product, `HOM-00028-1` and so on with options.
    fn format_sku(&self, variant_index: usize) -> String {
        let mut sku = String::with_capacity(16);
        sku.push_str(self.theme.template.sku_prefix);
        sku.push('-');
        push_number(&mut sku, self.index + 1, 5);
        if self.option_counts != (0, 0, 0) {
            sku.push('-');
            push_number(&mut sku, convert_to_u64(variant_index) + 1, 1);
        }
        sku
    }
}

/// Rounds a price to a common ending: a multiple of ten if it is small, otherwise also 99, 50 or 00.
fn round_price(price: u64, ending: u64) -> u64 {
    let hundreds = price - price % 100;
    match ending {
        _ if price < 300 => price - price % 10,
        0 => hundreds + 99,
        1 => hundreds + 50,
        2 => hundreds,
        _ => price - price % 10,
    }
}

/// Returns the weight in grams, including packaging, of a size with a unit: 550 for `500 g`.
fn parse_content_weight(size: &str) -> Option<u64> {
    let (number, unit) = size.split_once(' ')?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "g" | "ml" => Some(number * 11 / 10),
        "kg" | "l" => Some(number * 1100),
        _ => None,
    }
}

/// Chooses the on-hand stock: 0 for 8 % of the variants, otherwise 1 to 500 with small values more frequent.
fn choose_stock(rng: &mut DemoRng) -> u64 {
    if rng.next_bool(8) { 0 } else { rng.next_skewed((1, 500)) }
}

/// Chooses the period of a sale: within 2026 and early 2027 for 20 %, otherwise unlimited.
fn choose_sale_period(rng: &mut DemoRng) -> Option<(u64, u64)> {
    let (day, length) = (rng.next_below(365), 7 + rng.next_below(60));
    let timestamp_of_day = |day: u64| FIRST_SALE_TIMESTAMP + day * SECONDS_PER_DAY;
    rng.next_bool(20).then(|| (timestamp_of_day(day), timestamp_of_day(day + length)))
}
