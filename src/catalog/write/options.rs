//! Changes to the options of a product: renamed, reordered, added or removed.

use std::collections::{HashMap, HashSet};

use super::{OptionInput, ProductPatch, loaded::LoadedProducts};
use crate::{
    base::text,
    catalog::{
        entity::variant,
        row_values::MAX_LABEL_LENGTH,
        validation_errors::{ValidationErrors, join_field_path},
    },
};

/// Maximum number of options of a product.
const MAX_PRODUCT_OPTIONS: usize = 10;

/// The options of a product, and the option values of its existing variants.
#[derive(Debug, Default)]
pub(super) struct OptionLayout {
    /// Option names, in order.
    pub(super) names: Vec<String>,
    /// Whether they differ from the existing ones.
    pub(super) is_changed: bool,
    /// Option values of active variants by variant id, where they may have changed.
    pub(super) values_by_variant: HashMap<i64, Vec<String>>,
}

/// The source of an option's values.
enum OptionValueSource {
    /// The existing option at this index.
    Existing(usize),
    /// One value for all variants.
    Constant(String),
}

impl OptionLayout {
    /// Returns the existing options, or those of the edit.
    pub(super) fn from_patch(
        patch: &ProductPatch,
        existing: &[String],
        (variants, loaded): (&[variant::Model], &LoadedProducts),
        errors: &mut ValidationErrors,
    ) -> Self {
        let Some(inputs) = &patch.options else { return Self { names: existing.to_vec(), ..Self::default() } };
        let path = join_field_path(&patch.path, "options");
        errors.validate_count(&path, inputs.len(), MAX_PRODUCT_OPTIONS);
        let mut seen = HashSet::new();
        let (mut names, mut sources) = (Vec::new(), Vec::new());
        let active_variants: Vec<_> = variants.iter().filter(|row| row.deleted_at.is_none()).collect();
        for (index, input) in inputs.iter().enumerate() {
            let path = join_field_path(&path, &index.to_string());
            let name = errors.validate_text(&join_field_path(&path, "name"), &input.name, MAX_LABEL_LENGTH);
            let name_normalized = text::normalize_text(&name);
            if name_normalized.is_empty() {
                errors.add_bad_input(&join_field_path(&path, "name"), "an option needs a name");
            } else if !seen.insert(name_normalized) {
                errors.add_bad_input(&join_field_path(&path, "name"), "two options of one name");
            }
            sources.push(resolve_value_source(input, existing, (&path, active_variants.is_empty()), errors));
            names.push(name);
        }
        let existing_indexes = sources.iter().filter_map(|source| match source {
            OptionValueSource::Existing(source_index) => Some(source_index),
            OptionValueSource::Constant(_) => None,
        });
        if existing_indexes.clone().collect::<HashSet<_>>().len() < existing_indexes.count() {
            errors.add_bad_input(&path, "two options come from the same one");
        }
        let values = |row: &&variant::Model| {
            let existing: Vec<&str> = loaded.option_values(row.id).collect();
            let value = |source: &OptionValueSource| match source {
                OptionValueSource::Existing(source_index) => {
                    existing.get(*source_index).copied().unwrap_or_default().to_owned()
                }
                OptionValueSource::Constant(value) => value.clone(),
            };
            (row.id, sources.iter().map(value).collect())
        };
        let values = active_variants.iter().map(values).collect();
        Self { is_changed: names != existing, names, values_by_variant: values }
    }
}

/// Returns the source of an option's values: the existing option, or the default value.
fn resolve_value_source(
    input: &OptionInput,
    existing_names: &[String],
    (path, has_no_variants): (&str, bool),
    errors: &mut ValidationErrors,
) -> OptionValueSource {
    let previous = text::normalize_text(input.previous_name.as_deref().unwrap_or(&input.name));
    if let Some(index) = existing_names.iter().position(|name| text::normalize_text(name) == previous) {
        return OptionValueSource::Existing(index);
    }
    if let Some(previous) = &input.previous_name {
        errors.add_bad_input(&join_field_path(path, "was"), format!("the product has no option `{previous}`"));
    }
    let value = errors.validate_text(
        &join_field_path(path, "value"),
        input.default_value.as_deref().unwrap_or_default(),
        MAX_LABEL_LENGTH,
    );
    if text::normalize_text(&value).is_empty() && !has_no_variants {
        let message = "a new option needs the value that the variants have which are there";
        errors.add_bad_input(&join_field_path(path, "value"), message);
    }
    OptionValueSource::Constant(value)
}
