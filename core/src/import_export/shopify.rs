//! Reader of Shopify's product export, in which consecutive rows with the same handle are one product.

use std::collections::VecDeque;
use std::io::Read;

use super::catalog_entry::CatalogEntry;
use super::csv_fields::{parse_price, parse_sale_window, strip_formula_guard};
use super::csv_rows::{CsvRow, CsvRows, RejectedRow};
use super::shopify_columns::{PRODUCT_COLUMNS, VARIANT_COLUMNS, parse_status};
use crate::{
    base::Patch,
    catalog::{ProductImage, ProductPatch, SaleInput, VariantPatch, write::OptionInput},
};

/// A lazy iterator over the products of a file, in file order.
pub(super) struct ShopifyReader<R> {
    rows: CsvRows<R>,
    /// The number of option columns.
    option_count: usize,
    open_product: Option<OpenProduct>,
    /// The slug of the last rejected row.
    rejected_slug: Option<String>,
    ready_entries: VecDeque<CatalogEntry>,
}

/// The product of the rows being read.
struct OpenProduct {
    patch: ProductPatch,
    option_names: Vec<String>,
    images: Vec<(i64, ProductImage)>,
    has_rejected_variant: bool,
}

impl<R: Read> ShopifyReader<R> {
    pub(super) fn new(rows: CsvRows<R>) -> Self {
        let option_count = rows.count_numbered_columns("Option{} Value");
        Self { rows, option_count, open_product: None, rejected_slug: None, ready_entries: VecDeque::new() }
    }

    fn process_row(&mut self, row: &CsvRow) {
        let slug = match parse_handle(row.cell("Handle").unwrap_or_default()) {
            Ok(slug) => slug,
            Err(reason) => {
                return self.ready_entries.push_back(CatalogEntry::Rejected { line: row.line, reason });
            }
        };
        if self.open_product.as_ref().is_none_or(|open_product| open_product.patch.slug() != Some(&slug)) {
            self.flush_open_product();
        }
        let repairs = row.repairs.iter().cloned();
        self.ready_entries.extend(repairs.map(|reason| CatalogEntry::Warning { line: row.line, reason }));
        let open_product = self.open_product.get_or_insert_with(|| {
            let follows_rejected_row = self.rejected_slug.as_ref() == Some(&slug);
            let patch = ProductPatch { line: row.line, follows_rejected_row, ..ProductPatch::for_slug(slug) };
            OpenProduct::new(row, patch, self.option_count)
        });
        open_product.add_row(row, &mut self.ready_entries);
    }

    fn flush_open_product(&mut self) {
        if let Some(open_product) = self.open_product.take() {
            open_product.finish(&mut self.ready_entries);
        }
    }
}

impl<R: Read> Iterator for ShopifyReader<R> {
    type Item = CatalogEntry;

    fn next(&mut self) -> Option<CatalogEntry> {
        while self.ready_entries.is_empty() {
            match self.rows.next() {
                Some(Ok(row)) => self.process_row(&row),
                Some(Err(rejected)) => {
                    let RejectedRow { row, reason } = *rejected;
                    self.rejected_slug = parse_handle(row.cell("Handle").unwrap_or_default()).ok();
                    return Some(CatalogEntry::Rejected { line: row.line, reason });
                }
                None if self.open_product.is_some() => self.flush_open_product(),
                None => return None,
            }
        }
        self.ready_entries.pop_front()
    }
}

impl OpenProduct {
    fn new(row: &CsvRow, patch: ProductPatch, option_count: usize) -> Self {
        let option_names = vec![String::new(); option_count];
        let mut open_product = Self { patch, option_names, images: Vec::new(), has_rejected_variant: false };
        // A row without a title extends a product; its empty cells leave the product's fields unchanged.
        if row.non_empty_cell("Title").is_none() {
            open_product.read_product_fields(|column| row.non_empty_cell(column));
        }
        open_product
    }

    fn add_row(&mut self, row: &CsvRow, entries: &mut VecDeque<CatalogEntry>) {
        let line = row.line;
        let mut warn = |reason| entries.push_back(CatalogEntry::Warning { line, reason });
        if self.patch.name.is_unchanged() && row.non_empty_cell("Title").is_some() {
            self.read_product_fields(|column| row.cell(column));
        }
        if let Some(status) = row.non_empty_cell("Status").filter(|text| parse_status(text).is_none()) {
            warn(format!("status \"{status}\" is not active, draft or archived and is left unchanged"));
        }
        for (index, name) in self.option_names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
            row.non_empty_cell(&format!("Option{} Name", index + 1)).map_or("", strip_formula_guard).clone_into(name);
        }
        self.add_image(row);
        let mut warnings = Vec::new();
        match parse_variant(row, self.option_names.len(), &mut warnings) {
            Some(Ok(variant)) => self.patch.variants.push(variant),
            Some(Err(reason)) => {
                self.has_rejected_variant = true;
                entries.push_back(CatalogEntry::Rejected { line, reason });
            }
            None if row.non_empty_cell("Variant Inventory Qty").is_some()
                || (row.non_empty_cell("Image Src").is_none() && line != self.patch.line) =>
            {
                warnings.push("the row has no price, SKU or option value, so it is not a variant".to_owned());
            }
            None => {}
        }
        entries.extend(warnings.into_iter().map(|reason| CatalogEntry::Warning { line, reason }));
    }

    /// Reads the product's fields in place of those of an earlier row.
    fn read_product_fields<'a>(&mut self, cell: impl Fn(&str) -> Option<&'a str>) {
        (self.patch.category, self.patch.status) = (Patch::Unchanged, Patch::Unchanged);
        for column in &PRODUCT_COLUMNS {
            if let Some(cell) = cell(column.name) {
                (column.read)(&mut self.patch, cell);
            }
        }
    }

    fn add_image(&mut self, row: &CsvRow) {
        let Some(url) = row.non_empty_cell("Image Src").map(strip_formula_guard) else {
            return;
        };
        if self.images.iter().any(|(_, image)| image.url == url) {
            return;
        }
        let position = row.non_empty_cell("Image Position").and_then(|text| text.parse().ok());
        let alt = row.non_empty_cell("Image Alt Text").map(|alt| strip_formula_guard(alt).to_owned());
        let image = ProductImage { url: url.to_owned(), alt, media_id: None };
        self.images.push((position.unwrap_or(i64::MAX), image));
    }

    fn finish(mut self, entries: &mut VecDeque<CatalogEntry>) {
        let had_variants = self.has_rejected_variant || !self.patch.variants.is_empty();
        self.resolve_options(entries);
        let Self { mut patch, mut images, .. } = self;
        if had_variants && patch.variants.is_empty() {
            let slug = patch.slug().unwrap_or_default();
            let reason = format!("product \"{slug}\" is skipped: none of its variants can be imported");
            return entries.push_back(CatalogEntry::Rejected { line: patch.line, reason });
        }
        images.sort_by_key(|(position, _)| *position);
        patch.images = Patch::Set(images.into_iter().map(|(_, image)| image).collect());
        entries.push_back(CatalogEntry::Product(Box::new(patch)));
    }

    /// Drops unused options, names the others and rejects variants without a value for each.
    fn resolve_options(&mut self, entries: &mut VecDeque<CatalogEntry>) {
        let Self { patch, option_names, .. } = self;
        let is_unnamed = option_names.iter().all(String::is_empty);
        let has_default_title = is_unnamed || option_names[0] == "Title";
        let is_default_variant = |variant: &VariantPatch| match variant.option_values().split_first() {
            Some((first, others)) => first == "Default Title" && others.iter().all(String::is_empty),
            None => true,
        };
        if has_default_title && patch.variants.iter().all(is_default_variant) {
            patch.variants.iter_mut().for_each(|variant| variant.options = Patch::Unchanged);
            return;
        }
        let used_indexes: Vec<usize> = (0..option_names.len())
            .filter(|&index| patch.variants.iter().any(|variant| !variant.option_values()[index].is_empty()))
            .collect();
        let option_name = |index: usize| match option_names[index].as_str() {
            "" => format!("Option {}", index + 1),
            name => name.to_owned(),
        };
        patch.variants.retain(|variant| {
            let missing = used_indexes.iter().find(|&&index| variant.option_values()[index].is_empty());
            entries.extend(missing.map(|&index| CatalogEntry::Rejected {
                line: variant.line,
                reason: format!("the variant has no value for \"{}\"", option_name(index)),
            }));
            missing.is_none()
        });
        for variant in &mut patch.variants {
            let values = variant.option_values();
            variant.options = Patch::Set(used_indexes.iter().map(|&index| values[index].clone()).collect());
        }
        // A later group of the same handle has neither title nor option names; the product already has them.
        if !is_unnamed || !patch.name.is_unchanged() {
            patch.options = Patch::Set(used_indexes.into_iter().map(option_name).map(OptionInput::from).collect());
        }
    }
}

fn parse_handle(text: &str) -> Result<String, String> {
    let slug = strip_formula_guard(text).split_whitespace().collect::<Vec<_>>().join("-").to_lowercase();
    if slug.is_empty() {
        return Err("the row has no handle, so it belongs to no product".into());
    }
    if slug.contains(['/', '\\', '?', '#', '%', '"', '<', '>']) || slug.chars().count() > 255 {
        return Err(format!("handle \"{text}\" cannot be part of a URL"));
    }
    Ok(slug)
}

/// Parses the variant of a row, if it has one, with a value (possibly empty) for each of `options` option columns.
fn parse_variant(row: &CsvRow, options: usize, warnings: &mut Vec<String>) -> Option<Result<VariantPatch, String>> {
    let value =
        |number: usize| row.non_empty_cell(&format!("Option{number} Value")).map_or("", strip_formula_guard).to_owned();
    let options: Vec<String> = (1..=options).map(value).collect();
    if row.non_empty_cell("Variant Price").or(row.non_empty_cell("Variant SKU")).is_none()
        && options.iter().all(String::is_empty)
    {
        return None;
    }
    let mut patch = VariantPatch { line: row.line, options: Patch::Set(options), ..VariantPatch::default() };
    if let Err(reason) = read_prices(&mut patch, row) {
        return Some(Err(reason));
    }
    for column in &VARIANT_COLUMNS {
        if let (Some(read), Some(cell)) = (column.read, row.non_empty_cell(column.name)) {
            read(&mut patch, cell, warnings);
        }
    }
    Some(Ok(patch))
}

/// Reads the regular price and the sale. Shopify's price is the current price; a higher compare-at price is the
/// regular one.
fn read_prices(patch: &mut VariantPatch, row: &CsvRow) -> Result<(), String> {
    let current_price = match row.cell("Variant Price") {
        None => return Ok(()),
        Some("") => return Err("the variant has no price".into()),
        Some(text) => parse_price("price", text)?,
    };
    patch.price = Patch::Set(current_price);
    let Some(compare_at_cell) = row.cell("Variant Compare At Price") else { return Ok(()) };
    patch.sale_price = Patch::Clear;
    if compare_at_cell.is_empty() {
        return Ok(());
    }
    let compare_at_price = parse_price("compare-at price", compare_at_cell)?;
    if compare_at_price > current_price {
        let (starts, ends) = (row.non_empty_cell("Sale Starts At"), row.non_empty_cell("Sale Ends At"));
        let [starts_at, ends_at] = parse_sale_window(starts, ends, row.time_zone())?;
        patch.price = Patch::Set(compare_at_price);
        patch.set_sale(SaleInput { price: current_price, starts_at, ends_at });
    }
    Ok(())
}

#[cfg(test)]
#[path = "tests/shopify.rs"]
mod tests;
