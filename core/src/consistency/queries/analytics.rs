//! The statements of the checks of daily figures.
//!
//! An order whose events are still to be handled may have figures of its former state: it is not examined.

use crate::consistency::{
    CheckArea::Analytics,
    CheckSeverity::{Violation, Warning},
    ConsistencyCheck,
};

/// The condition that all events of an order, `o`, have been handled.
macro_rules! events_handled {
    () => {
        "NOT EXISTS (SELECT 1 FROM outbox_event AS w WHERE w.aggregate = 'order:' || o.id AND w.dispatched_at IS NULL) \
         AND NOT EXISTS (SELECT 1 FROM job AS w WHERE w.ordering_key = 'analytics.figures order:' || o.id \
         AND w.status IN ('pending', 'running')) AND NOT EXISTS (SELECT 1 FROM job AS w WHERE w.status = 'dead' \
         AND w.ordering_key = 'analytics.figures order:' || o.id)"
    };
}

/// The checks of daily figures.
pub(in crate::consistency) const ANALYTICS_CHECKS: [ConsistencyCheck; 7] = [
    ConsistencyCheck {
        name: "order_figures",
        description: "orders whose figures differ from them: run `savannah analytics rebuild`",
        area: Analytics,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: concat!(
            "orders AS o LEFT JOIN (SELECT order_id, SUM(orders) AS orders, SUM(canceled_orders) AS canceled_orders, \
             SUM(units) AS units, SUM(gross_sales) AS gross_sales, SUM(discounts) AS discounts, SUM(shipping) AS shipping, \
             SUM(tax) AS tax, SUM(canceled_sales) AS canceled_sales, SUM(total_sales) AS total_sales, \
             SUM(refunds) AS refunds FROM order_figure GROUP BY order_id) AS f ON f.order_id = o.id \
             LEFT JOIN (SELECT order_id, SUM(quantity - quantity_canceled) AS units, SUM(quantity_canceled) AS canceled \
             FROM order_line GROUP BY order_id) AS l ON l.order_id = o.id LEFT JOIN (SELECT p.order_id, SUM(t.amount) AS amount \
             FROM payment AS p JOIN payment_transaction AS t ON t.payment_id = p.id AND t.transaction_type = 'refund' \
             WHERE NOT p.is_surplus GROUP BY p.order_id) AS r ON r.order_id = o.id \
             WHERE (f.order_id IS NULL OR f.orders + f.canceled_orders <> 1 OR (o.status = 'canceled') <> (f.canceled_orders = 1) \
             OR (o.status = 'canceled' AND f.refunds <> 0) OR (o.status <> 'canceled' AND (f.units <> l.units \
             OR f.gross_sales <> o.list_subtotal OR f.discounts <> o.discount OR f.shipping <> o.shipping OR f.tax <> o.tax \
             OR f.total_sales + f.canceled_sales <> o.total OR (l.canceled = 0 AND f.canceled_sales <> 0) \
             OR f.refunds <> COALESCE(r.amount, 0)))) AND ",
            events_handled!()
        ),
    },
    ConsistencyCheck {
        name: "order_line_figures",
        description: "order lines whose sold units differ from their figures",
        area: Analytics,
        severity: Violation,
        entity: "order line",
        example: "CAST(l.id AS TEXT)",
        violations: concat!(
            "order_line AS l JOIN orders AS o ON o.id = l.order_id LEFT JOIN order_line_figure AS f ON f.order_line_id = l.id \
             WHERE l.product_id IS NOT NULL AND COALESCE(f.units, 0) <> CASE WHEN o.status = 'canceled' THEN 0 \
             ELSE l.quantity - l.quantity_canceled END AND ",
            events_handled!()
        ),
    },
    ConsistencyCheck {
        name: "first_orders",
        description: "orders counted as the first of an account with an earlier order",
        area: Analytics,
        severity: Violation,
        entity: "order",
        example: "CAST(o.id AS TEXT)",
        violations: "order_figure AS f JOIN orders AS o ON o.id = f.order_id WHERE f.new_customers = 1 AND EXISTS \
             (SELECT 1 FROM orders AS e JOIN order_figure AS c ON c.order_id = e.id WHERE e.account_id = o.account_id \
             AND (e.placed_at, e.id) < (o.placed_at, o.id))",
    },
    ConsistencyCheck {
        name: "daily_figures",
        description: "daily figures that differ from the sums of the orders",
        area: Analytics,
        severity: Violation,
        entity: "day",
        example: "d.day || ' ' || d.channel || ' ' || d.country",
        violations: "(SELECT day, channel, country FROM (SELECT day, channel, country, \
             orders, canceled_orders, units, new_customers, returning_orders, gross_sales, discounts, shipping, \
             tax, canceled_sales, total_sales, refunds FROM daily_figure UNION ALL SELECT day, channel, country, \
             -orders, -canceled_orders, -units, -new_customers, -returning_orders, -gross_sales, -discounts, \
             -shipping, -tax, -canceled_sales, -total_sales, -refunds FROM order_figure) AS u GROUP BY day, channel, country HAVING \
             SUM(orders) <> 0 OR SUM(canceled_orders) <> 0 OR SUM(units) <> 0 OR SUM(new_customers) <> 0 OR \
             SUM(returning_orders) <> 0 OR SUM(gross_sales) <> 0 OR SUM(discounts) <> 0 OR SUM(shipping) <> 0 OR \
             SUM(tax) <> 0 OR SUM(canceled_sales) <> 0 OR SUM(total_sales) <> 0 OR SUM(refunds) <> 0) AS d",
    },
    ConsistencyCheck {
        name: "daily_product_figures",
        description: "daily figures of products that differ from the sums of the order lines",
        area: Analytics,
        severity: Violation,
        entity: "day",
        example: "d.day || ' product ' || d.product_id",
        violations: "(SELECT day, product_id FROM (SELECT day, product_id, units, sales FROM daily_product_figure \
             UNION ALL SELECT day, product_id, -units, -sales FROM order_line_figure) AS u GROUP BY day, product_id \
             HAVING SUM(units) <> 0 OR SUM(sales) <> 0) AS d",
    },
    ConsistencyCheck {
        name: "daily_cart_figures",
        description: "daily figures of carts below the sums of the carts that exist",
        area: Analytics,
        severity: Violation,
        entity: "day",
        example: "CAST(d.day AS TEXT)",
        violations: "(SELECT day FROM (SELECT day, carts, ordered_carts FROM daily_cart_figure \
             UNION ALL SELECT day, -carts, -ordered_carts FROM cart_figure) AS u GROUP BY day \
             HAVING SUM(carts) < 0 OR SUM(ordered_carts) < 0) AS d",
    },
    ConsistencyCheck {
        name: "unfinished_rebuild",
        description: "a rebuild of the daily figures that runs or was stopped: run `savannah analytics rebuild` again",
        area: Analytics,
        severity: Warning,
        entity: "rebuild",
        example: "CAST(s.rebuild_started_at AS TEXT)",
        violations: "analytics_state AS s WHERE s.rebuild_started_at IS NOT NULL",
    },
];
