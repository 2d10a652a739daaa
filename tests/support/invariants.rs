//! Invariants of the database, checked with SQL.

use savannah::{
    consistency::{CheckArea, check_database},
    infra::Db,
};

use super::query_session_scalar;

/// Returns the integer result of a query.
pub async fn query_scalar(db: &Db, sql: &str) -> i64 {
    query_session_scalar(db.writer_connection(), sql).await
}

/// Asserts that none of the queries returns rows.
pub async fn assert_no_rows(db: &Db, all: &[(&str, &str)]) {
    for (violation, sql) in all {
        assert_eq!(query_scalar(db, &format!("SELECT count(*) FROM {sql}")).await, 0, "{violation}");
    }
}

/// Asserts that stock, orders, payments and daily figures are consistent.
pub async fn assert_invariants(db: &Db) {
    assert_checks_pass(db, &[CheckArea::Stock, CheckArea::Orders, CheckArea::Payments, CheckArea::Analytics]).await;
}

/// Asserts that the consistency checks of some areas find nothing.
async fn assert_checks_pass(db: &Db, areas: &[CheckArea]) {
    let report = check_database(db).await.unwrap_or_else(|error| panic!("{}", error.log_message()));
    let findings: Vec<_> = report.findings().filter(|check| areas.contains(&check.area)).collect();
    assert!(findings.is_empty(), "{findings:#?}");
}

/// Asserts that each order event was sent exactly once per channel to its recipient. Requires customers without
/// preferences.
pub async fn assert_order_notifications(db: &Db) {
    let columns = "SELECT order_id, event_type, channel, recipient, count(*) AS many FROM";
    let each = "GROUP BY order_id, event_type, channel, recipient";
    let expected_sql = format!("{columns} {EXPECTED_NOTIFICATIONS} AS c WHERE recipient IS NOT NULL {each}");
    let (all, sent) = ("notification WHERE order_id IS NOT NULL", "status = 'sent'");
    let missing_sql = format!("({expected_sql} EXCEPT {columns} {all} AND {sent} {each}) AS u");
    let unexpected_sql = format!("({columns} {all} {each} EXCEPT {expected_sql}) AS u");
    let foreign_events = "notification AS m WHERE m.order_id IS NOT NULL AND NOT EXISTS \
        (SELECT 1 FROM outbox_event AS b WHERE b.id = m.event_id AND b.aggregate = 'order:' || m.order_id)";
    let all = [
        ("missing or unsent notifications", missing_sql.as_str()),
        ("unexpected or duplicate notifications", unexpected_sql.as_str()),
        ("notifications of another order's event", foreign_events),
    ];
    assert_no_rows(db, &all).await;
}

/// Asserts that no event or job is left over or failed, and that derived catalog data is consistent.
pub async fn assert_jobs_finished_and_catalog_consistent(db: &Db) {
    assert_eq!(
        query_scalar(db, "SELECT count(*) FROM outbox_event WHERE dispatched_at IS NULL").await,
        0,
        "events not relayed"
    );
    assert_eq!(
        query_scalar(db, "SELECT count(*) FROM job WHERE status IN ('dead', 'running')").await,
        0,
        "dead or running jobs"
    );
    let failing_sql = "SELECT count(*) FROM job WHERE status = 'pending' AND last_error IS NOT NULL";
    assert_eq!(query_scalar(db, failing_sql).await, 0, "failing jobs");
    assert_checks_pass(db, &[CheckArea::Catalog, CheckArea::Events]).await;
}

/// Expected notifications by order history and channel.
const EXPECTED_NOTIFICATIONS: &str = "(SELECT h.order_id, h.event_type, w.channel, CASE w.channel WHEN 'sms' THEN \
    o.phone ELSE o.email END AS recipient \
    FROM (SELECT id AS order_id, 'order_placed' AS event_type FROM orders UNION ALL \
    SELECT order_id, 'order_' || to_status FROM order_history WHERE event_type = 'status' \
    AND to_status IN ('confirmed', 'delivered', 'canceled') UNION ALL \
    SELECT order_id, 'order_shipped' FROM fulfillment) AS h JOIN orders AS o ON o.id = h.order_id \
    CROSS JOIN (SELECT 'email' AS channel UNION ALL SELECT 'sms') AS w \
    WHERE w.channel = 'email' OR h.event_type IN ('order_placed', 'order_shipped', 'order_delivered'))";
