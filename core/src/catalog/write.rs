//! The one write path of products, for edits by staff and for imports: load what exists, match the input with it,
//! check and apply it, compare, and write what differs. The number of statements does not depend on the number of
//! products. Stock is written by `inventory::write_products` and `inventory::import_products`, which call this.

mod input;
mod report;
mod validate;
mod sku;
mod load;
mod match_variants;
mod options;
mod apply;
mod variants;
mod audit_fields;
mod extra_rules;
mod diff;
mod plan;
mod persist;
pub mod reindex;

use iso_currency::Currency;

use super::{
    category::{CategoryIndex, UNCATEGORIZED_NAME},
    category_tree,
};
use crate::{
    base::{Error, Result},
    infra::Tx,
    media::reference::MediaReferences,
};
use load::ExistingRows;
use plan::ProductPlanner;
use validate::WriteContext;

pub use apply::DEFAULT_VARIANT_NAME;
pub(super) use extra_rules::{MAX_SEO_DESCRIPTION_LENGTH, MAX_SEO_TITLE_LENGTH};
pub use input::{
    CategoryInput, OptionInput, ProductPatch, ProductSelector, SaleInput, VariantPatch, VariantSelector, WriteMode,
};
pub use report::{LineMessage, WriteReport, WrittenProduct, WrittenVariant};
pub(super) use validate::{check_image, check_slug};

/// Writes products, each completely or not at all; an import may leave out variants. The products of an import have
/// distinct slugs.
///
/// On-hand quantities and `in_stock` are left to the inventory.
pub async fn write_products(
    tx: &Tx,
    mode: WriteMode,
    currency: Currency,
    patches: &[ProductPatch],
) -> Result<WriteReport> {
    // All writes to the catalog lock the tree first, so what is read stays valid until the transaction ends.
    category_tree::lock_category_tree(tx).await?;
    let rows = ExistingRows::load(tx, mode, patches).await?;
    let mut report = WriteReport::default();
    let category_ids = resolve_categories(tx, &rows, patches, &mut report).await?;
    let media = collect_media(patches).lock(tx).await?;
    let context = WriteContext { mode, currency, now: tx.now(), media };
    let mut planner = ProductPlanner::new(context, rows, &mut report);
    let mut changes = Vec::with_capacity(patches.len());
    let mut actions = Vec::with_capacity(patches.len());
    let mut failures = Vec::new();
    for (index, (patch, category_id)) in patches.iter().zip(category_ids).enumerate() {
        match planner.plan(patch, category_id) {
            Ok(change) => {
                changes.push(change);
                actions.push(patch.action);
            }
            Err(errors) => failures.push((index, errors)),
        }
    }
    diff::compare_child_rows(tx, &mut changes).await?;
    persist::write_changes(tx, &mut changes).await?;
    if mode == WriteMode::Strict {
        let records =
            changes.iter().zip(actions).flat_map(|(change, action)| change.to_audit_records(action, currency));
        tx.record_audit(&records.collect::<Vec<_>>()).await?;
    }
    report.products = changes.into_iter().map(|change| Ok(change.into_written())).collect();
    for (index, errors) in failures {
        report.products.insert(index, Err(errors));
    }
    Ok(report)
}

/// Collects the references to the shop's own pictures.
fn collect_media(patches: &[ProductPatch]) -> MediaReferences {
    let mut references = MediaReferences::default();
    for patch in patches {
        for image in patch.images.value().into_iter().flatten() {
            references.add(image.media_id, &image.url);
        }
        for url in patch.variants.iter().filter_map(|variant| variant.image.value()) {
            references.add(None, url);
        }
    }
    references
}

/// Returns the new category of each product, created if it is missing; `None` leaves the product's category unchanged.
async fn resolve_categories(
    tx: &Tx,
    rows: &ExistingRows,
    patches: &[ProductPatch],
    report: &mut WriteReport,
) -> Result<Vec<Option<i64>>> {
    let is_new = |patch: &ProductPatch| rows.find_product(&patch.selector).is_none();
    let uses_index = |patch: &ProductPatch| match patch.category.value() {
        Some(CategoryInput::Id(_)) => false,
        Some(CategoryInput::Path(_)) => true,
        None => is_new(patch),
    };
    let mut category_index =
        if patches.iter().any(uses_index) { Some(CategoryIndex::load_locked(tx).await?) } else { None };
    let mut category_ids = Vec::with_capacity(patches.len());
    for patch in patches {
        let category_id = match (patch.category.value(), &mut category_index) {
            (Some(CategoryInput::Id(category_id)), _) => Some(*category_id),
            (Some(CategoryInput::Path(path)), Some(index)) if !path.is_empty() => match index.ensure_path(path).await {
                Ok(category_id) => Some(category_id),
                Err(Error::User(error)) => {
                    let slug = patch.slug().unwrap_or_default();
                    report.warn(patch.line, format!("{}; the category of `{slug}` is left out", error.message));
                    None
                }
                Err(error) => return Err(error),
            },
            _ => None,
        };
        category_ids.push(match (category_id, &mut category_index) {
            (None, Some(index)) if is_new(patch) => Some(index.ensure_path(&[UNCATEGORIZED_NAME.to_owned()]).await?),
            _ => category_id,
        });
    }
    if let Some(index) = category_index {
        index.finish().await?;
    }
    Ok(category_ids)
}
