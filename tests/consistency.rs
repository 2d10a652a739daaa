//! Consistency checks: each finds its damage, and nothing in a shop without any.

use std::collections::BTreeSet;

use savannah::{
    consistency::{CheckResult, ConsistencyReport, check_database, list_checks},
    identity::Role,
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use crate::{
    checkout::{expect_order, order_id},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![every_check_finds_its_damage_by_name, snapshot_does_not_see_later_changes];

/// For each check a change that only it, or it among others, must find.
const DAMAGES: [(&str, &str); 39] = [
    ("dead_jobs", "UPDATE job SET status = 'dead', last_error = 'x' WHERE id = (SELECT MIN(id) FROM job)"),
    ("units_sold", "UPDATE product SET units_sold = units_sold + 1 WHERE slug = 'mug'"),
    ("in_stock", "UPDATE product SET in_stock = NOT in_stock WHERE slug = 'mug'"),
    ("ranked_at", "UPDATE product SET ranked_at = '2001-01-01 00:00:00+00:00' WHERE slug = 'mug'"),
    ("search_index", "DELETE FROM product_search"),
    ("current_prices", "UPDATE variant SET price = price + 1 WHERE sku = 'LAMP'"),
    ("products_without_variant", "DELETE FROM variant WHERE sku = 'VASE'"),
    ("product_counts", "UPDATE category_product_count SET product_count = product_count + 1"),
    ("stock_movements", "UPDATE inventory_level SET on_hand = on_hand + 1"),
    ("reserved_stock", "UPDATE inventory_level SET reserved = reserved + 1"),
    ("surplus_reservations", "UPDATE stock_reservation SET quantity = quantity + 1"),
    ("missing_reservations", "DELETE FROM stock_reservation"),
    ("stock_level_bounds", "UPDATE inventory_level SET reserved = on_hand + 1"),
    ("shipped_units", "UPDATE stock_movement SET delta = delta - 1 WHERE reason = 'sold'"),
    ("returned_units", "UPDATE stock_movement SET reason = 'returned' WHERE reason = 'sold'"),
    ("order_totals", "UPDATE order_line SET discount = discount + 1, total = total - 1"),
    ("fulfilled_units", "UPDATE fulfillment_line SET quantity = quantity + 1"),
    (
        "refunded_units",
        "UPDATE order_line SET quantity_refunded = 1, quantity_canceled = 1 WHERE quantity_fulfilled = 0",
    ),
    ("payment_status", "UPDATE orders SET payment_status = 'refunded' WHERE payment_status = 'paid'"),
    (
        "refunds",
        "INSERT INTO refund (order_id, payment_id, amount, status, created_at, updated_at) \
     SELECT order_id, id, 5, 'succeeded', created_at, created_at FROM payment WHERE captured > 0",
    ),
    ("payment_ledger", "UPDATE payment SET captured = captured - 1 WHERE captured > 0"),
    ("payment_bounds", "UPDATE payment SET refunded = captured + 1 WHERE captured > 0"),
    (
        "captured_above_total",
        "UPDATE orders SET list_subtotal = 0, discount = 0, shipping = 0, tax = 0, \
     tax_excluded_total = 0, total = 0 WHERE payment_status = 'refunded'",
    ),
    ("order_status", "UPDATE orders SET status = 'confirmed' WHERE status = 'pending'"),
    ("ordered_carts", "UPDATE orders SET cart_id = cart_id + 1000 WHERE cart_id IS NOT NULL"),
    (
        "idempotency_keys_without_order",
        "INSERT INTO idempotency_key (scope, key, request_hash, resource_id, created_at) \
     SELECT 'orderCreate anonymous', 'lost', 'x', 1000000, placed_at FROM orders LIMIT 1",
    ),
    (
        "repeated_idempotency_keys",
        "INSERT INTO idempotency_key (scope, key, request_hash, resource_id, created_at) \
     SELECT 'orderCreate anonymous', 'again', 'x', id, placed_at FROM orders LIMIT 1",
    ),
    ("event_positions", "UPDATE outbox_event SET position = position + 1000000"),
    ("event_sequences", "UPDATE outbox_sequence SET last_sequence = last_sequence + 1"),
    ("event_gaps", "UPDATE outbox_event SET sequence = sequence + 1000 WHERE aggregate LIKE 'order:%'"),
    ("status_change_events", "DELETE FROM outbox_event WHERE event_type = 'OrderStatusChanged'"),
    ("placement_events", "DELETE FROM outbox_event WHERE event_type = 'OrderPlaced'"),
    (
        "first_orders",
        "UPDATE orders SET account_id = (SELECT MIN(id) FROM account), placed_at = CASE WHEN id = (SELECT MAX(id) FROM orders) \
     THEN '2026-10-01T00:00:00+00:00' ELSE placed_at END",
    ),
    ("daily_figures", "UPDATE daily_figure SET orders = orders + 1"),
    ("daily_product_figures", "UPDATE daily_product_figure SET units = units + 1"),
    (
        "daily_cart_figures",
        "INSERT INTO cart_figure (cart_id, day, carts, ordered_carts, created_at, updated_at) \
     SELECT id + 1000, '2020-01-01', 1, 0, created_at, updated_at FROM cart",
    ),
    ("unfinished_rebuild", "UPDATE analytics_state SET rebuild_started_at = (SELECT MIN(placed_at) FROM orders)"),
    ("order_line_figures", "DELETE FROM order_line_figure"),
    ("order_figures", "DELETE FROM order_figure"),
];

async fn check(app: &TestApp) -> ConsistencyReport {
    check_database(&app.db).await.unwrap_or_else(|error| panic!("{}", error.log_message()))
}

/// A shop with an order that waits, and one that is shipped and paid.
async fn open_shop(backend: Backend) -> TestApp {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(10)).await;
    app.create_product("lamp", 200, Some(10)).await;
    app.create_product("vase", 300, Some(10)).await;
    let cart = app.create_cart(None, &[(&mug, 2)]).await;
    expect_order(&app.complete_checkout(None, "from-cart", &cart, json!({})).await, "checkoutComplete");
    let placed = expect_order(&app.create_order(None, "direct", &[(&mug, 3)], json!({})).await, "orderCreate");
    let staff = app.login(Role::Staff).await;
    let input = Some(("OrderFulfillInput!", json!({ "idempotencyKey": "parcel" })));
    for (mutation, input) in [("orderConfirm", None), ("orderFulfill", input), ("orderCapture", None)] {
        expect_order(&app.run_order_mutation(&staff, mutation, order_id(&placed), input).await, mutation);
    }
    app.run_pending_jobs().await;
    app
}

/// Turns off what would prevent the damage: triggers, foreign keys and checks.
async fn remove_protection(app: &TestApp, backend: Backend) {
    let connection = app.db.writer_connection();
    let list_sql = match backend {
        Backend::Sqlite => "SELECT 'DROP TRIGGER ' || name AS command FROM sqlite_master WHERE type = 'trigger'",
        Backend::Postgres => {
            "SELECT 'ALTER TABLE ' || conrelid::regclass::text || ' DROP CONSTRAINT ' || quote_ident(conname) || ' CASCADE' \
             AS command FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace \
             UNION ALL SELECT 'ALTER TABLE ' || oid::regclass::text || ' DISABLE TRIGGER ALL' FROM pg_class \
             WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        }
    };
    let rows = connection.query_all_raw(Statement::from_string(app.db.backend(), list_sql)).await.expect("rows");
    for row in rows {
        let command: String = row.try_get("", "command").expect("a command");
        connection.execute_unprepared(&command).await.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
    if backend == Backend::Sqlite {
        connection
            .execute_unprepared("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .await
            .expect("ok");
    }
}

async fn every_check_finds_its_damage_by_name(backend: Backend) {
    let app = open_shop(backend).await;
    let report = check(&app).await;
    assert_eq!((report.violations, report.warnings), (0, 0), "{:#?}", report.findings().collect::<Vec<_>>());
    let names: BTreeSet<&str> = DAMAGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, list_checks().iter().map(|check| check.name).collect(), "every check has its damage");
    remove_protection(&app, backend).await;
    assert_eq!(check(&app).await.violations, 0);
    for (name, sql) in DAMAGES {
        let rows = app.execute_sql(sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(rows > 0, "{name} changes nothing");
        let report = check(&app).await;
        let result: &CheckResult = report.checks.iter().find(|check| check.name == name).expect("the check");
        assert!(result.violations > 0 && !result.examples.is_empty(), "{name} finds nothing: {report:#?}");
    }
}

async fn snapshot_does_not_see_later_changes(backend: Backend) {
    let app = open_shop(backend).await;
    let count_sql = "SELECT count(*) AS n FROM product";
    let count = async |connection: &sea_orm::DatabaseTransaction| -> i64 {
        let statement = Statement::from_string(app.db.backend(), count_sql);
        let row = connection.query_one_raw(statement).await.expect("a response").expect("a row");
        row.try_get("", "n").expect("a number")
    };
    let counts = app.db.read_snapshot(async |snapshot| {
        let before = count(snapshot).await;
        app.create_product("clock", 400, Some(1)).await;
        Ok((before, count(snapshot).await))
    });
    let (before, after) = counts.await.unwrap_or_else(|error| panic!("{}", error.log_message()));
    assert_eq!((before, after), (3, 3));
    assert_eq!(app.query_scalar("SELECT count(*) FROM product").await, 4);
}
