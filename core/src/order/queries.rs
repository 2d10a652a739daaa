//! Queries of orders and their child rows, batched and limited to an access scope.
//!
//! Batches are SQL text whose list of keys is one bound value, so that each is prepared once for any number of keys.

mod anonymize;
mod list;
pub(super) mod media_use;

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LockType,
};

pub(super) use self::anonymize::{AnonymizedOrders, anonymize_finished_orders};
pub use self::list::{count_orders, list_orders};
use super::entity::{
    FulfillmentRow, LineQuantityRow, OrderHistoryRow, OrderLineRow, OrderRow, fulfillment, order_history, order_line,
    orders,
};
use crate::{
    base::{Error, Result},
    customer::OwnerScope,
    infra::{
        Batch, SqlBuilder, Tx, eq_any,
        sql_builder::{group_by_owner, list_columns, query_rows},
    },
};

/// Locks an order until the transaction ends and returns it.
///
/// # Errors
/// Returns `NotFound` if it does not exist or is outside the access scope.
pub async fn lock_order(tx: &Tx, order_id: i64, owner_scope: OwnerScope) -> Result<OrderRow> {
    let is_owned = match owner_scope {
        OwnerScope::Account(account_id) => Condition::all().add(orders::Column::AccountId.eq(account_id)),
        OwnerScope::All => Condition::all(),
    };
    let query = orders::Entity::find_by_id(order_id).filter(is_owned).lock(LockType::NoKeyUpdate);
    query.one(tx).await?.ok_or_else(|| Error::not_found("id", "order"))
}

/// Returns orders by id, within an access scope. Statements: 1.
pub async fn find_orders_by_ids(
    db: &impl ConnectionTrait,
    keys: &[i64],
    owner_scope: OwnerScope,
) -> Result<HashMap<i64, OrderRow>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT ")
        .push_columns::<orders::Entity>("o")
        .push(" FROM orders AS o WHERE ")
        .eq_any("o.id", keys.iter().copied());
    if let OwnerScope::Account(account) = owner_scope {
        sql.push(" AND o.account_id = ").bind(account);
    }
    let rows = query_rows(db, sql).await?;
    Ok(rows.into_iter().map(|row: OrderRow| (row.id, row)).collect())
}

/// Returns orders by number, without an access check. Statements: 1.
pub async fn find_orders_by_numbers<'a>(
    db: &impl ConnectionTrait,
    numbers: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, OrderRow>> {
    let query = orders::Entity::find();
    let rows = query.filter(eq_any(db, orders::Column::Number, numbers.into_iter().map(str::to_owned))).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.number.clone(), row)).collect())
}

/// Returns an order without an access check, if it exists. Statements: 1.
pub async fn find_order_by_id(db: &impl ConnectionTrait, order_id: i64) -> Result<Option<OrderRow>> {
    Ok(orders::Entity::find_by_id(order_id).one(db).await?)
}

/// Returns an order that exists, without an access check.
///
/// # Errors
/// Returns an internal error if it does not exist.
pub async fn find_order(db: &impl ConnectionTrait, order_id: i64) -> Result<OrderRow> {
    find_order_by_id(db, order_id).await?.ok_or_else(|| Error::internal("finding an order", "row not found"))
}

/// Returns the order with this number if it is within the access scope or the token matches. Statements: 1.
pub async fn find_order_by_number(
    db: &impl ConnectionTrait,
    number: &str,
    owner_scope: Option<OwnerScope>,
    token: Option<&str>,
) -> Result<Option<OrderRow>> {
    let order = orders::Entity::find().filter(orders::Column::Number.eq(number)).one(db).await?;
    let is_visible = |order: &OrderRow| {
        let is_owner = owner_scope.is_some_and(|owner_scope| owner_scope.covers_owner(order.account_id));
        is_owner || token.is_some_and(|token| order.has_token(token))
    };
    Ok(order.filter(is_visible))
}

/// Inserts order lines after the batch's statements. Returns their ids, ordered by position.
///
/// As text, because a batch and its last statement are sent together.
pub(super) async fn insert_lines(tx: &Tx, batch: Batch, lines: &[order_line::ActiveModel]) -> Result<Vec<i64>> {
    let mut sql = tx.sql();
    sql.insert_models(lines).push(" RETURNING id, position");
    let rows = tx.query_batch(batch, sql).await?;
    let mut inserted =
        rows.iter().map(|row| InsertedLine::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?;
    inserted.sort_unstable_by_key(|line| line.position);
    Ok(inserted.into_iter().map(|line| line.id).collect())
}

/// Id of an inserted order line with its position in the order.
#[derive(Debug, FromQueryResult)]
struct InsertedLine {
    id: i64,
    position: i32,
}

/// Declares a batched query of child rows, grouped by owner in a fixed order.
macro_rules! load_rows_by_owner {
    ($(#[$doc:meta])* $name:ident, $row:ty, $owner:ident, $select:expr, $column:literal, $order:literal) => {
        $(#[$doc])*
        ///
        /// Statements: 1.
        pub async fn $name(db: &impl ConnectionTrait, keys: &[i64]) -> Result<HashMap<i64, Vec<$row>>> {
            let mut sql = SqlBuilder::new(db.get_database_backend());
            sql.push(&$select).push(" WHERE ").eq_any($column, keys.iter().copied()).push(" ORDER BY ").push($order);
            Ok(group_by_owner(query_rows(db, sql).await?, |row: &$row| row.$owner))
        }
    };
}

load_rows_by_owner!(
    /// Returns the lines of orders in their original order.
    lines, OrderLineRow, order_id, format!("SELECT {} FROM order_line AS l", list_columns::<order_line::Entity>("l")), "l.order_id", "l.order_id, l.position"
);
load_rows_by_owner!(
    /// Returns the history of orders, oldest entry first.
    history, OrderHistoryRow, order_id, format!("SELECT {} FROM order_history AS e", list_columns::<order_history::Entity>("e")), "e.order_id", "e.id"
);
load_rows_by_owner!(
    /// Returns the fulfillments of orders.
    fulfillments, FulfillmentRow, order_id, format!("SELECT {} FROM fulfillment AS f", list_columns::<fulfillment::Entity>("f")), "f.order_id", "f.id"
);
load_rows_by_owner!(
    /// Returns the line quantities of fulfillments.
    parcels, LineQuantityRow, owner, "SELECT fulfillment_id AS owner, order_line_id, quantity FROM fulfillment_line",
    "fulfillment_id", "order_line_id"
);

/// Returns the lines of one order in their original order. Statements: 1.
pub async fn load_lines_of_order(db: &impl ConnectionTrait, order_id: i64) -> Result<Vec<OrderLineRow>> {
    let lines = order_line::Entity::find().filter(order_line::Column::OrderId.eq(order_id));
    Ok(lines.order_by_asc(order_line::Column::Position).all(db).await?)
}
