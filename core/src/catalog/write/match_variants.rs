//! Matches the variants in the input with existing ones: by id, by SKU, by options. No I/O.

use std::collections::HashMap;

use super::{
    input::{ProductPatch, ProductSelector, VariantPatch, VariantSelector, WriteMode},
    validate::build_option_key,
};
use crate::{
    base::{Validator, error::PublicErrorCode},
    catalog::entity::variant,
};

/// The row that a variant in the input applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VariantMatch {
    /// A new row.
    New,
    /// The existing row at this index.
    Existing(usize),
    /// None; an error was reported.
    Invalid,
}

impl VariantMatch {
    fn from_index(index: Option<usize>) -> Self {
        index.map_or(Self::New, Self::Existing)
    }
}

/// Matches each variant of a product with the existing ones.
pub(super) fn match_variants(
    mode: WriteMode,
    patch: &ProductPatch,
    existing: &[variant::Model],
    validator: &mut Validator,
) -> Vec<VariantMatch> {
    match mode {
        WriteMode::Strict => patch
            .variants
            .iter()
            .map(|variant| {
                select_variant(variant, existing).unwrap_or_else(|error| {
                    report_missing_variant(patch, variant, error, validator);
                    VariantMatch::Invalid
                })
            })
            .collect(),
        WriteMode::Repair => assign_variants(&patch.variants, existing),
    }
}

/// Why a selector selects no variant.
enum SelectionError {
    NotFound,
    Ambiguous,
}

/// Returns the variant that a selector selects.
fn select_variant(patch: &VariantPatch, existing: &[variant::Model]) -> Result<VariantMatch, SelectionError> {
    let is_active = |row: &variant::Model| row.deleted_at.is_none();
    let requested_sku = patch.sku.value().map(|sku| sku.trim());
    let has_sku = |row: &variant::Model| Some(row.sku.as_str()) == requested_sku;
    let find = |predicate: &dyn Fn(&variant::Model) -> bool| existing.iter().position(predicate);
    let index = match patch.selector {
        VariantSelector::Id(variant_id) | VariantSelector::Delete(variant_id) => {
            let index = find(&|row| row.id == variant_id && is_active(row));
            return index.map(VariantMatch::Existing).ok_or(SelectionError::NotFound);
        }
        // A deleted variant is restored by its SKU, with everything that references it.
        VariantSelector::New => find(&|row| has_sku(row) && !is_active(row)),
        VariantSelector::BySkuOrOptions if requested_sku.is_some() => find(&has_sku),
        VariantSelector::BySkuOrOptions => {
            let option_key = patch.options.value().map(|values| build_option_key(values));
            find(&|row| is_active(row) && Some(&row.options_normalized) == option_key.as_ref())
        }
        VariantSelector::Single => {
            let by_sku = find(&|row| has_sku(row) && is_active(row));
            let mut active = (0..existing.len()).filter(|index| is_active(&existing[*index]));
            match (by_sku, active.next(), active.next()) {
                (None, Some(_), Some(_)) => return Err(SelectionError::Ambiguous),
                (by_sku, single, _) => by_sku.or(single),
            }
        }
    };
    Ok(VariantMatch::from_index(index))
}

fn report_missing_variant(
    patch: &ProductPatch,
    variant: &VariantPatch,
    error: SelectionError,
    validator: &mut Validator,
) {
    match (error, &patch.selector) {
        (SelectionError::NotFound, ProductSelector::ByVariantId { path, .. }) => {
            validator.at(path).reject_as(PublicErrorCode::NotFound, "", "there is no such variant");
        }
        (SelectionError::NotFound, _) => {
            validator.at(&variant.path).reject_as(PublicErrorCode::NotFound, "", "there is no such variant");
        }
        (SelectionError::Ambiguous, _) => {
            let message = "the product has several variants: say the sku of the one that is meant";
            validator.at(&variant.path).reject("sku", message);
        }
    }
}

/// Assigns an existing variant to each imported one, each at most once: by SKU and options, else by SKU, else by
/// options.
fn assign_variants(patches: &[VariantPatch], existing: &[variant::Model]) -> Vec<VariantMatch> {
    let by_sku: HashMap<&str, usize> =
        existing.iter().enumerate().map(|(row_index, row)| (row.sku.as_str(), row_index)).collect();
    let option_keys_of = |is_active: bool| {
        let rows = existing.iter().enumerate().filter(move |(_, row)| row.deleted_at.is_none() == is_active);
        rows.map(|(row_index, row)| (row.options_normalized.as_str(), row_index))
    };
    // An active variant takes precedence over a deleted one with the same values.
    let by_options: HashMap<&str, usize> = option_keys_of(false).chain(option_keys_of(true)).collect();
    let option_keys: Vec<String> = patches.iter().map(|patch| build_option_key(patch.option_values())).collect();
    let match_by_sku = |index: usize| by_sku.get(patches[index].sku.value()?.trim()).copied();
    let match_by_options = |index: usize| by_options.get(option_keys[index].as_str()).copied();
    let match_by_both = |index: usize| {
        match_by_sku(index).filter(|row_index| existing[*row_index].options_normalized == option_keys[index])
    };

    let rules: [&dyn Fn(usize) -> Option<usize>; 3] = [&match_by_both, &match_by_sku, &match_by_options];
    let mut matched = vec![None; patches.len()];
    let mut is_taken = vec![false; existing.len()];
    for rule in rules {
        for (index, matched) in matched.iter_mut().enumerate().filter(|(_, matched)| matched.is_none()) {
            *matched = rule(index).filter(|row_index| !std::mem::replace(&mut is_taken[*row_index], true));
        }
    }
    matched.into_iter().map(VariantMatch::from_index).collect()
}
