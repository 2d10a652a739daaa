//! Stock queries: movements, stock levels per location, and low stock.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::stock_level::StockLevelRow;
use crate::{
    base::{
        Result,
        pagination::{Cursor, CursorValue, Page, PageRequest},
    },
    infra::{Db, SqlBuilder},
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
        Cursor { sort_tag: MOVEMENT_CURSOR_TAG, values: Vec::new(), id: self.id }.encode()
    }
}

/// Sort tag of movement cursors.
const MOVEMENT_CURSOR_TAG: char = 'm';

/// Returns a page of a variant's stock movements, at one location or at all, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_movements(
    db: &Db,
    (variant, location): (i64, Option<i64>),
    page_request: &PageRequest,
) -> Result<Page<StockMovement>> {
    let mut sql = db.sql();
    sql.push("SELECT m.* FROM stock_movement AS m WHERE m.variant_id = ").bind(variant);
    if let Some(location) = location {
        sql.push(" AND m.location_id = ").bind(location);
    }
    if let Some(cursor) = &page_request.cursor {
        let field = if page_request.backwards { "before" } else { "after" };
        let cursor = Cursor::decode(cursor, MOVEMENT_CURSOR_TAG, &[], field)?;
        sql.push(if page_request.backwards { " AND m.id > " } else { " AND m.id < " }).bind(cursor.id);
    }
    sql.push(if page_request.backwards { " ORDER BY m.id" } else { " ORDER BY m.id DESC" });
    sql.push(&format!(" LIMIT {}", page_request.size + 1));
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let rows = rows.iter().map(|row| StockMovement::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::from_rows(rows, page_request))
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
    if let Some(cursor) = &page_request.cursor {
        let field = if page_request.backwards { "before" } else { "after" };
        let cursor = Cursor::decode(cursor, LOW_STOCK_CURSOR_TAG, &[CursorValue::Int(0)], field)?;
        let Some(CursorValue::Int(variant)) = cursor.values.first() else { return Ok(empty_page()) };
        let direction = if page_request.backwards { "<" } else { ">" };
        sql.push(&format!(" AND (i.variant_id, i.location_id) {direction} (")).bind(*variant).push(", ");
        sql.bind(cursor.id).push(")");
    }
    let direction = if page_request.backwards { "DESC" } else { "ASC" };
    sql.push(&format!(" ORDER BY i.variant_id {direction}, i.location_id {direction} LIMIT {}", page_request.size + 1));
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let rows = rows.iter().map(|row| StockLevelRow::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::from_rows(rows, page_request))
}

/// Sort tag of low-stock cursors.
const LOW_STOCK_CURSOR_TAG: char = 'l';

/// Returns the low-stock cursor of a stock level.
#[must_use]
pub fn encode_low_stock_cursor(row: &StockLevelRow) -> String {
    let keys = vec![CursorValue::Int(row.variant_id)];
    Cursor { sort_tag: LOW_STOCK_CURSOR_TAG, values: keys, id: row.location_id }.encode()
}

fn empty_page() -> Page<StockLevelRow> {
    Page { rows: Vec::new(), has_next: false, has_previous: false }
}
