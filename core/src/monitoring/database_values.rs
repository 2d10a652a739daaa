//! The values of metrics that are read from the database.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::FromQueryResult;

use crate::{
    base::Result,
    infra::{
        Db, SqlBuilder,
        sql_builder::query_rows,
        telemetry::{
            Metrics,
            names::{
                self, ENDPOINT_STATES, JOB_LAG, JOB_STATES, JOBS, ORDERS_OVERDUE, OTHER, OUTBOX_EVENTS, OUTBOX_LAG,
                PAYMENTS_PENDING, WEBHOOK_ENDPOINTS,
            },
        },
    },
};

/// Maximum number of rows that are counted: a backlog must not make the collection slow.
const MAX_COUNTED_ROWS: u32 = 50_000;
/// Time after which an order that has expired should have been canceled.
const CANCELLATION_DELAY: TimeDelta = TimeDelta::minutes(10);

/// A value, with up to two labels.
#[derive(Debug, FromQueryResult)]
pub(super) struct DatabaseValue {
    metric: String,
    label: String,
    state: String,
    value: i64,
    /// Time of the oldest row.
    since: Option<DateTime<Utc>>,
}

/// Reads the values. Statements: 1, which reads a bounded number of index entries.
///
/// As text, because it unites limited counts of several tables.
pub(super) async fn load_values(db: &Db, queues: &[&'static str]) -> Result<Vec<DatabaseValue>> {
    let mut sql = db.sql();
    // PostgreSQL needs the type of the column in the first part; SQLite would convert texts to numbers.
    let no_time = if sql.is_postgres() { "CAST(NULL AS timestamptz)" } else { "NULL" };
    for (index, state) in JOB_STATES.into_iter().enumerate() {
        if index > 0 {
            sql.push(" UNION ALL ");
        }
        let rows = format!("SELECT queue FROM job WHERE status = '{state}' LIMIT {MAX_COUNTED_ROWS}");
        push_count(&mut sql, JOBS, ("queue", &format!("'{state}'")), no_time, &rows);
        sql.push(" GROUP BY queue");
    }
    for queue in queues {
        sql.push(&format!(" UNION ALL SELECT '{JOB_LAG}', CAST(")).bind(*queue).push(" AS TEXT), '', 0, ");
        sql.push("(SELECT min(run_at) FROM job WHERE queue = ").bind(*queue);
        sql.push(" AND status IN ('pending', 'running'))");
    }
    let limited = |rows: &str| format!("{rows} LIMIT {MAX_COUNTED_ROWS}");
    let events = limited("SELECT created_at FROM outbox_event WHERE dispatched_at IS NULL ORDER BY id");
    sql.push(" UNION ALL ");
    push_count(&mut sql, OUTBOX_EVENTS, ("''", "''"), "min(created_at)", &events);
    let payments = limited("SELECT 1 FROM payment WHERE status IN ('pending', 'action_required')");
    sql.push(" UNION ALL ");
    push_count(&mut sql, PAYMENTS_PENDING, ("''", "''"), no_time, &payments);
    sql.push(&format!(" UNION ALL SELECT '{ORDERS_OVERDUE}', '', '', count(*), {no_time} FROM ("));
    sql.push("SELECT 1 FROM orders WHERE expires_at < ").bind(db.now() - CANCELLATION_DELAY);
    sql.push(&format!(" LIMIT {MAX_COUNTED_ROWS}) AS counted UNION ALL "));
    let endpoints = limited("SELECT status FROM webhook_endpoint");
    push_count(&mut sql, WEBHOOK_ENDPOINTS, ("''", "status"), no_time, &endpoints);
    sql.push(" GROUP BY status");
    query_rows(db, sql).await
}

/// Adds a count of rows with the time of the oldest.
fn push_count(sql: &mut SqlBuilder, metric: &str, (label, state): (&str, &str), since: &str, rows: &str) {
    sql.push(&format!(
        "SELECT '{metric}' AS metric, {label} AS label, {state} AS state, count(*) AS value, \
         {since} AS since FROM ({rows}) AS counted"
    ));
}

/// Sets the gauges to the values. What has no row is 0.
pub(super) fn set_gauges(metrics: &Metrics, queues: &[&'static str], values: &[DatabaseValue], now: DateTime<Utc>) {
    let known_queue = |label: &str| queues.iter().find(|queue| **queue == label).copied().unwrap_or(OTHER);
    let sum = |matches: &dyn Fn(&DatabaseValue) -> bool| {
        let total: i64 = values.iter().filter(|row| matches(row)).map(|row| row.value).sum();
        u32::try_from(total).map_or(f64::from(u32::MAX), f64::from)
    };
    for queue in queues.iter().copied().chain([OTHER]) {
        for state in JOB_STATES {
            let count = sum(&|row| row.metric == JOBS && row.state == state && known_queue(&row.label) == queue);
            metrics.set_labeled_gauge(JOBS, &[("queue", queue), ("state", state)], count);
        }
    }
    let age = |row: &DatabaseValue| {
        row.since.and_then(|since| (now - since).to_std().ok()).map_or(0.0, |age| age.as_secs_f64())
    };
    for row in values {
        match row.metric.as_str() {
            JOB_LAG => metrics.set_labeled_gauge(JOB_LAG, &[("queue", known_queue(&row.label))], age(row)),
            OUTBOX_EVENTS => metrics.set_gauge(OUTBOX_LAG, age(row)),
            _ => {}
        }
    }
    for name in [OUTBOX_EVENTS, PAYMENTS_PENDING, ORDERS_OVERDUE] {
        metrics.set_gauge(name, sum(&|row| row.metric == name));
    }
    for status in ENDPOINT_STATES {
        let count = sum(&|row| row.metric == WEBHOOK_ENDPOINTS && row.state == status);
        metrics.set_labeled_gauge(WEBHOOK_ENDPOINTS, &[("status", status)], count);
    }
    metrics.set_gauge(names::DATABASE_UP, 1.0);
}
