//! Catalog mutations for staff.

pub mod inputs;
pub mod product;
pub mod variant;
pub mod upsert;
pub mod category;

use async_graphql::MergedObject;

use super::{
    product::Product, search_pins::SearchPinMutation, search_ranking::SearchRankingMutation,
    search_synonyms::SearchSynonymMutation, variant::Variant,
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    catalog::write::{ProductPatch, WrittenProduct},
    graphql::context::RequestContext,
    infra::{Db, Tx},
    inventory,
};

/// Catalog mutations.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogMutation(
    product::ProductMutation,
    variant::VariantMutation,
    upsert::UpsertMutation,
    category::CategoryMutation,
    SearchSynonymMutation,
    SearchPinMutation,
    SearchRankingMutation,
);

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
    Error::user(PublicErrorCode::AlreadyExists, "", "One of these names has just been taken; try again.")
}

/// Saves one product with its stock.
async fn save_product(context: &RequestContext, patch: ProductPatch) -> Result<WrittenProduct> {
    let currency = context.app_state.config.shop.currency;
    write_with_name_retry(&context.db, async |tx| inventory::write_product(tx, currency, &patch).await).await
}

impl From<WrittenProduct> for Product {
    fn from(result: WrittenProduct) -> Self {
        result.product.into()
    }
}

/// Extracts the written variant.
fn extract_variant(result: WrittenProduct) -> Result<Variant> {
    let WrittenProduct { product, mut variants, .. } = result;
    if variants.is_empty() {
        return Err(Error::internal("changing a variant", "no result returned"));
    }
    Ok(Variant::with_product(variants.swap_remove(0).row.into(), product.into()))
}
