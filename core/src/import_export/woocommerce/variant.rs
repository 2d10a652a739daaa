//! Variants of `WooCommerce` products: a simple product or a variation.

use rust_decimal::Decimal;

use crate::{
    base::Patch,
    catalog::{SaleInput, VariantPatch},
    import_export::{
        csv_fields::{
            GRAMS_PER_WEIGHT_UNIT, decode_woocommerce_text, parse_bool, parse_price, parse_sale_window, parse_stock,
            parse_weight, split_woocommerce_list,
        },
        csv_rows::CsvRow,
    },
};

/// Parses the price, stock and other values of a variant; `may_be_free` allows a missing price.
pub(super) fn parse_variant(
    row: &CsvRow,
    may_be_free: bool,
    warnings: &mut Vec<String>,
) -> Result<VariantPatch, String> {
    let mut patch = VariantPatch { line: row.line, ..VariantPatch::default() };
    read_prices(&mut patch, row, may_be_free, warnings)?;
    let is_out_of_stock = row.non_empty_cell("In stock?").and_then(parse_bool) == Some(false);
    let on_hand = match read_cell(row, "Stock") {
        Some(text) if text != "parent" => parse_stock(&text, warnings),
        _ => is_out_of_stock.then_some(0),
    };
    let read_weight = |(unit, grams)| Some((read_cell(row, &format!("Weight ({unit})"))?, grams));
    let weight_cell = GRAMS_PER_WEIGHT_UNIT.into_iter().find_map(read_weight);
    let weight_grams = weight_cell.and_then(|(text, grams)| parse_weight(&text, grams, warnings));
    let images = row.cell("Images").map(split_woocommerce_list).unwrap_or_default();
    patch.sku = Patch::from_provided(read_cell(row, "SKU"));
    patch.on_hand = Patch::from_provided(on_hand);
    patch.weight_grams = Patch::from_provided(weight_grams);
    patch.image = Patch::from_provided(images.into_iter().next());
    patch.barcode = Patch::from_provided(read_cell(row, "GTIN, UPC, EAN, or ISBN"));
    Ok(patch)
}

/// Reads the regular price and the sale; `may_be_free` allows a missing price.
fn read_prices(
    patch: &mut VariantPatch,
    row: &CsvRow,
    may_be_free: bool,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    let regular = match row.cell("Regular price") {
        None => return Ok(()),
        Some("") if may_be_free => Decimal::ZERO,
        Some("") => return Err("the product has no regular price".into()),
        Some(text) => parse_price("price", &decode_woocommerce_text(text))?,
    };
    patch.price = Patch::Set(regular);
    if row.cell("Sale price").is_some() {
        patch.sale_price = Patch::Clear;
    }
    let Some(text) = read_cell(row, "Sale price") else { return Ok(()) };
    let price = parse_price("sale price", &text)?;
    if price >= regular {
        warnings.push(format!("sale price {price} is not lower than {regular}: no sale"));
        return Ok(());
    }
    let date = |boundary| row.non_empty_cell(&format!("Date sale price {boundary}"));
    let [starts_at, ends_at] = parse_sale_window(date("starts"), date("ends"), row.time_zone())?;
    patch.set_sale(SaleInput { price, starts_at, ends_at });
    Ok(())
}

/// Returns the decoded text of a cell, if it is not empty.
pub(super) fn read_cell(row: &CsvRow, column: &str) -> Option<String> {
    row.non_empty_cell(column).map(decode_woocommerce_text)
}
