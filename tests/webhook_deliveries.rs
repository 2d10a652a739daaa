//! Delivery of webhooks: signed, in order, once per endpoint, repeated on request.

use std::{fmt::Write as _, process::Stdio};

use chrono::TimeDelta;
use savannah::{
    catalog::events::ProductsChanged,
    identity::{
        Role,
        events::{CustomerRegistered, CustomerUpdated},
    },
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    browser::has_node_module,
    integration_tests,
    support::{
        ALLOW_PRIVATE_ADDRESSES, Backend, ReceiverResponse, TestApp, WebhookReceiver, set_clock_to_system_time,
        verify_signature,
    },
    webhook_endpoints::create,
};

integration_tests![
    order_events_are_delivered_with_documented_data,
    event_is_delivered_once_to_each_subscribed_endpoint,
    number_of_statements_does_not_depend_on_the_number_of_endpoints,
    number_of_statements_does_not_depend_on_the_number_of_due_deliveries,
    later_event_of_an_object_waits_for_the_earlier_one,
    delivery_log_shows_requests_and_responses,
    finished_deliveries_are_repeated_one_or_a_range,
    test_event_is_sent_to_its_endpoint_only,
    inactive_endpoint_gets_no_events,
    redirect_is_not_followed_and_an_endless_response_is_cut,
    private_address_is_not_connected_to,
    delivery_log_is_deleted_after_its_retention;
    needs(has_reference_library): signatures_are_verified_by_the_reference_library
];

pub const DELIVERIES: &str =
    "query($filter: WebhookDeliveryFilter) { webhookDeliveries(filter: $filter) { totalCount nodes {
    id eventId eventType status requestBody attemptCount responseStatus error nextAttemptAt deliveredAt endpoint { url }
    attempts { attempt requestedAt durationMillis responseStatus responseBody error } } } }";

fn has_reference_library() -> bool {
    has_node_module("standardwebhooks")
}

pub async fn start_app(backend: Backend) -> TestApp {
    TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await
}

/// Returns the deliveries, newest first.
pub async fn list_deliveries(app: &TestApp, token: &str, filter: Value) -> Vec<Value> {
    let response = app.query_as(token, DELIVERIES, json!({ "filter": filter })).await;
    response.data_at("/webhookDeliveries/nodes").as_array().expect("a list").clone()
}

async fn order_events_are_delivered_with_documented_data(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    let receiver = WebhookReceiver::start().await;
    let types = ["order.placed", "order.confirmed", "order.canceled", "stock.changed"];
    let (_, secret) = app.register_endpoint(&receiver.url, &types).await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    app.drain_jobs().await;
    receiver.take_received();
    let order = app.create_order(None, "webhooks 1", &[(&mug, 2)], json!({})).await;
    let order = order.data_at("/orderCreate/order/id").clone();
    app.run_pending_jobs().await;
    let received = receiver.take_received();
    let placed = received.iter().find(|webhook| webhook.json()["type"] == "order.placed").expect("order.placed");
    assert!(verify_signature(placed, &secret), "{placed:?}");
    let body = placed.json();
    assert_eq!((&body["id"], &body["version"]), (&json!(placed.id), &json!(1)));
    assert_eq!((&body["timestamp"], &body["sequence"]), (&json!("2026-11-01T09:00:00Z"), &json!(1)));
    assert_eq!((&body["aggregate"], &body["data"]["order"]["id"]), (&order, &order));
    assert_eq!(
        (&body["data"]["order"]["currency"], &body["data"]["order"]["total"]),
        (&json!("KES"), &json!("200.00"))
    );
    assert!(!placed.body.to_lowercase().contains("token"), "{}", placed.body);
    assert_eq!(placed.timestamp, app.db.now().timestamp().to_string());
    let stock = received.iter().find(|webhook| webhook.json()["type"] == "stock.changed").expect("stock.changed");
    assert_eq!(stock.json()["data"], json!({ "variants": [{ "id": mug }], "isComplete": true }));
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery WHERE status <> 'delivered'").await, 0);
}

async fn event_is_delivered_once_to_each_subscribed_endpoint(backend: Backend) {
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&format!("{}/a", receiver.url), &["customer.updated"]).await;
    app.register_endpoint(&format!("{}/b", receiver.url), &["customer.updated", "customer.created"]).await;
    app.register_endpoint(&format!("{}/c", receiver.url), &["customer.deleted"]).await;
    app.emit_events(&[CustomerRegistered { customer: 7 }]).await;
    app.emit_events(&[CustomerUpdated { customer: 7 }, CustomerUpdated { customer: 8 }]).await;
    app.drain_jobs().await;
    // Nothing is left to do.
    app.drain_jobs().await;
    let mut received: Vec<_> = receiver
        .received()
        .into_iter()
        .map(|webhook| {
            (webhook.path.clone(), webhook.json()["type"].as_str().expect("a type").to_owned(), webhook.sequence().1)
        })
        .collect();
    received.sort_unstable();
    let expected = [
        ("/a", "customer.updated", 1),
        ("/a", "customer.updated", 2),
        ("/b", "customer.created", 1),
        ("/b", "customer.updated", 1),
        ("/b", "customer.updated", 2),
    ];
    assert_eq!(received, expected.map(|(path, name, sequence)| (path.to_owned(), name.to_owned(), sequence)));
    app.run_pending_jobs().await;
}

async fn number_of_statements_does_not_depend_on_the_number_of_endpoints(backend: Backend) {
    use savannah::{
        infra::{QueryBudget, RequestOrigin, outbox::DeliveredEvent},
        webhook::fan_out_event,
    };
    let app = start_app(backend).await;
    let mut counts = Vec::new();
    for endpoint_count in [0, 1, 20] {
        while app.query_scalar("SELECT count(*) FROM webhook_endpoint").await < endpoint_count {
            app.register_endpoint("https://127.0.0.1/", &["customer.updated"]).await;
        }
        app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
        let id = app.query_scalar("SELECT max(id) FROM outbox_event").await;
        let (db, query_stats) = app.db.for_request(RequestOrigin::default(), QueryBudget::UNLIMITED);
        let delivered = DeliveredEvent { id, occurred_at: app.db.now(), event: CustomerUpdated { customer: 5 } };
        db.write(async |tx| fan_out_event(tx, &delivered).await).await.expect("deliveries");
        counts.push(query_stats.statement_count());
        assert_eq!(
            app.query_scalar("SELECT count(*) FROM webhook_delivery").await,
            endpoint_count.min(1) + endpoint_count / 20 * 20
        );
    }
    assert_eq!(counts[1], counts[2], "{counts:?}");
    assert!(counts[0] < counts[1], "{counts:?}");
}

async fn number_of_statements_does_not_depend_on_the_number_of_due_deliveries(backend: Backend) {
    use savannah::infra::{QueryBudget, RequestOrigin, jobs::Worker};
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&receiver.url, &["customer.updated"]).await;
    let mut counts = Vec::new();
    for event_count in [1, 20] {
        // They wait until they are due together.
        app.execute_sql("UPDATE webhook_endpoint SET resume_at = '2030-01-01 00:00:00+00:00'").await.expect("a delay");
        let events: Vec<_> = (1..=event_count).map(|customer| CustomerUpdated { customer }).collect();
        app.emit_events(&events).await;
        app.drain_jobs().await;
        app.execute_sql("UPDATE webhook_endpoint SET resume_at = NULL").await.expect("no delay");
        app.execute_sql("UPDATE job SET run_at = '2026-11-01 00:00:00+00:00' WHERE status = 'pending'")
            .await
            .expect("a due job");
        let mut context = app.job_context();
        let (db, query_stats) = app.db.for_request(RequestOrigin::default(), QueryBudget::UNLIMITED);
        context.db = db;
        let worker = Worker::create(context, std::sync::Arc::clone(&app.job_registry)).await;
        worker.expect("a worker").run_until_idle().await.expect("no errors");
        assert_eq!(receiver.take_received().len(), events.len());
        counts.push(query_stats.statement_count());
    }
    assert_eq!(counts[0], counts[1], "{counts:?}");
}

async fn later_event_of_an_object_waits_for_the_earlier_one(backend: Backend) {
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&receiver.url, &["customer.created", "customer.updated"]).await;
    receiver.respond_with(|webhook| {
        ReceiverResponse::Status(if webhook.json()["type"] == "customer.created" { 500 } else { 200 })
    });
    app.emit_events(&[CustomerRegistered { customer: 1 }]).await;
    app.emit_events(&[CustomerUpdated { customer: 1 }, CustomerUpdated { customer: 2 }]).await;
    app.drain_jobs().await;
    let numbers = |received: Vec<crate::support::ReceivedWebhook>| {
        received
            .iter()
            .map(|webhook| (webhook.json()["data"]["customer"]["id"].clone(), webhook.sequence().1, webhook.accepted))
            .collect::<Vec<_>>()
    };
    let [first, second] = [1, 2]
        .map(|key| json!(savannah::base::GlobalId::new(savannah::base::global_id::NodeType::Customer, key).encode()));
    let mut received = numbers(receiver.take_received());
    received.sort_by_key(|(_, _, accepted)| *accepted);
    assert_eq!(received, [(first.clone(), 1, false), (second, 1, true)]);
    receiver.respond_with_status(200);
    app.run_jobs_after(TimeDelta::minutes(1)).await;
    assert_eq!(numbers(receiver.take_received()), [(first.clone(), 1, true), (first, 2, true)]);
    app.run_pending_jobs().await;
}

async fn delivery_log_shows_requests_and_responses(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&receiver.url, &["customer.updated"]).await;
    receiver.respond_with_status(500);
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    app.drain_jobs().await;
    let deliveries =
        list_deliveries(&app, &admin, json!({ "status": "PENDING", "eventType": "customer.updated" })).await;
    assert_eq!(deliveries.len(), 1);
    let delivery = &deliveries[0];
    assert_eq!((&delivery["attemptCount"], &delivery["responseStatus"]), (&json!(1), &json!(500)));
    assert_eq!(delivery["error"], "the endpoint answered 500");
    receiver.respond_with_status(200);
    app.run_jobs_after(TimeDelta::minutes(1)).await;
    let received = receiver.take_received();
    let delivery = &list_deliveries(&app, &admin, json!({ "status": "DELIVERED" })).await[0];
    assert_eq!(delivery["requestBody"], json!(received[0].body));
    assert_eq!((&delivery["eventId"], &delivery["error"]), (&json!(received[0].id), &Value::Null));
    let attempts = delivery["attempts"].as_array().expect("attempts");
    let described: Vec<_> = attempts
        .iter()
        .map(|attempt| (&attempt["attempt"], &attempt["responseStatus"], &attempt["responseBody"]))
        .collect();
    assert_eq!(described, [(&json!(1), &json!(500), &json!("noted")), (&json!(2), &json!(200), &json!("noted"))]);
    let node = "query($id: ID!) { node(id: $id) { ... on WebhookDelivery { status } } }";
    let found = app.query_as(&admin, node, json!({ "id": delivery["id"] })).await;
    assert_eq!(found.data_at("/node/status"), "DELIVERED");
    assert_eq!(app.query_with_variables(node, json!({ "id": delivery["id"] })).await.data_at("/node"), &Value::Null);
    let invalid = app.query_as(&admin, DELIVERIES, json!({ "filter": { "eventType": "x" } })).await;
    assert_eq!(invalid.error_code(), "BAD_USER_INPUT");
}

async fn finished_deliveries_are_repeated_one_or_a_range(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let created = create(&app, &admin, json!({ "url": receiver.url, "eventTypes": ["customer.updated"] })).await;
    let endpoint_id = created["webhookEndpoint"]["id"].clone();
    for customer in 1..=3 {
        app.emit_events(&[CustomerUpdated { customer }]).await;
        app.run_jobs_after(TimeDelta::minutes(1)).await;
    }
    let before = receiver.take_received();
    let one = "mutation($id: ID!) { webhookDeliveryRetry(id: $id) { webhookDelivery { status } userErrors { code } } }";
    let newest = list_deliveries(&app, &admin, json!({})).await[0]["id"].clone();
    let repeated = app.query_as(&admin, one, json!({ "id": newest })).await;
    assert_eq!(repeated.data_at("/webhookDeliveryRetry/webhookDelivery/status"), "PENDING");
    let twice = app.query_as(&admin, one, json!({ "id": newest })).await;
    assert_eq!(twice.data_at("/webhookDeliveryRetry/userErrors/0/code"), "ILLEGAL_TRANSITION");
    app.drain_jobs().await;
    let again = receiver.take_received();
    assert_eq!((again.len(), &again[0].id, &again[0].body), (1, &before[2].id, &before[2].body));
    let range = "mutation($input: WebhookDeliveriesRetryInput!) { webhookDeliveriesRetry(input: $input) {
        deliveryCount userErrors { code field } } }";
    let input = json!({ "endpointId": endpoint_id, "createdFrom": "2026-11-01T09:00:30Z", "createdUntil": "2026-11-02T00:00:00Z" });
    let repeated = app.query_as(&admin, range, json!({ "input": input })).await;
    assert_eq!(repeated.data_at("/webhookDeliveriesRetry/deliveryCount"), 3);
    app.drain_jobs().await;
    assert_eq!(receiver.take_received().len(), 3);
    let mut failed = input.clone();
    failed["status"] = json!("FAILED");
    let none = app.query_as(&admin, range, json!({ "input": failed })).await;
    assert_eq!(none.data_at("/webhookDeliveriesRetry/deliveryCount"), 0);
    let mut empty = input;
    empty["createdUntil"] = empty["createdFrom"].clone();
    let rejected = app.query_as(&admin, range, json!({ "input": empty })).await;
    assert_eq!(rejected.data_at("/webhookDeliveriesRetry/userErrors/0/field"), &json!(["input", "createdUntil"]));
    app.run_pending_jobs().await;
}

async fn test_event_is_sent_to_its_endpoint_only(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&format!("{}/other", receiver.url), &["order.placed"]).await;
    let input = json!({ "url": format!("{}/mine", receiver.url), "eventTypes": ["order.placed"] });
    let id = create(&app, &admin, input).await["webhookEndpoint"]["id"].clone();
    let test = "mutation($id: ID!) { webhookEndpointTest(id: $id) { webhookDelivery { eventType status } userErrors { code } } }";
    let sent = app.query_as(&admin, test, json!({ "id": id })).await;
    assert_eq!(
        sent.data_at("/webhookEndpointTest/webhookDelivery"),
        &json!({ "eventType": "webhook.test", "status": "PENDING" })
    );
    app.run_pending_jobs().await;
    let received = receiver.take_received();
    assert_eq!((received.len(), received[0].path.as_str()), (1, "/mine"));
    let body = received[0].json();
    assert_eq!(
        (&body["type"], &body["sequence"], &body["data"]["endpoint"]["id"]),
        (&json!("webhook.test"), &Value::Null, &id)
    );
}

async fn inactive_endpoint_gets_no_events(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let input = json!({ "url": receiver.url, "eventTypes": ["customer.updated"], "isActive": false });
    let id = create(&app, &admin, input).await["webhookEndpoint"]["id"].clone();
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery").await, 0);
    let test = "mutation($id: ID!) { webhookEndpointTest(id: $id) { userErrors { code } } }";
    let rejected = app.query_as(&admin, test, json!({ "id": id })).await;
    assert_eq!(rejected.data_at("/webhookEndpointTest/userErrors/0/code"), "ILLEGAL_TRANSITION");
    assert!(receiver.received().is_empty());
}

async fn redirect_is_not_followed_and_an_endless_response_is_cut(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&format!("{}/hook", receiver.url), &["customer.updated"]).await;
    let target = format!("{}/other", receiver.url);
    receiver.respond_with(move |_| ReceiverResponse::Redirect(target.clone()));
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    app.drain_jobs().await;
    assert_eq!(receiver.take_received().iter().map(|webhook| webhook.path.as_str()).collect::<Vec<_>>(), ["/hook"]);
    let delivery = &list_deliveries(&app, &admin, json!({})).await[0];
    assert_eq!(delivery["error"], "the endpoint answered 307 (redirects are not followed)");
    receiver.respond_with(|_| ReceiverResponse::EndlessBody);
    app.run_jobs_after(TimeDelta::minutes(1)).await;
    let delivery = &list_deliveries(&app, &admin, json!({})).await[0];
    assert_eq!(delivery["status"], "DELIVERED");
    assert_eq!(delivery["attempts"][1]["responseBody"], json!("x".repeat(1000)));
}

async fn private_address_is_not_connected_to(backend: Backend) {
    // Registered while it was allowed, as if the name had another address then.
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let by_name = receiver.url.replace("127.0.0.1", "localhost");
    app.register_endpoint(&receiver.url.replace("http://", "https://"), &["customer.updated"]).await;
    app.register_endpoint(&by_name.replace("http://", "https://"), &["customer.updated"]).await;
    let strict = app.start_second_instance(&[]).await;
    strict.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    strict.drain_jobs().await;
    assert!(receiver.received().is_empty());
    let deliveries = list_deliveries(&app, &admin, json!({})).await;
    assert_eq!(deliveries.len(), 2);
    for delivery in deliveries {
        let error = delivery["error"].as_str().expect("an error");
        assert!(error.contains("is not a public address"), "{error}");
    }
}

async fn delivery_log_is_deleted_after_its_retention(backend: Backend) {
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&receiver.url, &["customer.updated"]).await;
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    app.drain_jobs().await;
    app.run_jobs_after(TimeDelta::days(29)).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_attempt").await, 1);
    app.run_jobs_after(TimeDelta::days(2)).await;
    for table in ["webhook_attempt", "webhook_delivery", "webhook_event"] {
        assert_eq!(app.query_scalar(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_endpoint").await, 1);
}

/// Gives requests, with a changed one and one of another secret, to the library of the specification's authors.
async fn signatures_are_verified_by_the_reference_library(backend: Backend) {
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    let (_, secret) = app.register_endpoint(&receiver.url, &["customer.updated", "product.updated"]).await;
    set_clock_to_system_time(&app);
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    app.emit_events(&[ProductsChanged { products: vec![1, 2] }]).await;
    app.drain_jobs().await;
    let mut lines = String::new();
    let received = receiver.take_received();
    assert_eq!(received.len(), 2);
    for webhook in &received {
        for (body, secret) in [
            (webhook.body.clone(), secret.clone()),
            (webhook.body.replace("updated", "deleted"), secret.clone()),
            (webhook.body.clone(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        ] {
            let headers = json!({ "webhook-id": webhook.id, "webhook-timestamp": webhook.timestamp, "webhook-signature": webhook.signature });
            writeln!(lines, "{}", json!({ "body": body, "secret": secret, "headers": headers })).expect("text");
        }
    }
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/webhooks/verify.mjs");
    let mut node = tokio::process::Command::new("node");
    let mut child = node.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node");
    child.stdin.take().expect("an input").write_all(lines.as_bytes()).await.expect("written requests");
    let output = child.wait_with_output().await.expect("an end");
    let output = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output, "valid\ninvalid\ninvalid\n".repeat(2));
}
