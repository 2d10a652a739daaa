//! Matches product input with existing products: which variant is meant, which is rejected, which SKU each has. No I/O
//! except loading.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType};
use serde_json::Value;

use super::{
    entity::{product, variant},
    loader,
    persist::WriteSummary,
    price,
    product_input::{ProductInput, VariantInput},
    row_values::{self, WriteContext},
    sku_generator::{SkuAllocator, SkuRequest, build_option_key},
};
use crate::{base::Result, infra::Tx};

/// Existing products and SKUs that the input refers to.
#[derive(Debug)]
pub(super) struct ExistingProducts {
    products: HashMap<String, product::Model>,
    variants: HashMap<i64, Vec<variant::Model>>,
    option_names: HashMap<i64, Vec<String>>,
    sku_allocator: SkuAllocator,
}

impl ExistingProducts {
    /// Loads the products. Statements: 4 for any number of inputs.
    pub(super) async fn load(tx: &Tx, inputs: &[ProductInput]) -> Result<Self> {
        let slugs = inputs.iter().map(|input| input.slug.as_str());
        // Locked, because stock updates and scheduled price changes write them too.
        let existing = product::Entity::find()
            .filter(product::Column::Slug.is_in(slugs))
            .order_by_asc(product::Column::Id)
            .lock(LockType::NoKeyUpdate)
            .all(tx)
            .await?;
        let product_ids: Vec<i64> = existing.iter().map(|product| product.id).collect();
        let mut variants: HashMap<i64, Vec<variant::Model>> = HashMap::new();
        let mut options = HashMap::new();
        if !product_ids.is_empty() {
            let rows = variant::Entity::find()
                .filter(variant::Column::ProductId.is_in(product_ids.iter().copied()))
                .order_by_asc(variant::Column::Position)
                .order_by_asc(variant::Column::Id);
            for row in rows.all(tx).await? {
                variants.entry(row.product_id).or_default().push(row);
            }
            options = loader::load_option_names(tx, &product_ids).await?;
        }
        let sku_allocator = SkuAllocator::load(tx, inputs).await?;
        let products = existing.into_iter().map(|product| (product.slug.clone(), product)).collect();
        Ok(Self { products, variants, option_names: options, sku_allocator })
    }

    /// Returns the product with a slug, if it exists.
    pub(super) fn find_product(&self, slug: &str) -> Option<&product::Model> {
        self.products.get(slug)
    }
}

/// A product with its pending changes.
#[derive(Debug)]
pub(super) struct ProductChange {
    /// Whether the product is new.
    pub(super) is_new: bool,
    /// The row after the change; the id is 0 until it is assigned.
    pub(super) product: product::Model,
    /// All variants, existing ones first; new ones have id 0 until it is assigned.
    pub(super) variants: Vec<variant::Model>,
    /// The variants in the input.
    pub(super) provided: Vec<ProvidedVariant>,
    /// Option names, from the input or the existing ones.
    pub(super) options: Vec<String>,
    /// The child rows to write.
    pub(super) child_rows: ChangedChildRows,
    /// Changed child rows: field name, value before, value after.
    pub(super) child_diffs: Vec<(&'static str, Value, Value)>,
    /// The row before the change.
    pub(super) before: Option<product::Model>,
    /// The existing variants before the change.
    pub(super) variants_before: Vec<variant::Model>,
}

/// A variant in the input and the row it applies to.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProvidedVariant {
    /// Index in the input.
    pub(super) input_index: usize,
    /// Index among the product's variants.
    pub(super) row_index: usize,
    /// The on-hand quantity provided.
    pub(super) on_hand: Option<i64>,
}

/// Which child rows of a product differ from the existing ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ChangedChildRows {
    /// The new HTML of the description.
    pub(super) description: Option<String>,
    /// Whether the tags differ.
    pub(super) tags: bool,
    /// Whether the images differ.
    pub(super) images: bool,
    /// Whether the option names differ.
    pub(super) options: bool,
}

impl ProductChange {
    /// Returns whether anything of the product differs from the existing one.
    pub(super) fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.product)
            || self.child_rows != ChangedChildRows::default()
            || self.changed_variants().next().is_some()
    }

    /// Returns the variants whose rows differ from the existing ones, each with the existing row.
    pub(super) fn changed_variants(&self) -> impl Iterator<Item = (&variant::Model, Option<&variant::Model>)> {
        let pairs = self.variants.iter().enumerate().map(|(index, row)| (row, self.variants_before.get(index)));
        pairs.filter(|(row, before)| *before != Some(*row))
    }

    /// Returns whether a variant is new or its option values have changed.
    pub(super) fn has_new_options(&self, row_index: usize) -> bool {
        let row = &self.variants[row_index];
        let is_unchanged =
            |before: &variant::Model| before.name == row.name && before.options_normalized == row.options_normalized;
        !self.variants_before.get(row_index).is_some_and(is_unchanged)
    }

    /// Sets which child rows differ, and updates the product's timestamp if any do.
    pub(super) fn set_child_rows(&mut self, child_rows: ChangedChildRows, now: DateTime<Utc>) {
        if child_rows != ChangedChildRows::default() {
            self.product.updated_at = now;
        }
        self.child_rows = child_rows;
    }

    /// Increments the versions of changed rows.
    pub(super) fn bump_versions(&mut self) {
        if !self.is_changed() {
            return;
        }
        self.product.version = self.before.as_ref().map_or(1, |before| before.version + 1);
        for (index, row) in self.variants.iter_mut().enumerate() {
            match self.variants_before.get(index) {
                Some(before) if before != row => row.version = before.version + 1,
                _ => {}
            }
        }
    }

    /// Sets `updated_at` of changed rows. A change of option names applies to every active variant, which display them.
    pub(super) fn touch_timestamps(&mut self, now: DateTime<Utc>) {
        let mut has_changes = self.is_changed();
        for (index, row) in self.variants.iter_mut().enumerate() {
            let shows_options = self.child_rows.options && row.deleted_at.is_none();
            if shows_options || self.variants_before.get(index) != Some(row) {
                row.updated_at = now;
                has_changes = true;
            }
        }
        if has_changes {
            self.product.updated_at = now;
        }
    }
}

/// Merges one input with the existing product. Rejections and warnings go to `summary`; returns `None` if the product
/// is rejected.
pub(super) fn merge_product_input(
    existing: &mut ExistingProducts,
    input: &ProductInput,
    context: &WriteContext,
    summary: &mut WriteSummary,
) -> Option<ProductChange> {
    let before = existing.products.get(&input.slug).cloned();
    if let Err(reason) = row_values::validate_product_input(input, before.is_none()) {
        if !input.follows_rejected_row || input.name.is_some() || before.is_some() {
            summary.add_rejection(input.line, reason);
        }
        return None;
    }
    let id = before.as_ref().map_or(0, |before| before.id);
    let existing_variants = existing.variants.get(&id).cloned().unwrap_or_default();
    let existing_options = existing.option_names.get(&id).map(Vec::as_slice).unwrap_or_default();
    let mut matcher = VariantMatcher { input, existing: &existing_variants, rows: Vec::new() };
    let options = matcher.resolve_option_names(existing_options).to_vec();
    matcher.apply_inputs(&options, context, summary);
    matcher.reject_duplicates(summary);
    matcher.assign_skus(&mut existing.sku_allocator, summary);

    let (variants, provided) = matcher.into_rows();
    let Some(derived_prices) = price::derive_prices(&variants, context.now) else {
        summary.add_rejection(input.line, format!("the product `{}` has nothing that can be bought", input.slug));
        return None;
    };
    let has_untracked_variant = provided.iter().any(|provided| !variants[provided.row_index].track_stock);
    let is_new = before.is_none();
    let mut base_row = before.clone().unwrap_or_else(|| row_values::new_product_row(&input.slug, context.now));
    // An estimate for a new product, which saves a second write; the inventory sets the final value.
    base_row.in_stock |= is_new && provided.iter().any(|provided| provided.on_hand.is_some_and(|stock| stock > 0));
    let product = row_values::apply_product_input(input, base_row, context, (derived_prices, has_untracked_variant));
    let child_rows = ChangedChildRows { options: options != existing_options, ..ChangedChildRows::default() };
    let (child_diffs, variants_before) = (Vec::new(), existing_variants);
    let mut change = ProductChange {
        is_new,
        product,
        variants,
        provided,
        options,
        child_rows,
        child_diffs,
        before,
        variants_before,
    };
    change.touch_timestamps(context.now);
    Some(change)
}

/// Matches the variants of an input with the existing ones.
struct VariantMatcher<'a> {
    input: &'a ProductInput,
    existing: &'a [variant::Model],
    rows: Vec<AppliedVariant>,
}

/// An accepted variant: its index in the input, the index of the existing row, and the resulting row.
struct AppliedVariant {
    input_index: usize,
    row_index: Option<usize>,
    row: variant::Model,
}

impl<'a> VariantMatcher<'a> {
    /// Returns the option names: those of the input, unless variants not in the input have another number of options.
    fn resolve_option_names<'b>(&self, existing_names: &'b [String]) -> &'b [String]
    where
        'a: 'b,
    {
        let provided = &self.input.options;
        let matched_indexes: HashSet<usize> =
            match_variants(&self.input.variants, self.existing).into_iter().flatten().collect();
        let mut unmatched = (0..self.existing.len()).filter(|index| !matched_indexes.contains(index));
        let has_other_variants = unmatched.any(|index| self.existing[index].deleted_at.is_none());
        if provided.is_empty() || (has_other_variants && provided.len() != existing_names.len()) {
            existing_names
        } else {
            provided
        }
    }

    /// Applies each variant of the input to the one it matches.
    fn apply_inputs(&mut self, options: &[String], context: &WriteContext, summary: &mut WriteSummary) {
        let row_indexes = match_variants(&self.input.variants, self.existing);
        for (input_index, (input, row_index)) in self.input.variants.iter().zip(row_indexes).enumerate() {
            let has_matching_options =
                input.options.len() == options.len() || (input.options.is_empty() && row_index.is_some());
            let before = row_index.map(|row_index| self.existing[row_index].clone());
            let applied = if has_matching_options {
                row_values::apply_variant_input(input, before, context, summary)
            } else {
                Err(self.describe_option_mismatch(options))
            };
            match applied {
                Ok(row) => self.rows.push(AppliedVariant { input_index, row_index, row }),
                Err(reason) => summary.add_rejection(input.line, reason),
            }
        }
    }

    fn describe_option_mismatch(&self, options: &[String]) -> String {
        let slug = &self.input.slug;
        match options {
            [] => format!("`{slug}` has a variant without options; one with options cannot stand beside it"),
            names => format!("the variants of `{slug}` are chosen by {}; this one is not", names.join(", ")),
        }
    }

    /// Rejects variants until all option values are unique.
    fn reject_duplicates(&mut self, summary: &mut WriteSummary) {
        while let Some(index) = self.find_duplicate() {
            let AppliedVariant { input_index, row, .. } = self.rows.remove(index);
            let reason = format!("`{}` has a variant `{}` already", self.input.slug, row.name);
            summary.add_rejection(self.input.variants[input_index].line, reason);
        }
    }

    /// Returns the first variant with the option values of an earlier one, or of an unchanged one.
    fn find_duplicate(&self) -> Option<usize> {
        let changed_indexes: HashSet<usize> = self.rows.iter().filter_map(|applied| applied.row_index).collect();
        let is_kept =
            |(index, row): &(usize, &variant::Model)| !changed_indexes.contains(index) && row.deleted_at.is_none();
        let mut option_keys: HashSet<&str> =
            self.existing.iter().enumerate().filter(is_kept).map(|(_, row)| row.options_normalized.as_str()).collect();
        self.rows.iter().position(|applied| !option_keys.insert(&applied.row.options_normalized))
    }

    /// Assigns a SKU to each variant, and warns if it differs from the requested one.
    fn assign_skus(&mut self, allocator: &mut SkuAllocator, summary: &mut WriteSummary) {
        let input = self.input;
        self.rows.retain_mut(|AppliedVariant { input_index, row, .. }| {
            let variant_input = &input.variants[*input_index];
            let has_sku = variant_input.sku.as_deref().is_some_and(|sku| !sku.trim().is_empty());
            if !has_sku && !row.sku.is_empty() {
                return true;
            }
            let all_taken = || Err("every sku that could stand in for its own is taken".to_owned());
            let claimed = SkuRequest::from_input(input, variant_input).and_then(|requested| {
                allocator.allocate(&requested, row).map_or_else(all_taken, |sku| Ok((sku, requested.sku)))
            });
            let (sku, requested) = match claimed {
                Ok(assigned) => assigned,
                Err(reason) => {
                    summary.add_rejection(variant_input.line, reason);
                    return false;
                }
            };
            if !has_sku {
                summary.add_warning(variant_input.line, format!("no sku: `{sku}` was made from the name"));
            } else if sku != requested {
                summary.add_warning(
                    variant_input.line,
                    format!("the sku `{requested}` is used twice: this one became `{sku}`"),
                );
            }
            row.sku = sku;
            true
        });
    }

    /// Returns all resulting variants, and which of them are in the input.
    fn into_rows(self) -> (Vec<variant::Model>, Vec<ProvidedVariant>) {
        let mut variants = self.existing.to_vec();
        let mut next_position = variants.iter().map(|row| row.position + 1).max().unwrap_or(0);
        let mut provided = Vec::with_capacity(self.rows.len());
        for AppliedVariant { input_index, row_index, mut row } in self.rows {
            let row_index = row_index.unwrap_or_else(|| {
                row.position = next_position;
                next_position += 1;
                variants.push(row.clone());
                variants.len() - 1
            });
            variants[row_index] = row;
            provided.push(ProvidedVariant {
                input_index,
                row_index,
                on_hand: self.input.variants[input_index].on_hand,
            });
        }
        (variants, provided)
    }
}

/// Returns the existing variant that each input matches: by SKU and options, else by SKU, else by options.
fn match_variants(inputs: &[VariantInput], existing: &[variant::Model]) -> Vec<Option<usize>> {
    let by_sku: HashMap<&str, usize> =
        existing.iter().enumerate().map(|(row_index, row)| (row.sku.as_str(), row_index)).collect();
    let option_keys_of = |is_active: bool| {
        let rows = existing.iter().enumerate().filter(move |(_, row)| row.deleted_at.is_none() == is_active);
        rows.map(|(row_index, row)| (row.options_normalized.as_str(), row_index))
    };
    // An active variant takes precedence over a deleted one with the same values.
    let by_options: HashMap<&str, usize> = option_keys_of(false).chain(option_keys_of(true)).collect();
    let option_keys: Vec<String> = inputs.iter().map(build_option_key).collect();
    let match_by_sku = |input_index: usize| by_sku.get(inputs[input_index].sku.as_deref()?.trim()).copied();
    let match_by_options = |input_index: usize| by_options.get(option_keys[input_index].as_str()).copied();
    let match_by_both = |input_index: usize| {
        match_by_sku(input_index)
            .filter(|row_index| existing[*row_index].options_normalized == option_keys[input_index])
    };

    let rules: [&dyn Fn(usize) -> Option<usize>; 3] = [&match_by_both, &match_by_sku, &match_by_options];
    let mut matched = vec![None; inputs.len()];
    let mut is_taken = vec![false; existing.len()];
    for rule in rules {
        for (input_index, matched) in matched.iter_mut().enumerate().filter(|(_, matched)| matched.is_none()) {
            *matched = rule(input_index).filter(|row_index| !std::mem::replace(&mut is_taken[*row_index], true));
        }
    }
    matched
}
