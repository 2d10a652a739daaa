//! Payloads of webhooks: documented examples, queries of endpoints, previews.

use savannah::{
    identity::{Role, events::CustomerUpdated},
    webhook::{WebhookEventType, payload_example::example_body},
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, WebhookReceiver, verify_signature},
    webhook_deliveries::{list_deliveries, start_app},
    webhook_endpoints::create,
};

integration_tests![
    documented_examples_are_those_of_the_code,
    payload_query_makes_the_data_with_the_permissions_of_the_endpoint,
    payload_query_is_limited_by_the_role_of_the_account,
    invalid_payload_query_is_rejected,
    payload_above_the_maximum_size_fails,
    preview_is_signed_and_not_sent,
];

const DOCUMENTATION: &str = include_str!("../docs/WEBHOOKS.md");
const PREVIEW: &str = "mutation($id: ID!, $input: WebhookEndpointPreviewInput!) {
    webhookEndpointPreview(id: $id, input: $input) { preview { body bodyBytes headers { name value } }
        userErrors { code field message } } }";

async fn documented_examples_are_those_of_the_code(_: Backend) {
    for event_type in WebhookEventType::SUBSCRIBABLE.into_iter().chain([WebhookEventType::Test]) {
        let name = event_type.name();
        let section = DOCUMENTATION.split(&format!("\n### `{name}`\n")).nth(1).unwrap_or_else(|| panic!("{name}"));
        let block = section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let documented: Value = serde_json::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}"));
        let example: Value = serde_json::from_str(&example_body(event_type).expect("an example")).expect("JSON");
        assert_eq!(documented, example, "{name}: {example:#}");
    }
}

async fn payload_query_makes_the_data_with_the_permissions_of_the_endpoint(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    app.login(Role::Customer).await;
    let customer_id = app.query_scalar("SELECT max(id) FROM account").await;
    let query = "query Hook($id: ID!, $ids: [ID!]!, $eventType: String!) { customer(id: $id) { email }
        nodes(ids: $ids) { __typename } product(slug: $eventType) { id } }";
    let input = |path: &str, permissions: Value| {
        json!({ "url": format!("{}{path}", receiver.url), "eventTypes": ["customer.updated"], "payloadQuery": query,
            "permissions": permissions })
    };
    for (path, permissions) in [("/permitted", json!(["CUSTOMER_READ"])), ("/anonymous", json!([]))] {
        assert_eq!(create(&app, &admin, input(path, permissions)).await["userErrors"], json!([]));
    }
    app.emit_events(&[CustomerUpdated { customer: customer_id }]).await;
    app.drain_jobs().await;
    let received = receiver.take_received();
    let permitted = received.iter().find(|webhook| webhook.path == "/permitted").expect("a request").json();
    assert_eq!(permitted["data"]["customer"]["email"].as_str().map(|email| email.starts_with("customer")), Some(true));
    assert_eq!(permitted["data"]["nodes"], json!([{ "__typename": "Customer" }]));
    assert_eq!(permitted["type"], "customer.updated");
    // Without the permission the query fails, and nothing is sent.
    assert_eq!(received.len(), 1, "{received:?}");
    let deliveries = list_deliveries(&app, &admin, json!({ "status": "PENDING" })).await;
    let error = deliveries[0]["error"].as_str().expect("an error");
    assert!(error.starts_with("the payload query failed: ") && error.contains("Authentication"), "{error}");
}

async fn payload_query_is_limited_by_the_role_of_the_account(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let query = "query($id: ID!) { customer(id: $id) { email } }";
    let input = json!({ "url": receiver.url, "eventTypes": ["customer.updated"], "payloadQuery": query,
        "permissions": ["CUSTOMER_READ"] });
    create(&app, &admin, input).await;
    let account = app.query_scalar("SELECT max(id) FROM account").await;
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("a disabled account");
    app.emit_events(&[CustomerUpdated { customer: account }]).await;
    app.drain_jobs().await;
    assert!(receiver.received().is_empty());
    app.execute_sql("UPDATE account SET disabled_at = NULL").await.expect("an active account");
    app.run_jobs_after(chrono::TimeDelta::minutes(5)).await;
    assert_eq!(receiver.received().len(), 1);
    app.run_pending_jobs().await;
}

async fn invalid_payload_query_is_rejected(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let queries = [
        ("query {", "Syntax error"),
        ("{ nothing }", "nothing"),
        ("mutation { cartCreate { cart { id } } }", "must be a query"),
        ("query A { shop { name } } query B { shop { name } }", "exactly one operation"),
        ("query($number: String!) { order(number: $number) { id } }", "$number is not known"),
        ("query($id: Int!) { products(first: $id) { nodes { id } } }", "$id is not known"),
        ("{ products(first: 100) { nodes { variants(first: 100) { id sku price name } } } }", "worst-case cost"),
    ];
    for (query, reason) in queries {
        let input = json!({ "url": "https://127.0.0.1/", "eventTypes": ["order.placed"], "payloadQuery": query });
        let rejected = create(&app, &admin, input).await;
        assert_eq!(rejected["userErrors"][0]["field"], json!(["input", "payloadQuery"]), "{query}: {rejected}");
        let message = rejected["userErrors"][0]["message"].as_str().expect("a message");
        assert!(message.contains(reason), "{query}: {message}");
    }
}

async fn payload_above_the_maximum_size_fails(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let alias = |index: i32| format!(" name_of_the_shop_with_a_long_alias_{index}: name");
    let fields = (0..400).map(alias).collect::<Vec<_>>().concat();
    let input = json!({ "url": receiver.url, "eventTypes": ["customer.updated"],
        "payloadQuery": format!("{{ shop {{{fields} }} }}") });
    let created = create(&app, &admin, input).await;
    assert_eq!(created["userErrors"], json!([]), "{created}");
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    app.drain_jobs().await;
    assert!(receiver.received().is_empty());
    let error = list_deliveries(&app, &admin, json!({})).await[0]["error"].clone();
    assert!(error.as_str().is_some_and(|error| error.contains("the limit is 20000")), "{error}");
    let variables = json!({ "id": created["webhookEndpoint"]["id"],
        "input": { "eventType": "customer.updated", "subjectId": "x" } });
    let preview = app.query_as(&admin, PREVIEW, variables).await;
    let message = preview.data_at("/webhookEndpointPreview/userErrors/0/message").as_str().expect("a message");
    assert!(message.contains("the limit is 20000"), "{message}");
}

async fn preview_is_signed_and_not_sent(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let preview = async |endpoint: &Value, input: Value| {
        let response = app.query_as(&admin, PREVIEW, json!({ "id": endpoint["id"], "input": input })).await;
        response.data_at("/webhookEndpointPreview").clone()
    };
    let input = json!({ "url": receiver.url, "eventTypes": ["order.placed"] });
    let endpoint = create(&app, &admin, input).await["webhookEndpoint"].clone();
    let made = preview(&endpoint, json!({ "eventType": "order.placed" })).await;
    let body = made["preview"]["body"].as_str().expect("a body");
    assert_eq!(body, example_body(WebhookEventType::OrderPlaced).expect("an example"));
    assert_eq!(made["preview"]["bodyBytes"], json!(body.len()));
    let header = |name: &str| {
        let headers = made["preview"]["headers"].as_array().expect("headers").iter();
        let found = headers.into_iter().find(|header| header["name"] == name).expect("a header");
        found["value"].as_str().expect("a value").to_owned()
    };
    let request = crate::support::ReceivedWebhook {
        path: String::new(),
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        trace_parent: None,
        body: body.to_owned(),
        accepted: false,
        received_at: std::time::Instant::now(),
    };
    assert!(verify_signature(&request, endpoint["secret"].as_str().expect("a secret")));
    let query = json!({ "url": receiver.url, "eventTypes": ["order.placed"],
        "payloadQuery": "query($id: ID!) { product(id: $id) { name } }" });
    let endpoint = create(&app, &admin, query).await["webhookEndpoint"].clone();
    let without_object = preview(&endpoint, json!({ "eventType": "order.placed" })).await;
    assert_eq!(without_object["userErrors"][0]["field"], json!(["input", "subjectId"]));
    app.create_product("mug", 100, None).await;
    let product = app.query("{ product(slug: \"mug\") { id name } }").await.data_at("/product").clone();
    let made = preview(&endpoint, json!({ "eventType": "order.placed", "subjectId": product["id"] })).await;
    let body: Value = serde_json::from_str(made["preview"]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(body["data"], json!({ "product": { "name": product["name"] } }));
    let unknown = preview(&endpoint, json!({ "eventType": "order.eaten" })).await;
    assert_eq!(unknown["userErrors"][0]["field"], json!(["input", "eventType"]));
    app.drain_jobs().await;
    assert!(receiver.received().is_empty());
}
