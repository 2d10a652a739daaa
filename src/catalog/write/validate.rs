//! Applies one edit to the existing product: provided fields change, and all validation errors are collected. No I/O.

use super::{EditSession, ProductPatch, ProductSelector, variants};
use crate::{
    base::{
        error::{PublicError, PublicErrorCode},
        text,
    },
    catalog::{
        entity::product,
        match_existing::{ChangedChildRows, ProductChange},
        price,
        product_input::{ProductImageInput, ProductInput, PublicationStatus},
        row_values::{self, MAX_LABEL_LENGTH, MAX_PRODUCT_NAME_LENGTH, WriteContext},
        validation_errors::{ValidationErrors, join_field_path},
    },
};

/// Maximum lengths of a generated slug and of a given one, in characters.
const SLUG_LENGTH_LIMITS: (usize, usize) = (80, 200);
/// Highest number appended to a slug that is taken.
const MAX_PRODUCT_SLUG_SUFFIX: u32 = 20;
/// Maximum number of tags, of images, and of variants in one edit.
const MAX_LIST_ITEMS: usize = 100;
/// Maximum lengths of an image URL and of its alternative text, in characters.
const IMAGE_TEXT_LENGTH_LIMITS: (usize, usize) = (2_000, 500);
/// Maximum length of a description in bytes.
const MAX_DESCRIPTION_BYTES: usize = 200_000;

/// Returns the slug candidates for a product name, preferred ones first.
pub(super) fn generate_slug_candidates(name: &str) -> impl Iterator<Item = String> {
    let generated = text::slugify(name, SLUG_LENGTH_LIMITS.0);
    let base_slug = if generated.is_empty() { "product".to_owned() } else { generated };
    std::iter::once(base_slug.clone())
        .chain((2..=MAX_PRODUCT_SLUG_SUFFIX).map(move |number| format!("{base_slug}-{number}")))
}

impl EditSession {
    /// Returns the resulting product with the changes to write.
    pub(super) fn prepare_change(
        &mut self,
        patch: &ProductPatch,
    ) -> Result<(ProductInput, ProductChange), Vec<PublicError>> {
        let before = self.resolve_product(patch)?;
        let mut errors = ValidationErrors::default();
        let mut input = validate_product_fields(patch, before.is_none(), &mut errors);
        input.slug = self.resolve_slug(patch, before.as_ref(), &mut errors);
        let category_id = self.resolve_category(patch, before.as_ref(), &mut errors);
        let variants = variants::VariantChanges::from_patch(self, patch, before.as_ref(), &mut errors);
        errors.check_version(patch.expected_version.as_ref(), before.as_ref().map_or(0, |before| before.version));
        let variants::VariantChanges {
            existing: existing_variants,
            rows,
            options,
            options_changed,
            provided,
            inputs: variant_inputs,
            claimed_skus,
        } = variants;
        input.variants = variant_inputs;
        let Some(derived_prices) = price::derive_prices(&rows, self.now) else {
            errors.into_result()?;
            return Err(Vec::new());
        };
        errors.into_result()?;

        let is_new = before.is_none();
        let mut base_row = before.clone().unwrap_or_else(|| row_values::new_product_row(&input.slug, self.now));
        base_row.slug.clone_from(&input.slug);
        if patch.images.as_ref().is_some_and(Vec::is_empty) {
            base_row.image = None;
        }
        let deleted_at = patch.deleted.map_or(base_row.deleted_at, |is_deleted| is_deleted.then_some(self.now));
        let has_untracked_variant = provided
            .iter()
            .any(|provided| !rows[provided.row_index].track_stock && rows[provided.row_index].deleted_at.is_none());
        let context = WriteContext { category_id, currency: self.currency, now: self.now };
        let product = product::Model {
            deleted_at,
            ..row_values::apply_product_input(&input, base_row, &context, (derived_prices, has_untracked_variant))
        };
        let child_rows = ChangedChildRows {
            options: options_changed,
            images: patch.images.is_some(),
            ..ChangedChildRows::default()
        };
        let (child_diffs, variants_before) = (Vec::new(), existing_variants);
        let mut change = ProductChange {
            is_new,
            product,
            variants: rows,
            provided,
            options,
            child_rows,
            child_diffs,
            before,
            variants_before,
        };
        self.edited_product_ids.extend((!is_new).then_some(change.product.id));
        self.claimed_slugs.insert(input.slug.clone());
        self.claimed_skus.extend(claimed_skus);
        // `images` marks that images were provided, not that they differ; it must not change timestamps.
        let images_provided = std::mem::take(&mut change.child_rows.images);
        change.touch_timestamps(self.now);
        change.child_rows.images = images_provided;
        Ok((input, change))
    }

    /// Returns the selected product; `None` if it is to be created.
    fn resolve_product(&self, patch: &ProductPatch) -> Result<Option<product::Model>, Vec<PublicError>> {
        let existing = self.loaded.find_product(&patch.selector).cloned();
        let is_deleted = existing.as_ref().is_some_and(|row| row.deleted_at.is_some());
        let mut errors = ValidationErrors::default();
        match (&patch.selector, &existing) {
            (ProductSelector::Id(_, path), None) => {
                errors.add(PublicErrorCode::NotFound, path, "there is no such product");
            }
            (ProductSelector::Id(_, path), Some(_)) if is_deleted && patch.deleted != Some(false) => {
                errors.add(PublicErrorCode::NotFound, path, "there is no such product");
            }
            (ProductSelector::ByVariantId(_, path), existing) if is_deleted || existing.is_none() => {
                errors.add(PublicErrorCode::NotFound, path, "there is no such variant");
            }
            (ProductSelector::BySlugOrSku(slug, _), Some(_)) if is_deleted => {
                let path = join_field_path(&patch.path, if slug.is_some() { "slug" } else { "sku" });
                let message = "a product that was deleted has it: restore that one first, or use another";
                errors.add(PublicErrorCode::AlreadyExists, &path, message);
            }
            (_, Some(row)) if self.edited_product_ids.contains(&row.id) => {
                errors.add_bad_input(&patch.path, "this product is said twice: say all of it in one place");
            }
            _ => {}
        }
        errors.into_result()?;
        Ok(existing)
    }

    /// Returns the given slug, the existing one, or one generated from the name.
    fn resolve_slug(
        &self,
        patch: &ProductPatch,
        before: Option<&product::Model>,
        errors: &mut ValidationErrors,
    ) -> String {
        let selector_slug = match &patch.selector {
            ProductSelector::BySlugOrSku(Some(slug), _) if before.is_none() => Some(slug),
            _ => None,
        };
        let path = join_field_path(&patch.path, "slug");
        let Some(requested_slug) = patch.slug.as_ref().or(selector_slug) else {
            if let Some(before) = before {
                return before.slug.clone();
            }
            let is_free = |slug: &String| {
                self.loaded.find_product_id_by_slug(slug).is_none() && !self.claimed_slugs.contains(slug)
            };
            let generated_slug = generate_slug_candidates(patch.name.as_deref().unwrap_or_default()).find(is_free);
            return generated_slug.unwrap_or_else(|| {
                errors.add(
                    PublicErrorCode::AlreadyExists,
                    &path,
                    "every slug that could be made of the name is taken: say one",
                );
                String::new()
            });
        };
        if before.is_some_and(|before| before.slug == *requested_slug) {
            return requested_slug.clone();
        }
        validate_slug(&path, requested_slug, errors);
        let is_taken = self
            .loaded
            .find_product_id_by_slug(requested_slug)
            .is_some_and(|owner_id| before.is_none_or(|before| before.id != owner_id));
        if is_taken || self.claimed_slugs.contains(requested_slug) {
            errors.add(
                PublicErrorCode::AlreadyExists,
                &path,
                format!("another product has the slug `{requested_slug}`"),
            );
        }
        requested_slug.clone()
    }

    /// Returns the new category; `None` if it does not change.
    fn resolve_category(
        &self,
        patch: &ProductPatch,
        before: Option<&product::Model>,
        errors: &mut ValidationErrors,
    ) -> Option<i64> {
        if let Some(category_id) = patch.category_id {
            if !self.loaded.has_category(category_id) {
                errors.add(
                    PublicErrorCode::NotFound,
                    &join_field_path(&patch.path, "categoryId"),
                    "there is no such category",
                );
            }
            return Some(category_id);
        }
        let restored = before.filter(|before| patch.deleted == Some(false) && before.deleted_at.is_some());
        if restored.is_some_and(|row| !self.loaded.has_category(row.category_id)) {
            errors.add(PublicErrorCode::IllegalTransition, "id", "its category was deleted: restore that first");
        }
        before.is_none().then_some(self.uncategorized_id)
    }
}

/// Validates that a slug can be used in a URL unescaped.
pub(in crate::catalog) fn validate_slug_text(slug: &str) -> Result<(), String> {
    let is_allowed = |c: char| (c.is_alphanumeric() && !c.is_uppercase()) || matches!(c, '-' | '_' | '.');
    if slug.is_empty() || slug.chars().count() > SLUG_LENGTH_LIMITS.1 || !slug.chars().all(is_allowed) {
        let limit = SLUG_LENGTH_LIMITS.1;
        return Err(format!("a slug has 1 to {limit} small letters, digits, and `-`, `_` or `.` between them"));
    }
    Ok(())
}

fn validate_slug(path: &str, slug: &str, errors: &mut ValidationErrors) {
    if let Err(reason) = validate_slug_text(slug) {
        errors.add_bad_input(path, reason);
    }
}

/// Validates the product's own fields.
fn validate_product_fields(patch: &ProductPatch, is_new: bool, errors: &mut ValidationErrors) -> ProductInput {
    let path = |field: &str| join_field_path(&patch.path, field);
    let name = patch.name.as_ref().map(|name| errors.validate_text(&path("name"), name, MAX_PRODUCT_NAME_LENGTH));
    if name.as_ref().map_or(is_new, |name| text::normalize_text(name).is_empty()) {
        errors.add_bad_input(&path("name"), "a product needs a name with a letter or a sign that can be seen");
    }
    if patch.description.as_ref().is_some_and(|html| html.len() > MAX_DESCRIPTION_BYTES) {
        errors.add_bad_input(&path("description"), format!("a description has at most {MAX_DESCRIPTION_BYTES} bytes"));
    }
    let is_control_character = |c: char| c.is_control() && !c.is_whitespace();
    let vendor = patch.vendor.as_ref().map(|vendor| errors.validate_text(&path("vendor"), vendor, MAX_LABEL_LENGTH));
    let tags = patch.tags.as_ref().map(|tags| {
        errors.validate_count(&path("tags"), tags.len(), MAX_LIST_ITEMS);
        let tag = |(index, tag): (usize, &String)| {
            errors.validate_text(&path(&format!("tags.{index}")), tag, MAX_LABEL_LENGTH)
        };
        tags.iter().enumerate().map(tag).collect()
    });
    errors.validate_count(&path("variants"), patch.variants.len(), MAX_LIST_ITEMS);
    ProductInput {
        name,
        description_html: patch.description.as_ref().map(|html| html.replace(is_control_character, "")),
        vendor,
        tags,
        status: patch.status.or(is_new.then_some(PublicationStatus::Draft)),
        featured: patch.featured,
        images: validate_images(patch, errors),
        ..ProductInput::default()
    }
}

fn validate_images(patch: &ProductPatch, errors: &mut ValidationErrors) -> Vec<ProductImageInput> {
    let images = patch.images.as_deref().unwrap_or_default();
    errors.validate_count(&join_field_path(&patch.path, "images"), images.len(), MAX_LIST_ITEMS);
    let image = |(index, image): (usize, &ProductImageInput)| {
        let path = |field: &str| join_field_path(&patch.path, &format!("images.{index}.{field}"));
        let url = errors.validate_text(&path("url"), &image.url, IMAGE_TEXT_LENGTH_LIMITS.0);
        if url.is_empty() {
            errors.add_bad_input(&path("url"), "a picture needs an address");
        }
        let alt = image.alt.as_ref().map(|alt| errors.validate_text(&path("alt"), alt, IMAGE_TEXT_LENGTH_LIMITS.1));
        ProductImageInput { url, alt: alt.filter(|alt| !alt.is_empty()) }
    };
    images.iter().enumerate().map(image).collect()
}
