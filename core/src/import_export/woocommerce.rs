//! Reader of `WooCommerce`'s product export, in which a variation is a separate row, possibly far from its parent.

mod attributes;
mod variant;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::Read;
use std::mem;

use attributes::{Variation, collect_option_names, parse_attributes};
use variant::{parse_variant, read_cell};

use super::catalog_entry::{CatalogEntry, RowError};
use super::csv_fields::{
    decode_woocommerce_text, parse_bool, slugify_ascii, split_list, split_woocommerce_list, unescape_description,
};
use super::csv_rows::{CsvRow, CsvRows};
use crate::{
    base::Patch,
    catalog::{CategoryInput, ProductImage, ProductPatch, PublicationStatus, VariantPatch, write::OptionInput},
};

type RowResult = Result<(), String>;

/// The maximum number of parents without a variation and variations without a parent in memory.
const MAX_PENDING_ROWS: usize = 100_000;

/// A lazy iterator over the products of a file.
pub(super) struct WooCommerceReader<R> {
    rows: CsvRows<R>,
    grouper: VariationGrouper,
}

#[derive(Default)]
struct VariationGrouper {
    /// The owner of each slug: a SKU or an id.
    slug_owners: HashMap<String, String>,
    parents: Vec<VariableProduct>,
    /// The index in `parents` by SKU and by `id:7`.
    parent_indexes: HashMap<String, usize>,
    /// Variations before their parent.
    orphans: HashMap<String, Vec<Variation>>,
    /// The keys of rejected parents; their variations are not reported again.
    rejected_parents: HashSet<String>,
    pending_count: usize,
    /// The consecutive variations of one parent.
    open_group: Option<(usize, Vec<Variation>)>,
    ready_entries: VecDeque<CatalogEntry>,
}

/// A variable product. After its first group of variations only the fields needed by later groups remain.
struct VariableProduct {
    slug: String,
    attributes: Vec<String>,
    options: Vec<String>,
    pending: Option<Box<PendingProduct>>,
}

/// A variable product before its first variation.
struct PendingProduct {
    patch: ProductPatch,
    /// The variant to use if the product has no variations.
    own_variant: Result<VariantPatch, String>,
}

impl<R: Read> WooCommerceReader<R> {
    pub(super) fn new(rows: CsvRows<R>) -> Self {
        let grouper = VariationGrouper::default();
        Self { rows, grouper }
    }
}

impl<R: Read> Iterator for WooCommerceReader<R> {
    type Item = CatalogEntry;

    fn next(&mut self) -> Option<CatalogEntry> {
        while self.grouper.ready_entries.is_empty() {
            match self.rows.next() {
                Some(Ok(row)) => self.grouper.process_row(&row),
                Some(Err(rejected)) => self.grouper.reject_row(&rejected.row, rejected.reason.clone()),
                None => {
                    self.grouper.finish();
                    break;
                }
            }
        }
        self.grouper.ready_entries.pop_front()
    }
}

impl VariationGrouper {
    fn process_row(&mut self, row: &CsvRow) {
        let mut warnings = Vec::new();
        let types = split_woocommerce_list(&row.cell("Type").unwrap_or_default().to_ascii_lowercase());
        let any_type = |predicate: fn(&str) -> bool| types.iter().any(|product_type| predicate(product_type));
        let result = if any_type(|product_type| product_type.ends_with("variation")) {
            self.add_variation(row, &mut warnings)
        } else if any_type(|product_type| product_type.starts_with("variable")) {
            self.add_parent(row)
        } else {
            let unpriced = any_type(|product_type| matches!(product_type, "grouped" | "external"));
            if !unpriced && !types.is_empty() && !any_type(|product_type| product_type == "simple") {
                let types = types.join(", ");
                warnings.push(format!("type \"{types}\" is imported as a simple product"));
            }
            self.add_simple_product(row, unpriced, &mut warnings)
        };
        for reason in row.repairs.iter().cloned().chain(warnings) {
            self.ready_entries.push_back(CatalogEntry::Warning { line: row.line, reason });
        }
        if let Err(reason) = result {
            self.reject_row(row, reason);
        }
    }

    fn reject_row(&mut self, row: &CsvRow, reason: String) {
        self.rejected_parents.extend(collect_parent_keys(row));
        self.reject_line(row.line, reason);
    }

    fn reject_line(&mut self, line: u64, reason: String) {
        self.ready_entries.push_back(CatalogEntry::Rejected { line, reason });
    }

    /// Adds a product with one variant. `unpriced` is set for types that may have no price.
    fn add_simple_product(&mut self, row: &CsvRow, unpriced: bool, warnings: &mut Vec<String>) -> RowResult {
        let may_be_free = unpriced && row.cell("Regular price") == Some("");
        let variant = parse_variant(row, may_be_free, warnings)?;
        let mut patch = self.parse_product(row)?;
        if may_be_free {
            patch.status = Patch::Set(PublicationStatus::Draft);
            warnings.push("the product has no price, so it is a draft at price 0".into());
        }
        patch.variants.push(variant);
        self.ready_entries.push_back(CatalogEntry::Product(Box::new(patch)));
        Ok(())
    }

    /// Adds a variable product, which is emitted with its first group of variations.
    fn add_parent(&mut self, row: &CsvRow) -> RowResult {
        self.flush_group();
        self.check_capacity("products wait for their variations")?;
        let patch = self.parse_product(row)?;
        let index = self.parents.len();
        let mut early_variations = Vec::new();
        for key in collect_parent_keys(row) {
            early_variations.append(&mut self.orphans.remove(&key).unwrap_or_default());
            self.parent_indexes.entry(key).or_insert(index);
        }
        self.pending_count = self.pending_count + 1 - early_variations.len();
        let own_variant = parse_variant(row, false, &mut Vec::new());
        self.parents.push(VariableProduct {
            slug: patch.slug().unwrap_or_default().to_owned(),
            attributes: parse_attributes(row).into_iter().map(|(name, _)| name).collect(),
            options: Vec::new(),
            pending: Some(Box::new(PendingProduct { patch, own_variant })),
        });
        if !early_variations.is_empty() {
            early_variations.sort_by_key(|variation| variation.variant.line);
            self.open_group = Some((index, early_variations));
        }
        Ok(())
    }

    fn add_variation(&mut self, row: &CsvRow, warnings: &mut Vec<String>) -> RowResult {
        let parent = read_cell(row, "Parent").ok_or("the variation has no parent")?;
        let mut variant = parse_variant(row, false, warnings)?;
        if row.non_empty_cell("Published").and_then(parse_bool) == Some(false) {
            variant.on_hand = Patch::Set(0);
            warnings.push("the variation is not published, so its stock is imported as 0".into());
        }
        let attributes = parse_attributes(row);
        let variation = Variation { attributes, variant };
        let Some(&index) = self.parent_indexes.get(&parent) else {
            self.check_capacity("variations come before their parents")?;
            self.pending_count += 1;
            self.orphans.entry(parent).or_default().push(variation);
            return Ok(());
        };
        if self.open_group.as_ref().is_some_and(|(open_index, _)| *open_index != index) {
            self.flush_group();
        }
        let (_, siblings) = self.open_group.get_or_insert((index, Vec::new()));
        siblings.push(variation);
        Ok(())
    }

    fn check_capacity(&self, subject: &str) -> RowResult {
        let capacity_error = || format!("too many {subject}; put variations next to their parents");
        (self.pending_count < MAX_PENDING_ROWS).then_some(()).ok_or_else(capacity_error)
    }

    /// Emits the collected variations; the first group includes the parent's fields.
    fn flush_group(&mut self) {
        let Some((index, variations)) = self.open_group.take() else {
            return;
        };
        let parent = &mut self.parents[index];
        let mut patch = if let Some(pending) = parent.pending.take() {
            parent.options = collect_option_names(&parent.attributes, &variations);
            self.pending_count -= 1;
            pending.patch
        } else {
            let line = variations.first().map_or(0, |first| first.variant.line);
            ProductPatch { line, ..ProductPatch::for_slug(&parent.slug) }
        };
        let option_names = parent.options.clone();
        for variation in variations {
            match variation.into_variant(&option_names) {
                Ok(variant) => patch.variants.push(variant),
                Err(RowError { line, reason }) => self.reject_line(line, reason),
            }
        }
        patch.options = Patch::Set(option_names.into_iter().map(OptionInput::from).collect());
        if !patch.variants.is_empty() {
            self.ready_entries.push_back(CatalogEntry::Product(Box::new(patch)));
        }
    }

    /// Reports parents without variations and variations without a parent at the end of the file.
    fn finish(&mut self) {
        self.flush_group();
        let parents = mem::take(&mut self.parents).into_iter();
        for pending in parents.filter_map(|parent| parent.pending) {
            let PendingProduct { mut patch, own_variant } = *pending;
            let line = patch.line;
            let Ok(own_variant) = own_variant else {
                let reason = "the variable product has no variations and no price";
                self.reject_line(line, reason.into());
                continue;
            };
            patch.variants.push(own_variant);
            let reason = "the variable product has no variations, so it is a simple one".into();
            self.ready_entries.push_back(CatalogEntry::Warning { line, reason });
            self.ready_entries.push_back(CatalogEntry::Product(Box::new(patch)));
        }
        let mut orphan_lines = BTreeMap::new();
        let orphans = mem::take(&mut self.orphans).into_iter();
        for (parent, variations) in orphans.filter(|(parent, _)| !self.rejected_parents.contains(parent)) {
            let lines = variations.iter().map(|variation| variation.variant.line);
            orphan_lines.extend(lines.map(|line| (line, parent.clone())));
        }
        for (line, parent) in orphan_lines {
            let reason = format!("the file has no variable product \"{parent}\"");
            self.reject_line(line, reason);
        }
    }

    fn parse_product(&mut self, row: &CsvRow) -> Result<ProductPatch, String> {
        let read_list = |column: &str| row.cell(column).map(split_woocommerce_list);
        let paths = read_list("Categories").unwrap_or_default();
        let mut paths = paths.iter().map(|path| split_list(path, '>'));
        let category = paths.next().filter(|path| !path.is_empty());
        let leaves: Vec<String> = paths.filter_map(|mut path| path.pop()).collect();
        let tags = read_list("Tags").or((!leaves.is_empty()).then(Vec::new));
        let fallback_description = row.cell("Short description").or(row.cell("Description"));
        let mut images: Vec<ProductImage> = Vec::new();
        for url in read_list("Images").unwrap_or_default() {
            if images.iter().all(|image| image.url != url) {
                images.push(ProductImage { url, ..ProductImage::default() });
            }
        }
        let published = row.non_empty_cell("Published").and_then(parse_bool);
        let description = row.non_empty_cell("Description").or(fallback_description).map(decode_woocommerce_text);
        let status = published
            .map(|is_published| if is_published { PublicationStatus::Active } else { PublicationStatus::Draft });
        let vendor = read_list("Brands").map(|brands| brands.into_iter().next().unwrap_or_default());
        Ok(ProductPatch {
            line: row.line,
            name: Patch::from_provided(read_cell(row, "Name")),
            description: Patch::from_provided(description.map(|text| unescape_description(&text))),
            vendor: Patch::from_provided(vendor),
            category: Patch::from_provided(category.map(CategoryInput::Path)),
            tags: Patch::from_provided(tags.map(|tags| tags.into_iter().chain(leaves).collect())),
            status: Patch::from_provided(status),
            featured: Patch::from_provided(row.non_empty_cell("Is featured?").and_then(parse_bool)),
            images: Patch::Set(images),
            ..ProductPatch::for_slug(self.assign_slug(row)?)
        })
    }

    /// Assigns a deterministic slug. Another product with the same name gets its SKU or id appended.
    fn assign_slug(&mut self, row: &CsvRow) -> Result<String, String> {
        let id = row.non_empty_cell("ID").map(|id| format!("id:{id}"));
        let name = read_cell(row, "Name").unwrap_or_default();
        let owner = read_cell(row, "SKU").or(id).unwrap_or_default();
        let owner_slug = slugify_ascii(&owner);
        let base_slug = Some(slugify_ascii(&name)).filter(|base_slug| !base_slug.is_empty());
        let base_slug = base_slug.unwrap_or_else(|| owner_slug.clone());
        if base_slug.is_empty() {
            return Err("the row has no name, SKU or ID to derive a slug from".into());
        }
        let mut slug = base_slug.clone();
        // Without SKU and id, two products with one name cannot be distinguished from a repeated one.
        for number in 1_u64.. {
            match self.slug_owners.get(&slug) {
                None => break,
                Some(existing_owner) if *existing_owner == owner && !owner.is_empty() => return Ok(slug),
                Some(_) if number == 1 && !owner_slug.is_empty() => slug = format!("{base_slug}-{owner_slug}"),
                Some(_) => slug = format!("{base_slug}-{}", number + 1),
            }
        }
        self.slug_owners.insert(slug.clone(), owner);
        Ok(slug)
    }
}

/// Returns the keys by which variations reference a parent: its SKU and `id:7`.
fn collect_parent_keys(row: &CsvRow) -> impl Iterator<Item = String> {
    read_cell(row, "SKU").into_iter().chain(row.non_empty_cell("ID").map(|id| format!("id:{id}")))
}

#[cfg(test)]
#[path = "tests/woocommerce.rs"]
mod tests;
