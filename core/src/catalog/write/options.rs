//! The options of a product after a write: renamed, reordered, added or removed. No I/O.

use std::collections::{BTreeMap, HashSet};

use super::{input::OptionInput, load::ExistingRows, match_variants::VariantMatch, validate::MAX_LABEL_LENGTH};
use crate::{
    base::{text, validation::InputScope},
    catalog::entity::variant,
};

/// Maximum number of options of a product.
const MAX_PRODUCT_OPTIONS: usize = 10;

/// The existing options of a product.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExistingOptions<'a> {
    /// The loaded rows.
    pub(super) rows: &'a ExistingRows,
    /// Option names, in order.
    pub(super) names: &'a [String],
    /// All variants, including deleted ones.
    pub(super) variants: &'a [variant::Model],
}

/// The options of a product, and the option values of its existing variants.
#[derive(Debug, Default)]
pub(super) struct OptionLayout {
    /// Option names, in order.
    pub(super) names: Vec<String>,
    /// Option values of active variants by their index, where they may have changed.
    pub(super) values_by_row: BTreeMap<usize, Vec<String>>,
}

/// The source of an option's values.
enum OptionValueSource {
    /// The existing option at this index.
    Existing(usize),
    /// One value for all variants.
    Constant(String),
}

impl ExistingOptions<'_> {
    /// Keeps the options.
    pub(super) fn keep(self) -> OptionLayout {
        OptionLayout { names: self.names.to_vec(), values_by_row: BTreeMap::new() }
    }

    /// Returns the options of an import: its own, unless variants not in the input have another number of options.
    pub(super) fn replace_if_compatible(self, options: &[OptionInput], matches: &[VariantMatch]) -> OptionLayout {
        let is_unmatched = |(index, row): (usize, &variant::Model)| {
            row.deleted_at.is_none() && !matches.contains(&VariantMatch::Existing(index))
        };
        let has_other_variants = || self.variants.iter().enumerate().any(is_unmatched);
        if options.is_empty() || (options.len() != self.names.len() && has_other_variants()) {
            return self.keep();
        }
        OptionLayout { names: options.iter().map(|option| option.name.clone()).collect(), ..OptionLayout::default() }
    }

    /// Returns the options of an edit, with the values that existing variants take over. `product` is the scope of the
    /// product's input.
    pub(super) fn rearrange(self, options: &[OptionInput], product: &mut InputScope<'_>) -> OptionLayout {
        product.check_count("options", options.len(), MAX_PRODUCT_OPTIONS);
        let mut scope = product.at("options");
        let is_active = |row: &variant::Model| row.deleted_at.is_none();
        let has_variants = self.variants.iter().any(is_active);
        let mut seen_names = HashSet::new();
        let (mut names, mut sources) = (Vec::new(), Vec::new());
        for (index, option) in options.iter().enumerate() {
            let mut scope = scope.at(&index.to_string());
            let name = scope.text("name", &option.name, MAX_LABEL_LENGTH);
            let normalized_name = text::normalize_text(&name);
            if normalized_name.is_empty() {
                scope.reject("name", "an option needs a name");
            } else if !seen_names.insert(normalized_name) {
                scope.reject("name", "two options of one name");
            }
            sources.push(self.resolve_value_source(option, has_variants, &mut scope));
            names.push(name);
        }
        let mut seen_sources = HashSet::new();
        let is_repeated = |source: &OptionValueSource| matches!(source, OptionValueSource::Existing(source_index) if !seen_sources.insert(*source_index));
        if sources.iter().any(is_repeated) {
            scope.reject("", "two options come from the same one");
        }
        let values = |row: &variant::Model| {
            let value = |source: &OptionValueSource| match source {
                OptionValueSource::Existing(source_index) => self.rows.option_value(row.id, *source_index),
                OptionValueSource::Constant(value) => value.clone(),
            };
            sources.iter().map(value).collect()
        };
        let active_rows = self.variants.iter().enumerate().filter(|(_, row)| is_active(row));
        OptionLayout { names, values_by_row: active_rows.map(|(index, row)| (index, values(row))).collect() }
    }

    /// Returns the source of an option's values: the existing option, or the default value.
    fn resolve_value_source(
        self,
        option: &OptionInput,
        has_variants: bool,
        scope: &mut InputScope<'_>,
    ) -> OptionValueSource {
        let previous = text::normalize_text(option.previous_name.as_deref().unwrap_or(&option.name));
        if let Some(index) = self.names.iter().position(|name| text::normalize_text(name) == previous) {
            return OptionValueSource::Existing(index);
        }
        if let Some(previous) = &option.previous_name {
            scope.reject("was", format!("the product has no option `{previous}`"));
        }
        let value = scope.text("value", option.default_value.as_deref().unwrap_or_default(), MAX_LABEL_LENGTH);
        if text::normalize_text(&value).is_empty() && has_variants {
            scope.reject("value", "a new option needs the value that the variants have which are there");
        }
        OptionValueSource::Constant(value)
    }
}
