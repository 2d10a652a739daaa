//! Stock, order and payment constraints of the database, independent of application code.

use savannah::identity::Role;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::json;

use crate::{
    checkout::{expect_order, order_id},
    integration_tests,
    payments::pay_by_bank,
    support::{Backend, FakePaymentProvider, FakePaymentResponse, TestApp},
};

integration_tests![
    invalid_stock_rows_are_rejected_by_the_database,
    invalid_order_rows_are_rejected_by_the_database,
    invalid_payment_rows_are_rejected_by_the_database,
    invalid_cart_and_idempotency_rows_are_rejected_by_the_database,
];

/// Starts a server with one order of each kind (unpaid; paid, partly shipped and partly refunded; canceled) and carts.
async fn start_app_with_orders(backend: Backend) -> TestApp {
    let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Pending).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(10)).await, app.create_product("bowl", 50, Some(10)).await);
    let staff = app.login(Role::Staff).await;
    let customer = app.login(Role::Customer).await;
    let cart = app.create_cart(None, &[(&mug, 1)]).await;
    expect_order(&app.complete_checkout(None, "later", &cart, pay_by_bank()).await, "checkoutComplete");
    payment_provider.set_authorize_response(FakePaymentResponse::Succeeded);
    let cart = app.create_cart(Some(&customer), &[(&mug, 3), (&bowl, 2)]).await;
    let paid =
        expect_order(&app.complete_checkout(Some(&customer), "now", &cart, pay_by_bank()).await, "checkoutComplete");
    let line = &paid["lines"][0]["id"];
    let parcel = json!({ "idempotencyKey": "p", "carrier": "G4S", "lines": [{ "lineId": line, "quantity": 1 }] });
    expect_order(
        &app.run_order_mutation(&staff, "orderFulfill", order_id(&paid), Some(("OrderFulfillInput!", parcel))).await,
        "orderFulfill",
    );
    let refund = json!({ "idempotencyKey": "r", "lines": [{ "lineId": line, "quantityUnfulfilled": 1 }] });
    expect_order(
        &app.run_order_mutation(&staff, "orderRefund", order_id(&paid), Some(("OrderRefundInput!", refund))).await,
        "orderRefund",
    );
    let canceled_order = expect_order(&app.create_order(None, "gone", &[(&bowl, 1)], json!({})).await, "orderCreate");
    expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&canceled_order), None).await, "orderCancel");
    app.create_cart(Some(&customer), &[(&mug, 1)]).await;
    app.assert_invariants().await;
    app.run_pending_jobs().await;
    app
}

/// Returns every row of the order tables.
async fn dump_order_tables(app: &TestApp) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "inventory_level",
        "stock_movement",
        "stock_reservation",
        "orders",
        "order_line",
        "order_history",
        "fulfillment",
        "fulfillment_line",
        "payment",
        "payment_transaction",
        "refund",
        "refund_line",
        "cart",
        "cart_line",
        "idempotency_key",
    ] {
        let statement = Statement::from_string(app.db.backend(), format!("SELECT * FROM {table}"));
        let rows = JsonValue::find_by_statement(statement).all(app.db.writer_connection()).await.expect("rows");
        assert!(!rows.is_empty(), "nothing in {table} that could be broken");
        all.extend(rows.iter().map(|row| format!("{table} {row}")));
    }
    all.sort();
    all
}

async fn assert_statements_rejected(app: &TestApp, invalid_statements: &[&str]) {
    let before = dump_order_tables(app).await;
    for sql in invalid_statements {
        assert!(app.execute_sql(sql).await.is_err(), "the database took: {sql}");
    }
    assert_eq!(dump_order_tables(app).await, before, "a refusal left something behind");
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn invalid_stock_rows_are_rejected_by_the_database(backend: Backend) {
    let app = start_app_with_orders(backend).await;
    assert_statements_rejected(
        &app,
        &[
            "UPDATE inventory_level SET on_hand = -1",
            "UPDATE inventory_level SET on_hand = reserved - 1 WHERE reserved > 0",
            "UPDATE inventory_level SET reserved = on_hand + 1",
            "UPDATE inventory_level SET reserved = -1",
            "UPDATE inventory_level SET reserved = reserved + 1",
            "UPDATE inventory_level SET reserved = reserved - 1 WHERE reserved > 0",
            "UPDATE inventory_level SET last_reason = 'because', on_hand = on_hand + 1",
            "UPDATE inventory_level SET low_stock_threshold = -1",
            "UPDATE stock_movement SET delta = delta + 1",
            "UPDATE stock_movement SET reason = 'lost'",
            "UPDATE stock_movement SET reference = NULL",
            "DELETE FROM stock_movement",
            "INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, actor, created_at) \
             SELECT variant_id, location_id, 1, on_hand + 1, 'received', 'x', created_at FROM inventory_level",
            "INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, actor, created_at) \
             SELECT variant_id, location_id, 1, on_hand, 'received', 'x', created_at FROM inventory_level",
            "INSERT INTO stock_movement (variant_id, location_id, delta, on_hand, reason, actor, created_at) \
             SELECT variant_id, location_id, 0, on_hand, 'received', 'x', created_at FROM inventory_level",
            "UPDATE stock_reservation SET variant_id = (SELECT MAX(variant_id) FROM inventory_level) \
             WHERE variant_id < (SELECT MAX(variant_id) FROM inventory_level)",
            "UPDATE stock_reservation SET location_id = 2",
            "UPDATE stock_reservation SET quantity = 0",
            "UPDATE stock_reservation SET quantity = -1",
            "UPDATE stock_reservation SET quantity = 1000",
            "INSERT INTO stock_reservation SELECT (SELECT MAX(id) FROM order_line), location_id, variant_id, 1000, \
             NULL, created_at, updated_at \
             FROM inventory_level WHERE reserved > 0",
            "INSERT INTO stock_reservation SELECT * FROM stock_reservation",
            "DELETE FROM inventory_level WHERE reserved > 0",
            "INSERT INTO location (name, is_default, created_at, updated_at) SELECT name, false, created_at, updated_at FROM location",
        ],
    )
    .await;
}

async fn invalid_order_rows_are_rejected_by_the_database(backend: Backend) {
    let app = start_app_with_orders(backend).await;
    assert_statements_rejected(
        &app,
        &[
            "UPDATE orders SET total = total + 1",
            "UPDATE orders SET shipping = shipping + 1",
            "UPDATE orders SET discount = list_subtotal + 1, total = shipping + tax_excluded_total - 1",
            "UPDATE orders SET discount = -1, total = total + 1",
            "UPDATE orders SET tax_excluded_total = tax + 1, total = total + 1",
            "UPDATE orders SET status = 'lost'",
            "UPDATE orders SET payment_status = 'perhaps'",
            "UPDATE orders SET fulfillment_status = 'nearly'",
            "UPDATE orders SET expires_at = placed_at WHERE status <> 'pending'",
            "UPDATE orders SET status = 'confirmed' WHERE expires_at IS NOT NULL",
            "UPDATE orders SET number = (SELECT MIN(number) FROM orders)",
            "UPDATE orders SET number = 'A'",
            "UPDATE orders SET guest_access_token = (SELECT MIN(guest_access_token) FROM orders)",
            "UPDATE orders SET guest_access_token = 'short'",
            "UPDATE orders SET cart_id = 1 WHERE status <> 'canceled'",
            "UPDATE orders SET email = NULL, phone = NULL",
            "UPDATE orders SET phone = '0712345678'",
            "UPDATE orders SET account_id = 0",
            "UPDATE orders SET currency = 'SHILLING'",
            "UPDATE orders SET version = 0",
            "DELETE FROM orders",
            "UPDATE order_line SET quantity = 0",
            "UPDATE order_line SET quantity = quantity + 1",
            "UPDATE order_line SET unit_price = unit_list_price + 1",
            "UPDATE order_line SET discount = -1, total = total + 1",
            "UPDATE order_line SET total = total + 1",
            "UPDATE order_line SET tax_rate_bps = 10001",
            "UPDATE order_line SET quantity_fulfilled = quantity + 1",
            "UPDATE order_line SET quantity_fulfilled = -1",
            "UPDATE order_line SET quantity_refunded = quantity + 1",
            "UPDATE order_line SET quantity_canceled = quantity_refunded + 1",
            "UPDATE order_line SET quantity_fulfilled = quantity, quantity_refunded = quantity, quantity_canceled = 1",
            "UPDATE order_line SET position = 0",
            "UPDATE order_line SET order_id = 0",
            "DELETE FROM order_line",
            "INSERT INTO fulfillment_line SELECT MAX(f.id), MIN(l.id), MAX(l.quantity) + 1 FROM fulfillment AS f, order_line AS l",
            "INSERT INTO fulfillment_line SELECT fulfillment_id, order_line_id, 1 FROM fulfillment_line",
            "INSERT INTO fulfillment_line SELECT MAX(f.id), MIN(l.id), -1 FROM fulfillment AS f, order_line AS l",
            "UPDATE fulfillment_line SET quantity = 0",
            "INSERT INTO refund_line SELECT MAX(r.id), MIN(l.id), MAX(l.quantity) + 1, 0, 0 FROM refund AS r, order_line AS l",
            "INSERT INTO refund_line SELECT MAX(r.id), MIN(l.id), 1, 2, 0 FROM refund AS r, order_line AS l",
            "INSERT INTO refund_line SELECT MAX(r.id), MIN(l.id), 1, 0, 2 FROM refund AS r, order_line AS l",
            "INSERT INTO refund_line SELECT refund_id, order_line_id, 1, 0, 0 FROM refund_line",
            "UPDATE order_line SET quantity_returned = quantity_fulfilled + 1",
            "UPDATE order_line SET quantity_returned = -1",
            "UPDATE order_line SET quantity_refunded = quantity_fulfilled + quantity_canceled + 1",
            "UPDATE order_history SET event_type = 'gossip'",
            "UPDATE order_history SET to_status = NULL WHERE event_type = 'status'",
            "UPDATE order_history SET actor_kind = 'account', actor_id = NULL",
        ],
    )
    .await;
}

async fn invalid_payment_rows_are_rejected_by_the_database(backend: Backend) {
    let app = start_app_with_orders(backend).await;
    assert_statements_rejected(
        &app,
        &[
            "UPDATE payment SET captured = amount + 1, status = 'captured'",
            "UPDATE payment SET captured = -1",
            "UPDATE payment SET refunded = captured + 1",
            "UPDATE payment SET refunded = -1",
            "UPDATE payment SET amount = -1",
            "UPDATE payment SET status = 'stolen'",
            "UPDATE payment SET status = 'voided' WHERE captured > 0",
            "UPDATE payment SET reference = 'the same', provider = 'bank'",
            "UPDATE payment SET order_id = 0",
            "DELETE FROM payment",
            "UPDATE payment_transaction SET amount = amount + 1",
            "UPDATE payment_transaction SET transaction_type = 'fail'",
            "DELETE FROM payment_transaction",
            "INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
             SELECT payment_id, transaction_type, amount, reference, created_at FROM payment_transaction",
            "INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
             SELECT payment_id, 'capture', 1, 'once more', created_at FROM payment_transaction WHERE transaction_type = 'capture'",
            "INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
             SELECT id, 'refund', captured - refunded + 1, 'too much', created_at FROM payment WHERE captured > 0",
            "INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
             SELECT id, 'refund', 1, 'of nothing', created_at FROM payment WHERE captured = 0",
            "INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
             SELECT id, 'capture', -1, 'less', created_at FROM payment",
            "INSERT INTO payment_transaction (payment_id, transaction_type, amount, reference, created_at) \
             SELECT id, 'present', 1, 'x', created_at FROM payment",
            "UPDATE refund SET amount = -1",
            "UPDATE refund SET shipping = amount + 1",
            "UPDATE refund SET attempt = 0",
            "UPDATE refund SET status = 'maybe'",
            "UPDATE refund SET payment_id = 0",
            "DELETE FROM refund",
        ],
    )
    .await;
}

async fn invalid_cart_and_idempotency_rows_are_rejected_by_the_database(backend: Backend) {
    let app = start_app_with_orders(backend).await;
    assert_statements_rejected(
        &app,
        &[
            "UPDATE cart SET status = 'open', order_id = NULL WHERE account_id IS NOT NULL",
            "UPDATE cart SET status = 'ordered' WHERE status = 'open'",
            "UPDATE cart SET order_id = NULL WHERE status = 'ordered'",
            "UPDATE cart SET order_id = 1, status = 'ordered'",
            "UPDATE cart SET status = 'merged', order_id = NULL WHERE account_id IS NULL",
            "UPDATE cart SET status = 'stolen'",
            "UPDATE cart SET token = 'guess'",
            "UPDATE cart SET token = (SELECT MIN(token) FROM cart)",
            "UPDATE cart SET account_id = 0",
            "UPDATE cart_line SET quantity = 0",
            "UPDATE cart_line SET quantity = 10001",
            "UPDATE cart_line SET unit_price = -1",
            "UPDATE cart_line SET variant_id = 0",
            "INSERT INTO cart_line SELECT * FROM cart_line",
            "INSERT INTO idempotency_key SELECT * FROM idempotency_key",
            "UPDATE idempotency_key SET key = 'the same', scope = 'the same'",
            "UPDATE idempotency_key SET key = ''",
            "UPDATE idempotency_key SET request_hash = ''",
            "UPDATE idempotency_key SET resource_id = NULL",
        ],
    )
    .await;
}
