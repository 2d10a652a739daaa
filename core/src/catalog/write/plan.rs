//! Plans the change of each product: the rows after the write, or why the input is invalid. No I/O.

use std::collections::HashSet;

use super::{
    apply::{apply_prices, apply_product_fields, new_product_row},
    diff::ProductChange,
    input::{CategoryInput, ProductPatch, ProductSelector, WriteMode},
    load::{ExistingRows, generate_slug_candidates},
    report::WriteReport,
    validate::{FieldRules, WriteContext, check_slug},
    variants::VariantPlanner,
};
use crate::{
    base::{
        Patch, Validator,
        error::{PublicError, PublicErrorCode},
    },
    catalog::{entity::product, price},
};

/// Plans the changes of a batch of products, which do not depend on each other.
#[derive(Debug)]
pub(super) struct ProductPlanner<'a> {
    /// Parameters of the write.
    pub(super) context: WriteContext,
    /// The rows in the database, and the SKUs claimed by earlier products.
    pub(super) rows: ExistingRows,
    /// Messages about the lines of an import.
    pub(super) report: &'a mut WriteReport,
    planned_product_ids: HashSet<i64>,
    claimed_slugs: HashSet<String>,
}

impl<'a> ProductPlanner<'a> {
    pub(super) fn new(context: WriteContext, rows: ExistingRows, report: &'a mut WriteReport) -> Self {
        let (planned_product_ids, claimed_slugs) = Default::default();
        Self { context, rows, report, planned_product_ids, claimed_slugs }
    }

    /// Returns the change of a product. `category_id` is its new category; `None` leaves it unchanged.
    ///
    /// # Errors
    /// Returns all user errors of an edit. A rejected product of an import is reported as a message.
    pub(super) fn plan(
        &mut self,
        patch: &ProductPatch,
        category_id: Option<i64>,
    ) -> Result<ProductChange, Vec<PublicError>> {
        let planned = self.plan_change(patch, category_id);
        if self.context.mode == WriteMode::Strict {
            return planned;
        }
        planned.map_err(|errors| {
            let is_new = self.rows.find_product(&patch.selector).is_none();
            let is_reported = !patch.follows_rejected_row || patch.name.value().is_some() || !is_new;
            if let Some(error) = errors.into_iter().next().filter(|_| is_reported) {
                self.report.reject(patch.line, error.message);
            }
            Vec::new()
        })
    }

    fn plan_change(
        &mut self,
        patch: &ProductPatch,
        category_id: Option<i64>,
    ) -> Result<ProductChange, Vec<PublicError>> {
        let before = self.rows.find_product(&patch.selector).cloned();
        let mut validator = Validator::default();
        if self.context.mode == WriteMode::Strict {
            self.check_selection(patch, before.as_ref(), &mut validator);
            fail_if_any(&mut validator)?;
        }
        let is_new = before.is_none();
        let mut product = before.clone().unwrap_or_else(|| new_product_row(&self.context));
        let slug = patch.slug().unwrap_or_default();
        let scope = validator.at(&patch.path);
        let mut rules = FieldRules { context: &self.context, slug, scope, warnings: &mut Vec::new() };
        let content = apply_product_fields(&mut product, patch, &mut rules);
        rules.check_list_length("variants", patch.variants.len());
        rules.check_option_name_lengths(patch);
        if rules.is_rejected() {
            return Err(validator.into_errors());
        }
        product.slug = self.resolve_slug(patch, before.as_ref(), &mut validator);
        self.check_category(patch, before.as_ref(), &mut validator);
        product.category_id = category_id.unwrap_or(product.category_id);
        let variant_planner = VariantPlanner {
            context: &self.context,
            rows: &mut self.rows,
            report: self.report,
            patch,
            validator: &mut validator,
        };
        let variants = variant_planner.plan(product.id);
        validator.check_version(patch.expected_version.as_ref(), before.as_ref().map_or(0, |before| before.version));
        fail_if_any(&mut validator)?;
        let Some(prices) = price::derive_prices(&variants.rows, self.context.now) else { return Err(Vec::new()) };
        apply_prices(&mut product, prices);
        // For tracked stock of a new product an estimate, which saves a second write; the inventory sets the final value.
        product.in_stock |= variants.provided.iter().any(|provided| {
            let row = &variants.rows[provided.row_index];
            let has_stock = !row.track_stock || (is_new && provided.on_hand.is_some_and(|on_hand| on_hand > 0));
            row.deleted_at.is_none() && has_stock
        });
        let change = ProductChange::new(before, product, variants, content);
        self.planned_product_ids.extend((!is_new).then_some(change.product.id));
        self.claimed_slugs.insert(change.product.slug.clone());
        self.rows.skus.claim(change.changed_skus());
        Ok(change)
    }

    /// Checks that the selected product can be edited.
    fn check_selection(&self, patch: &ProductPatch, before: Option<&product::Model>, validator: &mut Validator) {
        let is_deleted = before.is_some_and(|row| row.deleted_at.is_some());
        match &patch.selector {
            ProductSelector::Id { path, .. }
                if before.is_none() || (is_deleted && patch.deleted != Patch::Set(false)) =>
            {
                validator.at(path).reject_as(PublicErrorCode::NotFound, "", "there is no such product");
            }
            ProductSelector::ByVariantId { path, .. } if before.is_none() || is_deleted => {
                validator.at(path).reject_as(PublicErrorCode::NotFound, "", "there is no such variant");
            }
            ProductSelector::Slug(_) | ProductSelector::Sku(_) if is_deleted => {
                let field = if matches!(patch.selector, ProductSelector::Slug(_)) { "slug" } else { "sku" };
                let message = "a product that was deleted has it: restore that one first, or use another";
                validator.at(&patch.path).reject_as(PublicErrorCode::AlreadyExists, field, message);
            }
            _ if before.is_some_and(|row| self.planned_product_ids.contains(&row.id)) => {
                validator.at(&patch.path).reject("", "this product is said twice: say all of it in one place");
            }
            _ => {}
        }
    }

    /// Returns the given slug, the existing one, or one generated from the name.
    fn resolve_slug(&self, patch: &ProductPatch, before: Option<&product::Model>, validator: &mut Validator) -> String {
        let mut scope = validator.at(&patch.path);
        let is_taken = |slug: &str| {
            let owner_id = self.rows.find_product_id_by_slug(slug);
            owner_id.is_some_and(|owner_id| before.is_none_or(|before| before.id != owner_id))
                || self.claimed_slugs.contains(slug)
        };
        match (patch.slug(), before) {
            (Some(slug), _) if self.context.mode == WriteMode::Repair => slug.to_owned(),
            (Some(slug), Some(before)) if before.slug == slug => slug.to_owned(),
            (Some(slug), _) => {
                if let Err(reason) = check_slug(slug) {
                    scope.reject("slug", reason);
                }
                if is_taken(slug) {
                    let message = format!("another product has the slug `{slug}`");
                    scope.reject_as(PublicErrorCode::AlreadyExists, "slug", message);
                }
                slug.to_owned()
            }
            (None, Some(before)) => before.slug.clone(),
            (None, None) => {
                let name = patch.name.value().map_or("", String::as_str);
                let generated = generate_slug_candidates(name).find(|slug| !is_taken(slug));
                if generated.is_none() {
                    let message = "every slug that could be made of the name is taken: say one";
                    scope.reject_as(PublicErrorCode::AlreadyExists, "slug", message);
                }
                generated.unwrap_or_default()
            }
        }
    }

    /// Checks that the product will be in an active category.
    fn check_category(&self, patch: &ProductPatch, before: Option<&product::Model>, validator: &mut Validator) {
        let is_restored = |before: &product::Model| patch.deleted == Patch::Set(false) && before.deleted_at.is_some();
        match (patch.category.value(), before) {
            (Some(CategoryInput::Id(category_id)), _) if !self.rows.has_category(*category_id) => {
                let mut scope = validator.at(&patch.path);
                scope.reject_as(PublicErrorCode::NotFound, "categoryId", "there is no such category");
            }
            (None, Some(before)) if is_restored(before) && !self.rows.has_category(before.category_id) => {
                let message = "its category was deleted: restore that first";
                validator.at("id").reject_as(PublicErrorCode::IllegalTransition, "", message);
            }
            _ => {}
        }
    }
}

/// Returns the errors gathered so far, if any.
fn fail_if_any(validator: &mut Validator) -> Result<(), Vec<PublicError>> {
    if validator.has_errors() { Err(std::mem::take(validator).into_errors()) } else { Ok(()) }
}
