//! Webhook endpoints: registration, changes, secrets, rejected input.

use chrono::TimeDelta;
use savannah::{identity::Role, identity::events::CustomerUpdated};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{ALLOW_PRIVATE_ADDRESSES, Backend, TestApp, WebhookReceiver, verify_signature},
};

integration_tests![
    registered_endpoint_shows_its_secret_once,
    invalid_endpoint_is_rejected_with_all_errors,
    endpoint_at_a_private_address_is_rejected,
    endpoints_are_limited_in_number,
    webhooks_need_their_permission,
    endpoint_changes_are_versioned_and_audited,
    endpoint_with_more_permissions_than_the_caller_is_not_changed,
    rotated_secret_and_the_previous_one_are_valid,
    production_without_encryption_key_has_no_endpoints,
    invalid_webhook_rows_are_rejected_by_the_database,
];

pub const CREATE: &str = "mutation($input: WebhookEndpointCreateInput!) { webhookEndpointCreate(input: $input) {
    webhookEndpoint { id url description eventTypes status secret payloadQuery permissions version
        previousSecretExpiresAt failureCount account { id } }
    userErrors { code field message } } }";
pub const UPDATE: &str = "mutation($id: ID!, $input: WebhookEndpointUpdateInput!) {
    webhookEndpointUpdate(id: $id, input: $input) {
        webhookEndpoint { id url eventTypes status statusReason payloadQuery version failureCount }
        userErrors { code field message } } }";
const ROTATE: &str = "mutation($id: ID!, $hours: Int) {
    webhookEndpointSecretRotate(id: $id, input: { previousSecretHours: $hours }) {
        webhookEndpoint { secret previousSecretExpiresAt } userErrors { code field message } } }";

/// Registers an endpoint by the API; returns the payload.
pub async fn create(app: &TestApp, token: &str, input: Value) -> Value {
    let response = app.query_as(token, CREATE, json!({ "input": input })).await;
    response.data_at("/webhookEndpointCreate").clone()
}

/// Returns the paths of the fields with errors.
fn error_fields(payload: &Value) -> Vec<String> {
    let errors = payload["userErrors"].as_array().expect("errors").iter();
    let path = |error: &Value| {
        let path = error["field"].as_array().expect("a path").iter();
        path.map(|name| name.as_str().expect("a name").to_owned()).collect::<Vec<_>>().join(".")
    };
    errors.map(path).collect()
}

async fn registered_endpoint_shows_its_secret_once(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "url": " https://127.0.0.1/hooks ", "description": "ERP",
        "eventTypes": ["stock.changed", "order.placed", "order.placed"] });
    let created = create(&app, &admin, input).await;
    assert_eq!(created["userErrors"], json!([]), "{created}");
    let endpoint = &created["webhookEndpoint"];
    let secret = endpoint["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    assert_eq!(endpoint["url"], "https://127.0.0.1/hooks");
    assert_eq!(endpoint["eventTypes"], json!(["order.placed", "stock.changed"]));
    assert_eq!((&endpoint["status"], &endpoint["version"]), (&json!("ACTIVE"), &json!(1)));
    assert!(endpoint["account"]["id"].is_string());
    let node = "query($id: ID!) { node(id: $id) { ... on WebhookEndpoint { url secret } }
        webhookEndpoints(filter: { status: ACTIVE }) { totalCount nodes { id secret } pageInfo { hasNextPage } }
        webhookEventTypes { name example } }";
    let read = app.query_as(&admin, node, json!({ "id": endpoint["id"] })).await;
    assert_eq!(read.data_at("/node"), &json!({ "url": "https://127.0.0.1/hooks", "secret": null }));
    assert_eq!(read.data_at("/webhookEndpoints/nodes"), &json!([{ "id": endpoint["id"], "secret": null }]));
    assert_eq!(read.data_at("/webhookEndpoints/totalCount"), 1);
    assert_eq!(read.data_at("/webhookEventTypes").as_array().map(Vec::len), Some(16));
    let node = "query($id: ID!) { node(id: $id) { id } }";
    assert_eq!(app.query_with_variables(node, json!({ "id": endpoint["id"] })).await.data_at("/node"), &Value::Null);
    let audit = app.query_as(&admin, "{ auditLog { nodes { action after } } }", json!({})).await;
    let audit = audit.body.to_string();
    assert!(audit.contains("webhook_endpoint.create") && !audit.contains(secret), "{audit}");
}

async fn invalid_endpoint_is_rejected_with_all_errors(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let rejected = create(
        &app,
        &admin,
        json!({ "url": "http://shop.example/hook", "description": "two\nlines",
            "eventTypes": ["order.placed", "order.eaten"], "payloadQuery": "{ nothing }" }),
    )
    .await;
    assert_eq!(
        error_fields(&rejected),
        ["input.payloadQuery", "input.url", "input.description", "input.eventTypes.1"],
        "{rejected}"
    );
    let urls = [
        ("https://user:secret@shop.example/", "user name or a password"),
        ("https://shop.example/#here", "fragment"),
        ("ftp://shop.example/", "https://"),
        ("shop", "not a URL"),
        ("https://no-such-name.invalid/", "cannot be resolved"),
    ];
    for (url, reason) in urls {
        let rejected = create(&app, &admin, json!({ "url": url, "eventTypes": [] })).await;
        assert_eq!(error_fields(&rejected), ["input.url", "input.eventTypes"], "{url}: {rejected}");
        let message = rejected["userErrors"][0]["message"].as_str().expect("a message");
        assert!(message.contains(reason), "{url}: {message}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_endpoint").await, 0);
}

async fn endpoint_at_a_private_address_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let admin = app.login(Role::Admin).await;
    let urls = [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://0x7f000001/",
        "https://[::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://10.1.2.3:8443/hook",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
    ];
    for url in urls {
        let rejected = create(&app, &admin, json!({ "url": url, "eventTypes": ["order.placed"] })).await;
        assert_eq!(error_fields(&rejected), ["input.url"], "{url}: {rejected}");
        let message = rejected["userErrors"][0]["message"].as_str().expect("a message");
        assert!(message.contains("is not a public address"), "{url}: {message}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_endpoint").await, 0);
}

async fn endpoints_are_limited_in_number(backend: Backend) {
    let settings = [ALLOW_PRIVATE_ADDRESSES, ("SAVANNAH_WEBHOOKS__MAX_ENDPOINTS", "2")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "url": "https://127.0.0.1/", "eventTypes": ["order.placed"] });
    for _ in 0..2 {
        assert_eq!(create(&app, &admin, input.clone()).await["userErrors"], json!([]));
    }
    let rejected = create(&app, &admin, input.clone()).await;
    assert_eq!(rejected["userErrors"][0]["code"], "ILLEGAL_TRANSITION", "{rejected}");
    let list =
        app.query_as(&admin, "{ webhookEndpoints(first: 1) { nodes { id } pageInfo { hasNextPage } } }", json!({}));
    let list = list.await;
    assert_eq!(list.data_at("/webhookEndpoints/pageInfo/hasNextPage"), true);
    let delete = "mutation($id: ID!) { webhookEndpointDelete(id: $id) { deletedId userErrors { code } } }";
    let id = list.data_at("/webhookEndpoints/nodes/0/id");
    let deleted = app.query_as(&admin, delete, json!({ "id": id })).await;
    assert_eq!(deleted.data_at("/webhookEndpointDelete/deletedId"), id);
    let missing = app.query_as(&admin, delete, json!({ "id": id })).await;
    assert_eq!(missing.data_at("/webhookEndpointDelete/userErrors/0/code"), "NOT_FOUND");
    assert_eq!(create(&app, &admin, input).await["userErrors"], json!([]));
}

async fn webhooks_need_their_permission(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    let (staff, customer) = (app.login(Role::Staff).await, app.login(Role::Customer).await);
    let input = json!({ "input": { "url": "https://127.0.0.1/", "eventTypes": ["order.placed"] } });
    for query in ["{ webhookEndpoints { totalCount } }", "{ webhookDeliveries { totalCount } }"] {
        assert_eq!(app.query(query).await.error_code(), "UNAUTHENTICATED");
        assert_eq!(app.query_as(&customer, query, json!({})).await.error_code(), "FORBIDDEN");
    }
    assert_eq!(app.query_as(&staff, CREATE, input).await.error_code(), "FORBIDDEN");
}

async fn endpoint_changes_are_versioned_and_audited(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    let admin = app.login(Role::Admin).await;
    let created = create(&app, &admin, json!({ "url": "https://127.0.0.1/", "eventTypes": ["order.placed"] })).await;
    let id = &created["webhookEndpoint"]["id"];
    let update = async |input: Value| {
        let response = app.query_as(&admin, UPDATE, json!({ "id": id, "input": input })).await;
        response.data_at("/webhookEndpointUpdate").clone()
    };
    let query = "query($id: ID!) { product(id: $id) { name } }";
    let changed = update(json!({ "eventTypes": ["product.updated"], "payloadQuery": query, "expectedVersion": 1,
        "isActive": false }))
    .await;
    let endpoint = &changed["webhookEndpoint"];
    assert_eq!((&endpoint["eventTypes"], &endpoint["status"]), (&json!(["product.updated"]), &json!("INACTIVE")));
    assert_eq!((&endpoint["payloadQuery"], &endpoint["version"]), (&json!(query), &json!(2)));
    let outdated = update(json!({ "url": "https://127.0.0.1/new", "expectedVersion": 1 })).await;
    assert_eq!(outdated["userErrors"][0]["code"], "VERSION_CONFLICT", "{outdated}");
    let cleared = update(json!({ "payloadQuery": null, "isActive": true })).await;
    assert_eq!(
        (&cleared["webhookEndpoint"]["payloadQuery"], &cleared["webhookEndpoint"]["status"]),
        (&Value::Null, &json!("ACTIVE"))
    );
    let invalid = update(
        json!({ "url": "gopher://x", "eventTypes": ["x"], "payloadQuery": "mutation { cartCreate { cart { id } } }" }),
    )
    .await;
    assert_eq!(error_fields(&invalid), ["input.payloadQuery", "input.url", "input.eventTypes.0"]);
    let audit = app.query_as(&admin, "{ auditLog { nodes { action before after } } }", json!({})).await;
    let entries = audit.data_at("/auditLog/nodes").as_array().expect("entries");
    let updates: Vec<_> = entries.iter().filter(|entry| entry["action"] == "webhook_endpoint.update").collect();
    assert_eq!(updates.len(), 2, "{audit:?}");
    assert_eq!(updates[1]["before"]["eventTypes"], json!(["order.placed"]));
    app.run_pending_jobs().await;
}

async fn endpoint_with_more_permissions_than_the_caller_is_not_changed(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    let admin = app.login(Role::Admin).await;
    let key = "mutation { apiKeyCreate(input: { name: \"hooks\", permissions: [WEBHOOK_WRITE] }) { apiKey { key } userErrors { code } } }";
    let key = app
        .query_as(&admin, key, json!({}))
        .await
        .data_at("/apiKeyCreate/apiKey/key")
        .as_str()
        .expect("a key")
        .to_owned();
    let input = json!({ "url": "https://127.0.0.1/", "eventTypes": ["order.placed"], "permissions": ["ORDER_READ"] });
    assert_eq!(error_fields(&create(&app, &key, input.clone()).await), ["input.permissions"]);
    let created = create(&app, &admin, input).await;
    let id = &created["webhookEndpoint"]["id"];
    let mutations = [
        "mutation($id: ID!) { webhookEndpointUpdate(id: $id, input: { url: \"https://127.0.0.1/x\" }) { userErrors { code field } } }",
        "mutation($id: ID!) { webhookEndpointDelete(id: $id) { userErrors { code field } } }",
        "mutation($id: ID!) { webhookEndpointSecretRotate(id: $id) { userErrors { code field } } }",
    ];
    for mutation in mutations {
        assert_eq!(app.query_as(&key, mutation, json!({ "id": id })).await.error_code(), "FORBIDDEN", "{mutation}");
    }
    assert_eq!(app.query_scalar("SELECT max(version) FROM webhook_endpoint").await, 1);
}

async fn rotated_secret_and_the_previous_one_are_valid(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let created = create(&app, &admin, json!({ "url": receiver.url, "eventTypes": ["customer.updated"] })).await;
    let endpoint = &created["webhookEndpoint"];
    let old_secret = endpoint["secret"].as_str().expect("a secret").to_owned();
    let rotated = app.query_as(&admin, ROTATE, json!({ "id": endpoint["id"], "hours": 2 })).await;
    let new_secret = rotated.data_at("/webhookEndpointSecretRotate/webhookEndpoint/secret").as_str().expect("a secret");
    assert_ne!(new_secret, old_secret);
    let verify = async |expected: (bool, bool)| {
        app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
        app.drain_jobs().await;
        let received = receiver.take_received();
        assert_eq!(received.len(), 1);
        let verified = (verify_signature(&received[0], &old_secret), verify_signature(&received[0], new_secret));
        assert_eq!(verified, expected, "{received:?}");
    };
    verify((true, true)).await;
    app.clock.set(app.db.now() + TimeDelta::hours(2));
    verify((false, true)).await;
    let admin = app.login(Role::Admin).await;
    for hours in [-1, 721] {
        let rejected = app.query_as(&admin, ROTATE, json!({ "id": endpoint["id"], "hours": hours })).await;
        assert_eq!(error_fields(rejected.data_at("/webhookEndpointSecretRotate")), ["input.previousSecretHours"]);
    }
    let ended = app.query_as(&admin, ROTATE, json!({ "id": endpoint["id"], "hours": 0 })).await;
    assert_eq!(ended.data_at("/webhookEndpointSecretRotate/webhookEndpoint/previousSecretExpiresAt"), &Value::Null);
}

async fn production_without_encryption_key_has_no_endpoints(backend: Backend) {
    let production = [ALLOW_PRIVATE_ADDRESSES, ("SAVANNAH_SHOP__MODE", "production")];
    let app = TestApp::start_with_settings(backend, &production).await;
    let admin = app.login(Role::Admin).await;
    let input = json!({ "url": "https://127.0.0.1/", "eventTypes": ["order.placed"] });
    let rejected = create(&app, &admin, input.clone()).await;
    let message = rejected["userErrors"][0]["message"].as_str().expect("a message");
    assert!(message.contains("webhooks.encryption_key"), "{message}");
    let key = ("SAVANNAH_WEBHOOKS__ENCRYPTION_KEY", "PDgzXIuk0Lx2dGtI5sv7Y9sNw3Q8bTzE");
    let configured = app.start_second_instance(&[production[0], production[1], key]).await;
    assert_eq!(create(&configured, &admin, input).await["userErrors"], json!([]));
}

async fn invalid_webhook_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[ALLOW_PRIVATE_ADDRESSES]).await;
    app.register_endpoint("https://127.0.0.1/", &["customer.updated"]).await;
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    app.execute_sql("UPDATE webhook_endpoint SET status = 'inactive'").await.expect("an inactive endpoint");
    app.execute_sql("UPDATE webhook_endpoint SET status = 'active'").await.expect("an active endpoint");
    app.execute_sql("UPDATE webhook_endpoint SET status = 'paused', status_reason = 'failing'")
        .await
        .expect("a paused one");
    app.drain_jobs().await;
    let rejected = [
        "UPDATE webhook_endpoint SET status_reason = NULL",
        "UPDATE webhook_endpoint SET failure_count = 1",
        "UPDATE webhook_endpoint SET status = 'asleep'",
        "UPDATE webhook_endpoint SET previous_secret_expires_at = created_at",
        "UPDATE webhook_delivery SET status = 'delivered', next_attempt_at = NULL",
        "UPDATE webhook_delivery SET status = 'failed', next_attempt_at = NULL",
        "UPDATE webhook_delivery SET next_attempt_at = NULL",
        "INSERT INTO webhook_delivery (endpoint_id, event_id, event_type, aggregate, status, attempts, failures, \
            next_attempt_at, requested_at, created_at, updated_at) SELECT endpoint_id, event_id, event_type, aggregate, \
            status, attempts, failures, next_attempt_at, requested_at, created_at, updated_at FROM webhook_delivery",
        "UPDATE webhook_event SET sequence = NULL",
        "INSERT INTO webhook_attempt (delivery_id, attempt, requested_at, duration_ms) \
            SELECT id, 1, created_at, 1 FROM webhook_delivery",
        "DELETE FROM webhook_event",
    ];
    for sql in rejected {
        assert!(app.execute_sql(sql).await.is_err(), "{sql}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery WHERE status = 'pending'").await, 1);
}
