//! Continuing after a cursor: nothing is lost and nothing doubled, also when the server is killed and started again.

use std::{collections::BTreeSet, time::Duration};

use savannah::{
    base::{GlobalId, global_id::NodeType},
    infra::{Db, outbox::Event},
    inventory::StockChanged,
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, EventStreamClient, TestApp, TestDatabase, WebSocketClient},
};

integration_tests![
    client_continues_after_its_cursor,
    reconnecting_client_gets_each_event_once_while_events_arrive,
    expired_and_unknown_cursors_are_refused,
    client_continues_after_the_server_was_killed,
    event_of_one_instance_reaches_the_subscribers_of_another,
];

const STOCK_SUBSCRIPTION: &str = "subscription($ids: [ID!]!, $after: String) {
    stockChanged(variantIds: $ids, after: $after) { variants { sku } cursor } }";

async fn emit_stock_change(db: &Db, variant: &str) {
    let variant = GlobalId::decode_as(variant, NodeType::Variant, "id").unwrap_or_else(|_| panic!("an id"));
    let emitted = db.write(async |tx| tx.emit_event(StockChanged { variants: vec![variant] }).await).await;
    emitted.unwrap_or_else(|error| panic!("not emitted: {}", error.log_message()));
}

fn cursor_of(data: &serde_json::Value) -> String {
    data["stockChanged"]["cursor"].as_str().unwrap_or_else(|| panic!("no cursor in {data}")).to_owned()
}

async fn client_continues_after_its_cursor(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.start_event_feed().await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(5)).await, app.create_product("bowl", 100, Some(5)).await);
    let address = app.address.to_string();
    let mut client = WebSocketClient::connect(&address, None).await;
    client.subscribe_and_wait(&app, "1", STOCK_SUBSCRIPTION, json!({ "ids": [mug] })).await;
    emit_stock_change(&app.db, &mug).await;
    let seen = cursor_of(&client.receive_data("1").await);
    drop(client);
    for variant in [&mug, &bowl, &mug] {
        emit_stock_change(&app.db, variant).await;
    }
    let mut client = WebSocketClient::connect(&address, None).await;
    client.subscribe("1", STOCK_SUBSCRIPTION, json!({ "ids": [mug], "after": seen })).await;
    let mut cursors = vec![seen.clone()];
    for _ in 0..2 {
        cursors.push(cursor_of(&client.receive_data("1").await));
    }
    emit_stock_change(&app.db, &mug).await;
    cursors.push(cursor_of(&client.receive_data("1").await));
    assert_eq!(cursors.iter().collect::<BTreeSet<_>>().len(), 4, "{cursors:?}");

    // In a stream, by the ID of its last event, which comes before the argument.
    let body = json!({ "query": STOCK_SUBSCRIPTION, "variables": { "ids": [mug], "after": seen } });
    let mut stream = EventStreamClient::start(&address, body, &[("last-event-id", &cursors[1])]).await;
    for cursor in &cursors[2..] {
        let event = stream.next_event().await.expect("an event");
        assert_eq!((&cursor_of(&event.json()["data"]), event.id.as_ref()), (cursor, Some(cursor)));
    }
}

async fn reconnecting_client_gets_each_event_once_while_events_arrive(backend: Backend) {
    const EVENT_COUNT: usize = 150;
    let app = TestApp::start(backend).await;
    app.start_event_feed().await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let address = app.address.to_string();
    let mut client = WebSocketClient::connect(&address, None).await;
    client.subscribe_and_wait(&app, "1", STOCK_SUBSCRIPTION, json!({ "ids": [mug] })).await;
    let emitting = async {
        for _ in 0..EVENT_COUNT {
            emit_stock_change(&app.db, &mug).await;
        }
    };
    let receiving = async {
        let mut cursors = Vec::new();
        while cursors.len() < EVENT_COUNT {
            cursors.push(cursor_of(&client.receive_data("1").await));
            // The connection is lost after each third event.
            if cursors.len() % 3 == 0 {
                client = WebSocketClient::connect(&address, None).await;
                client.subscribe("1", STOCK_SUBSCRIPTION, json!({ "ids": [mug], "after": cursors.last() })).await;
            }
        }
        cursors
    };
    let ((), cursors) = tokio::join!(emitting, receiving);
    assert_eq!(cursors.iter().collect::<BTreeSet<_>>().len(), EVENT_COUNT, "none is doubled");
    let more = tokio::time::timeout(Duration::from_millis(300), client.receive_or_close()).await;
    assert!(more.is_err(), "{more:?}");
}

async fn expired_and_unknown_cursors_are_refused(backend: Backend) {
    let settings = [("SAVANNAH_SUBSCRIPTIONS__MAX_REPLAYED_EVENTS", "5")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    app.start_event_feed().await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let address = app.address.to_string();
    let mut client = WebSocketClient::connect(&address, None).await;
    client.subscribe_and_wait(&app, "1", STOCK_SUBSCRIPTION, json!({ "ids": [mug] })).await;
    let mut cursors = Vec::new();
    for _ in 0..7 {
        emit_stock_change(&app.db, &mug).await;
        cursors.push(cursor_of(&client.receive_data("1").await));
    }
    let mut resume = async |after: &str| {
        client.subscribe("2", STOCK_SUBSCRIPTION, json!({ "ids": [mug], "after": after })).await;
        client.receive().await
    };
    // More events than are read again.
    let message = resume(&cursors[0]).await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{message}");
    // A position that no event has: of another database.
    let unknown = savannah::graphql::subscription::cursor::encode_cursor(1_000_000);
    let message = resume(&unknown).await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{message}");
    // Deleted events.
    let deleted = "UPDATE outbox_position SET deleted_position = last_position - 1";
    app.execute_sql(deleted).await.expect("a change");
    app.execute_sql("DELETE FROM outbox_event WHERE position < (SELECT last_position FROM outbox_position)")
        .await
        .expect("a deletion");
    let message = resume(&cursors[4]).await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "CURSOR_EXPIRED", "{message}");
    let message = resume(&cursors[5]).await;
    assert_eq!(cursor_of(&message["payload"]["data"]), cursors[6], "{message}");
}

/// A server process on a database with the demo catalog, and a variant.
struct LiveServers {
    sandbox: CliSandbox,
    database: TestDatabase,
}

impl LiveServers {
    async fn prepare(backend: Backend) -> Self {
        let database = TestDatabase::create_migrated(backend).await;
        let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url())]);
        Self { sandbox, database }
    }
}

async fn find_variant(address: &str) -> String {
    let body = json!({ "query": "{ products(first: 1) { nodes { variants { id } } } }" });
    let response = reqwest::Client::new().post(format!("http://{address}/graphql")).json(&body).send().await;
    let found: serde_json::Value = response.expect("a response").json().await.expect("JSON");
    let id = &found["data"]["products"]["nodes"][0]["variants"][0]["id"];
    id.as_str().unwrap_or_else(|| panic!("no variant in {found}")).to_owned()
}

async fn client_continues_after_the_server_was_killed(backend: Backend) {
    let servers = LiveServers::prepare(backend).await;
    let db = servers.database.connect().await;
    let server = servers.sandbox.start_server(&[]).await;
    let variant = find_variant(&server.address).await;
    let body = json!({ "query": STOCK_SUBSCRIPTION, "variables": { "ids": [variant] } });
    let mut stream = EventStreamClient::start(&server.address, body.clone(), &[]).await;
    stream.wait_for_start().await;
    let mut cursors = Vec::new();
    for _ in 0..3 {
        emit_stock_change(&db, &variant).await;
        cursors.push(cursor_of(&stream.next_event().await.expect("an event").json()["data"]));
    }
    server.send_signal("KILL");
    assert_eq!(stream.next_event().await, None);
    let last_id = stream.last_id.clone().expect("an ID");
    assert_eq!(Some(&last_id), cursors.last());
    for _ in 0..2 {
        emit_stock_change(&db, &variant).await;
    }
    let server = servers.sandbox.start_server(&[]).await;
    let mut stream = EventStreamClient::start(&server.address, body, &[("last-event-id", &last_id)]).await;
    emit_stock_change(&db, &variant).await;
    for _ in 0..3 {
        cursors.push(cursor_of(&stream.next_event().await.expect("an event").json()["data"]));
    }
    assert_eq!(cursors.iter().collect::<BTreeSet<_>>().len(), 6, "{cursors:?}");
    let sql = format!("SELECT count(*) AS n FROM outbox_event WHERE event_type = '{}'", StockChanged::KIND);
    let row = db.query_one_raw(Statement::from_string(db.backend(), sql)).await.expect("a row").expect("a row");
    assert!(row.try_get::<i64>("", "n").expect("a number") >= 6);
}

async fn event_of_one_instance_reaches_the_subscribers_of_another(backend: Backend) {
    // Two processes share a database; on SQLite it is one file.
    let servers = LiveServers::prepare(backend).await;
    let first = servers.sandbox.start_server(&[]).await;
    let second = servers.sandbox.start_server_with_args(&["serve", "--no-worker"], &[]).await;
    let variant = find_variant(&first.address).await;
    let mut client = WebSocketClient::connect(&second.address, None).await;
    let create = "mutation($input: CartCreateInput!) { cartCreate(input: $input) { cart { id } userErrors { code } } }";
    client.subscribe("c", create, json!({ "input": { "lines": [{ "variantId": variant, "quantity": 1 }] } })).await;
    let cart = client.receive_data("c").await["cartCreate"]["cart"]["id"].clone();
    assert_eq!(client.receive().await["type"], "complete");
    let body = json!({ "query": "subscription($id: ID!) { cartUpdated(id: $id) { cart { note } cursor } }",
        "variables": { "id": cart } });
    let mut stream = EventStreamClient::start(&second.address, body, &[]).await;
    stream.wait_for_start().await;
    let update = "mutation($id: ID!, $note: String) { cartNoteUpdate(id: $id, note: $note) { userErrors { code } } }";
    let mut cursors = BTreeSet::new();
    for number in 0..3 {
        let note = format!("note {number}");
        let request = reqwest::Client::new().post(format!("http://{}/graphql", first.address));
        let request = request.json(&json!({ "query": update, "variables": { "id": cart, "note": note } }));
        let response: serde_json::Value = request.send().await.expect("a response").json().await.expect("JSON");
        assert_eq!(response["data"]["cartNoteUpdate"]["userErrors"], json!([]), "{response}");
        // The event of an earlier change may come after the next change, whose state it then has.
        loop {
            let event = stream.next_event().await.expect("an event").json()["data"]["cartUpdated"].clone();
            assert!(cursors.insert(event["cursor"].to_string()), "doubled: {event}");
            if event["cart"]["note"] == note.as_str() {
                break;
            }
        }
    }
}
