//! Plans the variants of a product: the rows after the write, their options and SKUs. No I/O.

use std::collections::HashSet;

use super::{
    apply::{apply_option_values, apply_variant_fields, new_variant_row},
    input::{ProductPatch, ProductSelector, VariantPatch, VariantSelector, WriteMode},
    load::ExistingRows,
    match_variants::{VariantMatch, match_variants},
    options::{ExistingOptions, OptionLayout},
    report::WriteReport,
    sku::{self, SkuRequest},
    validate::{FieldRules, WriteContext},
};
use crate::{
    base::{Validator, error::PublicErrorCode, validation::InputScope},
    catalog::entity::variant,
};

/// The variants of a product after a write.
#[derive(Debug)]
pub(super) struct VariantChanges {
    /// The rows before the write.
    pub(super) before: Vec<variant::Model>,
    /// All rows after the write, existing ones first; new ones have no id yet.
    pub(super) rows: Vec<variant::Model>,
    /// Option names.
    pub(super) option_names: Vec<String>,
    /// Whether the option names differ from the existing ones.
    pub(super) options_changed: bool,
    /// The variants in the input, in order, then those whose option values change with the product's options.
    pub(super) provided: Vec<ProvidedVariant>,
}

/// A variant whose row or option values change.
#[derive(Debug)]
pub(super) struct ProvidedVariant {
    /// Index among the product's variants.
    pub(super) row_index: usize,
    /// The new option values; `None` if they do not change.
    pub(super) option_values: Option<Vec<String>>,
    /// The on-hand quantity in the input.
    pub(super) on_hand: Option<i64>,
}

/// A variant in the input with its resulting row.
#[derive(Debug)]
struct PlannedVariant<'a> {
    patch: &'a VariantPatch,
    /// Index of the existing row; `None` for a new one.
    row_index: Option<usize>,
    row: variant::Model,
    option_values: Option<Vec<String>>,
}

/// Plans the variants of one product.
#[derive(Debug)]
pub(super) struct VariantPlanner<'a> {
    /// Parameters of the write.
    pub(super) context: &'a WriteContext,
    /// The rows in the database, and the SKUs claimed by earlier products.
    pub(super) rows: &'a mut ExistingRows,
    /// Messages about the lines of an import.
    pub(super) report: &'a mut WriteReport,
    /// The product in the input.
    pub(super) patch: &'a ProductPatch,
    /// Collector of the product's errors.
    pub(super) validator: &'a mut Validator,
}

impl<'a> VariantPlanner<'a> {
    /// Returns the variants of a product. An import reports the variants that it leaves out.
    pub(super) fn plan(mut self, product_id: i64) -> VariantChanges {
        let before = self.rows.variants(product_id).to_vec();
        let existing_names = self.rows.option_names(product_id).to_vec();
        let matches = match_variants(self.context.mode, self.patch, &before, self.validator);
        let existing = ExistingOptions { rows: self.rows, names: &existing_names, variants: &before };
        let layout = match self.context.mode {
            WriteMode::Strict if self.patch.options.is_unchanged() => existing.keep(),
            WriteMode::Strict => {
                existing.rearrange(self.patch.options(), &mut self.validator.at(self.patch.path.as_str()))
            }
            WriteMode::Repair => existing.replace_if_compatible(self.patch.options(), &matches),
        };
        let mut rows = before.clone();
        for (index, values) in &layout.values_by_row {
            apply_option_values(&mut rows[*index], values);
        }
        let mut planned = Vec::with_capacity(self.patch.variants.len());
        for (patch, matched) in self.patch.variants.iter().zip(matches) {
            let (row_index, row) = match matched {
                VariantMatch::New => (None, new_variant_row(self.context.now)),
                VariantMatch::Existing(index) => (Some(index), rows[index].clone()),
                VariantMatch::Invalid => continue,
            };
            let candidate = PlannedVariant { patch, row_index, row, option_values: None };
            planned.extend(self.plan_variant(candidate, &layout.names, &planned));
        }
        self.check_unique_options(&layout.names, &rows, &mut planned);
        self.assign_skus(&mut planned);
        let options_changed = layout.names != existing_names;
        let (option_names, provided) = merge_planned(planned, layout, &mut rows);
        self.require_active_variant(&rows);
        VariantChanges { before, rows, option_names, options_changed, provided }
    }

    /// Applies one variant of the input to its row; `None` if an import leaves it out.
    fn plan_variant(
        &mut self,
        mut candidate: PlannedVariant<'a>,
        option_names: &[String],
        planned: &[PlannedVariant<'a>],
    ) -> Option<PlannedVariant<'a>> {
        let (patch, current_sku) = (candidate.patch, candidate.row.sku.clone());
        let (mut validator, mut warnings) = (Validator::default(), Vec::new());
        let is_new = candidate.row.id == 0;
        if !is_new {
            validator.check_version(patch.expected_version.as_ref(), candidate.row.version);
        }
        if matches!(patch.selector, VariantSelector::Delete(_)) {
            candidate.row.deleted_at = Some(self.context.now);
        } else {
            let (slug, scope) = (self.patch.slug().unwrap_or_default(), validator.at(patch.path.as_str()));
            let mut rules = FieldRules { context: self.context, slug, scope, warnings: &mut warnings };
            // An import restores a variant with its former options; an edit sets them again.
            let needs_options = is_new || (rules.is_strict() && candidate.row.deleted_at.is_some());
            candidate.option_values = rules.check_option_values(patch, option_names, needs_options);
            if let Some(values) = &candidate.option_values {
                apply_option_values(&mut candidate.row, values);
            }
            if !rules.is_rejected() {
                apply_variant_fields(&mut candidate.row, patch, &mut rules);
            }
            if rules.is_strict() {
                candidate.row.sku = rules.check_sku(patch, &current_sku);
                if candidate.row.sku != current_sku {
                    self.check_sku_is_free(&candidate.row, planned, &mut rules.scope);
                }
            }
        }
        for warning in warnings {
            self.report.warn(patch.line, warning);
        }
        if self.context.mode == WriteMode::Strict {
            let is_repeated = |other: &PlannedVariant<'_>| other.row_index == candidate.row_index;
            if !is_new && planned.iter().any(is_repeated) {
                validator.at(patch.path.as_str()).reject("", "this variant is said twice");
            }
            self.validator.append(validator);
            return Some(candidate);
        }
        match validator.into_errors().into_iter().next() {
            None => Some(candidate),
            Some(error) => {
                self.report.reject(patch.line, error.message);
                None
            }
        }
    }
    fn check_sku_is_free(&self, row: &variant::Model, planned: &[PlannedVariant<'_>], scope: &mut InputScope<'_>) {
        let is_taken =
            self.rows.skus.is_taken(&row.sku, row.id) || planned.iter().any(|other| other.row.sku == row.sku);
        if !row.sku.is_empty() && is_taken {
            let is_deleted = self.rows.skus.owners.get(&row.sku).is_some_and(|owner| owner.is_deleted);
            let owner_kind = if is_deleted { "a deleted" } else { "another" };
            let message = format!("{owner_kind} variant has the sku `{}`", row.sku);
            scope.reject_as(PublicErrorCode::AlreadyExists, "sku", message);
        }
    }

    /// Checks that active variants have different option values. An import leaves out the duplicates.
    fn check_unique_options(
        &mut self,
        option_names: &[String],
        rows: &[variant::Model],
        planned: &mut Vec<PlannedVariant<'a>>,
    ) {
        if self.context.mode == WriteMode::Repair {
            // The existing row of a variant that is left out counts again.
            while let Some(index) = find_duplicates(rows, planned).planned.first().copied() {
                let PlannedVariant { patch, row, .. } = planned.remove(index);
                let slug = self.patch.slug().unwrap_or_default();
                self.report.reject(patch.line, format!("`{slug}` has a variant `{}` already", row.name));
            }
            return;
        }
        let DuplicateVariants { existing, planned: repeated } = find_duplicates(rows, planned);
        for index in existing {
            let message = format!("without that option there would be two variants `{}`", rows[index].name);
            let mut scope = self.validator.at(self.patch.path.as_str());
            scope.reject_as(PublicErrorCode::AlreadyExists, "options", message);
        }
        for index in repeated {
            let PlannedVariant { patch, row, .. } = &planned[index];
            let message = if option_names.is_empty() {
                "the product has no options to tell its variants apart: give it some first".to_owned()
            } else {
                format!("there is a variant `{}` already", row.name)
            };
            let mut scope = self.validator.at(patch.path.as_str());
            scope.reject_as(PublicErrorCode::AlreadyExists, "options", message);
        }
    }

    /// Assigns a SKU to each variant of an import, and warns if it differs from the requested one.
    fn assign_skus(&mut self, planned: &mut Vec<PlannedVariant<'a>>) {
        if self.context.mode == WriteMode::Strict {
            return;
        }
        let slug = self.patch.slug().unwrap_or_default();
        planned.retain_mut(|PlannedVariant { patch, row, .. }| {
            let is_given = sku::find_given_sku(patch).is_some();
            if !is_given && !row.sku.is_empty() {
                return true;
            }
            let all_taken = || "every sku that could stand in for its own is taken".to_owned();
            let assigned = SkuRequest::from_patch(slug, patch).and_then(|requested| {
                self.rows.skus.allocate(&requested, row).ok_or_else(all_taken).map(|sku| (sku, requested.sku))
            });
            match assigned {
                Ok((sku, requested)) => {
                    if !is_given {
                        self.report.warn(patch.line, format!("no sku: `{sku}` was made from the name"));
                    } else if sku != requested {
                        let message = format!("the sku `{requested}` is used twice: this one became `{sku}`");
                        self.report.warn(patch.line, message);
                    }
                    row.sku = sku;
                    true
                }
                Err(reason) => {
                    self.report.reject(patch.line, reason);
                    false
                }
            }
        });
    }

    /// Requires at least one active variant.
    fn require_active_variant(&mut self, rows: &[variant::Model]) {
        if rows.iter().any(|row| row.deleted_at.is_none()) {
            return;
        }
        let patch = self.patch;
        match &patch.selector {
            _ if self.context.mode == WriteMode::Repair => {
                let slug = patch.slug().unwrap_or_default();
                self.validator.at("").reject("", format!("the product `{slug}` has nothing that can be bought"));
            }
            ProductSelector::ByVariantId { path, .. } => {
                let message = "this is the product's only variant: delete or archive the product instead";
                self.validator.at(path).reject_as(PublicErrorCode::IllegalTransition, "", message);
            }
            _ if patch.variants.is_empty() || !self.validator.has_errors() => {
                let message =
                    "a new product needs something that can be bought: say its sku and price, or its variants";
                self.validator.at(patch.path.as_str()).reject("variants", message);
            }
            _ => {}
        }
    }
}

/// Variants with the option values of another active one.
struct DuplicateVariants {
    /// Indexes of rows that are not in the input.
    existing: Vec<usize>,
    /// Indexes of planned variants.
    planned: Vec<usize>,
}

/// Returns the active variants with the option values of an earlier one; those that are not in the input come first.
fn find_duplicates<'a>(rows: &'a [variant::Model], planned: &'a [PlannedVariant<'_>]) -> DuplicateVariants {
    let planned_rows: HashSet<usize> = planned.iter().filter_map(|candidate| candidate.row_index).collect();
    let mut option_keys: HashSet<&'a str> = HashSet::new();
    let mut repeats_options =
        |row: &'a variant::Model| row.deleted_at.is_none() && !option_keys.insert(&row.options_normalized);
    let unplanned = (0..rows.len()).filter(|index| !planned_rows.contains(index));
    DuplicateVariants {
        existing: unplanned.filter(|index| repeats_options(&rows[*index])).collect(),
        planned: (0..planned.len()).filter(|index| repeats_options(&planned[*index].row)).collect(),
    }
}

/// Puts the planned variants into the rows, new ones after the existing ones. Returns the option names and the variants
/// whose rows or option values change.
fn merge_planned(
    planned: Vec<PlannedVariant<'_>>,
    layout: OptionLayout,
    rows: &mut Vec<variant::Model>,
) -> (Vec<String>, Vec<ProvidedVariant>) {
    let OptionLayout { names, mut values_by_row } = layout;
    let mut provided = Vec::with_capacity(planned.len() + values_by_row.len());
    let mut next_position = rows.iter().map(|row| row.position + 1).max().unwrap_or(0);
    for PlannedVariant { patch, row_index, mut row, option_values } in planned {
        let row_index = row_index.unwrap_or(rows.len());
        if row_index == rows.len() {
            row.position = next_position;
            next_position += 1;
            rows.push(row);
        } else {
            rows[row_index] = row;
        }
        let inherited_values = values_by_row.remove(&row_index);
        let option_values = option_values.or(inherited_values);
        provided.push(ProvidedVariant { row_index, option_values, on_hand: patch.on_hand.into_value() });
    }
    let rearranged = values_by_row.into_iter();
    provided.extend(rearranged.map(|(row_index, values)| ProvidedVariant {
        row_index,
        option_values: Some(values),
        on_hand: None,
    }));
    (names, provided)
}
