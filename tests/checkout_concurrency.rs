//! Concurrent checkouts: no overselling, no deadlocks, no internal errors in responses.

use futures_util::future::{join, join_all};
use savannah::{base::Patch, identity::Role, payment::PaymentProviders};
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    payments::{order_and_payment_status, reload_order},
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    concurrent_orders_do_not_oversell_the_last_units,
    orders_with_crossed_line_order_do_not_deadlock,
    product_in_stock_follows_concurrent_variant_orders,
    concurrent_requests_with_same_key_create_one_order,
    repeated_variant_in_an_order_is_one_line,
    concurrent_checkouts_order_a_cart_once,
    cart_change_concurrent_with_checkout_is_detected,
    concurrent_cancel_and_fulfill_allow_only_one,
    concurrent_fulfillments_ship_each_unit_once,
];

/// Starts a server with enough connections for concurrent clients.
pub async fn start_app_with_many_connections(backend: Backend) -> TestApp {
    TestApp::start_with_payment_providers(
        backend,
        &[("SAVANNAH_DATABASE__MAX_CONNECTIONS", "12")],
        PaymentProviders::default(),
    )
    .await
}

/// Asserts the data invariants and runs all pending jobs.
pub async fn assert_invariants_and_run_jobs(app: &TestApp) {
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

/// Returns the number of successes and the error codes of the rest; fails on an internal error.
pub fn count_outcomes(responses: &[GraphqlResponse], mutation: &str) -> (usize, Vec<String>) {
    let mut rejections = Vec::new();
    for response in responses {
        let problems = response.user_errors(mutation);
        rejections.extend(problems.into_iter().map(|(code, _)| code).take(1));
    }
    (responses.len() - rejections.len(), rejections)
}

async fn count_rows(app: &TestApp, source: &str) -> i64 {
    app.query_scalar(&format!("SELECT count(*) FROM {source}")).await
}

/// Returns on-hand and reserved quantity of a SKU.
async fn query_stock(app: &TestApp, sku: &str) -> (i64, i64) {
    let column_sql = |column: &str| {
        format!(
            "SELECT i.{column} FROM inventory_level AS i JOIN variant AS v ON v.id = i.variant_id WHERE v.sku = '{sku}'"
        )
    };
    (app.query_scalar(&column_sql("on_hand")).await, app.query_scalar(&column_sql("reserved")).await)
}

async fn concurrent_orders_do_not_oversell_the_last_units(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(10)).await;
    let keys: Vec<String> = (0..64).map(|index| format!("k{index}")).collect();
    let items = [(mug.as_str(), 1)];
    let all = join_all(keys.iter().map(|key| app.create_order(None, key, &items, json!({})))).await;
    let (success_count, rejections) = count_outcomes(&all, "orderCreate");
    assert_eq!((success_count, rejections.len()), (10, 54));
    assert!(rejections.iter().all(|code| code == "INSUFFICIENT_STOCK"), "{rejections:?}");
    assert_eq!((count_rows(&app, "orders").await, query_stock(&app, "MUG").await), (10, (10, 10)));
    assert_eq!(app.query("{ product(slug: \"mug\") { inStock } }").await.data_at("/product/inStock"), false);
    assert_invariants_and_run_jobs(&app).await;
}

async fn orders_with_crossed_line_order_do_not_deadlock(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(30)).await, app.create_product("bowl", 100, Some(20)).await);
    let (forward_lines, reverse_lines) =
        ([(mug.as_str(), 1), (bowl.as_str(), 1)], [(bowl.as_str(), 1), (mug.as_str(), 1)]);
    let keys: Vec<String> = (0..40).map(|index| format!("k{index}")).collect();
    let mut carts = Vec::new();
    for index in 0..20 {
        carts.push(app.create_cart(None, if index % 2 == 0 { &forward_lines } else { &reverse_lines }).await);
    }
    let from_carts = carts.iter().zip(&keys[20..]).map(|(cart, key)| app.complete_checkout(None, key, cart, json!({})));
    let lists = keys[..20].iter().enumerate();
    let lists = lists.map(|(index, key)| {
        app.create_order(None, key, if index % 2 == 0 { &forward_lines } else { &reverse_lines }, json!({}))
    });
    let (first, second) = join(join_all(lists), join_all(from_carts)).await;
    let ((first, mut rejections), (second, more)) =
        (count_outcomes(&first, "orderCreate"), count_outcomes(&second, "checkoutComplete"));
    rejections.extend(more);
    assert_eq!((first + second, rejections.len()), (20, 20), "{rejections:?}");
    assert!(rejections.iter().all(|code| code == "INSUFFICIENT_STOCK"), "{rejections:?}");
    assert_eq!((query_stock(&app, "MUG").await, query_stock(&app, "BOWL").await), ((30, 20), (20, 20)));
    assert_invariants_and_run_jobs(&app).await;
}

async fn product_in_stock_follows_concurrent_variant_orders(backend: Backend) {
    // Two variants of one product with one unit each: the transactions that take the last units do not see each other,
    // and yet the product must be out of stock in the end.
    let app = start_app_with_many_connections(backend).await;
    let mut product_inputs = Vec::new();
    for index in 0..12 {
        let mut product_input = crate::support::simple_product(&format!("cup-{index}"), "cup", 100);
        let first = product_input.variants[0].clone();
        product_input.options = Patch::Set(vec!["Size".to_owned().into()]);
        product_input.variants = ["S", "L"]
            .map(|size| {
                let mut first = first.clone();
                first.sku = Patch::Set(format!("CUP-{index}-{size}"));
                (first.options, first.on_hand) = (Patch::Set(vec![size.into()]), Patch::Set(1));
                first
            })
            .to_vec();
        product_inputs.push(product_input);
    }
    app.save_products(&product_inputs).await;
    for index in 0..12 {
        let (small, large) = (
            app.query_variant_id(&format!("CUP-{index}-S")).await,
            app.query_variant_id(&format!("CUP-{index}-L")).await,
        );
        let (first, second) = (format!("s{index}"), format!("l{index}"));
        let (small, large) = ([(small.as_str(), 1)], [(large.as_str(), 1)]);
        let orders =
            [(&first, &small), (&second, &large)].map(|(key, items)| app.create_order(None, key, items, json!({})));
        let placed_orders: Vec<Value> =
            join_all(orders).await.iter().map(|first| expect_order(first, "orderCreate")).collect();
        let query = format!("{{ product(slug: \"cup-{index}\") {{ inStock }} }}");
        assert_eq!(app.query(&query).await.data_at("/product/inStock"), false, "{index}");
        if index % 2 == 0 {
            let staff = app.login(Role::Staff).await;
            let cancel_responses = join_all(
                placed_orders.iter().map(|first| app.run_order_mutation(&staff, "orderCancel", order_id(first), None)),
            )
            .await;
            assert_eq!(count_outcomes(&cancel_responses, "orderCancel").0, 2);
            assert_eq!(app.query(&query).await.data_at("/product/inStock"), true, "{index}");
        }
    }
    assert_invariants_and_run_jobs(&app).await;
}

async fn concurrent_requests_with_same_key_create_one_order(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let items = [(mug.as_str(), 2)];
    let all = join_all((0..20).map(|_| app.create_order(None, "the same", &items, json!({})))).await;
    let first = expect_order(&all[0], "orderCreate");
    for response in &all {
        assert_eq!(expect_order(response, "orderCreate"), first);
    }
    // Idempotency keys are scoped to the account; guests share one scope.
    let customers = [app.login(Role::Customer).await, app.login(Role::Customer).await];
    let tokens = customers.iter().chain(&customers);
    let all = join_all(tokens.map(|token| app.create_order(Some(token), "the same", &items, json!({})))).await;
    assert_eq!(count_outcomes(&all, "orderCreate").0, 4);
    assert_eq!((count_rows(&app, "orders").await, query_stock(&app, "MUG").await), (3, (50, 6)));
    assert_eq!(
        (count_rows(&app, "payment").await, count_rows(&app, "outbox_event WHERE event_type = 'OrderPlaced'").await),
        (3, 3)
    );
    assert_invariants_and_run_jobs(&app).await;
}

async fn repeated_variant_in_an_order_is_one_line(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let (mug, bowl) =
        (app.create_product("mug", 100, Some(12)).await, app.create_product("bowl", 100, Some(100)).await);
    let items = [(mug.as_str(), 1), (bowl.as_str(), 1), (mug.as_str(), 2)];
    let keys: Vec<String> = (0..10).map(|index| format!("k{index}")).collect();
    let all = join_all(keys.iter().map(|key| app.create_order(None, key, &items, json!({})))).await;
    assert_eq!(count_outcomes(&all, "orderCreate").0, 4);
    let placed_order = all.iter().find(|response| response.user_errors("orderCreate").is_empty()).expect("an order");
    assert_eq!(placed_order.data_at("/orderCreate/order/lines").as_array().map(Vec::len), Some(2));
    assert_eq!((query_stock(&app, "MUG").await, query_stock(&app, "BOWL").await), ((12, 12), (100, 4)));
    assert_invariants_and_run_jobs(&app).await;
}

async fn concurrent_checkouts_order_a_cart_once(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let token = app.login(Role::Customer).await;
    for round in 0..6 {
        let customer_token = (round % 2 == 0).then_some(token.as_str());
        let cart = app.create_cart(customer_token, &[(&mug, 2)]).await;
        let keys: Vec<String> = (0..8).map(|index| format!("{round}-{index}")).collect();
        let overrides = json!({ "expectedTotal": "200.00" });
        let all =
            join_all(keys.iter().map(|key| app.complete_checkout(customer_token, key, &cart, overrides.clone()))).await;
        let (success_count, rejections) = count_outcomes(&all, "checkoutComplete");
        assert_eq!((success_count, rejections.len()), (1, 7));
        assert!(rejections.iter().all(|code| code == "ILLEGAL_TRANSITION"), "{rejections:?}");
    }
    assert_eq!((count_rows(&app, "orders").await, query_stock(&app, "MUG").await), (6, (100, 12)));
    assert_invariants_and_run_jobs(&app).await;
}

async fn cart_change_concurrent_with_checkout_is_detected(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let (mut sold, mut changed) = (0, 0);
    for round in 0..10 {
        let cart = app.create_cart(None, &[(&mug, 2)]).await;
        let (key, overrides) = (format!("k{round}"), json!({ "expectedTotal": "200.00" }));
        let more = [(mug.as_str(), 1)];
        let add = app.mutate_cart_lines(None, "cartLinesAdd", &cart, &more);
        let checkout = app.complete_checkout(None, &key, &cart, overrides);
        let (checkout_response, added) = if round % 2 == 0 {
            join(checkout, add).await
        } else {
            let (added, checkout_response) = join(add, checkout).await;
            (checkout_response, added)
        };
        let (checkout_response, added) =
            (checkout_response.user_errors("checkoutComplete"), added.user_errors("cartLinesAdd"));
        // Either the change commits first and the total differs, or the cart is already ordered.
        if checkout_response.is_empty() {
            assert_eq!(added, error_pairs(&[("ILLEGAL_TRANSITION", "id")]));
            sold += 2;
        } else {
            assert_eq!((checkout_response, added), (error_pairs(&[("PRICE_CHANGED", "input.expectedTotal")]), vec![]));
            assert_eq!(app.query_cart(None, &cart).await["itemCount"], 3);
            changed += 1;
        }
    }
    assert_eq!(query_stock(&app, "MUG").await, (100, sold), "{changed} changed first");
    assert_invariants_and_run_jobs(&app).await;
}

async fn concurrent_cancel_and_fulfill_allow_only_one(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let staff = app.login(Role::Staff).await;
    let mut placed_orders = Vec::new();
    for round in 0..20 {
        let placed =
            expect_order(&app.create_order(None, &format!("k{round}"), &[(&mug, 2)], json!({})).await, "orderCreate");
        expect_order(&app.run_order_mutation(&staff, "orderConfirm", order_id(&placed), None).await, "orderConfirm");
        placed_orders.push(placed);
    }
    let parcel = Some(("OrderFulfillInput!", json!({ "idempotencyKey": "p" })));
    let both = placed_orders.iter().enumerate().map(async |(round, placed)| {
        let cancel = app.run_order_mutation(&staff, "orderCancel", order_id(placed), None);
        let fulfill = app.run_order_mutation(&staff, "orderFulfill", order_id(placed), parcel.clone());
        if round % 2 == 0 {
            join(cancel, fulfill).await
        } else {
            let (fulfilled, canceled) = join(fulfill, cancel).await;
            (canceled, fulfilled)
        }
    });
    let mut sent = 0;
    for ((canceled, fulfilled), placed) in join_all(both).await.iter().zip(&placed_orders) {
        let expected_errors = error_pairs(&[("ILLEGAL_TRANSITION", "id")]);
        let reloaded = reload_order(&app, placed).await;
        if fulfilled.user_errors("orderFulfill").is_empty() {
            assert_eq!(
                (canceled.user_errors("orderCancel"), &reloaded["status"]),
                (expected_errors, &json!("SHIPPED"))
            );
            sent += 2;
        } else {
            assert_eq!(
                (fulfilled.user_errors("orderFulfill"), canceled.user_errors("orderCancel")),
                (expected_errors, vec![])
            );
            assert_eq!(reloaded["status"], "CANCELED");
        }
    }
    assert_eq!(query_stock(&app, "MUG").await, (100 - sent, 0));
    assert_invariants_and_run_jobs(&app).await;
}

async fn concurrent_fulfillments_ship_each_unit_once(backend: Backend) {
    let app = start_app_with_many_connections(backend).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let staff = app.login(Role::Staff).await;
    for round in 0..6 {
        let placed =
            expect_order(&app.create_order(None, &format!("k{round}"), &[(&mug, 4)], json!({})).await, "orderCreate");
        expect_order(&app.run_order_mutation(&staff, "orderConfirm", order_id(&placed), None).await, "orderConfirm");
        // Five orders of three units: stock suffices for one. Two orders of one unit fit beside it, or four without it.
        let parcels = (0..6).map(async |index| {
            let lines = json!([{ "lineId": placed["lines"][0]["id"], "quantity": if index < 3 { 3 } else { 1 } }]);
            let input = json!({ "idempotencyKey": format!("p{index}"), "lines": lines });
            app.run_order_mutation(&staff, "orderFulfill", order_id(&placed), Some(("OrderFulfillInput!", input))).await
        });
        let all = join_all(parcels).await;
        let shipped_quantity: i64 = all
            .iter()
            .zip([3, 3, 3, 1, 1, 1])
            .filter(|(placed, _)| placed.user_errors("orderFulfill").is_empty())
            .map(|(_, sent)| sent)
            .sum();
        let (_, rejections) = count_outcomes(&all, "orderFulfill");
        assert!(
            rejections.iter().all(|code| code == "VALIDATION_ERROR" || code == "ILLEGAL_TRANSITION"),
            "{rejections:?}"
        );
        assert!((3..=4).contains(&shipped_quantity), "{shipped_quantity} were sent");
        let reloaded = reload_order(&app, &placed).await;
        assert_eq!(reloaded["lines"][0]["quantityFulfilled"], shipped_quantity);
        let status = if shipped_quantity == 4 { "SHIPPED" } else { "PROCESSING" };
        assert_eq!(order_and_payment_status(&reloaded).0, status);
    }
    assert_invariants_and_run_jobs(&app).await;
}
