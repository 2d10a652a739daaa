//! Statements on carts as text: several tables or rows at once, parts of a batch, and bulk upserts.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ConnectionTrait, FromQueryResult,
};

use super::{
    access::CartContents,
    entity::{CartLineRow, cart, cart_line},
    events::CartChanged,
};
use crate::{
    base::Result,
    infra::{
        Batch, SqlBuilder, Tx,
        sql_builder::{group_by_owner, query_rows},
    },
    pricing::{SellableVariant, queries as pricing_queries},
};

/// Loads the lines of a cart, and the sellable variants of the lines and of `variants`. Statements: 1.
///
/// As text, because it reads the stock of the variants too, in the hot path of every change of a cart.
pub async fn load_cart_contents(
    db: &impl ConnectionTrait,
    cart: i64,
    variants: &[i64],
    now: DateTime<Utc>,
) -> Result<CartContents> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push(
        "SELECT l.id AS line_id, l.position, l.quantity, l.unit_price, l.attributes, l.attribute_digest, \
         l.created_at, l.updated_at, ",
    )
    .push(pricing_queries::SELLABLE_VARIANT_COLUMNS)
    .push(" FROM ")
    .push(pricing_queries::SELLABLE_VARIANT_TABLES);
    sql.push(" LEFT JOIN cart_line AS l ON l.variant_id = v.id AND l.cart_id = ").bind(cart).push(" WHERE v.id ");
    let postgres = sql.is_postgres();
    sql.push(if postgres { "= ANY(ARRAY(" } else { "IN (" });
    sql.push("SELECT variant_id FROM cart_line WHERE cart_id = ").placeholder(1);
    sql.push(if postgres { ") || " } else { " UNION ALL SELECT value FROM json_each(" });
    sql.bind_ints(variants.iter().copied()).push(if postgres { ")" } else { "))" });
    let mut contents = CartContents::default();
    for row in db.query_all_raw(sql.into_statement()).await? {
        let variant = SellableVariant::from_row(&row, now)?;
        if let Some(id) = row.try_get("", "line_id")? {
            contents.lines.push(CartLineRow {
                id,
                cart_id: cart,
                variant_id: variant.variant_id,
                position: row.try_get("", "position")?,
                quantity: row.try_get("", "quantity")?,
                unit_price: row.try_get("", "unit_price")?,
                attributes: row.try_get("", "attributes")?,
                attribute_digest: row.try_get("", "attribute_digest")?,
                created_at: row.try_get("", "created_at")?,
                updated_at: row.try_get("", "updated_at")?,
            });
        }
        contents.variants.insert(variant.variant_id, variant);
    }
    contents.lines.sort_unstable_by_key(|line| (line.position, line.id));
    Ok(contents)
}

/// Locks the cart with this token and the customer's open cart, in primary key order. Statements: 1.
///
/// As text, because it locks several rows in one order, each by an index of its own.
pub(super) async fn lock_both_carts(tx: &Tx, account: i64, token: &str) -> Result<Vec<cart::Model>> {
    let mut sql = tx.sql();
    sql.push("SELECT ").push_columns::<cart::Entity>("cart");
    sql.push(" FROM cart WHERE token = ").bind(token).push(" AND (account_id IS NULL OR account_id = ");
    sql.bind(account).push(") OR status = 'open' AND account_id = ").bind(account).push(" ORDER BY id");
    if sql.is_postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let rows = tx.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| cart::Model::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineWrite {
    /// Inserts new lines and updates existing ones, found by their variant and attributes.
    Upsert,
    /// Inserts lines that were deleted, under their IDs.
    InsertWithId,
}

/// The ID of a written line.
#[derive(Debug, FromQueryResult)]
pub(super) struct WrittenLine {
    /// The line's primary key.
    pub(super) id: i64,
    variant_id: i64,
    attribute_digest: String,
}

impl WrittenLine {
    /// Returns whether this is the ID of a line.
    pub(super) fn is_of(&self, line: &CartLineRow) -> bool {
        self.variant_id == line.variant_id && self.attribute_digest == line.attribute_digest
    }
}

/// Writes lines of a locked cart, increments its version and emits `CartChanged`. Returns the IDs of the lines.
/// Statements: 1 on PostgreSQL, 3 on SQLite.
///
/// As text, because the writes are one batch.
pub(super) async fn write_lines_and_version(
    tx: &Tx,
    cart_id: i64,
    lines: &[CartLineRow],
    write: LineWrite,
) -> Result<Vec<WrittenLine>> {
    let mut batch = Batch::default();
    let mut sql = tx.sql();
    sql.push("UPDATE cart SET version = version + 1, updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(cart_id);
    batch.add(sql);
    batch.add(tx.emit_statement(&[CartChanged { cart: cart_id }])?);
    let rows = tx.query_batch(batch, insert_lines(tx, cart_id, lines, write)).await?;
    Ok(rows.iter().map(|row| WrittenLine::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Upserts lines of a locked cart. Returns the IDs of the lines. Statements: 1, none without lines.
pub(super) async fn write_lines(tx: &Tx, cart_id: i64, lines: &[CartLineRow]) -> Result<Vec<WrittenLine>> {
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    query_rows(tx, insert_lines(tx, cart_id, lines, LineWrite::Upsert)).await
}

/// Returns the statement that writes lines: a bulk insert, with a conflict clause for those that exist.
fn insert_lines(tx: &Tx, cart_id: i64, lines: &[CartLineRow], write: LineWrite) -> SqlBuilder {
    let to_row = |line: &CartLineRow| cart_line::ActiveModel {
        id: if write == LineWrite::InsertWithId { Set(line.id) } else { NotSet },
        cart_id: Set(cart_id),
        variant_id: Set(line.variant_id),
        position: Set(line.position),
        quantity: Set(line.quantity),
        unit_price: Set(line.unit_price),
        attributes: Set(line.attributes.clone()),
        attribute_digest: Set(line.attribute_digest.clone()),
        created_at: Set(line.created_at),
        updated_at: Set(tx.now()),
    };
    let mut sql = tx.sql();
    sql.insert_models(&lines.iter().map(to_row).collect::<Vec<_>>());
    if write == LineWrite::Upsert {
        sql.push(
            " ON CONFLICT (cart_id, variant_id, attribute_digest) DO UPDATE SET quantity = excluded.quantity, \
             unit_price = excluded.unit_price, updated_at = excluded.updated_at",
        );
    }
    sql.push(" RETURNING id, variant_id, attribute_digest");
    sql
}

/// Returns the statement that closes a cart as converted to this order: a part of the batch that places it.
#[must_use]
pub fn close_cart(tx: &Tx, cart_id: i64, order_id: i64) -> SqlBuilder {
    let mut sql = tx.sql();
    sql.push("UPDATE cart SET status = 'ordered', order_id = ").bind(order_id);
    sql.push(", version = version + 1, updated_at = ").bind(tx.now());
    sql.push(" WHERE status = 'open' AND id = ").bind(cart_id);
    sql
}

/// Reopens the cart of an order, unless the customer has another open cart; returns its ID if it was reopened.
/// Statements: 1.
///
/// As text, because the table is compared with itself.
pub(super) async fn reopen_only_cart(tx: &Tx, order_id: i64) -> Result<Option<i64>> {
    let mut sql = tx.sql();
    sql.push("UPDATE cart SET status = 'open', order_id = NULL, version = version + 1, updated_at = ").bind(tx.now());
    sql.push(" WHERE status = 'ordered' AND order_id = ").bind(order_id).push(
        " AND NOT EXISTS (SELECT 1 FROM cart AS other WHERE other.status = 'open' AND other.account_id = cart.account_id) \
         RETURNING id",
    );
    let row = tx.query_one_raw(sql.into_statement()).await?;
    Ok(row.map(|row| row.try_get("", "id")).transpose()?)
}

/// Which carts expire.
#[derive(Debug, Clone, Copy)]
pub(super) enum ExpiringCarts {
    /// Open carts of customers.
    Customer,
    /// Guest carts, and carts that are not open.
    Other,
}

/// Deletes up to `limit` carts that were not updated since a time; returns their number. Statements: 1.
///
/// As text, because carts locked by a concurrent transaction, which updates them, are skipped.
pub(super) async fn delete_expired_batch(
    tx: &Tx,
    carts: ExpiringCarts,
    cutoff: DateTime<Utc>,
    limit: u64,
) -> Result<u64> {
    // The conditions of the two indexes.
    let condition = match carts {
        ExpiringCarts::Customer => "account_id IS NOT NULL AND status = 'open'",
        ExpiringCarts::Other => "(account_id IS NULL OR status <> 'open')",
    };
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart WHERE id IN (SELECT id FROM cart WHERE ").push(condition).push(" AND updated_at < ");
    sql.bind(cutoff).push(&format!(" ORDER BY updated_at LIMIT {limit}"));
    sql.push(if sql.is_postgres() { " FOR UPDATE SKIP LOCKED)" } else { ")" });
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// A cart line of a data export.
#[derive(Debug, FromQueryResult)]
pub(super) struct ExportedCartLine {
    /// The cart.
    pub(super) cart_id: i64,
    /// The variant.
    pub(super) variant_id: i64,
    /// The SKU of the variant.
    pub(super) sku: String,
    /// The quantity.
    pub(super) quantity: i64,
    /// The attributes.
    pub(super) attributes: serde_json::Value,
    /// When the line was added.
    pub(super) created_at: DateTime<Utc>,
}

/// Loads the lines of carts with their SKUs, by cart. Statements: 1.
///
/// As text, because it joins the table of another module.
pub(super) async fn load_exported_lines(
    db: &impl ConnectionTrait,
    cart_ids: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, Vec<ExportedCartLine>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT l.cart_id, l.variant_id, v.sku, l.quantity, l.attributes, l.created_at FROM cart_line AS l ");
    sql.push("JOIN variant AS v ON v.id = l.variant_id WHERE ");
    sql.eq_any("l.cart_id", cart_ids).push(" ORDER BY l.cart_id, l.position");
    Ok(group_by_owner(query_rows(db, sql).await?, |line: &ExportedCartLine| line.cart_id))
}
