//! Statements on stock as text: locks of many rows in one order, statements that read several tables, upserts with a
//! condition, and pages.

use std::collections::HashMap;

use sea_orm::{ActiveValue::Unchanged, ConnectionTrait, DbErr, FromQueryResult};

pub use super::entity::stock_movement::Model as StockMovementRow;
use super::{
    availability::StockAvailability,
    entity::{inventory_level, stock_movement, stock_reservation},
    stock_level::{StockKey, StockLevelRow},
};
use crate::{
    base::{
        Result,
        pagination::{CursorType, CursorValue, Page, PageRequest},
    },
    infra::{
        Db, SqlBuilder, Tx,
        keyset::{self, KeysetOrder},
        sql_builder::query_rows,
    },
};

/// Locks the stock levels of variants until the transaction ends and returns them, always in the same order to prevent
/// deadlocks. Statements: 1.
///
/// As text, because it locks many rows in the hot path of a checkout.
pub async fn lock_stock_levels(tx: &Tx, variants: impl IntoIterator<Item = i64>) -> Result<Vec<StockLevelRow>> {
    let mut sql = tx.sql();
    sql.push("SELECT variant_id, location_id, on_hand, reserved, low_stock_threshold FROM inventory_level WHERE ");
    sql.eq_any("variant_id", variants).push(" ORDER BY variant_id, location_id");
    if sql.is_postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| StockLevelRow::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Locks the products of variants until the transaction ends. No-op on SQLite, which has a single writer.
///
/// As text, because it locks many rows in one order.
pub(super) async fn lock_products(tx: &Tx, variants: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    if sql.is_postgres() {
        sql.push("SELECT id FROM product WHERE id IN (SELECT product_id FROM variant WHERE ");
        sql.eq_any("id", variants.iter().copied()).push(") ORDER BY id FOR NO KEY UPDATE");
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

/// Inverts the `in_stock` flag of those products of variants where it is incorrect. Statements: 1.
///
/// As text, because the flag is compared with three tables.
pub(super) async fn correct_in_stock_flags(tx: &Tx, variants: &[i64]) -> Result<()> {
    let buyable_sql = "EXISTS (SELECT 1 FROM variant AS v LEFT JOIN inventory_level AS i ON i.variant_id = v.id \
                   WHERE v.product_id = product.id AND v.deleted_at IS NULL \
                   AND (NOT v.track_stock OR v.allow_backorder OR i.on_hand > i.reserved))";
    let mut sql = tx.sql();
    sql.push("UPDATE product SET in_stock = NOT in_stock WHERE id IN (SELECT product_id FROM variant WHERE ");
    sql.eq_any("id", variants.iter().copied()).push(") AND in_stock <> ").push(buyable_sql);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// The column of a variant by which availability is summed.
#[derive(Debug, Clone, Copy)]
pub(super) enum AvailabilityOwner {
    /// Per product.
    Product,
    /// Per variant.
    Variant,
}

/// Returns the availability of products or variants. Statements: 1.
///
/// As text, because it sums two tables by condition.
pub(super) async fn load_availability(
    db: &impl ConnectionTrait,
    owner: AvailabilityOwner,
    keys: &[i64],
) -> Result<HashMap<i64, StockAvailability>> {
    let owner = match owner {
        AvailabilityOwner::Product => "v.product_id",
        AvailabilityOwner::Variant => "v.id",
    };
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ").push(owner).push(
        " AS owner, CAST(COALESCE(SUM(CASE WHEN v.track_stock THEN i.on_hand - i.reserved END), 0) AS BIGINT) AS available, \
         MAX(CASE WHEN NOT v.track_stock OR v.allow_backorder OR i.on_hand > i.reserved THEN 1 ELSE 0 END) AS buyable, \
         MIN(CASE WHEN v.track_stock THEN 1 ELSE 0 END) AS tracked, \
         MAX(CASE WHEN v.track_stock AND v.allow_backorder THEN 1 ELSE 0 END) AS backorderable, \
         MAX(CASE WHEN v.track_stock AND i.on_hand - i.reserved <= i.low_stock_threshold THEN 1 ELSE 0 END) AS low \
         FROM variant AS v LEFT JOIN inventory_level AS i ON i.variant_id = v.id WHERE v.deleted_at IS NULL AND ",
    );
    sql.eq_any(owner, keys.iter().copied()).push(" GROUP BY ").push(owner);
    let mut availability_by_owner = HashMap::with_capacity(keys.len());
    for row in db.query_all_raw(sql.into_statement()).await? {
        let flag = |name: &str| Ok::<bool, DbErr>(row.try_get::<i32>("", name)? == 1);
        let availability = StockAvailability {
            available: row.try_get("", "available")?,
            buyable: flag("buyable")?,
            tracked: flag("tracked")?,
            backorderable: flag("backorderable")?,
            low: flag("low")?,
        };
        availability_by_owner.insert(row.try_get("", "owner")?, availability);
    }
    Ok(availability_by_owner)
}

/// An option of a variant.
#[derive(Debug, FromQueryResult)]
pub(super) struct VariantOptionRow {
    /// The product.
    pub(super) product_id: i64,
    /// The variant.
    pub(super) variant_id: i64,
    /// 1 if the variant can be bought, else 0.
    pub(super) buyable: i32,
    /// The position of the option; `None` for a variant without options.
    pub(super) position: Option<i32>,
    /// The name of the option; `None` for a variant without options.
    pub(super) name: Option<String>,
    /// The value of the option.
    pub(super) value: Option<String>,
}

/// Returns the options of the active variants of products, in order. Statements: 1.
///
/// As text, because it compares the stock of a variant.
pub(super) async fn load_variant_option_rows(
    db: &impl ConnectionTrait,
    product_ids: &[i64],
) -> Result<Vec<VariantOptionRow>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push(
        "SELECT v.product_id, v.id AS variant_id, o.position, o.name, o.value, \
         CASE WHEN NOT v.track_stock OR v.allow_backorder OR EXISTS (SELECT 1 FROM inventory_level AS i \
         WHERE i.variant_id = v.id AND i.on_hand > i.reserved) THEN 1 ELSE 0 END AS buyable \
         FROM variant AS v LEFT JOIN variant_option AS o ON o.variant_id = v.id WHERE v.deleted_at IS NULL AND ",
    );
    sql.eq_any("v.product_id", product_ids.iter().copied());
    sql.push(" ORDER BY v.product_id, v.position, v.id, o.position");
    query_rows(db, sql).await
}

/// Inserts the stock levels that are missing. Statements: 1.
///
/// As text, because it is a bulk insert with a conflict clause.
pub(super) async fn insert_missing_levels(tx: &Tx, rows: &[inventory_level::ActiveModel]) -> Result<()> {
    let mut sql = tx.sql();
    sql.insert_models(rows).push(" ON CONFLICT (variant_id, location_id) DO NOTHING");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Inserts stock levels, or sets the on-hand quantities that differ, at least to the reserved quantity. Returns the
/// variants of the rows that were written, ascending. Statements: 1.
///
/// As text, because it is a bulk insert with a conditional conflict clause.
pub(super) async fn upsert_on_hand(tx: &Tx, rows: &[inventory_level::ActiveModel]) -> Result<Vec<i64>> {
    let mut sql = tx.sql();
    sql.insert_models(rows).push(
        " ON CONFLICT (variant_id, location_id) DO UPDATE SET updated_at = excluded.updated_at, \
         last_reason = excluded.last_reason, last_reference = NULL, last_actor = excluded.last_actor, \
         on_hand = CASE WHEN excluded.on_hand < inventory_level.reserved THEN inventory_level.reserved ELSE \
         excluded.on_hand END \
         WHERE inventory_level.on_hand <> excluded.on_hand RETURNING variant_id",
    );
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    let mut variant_ids: Vec<i64> = rows.iter().map(|row| row.try_get("", "variant_id")).collect::<Result<_, _>>()?;
    variant_ids.sort_unstable();
    Ok(variant_ids)
}

/// Deletes reservations. Statements: 1, none without reservations.
///
/// As text, because the builder's list of pairs has a text for each length.
pub(super) async fn delete_reservations<'a>(
    tx: &Tx,
    reservations: impl IntoIterator<Item = &'a stock_reservation::Model>,
) -> Result<()> {
    let to_key = |reservation: &stock_reservation::Model| stock_reservation::ActiveModel {
        order_line_id: Unchanged(reservation.order_line_id),
        location_id: Unchanged(reservation.location_id),
        ..Default::default()
    };
    let keys: Vec<_> = reservations.into_iter().map(to_key).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.with_models(&keys).push(
        "DELETE FROM stock_reservation \
         WHERE (order_line_id, location_id) IN (SELECT order_line_id, location_id FROM given)",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Newest first.
const MOVEMENT_ORDER: KeysetOrder = KeysetOrder { tag: 'm', columns: &[], id_column: "m.id", descending: true };

impl StockMovementRow {
    /// Returns the pagination cursor of the movement.
    #[must_use]
    pub fn cursor(&self) -> String {
        MOVEMENT_ORDER.cursor(Vec::new(), self.id)
    }
}

/// Returns a page of the stock movements of a variant at a location, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_movements(db: &Db, key: StockKey, page_request: &PageRequest) -> Result<Page<StockMovementRow>> {
    let mut sql = db.sql();
    sql.push("SELECT ")
        .push_columns::<stock_movement::Entity>("m")
        .push(" FROM stock_movement AS m WHERE m.variant_id = ")
        .bind(key.variant_id);
    sql.push(" AND m.location_id = ").bind(key.location_id);
    MOVEMENT_ORDER.load_page(db, sql, page_request).await
}

/// Returns the number of stock movements of a variant at a location. Statements: 1.
pub async fn count_movements(db: &Db, key: StockKey) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM stock_movement AS m WHERE m.variant_id = ").bind(key.variant_id);
    sql.push(" AND m.location_id = ").bind(key.location_id);
    keyset::load_count(db, sql).await
}

/// The stock levels at or below their low-stock threshold; the condition is that of a partial index.
const LOW_STOCK_LEVELS: &str = " FROM inventory_level AS i \
    JOIN variant AS v ON v.id = i.variant_id AND v.deleted_at IS NULL AND v.track_stock \
    WHERE i.low_stock_threshold IS NOT NULL AND i.on_hand - i.reserved <= i.low_stock_threshold";

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
    sql.push("SELECT i.variant_id, i.location_id, i.on_hand, i.reserved, i.low_stock_threshold").push(LOW_STOCK_LEVELS);
    LOW_STOCK_ORDER.load_page(db, sql, page_request).await
}

/// Returns the number of stock levels at or below their low-stock threshold. Statements: 1.
pub async fn count_low_stock(db: &Db) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*)").push(LOW_STOCK_LEVELS);
    keyset::load_count(db, sql).await
}

/// Returns the low-stock cursor of a stock level.
#[must_use]
pub fn encode_low_stock_cursor(row: &StockLevelRow) -> String {
    LOW_STOCK_ORDER.cursor(vec![CursorValue::Int(row.variant_id)], row.location_id)
}
