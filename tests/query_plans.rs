//! Plans do not depend on statistics: on a database made a moment ago, everything that an order asks for is found by an
//! index, also by foreign keys and triggers.

use serde_json::json;

use crate::{
    locking::ended,
    rush::{open, told},
    shop::{Backend, address, number},
    stories,
};

stories![order_on_empty_tables_scans_none_of_them];

/// The tables that fill while a shop sells.
const TABLES: &str = "'customer_order', 'order_line', 'order_entry', 'cart', 'cart_line', 'idempotency', 'payment', \
    'payment_entry', 'outbox', 'outbox_head', 'inventory', 'stock_hold', 'stock_movement', 'variant', 'product', \
    'tax_rate', 'shipping_method'";

/// How many orders are placed.
const ORDERS: usize = 8;

async fn order_on_empty_tables_scans_none_of_them(backend: Backend) {
    let shop = open(backend).await;
    let (mug, bowl) = (shop.good("mug", 100, Some(100)).await, shop.good("bowl", 100, Some(100)).await);
    if backend == Backend::Postgres {
        // The statistics say that there is nothing, which is worse than that nothing is known.
        shop.sql("VACUUM ANALYZE").await.expect("statistics");
    }
    let mut answers = Vec::new();
    for at in 0..ORDERS {
        let query =
            "mutation($input: CartCreateInput) { cartCreate(input: $input) { cart { id } userErrors { code } } }";
        let made = shop.ask_with(query, json!({ "input": { "lines": [] } })).await;
        let cart = made.at("/cartCreate/cart/id").as_str().expect("an id").to_owned();
        let query = "mutation($id: ID!, $lines: [CartLineInput!]!) { cartLinesAdd(id: $id, lines: $lines) {
            cart { itemCount } userErrors { code } } }";
        for _ in 0..2 {
            let lines = json!([{ "variantId": mug, "quantity": 1 }, { "variantId": bowl, "quantity": 1 }]);
            let added = shop.ask_with(query, json!({ "id": cart, "lines": lines })).await;
            assert_eq!(added.problems("cartLinesAdd"), []);
        }
        let query = "mutation($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) {
            order { number total } userErrors { code message } } }";
        let input = json!({ "cartId": cart, "idempotencyKey": format!("cart {at}"), "email": "wanjiku@example.com",
            "shippingAddress": address(), "expectedTotal": "400.00" });
        answers.push(shop.ask_with(query, json!({ "input": input })).await);
    }
    assert_eq!(told(&answers, "checkoutComplete"), (ORDERS, vec![]));
    if backend == Backend::Postgres {
        let watch = shop.elsewhere().await;
        shop.db.clone().close().await;
        ended(&watch).await;
        // Whatever was read while the shop was made ready is fewer than one for each order.
        let scanned =
            format!("SELECT count(*) FROM pg_stat_user_tables WHERE seq_scan >= {ORDERS} AND relname IN ({TABLES})");
        assert_eq!(number(&watch, &scanned).await, 0);
        watch.close().await;
    }
}
