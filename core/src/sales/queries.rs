//! Queries of the sales use cases.

use chrono::{DateTime, Utc};
use sea_orm::FromQueryResult;

use crate::{
    base::Result,
    infra::{Db, sql_builder::query_rows},
};

/// Maximum number of orders in one batch of expired orders.
pub(super) const EXPIRED_ORDER_BATCH_SIZE: usize = 100;

/// An expired order, which is also the cursor of the next batch.
#[derive(Debug, Clone, Copy, FromQueryResult)]
pub(super) struct ExpiredOrder {
    pub id: i64,
    pub expires_at: DateTime<Utc>,
}

/// Returns one batch of expired orders after a cursor, earliest expiry first; with `variants`, only orders that reserve
/// stock of these variants.
///
/// As text, because a batch continues by a comparison of rows and has a literal limit.
pub(super) async fn find_expired_orders(
    db: &Db,
    now: DateTime<Utc>,
    variants: Option<&[i64]>,
    after: Option<ExpiredOrder>,
) -> Result<Vec<ExpiredOrder>> {
    let mut sql = db.sql();
    sql.push("SELECT o.id, o.expires_at FROM orders AS o WHERE o.expires_at <= ").bind(now);
    if let Some(ExpiredOrder { id, expires_at }) = after {
        sql.push(" AND (o.expires_at, o.id) > (").bind(expires_at).push(", ").bind(id).push(")");
    }
    if let Some(variants) = variants {
        sql.push(" AND EXISTS (SELECT 1 FROM order_line AS l JOIN stock_reservation AS r ON r.order_line_id = l.id WHERE l.order_id = o.id AND ");
        sql.eq_any("r.variant_id", variants.iter().copied()).push(")");
    }
    sql.push(&format!(" ORDER BY o.expires_at, o.id LIMIT {EXPIRED_ORDER_BATCH_SIZE}"));
    query_rows(db, sql).await
}
