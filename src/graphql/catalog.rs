//! Running the catalog: what staff change, by verb.

/// Does a write; once more where somebody else has taken a name at the same moment, so that the answer says which. Who
/// changes a product holds it before its stock, who buys the other way round, so they may meet crosswise.
macro_rules! write {
    ($scope:expr, $work:expr) => {
        match $scope.db.write_with_retry(|| $work).await {
            Err(why) if why.is_taken() => {
                $scope.db.write_with_retry(|| $work).await.map_err($crate::graphql::catalog::taken)
            }
            other => other,
        }
    };
}

pub mod inputs;
pub mod products;
pub mod variants;
pub mod upsert;
pub mod categories;

use async_graphql::MergedObject;

use super::{context::Scope, product::Product, variant::Variant};
use crate::{
    base::{Error, Result, error::Code},
    catalog::edit::{self, Edited, ProductEdit},
    infra::Tx,
    inventory,
};

/// The catalog's part of the mutation root.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogMutation(
    products::ProductMutation,
    variants::VariantMutation,
    upsert::UpsertMutation,
    categories::CategoryMutation,
);

/// Where an editor says how many they believe to be on hand.
const FIELD: &str = "expectedStockQuantity";

/// What was taken twice in a moment.
fn taken(why: Error) -> Error {
    if !why.is_taken() {
        return why;
    }
    Error::user(Code::AlreadyExists, "", "Somebody else has just taken one of these names.")
}

/// Writes what is said of one product, with its stock.
async fn save(scope: &Scope, one: ProductEdit) -> Result<Edited> {
    let currency = scope.shared.config.shop.currency;
    let edits = [one];
    let mut all = write!(scope, async |tx| {
        let edited = edit::edit_all(tx, currency, &edits).await?;
        stock(tx, &edits.iter().zip(&edited).collect::<Vec<_>>()).await?;
        Ok(edited)
    })?;
    all.pop().ok_or_else(|| Error::fault("changing a product", "nothing came of it"))
}

/// The stock that was said of the variants, and whether their products can be bought. A count that its editor expected to be
/// another one refuses the whole request.
async fn stock(tx: &Tx, edited: &[(&ProductEdit, &Edited)]) -> Result<()> {
    let variants = edited.iter().flat_map(|(edit, edited)| edit.variants.iter().zip(&edited.variants));
    let expected = variants.filter_map(|(edit, row)| {
        let field = if edit.path.is_empty() { FIELD.to_owned() } else { format!("{}.{FIELD}", edit.path) };
        Some((row.id, edit.expected_stock?, field))
    });
    inventory::check_on_hand(tx, &expected.collect::<Vec<_>>()).await?;
    let counts: Vec<(i64, i64)> = edited.iter().flat_map(|(_, one)| one.stock.iter().copied()).collect();
    inventory::recount(tx, &counts).await?;
    let touched: Vec<i64> = edited.iter().flat_map(|(_, one)| one.touched.iter().copied()).collect();
    inventory::mark(tx, &touched).await
}

impl From<Edited> for Product {
    fn from(edited: Edited) -> Self {
        edited.product.into()
    }
}

/// The variant that was said.
fn said(edited: Edited) -> Result<Variant> {
    let Edited { product, mut variants, .. } = edited;
    if variants.is_empty() {
        return Err(Error::fault("changing a variant", "nothing came of it"));
    }
    Ok(Variant::of(variants.swap_remove(0).into(), product.into()))
}
