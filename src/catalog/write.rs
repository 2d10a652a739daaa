//! Product edits by staff. Stricter than an import: all validation errors are reported with the path of their input,
//! and a product is written completely or not at all.

mod loaded;
mod validate;
mod options;
mod audit;
mod variants;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use iso_currency::Currency;
use rust_decimal::Decimal;

use super::{
    category::{CategoryIndex, UNCATEGORIZED_NAME},
    child_rows,
    entity::product,
    match_existing::ProductChange,
    persist,
    product_input::{ProductImageInput, ProductInput, PublicationStatus},
    validation_errors::ExpectedVersion,
};
use crate::{
    base::{Error, Result, error::PublicError},
    infra::Tx,
};
use loaded::LoadedProducts;
pub(super) use validate::validate_slug_text as check_slug;

/// A change of a nullable field: unchanged (`None`), cleared (`Some(None)`) or set.
pub type NullablePatch<T> = Option<Option<T>>;

/// Selects the product to edit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ProductSelector {
    /// A product to be created.
    #[default]
    New,
    /// The product with this id, which must exist; with the input path of the id.
    Id(i64, String),
    /// The product of the variant with this id, which must exist; with the input path of the variant's id.
    ByVariantId(i64, String),
    /// The product with this slug or, without one, with this SKU; created if it does not exist.
    BySlugOrSku(Option<String>, Option<String>),
}

/// Changes to one product; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub struct ProductPatch {
    /// Path of the input: `input.17`. Empty if there is none.
    pub path: String,
    /// The product.
    pub selector: ProductSelector,
    /// Expected current version (optimistic locking).
    pub expected_version: Option<ExpectedVersion>,
    /// Audit action of the edit unless the product is created: `product.update`.
    pub action: &'static str,
    /// URL slug.
    pub slug: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Description as unsanitized HTML; empty clears it.
    pub description: Option<String>,
    /// Vendor name; empty clears it.
    pub vendor: Option<String>,
    /// Id of the category.
    pub category_id: Option<i64>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Publication status.
    pub status: Option<PublicationStatus>,
    /// Whether the product is featured (listed first).
    pub featured: Option<bool>,
    /// All images, in order.
    pub images: Option<Vec<ProductImageInput>>,
    /// All options, in order.
    pub options: Option<Vec<OptionInput>>,
    /// Variants to create, change or delete.
    pub variants: Vec<VariantPatch>,
    /// Deletes (`true`) or restores (`false`) the product.
    pub deleted: Option<bool>,
}

/// An option of a product.
#[derive(Debug, Clone, Default)]
pub struct OptionInput {
    /// Name.
    pub name: String,
    /// Previous name; defaults to `name`.
    pub previous_name: Option<String>,
    /// For a new option, the value of all existing variants.
    pub default_value: Option<String>,
}

/// Selects the variant to edit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VariantSelector {
    /// A variant to be created.
    #[default]
    New,
    /// The variant with this id.
    Id(i64),
    /// The variant with this id, to be deleted.
    Delete(i64),
    /// The variant with the given SKU or options; created if it does not exist.
    BySkuOrOptions,
    /// The variant with the given SKU, else the only variant of the product.
    Single,
}

/// Changes to one variant; `None` leaves a field unchanged.
#[derive(Debug, Clone, Default)]
pub struct VariantPatch {
    /// Path of the input: `input.variants.3`. For [`VariantSelector::Delete`] and [`VariantSelector::Id`], of the other
    /// fields.
    pub path: String,
    /// The variant.
    pub selector: VariantSelector,
    /// Expected current version (optimistic locking).
    pub expected_version: Option<ExpectedVersion>,
    /// SKU.
    pub sku: Option<String>,
    /// One value for each option of the product.
    pub options: Option<Vec<String>>,
    /// Regular price.
    pub price: Option<Decimal>,
    /// Sale price; clearing it removes the whole sale.
    pub sale_price: NullablePatch<Decimal>,
    /// Start of the sale.
    pub sale_starts_at: NullablePatch<DateTime<Utc>>,
    /// End of the sale.
    pub sale_ends_at: NullablePatch<DateTime<Utc>>,
    /// On-hand quantity; clearing it disables stock tracking.
    pub on_hand: NullablePatch<i64>,
    /// Expected on-hand quantity.
    pub expected_on_hand: Option<i64>,
    /// Weight in grams.
    pub weight_grams: NullablePatch<i64>,
    /// URL of the image.
    pub image: NullablePatch<String>,
    /// Barcode: EAN, UPC or ISBN.
    pub barcode: NullablePatch<String>,
}

/// The result of a product edit.
#[derive(Debug, Clone)]
pub struct EditedProduct {
    /// The product after the edit.
    pub product: product::Model,
    /// Whether the product was created.
    pub is_new: bool,
    /// The variants in the edit, in order.
    pub variants: Vec<super::variant::Model>,
    /// On-hand quantities to set: variant id and quantity.
    pub on_hand_changes: Vec<(i64, i64)>,
    /// Ids of the variants with changes that may affect their stock.
    pub affected_variant_ids: Vec<i64>,
}

/// The result for one product: written, or its validation errors.
pub type ProductEditResult = Result<EditedProduct, Vec<PublicError>>;

/// State of a batch of product edits.
#[derive(Debug)]
struct EditSession {
    loaded: LoadedProducts,
    currency: Currency,
    now: DateTime<Utc>,
    /// Id of the category for new products without a category.
    uncategorized_id: i64,
    /// Products, slugs and SKUs of earlier edits in the batch.
    edited_product_ids: HashSet<i64>,
    claimed_slugs: HashSet<String>,
    claimed_skus: HashSet<String>,
}

/// Applies product edits, each completely or not at all. Statements: a constant number.
pub async fn apply_product_patches(
    tx: &Tx,
    currency: Currency,
    patches: &[ProductPatch],
) -> Result<Vec<ProductEditResult>> {
    // All writes to the catalog lock the tree first, so what is read stays valid until the transaction ends.
    super::category_tree::lock_category_tree(tx).await?;
    let loaded = LoadedProducts::load(tx, patches).await?;
    let uncategorized_id = ensure_uncategorized(tx, patches, &loaded).await?;
    let (edited_product_ids, claimed_slugs, claimed_skus) = Default::default();
    let mut session = EditSession {
        loaded,
        currency,
        now: tx.now(),
        uncategorized_id,
        edited_product_ids,
        claimed_slugs,
        claimed_skus,
    };
    let prepared: Vec<Result<(ProductInput, ProductChange), Vec<PublicError>>> =
        patches.iter().map(|item| session.prepare_change(item)).collect();
    let (mut outcomes, mut product_changes, mut inputs) = (Vec::new(), Vec::new(), Vec::new());
    for (index, item) in prepared.into_iter().enumerate() {
        match item {
            Ok((input, change)) => {
                outcomes.push(Err(Vec::new()));
                inputs.push((index, input));
                product_changes.push(change);
            }
            Err(problems) => outcomes.push(Err(problems)),
        }
    }
    let mut batch: Vec<_> = inputs.iter().map(|(_, input)| input).zip(product_changes).collect();
    child_rows::compare_child_rows(tx, &mut batch).await?;
    persist::write_changes(tx, &mut batch).await?;
    let action = |index: usize| patches[index].action;
    let audit_records: Vec<_> = inputs
        .iter()
        .zip(&batch)
        .flat_map(|((index, _), (_, change))| audit::build_audit_records(change, action(*index), currency))
        .collect();
    tx.record_audit(&audit_records).await?;
    for ((index, _), (_, change)) in inputs.iter().zip(batch) {
        outcomes[*index] = Ok(audit::build_edited_product(change));
    }
    Ok(outcomes)
}

/// Applies product edits as [`apply_product_patches`] does, all or none.
///
/// # Errors
/// Returns the validation errors of all edits.
pub async fn apply_all_product_patches(
    tx: &Tx,
    currency: Currency,
    patches: &[ProductPatch],
) -> Result<Vec<EditedProduct>> {
    let (mut edited, mut problems) = (Vec::with_capacity(patches.len()), Vec::new());
    for outcome in apply_product_patches(tx, currency, patches).await? {
        match outcome {
            Ok(product) => edited.push(product),
            Err(row_problems) => problems.extend(row_problems),
        }
    }
    Error::fail_if_any(problems)?;
    Ok(edited)
}

/// Returns the category for products without a category, created if missing; 0 if no edit needs it.
async fn ensure_uncategorized(tx: &Tx, patches: &[ProductPatch], loaded: &LoadedProducts) -> Result<i64> {
    if patches.iter().all(|patch| patch.category_id.is_some() || loaded.find_product(&patch.selector).is_some()) {
        return Ok(0);
    }
    let mut category_index = CategoryIndex::load(tx).await?;
    let category_id = category_index.ensure_path(&[UNCATEGORIZED_NAME.to_owned()]).await?;
    category_index.finish().await?;
    Ok(category_id)
}

/// Rows by id.
type RowsById<T> = HashMap<i64, T>;
