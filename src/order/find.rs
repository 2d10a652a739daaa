//! Orders and what hangs on them, for many at once and within somebody's reach.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::entity::{Entry, Fulfilment, Line, Order, Part, Refund};
use crate::{
    base::{Error, Result},
    customer::Reach,
    infra::{Sql, Tx},
};

/// Reads an order and keeps others from changing it until the transaction ends.
///
/// # Errors
/// When it is not there or out of reach, or the database refuses.
pub async fn hold(tx: &Tx, key: i64, reach: Reach) -> Result<Order> {
    let mut sql = tx.sql();
    sql.push("SELECT o.* FROM customer_order AS o WHERE o.id = ").bind(key);
    within(&mut sql, reach);
    if sql.postgres() {
        sql.push(" FOR NO KEY UPDATE");
    }
    let row = tx.query_one_raw(sql.statement()).await?;
    let row = row.ok_or_else(|| Error::not_found("id", "order"))?;
    Ok(Order::from_query_result(&row, "")?)
}

/// Orders by their keys. One statement for any number.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_key(db: &impl ConnectionTrait, keys: &[i64], reach: Reach) -> Result<HashMap<i64, Order>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT o.* FROM customer_order AS o WHERE ").any("o.id", keys.iter().copied());
    within(&mut sql, reach);
    let rows = db.query_all_raw(sql.statement()).await?;
    rows.iter().map(|row| Order::from_query_result(row, "").map(|row| (row.id, row)).map_err(Error::from)).collect()
}

/// The order of a number, for whoever may see it or knows its token. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn by_number(
    db: &impl ConnectionTrait,
    number: &str,
    (reach, token): (Option<Reach>, Option<&str>),
) -> Result<Option<Order>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT o.* FROM customer_order AS o WHERE o.number = ").bind(number);
    let row = db.query_one_raw(sql.statement()).await?;
    let Some(order) = row.map(|row| Order::from_query_result(&row, "")).transpose()? else { return Ok(None) };
    let reached = match reach {
        Some(Reach::All) => true,
        Some(Reach::Own(account)) => order.account_id == Some(account),
        None => false,
    };
    Ok(Some(order).filter(|order| reached || token.is_some_and(|token| order.has_token(token))))
}

fn within(sql: &mut Sql, reach: Reach) {
    if let Reach::Own(account) = reach {
        sql.push(" AND o.account_id = ").bind(account);
    }
}

/// Declares what finds the rows of a kind that hang on many others, in one order.
macro_rules! of_many {
    ($(#[$doc:meta])* $name:ident, $row:ty, $owner:ident, $text:literal, $column:literal, $order:literal) => {
        $(#[$doc])*
        ///
        /// One statement for any number.
        ///
        /// # Errors
        /// When the database cannot be asked.
        pub async fn $name(db: &impl ConnectionTrait, keys: &[i64]) -> Result<HashMap<i64, Vec<$row>>> {
            let mut sql = Sql::new(db.get_database_backend());
            sql.push($text).push(" WHERE ").any($column, keys.iter().copied()).push(" ORDER BY ").push($order);
            let mut found: HashMap<i64, Vec<$row>> = HashMap::with_capacity(keys.len());
            for row in db.query_all_raw(sql.statement()).await? {
                let row = <$row>::from_query_result(&row, "")?;
                found.entry(row.$owner).or_default().push(row);
            }
            Ok(found)
        }
    };
}

of_many!(
    /// The lines of orders, as they were put.
    lines, Line, order_id, "SELECT l.* FROM order_line AS l", "l.order_id", "l.order_id, l.position"
);
of_many!(
    /// The history of orders, from the beginning.
    history, Entry, order_id, "SELECT e.* FROM order_entry AS e", "e.order_id", "e.id"
);
of_many!(
    /// The parcels of orders.
    fulfilments, Fulfilment, order_id, "SELECT f.* FROM fulfilment AS f", "f.order_id", "f.id"
);
of_many!(
    /// What is in parcels.
    parcels, Part, owner, "SELECT fulfilment_id AS owner, order_line_id, quantity FROM fulfilment_line",
    "fulfilment_id", "order_line_id"
);
of_many!(
    /// What has gone back, or is on its way.
    refunds, Refund, order_id, "SELECT r.* FROM refund AS r", "r.order_id", "r.id"
);
of_many!(
    /// What money goes back for.
    refunded, Part, owner, "SELECT refund_id AS owner, order_line_id, quantity FROM refund_line",
    "refund_id", "order_line_id"
);

/// The lines of one order, as they were put.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lines_of(db: &impl ConnectionTrait, order: i64) -> Result<Vec<Line>> {
    Ok(lines(db, &[order]).await?.remove(&order).unwrap_or_default())
}
