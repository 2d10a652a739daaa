//! The sort order by sales: orders count once, canceled units do not, and old sales are forgotten.

use chrono::TimeDelta;
use savannah::{
    analytics::{self, product_sales},
    identity::Role,
    infra::outbox::DeliveredEvent,
    order::OrderPlaced,
};
use serde_json::json;

use crate::{
    checkout::expect_order,
    integration_tests,
    support::{Backend, TestApp, query_scalar},
};

integration_tests![
    products_are_sorted_by_units_sold,
    canceled_units_do_not_count,
    repeated_event_counts_once,
    sales_older_than_the_period_are_subtracted,
    units_sold_are_not_changed_by_edits,
];

async fn sorted_slugs(app: &TestApp) -> Vec<String> {
    let query = "{ products(sort: { field: BEST_SELLING }) { nodes { slug } } }";
    let response = app.query(query).await;
    assert_eq!(response.statements, 1);
    response.strings_at("/products/nodes", "slug")
}

async fn units_sold(app: &TestApp, slug: &str) -> i64 {
    query_scalar(&app.db, &format!("SELECT units_sold FROM product WHERE slug = '{slug}'")).await
}

/// Places an order and returns its id.
async fn place(app: &TestApp, token: &str, key: &str, items: &[(&str, i64)]) -> String {
    let placed = app.create_order(Some(token), key, items, json!({})).await;
    expect_order(&placed, "orderCreate")["id"].as_str().expect("an id").to_owned()
}

struct Shop {
    app: TestApp,
    staff: String,
    mug: String,
    bowl: String,
}

async fn start_shop(backend: Backend) -> Shop {
    let app = TestApp::start(backend).await;
    let staff = app.login(Role::Staff).await;
    let mug = app.create_product("mug", 100, Some(100)).await;
    let bowl = app.create_product("bowl", 100, None).await;
    app.create_product("plate", 100, None).await;
    Shop { app, staff, mug, bowl }
}

async fn products_are_sorted_by_units_sold(backend: Backend) {
    let Shop { app, staff, mug, bowl } = start_shop(backend).await;
    assert_eq!(sorted_slugs(&app).await, ["plate", "bowl", "mug"]);
    place(&app, &staff, "one", &[(&mug, 2), (&bowl, 1)]).await;
    place(&app, &staff, "two", &[(&mug, 1)]).await;
    app.drain_jobs().await;
    assert_eq!(sorted_slugs(&app).await, ["mug", "bowl", "plate"]);
    assert_eq!((units_sold(&app, "mug").await, units_sold(&app, "bowl").await), (3, 1));
    place(&app, &staff, "three", &[(&bowl, 5)]).await;
    app.drain_jobs().await;
    assert_eq!(sorted_slugs(&app).await, ["bowl", "mug", "plate"]);
    app.assert_invariants().await;
}

async fn canceled_units_do_not_count(backend: Backend) {
    let Shop { app, staff, mug, bowl } = start_shop(backend).await;
    let canceled_order = place(&app, &staff, "whole", &[(&mug, 4), (&bowl, 1)]).await;
    let reduced_order = place(&app, &staff, "part", &[(&mug, 3), (&bowl, 2)]).await;
    app.drain_jobs().await;
    assert_eq!((units_sold(&app, "mug").await, units_sold(&app, "bowl").await), (7, 3));
    expect_order(&app.run_order_mutation(&staff, "orderCancel", &canceled_order, None).await, "orderCancel");
    app.drain_jobs().await;
    assert_eq!((units_sold(&app, "mug").await, units_sold(&app, "bowl").await), (3, 2));
    let order = app
        .query_as(
            &staff,
            "query($id: ID!) { node(id: $id) { ... on Order { lines { id } } } }",
            json!({ "id": reduced_order }),
        )
        .await;
    let line = order.data_at("/node/lines/0/id");
    let input = json!({ "lines": [{ "lineId": line, "quantity": 2 }] });
    let canceled =
        app.run_order_mutation(&staff, "orderCancel", &reduced_order, Some(("OrderCancelInput", input))).await;
    expect_order(&canceled, "orderCancel");
    app.drain_jobs().await;
    assert_eq!((units_sold(&app, "mug").await, units_sold(&app, "bowl").await), (1, 2));
    assert_eq!(sorted_slugs(&app).await, ["bowl", "mug", "plate"]);
    app.assert_invariants().await;
}

async fn repeated_event_counts_once(backend: Backend) {
    let Shop { app, staff, mug, .. } = start_shop(backend).await;
    place(&app, &staff, "one", &[(&mug, 2)]).await;
    app.drain_jobs().await;
    let order = query_scalar(&app.db, "SELECT id FROM orders").await;
    for _ in 0..2 {
        let delivered =
            DeliveredEvent { id: 1, occurred_at: app.clock.now(), event: OrderPlaced { order, account: None } };
        let counted = app.db.write(async |tx| product_sales::count_placed_order(tx, &delivered).await).await;
        counted.unwrap_or_else(|error| panic!("not counted: {}", error.log_message()));
        assert_eq!(units_sold(&app, "mug").await, 2);
    }
    app.assert_invariants().await;
}

async fn sales_older_than_the_period_are_subtracted(backend: Backend) {
    let Shop { app, staff, mug, bowl } = start_shop(backend).await;
    let old = place(&app, &staff, "old", &[(&mug, 5)]).await;
    app.drain_jobs().await;
    app.clock.set(app.clock.now() + TimeDelta::days(60));
    let staff = app.login(Role::Staff).await;
    place(&app, &staff, "new", &[(&mug, 1), (&bowl, 3)]).await;
    app.drain_jobs().await;
    assert_eq!(sorted_slugs(&app).await, ["mug", "bowl", "plate"]);
    app.clock.set(app.clock.now() + TimeDelta::days(30));
    let pruned = analytics::delete_expired_sales(&app.db).await;
    pruned.unwrap_or_else(|error| panic!("not deleted: {}", error.log_message()));
    assert_eq!((units_sold(&app, "mug").await, units_sold(&app, "bowl").await), (1, 3));
    assert_eq!(sorted_slugs(&app).await, ["bowl", "mug", "plate"]);
    // An event about the old order does not count it again.
    let staff = app.login(Role::Staff).await;
    app.run_order_mutation(&staff, "orderCancel", &old, None).await;
    app.drain_jobs().await;
    assert_eq!(units_sold(&app, "mug").await, 1);
}

async fn units_sold_are_not_changed_by_edits(backend: Backend) {
    let Shop { app, staff, mug, .. } = start_shop(backend).await;
    place(&app, &staff, "one", &[(&mug, 2)]).await;
    app.drain_jobs().await;
    let id = app.query("{ product(slug: \"mug\") { id } }").await.data_at("/product/id").clone();
    let query = "mutation($id: ID!) { productUpdate(id: $id, input: { name: \"Large mug\" }) { product { name } userErrors { message } } }";
    let updated = app.query_as(&staff, query, json!({ "id": id })).await;
    assert_eq!(updated.user_errors("productUpdate"), []);
    assert_eq!(units_sold(&app, "mug").await, 2);
    let audited =
        query_scalar(&app.db, "SELECT count(*) FROM audit_log WHERE CAST(after AS TEXT) LIKE '%unitsSold%'").await;
    assert_eq!(audited, 0);
}
