//! The statements of the checks, for both databases.
//!
//! As text, because each compares sums over several tables. On large tables each is a scan with lookups in an index, or a
//! join of grouped rows: none compares all rows of one table with all rows of another. The database spills what does not
//! fit its memory, and at most ten rows are returned.

mod analytics;
mod catalog;

use sea_orm::ConnectionTrait;

use self::{analytics::ANALYTICS_CHECKS, catalog::CATALOG_CHECKS};
use super::{
    CheckArea::{Events, Jobs, Orders, Payments, Stock},
    CheckSeverity::{Violation, Warning},
    ConsistencyCheck,
};
use crate::{base::Result, infra::SqlBuilder};

/// Reads one row, with which the snapshot begins. Statements: 1.
pub(super) async fn begin_snapshot(snapshot: &impl ConnectionTrait) -> Result<()> {
    let mut sql = SqlBuilder::new(snapshot.get_database_backend());
    sql.push("SELECT last_position FROM outbox_position");
    snapshot.query_one_raw(sql.into_statement()).await?;
    Ok(())
}

/// The condition that the events of a time still exist. Those dispatched before the first event after the deleted ones may
/// have been deleted by their retention.
macro_rules! events_kept_since {
    ($time:literal) => {
        concat!(
            "((SELECT deleted_position FROM outbox_position) = 0 OR ",
            $time,
            " > (SELECT k.dispatched_at FROM outbox_event AS k \
             WHERE k.position > (SELECT deleted_position FROM outbox_position) ORDER BY k.position LIMIT 1))"
        )
    };
}

/// All checks.
pub(super) const CHECKS: [ConsistencyCheck; CHECK_COUNT] = {
    let parts: [&[ConsistencyCheck]; 3] = [&BOOK_CHECKS, &CATALOG_CHECKS, &ANALYTICS_CHECKS];
    let mut checks = [BOOK_CHECKS[0]; CHECK_COUNT];
    let (mut count, mut part) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            checks[count] = parts[part][index];
            (count, index) = (count + 1, index + 1);
        }
        part += 1;
    }
    checks
};
const CHECK_COUNT: usize = BOOK_CHECKS.len() + CATALOG_CHECKS.len() + ANALYTICS_CHECKS.len();

/// The checks of the books.
const BOOK_CHECKS: [ConsistencyCheck; 26] = [
    ConsistencyCheck {
        name: "stock_level_bounds",
        description: "stock levels with negative stock, or reserved above on hand",
        area: Stock,
        severity: Violation,
        entity: "stock level",
        example: "variant_id || ' at location ' || location_id",
        violations: "inventory_level WHERE on_hand < 0 OR reserved < 0 OR reserved > on_hand",
    },
    ConsistencyCheck {
        name: "stock_movements",
        description: "on-hand stock that differs from its movements",
        area: Stock,
        severity: Violation,
        entity: "stock level",
        example: "i.variant_id || ' at location ' || i.location_id",
        violations: "inventory_level AS i WHERE i.on_hand <> COALESCE((SELECT SUM(m.delta) FROM stock_movement AS m \
             WHERE m.variant_id = i.variant_id AND m.location_id = i.location_id), 0)",
    },
    ConsistencyCheck {
        name: "reserved_stock",
        description: "reserved stock that differs from its reservations",
        area: Stock,
        severity: Violation,
        entity: "stock level",
        example: "i.variant_id || ' at location ' || i.location_id",
        violations: "inventory_level AS i WHERE i.reserved <> COALESCE((SELECT SUM(h.quantity) FROM stock_reservation AS h \
             WHERE h.variant_id = i.variant_id AND h.location_id = i.location_id), 0)",
    },
    ConsistencyCheck {
        name: "surplus_reservations",
        description: "reservations of ended orders, or above the unshipped units of their line",
        area: Stock,
        severity: Violation,
        entity: "order line",
        example: "CAST(l.id AS TEXT)",
        violations: "order_line AS l JOIN orders AS o ON o.id = l.order_id JOIN (SELECT order_line_id, SUM(quantity) AS quantity \
             FROM stock_reservation GROUP BY order_line_id) AS h ON h.order_line_id = l.id \
             WHERE o.status IN ('canceled', 'refunded', 'shipped', 'delivered') \
             OR h.quantity > l.quantity - l.quantity_fulfilled - l.quantity_canceled",
    },
    ConsistencyCheck {
        name: "missing_reservations",
        description: "open order lines without their reservations",
        area: Stock,
        severity: Violation,
        entity: "order line",
        example: "CAST(l.id AS TEXT)",
        violations: "order_line AS l JOIN orders AS o ON o.id = l.order_id JOIN variant AS v ON v.id = l.variant_id \
             WHERE o.status IN ('pending', 'confirmed', 'processing') AND l.track_stock AND NOT v.allow_backorder \
             AND v.updated_at <= o.placed_at AND l.quantity - l.quantity_fulfilled - l.quantity_canceled <> \
             COALESCE((SELECT SUM(h.quantity) FROM stock_reservation AS h WHERE h.order_line_id = l.id), 0)",
    },
    ConsistencyCheck {
        name: "shipped_units",
        description: "orders whose shipped units differ from their stock movements",
        area: Stock,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: "orders AS o WHERE (SELECT COALESCE(SUM(l.quantity_fulfilled), 0) FROM order_line AS l \
             WHERE l.order_id = o.id AND l.track_stock) <> (SELECT COALESCE(-SUM(m.delta), 0) FROM stock_movement AS m \
             WHERE m.reason = 'sold' AND m.reference = 'order ' || o.number) AND NOT EXISTS (SELECT 1 FROM order_line AS l \
             WHERE l.order_id = o.id AND l.variant_id IS NULL)",
    },
    ConsistencyCheck {
        name: "returned_units",
        description: "orders whose returned units differ from their stock movements",
        area: Stock,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: "orders AS o WHERE (SELECT COALESCE(SUM(l.quantity_returned), 0) FROM order_line AS l \
             WHERE l.order_id = o.id AND l.track_stock) <> (SELECT COALESCE(SUM(m.delta), 0) FROM stock_movement AS m \
             WHERE m.reason = 'returned' AND m.reference = 'order ' || o.number) AND NOT EXISTS (SELECT 1 FROM order_line AS l \
             WHERE l.order_id = o.id AND l.variant_id IS NULL)",
    },
    ConsistencyCheck {
        name: "order_totals",
        description: "orders whose totals differ from their lines",
        area: Orders,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: "orders AS o LEFT JOIN (SELECT order_id, SUM(unit_list_price * quantity) AS list_subtotal, \
             SUM(discount) AS discount, SUM(tax) AS tax, SUM(tax_excluded_total) AS tax_excluded_total \
             FROM order_line GROUP BY order_id) AS l ON l.order_id = o.id \
             WHERE o.list_subtotal <> COALESCE(l.list_subtotal, 0) OR o.discount <> COALESCE(l.discount, 0) \
             OR o.tax < COALESCE(l.tax, 0) OR (o.shipping_tax_rate_bps = 0 AND o.tax <> COALESCE(l.tax, 0)) \
             OR o.tax_excluded_total <> COALESCE(l.tax_excluded_total, 0) \
             + CASE WHEN o.shipping_tax_included THEN 0 ELSE o.tax - COALESCE(l.tax, 0) END",
    },
    ConsistencyCheck {
        name: "fulfilled_units",
        description: "order lines whose shipped units differ from their fulfillments",
        area: Orders,
        severity: Violation,
        entity: "order line",
        example: "CAST(l.id AS TEXT)",
        violations: "order_line AS l WHERE l.quantity_fulfilled <> COALESCE((SELECT SUM(f.quantity) FROM fulfillment_line AS f \
             WHERE f.order_line_id = l.id), 0)",
    },
    ConsistencyCheck {
        name: "refunded_units",
        description: "order lines whose refunded, canceled or returned units differ from their refunds",
        area: Orders,
        severity: Violation,
        entity: "order line",
        example: "CAST(l.id AS TEXT)",
        violations: "order_line AS l LEFT JOIN (SELECT order_line_id, SUM(quantity) AS refunded, SUM(quantity_canceled) AS canceled, \
             SUM(quantity_returned) AS returned FROM refund_line GROUP BY order_line_id) AS r ON r.order_line_id = l.id \
             WHERE l.quantity_refunded <> COALESCE(r.refunded, 0) OR l.quantity_canceled <> COALESCE(r.canceled, 0) \
             OR l.quantity_returned <> COALESCE(r.returned, 0)",
    },
    ConsistencyCheck {
        name: "order_status",
        description: "orders whose status differs from their history",
        area: Orders,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: "orders AS o WHERE o.status <> COALESCE((SELECT e.to_status FROM order_history AS e \
             WHERE e.order_id = o.id AND e.event_type = 'status' ORDER BY e.id DESC LIMIT 1), 'pending')",
    },
    ConsistencyCheck {
        name: "status_change_events",
        description: "orders whose status changes differ from their events",
        area: Orders,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: concat!(
            "orders AS o WHERE (SELECT count(*) FROM order_history AS e WHERE e.order_id = o.id \
             AND e.event_type = 'status' AND ",
            events_kept_since!("e.created_at"),
            ") <> (SELECT count(*) FROM outbox_event AS b \
             WHERE b.event_type = 'OrderStatusChanged' AND b.aggregate = 'order:' || o.id AND ",
            events_kept_since!("b.created_at"),
            ")"
        ),
    },
    ConsistencyCheck {
        name: "placement_events",
        description: "orders without exactly one placement event",
        area: Orders,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: concat!(
            "orders AS o WHERE 1 <> (SELECT count(*) FROM outbox_event AS b WHERE b.event_type = 'OrderPlaced' \
             AND b.aggregate = 'order:' || o.id) AND ",
            events_kept_since!("o.created_at")
        ),
    },
    ConsistencyCheck {
        name: "ordered_carts",
        description: "ordered carts without their order, or the reverse",
        area: Orders,
        severity: Violation,
        entity: "cart",
        example: "CAST(c.id AS TEXT)",
        violations: "cart AS c LEFT JOIN orders AS o ON o.id = c.order_id \
             WHERE (c.status = 'ordered') <> (o.id IS NOT NULL) OR (o.id IS NOT NULL AND o.cart_id <> c.id)",
    },
    ConsistencyCheck {
        name: "idempotency_keys_without_order",
        description: "idempotency keys of requests whose order does not exist",
        area: Orders,
        severity: Violation,
        entity: "order",
        example: "CAST(i.resource_id AS TEXT)",
        violations: "idempotency_key AS i LEFT JOIN orders AS o ON o.id = i.resource_id \
             WHERE o.id IS NULL AND (i.scope LIKE 'order%' OR i.scope LIKE 'checkoutComplete %')",
    },
    ConsistencyCheck {
        name: "repeated_idempotency_keys",
        description: "orders placed by more than one idempotency key",
        area: Orders,
        severity: Violation,
        entity: "order",
        example: "CAST(i.resource_id AS TEXT)",
        violations: "(SELECT resource_id FROM idempotency_key WHERE scope LIKE 'orderCreate %' OR scope LIKE 'checkoutComplete %' \
             GROUP BY resource_id HAVING count(*) > 1) AS i",
    },
    ConsistencyCheck {
        name: "payment_ledger",
        description: "payments whose captured or refunded amount differs from their ledger",
        area: Payments,
        severity: Violation,
        entity: "payment",
        example: "CAST(p.id AS TEXT)",
        violations: "payment AS p LEFT JOIN (SELECT payment_id, SUM(CASE WHEN transaction_type = 'capture' THEN amount ELSE 0 END) \
             AS captured, SUM(CASE WHEN transaction_type = 'refund' THEN amount ELSE 0 END) AS refunded \
             FROM payment_transaction GROUP BY payment_id) AS e ON e.payment_id = p.id \
             WHERE p.captured <> COALESCE(e.captured, 0) OR p.refunded <> COALESCE(e.refunded, 0)",
    },
    ConsistencyCheck {
        name: "payment_bounds",
        description: "payments refunded above the captured, or captured above their amount",
        area: Payments,
        severity: Violation,
        entity: "payment",
        example: "CAST(p.id AS TEXT)",
        violations: "payment AS p WHERE p.refunded > p.captured OR p.captured > p.amount OR p.refunded < 0",
    },
    ConsistencyCheck {
        name: "refunds",
        description: "payments whose refunded amount differs from their succeeded refunds",
        area: Payments,
        severity: Violation,
        entity: "payment",
        example: "CAST(p.id AS TEXT)",
        violations: "payment AS p WHERE p.refunded <> COALESCE((SELECT SUM(r.amount) FROM refund AS r \
             WHERE r.payment_id = p.id AND r.status = 'succeeded'), 0)",
    },
    ConsistencyCheck {
        name: "captured_above_total",
        description: "orders with more captured than they owe",
        area: Payments,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: "orders AS o WHERE o.total < (SELECT SUM(p.captured) FROM payment AS p WHERE p.order_id = o.id AND NOT p.is_surplus)",
    },
    ConsistencyCheck {
        name: "payment_status",
        description: "orders whose payment status differs from their payment",
        area: Payments,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: "orders AS o LEFT JOIN payment AS p ON p.id = (SELECT MAX(q.id) FROM payment AS q WHERE q.order_id = o.id \
             AND NOT q.is_surplus AND q.status IN ('authorized', 'captured')) WHERE CASE \
             WHEN p.id IS NULL THEN o.payment_status NOT IN ('pending', 'voided') \
             WHEN p.status = 'authorized' THEN o.payment_status <> 'authorized' \
             WHEN p.refunded = 0 THEN o.payment_status <> 'paid' \
             WHEN p.refunded < p.captured THEN o.payment_status <> 'partially_refunded' \
             ELSE o.payment_status <> 'refunded' END \
             AND NOT (o.status = 'canceled' AND o.payment_status = 'voided' AND EXISTS (SELECT 1 FROM refund AS r \
             WHERE r.payment_id = p.id AND r.status <> 'succeeded'))",
    },
    ConsistencyCheck {
        name: "units_sold",
        description: "products whose units sold differ from the counted sales",
        area: Orders,
        severity: Violation,
        entity: "product",
        example: "CAST(p.id AS TEXT)",
        violations: "product AS p LEFT JOIN (SELECT product_id, SUM(units) AS units FROM counted_sale GROUP BY product_id) AS s \
             ON s.product_id = p.id WHERE p.units_sold <> COALESCE(s.units, 0)",
    },
    ConsistencyCheck {
        name: "event_gaps",
        description: "aggregates with a gap in the sequence of their events",
        area: Events,
        severity: Violation,
        entity: "aggregate",
        example: "e.aggregate || ' before ' || e.sequence",
        violations: "(SELECT aggregate, sequence, lag(sequence) OVER w AS previous, lag(position) OVER w AS previous_position \
             FROM outbox_event WINDOW w AS (PARTITION BY aggregate ORDER BY sequence)) AS e \
             CROSS JOIN outbox_position AS d WHERE e.sequence <> COALESCE(e.previous, 0) + 1 AND (d.deleted_position = 0 \
             OR (e.previous IS NOT NULL AND (e.previous_position IS NULL OR e.previous_position >= d.deleted_position)))",
    },
    ConsistencyCheck {
        name: "event_sequences",
        description: "aggregates whose last sequence number differs from their last event",
        area: Events,
        severity: Violation,
        entity: "aggregate",
        example: "e.aggregate",
        violations: "(SELECT aggregate, sequence, position, lead(sequence) OVER (PARTITION BY aggregate ORDER BY sequence) AS next \
             FROM outbox_event) AS e LEFT JOIN outbox_sequence AS h ON h.aggregate = e.aggregate \
             CROSS JOIN outbox_position AS d WHERE e.next IS NULL AND (h.last_sequence IS NULL \
             OR h.last_sequence < e.sequence OR (h.last_sequence > e.sequence \
             AND (e.position IS NULL OR e.position >= d.deleted_position)))",
    },
    ConsistencyCheck {
        name: "event_positions",
        description: "dispatched events above the last position of the feed",
        area: Events,
        severity: Violation,
        entity: "event",
        example: "CAST(e.id AS TEXT)",
        violations: "outbox_event AS e CROSS JOIN outbox_position AS d WHERE e.position > d.last_position",
    },
    ConsistencyCheck {
        name: "dead_jobs",
        description: "jobs that failed their last attempt: retry or discard them",
        area: Jobs,
        severity: Warning,
        entity: "job",
        example: "CAST(j.id AS TEXT)",
        violations: "job AS j WHERE j.status = 'dead'",
    },
];
