//! How stock came to be what it is: the ledger, levels at every location, and what is running low.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::row::Row;
use crate::{
    base::{
        Result,
        page::{Cursor, Key, Page, Window},
    },
    infra::{Db, Sql},
};

/// A line of the ledger.
#[derive(Debug, Clone, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct Movement {
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

impl Movement {
    /// Its place in the ledger.
    #[must_use]
    pub fn cursor(&self) -> String {
        Cursor { order: ORDER, keys: Vec::new(), id: self.id }.encode()
    }
}

/// The mark of the ledger's cursors.
const ORDER: char = 'm';

/// A page of the movements of a variant, at one location or at all, newest first. One statement.
///
/// # Errors
/// When the cursor is not one of the ledger, or the database cannot be asked.
pub async fn page(db: &Db, (variant, location): (i64, Option<i64>), window: &Window) -> Result<Page<Movement>> {
    let mut sql = db.sql();
    sql.push("SELECT m.* FROM stock_movement AS m WHERE m.variant_id = ").bind(variant);
    if let Some(location) = location {
        sql.push(" AND m.location_id = ").bind(location);
    }
    if let Some(cursor) = &window.cursor {
        let field = if window.backwards { "before" } else { "after" };
        let cursor = Cursor::decode(cursor, ORDER, &[], field)?;
        sql.push(if window.backwards { " AND m.id > " } else { " AND m.id < " }).bind(cursor.id);
    }
    sql.push(if window.backwards { " ORDER BY m.id" } else { " ORDER BY m.id DESC" });
    sql.push(&format!(" LIMIT {}", window.size + 1));
    let rows = db.query_all_raw(sql.statement()).await?;
    let rows = rows.iter().map(|row| Movement::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::settle(rows, window))
}

/// The stock of variants at every location. One statement for any number.
///
/// # Errors
/// When the database cannot be asked.
pub async fn levels(db: &impl ConnectionTrait, variants: &[i64]) -> Result<HashMap<i64, Vec<Row>>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT variant_id, location_id, on_hand, reserved, low_at FROM inventory WHERE ");
    sql.any("variant_id", variants.iter().copied()).push(" ORDER BY variant_id, location_id");
    let mut found: HashMap<i64, Vec<Row>> = HashMap::new();
    for row in db.query_all_raw(sql.statement()).await? {
        let row = Row::from_query_result(&row, "")?;
        found.entry(row.variant_id).or_default().push(row);
    }
    Ok(found)
}

/// What is low by its own threshold, by variant and location, from a cursor on. One statement, by an index that holds
/// nothing else.
///
/// # Errors
/// When the cursor is not one of this list, or the database cannot be asked.
pub async fn low(db: &Db, window: &Window) -> Result<Page<Row>> {
    let mut sql = db.sql();
    sql.push(
        "SELECT i.variant_id, i.location_id, i.on_hand, i.reserved, i.low_at FROM inventory AS i \
         JOIN variant AS v ON v.id = i.variant_id AND v.deleted_at IS NULL AND v.track_stock \
         WHERE i.low_at IS NOT NULL AND i.on_hand - i.reserved <= i.low_at",
    );
    if let Some(cursor) = &window.cursor {
        let field = if window.backwards { "before" } else { "after" };
        let cursor = Cursor::decode(cursor, LOW, &[Key::Int(0)], field)?;
        let Some(Key::Int(variant)) = cursor.keys.first() else { return Ok(empty()) };
        let way = if window.backwards { "<" } else { ">" };
        sql.push(&format!(" AND (i.variant_id, i.location_id) {way} (")).bind(*variant).push(", ");
        sql.bind(cursor.id).push(")");
    }
    let way = if window.backwards { "DESC" } else { "ASC" };
    sql.push(&format!(" ORDER BY i.variant_id {way}, i.location_id {way} LIMIT {}", window.size + 1));
    let rows = db.query_all_raw(sql.statement()).await?;
    let rows = rows.iter().map(|row| Row::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::settle(rows, window))
}

/// The mark of the cursors of what is low.
const LOW: char = 'l';

/// A row's place among what is low.
#[must_use]
pub fn low_cursor(row: &Row) -> String {
    let keys = vec![Key::Int(row.variant_id)];
    Cursor { order: LOW, keys, id: row.location_id }.encode()
}

fn empty() -> Page<Row> {
    Page { rows: Vec::new(), has_next: false, has_previous: false }
}
