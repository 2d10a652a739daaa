//! The changes of a product: which rows and child rows differ from the existing ones. Unchanged data is not written.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use serde_json::{Map, Value, json};

use super::{
    audit_fields,
    extra_rules::SeoPatch,
    report::{WrittenProduct, WrittenVariant},
    validate::ProductContent,
    variants::{ProvidedVariant, VariantChanges},
};
use crate::{
    base::{Result, global_id::NodeType, text},
    catalog::{
        entity::{PublicationStatus, product, variant},
        loader::{self, ProductDescription, ProductImage},
        sanitize,
    },
    infra::{AuditRecord, Tx},
};

/// A product with its pending changes.
#[derive(Debug)]
pub(super) struct ProductChange {
    /// The row before the change; `None` for a new product.
    pub(super) before: Option<product::Model>,
    /// The row after the change; the id of a new product is 0 until it is assigned.
    pub(super) product: product::Model,
    /// The variants.
    pub(super) variants: VariantChanges,
    /// The child rows to write.
    pub(super) child_rows: ChangedChildRows,
    /// The values of child rows in the input.
    content: ProductContent,
    /// Values of the changed child rows before and after the change, for the audit log.
    child_values: [Map<String, Value>; 2],
}

/// The child rows of a product that differ from the existing ones; `None` for those that do not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChangedChildRows {
    /// The description and the texts for search engines.
    pub(super) description: Option<ProductDescription>,
    /// All tags, with their normalized forms.
    pub(super) tags: Option<Vec<NormalizedTag>>,
    /// All images.
    pub(super) images: Option<Vec<ProductImage>>,
    /// Whether the option names differ.
    pub(super) options: bool,
}

/// A tag with the form that identifies it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NormalizedTag {
    /// The normalized tag.
    pub(super) normalized: String,
    /// The tag.
    pub(super) tag: String,
}

impl ProductChange {
    pub(super) fn new(
        before: Option<product::Model>,
        product: product::Model,
        variants: VariantChanges,
        content: ProductContent,
    ) -> Self {
        let child_rows = ChangedChildRows { options: variants.options_changed, ..ChangedChildRows::default() };
        Self { before, product, variants, child_rows, content, child_values: Default::default() }
    }

    pub(super) fn is_new(&self) -> bool {
        self.before.is_none()
    }

    /// Returns whether anything of the product differs from the existing one.
    pub(super) fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.product)
            || self.child_rows != ChangedChildRows::default()
            || self.changed_variants().next().is_some()
    }

    /// Returns whether the product goes on sale.
    pub(super) fn is_published(&self) -> bool {
        let is_on_sale = |row: &product::Model| row.status == PublicationStatus::Active && row.deleted_at.is_none();
        is_on_sale(&self.product) && !self.before.as_ref().is_some_and(is_on_sale)
    }

    /// Returns the variants whose rows differ from the existing ones, each with the existing row.
    pub(super) fn changed_variants(&self) -> impl Iterator<Item = (&variant::Model, Option<&variant::Model>)> {
        let VariantChanges { rows, before, .. } = &self.variants;
        let pairs = rows.iter().enumerate().map(|(index, row)| (row, before.get(index)));
        pairs.filter(|(row, before)| *before != Some(*row))
    }

    /// Returns the SKUs that variants get with the change.
    pub(super) fn changed_skus(&self) -> Vec<String> {
        let is_changed = |(row, before): &(&variant::Model, Option<&variant::Model>)| {
            before.is_none_or(|before| before.sku != row.sku)
        };
        self.changed_variants().filter(is_changed).map(|(row, _)| row.sku.clone()).collect()
    }

    /// Returns the variants in the input that are new or have other option values, with the values.
    pub(super) fn changed_options(&self) -> impl Iterator<Item = (&variant::Model, &[String])> {
        let VariantChanges { rows, before, provided, .. } = &self.variants;
        provided.iter().filter_map(|ProvidedVariant { row_index, option_values, .. }| {
            let row = &rows[*row_index];
            let is_same = |before: &variant::Model| {
                before.name == row.name && before.options_normalized == row.options_normalized
            };
            let is_unchanged = before.get(*row_index).is_some_and(is_same);
            (!is_unchanged).then(|| (row, option_values.as_deref().unwrap_or_default()))
        })
    }

    /// Sets timestamps and versions of the rows that change. A change of option names applies to every active variant,
    /// which display them.
    fn mark_changed_rows(&mut self, now: DateTime<Utc>) {
        let VariantChanges { rows, before, .. } = &mut self.variants;
        for (index, row) in rows.iter_mut().enumerate() {
            let before = before.get(index);
            let shows_options = self.child_rows.options && row.deleted_at.is_none();
            if shows_options || before != Some(&*row) {
                row.updated_at = now;
            }
            if let Some(before) = before.filter(|before| **before != *row) {
                row.version = before.version + 1;
            }
        }
        if self.is_changed() {
            self.product.updated_at = now;
            self.product.version = self.before.as_ref().map_or(1, |before| before.version + 1);
        }
    }

    /// Returns the result, without the rows of other variants.
    pub(super) fn into_written(self) -> WrittenProduct {
        let is_new = self.is_new();
        let changed_variant_ids = self.changed_variants().map(|(row, _)| row.id).collect();
        let VariantChanges { mut rows, provided, .. } = self.variants;
        let take_variant = |ProvidedVariant { row_index, on_hand, .. }| WrittenVariant {
            row: std::mem::take(&mut rows[row_index]),
            on_hand,
        };
        let variants = provided.into_iter().map(take_variant).collect();
        WrittenProduct { product: self.product, is_new, variants, changed_variant_ids }
    }
}

/// Compares the child rows of each product with the existing ones, and marks the rows that change. Statements: 3.
pub(super) async fn compare_child_rows(tx: &Tx, changes: &mut [ProductChange]) -> Result<()> {
    let existing_ids: Vec<i64> =
        changes.iter().filter(|change| !change.is_new()).map(|change| change.product.id).collect();
    let (mut descriptions, mut tags, mut images) = if existing_ids.is_empty() {
        Default::default()
    } else {
        (
            loader::load_descriptions(tx, &existing_ids).await?,
            loader::load_tags(tx, &existing_ids).await?,
            loader::load_images(tx, &existing_ids).await?,
        )
    };
    for change in changes {
        let product_id = change.product.id;
        let description = descriptions.remove(&product_id).and_then(|mut rows| rows.pop());
        change.compare_description(&description.unwrap_or_default());
        change.compare_tags(&tags.remove(&product_id).unwrap_or_default());
        change.compare_images(&images.remove(&product_id).unwrap_or_default());
        if change.child_rows.options {
            change.child_values[1].insert("options".into(), json!(change.variants.option_names));
        }
        change.mark_changed_rows(tx.now());
    }
    Ok(())
}

impl ProductChange {
    fn set_child_values(&mut self, name: &str, before: Value, after: Value) {
        let [values_before, values_after] = &mut self.child_values;
        values_before.insert(name.to_owned(), before);
        values_after.insert(name.to_owned(), after);
    }

    fn compare_description(&mut self, existing: &ProductDescription) {
        let mut description = existing.clone();
        // Stored HTML was sanitized when it was written.
        if let Some(html) = self.content.description.take().filter(|html| html.trim() != existing.html) {
            description.html = sanitize::sanitize_html(html.trim());
            description.text = sanitize::convert_html_to_text(&description.html);
        }
        let SeoPatch { title, description: seo_description } = std::mem::take(&mut self.content.seo);
        title.apply_to(&mut description.seo_title);
        seo_description.apply_to(&mut description.seo_description);
        if description == *existing {
            return;
        }
        let fields = |row: &ProductDescription| {
            [
                ("descriptionHtml", json!(row.html)),
                ("seoTitle", json!(row.seo_title)),
                ("seoDescription", json!(row.seo_description)),
            ]
        };
        for ((name, before), (_, after)) in fields(existing).into_iter().zip(fields(&description)) {
            if before != after {
                self.set_child_values(name, before, after);
            }
        }
        self.child_rows.description = Some(description);
    }

    fn compare_tags(&mut self, existing: &[String]) {
        let Some(provided) = self.content.tags.take() else { return };
        let mut seen = HashSet::new();
        let normalize =
            |tag: &String| NormalizedTag { normalized: text::normalize_text(tag), tag: tag.trim().to_owned() };
        let tags: Vec<NormalizedTag> = provided
            .iter()
            .map(normalize)
            .filter(|tag| !tag.normalized.is_empty() && seen.insert(tag.normalized.clone()))
            .collect();
        let existing_tags: HashSet<String> = existing.iter().map(|tag| text::normalize_text(tag)).collect();
        if seen != existing_tags {
            self.set_child_values("tags", json!(existing), json!(provided));
            self.child_rows.tags = Some(tags);
        }
    }

    fn compare_images(&mut self, existing: &[ProductImage]) {
        let Some(provided) = self.content.images.take().filter(|provided| *provided != existing) else { return };
        let to_urls = |images: &[ProductImage]| images.iter().map(|image| json!(image.url)).collect();
        self.set_child_values("images", to_urls(existing), to_urls(&provided));
        self.child_rows.images = Some(provided);
    }

    /// Returns the audit records of the product and its variants. Updates contain only the fields that differ.
    pub(super) fn to_audit_records(&self, action: &'static str, currency: Currency) -> Vec<AuditRecord> {
        let entity = (NodeType::Product, self.product.id);
        let with_child_values = |row: &product::Model, values: &Map<String, Value>| {
            let mut fields = audit_fields::collect_product_fields(row, currency);
            fields.extend(values.clone());
            Value::Object(fields)
        };
        let variant_to_json = |row: &variant::Model| Value::Object(audit_fields::collect_variant_fields(row, currency));
        let [values_before, values_after] = &self.child_values;
        let after = with_child_values(&self.product, values_after);
        let product_record = match &self.before {
            None => Some(AuditRecord::created("product.create", entity, &after)),
            Some(before) => AuditRecord::updated(action, entity, &with_child_values(before, values_before), &after),
        };
        let variant_records = self.changed_variants().filter_map(|(row, before)| {
            let entity = (NodeType::Variant, row.id);
            let after = variant_to_json(row);
            let Some(before) = before else { return Some(AuditRecord::created("variant.create", entity, &after)) };
            let action = match (before.deleted_at.is_some(), row.deleted_at.is_some()) {
                (false, true) => "variant.delete",
                (true, false) => "variant.restore",
                _ => "variant.update",
            };
            AuditRecord::updated(action, entity, &variant_to_json(before), &after)
        });
        product_record.into_iter().chain(variant_records).collect()
    }
}
