//! Live updates: which events reach whom, what they cost, and how they end.

use std::{collections::HashSet, time::Duration};

use savannah::{
    base::{GlobalId, global_id::NodeType},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    integration_tests,
    outbox_relay::{emit_test_event, start_app_with_handlers},
    support::{Backend, EventStreamClient, TestApp, WebSocketClient, parse_datetime},
};

integration_tests![
    each_subscription_delivers_its_events,
    subscription_without_access_is_refused,
    subscription_ends_when_access_is_lost,
    hundred_subscribers_cost_as_many_statements_as_one,
    different_selections_share_the_loads_of_an_event,
    operations_over_the_budget_of_an_event_fail_alone,
    queries_and_mutations_are_answered_over_both_transports,
    errors_of_operations_are_reported_over_both_transports,
    expired_and_revoked_tokens_end_connections,
    subscription_over_plain_http_is_refused,
    root_field_in_a_fragment_is_delivered,
];

/// Starts a server whose events are broadcast.
async fn start_live_app(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::start_with_settings(backend, settings).await;
    app.start_event_feed().await;
    app
}

async fn product_id(app: &TestApp, slug: &str) -> String {
    let key = app.query_scalar(&format!("SELECT id FROM product WHERE slug = '{slug}'")).await;
    GlobalId::new(NodeType::Product, key).encode()
}

async fn rename_product(app: &TestApp, staff: &str, id: &str, name: &str) {
    let query = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) {
        userErrors { code message } } }";
    let renamed = app.query_as(staff, query, json!({ "id": id, "input": { "name": name } })).await;
    assert_eq!(renamed.user_errors("productUpdate"), [], "{}", renamed.body);
}

async fn adjust_stock(app: &TestApp, staff: &str, variant: &str, delta: i64) {
    let query = "mutation($input: StockAdjustInput!) { stockAdjust(input: $input) { userErrors { code message } } }";
    let key = format!("{variant} {delta} {}", app.query_scalar("SELECT count(*) FROM stock_movement").await);
    let input = json!({ "variantId": variant, "delta": delta, "reason": "CORRECTION", "idempotencyKey": key });
    let adjusted = app.query_as(staff, query, json!({ "input": input })).await;
    assert_eq!(adjusted.user_errors("stockAdjust"), [], "{}", adjusted.body);
}

async fn confirm_order(app: &TestApp, staff: &str, order: &Value) {
    expect_order(&app.run_order_mutation(staff, "orderConfirm", order_id(order), None).await, "orderConfirm");
}

const ORDER_SUBSCRIPTION: &str = "subscription($id: ID!, $token: String, $after: String) {
    orderUpdated(id: $id, guestAccessToken: $token, after: $after) { order { number status } cursor } }";
const PRODUCT_SUBSCRIPTION: &str = "subscription($id: ID!, $after: String) {
    productUpdated(id: $id, after: $after) { product { name } cursor } }";

async fn each_subscription_delivers_its_events(backend: Backend) {
    let app = start_app_with_handlers(backend, &[("SAVANNAH_JOBS__MAX_ATTEMPTS", "1")]).await;
    // Registers the handlers, so that their deliveries are created.
    app.drain_jobs().await;
    app.start_event_feed().await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(5)).await, app.create_product("bowl", 100, Some(5)).await);
    let (admin, customer) = (app.login(Role::Admin).await, app.login(Role::Customer).await);
    let address = app.address.to_string();
    let mut staff = WebSocketClient::connect(&address, Some(&admin)).await;
    let mut buyer = WebSocketClient::connect(&address, Some(&customer)).await;
    let mut guest = WebSocketClient::connect(&address, None).await;

    staff.subscribe_and_wait(&app, "1", "subscription { orderPlaced { order { number } cursor } }", json!({})).await;
    let my_orders = "subscription { myOrdersUpdated { order { number status } cursor } }";
    buyer.subscribe_and_wait(&app, "1", my_orders, json!({})).await;
    let stock = "subscription($ids: [ID!]!) { stockChanged(variantIds: $ids) {
        variants { sku availability { quantity } } cursor } }";
    guest.subscribe_and_wait(&app, "stock", stock, json!({ "ids": [mug] })).await;

    // One order: each of the three hears of it once.
    let placed =
        expect_order(&app.create_order(Some(&customer), "k", &[(&mug, 2), (&bowl, 1)], json!({})).await, "orderCreate");
    let number = placed["number"].clone();
    assert_eq!(staff.receive_data("1").await["orderPlaced"]["order"]["number"], number);
    let mine = buyer.receive_data("1").await["myOrdersUpdated"].clone();
    assert_eq!(mine["order"], json!({ "number": number, "status": "PENDING" }));
    let changed = guest.receive_data("stock").await["stockChanged"]["variants"].clone();
    assert_eq!(changed, json!([{ "sku": "MUG", "availability": { "quantity": 3 } }]), "the bowl is not followed");

    // A guest follows an order by its token, and the buyer hears of the change as well.
    let variables = json!({ "id": order_id(&placed), "token": placed["token"] });
    guest.subscribe_and_wait(&app, "order", ORDER_SUBSCRIPTION, variables).await;
    confirm_order(&app, &admin, &placed).await;
    assert_eq!(guest.receive_data("order").await["orderUpdated"]["order"]["status"], "CONFIRMED");
    assert_eq!(buyer.receive_data("1").await["myOrdersUpdated"]["order"]["status"], "CONFIRMED");

    let cart = app.create_cart(None, &[(&mug, 1)]).await;
    let cart_query = "subscription($id: ID!) { cartUpdated(id: $id) { cart { itemCount status } cursor } }";
    guest.subscribe_and_wait(&app, "cart", cart_query, json!({ "id": cart })).await;
    app.mutate_cart_lines(None, "cartLinesAdd", &cart, &[(&bowl, 2)]).await;
    assert_eq!(guest.receive_data("cart").await["cartUpdated"]["cart"]["itemCount"], 3);

    let product = product_id(&app, "mug").await;
    guest.subscribe_and_wait(&app, "product", PRODUCT_SUBSCRIPTION, json!({ "id": product })).await;
    rename_product(&app, &admin, &product, "Blue mug").await;
    assert_eq!(guest.receive_data("product").await["productUpdated"]["product"]["name"], "Blue mug");

    let low_stock = "subscription { lowStock { stockLevel { available variant { sku } } cursor } }";
    staff.subscribe_and_wait(&app, "low", low_stock, json!({})).await;
    app.execute_sql("UPDATE inventory_level SET low_stock_threshold = 1").await.expect("a threshold");
    adjust_stock(&app, &admin, &mug, -2).await;
    let level = staff.receive_data("low").await["lowStock"]["stockLevel"].clone();
    assert_eq!(level, json!({ "available": 1, "variant": { "sku": "MUG" } }));
    assert_eq!(guest.receive_data("stock").await["stockChanged"]["variants"][0]["availability"]["quantity"], 1);

    let jobs = "subscription { jobFailed { job { kind status } cursor } }";
    staff.subscribe_and_wait(&app, "jobs", jobs, json!({})).await;
    app.execute_sql("INSERT INTO trouble VALUES (1, 'words')").await.expect("trouble");
    emit_test_event(&app, 1, 1).await;
    app.drain_jobs().await;
    let job = staff.receive_data("jobs").await["jobFailed"]["job"].clone();
    assert_eq!(job, json!({ "kind": "touchy/Poked", "status": "DEAD" }));

    // Completed subscriptions deliver nothing more.
    let count = app.http_app.subscriptions.subscription_count();
    guest.send(json!({ "id": "product", "type": "complete" })).await;
    let completed = async {
        while app.http_app.subscriptions.subscription_count() == count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), completed).await.expect("a completed subscription");
    guest.subscribe_and_wait(&app, "again", PRODUCT_SUBSCRIPTION, json!({ "id": product })).await;
    rename_product(&app, &admin, &product, "Red mug").await;
    assert_eq!(guest.receive_data("again").await["productUpdated"]["product"]["name"], "Red mug");
}

async fn subscription_without_access_is_refused(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let (customer, other) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    let placed = app.create_order(Some(&customer), "k", &[(&mug, 1)], json!({})).await;
    let order = expect_order(&placed, "orderCreate");
    let cart = app.create_cart(Some(&customer), &[(&mug, 1)]).await;
    let order_query = |token: &str| {
        format!("subscription {{ orderUpdated(id: {}, guestAccessToken: {}) {{ cursor }} }}", order["id"], json!(token))
    };
    let cart_query = format!("subscription {{ cartUpdated(id: \"{cart}\") {{ cursor }} }}");
    let missing_product = GlobalId::new(NodeType::Product, 999_999).encode();
    let missing_product = format!("subscription {{ productUpdated(id: \"{missing_product}\") {{ cursor }} }}");
    let too_many = format!("subscription {{ stockChanged(variantIds: {}) {{ cursor }} }}", json!(vec![&mug; 101]));
    let bad_cursor = format!("subscription {{ stockChanged(variantIds: [\"{mug}\"], after: \"17\") {{ cursor }} }}");
    let cases: [(Option<&str>, &str, &str); 12] = [
        (None, "subscription { myOrdersUpdated { cursor } }", "UNAUTHENTICATED"),
        (None, "subscription { orderPlaced { cursor } }", "UNAUTHENTICATED"),
        (Some(&customer), "subscription { orderPlaced { cursor } }", "FORBIDDEN"),
        (Some(&customer), "subscription { lowStock { cursor } }", "FORBIDDEN"),
        (Some(&customer), "subscription { jobFailed { cursor } }", "FORBIDDEN"),
        (None, &order_query("wrong"), "NOT_FOUND"),
        (Some(&other), &order_query(""), "NOT_FOUND"),
        (Some(&other), &cart_query, "NOT_FOUND"),
        (None, &cart_query, "NOT_FOUND"),
        (None, &missing_product, "NOT_FOUND"),
        (None, &too_many, "BAD_USER_INPUT"),
        (None, &bad_cursor, "BAD_USER_INPUT"),
    ];
    for (token, query, code) in cases {
        let mut client = WebSocketClient::connect(&app.address.to_string(), token).await;
        client.subscribe("1", query, json!({})).await;
        let refused = client.receive_error("1").await;
        assert!(refused == code || (code == "BAD_USER_INPUT" && refused == "VALIDATION_ERROR"), "{query}: {refused}");
    }
    assert_eq!(app.http_app.subscriptions.subscription_count(), 0);
}

async fn subscription_ends_when_access_is_lost(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let customer = app.login(Role::Customer).await;
    let cart = app.create_cart(None, &[(&mug, 1)]).await;
    let mut guest = WebSocketClient::connect(&app.address.to_string(), None).await;
    let query = "subscription($id: ID!) { cartUpdated(id: $id) { cart { itemCount } } }";
    guest.subscribe_and_wait(&app, "cart", query, json!({ "id": cart })).await;
    let merge = "mutation($id: ID!) { cartMerge(id: $id) { userErrors { code } } }";
    let merged = app.query_as(&customer, merge, json!({ "id": cart })).await;
    assert_eq!(merged.user_errors("cartMerge"), [], "{}", merged.body);
    assert_eq!(guest.receive_error("cart").await, "NOT_FOUND", "it is the customer's now");
    let ended = async {
        while app.http_app.subscriptions.subscription_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the subscription ends");
}

/// Renames a product and returns how many statements its event cost.
async fn count_event_statements(app: &TestApp, staff: &str, product: &str, clients: &mut [WebSocketClient]) -> u64 {
    let before = app.http_app.subscriptions.statement_count();
    let name = format!("Mug {before} of {}", clients.len());
    rename_product(app, staff, product, &name).await;
    for client in clients {
        assert_eq!(client.receive_data("1").await["productUpdated"]["product"]["name"], name.as_str());
    }
    app.http_app.subscriptions.statement_count() - before
}

async fn hundred_subscribers_cost_as_many_statements_as_one(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    app.create_product("mug", 100, Some(5)).await;
    let (staff, product) = (app.login(Role::Admin).await, product_id(&app, "mug").await);
    let query = "subscription($id: ID!) { productUpdated(id: $id) {
        product { name variants { sku availability { quantity } } category { name } images { url } } cursor } }";
    let mut clients = Vec::new();
    let mut costs = Vec::new();
    for count in [1, 100] {
        while clients.len() < count {
            let mut client = WebSocketClient::connect(&app.address.to_string(), None).await;
            client.subscribe_and_wait(&app, "1", query, json!({ "id": product })).await;
            clients.push(client);
        }
        costs.push(count_event_statements(&app, &staff, &product, &mut clients).await);
    }
    assert!(costs[0] > 0 && costs[0] == costs[1], "{costs:?}");
}

async fn different_selections_share_the_loads_of_an_event(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    app.create_product("mug", 100, Some(5)).await;
    let (staff, product) = (app.login(Role::Admin).await, product_id(&app, "mug").await);
    let mut clients = Vec::new();
    let mut costs = Vec::new();
    for count in [1, 30] {
        while clients.len() < count {
            // Of customers with sessions of their own, in part.
            let customer = if clients.len() % 2 == 1 { Some(app.login(Role::Customer).await) } else { None };
            let mut client = WebSocketClient::connect(&app.address.to_string(), customer.as_deref()).await;
            let query = format!(
                "subscription($id: ID!) {{ productUpdated(id: $id) {{
                product {{ name field{}: slug images {{ url }} }} cursor }} }}",
                clients.len()
            );
            client.subscribe_and_wait(&app, "1", &query, json!({ "id": product })).await;
            clients.push(client);
        }
        costs.push(count_event_statements(&app, &staff, &product, &mut clients).await);
    }
    assert!(costs[0] > 0 && costs[0] == costs[1], "{costs:?}");
}

async fn operations_over_the_budget_of_an_event_fail_alone(backend: Backend) {
    let app = start_live_app(backend, &[("SAVANNAH_GRAPHQL__MAX_STATEMENTS", "1")]).await;
    app.create_product("mug", 100, Some(5)).await;
    let (staff, product) = (app.login(Role::Admin).await, product_id(&app, "mug").await);
    let address = app.address.to_string();
    let (mut small, mut large) =
        (WebSocketClient::connect(&address, None).await, WebSocketClient::connect(&address, None).await);
    small.subscribe_and_wait(&app, "1", PRODUCT_SUBSCRIPTION, json!({ "id": product })).await;
    let query = "subscription($id: ID!) { productUpdated(id: $id) {
        product { name images { url } tags description options { name } } } }";
    large.subscribe_and_wait(&app, "1", query, json!({ "id": product })).await;
    rename_product(&app, &staff, &product, "Blue mug").await;
    assert_eq!(small.receive_data("1").await["productUpdated"]["product"]["name"], "Blue mug");
    let failed = large.receive().await;
    assert_eq!(failed["type"], "next", "{failed}");
    assert_eq!(failed["payload"]["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{failed}");
}

async fn queries_and_mutations_are_answered_over_both_transports(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let address = app.address.to_string();
    let mut client = WebSocketClient::connect(&address, None).await;
    client.subscribe("q", "query($slug: String!) { product(slug: $slug) { name } }", json!({ "slug": "mug" })).await;
    assert_eq!(client.receive_data("q").await["product"]["name"], "mug");
    assert_eq!(client.receive().await, json!({ "id": "q", "type": "complete" }));
    let create = "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { itemCount } } }";
    let variables = json!({ "input": { "lines": [{ "variantId": mug, "quantity": 2 }] } });
    client.subscribe("q", create, variables.clone()).await;
    assert_eq!(client.receive_data("q").await["cartCreate"]["cart"]["itemCount"], 2, "the ID is free again");

    let mut stream = EventStreamClient::start(&address, json!({ "query": create, "variables": variables }), &[]).await;
    let next = stream.next_event().await.expect("a result");
    assert_eq!((next.event.as_str(), &next.json()["data"]["cartCreate"]["cart"]["itemCount"]), ("next", &json!(2)));
    assert_eq!(stream.next_event().await.expect("the end").event, "complete");
    assert_eq!(stream.next_event().await, None);
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 2);
}

async fn errors_of_operations_are_reported_over_both_transports(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    let address = app.address.to_string();
    let cases = [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { orderPlaced { cursor } lowStock { cursor } }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { myOrdersUpdated { cursor } }", "UNAUTHENTICATED"),
        ("subscription { myOrdersUpdated @include(if: true) { cursor } }", "GRAPHQL_VALIDATION_FAILED"),
    ];
    for (query, code) in cases {
        let mut client = WebSocketClient::connect(&address, None).await;
        client.subscribe("1", query, json!({})).await;
        assert_eq!(client.receive_error("1").await, code, "{query}");
        let mut stream = EventStreamClient::start(&address, json!({ "query": query }), &[]).await;
        let next = stream.next_event().await.expect("a result");
        assert_eq!(next.json()["errors"][0]["extensions"]["code"], code, "{query}");
        assert_eq!(stream.next_event().await.expect("the end").event, "complete");
    }
    let request = app.build_request(reqwest::Method::POST, "/graphql").header("accept", "text/event-stream");
    let malformed = request.header("content-type", "application/json").body("{").send().await.expect("a response");
    assert_eq!(malformed.status(), 400);
    let request = app.build_request(reqwest::Method::POST, "/graphql").header("accept", "text/event-stream");
    let invalid = request.bearer_auth("nonsense").json(&json!({ "query": "{ shop { name } }" })).send().await;
    assert_eq!(invalid.expect("a response").status(), 401);
    let query = "mutation { cartCreate(input: {}) { cart { id } } }";
    let url = reqwest::Url::parse_with_params(&app.url("/graphql"), [("query", query)]).expect("a URL");
    let request = reqwest::Client::new().get(url);
    let mut stream = EventStreamClient::from_request(request.header("accept", "text/event-stream")).await;
    let refused = stream.next_event().await.expect("a result").json();
    assert!(refused["errors"][0]["message"].as_str().is_some_and(|message| message.contains("GET")), "{refused}");
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, 0);
}

async fn expired_and_revoked_tokens_end_connections(backend: Backend) {
    let app = start_live_app(backend, &[("SAVANNAH_SUBSCRIPTIONS__TOKEN_CHECK_INTERVAL", "1s")]).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let address = app.address.to_string();
    let query = "subscription { myOrdersUpdated { order { number } cursor } }";

    let refused = WebSocketClient::open(&address, &[("authorization", "Bearer nonsense")]).await;
    assert_eq!(refused.err().map(|status| status.as_u16()), Some(401));
    let mut invalid = WebSocketClient::open(&address, &[]).await.expect("a connection");
    invalid.send(json!({ "type": "connection_init", "payload": { "Authorization": "Bearer nonsense" } })).await;
    assert_eq!(invalid.wait_for_close().await, Some(4403));

    // Revoked: by the logout of the session, over WebSocket and in a stream.
    let customer = app.login(Role::Customer).await;
    let mut client = WebSocketClient::connect(&address, Some(&customer)).await;
    client.subscribe_and_wait(&app, "1", query, json!({})).await;
    let authorization = format!("Bearer {customer}");
    let headers = [("authorization", authorization.as_str())];
    let mut stream = EventStreamClient::start(&address, json!({ "query": query }), &headers).await;
    stream.wait_for_start().await;
    let logout = app.query_as(&customer, "mutation { logout { sessionsEnded } }", json!({})).await;
    assert!(logout.body.get("errors").is_none(), "{}", logout.body);
    assert_eq!(client.wait_for_close().await, Some(4403));
    let next = stream.next_event().await.expect("an error").json();
    assert_eq!(next["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    assert_eq!(stream.next_event().await.expect("the end").event, "complete");
    assert_eq!(stream.next_event().await, None);

    // Expired: nothing is delivered any more.
    let customer = app.login(Role::Customer).await;
    let mut client = WebSocketClient::connect(&address, Some(&customer)).await;
    client.subscribe_and_wait(&app, "1", query, json!({})).await;
    expect_order(&app.create_order(Some(&customer), "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    assert!(client.receive_data("1").await["myOrdersUpdated"]["order"]["number"].is_string());
    app.clock.set(parse_datetime("2026-11-01T10:00:00Z"));
    assert_eq!(client.wait_for_close().await, Some(4403));
    assert_eq!(app.http_app.subscriptions.subscription_count(), 0);
}

async fn subscription_over_plain_http_is_refused(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    let response = app.query("subscription { myOrdersUpdated { cursor } }").await;
    let message = response.first_error()["message"].as_str().expect("a message");
    assert!(message.contains("text/event-stream"), "{message}");
}

async fn root_field_in_a_fragment_is_delivered(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    app.create_product("mug", 100, Some(5)).await;
    let (staff, product) = (app.login(Role::Admin).await, product_id(&app, "mug").await);
    let mut client = WebSocketClient::connect(&app.address.to_string(), None).await;
    let query = "subscription Names($id: ID!) { ...Root }
        fragment Root on Subscription { changed: productUpdated(id: $id) { cursor ...Product } }
        fragment Product on ProductEvent { product { __typename name } }";
    client.subscribe_and_wait(&app, "1", query, json!({ "id": product })).await;
    rename_product(&app, &staff, &product, "Blue mug").await;
    let data = client.receive_data("1").await;
    let keys: HashSet<&String> = data.as_object().expect("an object").keys().collect();
    assert_eq!(keys, HashSet::from([&"changed".to_owned()]));
    assert_eq!(data["changed"]["product"], json!({ "__typename": "Product", "name": "Blue mug" }));
}
