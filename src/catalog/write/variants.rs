//! The variants of one edit: matching, changes, SKUs and option values.

mod patcher;

use std::collections::{HashMap, HashSet};

use super::{EditSession, ProductPatch, ProductSelector, VariantPatch, VariantSelector, options::OptionLayout};
use crate::{
    base::{error::PublicErrorCode, text},
    catalog::{
        entity::{product, variant},
        match_existing::ProvidedVariant,
        product_input::VariantInput,
        row_values::{self, MAX_INDEX_KEY_BYTES, MAX_LABEL_LENGTH},
        sku_generator,
        validation_errors::{ValidationErrors, join_field_path},
    },
};

use patcher::VariantPatcher;

/// The variants of a product after an edit.
#[derive(Debug)]
pub(super) struct VariantChanges {
    /// The rows before the edit.
    pub(super) existing: Vec<variant::Model>,
    /// All rows after the edit, existing ones first.
    pub(super) rows: Vec<variant::Model>,
    /// Option names.
    pub(super) options: Vec<String>,
    /// Whether the options differ from the existing ones.
    pub(super) options_changed: bool,
    /// Variants in the edit, in order, then those whose option values change with the product's options.
    pub(super) provided: Vec<ProvidedVariant>,
    /// The option values of each provided variant.
    pub(super) inputs: Vec<VariantInput>,
    /// SKUs that the edit claims.
    pub(super) claimed_skus: Vec<String>,
}

impl VariantChanges {
    pub(super) fn from_patch(
        session: &EditSession,
        patch: &ProductPatch,
        before: Option<&product::Model>,
        errors: &mut ValidationErrors,
    ) -> Self {
        let product_id = before.map_or(0, |before| before.id);
        let existing = session.loaded.variants(product_id).to_vec();
        let current = session.loaded.option_names(product_id);
        let OptionLayout { names: options, is_changed: options_changed, values_by_variant: values } =
            OptionLayout::from_patch(patch, current, (&existing, &session.loaded), errors);
        let mut values: HashMap<usize, Vec<String>> = index_values(&existing, values);
        let mut changes = Self {
            rows: existing.clone(),
            existing,
            options,
            options_changed,
            provided: vec![],
            inputs: vec![],
            claimed_skus: vec![],
        };
        for (index, values) in &values {
            set_option_values(&mut changes.rows[*index], values);
        }
        let mut patched: Vec<(usize, &VariantPatch)> = Vec::with_capacity(patch.variants.len());
        for variant_patch in &patch.variants {
            let Ok(index) = changes.find_variant(patch, variant_patch, errors) else { continue };
            let index = changes.apply_patch(index, session, variant_patch, errors);
            if let Some(option_values) = changes.resolve_option_values(variant_patch, index, errors) {
                set_option_values(&mut changes.rows[index], &option_values);
                values.insert(index, option_values);
            }
            if patched.iter().any(|(current, _)| *current == index) {
                errors.add_bad_input(&variant_patch.path, "this variant is said twice");
            }
            patched.push((index, variant_patch));
        }
        changes.check_unique_options(patch, &patched, errors);
        changes.require_active_variant(patch, errors);
        changes.collect_inputs(&patched, values);
        changes
    }

    /// Returns the index of the existing variant that is selected; `None` for a new one.
    fn find_variant(
        &self,
        patch: &ProductPatch,
        variant_patch: &VariantPatch,
        errors: &mut ValidationErrors,
    ) -> Result<Option<usize>, ()> {
        let existing = || self.existing.iter().enumerate();
        let active = || existing().filter(|(_, row)| row.deleted_at.is_none());
        let index = |(index, _): (usize, &variant::Model)| index;
        let requested_sku = variant_patch.sku.as_deref().map(str::trim);
        let by_sku = |(_, row): &(usize, &variant::Model)| Some(row.sku.as_str()) == requested_sku;
        match variant_patch.selector {
            VariantSelector::Id(lookup_key) | VariantSelector::Delete(lookup_key) => {
                let matched = active().find(|(_, row)| row.id == lookup_key).map(index);
                if matched.is_none() {
                    let path = if let ProductSelector::ByVariantId(_, path) = &patch.selector {
                        path
                    } else {
                        &variant_patch.path
                    };
                    errors.add(PublicErrorCode::NotFound, path, "there is no such variant");
                }
                matched.map(Some).ok_or(())
            }
            // A deleted variant is restored by its SKU, with everything that references it.
            VariantSelector::New => Ok(existing().filter(|(_, row)| row.deleted_at.is_some()).find(by_sku).map(index)),
            VariantSelector::BySkuOrOptions => {
                let lookup_key = variant_patch.options.as_ref().map(|values| compute_option_key(values));
                let by_options = || {
                    active()
                        .find(|(_, row)| {
                            Some(&row.options_normalized) == lookup_key.as_ref() && requested_sku.is_none()
                        })
                        .map(index)
                };
                Ok(existing().find(by_sku).map(index).or_else(by_options))
            }
            VariantSelector::Single => {
                let by_sku = active().find(by_sku).map(index);
                let mut remaining = active();
                let single = remaining.next().map(index).filter(|_| remaining.next().is_none());
                if by_sku.or(single).is_none() && active().next().is_some() {
                    let message = "the product has several variants: say the sku of the one that is meant";
                    errors.add_bad_input(&join_field_path(&variant_patch.path, "sku"), message);
                    return Err(());
                }
                Ok(by_sku.or(single))
            }
        }
    }

    /// Applies a patch to the row at an index, or to a new row; returns the row's index.
    fn apply_patch(
        &mut self,
        index: Option<usize>,
        session: &EditSession,
        patch: &VariantPatch,
        errors: &mut ValidationErrors,
    ) -> usize {
        let index = index.unwrap_or_else(|| {
            let position = self.rows.iter().map(|row| row.position + 1).max().unwrap_or(0);
            self.rows.push(variant::Model { position, ..row_values::new_variant_row(session.now) });
            self.rows.len() - 1
        });
        let before = self.rows[index].clone();
        if before.id != 0 {
            errors.check_version(patch.expected_version.as_ref(), before.version);
        }
        if matches!(patch.selector, VariantSelector::Delete(_)) {
            self.rows[index].deleted_at = Some(session.now);
            return index;
        }
        let row = VariantPatcher { session, patch, errors }.apply_to_row(before);
        if self.existing.get(index).is_none_or(|before| before.sku != row.sku) {
            let owner_id = session.loaded.find_variant_id_by_sku(&row.sku);
            let is_taken =
                owner_id.is_some_and(|owner_id| owner_id != row.id) || session.claimed_skus.contains(&row.sku);
            if !row.sku.is_empty() && (is_taken || self.claimed_skus.contains(&row.sku)) {
                let owner_kind = if owner_id.is_some_and(|owner_id| session.loaded.is_variant_deleted(owner_id)) {
                    "a deleted"
                } else {
                    "another"
                };
                let message = format!("{owner_kind} variant has the sku `{}`", row.sku);
                errors.add(PublicErrorCode::AlreadyExists, &join_field_path(&patch.path, "sku"), message);
            }
            self.claimed_skus.push(row.sku.clone());
        }
        self.rows[index] = row;
        index
    }

    /// Returns the option values of a patch; `None` if they do not change.
    fn resolve_option_values(
        &self,
        patch: &VariantPatch,
        index: usize,
        errors: &mut ValidationErrors,
    ) -> Option<Vec<String>> {
        let is_new = self.existing.get(index).is_none_or(|before| before.deleted_at.is_some());
        if (patch.options.is_none() && !is_new) || matches!(patch.selector, VariantSelector::Delete(_)) {
            return None;
        }
        let path = join_field_path(&patch.path, "options");
        let requested = patch.options.as_deref().unwrap_or_default();
        let value = |(value_index, value): (usize, &String)| {
            errors.validate_text(&join_field_path(&path, &value_index.to_string()), value, MAX_LABEL_LENGTH)
        };
        let values: Vec<String> = requested.iter().enumerate().map(value).collect();
        if values.len() != self.options.len() {
            let message = match self.options.as_slice() {
                [] => "the product has no options: it is not chosen by any".to_owned(),
                names => format!("say one value for each of the product's options: {}", names.join(", ")),
            };
            errors.add_bad_input(&path, message);
        } else if values.iter().any(|value| text::normalize_text(value).is_empty())
            || compute_option_key(&values).len() > MAX_INDEX_KEY_BYTES
        {
            errors.add_bad_input(
                &path,
                "each value needs a letter or a sign that can be seen, and all together are too long",
            );
        }
        Some(values)
    }

    /// Rejects active variants with the same option values.
    fn check_unique_options(
        &self,
        patch: &ProductPatch,
        patched: &[(usize, &VariantPatch)],
        errors: &mut ValidationErrors,
    ) {
        let mut seen = HashSet::new();
        let patches_by_index: HashMap<usize, &VariantPatch> = patched.iter().copied().collect();
        let unpatched = (0..self.rows.len()).filter(|index| !patches_by_index.contains_key(index));
        for index in unpatched.chain(patched.iter().map(|(index, _)| *index)) {
            let row = &self.rows[index];
            if row.deleted_at.is_some() || seen.insert(&row.options_normalized) {
                continue;
            }
            let (path, message) = match (patches_by_index.get(&index), self.options.is_empty()) {
                (Some(variant_patch), false) => (
                    join_field_path(&variant_patch.path, "options"),
                    format!("there is a variant `{}` already", row.name),
                ),
                (Some(variant_patch), true) => {
                    let message = "the product has no options to tell its variants apart: give it some first";
                    (join_field_path(&variant_patch.path, "options"), message.to_owned())
                }
                (None, _) => {
                    let message = format!("without that option there would be two variants `{}`", row.name);
                    (join_field_path(&patch.path, "options"), message)
                }
            };
            errors.add(PublicErrorCode::AlreadyExists, &path, message);
        }
    }

    /// Requires at least one active variant.
    fn require_active_variant(&self, patch: &ProductPatch, errors: &mut ValidationErrors) {
        if self.rows.iter().any(|row| row.deleted_at.is_none()) {
            return;
        }
        if let ProductSelector::ByVariantId(_, path) = &patch.selector {
            let message = "this is the product's only variant: delete or archive the product instead";
            errors.add(PublicErrorCode::IllegalTransition, path, message);
        } else if patch.variants.is_empty() || errors.is_empty() {
            let message = "a new product needs something that can be bought: say its sku and price, or its variants";
            errors.add_bad_input(&join_field_path(&patch.path, "variants"), message);
        }
    }

    fn collect_inputs(&mut self, patched: &[(usize, &VariantPatch)], mut values: HashMap<usize, Vec<String>>) {
        for (index, patch) in patched {
            let options = values.remove(index).unwrap_or_default();
            self.provided.push(ProvidedVariant {
                input_index: self.inputs.len(),
                row_index: *index,
                on_hand: patch.on_hand.flatten(),
            });
            self.inputs.push(VariantInput { options, ..VariantInput::default() });
        }
        for (index, options) in values {
            self.provided.push(ProvidedVariant { input_index: self.inputs.len(), row_index: index, on_hand: None });
            self.inputs.push(VariantInput { options, ..VariantInput::default() });
        }
    }
}

fn index_values(existing: &[variant::Model], mut values: HashMap<i64, Vec<String>>) -> HashMap<usize, Vec<String>> {
    let take_values = |(index, row): (usize, &variant::Model)| Some((index, values.remove(&row.id)?));
    existing.iter().enumerate().filter_map(take_values).collect()
}

/// Sets the name and option key of a variant from its option values.
fn set_option_values(row: &mut variant::Model, values: &[String]) {
    let input = VariantInput { options: values.to_vec(), ..VariantInput::default() };
    row.name = row_values::format_variant_name(&input);
    row.options_normalized = sku_generator::build_option_key(&input);
}

fn compute_option_key(values: &[String]) -> String {
    sku_generator::build_option_key(&VariantInput { options: values.to_vec(), ..VariantInput::default() })
}
