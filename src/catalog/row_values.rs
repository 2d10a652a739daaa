//! Applies product input to existing rows: provided fields change, others keep their values. No I/O.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    entity::{product, variant},
    persist::WriteSummary,
    price::DerivedPrices,
    product_input::{ProductInput, PublicationStatus, VariantInput},
    sku_generator::build_option_key,
};
use crate::base::{Money, text};

/// Maximum length of a product name in characters.
pub(super) const MAX_PRODUCT_NAME_LENGTH: usize = 500;
/// Maximum length of a vendor, a tag, an option name and an option value, in characters.
pub(super) const MAX_LABEL_LENGTH: usize = 200;
/// Maximum length of an index key in bytes; PostgreSQL limits an index row to 2,704.
pub(super) const MAX_INDEX_KEY_BYTES: usize = 1_200;
/// Name of the only variant of a simple product.
pub const DEFAULT_VARIANT_NAME: &str = "Default";

/// Parameters for applying product input.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteContext {
    /// Id of the new category; `None` leaves it unchanged.
    pub(super) category_id: Option<i64>,
    /// Currency of prices.
    pub(super) currency: Currency,
    /// Time of the change.
    pub(super) now: DateTime<Utc>,
}

/// Validates the input of a product.
pub(super) fn validate_product_input(input: &ProductInput, is_new: bool) -> Result<(), String> {
    let slug = &input.slug;
    let name = input.name.as_deref().unwrap_or_default();
    if is_new && text::normalize_text(name).is_empty() {
        return Err(format!("the new product `{slug}` has no name"));
    }
    let too_long = |field_label: &str, text: &str, limit: usize| {
        let is_too_long = text.chars().count() > limit;
        if is_too_long { Err(format!("{field_label} of `{slug}` is longer than {limit} characters")) } else { Ok(()) }
    };
    too_long("the name", name, MAX_PRODUCT_NAME_LENGTH)?;
    too_long("the vendor", input.vendor.as_deref().unwrap_or_default(), MAX_LABEL_LENGTH)?;
    input.tags.iter().flatten().try_for_each(|tag| too_long("a tag", tag, MAX_LABEL_LENGTH))?;
    input.options.iter().try_for_each(|option| too_long("the name of an option", option, MAX_LABEL_LENGTH))
}

/// Returns the resulting row of a variant; id, position and SKU of a new one are assigned later.
pub(super) fn apply_variant_input(
    input: &VariantInput,
    before: Option<variant::Model>,
    context: &WriteContext,
    summary: &mut WriteSummary,
) -> Result<variant::Model, String> {
    validate_options(input)?;
    let mut parser = PriceParser { line: input.line, currency: context.currency, summary };
    let price = match (input.price, &before) {
        (Some(price), _) => parser.parse_minor_units("price", price)?,
        (None, Some(before)) => before.price,
        (None, None) => return Err("the new variant has no price".into()),
    };
    let sale = parser.resolve_sale(input, before.as_ref())?.filter(|sale| parser.accept_sale(sale, price));
    let base_row = before.unwrap_or_else(|| new_variant_row(context.now));
    let sets_options = !input.options.is_empty() || base_row.name.is_empty();
    Ok(variant::Model {
        name: if sets_options { format_variant_name(input) } else { base_row.name },
        options_normalized: if sets_options { build_option_key(input) } else { base_row.options_normalized },
        price,
        sale_price: sale.map(|sale| sale.price),
        sale_starts_at: sale.and_then(|sale| sale.starts_at),
        sale_ends_at: sale.and_then(|sale| sale.ends_at),
        weight_grams: input.weight_grams.filter(|grams| *grams >= 0).or(base_row.weight_grams),
        image: input.image.clone().or(base_row.image),
        barcode: input.barcode.clone().or(base_row.barcode),
        track_stock: base_row.track_stock || input.on_hand.is_some(),
        deleted_at: None,
        ..base_row
    })
}

fn validate_options(input: &VariantInput) -> Result<(), String> {
    let is_too_long = input.options.iter().any(|value| value.chars().count() > MAX_LABEL_LENGTH);
    if is_too_long || build_option_key(input).len() > MAX_INDEX_KEY_BYTES {
        let preview: String = input.options.join(" / ").chars().take(40).collect();
        return Err(format!("the options `{preview}...` are longer than {MAX_LABEL_LENGTH} characters each"));
    }
    Ok(())
}

/// Returns the name of a variant, made of its option values.
pub(super) fn format_variant_name(input: &VariantInput) -> String {
    if input.options.is_empty() { DEFAULT_VARIANT_NAME.to_owned() } else { input.options.join(" / ") }
}

/// Returns the row of a new variant without any input.
pub(super) fn new_variant_row(now: DateTime<Utc>) -> variant::Model {
    variant::Model {
        id: 0,
        product_id: 0,
        sku: String::new(),
        name: String::new(),
        options_normalized: String::new(),
        price: 0,
        sale_price: None,
        sale_starts_at: None,
        sale_ends_at: None,
        weight_grams: None,
        image: None,
        barcode: None,
        track_stock: false,
        allow_backorder: false,
        position: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// Parser of the prices of one input line.
struct PriceParser<'a> {
    line: u64,
    currency: Currency,
    summary: &'a mut WriteSummary,
}

/// A sale in minor units.
#[derive(Debug, Clone, Copy)]
struct ParsedSale {
    price: i64,
    starts_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
}

impl PriceParser<'_> {
    fn parse_minor_units(&mut self, field_label: &str, amount: Decimal) -> Result<i64, String> {
        let Some((money, rounded)) = Money::from_decimal(amount, self.currency) else {
            return Err(format!("{field_label} {amount} cannot be: a price is from 0 to 10 000 000 000 000"));
        };
        if rounded {
            self.summary
                .add_warning(self.line, format!("{field_label} {amount} was rounded to {}", money.to_decimal()));
        }
        Ok(money.minor_units)
    }

    /// Returns the provided sale, else the existing one.
    fn resolve_sale(
        &mut self,
        input: &VariantInput,
        before: Option<&variant::Model>,
    ) -> Result<Option<ParsedSale>, String> {
        match input.sale {
            Some(Some(sale)) => {
                let price = self.parse_minor_units("sale price", sale.price)?;
                Ok(Some(ParsedSale {
                    price,
                    starts_at: sale.starts_at.map(truncate_to_microseconds),
                    ends_at: sale.ends_at.map(truncate_to_microseconds),
                }))
            }
            Some(None) => Ok(None),
            None => Ok(before.and_then(|before| {
                let (starts_at, ends_at) = (before.sale_starts_at, before.sale_ends_at);
                Some(ParsedSale { price: before.sale_price?, starts_at, ends_at })
            })),
        }
    }

    /// Returns whether a sale is valid; an invalid one is ignored with a warning.
    fn accept_sale(&mut self, sale: &ParsedSale, price: i64) -> bool {
        let ends_before_start = sale.starts_at.zip(sale.ends_at).is_some_and(|(starts, ends)| starts >= ends);
        if ends_before_start {
            self.summary.add_warning(self.line, "the sale ends before it begins and was left out".into());
        } else if sale.price >= price {
            self.summary.add_warning(self.line, "the sale is no lower than the price and was left out".into());
        }
        !ends_before_start && sale.price < price
    }
}

/// Truncates a time to microseconds, the precision of PostgreSQL.
pub(super) fn truncate_to_microseconds(moment: DateTime<Utc>) -> DateTime<Utc> {
    moment.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(moment)
}

/// Returns the resulting row of a product. With an untracked variant it is in stock.
pub(super) fn apply_product_input(
    input: &ProductInput,
    base_row: product::Model,
    context: &WriteContext,
    (derived_prices, has_untracked_variant): (DerivedPrices, bool),
) -> product::Model {
    let DerivedPrices { sku, price, sale_price, current_price, max_current_price, next_price_change_at } =
        derived_prices;
    let provided = input.name.as_deref().map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "));
    let name = provided.filter(|name| !text::normalize_text(name).is_empty()).unwrap_or(base_row.name);
    let provided =
        input.vendor.as_deref().map(|vendor| Some(vendor.trim().to_owned()).filter(|vendor| !vendor.is_empty()));
    let vendor = provided.unwrap_or(base_row.vendor);
    let image = input.images.first().map(|image| image.url.clone());
    product::Model {
        name_normalized: truncate_index_key(text::normalize_for_search(&name)),
        name,
        vendor_normalized: vendor.as_deref().map(|vendor| truncate_index_key(text::normalize_text(vendor))),
        vendor,
        category_id: context.category_id.unwrap_or(base_row.category_id),
        status: input.status.unwrap_or(base_row.status),
        featured: input.featured.unwrap_or(base_row.featured),
        image: image.or(base_row.image),
        in_stock: base_row.in_stock || has_untracked_variant,
        sku,
        price,
        sale_price,
        current_price,
        max_current_price,
        next_price_change_at,
        deleted_at: None,
        ..base_row
    }
}

/// Returns the row of a new product without any input.
pub(super) fn new_product_row(slug: &str, now: DateTime<Utc>) -> product::Model {
    product::Model {
        id: 0,
        slug: slug.to_owned(),
        name: String::new(),
        name_normalized: String::new(),
        vendor: None,
        vendor_normalized: None,
        category_id: 0,
        status: PublicationStatus::Active,
        featured: false,
        image: None,
        sku: String::new(),
        price: 0,
        sale_price: None,
        current_price: 0,
        max_current_price: 0,
        in_stock: false,
        next_price_change_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

fn truncate_index_key(mut key: String) -> String {
    key.truncate(key.floor_char_boundary(MAX_INDEX_KEY_BYTES));
    key
}
