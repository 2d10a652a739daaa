//! Connections with live updates: the protocol, its close codes, and the limits.

use std::time::Duration;

use savannah::{
    base::{GlobalId, global_id::NodeType},
    identity::Role,
    infra::outbox::Event,
    inventory::StockChanged,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, EventStreamClient, TestApp, TestDatabase, WebSocketClient},
};

integration_tests![
    protocol_violations_have_their_close_codes,
    silent_connections_are_closed,
    connections_are_limited_in_total_and_per_client,
    operations_and_their_memory_are_limited,
    origin_of_a_handshake_is_checked,
    client_that_does_not_read_is_disconnected,
    stopping_server_disconnects_clients_with_a_retry_code,
    disconnected_client_ends_its_subscriptions,
];

const STOCK_SUBSCRIPTION: &str = "subscription($ids: [ID!]!, $after: String) {
    stockChanged(variantIds: $ids, after: $after) { variants { sku product { description } } cursor } }";

/// Starts a server whose events are broadcast.
async fn start_live_app(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    let app = TestApp::start_with_settings(backend, settings).await;
    app.start_event_feed().await;
    app
}

async fn open(app: &TestApp) -> WebSocketClient {
    WebSocketClient::open(&app.address.to_string(), &[]).await.expect("a connection")
}

async fn connect(app: &TestApp) -> WebSocketClient {
    WebSocketClient::connect(&app.address.to_string(), None).await
}

async fn protocol_violations_have_their_close_codes(backend: Backend) {
    let app = start_live_app(backend, &[("SAVANNAH_SUBSCRIPTIONS__MAX_MESSAGE_BYTES", "2000")]).await;
    let init = json!({ "type": "connection_init" }).to_string();
    let subscribe =
        json!({ "id": "1", "type": "subscribe", "payload": { "query": "subscription { jobFailed { cursor } }" } });
    // An operation that lasts, so that the second one with its id comes while it runs.
    let mug = app.create_product("mug", 100, Some(5)).await;
    let stock = json!({ "query": STOCK_SUBSCRIPTION, "variables": { "ids": [mug] } });
    let lasting = json!({ "id": "1", "type": "subscribe", "payload": stock });
    let cases: [(&[&str], u16); 14] = [
        (&["nonsense"], 4400),
        (&["[]"], 4400),
        (&[r#"{"type":"connection_start"}"#], 4400),
        (&[r#"{"id":"1","type":"subscribe"}"#], 4400),
        (&[r#"{"type":"connection_init","payload":[]}"#], 4400),
        (&[r#"{"type":"connection_init","payload":{"authorization":7}}"#], 4400),
        (&[&init, r#"{"id":"","type":"subscribe","payload":{"query":"{ shop { name } }"}}"#], 4400),
        (&[&init, r#"{"id":"1","type":"subscribe","payload":{"query":7}}"#], 4400),
        (&[&subscribe.to_string()], 4401),
        (&[r#"{"type":"connection_init","payload":{"authorization":"Basic x"}}"#], 4403),
        (&[&init, &init], 4429),
        (&[&init, &lasting.to_string(), &lasting.to_string()], 4409),
        (&[&format!("{{\"type\":\"ping\",\"payload\":{{\"a\":\"{}\"}}}}", "a".repeat(3000))], 1009),
        (&[&init, &format!("{{\"type\":\"{}\"}}", "[".repeat(1500))], 4400),
    ];
    for (texts, code) in cases {
        let mut client = open(&app).await;
        for text in texts {
            client.send_text(text).await;
        }
        assert_eq!(client.wait_for_close().await, Some(code), "{texts:?}");
    }
    let mut client = open(&app).await;
    client.send_binary().await;
    assert_eq!(client.wait_for_close().await, Some(4400));
    let address = app.address.to_string();
    let client = WebSocketClient::open(&address, &[("sec-websocket-protocol", "")]).await.expect("a connection");
    assert_eq!(client.wait_for_close().await, Some(4406), "no subprotocol");

    // Pings are answered before and after the initialization, with their payload.
    let mut client = connect(&app).await;
    client.send(json!({ "type": "ping", "payload": { "at": 1 } })).await;
    assert_eq!(client.receive().await, json!({ "type": "pong", "payload": { "at": 1 } }));
    client.send(json!({ "type": "pong" })).await;
    client.send(json!({ "id": "unknown", "type": "complete" })).await;
    client.send(json!({ "type": "ping" })).await;
    assert_eq!(client.receive().await, json!({ "type": "pong" }));
}

async fn silent_connections_are_closed(backend: Backend) {
    let settings = [
        ("SAVANNAH_SUBSCRIPTIONS__INIT_TIMEOUT", "1s"),
        ("SAVANNAH_SUBSCRIPTIONS__IDLE_TIMEOUT", "1s"),
        ("SAVANNAH_SUBSCRIPTIONS__PING_INTERVAL", "1s"),
    ];
    let app = start_live_app(backend, &settings).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    assert_eq!(open(&app).await.wait_for_close().await, Some(4408), "no connection_init");
    assert_eq!(connect(&app).await.wait_for_close().await, Some(1000), "no operation");
    // A client that answers pings is kept; one that does not read, and so does not answer, is disconnected.
    let mut client = connect(&app).await;
    client.subscribe_and_wait(&app, "1", STOCK_SUBSCRIPTION, json!({ "ids": [mug] })).await;
    let closed = tokio::time::timeout(Duration::from_secs(4), client.receive_or_close()).await;
    assert!(closed.is_err(), "{closed:?}");
    wait_for_connections(&app, 0).await;
    assert_eq!(client.read_close_code_silently().await, Some(4499));
}

/// Waits until a number of connections is open.
async fn wait_for_connections(app: &TestApp, count: usize) {
    let reached = async {
        while app.http_app.subscriptions.connection_count() != count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap_or_else(|_| {
        panic!("{} connections, not {count}", app.http_app.subscriptions.connection_count());
    });
}

async fn connections_are_limited_in_total_and_per_client(backend: Backend) {
    let settings = [
        ("SAVANNAH_SUBSCRIPTIONS__MAX_CONNECTIONS", "4"),
        ("SAVANNAH_SUBSCRIPTIONS__MAX_CONNECTIONS_PER_NETWORK", "2"),
        ("SAVANNAH_SUBSCRIPTIONS__MAX_CONNECTIONS_PER_CALLER", "1"),
        ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1"),
    ];
    let app = start_live_app(backend, &settings).await;
    let address = app.address.to_string();
    let from = |network: &'static str| [("x-forwarded-for", network)];
    let status = |outcome: Result<WebSocketClient, _>| outcome.err().map(|status: reqwest::StatusCode| status.as_u16());
    let first = WebSocketClient::open(&address, &from("192.0.2.1")).await.expect("a connection");
    let _second = WebSocketClient::open(&address, &from("192.0.2.1")).await.expect("a connection");
    assert_eq!(status(WebSocketClient::open(&address, &from("192.0.2.1")).await), Some(429));
    let stream = app.build_request(reqwest::Method::POST, "/graphql").header("accept", "text/event-stream");
    let stream = stream.header("x-forwarded-for", "192.0.2.1").json(&json!({ "query": "{ shop { name } }" }));
    assert_eq!(stream.send().await.expect("a response").status(), 429);
    let third = WebSocketClient::open(&address, &from("192.0.2.2")).await.expect("a connection");
    let _fourth = WebSocketClient::open(&address, &from("2001:db8::1")).await.expect("a connection");
    let refused = WebSocketClient::open(&address, &from("192.0.2.3")).await;
    assert_eq!(status(refused), Some(503), "the limit in total");
    drop(first);
    wait_for_connections(&app, 3).await;

    // One account has one connection, from wherever it comes.
    let customer = app.login(Role::Customer).await;
    let init = json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {customer}") } });
    let mut client = WebSocketClient::open(&address, &from("192.0.2.1")).await.expect("a connection");
    client.send(init.clone()).await;
    assert_eq!(client.receive().await["type"], "connection_ack");
    drop(third);
    wait_for_connections(&app, 3).await;
    let mut another = WebSocketClient::open(&address, &from("192.0.2.9")).await.expect("a connection");
    another.send(init).await;
    assert_eq!(another.wait_for_close().await, Some(1013));
}

async fn operations_and_their_memory_are_limited(backend: Backend) {
    let settings =
        [("SAVANNAH_SUBSCRIPTIONS__MAX_OPERATIONS", "3"), ("SAVANNAH_SUBSCRIPTIONS__MAX_OPERATION_MEMORY", "60000")];
    let app = start_live_app(backend, &settings).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let variables = json!({ "ids": [mug] });
    let mut client = connect(&app).await;
    for id in ["1", "2", "3"] {
        client.subscribe_and_wait(&app, id, STOCK_SUBSCRIPTION, variables.clone()).await;
    }
    client.subscribe("4", STOCK_SUBSCRIPTION, variables.clone()).await;
    assert_eq!(client.receive_error("4").await, "RATE_LIMITED");
    client.send(json!({ "id": "1", "type": "complete" })).await;
    client.subscribe_and_wait(&app, "4", STOCK_SUBSCRIPTION, variables.clone()).await;

    // Equal operations count once; different ones are refused when their memory is used up.
    let mut other = connect(&app).await;
    let fields = (0..30).map(|field| format!("f{field}: cursor ")).collect::<Vec<_>>().concat();
    let different =
        |name: &str| format!("subscription {name}($ids: [ID!]!) {{ stockChanged(variantIds: $ids) {{ {fields} }} }}");
    other.subscribe_and_wait(&app, "1", &different("First"), variables.clone()).await;
    other.subscribe_and_wait(&app, "2", &different("First"), variables.clone()).await;
    other.subscribe("3", &different("Second"), variables.clone()).await;
    assert_eq!(other.receive_error("3").await, "UNAVAILABLE");
    drop(client);
    drop(other);
    wait_for_connections(&app, 0).await;
    let mut client = connect(&app).await;
    client.subscribe_and_wait(&app, "1", &different("Second"), variables).await;
}

async fn origin_of_a_handshake_is_checked(backend: Backend) {
    let settings = [("SAVANNAH_SERVER__CORS_ORIGINS", "https://shop.example")];
    let app = start_live_app(backend, &settings).await;
    let address = app.address.to_string();
    let refused = WebSocketClient::open(&address, &[("origin", "https://evil.example")]).await;
    assert_eq!(refused.err().map(|status| status.as_u16()), Some(403));
    let own = format!("http://{address}");
    for origin in ["https://shop.example", &own] {
        assert!(WebSocketClient::open(&address, &[("origin", origin)]).await.is_ok(), "{origin}");
    }
}

/// Emits a change of a variant's stock.
async fn emit_stock_change(app: &TestApp, variant: &str) {
    let variant = GlobalId::decode_as(variant, NodeType::Variant, "id").unwrap_or_else(|_| panic!("an id"));
    let event = StockChanged { variants: vec![variant] };
    assert_eq!(StockChanged::KIND, "StockChanged");
    let emitted = app.db.write(async |tx| tx.emit_event(event).await).await;
    emitted.unwrap_or_else(|error| panic!("not emitted: {}", error.log_message()));
}

async fn client_that_does_not_read_is_disconnected(backend: Backend) {
    let settings =
        [("SAVANNAH_SUBSCRIPTIONS__MAX_QUEUED_MESSAGES", "4"), ("SAVANNAH_SUBSCRIPTIONS__MAX_QUEUED_BYTES", "300000")];
    let app = start_live_app(backend, &settings).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let description = "a long description ".repeat(3000);
    app.execute_sql("DELETE FROM product_description").await.expect("a deletion");
    let insert = format!(
        "INSERT INTO product_description (product_id, html, text) SELECT id, '{description}', '{description}' FROM product"
    );
    assert_eq!(app.execute_sql(&insert).await.expect("a description"), 1);
    let variables = json!({ "ids": [mug] });
    let mut slow = connect(&app).await;
    slow.subscribe_and_wait(&app, "1", STOCK_SUBSCRIPTION, variables.clone()).await;
    let body = json!({ "query": STOCK_SUBSCRIPTION, "variables": variables });
    let mut slow_stream = EventStreamClient::start(&app.address.to_string(), body, &[]).await;
    slow_stream.wait_for_start().await;
    let mut reader = connect(&app).await;
    reader.subscribe_and_wait(&app, "1", STOCK_SUBSCRIPTION, variables).await;
    // The events fill the buffers of the sockets and then the queues; one that reads misses none.
    let mut delivered = 0;
    while app.http_app.subscriptions.connection_count() > 1 {
        emit_stock_change(&app, &mug).await;
        assert!(reader.receive_data("1").await["stockChanged"]["cursor"].is_string());
        delivered += 1;
        assert!(delivered < 1000, "the slow clients are not disconnected");
    }
    assert_eq!(app.http_app.subscriptions.subscription_count(), 1);
}

async fn stopping_server_disconnects_clients_with_a_retry_code(backend: Backend) {
    let database = TestDatabase::create_migrated(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url()), ("SAVANNAH_SERVER__SHUTDOWN_TIMEOUT", "30s")]);
    let server = sandbox.start_server(&[]).await;
    let found = server.query("{ products(first: 1) { nodes { id } } }").await;
    let product = found["data"]["products"]["nodes"][0]["id"].clone();
    let query = "subscription($id: ID!) { productUpdated(id: $id) { cursor } }";
    let body = json!({ "query": query, "variables": { "id": product } });
    let mut stream = EventStreamClient::start(&server.address, body, &[]).await;
    stream.wait_for_start().await;
    let mut client = WebSocketClient::connect(&server.address, None).await;
    client.subscribe("1", query, json!({ "id": product })).await;
    client.subscribe("2", "{ shop { name } }", json!({})).await;
    assert!(client.receive_data("2").await["shop"]["name"].is_string());
    // A client that does not answer the close does not hold up the stop.
    let _silent = WebSocketClient::connect(&server.address, None).await;
    let stopped_at = std::time::Instant::now();
    server.send_signal("TERM");
    assert_eq!(close_code_after_messages(client).await, Some(1012));
    // The stream ends without `complete`, so that clients reconnect.
    while let Some(event) = stream.next_event().await {
        assert_ne!(event.event, "complete");
    }
    let exited = server.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{}", exited.stderr);
    assert!(stopped_at.elapsed() < Duration::from_secs(15), "{:?}", stopped_at.elapsed());
}

async fn close_code_after_messages(client: WebSocketClient) -> Option<u16> {
    client.wait_for_close().await
}

async fn disconnected_client_ends_its_subscriptions(backend: Backend) {
    let app = start_live_app(backend, &[]).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let variables = json!({ "ids": [mug] });
    let mut client = connect(&app).await;
    client.subscribe_and_wait(&app, "1", STOCK_SUBSCRIPTION, variables.clone()).await;
    let body: Value = json!({ "query": STOCK_SUBSCRIPTION, "variables": variables });
    let mut stream = EventStreamClient::start(&app.address.to_string(), body, &[]).await;
    stream.wait_for_start().await;
    assert_eq!(app.http_app.subscriptions.subscription_count(), 2);
    drop(client);
    drop(stream);
    wait_for_connections(&app, 0).await;
    assert_eq!(app.http_app.subscriptions.subscription_count(), 0);
    // An event without subscribers costs nothing.
    let before = app.http_app.subscriptions.statement_count();
    emit_stock_change(&app, &mug).await;
    assert_eq!(app.http_app.subscriptions.statement_count(), before);
}
