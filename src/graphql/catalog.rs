//! Catalog mutations for staff.

pub mod inputs;
pub mod products;
pub mod variants;
pub mod upsert;
pub mod categories;

use async_graphql::MergedObject;

use super::{context::RequestContext, product::Product, variant::Variant};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    catalog::write::{self, EditedProduct, ProductPatch},
    infra::{Db, Tx},
    inventory,
};

/// Catalog mutations.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogMutation(
    products::ProductMutation,
    variants::VariantMutation,
    upsert::UpsertMutation,
    categories::CategoryMutation,
);

/// Input field with the expected on-hand quantity.
const EXPECTED_STOCK_FIELD: &str = "expectedStockQuantity";

/// Runs a write transaction and repeats it once after a unique violation, so that validation reports which name was
/// taken by a concurrent transaction. Product edits lock the product before its stock and checkouts lock them in the
/// opposite order, so deadlocks are possible and are retried.
async fn write_with_name_retry<T>(db: &Db, work: impl AsyncFnOnce(&Tx) -> Result<T> + Clone) -> Result<T> {
    match db.write_with_retry(work.clone()).await {
        Err(error) if error.is_unique_violation() => db.write_with_retry(work).await.map_err(map_name_conflict),
        outcome => outcome,
    }
}

/// Maps a unique violation that persists after the retry to a user error.
fn map_name_conflict(error: Error) -> Error {
    if !error.is_unique_violation() {
        return error;
    }
    Error::user(PublicErrorCode::AlreadyExists, "", "Somebody else has just taken one of these names.")
}

/// Saves one product with its stock.
async fn save_product(context: &RequestContext, patch: ProductPatch) -> Result<EditedProduct> {
    let currency = context.app_state.config.shop.currency;
    let patches = [patch];
    let mut results = write_with_name_retry(&context.db, async |tx| {
        let results = write::apply_all_product_patches(tx, currency, &patches).await?;
        apply_stock_changes(tx, &patches.iter().zip(&results).collect::<Vec<_>>()).await?;
        Ok(results)
    })
    .await?;
    results.pop().ok_or_else(|| Error::internal("changing a product", "no result returned"))
}

/// Applies the stock changes of the variants and refreshes `in_stock` of their products. A mismatch with an expected
/// on-hand quantity rejects the whole request.
async fn apply_stock_changes(tx: &Tx, results: &[(&ProductPatch, &EditedProduct)]) -> Result<()> {
    let variants = results.iter().flat_map(|(patch, results)| patch.variants.iter().zip(&results.variants));
    let expected_on_hand = variants.filter_map(|(patch, variant)| {
        let field = if patch.path.is_empty() {
            EXPECTED_STOCK_FIELD.to_owned()
        } else {
            format!("{}.{EXPECTED_STOCK_FIELD}", patch.path)
        };
        Some((variant.id, patch.expected_on_hand?, field))
    });
    inventory::check_on_hand(tx, &expected_on_hand.collect::<Vec<_>>()).await?;
    let on_hand_counts: Vec<(i64, i64)> =
        results.iter().flat_map(|(_, result)| result.on_hand_changes.iter().copied()).collect();
    inventory::set_on_hand_with_audit(tx, &on_hand_counts).await?;
    let affected_ids: Vec<i64> =
        results.iter().flat_map(|(_, result)| result.affected_variant_ids.iter().copied()).collect();
    inventory::refresh_in_stock(tx, &affected_ids).await
}

impl From<EditedProduct> for Product {
    fn from(result: EditedProduct) -> Self {
        result.product.into()
    }
}

/// Extracts the edited variant.
fn extract_variant(result: EditedProduct) -> Result<Variant> {
    let EditedProduct { product, mut variants, .. } = result;
    if variants.is_empty() {
        return Err(Error::internal("changing a variant", "no result returned"));
    }
    Ok(Variant::with_product(variants.swap_remove(0).into(), product.into()))
}
