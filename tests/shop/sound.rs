//! What must hold in a shop's database, whatever has happened: asked of the database itself.

use savannah::infra::Db;
use sea_orm::{ConnectionTrait, Statement};

/// The one number that a query answers.
pub async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.backend(), format!("SELECT CAST(({sql}) AS BIGINT) AS n"));
    let row = db.owner().query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get("", "n").expect("a number")
}

/// Fails when there is any of what must not be.
pub async fn wrong(db: &Db, all: &[(&str, &str)]) {
    for (what, sql) in all {
        assert_eq!(number(db, &format!("SELECT count(*) FROM {sql}")).await, 0, "{what}");
    }
}

/// Fails when anything about stock, orders and money does not add up.
pub async fn add_up(db: &Db) {
    wrong(db, &WRONGS).await;
}

/// Fails when an order was not told of to whoever it is to be told, once by each way, and that is out. For shops whose
/// buyers have chosen nothing.
pub async fn all_told(db: &Db) {
    let columns = "SELECT order_id, occasion, channel, recipient, count(*) AS many FROM";
    let each = "GROUP BY order_id, occasion, channel, recipient";
    let called = format!("{columns} {CALLED} AS c WHERE recipient IS NOT NULL {each}");
    let (all, sent) = ("message WHERE order_id IS NOT NULL", "state = 'sent'");
    let untold = format!("({called} EXCEPT {columns} {all} AND {sent} {each}) AS u");
    let uncalled = format!("({columns} {all} {each} EXCEPT {called}) AS u");
    let elsewhere = "message AS m WHERE m.order_id IS NOT NULL AND NOT EXISTS \
        (SELECT 1 FROM outbox AS b WHERE b.id = m.event_id AND b.aggregate = 'order:' || m.order_id)";
    let all = [
        ("what was not told once, or is not out", untold.as_str()),
        ("what was told and did not happen, or was told twice", uncalled.as_str()),
        ("what was told of another order's event", elsewhere),
    ];
    wrong(db, &all).await;
}

/// Fails when some of what was to be done was not, or when anything that the catalog derives is not what its parts say.
pub async fn settled(db: &Db) {
    assert_eq!(number(db, "SELECT count(*) FROM outbox WHERE relayed_at IS NULL").await, 0, "events untold");
    assert_eq!(number(db, "SELECT count(*) FROM job WHERE state IN ('dead', 'running')").await, 0, "work left over");
    let failing = "SELECT count(*) FROM job WHERE state = 'waiting' AND last_error IS NOT NULL";
    assert_eq!(number(db, failing).await, 0, "work that fails");
    let gaps = "SELECT count(*) FROM outbox_head AS h WHERE sequence <> \
        (SELECT max(o.sequence) FROM outbox AS o WHERE o.aggregate = h.aggregate)";
    assert_eq!(number(db, gaps).await, 0, "events that are not numbered to the end");
    let wrong_tally = "SELECT count(*) FROM category AS c LEFT JOIN category_tally AS t ON t.category_id = c.id \
        WHERE COALESCE(t.products, 0) <> (SELECT count(*) FROM product AS p \
        WHERE p.category_id = c.id AND p.status = 'active' AND p.deleted_at IS NULL)";
    assert_eq!(number(db, wrong_tally).await, 0, "categories whose tally is wrong");
    let wrong_stock = "SELECT count(*) FROM product AS p WHERE in_stock <> EXISTS (SELECT 1 FROM variant AS v \
        LEFT JOIN inventory AS i ON i.variant_id = v.id WHERE v.product_id = p.id AND v.deleted_at IS NULL \
        AND (NOT v.track_stock OR v.backorder OR i.on_hand > i.reserved))";
    assert_eq!(number(db, wrong_stock).await, 0, "products that do not know whether they are in stock");
    let wrong_price = "SELECT count(*) FROM product AS p WHERE price_now > (SELECT min(v.price) FROM variant AS v \
        WHERE v.product_id = p.id AND v.deleted_at IS NULL)";
    assert_eq!(number(db, wrong_price).await, 0, "products dearer than their cheapest variant");
    let alone =
        "SELECT count(*) FROM product AS p WHERE NOT EXISTS (SELECT 1 FROM variant AS v WHERE v.product_id = p.id)";
    assert_eq!(number(db, alone).await, 0, "products without a variant");
}

/// What must never be, as what is counted of it.
const WRONGS: [(&str, &str); 13] = [
    ("stock below zero, or promised beyond it", "inventory WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand"),
    (
        "stock that is not what the ledger says",
        "inventory AS i WHERE i.on_hand <> COALESCE((SELECT SUM(delta) FROM stock_movement AS m \
         WHERE m.variant_id = i.variant_id AND m.location_id = i.location_id), 0)",
    ),
    (
        "promises that are not what is reserved",
        "inventory AS i WHERE i.reserved <> COALESCE((SELECT SUM(quantity) FROM stock_hold AS h \
         WHERE h.variant_id = i.variant_id AND h.location_id = i.location_id), 0)",
    ),
    (
        "promises to orders that have ended, or to what was sent",
        "stock_hold AS h JOIN order_line AS l ON l.id = h.order_line_id JOIN customer_order AS o ON o.id = l.order_id \
         WHERE o.status IN ('cancelled', 'refunded', 'shipped', 'delivered') \
         OR h.quantity > l.quantity - l.fulfilled - l.cancelled",
    ),
    (
        "orders that are kept nothing for",
        "order_line AS l JOIN customer_order AS o ON o.id = l.order_id JOIN variant AS v ON v.id = l.variant_id \
         WHERE l.tracked AND NOT v.backorder AND o.status IN ('pending', 'confirmed', 'processing') \
         AND l.quantity - l.fulfilled - l.cancelled <> \
         COALESCE((SELECT SUM(quantity) FROM stock_hold AS h WHERE h.order_line_id = l.id), 0)",
    ),
    (
        "units sold that are not units sent",
        "customer_order AS o WHERE (SELECT COALESCE(SUM(l.fulfilled), 0) FROM order_line AS l \
         WHERE l.order_id = o.id AND l.tracked) <> (SELECT COALESCE(-SUM(m.delta), 0) FROM stock_movement AS m \
         WHERE m.reason = 'sold' AND m.reference = 'order ' || o.number)",
    ),
    (
        "units that came back and are not in the ledger",
        "customer_order AS o WHERE (SELECT COALESCE(SUM(l.returned), 0) FROM order_line AS l \
         WHERE l.order_id = o.id AND l.tracked) <> (SELECT COALESCE(SUM(m.delta), 0) FROM stock_movement AS m \
         WHERE m.reason = 'returned' AND m.reference = 'order ' || o.number)",
    ),
    (
        "units that are not what refunds say of them",
        "order_line AS l WHERE l.refunded <> COALESCE((SELECT SUM(r.quantity) FROM refund_line AS r \
         WHERE r.order_line_id = l.id), 0) OR l.cancelled <> COALESCE((SELECT SUM(r.cancelled) FROM refund_line AS r \
         WHERE r.order_line_id = l.id), 0) OR l.returned <> COALESCE((SELECT SUM(r.returned) FROM refund_line AS r \
         WHERE r.order_line_id = l.id), 0)",
    ),
    (
        "orders whose status is not the last of their history",
        "customer_order AS o WHERE o.status <> COALESCE((SELECT e.to_status FROM order_entry AS e \
         WHERE e.order_id = o.id AND e.kind = 'status' ORDER BY e.id DESC LIMIT 1), 'pending')",
    ),
    (
        "changes of status that nobody was told of",
        "customer_order AS o WHERE (SELECT count(*) FROM order_entry AS e WHERE e.order_id = o.id AND e.kind = 'status') <> \
         (SELECT count(*) FROM outbox AS b WHERE b.kind = 'OrderStatusChanged' AND b.aggregate = 'order:' || o.id)",
    ),
    (
        "orders that nobody was told of",
        "customer_order AS o WHERE 1 <> (SELECT count(*) FROM outbox AS b \
         WHERE b.kind = 'OrderPlaced' AND b.aggregate = 'order:' || o.id)",
    ),
    (
        "payments that are not what their ledger says",
        "payment AS p WHERE p.captured <> COALESCE((SELECT SUM(amount) FROM payment_entry AS e \
         WHERE e.payment_id = p.id AND e.kind = 'capture'), 0) OR p.refunded <> COALESCE((SELECT SUM(amount) \
         FROM payment_entry AS e WHERE e.payment_id = p.id AND e.kind = 'refund'), 0)",
    ),
    (
        "carts that were ordered, and yet not",
        "cart AS c LEFT JOIN customer_order AS o ON o.id = c.order_id \
         WHERE (c.state = 'ordered') <> (o.id IS NOT NULL) OR (o.id IS NOT NULL AND o.cart_id <> c.id)",
    ),
];

/// What an order's history calls for, and by which way.
const CALLED: &str = "(SELECT h.order_id, h.occasion, w.channel, CASE w.channel WHEN 'sms' THEN o.phone ELSE o.email END AS recipient \
    FROM (SELECT id AS order_id, 'order_placed' AS occasion FROM customer_order UNION ALL \
    SELECT order_id, 'order_' || to_status FROM order_entry WHERE kind = 'status' \
    AND to_status IN ('confirmed', 'delivered', 'cancelled') UNION ALL \
    SELECT order_id, 'order_shipped' FROM fulfilment) AS h JOIN customer_order AS o ON o.id = h.order_id \
    CROSS JOIN (SELECT 'email' AS channel UNION ALL SELECT 'sms') AS w \
    WHERE w.channel = 'email' OR h.occasion IN ('order_placed', 'order_shipped', 'order_delivered'))";
