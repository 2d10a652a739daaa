//! The times by which products are sorted in search results, as text: the view that computes them has no entity.

use sea_orm::ConnectionTrait;

use crate::{base::Result, infra::Tx};

/// Sets the ranking times of products that differ from their current ones. The products are locked. Statements: 1.
pub(in crate::catalog) async fn rank_products(tx: &Tx, products: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE product SET ranked_at = r.ranked_at FROM product_ranking AS r WHERE r.id = product.id AND ");
    sql.push("product.ranked_at <> r.ranked_at AND ").eq_any("product.id", products.iter().copied());
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}
