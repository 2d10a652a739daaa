//! How long carts are kept, what their customers are told of them, what an order takes of them, and what the database
//! itself refuses.

use chrono::TimeDelta;
use futures_util::future::join_all;
use savannah::{
    cart,
    identity::{Caller, Role},
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::{
    customers::home,
    shop::{Backend, Shop},
    stories,
};

stories![
    old_carts_are_swept,
    a_customer_takes_their_carts_along,
    an_order_takes_a_cart_once,
    the_database_has_rules_about_carts,
];

async fn old_carts_are_swept(backend: Backend) {
    let settings = [("SAVANNAH_CART__GUEST_LIFETIME", "86400"), ("SAVANNAH_CART__CUSTOMER_LIFETIME", "259200")];
    let shop = Shop::open_with(backend, &settings).await;
    let mug = shop.good("mug", 10, None).await;
    let token = shop.sign_in(Role::Customer).await;
    let (old, own) = (shop.cart(None, &[(&mug, 1)]).await, shop.cart(Some(&token), &[(&mug, 1)]).await);
    let busy = shop.cart(None, &[(&mug, 1)]).await;
    let sweep = async || cart::sweep(&shop.db, &shop.app.shared.config.cart).await.expect("a sweep");
    let now = shop.db.now();
    shop.clock.set(now + TimeDelta::hours(20));
    shop.cart_lines(None, "cartLinesAdd", &busy, &[(&mug, 1)]).await;
    assert_eq!(sweep().await, 0);
    shop.clock.set(now + TimeDelta::hours(25));
    assert_eq!(sweep().await, 1);
    assert_eq!(shop.see_cart(None, &old).await, Value::Null);
    let late = shop.cart_lines(None, "cartLinesAdd", &old, &[(&mug, 1)]).await;
    assert_eq!(late.problems("cartLinesAdd"), [("NOT_FOUND".into(), "id".into())]);
    assert_eq!(shop.see_cart(None, &busy).await["itemCount"], 2);
    shop.clock.set(now + TimeDelta::hours(71));
    assert_eq!(sweep().await, 1);
    shop.clock.set(now + TimeDelta::hours(73));
    // Any number may sweep at once.
    let swept = join_all((0..4).map(|_| sweep())).await;
    assert_eq!(swept.iter().sum::<u64>(), 1);
    let token = shop.sign_in(Role::Staff).await;
    assert_eq!(shop.see_cart(Some(&token), &own).await, Value::Null);
    assert_eq!(shop.number("SELECT count(*) FROM cart_line").await, 0);
    // More than go in one batch.
    let more = "INSERT INTO cart (word, state, version, created_at, updated_at)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1201)
        SELECT 'word of forty characters, more or less ' || n, 'open', 1, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00' FROM n";
    let more = if shop.db.sql().postgres() {
        more.replace("'2026-01-01T00:00:00+00:00'", "TIMESTAMPTZ '2026-01-01T00:00:00+00:00'")
    } else {
        more.to_owned()
    };
    shop.sql(&more).await.expect("many");
    assert_eq!(sweep().await, 1201);
}

async fn a_customer_takes_their_carts_along(backend: Backend) {
    let shop = Shop::open(backend).await;
    let mug = shop.good("mug", 10, None).await;
    let token = shop.sign_in(Role::Customer).await;
    let id = shop.cart(Some(&token), &[(&mug, 2)]).await;
    let say = "mutation($id: ID!, $address: PostalAddressInput!) {
        cartAddressSet(id: $id, input: { shipping: { address: $address } }) { userErrors { code } } }";
    let said = shop.ask_as(&token, say, json!({ "id": id, "address": home() })).await;
    assert_eq!(said.problems("cartAddressSet"), []);
    let told = shop.ask_as(&token, "{ customerExport }", json!({})).await;
    let cart = told.at("/customerExport/carts/0");
    assert_eq!(
        (&cart["state"], &cart["lines"][0]["sku"], &cart["lines"][0]["quantity"]),
        (&json!("open"), &json!("MUG"), &json!(2))
    );
    assert_eq!(cart["shippingAddress"]["line1"], "Moi Avenue 1");
    let gone =
        shop.ask_as(&token, "mutation { customerDelete { deletedCustomerId userErrors { code } } }", json!({})).await;
    assert_eq!(gone.problems("customerDelete"), []);
    assert_eq!(shop.number("SELECT count(*) FROM cart").await + shop.number("SELECT count(*) FROM cart_line").await, 0);
}

async fn an_order_takes_a_cart_once(backend: Backend) {
    let shop = Shop::open(backend).await;
    let (bowl, mug) = (shop.good("bowl", 10, None).await, shop.good("mug", 10, None).await);
    let id = shop.cart(None, &[(&mug, 2), (&bowl, 3)]).await;
    let order = |number: i64| {
        let (shop, id) = (&shop, &id);
        async move {
            let taking = shop.db.write(async |tx| {
                let taken = cart::take(tx, id, Caller::Nobody).await?;
                tx.execute_raw(cart::close(tx, taken.key, number).statement()).await?;
                Ok(taken)
            });
            taking.await
        }
    };
    let taken: Vec<_> = join_all((1..=8).map(order)).await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(taken.len(), 1);
    let quantities: Vec<i64> = taken[0].lines.iter().map(|(_, quantity)| *quantity).collect();
    assert_eq!(quantities, [3, 2], "by the variants' keys");
    assert_eq!((taken[0].account, taken[0].shipping_address.clone(), taken[0].version), (None, None, 2));
    assert_eq!(shop.see_cart(None, &id).await["state"], "ORDERED");
    let customer = shop.sign_in(Role::Customer).await;
    let own = shop.cart(Some(&customer), &[(&mug, 2)]).await;
    let stolen = shop.db.write(async |tx| cart::take(tx, &own, Caller::Nobody).await).await;
    assert!(stolen.is_err());
}

async fn the_database_has_rules_about_carts(backend: Backend) {
    let shop = Shop::open(backend).await;
    shop.fit_out().await;
    let mug = shop.good("mug", 10, None).await;
    let token = shop.sign_in(Role::Customer).await;
    shop.cart(Some(&token), &[(&mug, 2)]).await;
    let wrong = [
        "UPDATE cart_line SET quantity = 0",
        "UPDATE cart_line SET quantity = 10001",
        "UPDATE cart_line SET unit_price = -1",
        "UPDATE cart_line SET variant_id = 999",
        "UPDATE cart_line SET cart_id = 999",
        "INSERT INTO cart_line SELECT * FROM cart_line",
        "UPDATE cart SET state = 'lost'",
        "UPDATE cart SET state = 'ordered'",
        "UPDATE cart SET order_id = 1",
        "UPDATE cart SET state = 'merged', account_id = NULL",
        "UPDATE cart SET account_id = 999",
        "UPDATE cart SET version = 0",
        "UPDATE cart SET word = 'short'",
        "UPDATE cart SET note = ''",
        "UPDATE cart SET phone = '0712345678'",
        "UPDATE cart SET shipping_method_id = 999",
        "INSERT INTO cart (word, account_id, state, version, created_at, updated_at) \
            SELECT word || 'x', account_id, state, version, created_at, updated_at FROM cart",
        "UPDATE tax_rate SET basis_points = 10001",
        "UPDATE tax_rate SET basis_points = -1",
        "UPDATE tax_rate SET country_code = 'ke'",
        "UPDATE tax_rate SET category_id = 999",
        "INSERT INTO tax_rate (country_code, category_id, name, basis_points, included, version, created_at, updated_at) \
            SELECT country_code, category_id, name, basis_points, included, version, created_at, updated_at FROM tax_rate",
        "UPDATE shipping_method SET price = -1",
        "UPDATE shipping_method SET kind = 'pigeon'",
        "UPDATE shipping_method SET kind = 'flat', price_per_kg = 1",
        "UPDATE shipping_method SET kind = 'weight', price_per_kg = NULL",
        "UPDATE shipping_method SET min_grams = 2, max_grams = 1",
    ];
    for sql in wrong {
        assert!(shop.sql(sql).await.is_err(), "the database took: {sql}");
    }
    assert_eq!(shop.number("SELECT sum(quantity) FROM cart_line").await, 2);
    assert_eq!(shop.number("SELECT count(*) FROM cart WHERE state = 'open' AND account_id IS NOT NULL").await, 1);
}
