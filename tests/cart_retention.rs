//! Cart retention, customer notices about carts, conversion into orders, and database constraints.

use chrono::TimeDelta;
use futures_util::future::join_all;
use savannah::{
    cart,
    identity::{Caller, Role},
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    customers::home_address,
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    expired_carts_are_deleted,
    customer_carts_are_exported_and_erased,
    cart_is_converted_to_an_order_once,
    invalid_cart_rows_are_rejected_by_the_database,
];

async fn expired_carts_are_deleted(backend: Backend) {
    let settings = [("SAVANNAH_CART__GUEST_TTL", "1d"), ("SAVANNAH_CART__CUSTOMER_TTL", "3d")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let mug = app.create_product("mug", 10, None).await;
    let token = app.login(Role::Customer).await;
    let (expired_cart, customer_cart) =
        (app.create_cart(None, &[(&mug, 1)]).await, app.create_cart(Some(&token), &[(&mug, 1)]).await);
    let active_cart = app.create_cart(None, &[(&mug, 1)]).await;
    let delete_expired =
        async || cart::delete_expired_carts(&app.db, &app.http_app.state.config.cart).await.expect("a sweep");
    let now = app.db.now();
    app.clock.set(now + TimeDelta::hours(20));
    app.mutate_cart_lines(None, "cartLinesAdd", &active_cart, &[(&mug, 1)]).await;
    assert_eq!(delete_expired().await, 0);
    app.clock.set(now + TimeDelta::hours(25));
    assert_eq!(delete_expired().await, 1);
    assert_eq!(app.query_cart(None, &expired_cart).await, Value::Null);
    let expired_response = app.mutate_cart_lines(None, "cartLinesAdd", &expired_cart, &[(&mug, 1)]).await;
    assert_eq!(expired_response.user_errors("cartLinesAdd"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(app.query_cart(None, &active_cart).await["itemCount"], 2);
    app.clock.set(now + TimeDelta::hours(71));
    assert_eq!(delete_expired().await, 1);
    app.clock.set(now + TimeDelta::hours(73));
    // Concurrent sweeps are allowed.
    let deleted_counts = join_all((0..4).map(|_| delete_expired())).await;
    assert_eq!(deleted_counts.iter().sum::<u64>(), 1);
    let token = app.login(Role::Staff).await;
    assert_eq!(app.query_cart(Some(&token), &customer_cart).await, Value::Null);
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart_line").await, 0);
    // More rows than one batch.
    let insert_sql = "INSERT INTO cart (token, status, version, created_at, updated_at)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1201)
        SELECT 'word of forty characters, more or less ' || n, 'open', 1, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00' FROM n";
    let insert_sql = if app.db.sql().is_postgres() {
        insert_sql.replace("'2026-01-01T00:00:00+00:00'", "TIMESTAMPTZ '2026-01-01T00:00:00+00:00'")
    } else {
        insert_sql.to_owned()
    };
    app.execute_sql(&insert_sql).await.expect("many");
    assert_eq!(delete_expired().await, 1201);
}

async fn customer_carts_are_exported_and_erased(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 10, None).await;
    let token = app.login(Role::Customer).await;
    let id = app.create_cart(Some(&token), &[(&mug, 2)]).await;
    let set_address = "mutation($id: ID!, $address: PostalAddressInput!) {
        cartAddressUpdate(id: $id, input: { shipping: { address: $address } }) { userErrors { code } } }";
    let response = app.query_as(&token, set_address, json!({ "id": id, "address": home_address() })).await;
    assert_eq!(response.user_errors("cartAddressUpdate"), []);
    let export = app.query_as(&token, "{ customerExport }", json!({})).await;
    let cart = export.data_at("/customerExport/carts/0");
    assert_eq!(
        (&cart["status"], &cart["lines"][0]["sku"], &cart["lines"][0]["quantity"]),
        (&json!("open"), &json!("MUG"), &json!(2))
    );
    assert_eq!(cart["shippingAddress"]["line1"], "Moi Avenue 1");
    let deleted =
        app.query_as(&token, "mutation { customerDelete { deletedId userErrors { code } } }", json!({})).await;
    assert_eq!(deleted.user_errors("customerDelete"), []);
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM cart").await + app.query_scalar("SELECT count(*) FROM cart_line").await,
        0
    );
}

async fn cart_is_converted_to_an_order_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (bowl, mug) = (app.create_product("bowl", 10, None).await, app.create_product("mug", 10, None).await);
    let id = app.create_cart(None, &[(&mug, 2), (&bowl, 3)]).await;
    let order = |number: i64| {
        let (app, id) = (&app, &id);
        async move {
            let checkout = app.db.write(async |tx| {
                let checked_out = cart::lock_cart_for_checkout(tx, id, Caller::Anonymous).await?;
                tx.execute_raw(cart::close_cart(tx, checked_out.id, number).into_statement()).await?;
                Ok(checked_out)
            });
            checkout.await
        }
    };
    let checked_out: Vec<_> = join_all((1..=8).map(order)).await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(checked_out.len(), 1);
    let quantities: Vec<i64> = checked_out[0].lines.iter().map(|line| line.quantity).collect();
    assert_eq!(quantities, [3, 2], "by the variants' keys");
    assert_eq!(
        (checked_out[0].account_id, checked_out[0].details.shipping_address.clone(), checked_out[0].version),
        (None, None, 2)
    );
    assert_eq!(app.query_cart(None, &id).await["status"], "ORDERED");
    let customer = app.login(Role::Customer).await;
    let customer_cart = app.create_cart(Some(&customer), &[(&mug, 2)]).await;
    let rejected =
        app.db.write(async |tx| cart::lock_cart_for_checkout(tx, &customer_cart, Caller::Anonymous).await).await;
    assert!(rejected.is_err());
}

async fn invalid_cart_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.seed_shipping_and_tax().await;
    let mug = app.create_product("mug", 10, None).await;
    let token = app.login(Role::Customer).await;
    app.create_cart(Some(&token), &[(&mug, 2)]).await;
    let invalid_statements = [
        "UPDATE cart_line SET quantity = 0",
        "UPDATE cart_line SET quantity = 10001",
        "UPDATE cart_line SET unit_price = -1",
        "UPDATE cart_line SET attributes = '[]'",
        "UPDATE cart_line SET attributes = '{\"key\": \"value\"}'",
        "UPDATE cart_line SET attribute_digest = 'short'",
        "UPDATE cart_line SET variant_id = 999",
        "UPDATE cart_line SET cart_id = 999",
        "INSERT INTO cart_line SELECT * FROM cart_line",
        "UPDATE cart SET status = 'lost'",
        "UPDATE cart SET status = 'ordered'",
        "UPDATE cart SET order_id = 1",
        "UPDATE cart SET status = 'merged', account_id = NULL",
        "UPDATE cart SET account_id = 999",
        "UPDATE cart SET version = 0",
        "UPDATE cart SET token = 'short'",
        "UPDATE cart SET note = ''",
        "UPDATE cart SET phone = '0712345678'",
        "UPDATE cart SET shipping_method_id = 999",
        "INSERT INTO cart (token, account_id, status, version, created_at, updated_at) \
            SELECT token || 'x', account_id, status, version, created_at, updated_at FROM cart",
        "UPDATE tax_rate SET rate_bps = 10001",
        "UPDATE tax_rate SET rate_bps = -1",
        "UPDATE tax_rate SET country_code = 'ke'",
        "UPDATE tax_rate SET category_id = 999",
        "INSERT INTO tax_rate (country_code, category_id, name, rate_bps, included_in_price, version, created_at, \
         updated_at) \
            SELECT country_code, category_id, name, rate_bps, included_in_price, version, created_at, updated_at FROM tax_rate",
        "UPDATE shipping_method SET price = -1",
        "UPDATE shipping_method SET kind = 'pigeon'",
        "UPDATE shipping_method SET kind = 'flat', price_per_kg = 1",
        "UPDATE shipping_method SET kind = 'weight', price_per_kg = NULL",
        "UPDATE shipping_method SET min_weight_grams = 2, max_weight_grams = 1",
    ];
    for sql in invalid_statements {
        assert!(app.execute_sql(sql).await.is_err(), "the database took: {sql}");
    }
    assert_eq!(app.query_scalar("SELECT sum(quantity) FROM cart_line").await, 2);
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart WHERE status = 'open' AND account_id IS NOT NULL").await, 1);
}
