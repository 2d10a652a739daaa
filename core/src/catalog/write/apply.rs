//! Applies a patch to the row of a product or variant: fields in the input change, others keep their values. No I/O.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::{
    input::{ProductPatch, VariantPatch, WriteMode},
    validate::{FieldRules, MAX_INDEX_KEY_BYTES, ProductContent, WriteContext, build_option_key},
};
use crate::{
    base::{Patch, text},
    catalog::{
        entity::{PublicationStatus, product, variant},
        price::DerivedPrices,
    },
};

/// Name of the only variant of a simple product.
pub const DEFAULT_VARIANT_NAME: &str = "Default";

/// Returns the row of a new product without any input; the slug is set later.
pub(super) fn new_product_row(context: &WriteContext) -> product::Model {
    let status = match context.mode {
        WriteMode::Strict => PublicationStatus::Draft,
        WriteMode::Repair => PublicationStatus::Active,
    };
    product::Model {
        status,
        ranked_at: context.now,
        version: 1,
        created_at: context.now,
        updated_at: context.now,
        ..product::Model::default()
    }
}

/// Returns the row of a new variant without any input.
pub(super) fn new_variant_row(now: DateTime<Utc>) -> variant::Model {
    variant::Model { version: 1, created_at: now, updated_at: now, ..variant::Model::default() }
}

/// Applies the product's own fields, except slug and category, and returns the values of its child rows.
pub(super) fn apply_product_fields(
    row: &mut product::Model,
    patch: &ProductPatch,
    rules: &mut FieldRules<'_>,
) -> ProductContent {
    if let Some(name) = rules.check_name(patch, row.id == 0) {
        row.name = name;
    }
    let vendor = rules.check_vendor(patch);
    if !vendor.is_unchanged() {
        row.vendor = vendor.into_value();
    }
    normalize_product_names(row);
    let content = rules.check_content(patch);
    if let Some(images) = &content.images {
        row.image = images.first().map(|image| image.url.clone());
    }
    row.status = patch.status.value().copied().unwrap_or(row.status);
    row.featured = patch.featured.value().copied().unwrap_or(row.featured);
    row.deleted_at = match (rules.context.mode, patch.deleted) {
        (WriteMode::Strict, Patch::Set(true)) => Some(rules.context.now),
        (WriteMode::Strict, Patch::Unchanged | Patch::Clear) => row.deleted_at,
        (WriteMode::Strict, Patch::Set(false)) | (WriteMode::Repair, _) => None,
    };
    content
}

/// Sets what a product derives from its variants.
pub(super) fn apply_prices(row: &mut product::Model, prices: DerivedPrices) {
    let DerivedPrices {
        sku,
        price,
        sale_price,
        current_price,
        max_current_price,
        discount_percent,
        next_price_change_at,
        sale_ends_at,
    } = prices;
    row.sku = sku;
    row.price = price;
    row.sale_price = sale_price;
    row.current_price = current_price;
    row.max_current_price = max_current_price;
    row.discount_percent = discount_percent;
    row.next_price_change_at = next_price_change_at;
    row.sale_ends_at = sale_ends_at;
}

/// Applies the fields of a variant, except SKU and options.
pub(super) fn apply_variant_fields(row: &mut variant::Model, patch: &VariantPatch, rules: &mut FieldRules<'_>) {
    match patch.price.value() {
        Some(price) => row.price = rules.check_price("price", "price", *price),
        None if row.id == 0 => {
            rules.reject("price", "a new variant needs a price", || "the new variant has no price".to_owned());
        }
        None => {}
    }
    match rules.check_count("stockQuantity", patch.on_hand) {
        Patch::Unchanged => {}
        Patch::Clear => row.track_stock = false,
        Patch::Set(_) => row.track_stock = true,
    }
    rules.check_count("weightGrams", patch.weight_grams).apply_to(&mut row.weight_grams);
    rules.apply_content(row, patch);
    rules.check_image_url(patch).apply_to(&mut row.image);
    rules.check_barcode(patch).apply_to(&mut row.barcode);
    row.deleted_at = None;
    if !rules.is_rejected() {
        apply_sale(row, patch, rules);
    }
}

fn apply_sale(row: &mut variant::Model, patch: &VariantPatch, rules: &mut FieldRules<'_>) {
    match patch.sale_price {
        Patch::Unchanged => {}
        Patch::Clear => (row.sale_price, row.sale_starts_at, row.sale_ends_at) = (None, None, None),
        Patch::Set(price) => row.sale_price = Some(rules.check_price("salePrice", "sale price", price)),
    }
    patch.sale_starts_at.map(truncate_to_microseconds).apply_to(&mut row.sale_starts_at);
    patch.sale_ends_at.map(truncate_to_microseconds).apply_to(&mut row.sale_ends_at);
    if !rules.is_rejected() {
        rules.check_sale(patch, row);
    }
}

/// Sets the name and option key of a variant from its option values.
pub(super) fn apply_option_values(row: &mut variant::Model, values: &[String]) {
    row.name = if values.is_empty() { DEFAULT_VARIANT_NAME.to_owned() } else { values.join(" / ") };
    row.options_normalized = build_option_key(values);
}

/// Truncates a time to microseconds, the precision of PostgreSQL.
fn truncate_to_microseconds(moment: DateTime<Utc>) -> DateTime<Utc> {
    moment.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(moment)
}

/// Sets the normalized forms of the name and the vendor.
pub(super) fn normalize_product_names(row: &mut product::Model) {
    row.name_normalized = truncate_index_key(text::normalize_for_search(&row.name));
    row.vendor_normalized = row.vendor.as_deref().map(|vendor| truncate_index_key(text::normalize_text(vendor)));
}

fn truncate_index_key(mut key: String) -> String {
    key.truncate(key.floor_char_boundary(MAX_INDEX_KEY_BYTES));
    key
}
