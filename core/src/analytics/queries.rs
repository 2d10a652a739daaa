//! Statements of analytics as text.

pub(super) mod report;

use chrono::{DateTime, NaiveDate, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{
    cart_figures::CountedCart,
    entity::counted_sale,
    figure_entity::cart_figure,
    figures::OrderFigures,
    order_source::{CountedLine, CountedOrder, CountedRefund},
    period::DayPeriod,
};
use crate::{
    base::Result,
    infra::{SqlBuilder, Tx, sql_builder::query_rows},
};

/// Inserts the units of order lines, or sets those that differ. Statements: 1, none without rows.
///
/// As text, because it is a bulk insert with a conditional conflict clause.
pub(super) async fn upsert_counted_sales(tx: &Tx, rows: &[counted_sale::ActiveModel]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.insert_models(rows).push(
        " ON CONFLICT (order_line_id) DO UPDATE SET units = excluded.units, updated_at = excluded.updated_at \
         WHERE counted_sale.units <> excluded.units",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Returns the conditions that two orders, `e` and `o`, are of the same customer: by account, email address and phone
/// number, as their indexes have them.
fn same_customer_conditions(sql: &SqlBuilder) -> [String; 3] {
    let collation = if sql.is_postgres() { " COLLATE \"C\"" } else { "" };
    [
        "e.account_id = o.account_id".to_owned(),
        format!("lower(e.email){collation} = lower(o.email){collation}"),
        format!("e.phone{collation} = o.phone{collation}"),
    ]
}

/// Loads what orders are, as far as their figures depend on it. Statements: 1.
///
/// As text, because it has subqueries over the earlier orders of the customers, by the expressions of their indexes.
pub(super) async fn load_orders(db: &impl ConnectionTrait, order_ids: &[i64]) -> Result<Vec<CountedOrder>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    let [same_account, same_email, same_phone] = same_customer_conditions(&sql).map(|condition| {
        format!("EXISTS (SELECT 1 FROM orders AS e WHERE {condition} AND (e.placed_at, e.id) < (o.placed_at, o.id))")
    });
    sql.push(
        "SELECT o.id, o.placed_at, o.status, o.account_id, o.list_subtotal, o.discount, o.shipping, o.tax, o.total, ",
    );
    sql.push("COALESCE(o.shipping_address ->> 'countryCode', o.billing_address ->> 'countryCode') AS country, ");
    sql.push("h.actor_kind, h.actor_id, (o.account_id IS NOT NULL OR o.email IS NOT NULL OR o.phone IS NOT NULL) AS has_customer, ");
    sql.push("CASE WHEN o.account_id IS NOT NULL AND ").push(&same_account).push(" THEN TRUE ");
    sql.push("WHEN o.email IS NOT NULL THEN ").push(&same_email);
    sql.push(" WHEN o.phone IS NOT NULL THEN ").push(&same_phone).push(" ELSE FALSE END AS has_earlier_order, ");
    sql.push("(SELECT p.amount FROM payment AS p WHERE p.order_id = o.id AND NOT p.is_surplus ORDER BY ");
    sql.push(
        "CASE WHEN p.status IN ('authorized', 'captured') THEN 0 ELSE 1 END, p.id DESC LIMIT 1) AS payment_amount ",
    );
    sql.push("FROM orders AS o LEFT JOIN order_history AS h ON h.order_id = o.id AND h.event_type = 'placed' WHERE ");
    sql.eq_any("o.id", order_ids.iter().copied());
    query_rows(db, sql).await
}

/// Loads the lines of orders, in order. Statements: 1.
pub(super) async fn load_lines(db: &impl ConnectionTrait, order_ids: &[i64]) -> Result<Vec<CountedLine>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push(
        "SELECT l.order_id, l.id, l.product_id, l.quantity, l.quantity_canceled, l.total FROM order_line AS l WHERE ",
    );
    sql.eq_any("l.order_id", order_ids.iter().copied()).push(" ORDER BY l.id");
    query_rows(db, sql).await
}

/// Loads the refunds of orders from the ledger, except those of surplus payments. Statements: 1.
pub(super) async fn load_refunds(db: &impl ConnectionTrait, order_ids: &[i64]) -> Result<Vec<CountedRefund>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT p.order_id, t.amount, t.created_at FROM payment AS p JOIN payment_transaction AS t ");
    sql.push("ON t.payment_id = p.id AND t.transaction_type = 'refund' WHERE NOT p.is_surplus AND ");
    sql.eq_any("p.order_id", order_ids.iter().copied());
    query_rows(db, sql).await
}

/// A key of a row.
#[derive(Debug, FromQueryResult)]
struct FigureKeyRow {
    key: i64,
}

/// Returns the orders that were placed after an order that has not been counted yet, and are counted as the first one of
/// the same customer: the events of the orders were handled in another order. Statements: 1.
pub(super) async fn find_later_first_orders(tx: &Tx, order_id: i64) -> Result<Vec<i64>> {
    let mut sql = tx.sql();
    for (index, condition) in same_customer_conditions(&sql).iter().enumerate() {
        sql.push(if index == 0 { "" } else { " UNION " });
        sql.push("SELECT e.id AS key FROM orders AS o JOIN orders AS e ON ").push(condition);
        sql.push(" AND (e.placed_at, e.id) > (o.placed_at, o.id) JOIN order_figure AS f ON f.order_id = e.id AND f.new_customers = 1 ");
        sql.push("WHERE NOT EXISTS (SELECT 1 FROM order_figure AS c WHERE c.order_id = o.id) AND o.id = ")
            .bind(order_id);
    }
    Ok(query_rows::<FigureKeyRow>(tx, sql).await?.into_iter().map(|row| row.key).collect())
}

/// A position in the orders, by the time of their placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub(super) struct OrderPosition {
    pub(super) placed_at: DateTime<Utc>,
    pub(super) id: i64,
}

/// Returns the next orders after a position, placed before a time. Statements: 1.
pub(super) async fn list_orders_after(
    db: &impl ConnectionTrait,
    after: OrderPosition,
    before: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<OrderPosition>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT o.placed_at, o.id FROM orders AS o WHERE (o.placed_at, o.id) > (").bind(after.placed_at);
    sql.push(", ").bind(after.id).push(") AND o.placed_at < ").bind(before);
    sql.push(&format!(" ORDER BY o.placed_at, o.id LIMIT {limit}"));
    query_rows(db, sql).await
}

/// Returns the number of orders placed in a range of time. Statements: 1.
pub(super) async fn count_orders(db: &impl ConnectionTrait, range: (DateTime<Utc>, DateTime<Utc>)) -> Result<i64> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT count(*) AS key FROM orders AS o WHERE o.placed_at >= ").bind(range.0);
    sql.push(" AND o.placed_at < ").bind(range.1);
    Ok(query_rows::<FigureKeyRow>(db, sql).await?.first().map_or(0, |row| row.key))
}

/// A day.
#[derive(Debug, FromQueryResult)]
struct DayRow {
    day: NaiveDate,
}

/// Returns the days on which anything is counted, in a period. Statements: 1.
pub(super) async fn list_counted_days(db: &impl ConnectionTrait, period: Option<DayPeriod>) -> Result<Vec<NaiveDate>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    for (index, table) in
        ["order_figure", "daily_figure", "order_line_figure", "daily_product_figure"].iter().enumerate()
    {
        sql.push(if index == 0 { "SELECT day FROM " } else { " UNION SELECT day FROM " }).push(table);
        if let Some(DayPeriod { from, to }) = period {
            sql.push(" WHERE day BETWEEN ").bind(from).push(" AND ").bind(to);
        }
    }
    sql.push(" ORDER BY day");
    Ok(query_rows::<DayRow>(db, sql).await?.into_iter().map(|row| row.day).collect())
}

/// Computes the sums of a day again from what the orders contribute. Statements: 4.
pub(super) async fn rebuild_sums(tx: &Tx, day: NaiveDate) -> Result<()> {
    let columns = OrderFigures::COLUMNS;
    let sums = columns.map(|column| format!("SUM({column})")).join(", ");
    let order_sums = format!(
        "INSERT INTO daily_figure (day, channel, country, {}) SELECT day, channel, country, {sums} FROM order_figure \
         WHERE day = ",
        columns.join(", ")
    );
    let product_sums = "INSERT INTO daily_product_figure (day, product_id, units, sales) \
                        SELECT day, product_id, SUM(units), SUM(sales) FROM order_line_figure WHERE day = ";
    for (text, grouping) in [
        ("DELETE FROM daily_figure WHERE day = ", ""),
        (order_sums.as_str(), " GROUP BY day, channel, country"),
        ("DELETE FROM daily_product_figure WHERE day = ", ""),
        (product_sums, " GROUP BY day, product_id"),
    ] {
        let mut sql = tx.sql();
        sql.push(text).bind(day).push(grouping);
        tx.execute_raw(sql.into_statement()).await?;
    }
    Ok(())
}

/// Collects the planner's statistics of the tables of figures on PostgreSQL. Statements: 1, none on SQLite.
pub(super) async fn collect_statistics(tx: &Tx) -> Result<()> {
    if tx.sql().is_postgres() {
        tx.execute_unprepared("ANALYZE order_figure, order_line_figure, daily_figure, daily_product_figure").await?;
    }
    Ok(())
}

/// An event of a cart.
#[derive(Debug, FromQueryResult)]
pub(super) struct CartEventRow {
    pub(super) position: i64,
    pub(super) event_type: String,
    pub(super) aggregate: String,
}

/// Returns the events after a position, in order. Statements: 1.
pub(super) async fn list_events_after(tx: &Tx, position: i64, limit: usize) -> Result<Vec<CartEventRow>> {
    let mut sql = tx.sql();
    sql.push("SELECT e.position, e.event_type, e.aggregate FROM outbox_event AS e WHERE e.position > ").bind(position);
    sql.push(&format!(" ORDER BY e.position LIMIT {limit}"));
    query_rows(tx, sql).await
}

/// Loads carts, as far as their figures depend on them. Statements: 1.
pub(super) async fn load_carts(db: &impl ConnectionTrait, cart_ids: &[i64]) -> Result<Vec<CountedCart>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT c.id, c.status, c.created_at, ");
    sql.push("EXISTS (SELECT 1 FROM cart_line AS l WHERE l.cart_id = c.id) AS has_lines FROM cart AS c WHERE ");
    sql.eq_any("c.id", cart_ids.iter().copied());
    query_rows(db, sql).await
}

/// Returns the next carts after one, by id. Statements: 1.
pub(super) async fn list_carts_after(db: &impl ConnectionTrait, after: i64, limit: usize) -> Result<Vec<i64>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT c.id AS key FROM cart AS c WHERE c.id > ")
        .bind(after)
        .push(&format!(" ORDER BY c.id LIMIT {limit}"));
    Ok(query_rows::<FigureKeyRow>(db, sql).await?.into_iter().map(|row| row.key).collect())
}

/// Inserts the figures of carts, or sets those that differ. A cart stays on the day on which it was counted first.
/// Statements: 1, none without rows.
///
/// As text, because it is a bulk insert with a conditional conflict clause.
pub(super) async fn upsert_cart_figures(tx: &Tx, rows: &[cart_figure::ActiveModel]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut sql = tx.sql();
    sql.insert_models(rows).push(
        " ON CONFLICT (cart_id) DO UPDATE SET carts = excluded.carts, ordered_carts = excluded.ordered_carts, \
         updated_at = excluded.updated_at WHERE cart_figure.carts <> excluded.carts \
         OR cart_figure.ordered_carts <> excluded.ordered_carts",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Deletes the figures of carts that no longer exist, up to a limit; returns how many. Their sums stay. Statements: 1.
///
/// As text, because the tables belong to different modules.
pub(super) async fn delete_figures_of_deleted_carts(tx: &Tx, limit: usize) -> Result<u64> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM cart_figure WHERE cart_id IN (SELECT f.cart_id FROM cart_figure AS f ");
    sql.push(&format!("WHERE NOT EXISTS (SELECT 1 FROM cart AS c WHERE c.id = f.cart_id) LIMIT {limit})"));
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}
