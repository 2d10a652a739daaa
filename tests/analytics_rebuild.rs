//! Rebuild of daily figures: from nothing, in another time zone, after a kill, while orders are placed.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;
use savannah::{
    analytics::{
        period::DayPeriod,
        rebuild::{RebuildRequest, RebuildSummary, rebuild_figures},
    },
    import_export::Progress,
};
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    analytics::{assert_figures_match, compute_figures, place_guest_order, set_time_zone, stored_figures},
    integration_tests,
    support::{Backend, CliSandbox, TestApp, TestDatabase, query_scalar},
};

integration_tests![
    rebuild_restores_lost_and_wrong_figures,
    rebuild_moves_days_to_another_time_zone,
    orders_placed_during_a_rebuild_count_once,
    killed_rebuild_is_completed_by_the_next,
    rebuild_command_with_invalid_arguments_fails,
];

async fn rebuild(app: &TestApp, request: RebuildRequest) -> RebuildSummary {
    let rebuilt = rebuild_figures(&app.db, &request, &Progress::default()).await;
    rebuilt.unwrap_or_else(|error| panic!("not rebuilt: {}", error.log_message()))
}

async fn place_orders(app: &TestApp, days: u64) {
    let mug = app.create_product("mug", 100, Some(1_000)).await;
    for day in 0..days {
        for customer in 0..2 {
            let email = format!("guest{customer}@example.com");
            place_guest_order(app, &format!("{day}-{customer}"), &email, &[(&mug, 1 + customer)]).await;
        }
        app.clock.set(app.clock.now() + chrono::TimeDelta::hours(19));
    }
    app.drain_jobs().await;
}

async fn rebuild_restores_lost_and_wrong_figures(backend: Backend) {
    let app = TestApp::start(backend).await;
    place_orders(&app, 5).await;
    let all = RebuildRequest { period: None, time_zone: Tz::UTC };
    let expected = stored_figures(&app).await;
    let unchanged = RebuildSummary { orders: 10, corrected_orders: 0, days: 4, carts: 0 };
    assert_eq!(rebuild(&app, all).await, unchanged);
    for damage in [
        "DELETE FROM order_figure",
        "UPDATE daily_figure SET units = units + 7, refunds = 3",
        "DELETE FROM daily_figure",
        "DELETE FROM daily_product_figure",
        "DELETE FROM order_line_figure WHERE units = 2",
        "INSERT INTO daily_product_figure (day, product_id, units, sales) VALUES ('2020-01-01', 1, 5, 5)",
    ] {
        app.execute_sql(damage).await.expect("damaged");
        rebuild(&app, all).await;
        assert_eq!(stored_figures(&app).await, expected, "{damage}");
        app.assert_invariants().await;
    }
    // A part: the other days stay wrong.
    app.execute_sql("DELETE FROM order_figure").await.expect("deleted");
    let day = NaiveDate::from_ymd_opt(2026, 11, 2).expect("a day");
    let period = DayPeriod::new(day, day + Days::new(1)).ok();
    let summary = rebuild(&app, RebuildRequest { period, time_zone: Tz::UTC }).await;
    assert_eq!((summary.orders, summary.corrected_orders), (6, 6));
    let days = "SELECT count(*) FROM (SELECT day FROM order_figure GROUP BY day) AS d";
    assert_eq!(app.query_scalar(days).await, 2);
    rebuild(&app, all).await;
    assert_figures_match(&app, Tz::UTC).await;
}

async fn rebuild_moves_days_to_another_time_zone(backend: Backend) {
    let app = TestApp::start(backend).await;
    set_time_zone(&app, Tz::UTC).await;
    place_orders(&app, 6).await;
    assert_figures_match(&app, Tz::UTC).await;
    let zone = Tz::Pacific__Auckland;
    let day = NaiveDate::from_ymd_opt(2026, 11, 1).expect("a day");
    let period = DayPeriod::new(day, day).ok();
    // Only all days together.
    let partial = RebuildRequest { period, time_zone: zone };
    assert!(rebuild_figures(&app.db, &partial, &Progress::default()).await.is_err());
    rebuild(&app, RebuildRequest { period: None, time_zone: zone }).await;
    assert_figures_match(&app, zone).await;
    assert_ne!(stored_figures(&app).await, compute_figures(&app, Tz::UTC).await);
    let mug = app.query_variant_id("MUG").await;
    place_guest_order(&app, "after", "new@example.com", &[(&mug, 1)]).await;
    app.drain_jobs().await;
    assert_figures_match(&app, zone).await;
}

async fn orders_placed_during_a_rebuild_count_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    place_orders(&app, 3).await;
    app.execute_sql("DELETE FROM order_figure").await.expect("deleted");
    let mug = app.query_variant_id("MUG").await;
    let sell = async {
        for number in 0..6 {
            place_guest_order(&app, &format!("live{number}"), "live@example.com", &[(&mug, 1)]).await;
            app.drain_jobs().await;
        }
    };
    let rebuild_often = async {
        for _ in 0..4 {
            rebuild(&app, RebuildRequest { period: None, time_zone: Tz::UTC }).await;
        }
    };
    futures_util::future::join(sell, rebuild_often).await;
    assert_figures_match(&app, Tz::UTC).await;
}

/// Inserts orders with a line each, as one statement per table.
async fn insert_orders(db: &savannah::infra::Db, count: u32) {
    let is_postgres = db.backend() == sea_orm::DbBackend::Postgres;
    let numbers = format!(
        "(WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) SELECT n FROM n) AS n"
    );
    let time = if is_postgres {
        "timestamptz '2026-01-01T00:00:00Z' + n * interval '37 minutes'".to_owned()
    } else {
        "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2026-01-01', '+' || (n * 37) || ' minutes')".to_owned()
    };
    let address = r#"{"countryCode": "KE"}"#;
    let json = if is_postgres { format!("'{address}'::jsonb") } else { format!("'{address}'") };
    let orders = format!(
        "INSERT INTO orders (number, guest_access_token, email, customer_name_normalized, language, status, payment_status, \
         fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, total, shipping_address, \
         version, placed_at, created_at, updated_at) SELECT 'T' || (100000 + n), 'token-of-the-order-no-' || (100000 + n), \
         'g' || (n % 500) || '@example.com', '', 'en', CASE WHEN n % 10 = 0 THEN 'canceled' ELSE 'confirmed' END, \
         CASE WHEN n % 10 = 0 THEN 'voided' ELSE 'authorized' END, 'unfulfilled', 'KES', 2000, 100, 50, 0, 0, 1950, {json}, \
         1, {time}, {time}, {time} FROM {numbers}"
    );
    let lines = "INSERT INTO order_line (order_id, position, sku, name, variant_name, quantity, unit_list_price, unit_price, \
        discount, tax_rate_bps, tax, tax_excluded_total, total, track_stock, quantity_fulfilled, quantity_refunded, \
        quantity_canceled, created_at, updated_at) SELECT id, 0, 'S', 'N', 'V', 2, 1000, 950, 100, 0, 0, 0, 1900, FALSE, 0, 0, 0, \
        placed_at, placed_at FROM orders";
    for sql in [orders.as_str(), lines] {
        let statement = Statement::from_string(db.backend(), sql);
        db.writer_connection().execute_raw(statement).await.unwrap_or_else(|error| panic!("{error}"));
    }
}

async fn killed_rebuild_is_completed_by_the_next(backend: Backend) {
    const ORDERS: u32 = 6_000;
    let database = TestDatabase::create_migrated(backend).await;
    let db = database.connect().await;
    insert_orders(&db, ORDERS).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url())]);
    let command = ["analytics", "rebuild"];
    let running = sandbox.start_command(&command);
    let started_at = std::time::Instant::now();
    while query_scalar(&db, "SELECT count(*) FROM order_figure").await < 2_000 {
        assert!(started_at.elapsed() < Duration::from_mins(1), "nothing is rebuilt: {}", running.stderr());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.send_signal("KILL");
    running.wait_for_exit().await;
    let is_unfinished =
        query_scalar(&db, "SELECT count(*) FROM analytics_state WHERE rebuild_started_at IS NOT NULL").await;
    assert_eq!(is_unfinished, 1, "the rebuild ended before it was killed");
    let exited = sandbox.run_command(&command, &[]).await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    assert!(exited.stdout.starts_with(&format!("{ORDERS} orders, ")), "{exited:?}");
    assert!(!exited.stdout.contains(&format!("{ORDERS} of them")), "the first rebuild stored nothing: {exited:?}");
    for (sql, expected) in [
        ("SELECT SUM(orders) FROM daily_figure", 5_400),
        ("SELECT SUM(canceled_orders) FROM daily_figure", 600),
        ("SELECT SUM(total_sales) FROM daily_figure", 5_400 * 1_950),
        ("SELECT SUM(new_customers) FROM daily_figure", 500),
        ("SELECT count(*) FROM analytics_state WHERE rebuild_started_at IS NOT NULL", 0),
    ] {
        assert_eq!(query_scalar(&db, sql).await, expected, "{sql}");
    }
    let exported =
        sandbox.run_command(&["export", "analytics", "--from", "2026-01-01", "--to", "2026-12-31"], &[]).await;
    // The first line has the names of the columns.
    let line_count = i64::try_from(exported.stdout.lines().count()).expect("a number");
    assert_eq!(line_count - 1, query_scalar(&db, "SELECT count(*) FROM daily_figure").await);
    db.close().await;
}

async fn rebuild_command_with_invalid_arguments_fails(backend: Backend) {
    let database = TestDatabase::create_migrated(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url())]);
    for (args, message) in [
        (vec!["analytics", "rebuild", "--from", "2026-11-01"], "--to"),
        (vec!["analytics", "rebuild", "--from", "2026-11-02", "--to", "2026-11-01"], "--to: the period ends"),
        (vec!["analytics", "rebuild", "--from", "today", "--to", "2026-11-01"], "--from: this must be a day"),
        (vec!["export", "analytics", "--from", "2016-11-01", "--to", "2026-11-01"], "--to: the period has"),
    ] {
        let exited = sandbox.run_command(&args, &[]).await;
        assert_ne!(exited.exit_code, Some(0), "{args:?}");
        assert!(exited.stderr.contains(message) && exited.stderr.lines().count() < 12, "{exited:?}");
    }
}
