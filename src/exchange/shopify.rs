//! Reads Shopify's product export, in which the rows of one handle that follow each other are one product.

use std::collections::VecDeque;
use std::io::Read;

use rust_decimal::Decimal;

use super::cell::{Prices, code, names, price, stock, truth, unguarded, weight, window};
use super::source::{Entry, RefusedRow, Row, Rows};
use crate::catalog::{ImageDraft, ProductDraft, Sale, Status, VariantDraft};

/// The columns taken from a row in which a line break is a mistake: all but the body.
pub(super) const ONE_LINE: &str = "Handle|Title|Vendor|Type|Category|Product Category|Tags|Status|Published|Featured|Variant SKU|\
    Variant Price|Variant Compare At Price|Variant Grams|Variant Barcode|Variant Inventory Qty|Variant Image|\
    Image Src|Image Alt Text|Image Position|Sale Starts At|Sale Ends At";

/// The name that a column had before Shopify renamed its columns in 2025.
pub(super) fn lasting_name(name: String) -> String {
    let lasting = match name.to_ascii_lowercase().as_str() {
        "url handle" => "Handle",
        "description" => "Body (HTML)",
        "published on online store" => "Published",
        "sku" => "Variant SKU",
        "barcode" => "Variant Barcode",
        "price" => "Variant Price",
        "compare-at price" => "Variant Compare At Price",
        "inventory quantity" => "Variant Inventory Qty",
        "weight value (grams)" => "Variant Grams",
        "product image url" => "Image Src",
        "variant image url" => "Variant Image",
        _ => return name,
    };
    lasting.to_owned()
}

/// The products of a file in their order, as they are asked for.
pub(super) struct Products<R> {
    rows: Rows<R>,
    /// How many options the file has columns for.
    options: usize,
    open: Option<Open>,
    /// The product whose row was refused last.
    refused: Option<String>,
    ready: VecDeque<Entry>,
}

/// The product whose rows are being read.
struct Open {
    line: u64,
    draft: ProductDraft,
    names: Vec<String>,
    images: Vec<(i64, ImageDraft)>,
    some_refused: bool,
}

impl<R: Read> Products<R> {
    pub(super) fn new(rows: Rows<R>) -> Self {
        let options = rows.numbered("Option{} Value");
        Self { rows, options, open: None, refused: None, ready: VecDeque::new() }
    }

    fn take(&mut self, row: &Row) {
        let slug = match handle(row.cell("Handle").unwrap_or_default()) {
            Ok(slug) => slug,
            Err(reason) => {
                return self.ready.push_back(Entry::Refused { line: row.line, reason });
            }
        };
        if self.open.as_ref().is_none_or(|open| open.draft.slug != slug) {
            self.close();
        }
        let repairs = row.repairs.iter().cloned();
        self.ready.extend(repairs.map(|reason| Entry::Warning { line: row.line, reason }));
        let open = self.open.get_or_insert_with(|| {
            let after_refused = self.refused.as_ref() == Some(&slug);
            Open::new(row, ProductDraft { slug, after_refused, ..ProductDraft::default() }, self.options)
        });
        open.add(row, &mut self.ready);
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.close(&mut self.ready);
        }
    }
}

impl<R: Read> Iterator for Products<R> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.ready.is_empty() {
            match self.rows.next() {
                Some(Ok(row)) => self.take(&row),
                Some(Err(refused)) => {
                    let RefusedRow { row, reason } = *refused;
                    self.refused = handle(row.cell("Handle").unwrap_or_default()).ok();
                    return Some(Entry::Refused { line: row.line, reason });
                }
                None if self.open.is_some() => self.close(),
                None => return None,
            }
        }
        self.ready.pop_front()
    }
}

impl Open {
    fn new(row: &Row, draft: ProductDraft, options: usize) -> Self {
        let names = vec![String::new(); options];
        let mut open = Self { line: row.line, draft, names, images: Vec::new(), some_refused: false };
        // Without a title the row only adds to a product, and its empty cells say nothing of it.
        if row.said("Title").is_none() {
            open.describe(row, |column| row.said(column));
        }
        open
    }

    fn add(&mut self, row: &Row, ready: &mut VecDeque<Entry>) {
        let line = row.line;
        let mut warn = |reason| ready.push_back(Entry::Warning { line, reason });
        if self.draft.name.is_none() && row.said("Title").is_some() {
            self.describe(row, |column| row.cell(column));
        }
        if let Some(status) = row.said("Status").filter(|text| status(text).is_none()) {
            warn(format!("status \"{status}\" is none of active, draft, archived and is left as it is"));
        }
        for (place, name) in self.names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
            row.said(&format!("Option{} Name", place + 1)).map_or("", unguarded).clone_into(name);
        }
        self.picture(row);
        let mut warnings = Vec::new();
        match variant(row, self.names.len(), &mut warnings) {
            Some(Ok(variant)) => self.draft.variants.push(variant),
            Some(Err(reason)) => {
                self.some_refused = true;
                ready.push_back(Entry::Refused { line, reason });
            }
            None if row.said("Variant Inventory Qty").is_some()
                || (row.said("Image Src").is_none() && line != self.line) =>
            {
                warnings.push("the row has no price, SKU or option value, so it is no variant".to_owned());
            }
            None => {}
        }
        ready.extend(warnings.into_iter().map(|reason| Entry::Warning { line, reason }));
    }

    fn describe<'a>(&mut self, row: &'a Row, cell: impl Fn(&str) -> Option<&'a str>) {
        let text = |column: &str| cell(column).map(|text| unguarded(text).to_owned());
        let yes = |column: &str| cell(column).and_then(truth);
        let published = yes("Published").map(|yes| if yes { Status::Active } else { Status::Draft });
        let draft = &mut self.draft;
        draft.name = row.said("Title").map(|name| unguarded(name).to_owned());
        draft.description_html = text("Body (HTML)");
        draft.vendor = text("Vendor");
        draft.category = category(row);
        draft.tags = cell("Tags").map(|tags| names(unguarded(tags), ','));
        draft.status = row.said("Status").map_or(published, status);
        draft.featured = yes("Featured");
    }

    fn picture(&mut self, row: &Row) {
        let Some(url) = row.said("Image Src").map(unguarded) else {
            return;
        };
        if self.images.iter().any(|(_, image)| image.url == url) {
            return;
        }
        let position = row.said("Image Position").and_then(|text| text.parse().ok());
        let alt = row.said("Image Alt Text").map(|alt| unguarded(alt).to_owned());
        let image = ImageDraft { url: url.to_owned(), alt };
        self.images.push((position.unwrap_or(i64::MAX), image));
    }

    fn close(mut self, ready: &mut VecDeque<Entry>) {
        let had_some = self.some_refused || !self.draft.variants.is_empty();
        self.settle_options(ready);
        let Self { line, mut draft, mut images, .. } = self;
        if had_some && draft.variants.is_empty() {
            let reason = format!("product \"{}\" is left out: none of its variants can be taken", draft.slug);
            return ready.push_back(Entry::Refused { line, reason });
        }
        images.sort_by_key(|(position, _)| *position);
        draft.images = images.into_iter().map(|(_, image)| image).collect();
        ready.push_back(Entry::Product { line, draft: Box::new(draft) });
    }

    /// Drops the options that nothing is chosen by, names the others and refuses a variant that leaves one open.
    fn settle_options(&mut self, ready: &mut VecDeque<Entry>) {
        let Self { draft, names, .. } = self;
        let unnamed = names.iter().all(String::is_empty);
        let titled = unnamed || names[0] == "Title";
        let plain = |variant: &VariantDraft| match variant.options.split_first() {
            Some((first, others)) => first == "Default Title" && others.iter().all(String::is_empty),
            None => true,
        };
        if titled && draft.variants.iter().all(plain) {
            draft.variants.iter_mut().for_each(|variant| variant.options.clear());
            return;
        }
        let used: Vec<usize> = (0..names.len())
            .filter(|&place| draft.variants.iter().any(|variant| !variant.options[place].is_empty()))
            .collect();
        let called = |place: usize| match names[place].as_str() {
            "" => format!("Option {}", place + 1),
            name => name.to_owned(),
        };
        draft.variants.retain(|variant| {
            let open = used.iter().find(|&&place| variant.options[place].is_empty());
            ready.extend(open.map(|&place| Entry::Refused {
                line: variant.line,
                reason: format!("the variant has no value for \"{}\"", called(place)),
            }));
            open.is_none()
        });
        for variant in &mut draft.variants {
            variant.options = used.iter().map(|&place| variant.options[place].clone()).collect();
        }
        // A group that comes back later names neither itself nor its options: the product has them.
        if !unnamed || draft.name.is_some() {
            draft.options = used.into_iter().map(called).collect();
        }
    }
}

fn handle(text: &str) -> Result<String, String> {
    let slug = unguarded(text).split_whitespace().collect::<Vec<_>>().join("-").to_lowercase();
    if slug.is_empty() {
        return Err("the row has no handle, so it belongs to no product".into());
    }
    if slug.contains(['/', '\\', '?', '#', '%', '"', '<', '>']) || slug.chars().count() > 255 {
        return Err(format!("handle \"{text}\" cannot stand in an address"));
    }
    Ok(slug)
}

fn category(row: &Row) -> Option<Vec<String>> {
    let path = row.said("Category").or_else(|| row.said("Product Category"));
    let path = path.or_else(|| row.said("Type"));
    path.map(|path| names(unguarded(path), '>')).filter(|path| !path.is_empty())
}

fn status(text: &str) -> Option<Status> {
    match text.to_ascii_lowercase().as_str() {
        "active" => Some(Status::Active),
        "draft" => Some(Status::Draft),
        "archived" => Some(Status::Archived),
        _ => None,
    }
}

/// The variant that a row holds, if any, with a value for each of so many options, the empty ones too.
fn variant(row: &Row, options: usize, warnings: &mut Vec<String>) -> Option<Result<VariantDraft, String>> {
    let value = |number: usize| row.said(&format!("Option{number} Value")).map_or("", unguarded).to_owned();
    let options: Vec<String> = (1..=options).map(value).collect();
    if row.said("Variant Price").or(row.said("Variant SKU")).is_none() && options.iter().all(String::is_empty) {
        return None;
    }
    let (price, sale) = match prices(row) {
        Ok(prices) => prices,
        Err(reason) => return Some(Err(reason)),
    };
    let mut heed = |(number, warning): (Option<i64>, Option<String>)| {
        warnings.extend(warning);
        number
    };
    Some(Ok(VariantDraft {
        line: row.line,
        sku: row.said("Variant SKU").and_then(code),
        options,
        price,
        sale,
        stock: row.said("Variant Inventory Qty").and_then(|text| heed(stock(text))),
        weight_grams: row.said("Variant Grams").and_then(|text| heed(weight(text, Decimal::ONE))),
        image: row.said("Variant Image").map(|url| unguarded(url).to_owned()),
        barcode: row.said("Variant Barcode").and_then(code),
    }))
}

/// The regular price and the sale: Shopify's price is what is paid today, compare-at what was paid before.
fn prices(row: &Row) -> Result<Prices, String> {
    let paid = match row.cell("Variant Price") {
        None => return Ok((None, None)),
        Some("") => return Err("the variant has no price".into()),
        Some(text) => price("price", text)?,
    };
    let before = row.said("Variant Compare At Price").map(|text| price("compare-at price", text)).transpose()?;
    if let Some(before) = before.filter(|before| *before > paid) {
        let [starts_at, ends_at] = window(row.said("Sale Starts At"), row.said("Sale Ends At"), row.zone())?;
        return Ok((Some(before), Some(Some(Sale { price: paid, starts_at, ends_at }))));
    }
    Ok((Some(paid), row.cell("Variant Compare At Price").map(|_| None)))
}

#[cfg(test)]
#[path = "tests/shopify.rs"]
mod tests;
