//! The `in_stock` flag of products.

use super::queries;
use crate::{base::Result, infra::Tx};

/// Updates the `in_stock` flag of the products of variants, by which product lists filter. Writes only products whose
/// flag changes, so that most sales do not touch the product row.
///
/// Locks the products before reading stock: of two concurrent transactions that sell the last units of two variants of
/// one product, the second waits for the lock and then sees the change of the first.
pub async fn refresh_in_stock(tx: &Tx, variants: &[i64]) -> Result<()> {
    if variants.is_empty() {
        return Ok(());
    }
    queries::lock_products(tx, variants).await?;
    queries::correct_in_stock_flags(tx, variants).await
}
