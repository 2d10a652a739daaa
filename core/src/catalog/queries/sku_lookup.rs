//! The lookup of variants by SKU, as text: it joins two tables, either of which may have deleted the row.

use sea_orm::FromQueryResult;

use crate::{
    base::Result,
    infra::{Tx, sql_builder::query_rows},
};

/// A variant by its SKU.
#[derive(Debug, FromQueryResult)]
pub(in crate::catalog) struct VariantOfSku {
    /// The variant.
    pub(in crate::catalog) variant_id: i64,
    /// The product of the variant.
    pub(in crate::catalog) product_id: i64,
    /// The SKU.
    pub(in crate::catalog) sku: String,
    /// Whether the variant or the product is deleted.
    pub(in crate::catalog) is_deleted: bool,
}

/// Returns the variants with these SKUs or ids, deleted or not. Statements: 1.
pub(in crate::catalog) async fn load_variants_of_skus<'a>(
    tx: &Tx,
    skus: impl IntoIterator<Item = &'a str>,
    variant_ids: impl IntoIterator<Item = i64>,
) -> Result<Vec<VariantOfSku>> {
    let mut sql = tx.sql();
    sql.push("SELECT v.id AS variant_id, v.product_id, v.sku, ");
    sql.push("COALESCE(v.deleted_at, p.deleted_at) IS NOT NULL AS is_deleted ");
    sql.push("FROM variant AS v JOIN product AS p ON p.id = v.product_id WHERE ");
    sql.eq_any_text("v.sku", skus).push(" OR ").eq_any("v.id", variant_ids);
    query_rows(tx, sql).await
}
