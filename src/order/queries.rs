//! Queries of orders and their child rows, batched and limited to an access scope.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::entity::{FulfillmentRow, LineQuantityRow, OrderHistoryRow, OrderLineRow, OrderRow};
use crate::{
    base::{Error, Result},
    customer::OwnerScope,
    infra::{SqlBuilder, Tx},
};

/// Locks an order until the transaction ends and returns it.
///
/// # Errors
/// Returns `NotFound` if it does not exist or is outside the access scope.
pub async fn lock_order(tx: &Tx, order_id: i64, owner_scope: OwnerScope) -> Result<OrderRow> {
    let mut sql = tx.sql();
    sql.push("SELECT o.* FROM orders AS o WHERE o.id = ").bind(order_id);
    push_owner_condition(&mut sql, owner_scope);
    if sql.is_postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let row = tx.query_one_raw(sql.into_statement()).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "order"))?;
    Ok(OrderRow::from_query_result(&row, "")?)
}

/// Returns orders by id, within an access scope. Statements: 1.
pub async fn find_orders_by_ids(
    db: &impl ConnectionTrait,
    keys: &[i64],
    owner_scope: OwnerScope,
) -> Result<HashMap<i64, OrderRow>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT o.* FROM orders AS o WHERE ").eq_any("o.id", keys.iter().copied());
    push_owner_condition(&mut sql, owner_scope);
    let rows = db.query_all_raw(sql.into_statement()).await?;
    rows.iter().map(|row| OrderRow::from_query_result(row, "").map(|row| (row.id, row)).map_err(Error::from)).collect()
}

/// Returns an order that exists, without an access check.
///
/// # Errors
/// Returns an internal error if it does not exist.
pub async fn find_order(db: &impl ConnectionTrait, order_id: i64) -> Result<OrderRow> {
    let row = find_orders_by_ids(db, &[order_id], OwnerScope::All).await?.remove(&order_id);
    row.ok_or_else(|| Error::internal("finding an order", "row not found"))
}

/// Returns the order with this number if it is within the access scope or the token matches. Statements: 1.
pub async fn find_order_by_number(
    db: &impl ConnectionTrait,
    number: &str,
    owner_scope: Option<OwnerScope>,
    token: Option<&str>,
) -> Result<Option<OrderRow>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT o.* FROM orders AS o WHERE o.number = ").bind(number);
    let row = db.query_one_raw(sql.into_statement()).await?;
    let Some(order) = row.map(|row| OrderRow::from_query_result(&row, "")).transpose()? else { return Ok(None) };
    let is_owner = match owner_scope {
        Some(OwnerScope::All) => true,
        Some(OwnerScope::Account(account)) => order.account_id == Some(account),
        None => false,
    };
    Ok(Some(order).filter(|order| is_owner || token.is_some_and(|token| order.has_token(token))))
}

fn push_owner_condition(sql: &mut SqlBuilder, owner_scope: OwnerScope) {
    if let OwnerScope::Account(account) = owner_scope {
        sql.push(" AND o.account_id = ").bind(account);
    }
}

/// Declares a batched query of child rows, grouped by owner in a fixed order.
macro_rules! load_rows_by_owner {
    ($(#[$doc:meta])* $name:ident, $row:ty, $owner:ident, $text:literal, $column:literal, $order:literal) => {
        $(#[$doc])*
        ///
        /// Statements: 1.
        pub async fn $name(db: &impl ConnectionTrait, keys: &[i64]) -> Result<HashMap<i64, Vec<$row>>> {
            let mut sql = SqlBuilder::new(db.get_database_backend());
            sql.push($text).push(" WHERE ").eq_any($column, keys.iter().copied()).push(" ORDER BY ").push($order);
            let mut rows_by_owner: HashMap<i64, Vec<$row>> = HashMap::with_capacity(keys.len());
            for row in db.query_all_raw(sql.into_statement()).await? {
                let row = <$row>::from_query_result(&row, "")?;
                rows_by_owner.entry(row.$owner).or_default().push(row);
            }
            Ok(rows_by_owner)
        }
    };
}

load_rows_by_owner!(
    /// Returns the lines of orders in their original order.
    lines, OrderLineRow, order_id, "SELECT l.* FROM order_line AS l", "l.order_id", "l.order_id, l.position"
);
load_rows_by_owner!(
    /// Returns the history of orders, oldest entry first.
    history, OrderHistoryRow, order_id, "SELECT e.* FROM order_history AS e", "e.order_id", "e.id"
);
load_rows_by_owner!(
    /// Returns the fulfillments of orders.
    fulfillments, FulfillmentRow, order_id, "SELECT f.* FROM fulfillment AS f", "f.order_id", "f.id"
);
load_rows_by_owner!(
    /// Returns the line quantities of fulfillments.
    parcels, LineQuantityRow, owner, "SELECT fulfillment_id AS owner, order_line_id, quantity FROM fulfillment_line",
    "fulfillment_id", "order_line_id"
);
/// Returns the lines of one order in their original order.
pub async fn load_lines_of_order(db: &impl ConnectionTrait, order_id: i64) -> Result<Vec<OrderLineRow>> {
    Ok(lines(db, &[order_id]).await?.remove(&order_id).unwrap_or_default())
}
