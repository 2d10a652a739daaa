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
    order_amounts_and_times_follow_its_progress,
    order_lists_are_limited_at_either_end,
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
    assert_eq!(find_positions(json!({ "updatedAt": { "from": "2026-11-01T09:02:30Z" } })).await, [2]);
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
    let updated = page("sort: { field: UPDATED_AT }").await;
    let newest_first = [numbers[2].clone(), numbers[1].clone(), numbers[0].clone()];
    assert_eq!(updated.strings_at("/orders/nodes", "number"), newest_first);
    let mut by_number = numbers.clone();
    by_number.sort_unstable();
    let first = page("first: 2, sort: { field: NUMBER, reverse: true }").await;
    assert_eq!(first.strings_at("/orders/nodes", "number"), by_number[..2]);
    let cursor = first.data_at("/orders/pageInfo/endCursor").as_str().expect("a cursor").to_owned();
    let second = page(&format!("after: \"{cursor}\", sort: {{ field: NUMBER, reverse: true }}")).await;
    assert_eq!(second.strings_at("/orders/nodes", "number"), by_number[2..]);
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

const PROGRESS: &str = "query($n: String, $t: String) { order(number: $n, token: $t) { paid { amount currency }
    refunded { amount } outstanding { amount } confirmedAt canceledAt cancelReason statusUrl
    shippingLine { title price { amount } taxRate { name percent included } shippingMethodId }
    lines { taxRate { name percent included } cost { tax { amount } } } notifications { totalCount } } }";

async fn order_amounts_and_times_follow_its_progress(backend: Backend) {
    let pattern = "https://shop.example/orders/{number}?token={token}";
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_NOTIFICATION__ORDER_URL", pattern)]).await;
    app.seed_shipping_and_tax().await;
    let mug = app.create_product("mug", 100, Some(9)).await;
    let options = app.query("{ shippingOptions { shippingMethodId name } }").await;
    let method = options.data_at("/shippingOptions/0/shippingMethodId").clone();
    let staff = app.login(Role::Staff).await;
    let placed = app.create_order(None, "k", &[(&mug, 1)], json!({ "shippingMethodId": method })).await;
    let order = expect_order(&placed, "orderCreate");
    let read = async |token: Option<&str>| {
        let variables = json!({ "n": order["number"], "t": order["token"] });
        let response = app.query_maybe_as(token, PROGRESS, variables).await;
        response.body["data"]["order"].clone()
    };
    let amounts =
        |order: &Value| json!([order["paid"]["amount"], order["refunded"]["amount"], order["outstanding"]["amount"]]);
    let before = read(None).await;
    assert_eq!(amounts(&before), json!(["0.00", "0.00", "450.00"]), "{before}");
    let tax = json!({ "name": "VAT", "percent": "16.00", "included": true });
    assert_eq!(
        before["shippingLine"],
        json!({ "title": "Standard", "price": { "amount": "350.00" }, "taxRate": tax,
        "shippingMethodId": method })
    );
    assert_eq!(before["lines"], json!([{ "taxRate": tax, "cost": { "tax": { "amount": "13.79" } } }]));
    assert_eq!((&before["confirmedAt"], &before["canceledAt"]), (&Value::Null, &Value::Null));
    let url = before["statusUrl"].as_str().expect("a URL");
    let token = order["token"].as_str().expect("a token");
    assert!(url.starts_with("https://shop.example/orders/") && url.ends_with(&format!("?token={token}")), "{url}");
    // The notifications are for staff only; the rest of the order is answered.
    assert_eq!(before["notifications"], Value::Null);
    let admin = app.login(Role::Admin).await;
    assert!(read(Some(&admin)).await["notifications"]["totalCount"].is_number());

    expect_order(&app.run_order_mutation(&staff, "orderConfirm", order_id(&order), None).await, "orderConfirm");
    expect_order(&app.run_order_mutation(&staff, "orderCapture", order_id(&order), None).await, "orderCapture");
    let paid = read(None).await;
    assert_eq!(amounts(&paid), json!(["450.00", "0.00", "0.00"]), "{paid}");
    assert!(paid["confirmedAt"].is_string(), "{paid}");
    let reason = Some(("OrderCancelInput", json!({ "reason": "Broken" })));
    expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&order), reason).await, "orderCancel");
    app.drain_jobs().await;
    let canceled = read(None).await;
    assert_eq!(amounts(&canceled), json!(["450.00", "450.00", "0.00"]), "{canceled}");
    assert!(canceled["canceledAt"].is_string(), "{canceled}");
    assert_eq!(canceled["cancelReason"], "Broken");
}

async fn order_lists_are_limited_at_either_end(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(9)).await;
    let staff = app.login(Role::Staff).await;
    let order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    for text in ["one", "two", "three"] {
        let note = Some(("OrderNoteInput!", json!({ "note": text })));
        expect_order(&app.run_order_mutation(&staff, "orderNoteAdd", order_id(&order), note).await, "orderNoteAdd");
    }
    let history = async |arguments: &str| {
        let query = format!("query($id: ID) {{ order(id: $id) {{ history{arguments} {{ note }} }} }}");
        app.query_as(&staff, &query, json!({ "id": order["id"] })).await
    };
    let notes = |response: &crate::support::GraphqlResponse| {
        let entries = response.data_at("/order/history").as_array().expect("a list").clone();
        entries.into_iter().map(|entry| entry["note"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(notes(&history("").await), [Value::Null, json!("one"), json!("two"), json!("three")]);
    assert_eq!(notes(&history("(first: 2)").await), [Value::Null, json!("one")]);
    assert_eq!(notes(&history("(last: 2)").await), [json!("two"), json!("three")]);
    assert_eq!(notes(&history("(last: 0)").await), [Value::Null; 0]);
    history("(first: 101)").await.assert_error_field("first");
    history("(first: 1, last: 1)").await.assert_error_field("last");
}
