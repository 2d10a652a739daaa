//! Who sees which orders, and how staff find them.

use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    integration_tests,
    support::{Backend, TestApp, parse_datetime},
};

integration_tests![
    order_of_another_customer_is_not_visible,
    order_list_filters_and_pages_for_staff,
    order_list_statement_count_is_independent_of_size,
];

async fn order_of_another_customer_is_not_visible(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let (own_token, other) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    let placed_order =
        expect_order(&app.create_order(Some(&own_token), "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    let by_id = "query($id: ID!) { order(id: $id) { id } node(id: $id) { id } orders { nodes { id } } }";
    let response = app.query_as(&own_token, by_id, json!({ "id": placed_order["id"] })).await;
    assert_eq!(
        (&response.data_at("/order/id"), &response.data_at("/node/id")),
        (&&placed_order["id"], &&placed_order["id"])
    );
    let response = app.query_as(&other, by_id, json!({ "id": placed_order["id"] })).await;
    assert_eq!(response.data_at(""), &json!({ "order": null, "node": null, "orders": { "nodes": [] } }));
    let query = "query($n: String, $t: String) { order(number: $n, token: $t) { id } }";
    for token in [Value::Null, json!(""), json!("guess")] {
        let response = app.query_with_variables(query, json!({ "n": placed_order["number"], "t": token })).await;
        assert_eq!(response.data_at("/order"), &Value::Null);
    }
    let cancel_response = app.run_order_mutation(&other, "orderCancel", order_id(&placed_order), None).await;
    assert_eq!(cancel_response.user_errors("orderCancel"), error_pairs(&[("NOT_FOUND", "id")]));
    assert_eq!(app.query("{ orders { nodes { id } } }").await.error_code(), "UNAUTHENTICATED");
}

async fn order_list_filters_and_pages_for_staff(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(50)).await, app.create_product("bowl", 30, Some(50)).await);
    let staff = app.login(Role::Staff).await;
    let token = app.login(Role::Customer).await;
    let mut numbers = Vec::new();
    for (index, (customer_token, variant)) in
        [(None, &mug), (Some(&token), &bowl), (None, &bowl)].into_iter().enumerate()
    {
        app.clock.set(parse_datetime(&format!("2026-11-01T09:0{}:00Z", index + 1)));
        let overrides = json!({ "email": format!("Buyer{index}@example.com"), "phone": format!("071234567{index}") });
        let placed_order = app
            .create_order(customer_token.map(String::as_str), &format!("k{index}"), &[(variant, 1)], overrides)
            .await;
        numbers.push(expect_order(&placed_order, "orderCreate")["number"].as_str().expect("a number").to_owned());
    }
    let find_positions = async |filter: Value| {
        let query = "query($filter: OrderFilter) { orders(filter: $filter) { totalCount nodes { number } } }";
        let response = app.query_as(&staff, query, json!({ "filter": filter })).await;
        let positions = response
            .strings_at("/orders/nodes", "number")
            .into_iter()
            .map(|order_number| numbers.iter().position(|n| *n == order_number));
        let positions: Vec<usize> = positions.map(|position| position.expect("one of these")).collect();
        assert_eq!(response.data_at("/orders/totalCount"), positions.len());
        positions
    };
    assert_eq!(find_positions(json!({})).await, [2, 1, 0]);
    assert_eq!(find_positions(json!({ "sku": "bowl" })).await, [2, 1]);
    assert_eq!(find_positions(json!({ "search": "buyer1@" })).await, [1]);
    assert_eq!(find_positions(json!({ "search": "0712 345672" })).await, [2]);
    assert_eq!(find_positions(json!({ "search": "wanjiku" })).await, [2, 1, 0]);
    assert_eq!(find_positions(json!({ "search": &numbers[0][..4] })).await, [0]);
    assert_eq!(find_positions(json!({ "number": numbers[1].to_lowercase().replace('-', "") })).await, [1]);
    assert_eq!(find_positions(json!({ "total": { "min": "31" } })).await, [0]);
    assert_eq!(
        find_positions(json!({ "placedAt": { "from": "2026-11-01T09:02:00Z", "to": "2026-11-01T09:03:00Z" } })).await,
        [1]
    );
    assert_eq!(find_positions(json!({ "status": ["CONFIRMED"], "paymentStatus": ["AUTHORIZED"] })).await, [0_usize; 0]);
    // Guests' payments by hand wait for staff, the customer's is authorized.
    assert_eq!(
        find_positions(json!({ "fulfillmentStatus": ["UNFULFILLED"], "paymentStatus": ["PENDING"] })).await,
        [2, 0]
    );
    assert_eq!(find_positions(json!({ "paymentStatus": ["AUTHORIZED"] })).await, [1]);
    // Pages, both ways and both orders.
    let page = async |args: &str| {
        let query =
            format!("{{ orders({args}) {{ nodes {{ number }} pageInfo {{ endCursor startCursor hasNextPage }} }} }}");
        app.query_as(&staff, &query, json!({})).await
    };
    let first = page("first: 2, sort: { field: TOTAL }").await;
    assert_eq!(first.strings_at("/orders/nodes", "number"), [numbers[0].clone(), numbers[2].clone()]);
    let cursor = first.data_at("/orders/pageInfo/endCursor").as_str().expect("a cursor").to_owned();
    let second = page(&format!("first: 2, sort: {{ field: TOTAL }}, after: \"{cursor}\"")).await;
    assert_eq!(second.strings_at("/orders/nodes", "number"), [numbers[1].clone()]);
    page(&format!("first: 2, after: \"{cursor}\"")).await.assert_error_field("after");
    let last = page("last: 2, sort: { reverse: true }").await;
    assert_eq!(last.strings_at("/orders/nodes", "number"), [numbers[1].clone(), numbers[2].clone()]);
}

async fn order_list_statement_count_is_independent_of_size(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(50)).await, app.create_product("bowl", 30, Some(50)).await);
    let staff = app.login(Role::Staff).await;
    let query = "{ orders { nodes { number lines { sku variant { sku } } payments { amount { amount } } refunds { amount { amount } }
        fulfillments { lines { quantity } } history { type account { email } } customer { email } } } }";
    let mut costs = Vec::new();
    for index in 0..12 {
        let placed_order = expect_order(
            &app.create_order(None, &format!("k{index}"), &[(&mug, 1), (&bowl, 1)], json!({})).await,
            "orderCreate",
        );
        expect_order(
            &app.run_order_mutation(&staff, "orderConfirm", order_id(&placed_order), None).await,
            "orderConfirm",
        );
        let parcel = Some(("OrderFulfillInput!", json!({ "idempotencyKey": "p" })));
        expect_order(
            &app.run_order_mutation(&staff, "orderFulfill", order_id(&placed_order), parcel).await,
            "orderFulfill",
        );
        let response = app.query_as(&staff, query, json!({})).await;
        assert_eq!(response.data_at("/orders/nodes").as_array().map(Vec::len), Some(index + 1));
        costs.push(response.statements);
    }
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
    // Buying costs the same for one line and for many.
    let single_line = app.create_order(None, "one", &[(&mug, 1)], json!({})).await;
    let all = [(mug.as_str(), 1), (bowl.as_str(), 1)];
    let two_lines = app.create_order(None, "two", &all, json!({})).await;
    assert_eq!(single_line.statements, two_lines.statements);
    app.assert_invariants().await;
}
