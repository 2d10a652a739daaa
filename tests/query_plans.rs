//! Plans do not depend on statistics: on a database made a moment ago, everything that an order asks for is found by an
//! index, also by foreign keys and triggers; an import and the claims of jobs read few rows.

use savannah::{base::Patch, catalog::write::OptionInput};
use serde_json::json;

use crate::{
    checkout_concurrency::{count_outcomes, start_app_with_many_connections},
    integration_tests, outbox_relay,
    support::{Backend, TestApp, shipping_address, simple_product},
};

integration_tests![
    order_with_empty_table_statistics_uses_indexes,
    claims_of_a_backlog_with_empty_table_statistics_read_few_jobs,
    import_with_empty_table_statistics_reads_few_rows,
];

/// The tables that fill while a shop sells.
const ORDER_TABLES: &str = "'orders', 'order_line', 'order_history', 'cart', 'cart_line', 'idempotency_key', \
    'payment', \
    'payment_transaction', 'outbox_event', 'outbox_sequence', 'inventory_level', 'stock_reservation', \
    'stock_movement', 'variant', 'product', \
    'tax_rate', 'shipping_method'";

/// How many orders are placed.
const ORDER_COUNT: usize = 8;

async fn order_with_empty_table_statistics_uses_indexes(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let (mug, bowl) =
        (app.create_product("mug", 100, Some(100)).await, app.create_product("bowl", 100, Some(100)).await);
    if backend == Backend::Postgres {
        // The statistics say that there is nothing, which is worse than that nothing is known.
        app.execute_sql("VACUUM ANALYZE").await.expect("statistics");
    }
    let mut responses = Vec::new();
    for index in 0..ORDER_COUNT {
        let query =
            "mutation($input: CartCreateInput) { cartCreate(input: $input) { cart { id } userErrors { code } } }";
        let created = app.query_with_variables(query, json!({ "input": { "lines": [] } })).await;
        let cart = created.data_at("/cartCreate/cart/id").as_str().expect("an id").to_owned();
        let query = "mutation($id: ID!, $lines: [LineInput!]!) { cartLinesAdd(id: $id, lines: $lines) {
            cart { itemCount } userErrors { code } } }";
        for _ in 0..2 {
            let lines = json!([{ "variantId": mug, "quantity": 1 }, { "variantId": bowl, "quantity": 1 }]);
            let added = app.query_with_variables(query, json!({ "id": cart, "lines": lines })).await;
            assert_eq!(added.user_errors("cartLinesAdd"), []);
        }
        let query = "mutation($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) {
            order { number cost { total { amount } } } userErrors { code message } } }";
        let input = json!({ "cartId": cart, "paymentMethodId": "cash_on_delivery", "idempotencyKey": format!("cart {index}"), "email": "wanjiku@example.com",
            "phone": "+254712345678",
            "shippingAddress": shipping_address(), "expectedTotal": "400.00" });
        responses.push(app.query_with_variables(query, json!({ "input": input })).await);
    }
    assert_eq!(count_outcomes(&responses, "checkoutComplete"), (ORDER_COUNT, vec![]));
    if backend == Backend::Postgres {
        // Whatever was read while the shop was made ready is fewer than one for each order.
        let scanned = format!(
            "SELECT count(*) FROM pg_stat_user_tables WHERE seq_scan >= {ORDER_COUNT} AND relname IN ({ORDER_TABLES})"
        );
        assert_eq!(app.close_and_query_statistics(&scanned).await, 0);
    }
}

/// How many events are delivered to two handlers.
const EVENT_COUNT: i64 = 400;
/// Maximum number of jobs that may be read for each one that is delivered: claimed, completed, and the next ones looked for.
const MAX_READS_PER_JOB: i64 = 60;

async fn claims_of_a_backlog_with_empty_table_statistics_read_few_jobs(backend: Backend) {
    let app = outbox_relay::start_app_with_handlers(backend, &[]).await;
    if backend == Backend::Postgres {
        app.execute_sql("VACUUM ANALYZE job").await.expect("statistics");
    }
    for number in 1..=EVENT_COUNT {
        outbox_relay::emit_test_event(&app, number, number).await;
    }
    app.run_pending_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM heard").await, 2 * EVENT_COUNT);
    if backend == Backend::Postgres {
        let reads = "SELECT CAST(SUM(idx_tup_read) AS BIGINT) FROM pg_stat_user_indexes WHERE relname = 'job'";
        let read_count = app.close_and_query_statistics(reads).await;
        assert!(read_count < 2 * EVENT_COUNT * MAX_READS_PER_JOB, "{read_count} jobs were read");
    }
}

/// How many products are imported.
const PRODUCT_COUNT: usize = 300;
/// Maximum number of rows of the catalog that may be read for each of them.
const MAX_READ_ROWS_PER_PRODUCT: usize = 100;

async fn import_with_empty_table_statistics_reads_few_rows(backend: Backend) {
    let app = TestApp::start(backend).await;
    if backend == Backend::Postgres {
        app.execute_sql("VACUUM ANALYZE").await.expect("statistics");
    }
    let to_product = |number: usize| {
        let mut product = simple_product(&format!("p{number}"), &format!("Mug {number}"), 10);
        product.tags = Patch::Set(vec!["kitchen".into(), format!("tag {number}")]);
        product.options = Patch::Set(vec![OptionInput::from("Color".to_owned())]);
        product.variants[0].options = Patch::Set(vec![format!("Color {number}")]);
        product
    };
    let products: Vec<_> = (0..PRODUCT_COUNT).map(to_product).collect();
    for chunk in products.chunks(PRODUCT_COUNT / 10) {
        app.save_products(chunk).await;
    }
    if backend == Backend::Postgres {
        let reads = "SELECT CAST(SUM(reads) AS BIGINT) FROM (
            SELECT relname, seq_tup_read AS reads FROM pg_stat_user_tables
            UNION ALL SELECT relname, idx_tup_read FROM pg_stat_user_indexes) AS tables
            WHERE relname IN ('product', 'product_search', 'product_search_name', 'product_tag', 'variant', 'variant_option')";
        let read_count = usize::try_from(app.close_and_query_statistics(reads).await).expect("a number");
        assert!(read_count < PRODUCT_COUNT * MAX_READ_ROWS_PER_PRODUCT, "{read_count} rows were read");
    }
}
