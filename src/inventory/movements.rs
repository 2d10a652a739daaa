//! Stock queries: movements, stock levels per location, and low stock.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::stock_level::StockLevelRow;
use crate::{
    base::{
        Result,
        pagination::{CursorType, CursorValue, Page, PageRequest},
    },
    infra::{Db, SqlBuilder, keyset::KeysetOrder},
};

/// A stock movement.
#[derive(Debug, Clone, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct StockMovement {
    pub id: i64,
    pub variant_id: i64,
    pub location_id: i64,
    pub delta: i64,
    pub on_hand: i64,
    pub reason: String,
    pub reference: Option<String>,
    pub actor: String,
    pub created_at: DateTime<Utc>,
}

impl StockMovement {
    /// Returns the pagination cursor of the movement.
    #[must_use]
    pub fn cursor(&self) -> String {
        MOVEMENT_ORDER.cursor(Vec::new(), self.id)
    }
}

/// Newest first.
const MOVEMENT_ORDER: KeysetOrder = KeysetOrder { tag: 'm', columns: &[], id_column: "m.id", descending: true };

/// Returns a page of the stock movements of a variant at a location, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_movements(
    db: &Db,
    variant_id: i64,
    location_id: i64,
    page_request: &PageRequest,
) -> Result<Page<StockMovement>> {
    let mut sql = db.sql();
    sql.push("SELECT m.* FROM stock_movement AS m WHERE m.variant_id = ").bind(variant_id);
    sql.push(" AND m.location_id = ").bind(location_id);
    MOVEMENT_ORDER.load_page(db, sql, page_request).await
}

/// Returns the stock levels of variants at every location. Statements: 1.
pub async fn load_stock_levels(
    db: &impl ConnectionTrait,
    variants: &[i64],
) -> Result<HashMap<i64, Vec<StockLevelRow>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT variant_id, location_id, on_hand, reserved, low_stock_threshold FROM inventory_level WHERE ");
    sql.eq_any("variant_id", variants.iter().copied()).push(" ORDER BY variant_id, location_id");
    let mut levels_by_variant: HashMap<i64, Vec<StockLevelRow>> = HashMap::new();
    for row in db.query_all_raw(sql.into_statement()).await? {
        let row = StockLevelRow::from_query_result(&row, "")?;
        levels_by_variant.entry(row.variant_id).or_default().push(row);
    }
    Ok(levels_by_variant)
}

/// By variant, then by location.
const LOW_STOCK_ORDER: KeysetOrder = KeysetOrder {
    tag: 'l',
    columns: &[("i.variant_id", CursorType::Int)],
    id_column: "i.location_id",
    descending: false,
};

/// Returns a page of the stock levels at or below their low-stock threshold, by variant and location. Statements: 1,
/// using a partial index.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_low_stock(db: &Db, page_request: &PageRequest) -> Result<Page<StockLevelRow>> {
    let mut sql = db.sql();
    sql.push(
        "SELECT i.variant_id, i.location_id, i.on_hand, i.reserved, i.low_stock_threshold FROM inventory_level AS i \
         JOIN variant AS v ON v.id = i.variant_id AND v.deleted_at IS NULL AND v.track_stock \
         WHERE i.low_stock_threshold IS NOT NULL AND i.on_hand - i.reserved <= i.low_stock_threshold",
    );
    LOW_STOCK_ORDER.load_page(db, sql, page_request).await
}

/// Returns the low-stock cursor of a stock level.
#[must_use]
pub fn encode_low_stock_cursor(row: &StockLevelRow) -> String {
    LOW_STOCK_ORDER.cursor(vec![CursorValue::Int(row.variant_id)], row.location_id)
}
