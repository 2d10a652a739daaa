//! Application of a patch to the row of one variant.

use rust_decimal::Decimal;

use crate::{
    base::{Money, pagination},
    catalog::{
        entity::variant,
        row_values, sku_generator,
        validation_errors::{ValidationErrors, join_field_path},
        write::{EditSession, NullablePatch, VariantPatch},
    },
};

/// Maximum stock quantity and weight: the maximum of GraphQL's `Int`.
const MAX_COUNT: i64 = i32::MAX as i64;
/// Maximum lengths of an image URL and of a barcode, in characters.
const VARIANT_TEXT_LENGTH_LIMITS: (usize, usize) = (2_000, 100);

/// Applies a patch to the row of a variant.
pub(super) struct VariantPatcher<'a> {
    pub(super) session: &'a EditSession,
    pub(super) patch: &'a VariantPatch,
    pub(super) errors: &'a mut ValidationErrors,
}

impl VariantPatcher<'_> {
    pub(super) fn apply_to_row(mut self, before: variant::Model) -> variant::Model {
        let patch = self.patch;
        let price = patch.price.map(|price| self.parse_minor_units("price", price));
        if price.is_none() && before.id == 0 {
            self.errors.add_bad_input(&join_field_path(&patch.path, "price"), "a new variant needs a price");
        }
        let on_hand = self.validate_count("stockQuantity", patch.on_hand);
        let weight_grams = self.validate_count("weightGrams", patch.weight_grams).unwrap_or(before.weight_grams);
        let image = self
            .validate_text("image", patch.image.as_ref(), VARIANT_TEXT_LENGTH_LIMITS.0)
            .unwrap_or_else(|| before.image.clone());
        let barcode = self
            .validate_text("barcode", patch.barcode.as_ref(), VARIANT_TEXT_LENGTH_LIMITS.1)
            .unwrap_or_else(|| before.barcode.clone());
        let mut row = variant::Model {
            sku: self.resolve_sku(&before.sku),
            price: price.unwrap_or(before.price),
            weight_grams,
            image,
            barcode,
            track_stock: on_hand.map_or(before.track_stock, |on_hand| on_hand.is_some()),
            deleted_at: None,
            ..before
        };
        self.apply_sale(&mut row);
        row
    }

    fn resolve_sku(&mut self, before: &str) -> String {
        let path = join_field_path(&self.patch.path, "sku");
        let Some(requested) = &self.patch.sku else {
            if before.is_empty() {
                self.errors.add_bad_input(&path, "a new variant needs a sku");
            }
            return before.to_owned();
        };
        let sku = self.errors.validate_text(&path, requested, sku_generator::MAX_SKU_LENGTH);
        if sku.is_empty() {
            self.errors.add_bad_input(&path, "a sku is never empty");
        }
        sku
    }

    fn apply_sale(&mut self, row: &mut variant::Model) {
        let patch = self.patch;
        match patch.sale_price {
            Some(Some(price)) => row.sale_price = Some(self.parse_minor_units("salePrice", price)),
            Some(None) => (row.sale_price, row.sale_starts_at, row.sale_ends_at) = (None, None, None),
            None => {}
        }
        for (field, requested, boundary) in [
            ("saleStartsAt", patch.sale_starts_at, &mut row.sale_starts_at),
            ("saleEndsAt", patch.sale_ends_at, &mut row.sale_ends_at),
        ] {
            if let Some(requested) = requested {
                *boundary = requested.map(row_values::truncate_to_microseconds);
            }
            let path = join_field_path(&patch.path, field);
            if boundary.is_some_and(|moment| !pagination::is_storable_time(&moment)) {
                self.errors.add_bad_input(&path, "the year must be from 1 to 9999");
            } else if boundary.is_some() && row.sale_price.is_none() {
                self.errors.add_bad_input(&path, "there is no sale: say the sale price too");
            }
        }
        if row.sale_starts_at.zip(row.sale_ends_at).is_some_and(|(starts, ends)| starts >= ends) {
            let field = if patch.sale_ends_at.is_some() { "saleEndsAt" } else { "saleStartsAt" };
            self.errors.add_bad_input(&join_field_path(&patch.path, field), "the sale must end after it begins");
        }
        if row.sale_price.is_some_and(|sale| sale >= row.price) && (patch.price.is_some() || patch.sale_price.is_some())
        {
            let field = if patch.sale_price.is_some() { "salePrice" } else { "price" };
            self.errors
                .add_bad_input(&join_field_path(&patch.path, field), "the sale price must be lower than the price");
        }
    }

    fn parse_minor_units(&mut self, field: &str, amount: Decimal) -> i64 {
        let path = join_field_path(&self.patch.path, field);
        let currency = self.session.currency;
        match Money::from_decimal(amount, currency) {
            Some((money, false)) => money.minor_units,
            Some(_) => {
                let decimals = Money::decimal_places(currency);
                self.errors
                    .add_bad_input(&path, format!("an amount of {} has at most {decimals} decimals", currency.code()));
                0
            }
            None => {
                self.errors.add_bad_input(&path, "a price is from 0 to 10000000000000");
                0
            }
        }
    }

    fn validate_count(&mut self, field: &str, value: NullablePatch<i64>) -> NullablePatch<i64> {
        if value.flatten().is_some_and(|count| !(0..=MAX_COUNT).contains(&count)) {
            self.errors
                .add_bad_input(&join_field_path(&self.patch.path, field), format!("a number from 0 to {MAX_COUNT}"));
        }
        value
    }

    fn validate_text(&mut self, field: &str, value: Option<&Option<String>>, limit: usize) -> NullablePatch<String> {
        let value = value?
            .as_ref()
            .map(|text| self.errors.validate_text(&join_field_path(&self.patch.path, field), text, limit));
        Some(value.filter(|text| !text.is_empty()))
    }
}
