//! Invariants of the database, checked with SQL.

use savannah::infra::Db;
use sea_orm::{ConnectionTrait, Statement};

/// Returns the integer result of a query.
pub async fn query_scalar(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.backend(), format!("SELECT CAST(({sql}) AS BIGINT) AS n"));
    let row = db.writer_connection().query_one_raw(statement).await.expect("a response").expect("a row");
    row.try_get("", "n").expect("a number")
}

/// Asserts that none of the queries returns rows.
pub async fn assert_no_rows(db: &Db, all: &[(&str, &str)]) {
    for (violation, sql) in all {
        assert_eq!(query_scalar(db, &format!("SELECT count(*) FROM {sql}")).await, 0, "{violation}");
    }
}

/// Asserts that stock, orders and payments are consistent.
pub async fn assert_invariants(db: &Db) {
    assert_no_rows(db, &INVARIANT_VIOLATIONS).await;
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
    let gaps_sql = "SELECT count(*) FROM outbox_sequence AS h WHERE last_sequence <> \
        (SELECT max(o.sequence) FROM outbox_event AS o WHERE o.aggregate = h.aggregate)";
    assert_eq!(query_scalar(db, gaps_sql).await, 0, "outbox heads behind their events");
    let wrong_tally_sql = "SELECT count(*) FROM category AS c LEFT JOIN category_product_count AS t ON t.category_id \
        = c.id \
        WHERE COALESCE(t.product_count, 0) <> (SELECT count(*) FROM product AS p \
        WHERE p.category_id = c.id AND p.status = 'active' AND p.deleted_at IS NULL)";
    assert_eq!(query_scalar(db, wrong_tally_sql).await, 0, "categories with a wrong product count");
    let wrong_stock_sql = "SELECT count(*) FROM product AS p WHERE in_stock <> EXISTS (SELECT 1 FROM variant AS v \
        LEFT JOIN inventory_level AS i ON i.variant_id = v.id WHERE v.product_id = p.id AND v.deleted_at IS NULL \
        AND (NOT v.track_stock OR v.allow_backorder OR i.on_hand > i.reserved))";
    assert_eq!(query_scalar(db, wrong_stock_sql).await, 0, "products with a wrong in_stock");
    let wrong_price_sql = "SELECT count(*) FROM product AS p WHERE current_price > (SELECT min(v.price) FROM variant \
        AS v \
        WHERE v.product_id = p.id AND v.deleted_at IS NULL)";
    assert_eq!(query_scalar(db, wrong_price_sql).await, 0, "products priced above their cheapest variant");
    let without_variant_sql =
        "SELECT count(*) FROM product AS p WHERE NOT EXISTS (SELECT 1 FROM variant AS v WHERE v.product_id = p.id)";
    assert_eq!(query_scalar(db, without_variant_sql).await, 0, "products without a variant");
}

/// Violations of invariants: description, and the rows that must not exist.
const INVARIANT_VIOLATIONS: [(&str, &str); 14] = [
    (
        "units sold that differ from the counted sales",
        "product AS p WHERE p.units_sold <> COALESCE((SELECT SUM(s.units) FROM counted_sale AS s \
         WHERE s.product_id = p.id), 0)",
    ),
    (
        "negative stock, or reserved above on hand",
        "inventory_level WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand",
    ),
    (
        "on-hand stock that differs from its movements",
        "inventory_level AS i WHERE i.on_hand <> COALESCE((SELECT SUM(delta) FROM stock_movement AS m \
         WHERE m.variant_id = i.variant_id AND m.location_id = i.location_id), 0)",
    ),
    (
        "reserved stock that differs from its reservations",
        "inventory_level AS i WHERE i.reserved <> COALESCE((SELECT SUM(quantity) FROM stock_reservation AS h \
         WHERE h.variant_id = i.variant_id AND h.location_id = i.location_id), 0)",
    ),
    (
        "reservations of finished orders or of shipped units",
        "stock_reservation AS h JOIN order_line AS l ON l.id = h.order_line_id JOIN orders AS o ON o.id = l.order_id \
         WHERE o.status IN ('canceled', 'refunded', 'shipped', 'delivered') \
         OR h.quantity > l.quantity - l.quantity_fulfilled - l.quantity_canceled",
    ),
    (
        "open order lines without their reservations",
        "order_line AS l JOIN orders AS o ON o.id = l.order_id JOIN variant AS v ON v.id = l.variant_id \
         WHERE l.track_stock AND NOT v.allow_backorder AND o.status IN ('pending', 'confirmed', 'processing') \
         AND l.quantity - l.quantity_fulfilled - l.quantity_canceled <> \
         COALESCE((SELECT SUM(quantity) FROM stock_reservation AS h WHERE h.order_line_id = l.id), 0)",
    ),
    (
        "stock movements that differ from shipped units",
        "orders AS o WHERE (SELECT COALESCE(SUM(l.quantity_fulfilled), 0) FROM order_line AS l \
         WHERE l.order_id = o.id AND l.track_stock) <> (SELECT COALESCE(-SUM(m.delta), 0) FROM stock_movement AS m \
         WHERE m.reason = 'sold' AND m.reference = 'order ' || o.number)",
    ),
    (
        "returned units that differ from stock movements",
        "orders AS o WHERE (SELECT COALESCE(SUM(l.quantity_returned), 0) FROM order_line AS l \
         WHERE l.order_id = o.id AND l.track_stock) <> (SELECT COALESCE(SUM(m.delta), 0) FROM stock_movement AS m \
         WHERE m.reason = 'returned' AND m.reference = 'order ' || o.number)",
    ),
    (
        "line quantities that differ from their refund lines",
        "order_line AS l WHERE l.quantity_refunded <> COALESCE((SELECT SUM(r.quantity) FROM refund_line AS r \
         WHERE r.order_line_id = l.id), 0) OR l.quantity_canceled <> COALESCE((SELECT SUM(r.quantity_canceled) FROM \
         refund_line AS r \
         WHERE r.order_line_id = l.id), 0) OR l.quantity_returned <> COALESCE((SELECT SUM(r.quantity_returned) FROM \
         refund_line AS r \
         WHERE r.order_line_id = l.id), 0)",
    ),
    (
        "orders whose status differs from their history",
        "orders AS o WHERE o.status <> COALESCE((SELECT e.to_status FROM order_history AS e \
         WHERE e.order_id = o.id AND e.event_type = 'status' ORDER BY e.id DESC LIMIT 1), 'pending')",
    ),
    (
        "status changes without an event",
        "orders AS o WHERE (SELECT count(*) FROM order_history AS e WHERE e.order_id = o.id AND e.event_type = \
         'status') <> \
         (SELECT count(*) FROM outbox_event AS b WHERE b.event_type = 'OrderStatusChanged' AND b.aggregate = 'order:' || o.id)",
    ),
    (
        "orders without a placement event",
        "orders AS o WHERE 1 <> (SELECT count(*) FROM outbox_event AS b \
         WHERE b.event_type = 'OrderPlaced' AND b.aggregate = 'order:' || o.id)",
    ),
    (
        "payments that differ from their ledger",
        "payment AS p WHERE p.captured <> COALESCE((SELECT SUM(amount) FROM payment_transaction AS e \
         WHERE e.payment_id = p.id AND e.transaction_type = 'capture'), 0) OR p.refunded <> COALESCE((SELECT \
         SUM(amount) \
         FROM payment_transaction AS e WHERE e.payment_id = p.id AND e.transaction_type = 'refund'), 0)",
    ),
    (
        "ordered carts without an order, or the reverse",
        "cart AS c LEFT JOIN orders AS o ON o.id = c.order_id \
         WHERE (c.status = 'ordered') <> (o.id IS NOT NULL) OR (o.id IS NOT NULL AND o.cart_id <> c.id)",
    ),
];

/// Expected notifications by order history and channel.
const EXPECTED_NOTIFICATIONS: &str = "(SELECT h.order_id, h.event_type, w.channel, CASE w.channel WHEN 'sms' THEN \
    o.phone ELSE o.email END AS recipient \
    FROM (SELECT id AS order_id, 'order_placed' AS event_type FROM orders UNION ALL \
    SELECT order_id, 'order_' || to_status FROM order_history WHERE event_type = 'status' \
    AND to_status IN ('confirmed', 'delivered', 'canceled') UNION ALL \
    SELECT order_id, 'order_shipped' FROM fulfillment) AS h JOIN orders AS o ON o.id = h.order_id \
    CROSS JOIN (SELECT 'email' AS channel UNION ALL SELECT 'sms') AS w \
    WHERE w.channel = 'email' OR h.event_type IN ('order_placed', 'order_shipped', 'order_delivered'))";
