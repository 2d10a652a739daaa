//! Statements of the sender: due deliveries, and which of them wait for others. All take many endpoints at once.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, sea_query::LockType,
};
use serde_json::json;

use crate::{
    base::Result,
    infra::{Db, Tx, eq_any, sql_builder::query_rows},
    webhook::entity::webhook_endpoint,
};

/// Maximum number of due deliveries of an endpoint that are loaded at once.
const MAX_DUE_DELIVERIES: u32 = 64;

/// A due delivery.
#[derive(Debug, FromQueryResult)]
pub(in crate::webhook) struct DueDelivery {
    pub id: i64,
    pub endpoint_id: i64,
    pub event_id: i64,
    pub aggregate: String,
    pub body: Option<String>,
    pub attempts: i32,
    pub failures: i32,
    pub requested_at: DateTime<Utc>,
    /// Whether an earlier one of its aggregate to the endpoint is pending.
    pub has_predecessor: bool,
}

/// When the next delivery of an endpoint is due.
#[derive(Debug, FromQueryResult)]
struct NextDueRow {
    key: i64,
    time: Option<DateTime<Utc>>,
}

/// The condition that a delivery is pending and not known to wait for another: that of the index by due time.
const UNBLOCKED_SQL: &str = "n.status = 'pending' AND NOT n.is_blocked";

/// Returns endpoints. Statements: 1.
pub(in crate::webhook) async fn load_endpoints(
    db: &impl ConnectionTrait,
    endpoint_ids: &[i64],
) -> Result<HashMap<i64, webhook_endpoint::Model>> {
    let ids = eq_any(db, webhook_endpoint::Column::Id, endpoint_ids.iter().copied());
    let rows = webhook_endpoint::Entity::find().filter(ids).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Locks endpoints, in ascending order, and returns them. Whoever finishes deliveries, or decides which ones wait, has
/// locked their endpoint. Statements: 1.
pub(in crate::webhook) async fn lock_endpoints(
    tx: &Tx,
    endpoint_ids: &[i64],
) -> Result<HashMap<i64, webhook_endpoint::Model>> {
    let ids = eq_any(tx, webhook_endpoint::Column::Id, endpoint_ids.iter().copied());
    let query = webhook_endpoint::Entity::find().filter(ids).order_by_asc(webhook_endpoint::Column::Id);
    let rows = query.lock(LockType::NoKeyUpdate).all(tx).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Returns the first due deliveries of endpoints that are not known to wait for others. Statements: 1, none without
/// endpoints; it reads only these.
///
/// As text, because the first rows of each endpoint are compared with other rows of the table.
pub(in crate::webhook) async fn load_due_deliveries(db: &Db, endpoint_ids: &[i64]) -> Result<Vec<DueDelivery>> {
    if endpoint_ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = db.sql();
    sql.with_rows(&[("key", "bigint")], endpoint_ids.iter().map(|id| json!([id])).collect());
    sql.push(
        "SELECT d.id, d.endpoint_id, d.event_id, d.aggregate, d.body, d.attempts, d.failures, d.requested_at, \
         EXISTS (SELECT 1 FROM webhook_delivery AS p WHERE p.endpoint_id = d.endpoint_id \
         AND p.aggregate = d.aggregate AND p.id < d.id AND p.status = 'pending') AS has_predecessor \
         FROM given CROSS JOIN ",
    );
    // SQLite has no LATERAL.
    let is_postgres = sql.is_postgres();
    sql.push(if is_postgres { "LATERAL (SELECT n.* " } else { "webhook_delivery AS d WHERE d.id IN (SELECT n.id " });
    sql.push("FROM webhook_delivery AS n WHERE n.endpoint_id = given.key AND ").push(UNBLOCKED_SQL);
    sql.push(" AND n.next_attempt_at <= ").bind(db.now());
    sql.push(&format!(" ORDER BY n.next_attempt_at, n.id LIMIT {MAX_DUE_DELIVERIES})"));
    sql.push(if is_postgres { " AS d" } else { "" }).push(" ORDER BY d.next_attempt_at, d.id");
    query_rows(db, sql).await
}

/// Marks pending deliveries whose predecessors are still pending. Statements: 1.
///
/// As text, because of the comparison with other rows of the table. The status is not compared, so that the planner reads
/// the rows by key and not by an index of all pending ones.
pub(in crate::webhook) async fn block_deliveries(tx: &Tx, delivery_ids: &[i64]) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE webhook_delivery SET is_blocked = true WHERE next_attempt_at IS NOT NULL AND ");
    sql.eq_any("id", delivery_ids.iter().copied());
    sql.push(
        " AND EXISTS (SELECT 1 FROM webhook_delivery AS p WHERE p.endpoint_id = webhook_delivery.endpoint_id \
         AND p.aggregate = webhook_delivery.aggregate AND p.id < webhook_delivery.id AND p.status = 'pending')",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Makes the next delivery of each endpoint and aggregate due, after the earlier ones are finished. Statements: 1.
///
/// As text, because of the comparison with other rows of the table.
pub(in crate::webhook) async fn unblock_successors(tx: &Tx, aggregates: &[(i64, &str)]) -> Result<()> {
    let mut sql = tx.sql();
    let rows = aggregates.iter().map(|(endpoint_id, aggregate)| json!([endpoint_id, aggregate])).collect();
    sql.with_rows(&[("endpoint_id", "bigint"), ("aggregate", "text")], rows);
    sql.push(
        ", successor AS MATERIALIZED (SELECT (SELECT min(n.id) FROM webhook_delivery AS n \
         WHERE n.endpoint_id = given.endpoint_id AND n.aggregate = given.aggregate AND n.status = 'pending') AS key \
         FROM given) UPDATE webhook_delivery SET is_blocked = false FROM successor \
         WHERE webhook_delivery.id = successor.key AND webhook_delivery.is_blocked",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Returns when the next delivery of each endpoint is due, of those that have one. Statements: 1, none
/// without endpoints; it reads the first entries of an index.
///
/// As text, because a join would read all of them.
pub(in crate::webhook) async fn find_next_due_times(
    tx: &Tx,
    endpoint_ids: &[i64],
) -> Result<HashMap<i64, DateTime<Utc>>> {
    if endpoint_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = tx.sql();
    sql.with_rows(&[("key", "bigint")], endpoint_ids.iter().map(|id| json!([id])).collect());
    sql.push("SELECT given.key, (SELECT min(n.next_attempt_at) FROM webhook_delivery AS n ");
    sql.push("WHERE n.endpoint_id = given.key AND ").push(UNBLOCKED_SQL).push(") AS time FROM given");
    let rows: Vec<NextDueRow> = query_rows(tx, sql).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.key, row.time?))).collect())
}
