//! Failing endpoints: retries, delays, pauses.

use chrono::TimeDelta;
use savannah::identity::{Role, events::CustomerUpdated};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{ALLOW_PRIVATE_ADDRESSES, Backend, ReceiverResponse, TestApp, WebhookReceiver, verify_signature},
    webhook_deliveries::{list_deliveries, start_app},
    webhook_endpoints::{UPDATE, create},
};

integration_tests![
    failed_delivery_is_retried_with_its_id_and_body_for_three_days,
    retry_after_delays_all_events_of_the_endpoint,
    endpoint_that_answers_410_ends,
    endpoint_that_keeps_failing_is_paused_and_staff_are_notified,
    events_wait_for_a_paused_endpoint_until_the_retry_window_ends,
    event_that_waited_for_an_expired_one_is_sent_after_activation,
    lost_job_of_an_endpoint_is_replaced,
    unreachable_endpoint_is_retried,
];

async fn failed_delivery_is_retried_with_its_id_and_body_for_three_days(backend: Backend) {
    let settings = [ALLOW_PRIVATE_ADDRESSES, ("SAVANNAH_WEBHOOKS__PAUSE_AFTER", "30d")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let receiver = WebhookReceiver::start().await;
    let (_, secret) = app.register_endpoint(&receiver.url, &["customer.updated"]).await;
    receiver.respond_with_status(500);
    app.emit_events(&[CustomerUpdated { customer: 5 }]).await;
    let started_at = app.db.now();
    app.drain_jobs().await;
    for _ in 0..(75 * 2) {
        app.run_jobs_after(TimeDelta::minutes(30)).await;
    }
    let received = receiver.take_received();
    let times: Vec<i64> = received.iter().map(|webhook| webhook.timestamp.parse().expect("a time")).collect();
    assert!(received.len() > 15, "{times:?}");
    assert!(received.iter().all(|webhook| webhook.id == received[0].id && webhook.body == received[0].body));
    assert!(received.iter().all(|webhook| verify_signature(webhook, &secret)));
    assert!(received.windows(2).all(|pair| pair[0].signature != pair[1].signature), "signatures contain the time");
    let last = times.last().copied().unwrap_or_default() - started_at.timestamp();
    assert!(last > TimeDelta::hours(60).num_seconds() && last <= TimeDelta::hours(72).num_seconds(), "{times:?}");
    let admin = app.login(Role::Admin).await;
    let delivery = &list_deliveries(&app, &admin, json!({})).await[0];
    assert_eq!((&delivery["status"], &delivery["nextAttemptAt"]), (&json!("FAILED"), &Value::Null));
    assert_eq!(delivery["attemptCount"], json!(received.len()));
}

async fn retry_after_delays_all_events_of_the_endpoint(backend: Backend) {
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&receiver.url, &["customer.updated"]).await;
    receiver.respond_with(|_| ReceiverResponse::RetryAfter(429, "3600"));
    app.emit_events(&[CustomerUpdated { customer: 1 }]).await;
    app.drain_jobs().await;
    assert_eq!(receiver.take_received().len(), 1);
    receiver.respond_with_status(200);
    app.emit_events(&[CustomerUpdated { customer: 2 }]).await;
    app.run_jobs_after(TimeDelta::minutes(59)).await;
    assert!(receiver.received().is_empty());
    app.run_jobs_after(TimeDelta::minutes(1)).await;
    assert_eq!(receiver.take_received().len(), 2);
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_endpoint WHERE failure_count = 0").await, 1);
    app.run_pending_jobs().await;
}

async fn endpoint_that_answers_410_ends(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let input = json!({ "url": receiver.url, "eventTypes": ["customer.updated"] });
    let id = create(&app, &admin, input).await["webhookEndpoint"]["id"].clone();
    receiver.respond_with_status(500);
    app.emit_events(&[CustomerUpdated { customer: 1 }, CustomerUpdated { customer: 1 }]).await;
    app.run_pending_jobs().await;
    receiver.respond_with_status(410);
    receiver.take_received();
    app.run_jobs_after(TimeDelta::minutes(1)).await;
    app.emit_events(&[CustomerUpdated { customer: 2 }]).await;
    app.run_jobs_after(TimeDelta::hours(1)).await;
    assert_eq!(receiver.take_received().len(), 1);
    let admin = app.login(Role::Admin).await;
    let statuses: Vec<_> =
        list_deliveries(&app, &admin, json!({})).await.iter().map(|row| row["status"].clone()).collect();
    assert_eq!(statuses, ["FAILED", "FAILED"]);
    let node = "query($id: ID!) { node(id: $id) { ... on WebhookEndpoint { status statusReason } } }";
    let ended = app.query_as(&admin, node, json!({ "id": id })).await;
    assert_eq!(
        ended.data_at("/node"),
        &json!({ "status": "ENDED", "statusReason": "the endpoint answered 410 (Gone)" })
    );
    let activated = app.query_as(&admin, UPDATE, json!({ "id": id, "input": { "isActive": true } })).await;
    assert_eq!(activated.data_at("/webhookEndpointUpdate/webhookEndpoint/status"), "ACTIVE");
    receiver.respond_with_status(200);
    app.emit_events(&[CustomerUpdated { customer: 3 }]).await;
    app.run_pending_jobs().await;
    assert_eq!(receiver.take_received().len(), 1);
}

async fn endpoint_that_keeps_failing_is_paused_and_staff_are_notified(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    app.login(Role::Staff).await;
    let receiver = WebhookReceiver::start().await;
    let input = json!({ "url": receiver.url, "description": "ERP <test>", "eventTypes": ["customer.updated"] });
    let id = create(&app, &admin, input).await["webhookEndpoint"]["id"].clone();
    receiver.respond_with_status(500);
    app.emit_events(&[CustomerUpdated { customer: 1001 }]).await;
    app.drain_jobs().await;
    for _ in 0..23 {
        app.run_jobs_after(TimeDelta::hours(1)).await;
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_endpoint WHERE status = 'active'").await, 1);
    for _ in 0..8 {
        app.run_jobs_after(TimeDelta::hours(1)).await;
    }
    let admin = app.login(Role::Admin).await;
    let node = "query($id: ID!) { node(id: $id) { ... on WebhookEndpoint { status statusReason failingSince } } }";
    let paused = app.query_as(&admin, node, json!({ "id": id })).await;
    assert_eq!(paused.data_at("/node/status"), "PAUSED", "{}", paused.body);
    let reason = paused.data_at("/node/statusReason").as_str().expect("a reason");
    assert!(reason.contains("2026-11-01 09:00 UTC") && reason.contains("the endpoint answered 500"), "{reason}");
    let emails: Vec<String> = std::fs::read_dir(app.message_directory.path())
        .expect("a directory")
        .map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("an email"))
        .collect();
    assert_eq!(emails.len(), 1, "staff without the permission get none");
    assert!(emails[0].contains("a webhook endpoint was stopped") && emails[0].contains("To: admin"), "{}", emails[0]);
    let audit = app.query_as(&admin, "{ auditLog { nodes { action } } }", json!({})).await;
    assert!(audit.body.to_string().contains("webhook_endpoint.pause"));
    // Activated again, it gets what it has missed, in order.
    receiver.take_received();
    app.emit_events(&[CustomerUpdated { customer: 1001 }]).await;
    app.run_jobs_after(TimeDelta::hours(1)).await;
    assert!(receiver.received().is_empty());
    receiver.respond_with_status(200);
    let admin = app.login(Role::Admin).await;
    let activated = app.query_as(&admin, UPDATE, json!({ "id": id, "input": { "isActive": true } })).await;
    assert_eq!(activated.data_at("/webhookEndpointUpdate/webhookEndpoint/failureCount"), 0);
    app.run_jobs_after(TimeDelta::hours(6)).await;
    let sequences: Vec<i64> = receiver.take_received().iter().map(|webhook| webhook.sequence().1).collect();
    assert_eq!(sequences, [1, 2]);
    app.run_pending_jobs().await;
}

async fn events_wait_for_a_paused_endpoint_until_the_retry_window_ends(backend: Backend) {
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&receiver.url, &["customer.updated"]).await;
    app.execute_sql("UPDATE webhook_endpoint SET status = 'paused', status_reason = 'failing'").await.expect("a pause");
    app.emit_events(&[CustomerUpdated { customer: 1 }]).await;
    app.drain_jobs().await;
    app.run_jobs_after(TimeDelta::hours(71)).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery WHERE status = 'pending'").await, 1);
    app.run_jobs_after(TimeDelta::hours(2)).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery WHERE status = 'failed'").await, 1);
    assert!(receiver.received().is_empty());
}

async fn event_that_waited_for_an_expired_one_is_sent_after_activation(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let input = json!({ "url": receiver.url, "eventTypes": ["customer.updated"] });
    let id = create(&app, &admin, input).await["webhookEndpoint"]["id"].clone();
    receiver.respond_with_status(500);
    app.emit_events(&[CustomerUpdated { customer: 1 }]).await;
    app.drain_jobs().await;
    app.clock.set(app.db.now() + TimeDelta::hours(2));
    app.emit_events(&[CustomerUpdated { customer: 1 }]).await;
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery WHERE is_blocked").await, 1);
    app.execute_sql("UPDATE webhook_endpoint SET status = 'paused', status_reason = 'failing'").await.expect("a pause");
    app.run_jobs_after(TimeDelta::hours(71)).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery WHERE status = 'failed'").await, 1);
    receiver.take_received();
    receiver.respond_with_status(200);
    let admin = app.login(Role::Admin).await;
    app.query_as(&admin, UPDATE, json!({ "id": id, "input": { "isActive": true } })).await;
    app.run_pending_jobs().await;
    let sequences: Vec<i64> = receiver.take_received().iter().map(|webhook| webhook.sequence().1).collect();
    assert_eq!(sequences, [2]);
}

async fn lost_job_of_an_endpoint_is_replaced(backend: Backend) {
    let app = start_app(backend).await;
    let receiver = WebhookReceiver::start().await;
    app.register_endpoint(&receiver.url, &["customer.updated"]).await;
    receiver.respond_with_status(500);
    app.emit_events(&[CustomerUpdated { customer: 1 }]).await;
    app.drain_jobs().await;
    receiver.take_received();
    receiver.respond_with_status(200);
    app.execute_sql("UPDATE job SET status = 'discarded', run_at = NULL WHERE status = 'pending'")
        .await
        .expect("no job");
    app.run_jobs_after(TimeDelta::minutes(5)).await;
    assert_eq!(receiver.take_received().len(), 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM webhook_delivery WHERE status = 'delivered'").await, 1);
}

async fn unreachable_endpoint_is_retried(backend: Backend) {
    let app = start_app(backend).await;
    let admin = app.login(Role::Admin).await;
    let receiver = WebhookReceiver::start().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let input = json!({ "url": format!("http://{free}/secret-path"), "eventTypes": ["customer.updated"] });
    let id = create(&app, &admin, input).await["webhookEndpoint"]["id"].clone();
    app.emit_events(&[CustomerUpdated { customer: 1 }]).await;
    app.drain_jobs().await;
    let delivery = &list_deliveries(&app, &admin, json!({})).await[0];
    assert_eq!((&delivery["status"], &delivery["responseStatus"]), (&json!("PENDING"), &Value::Null));
    let error = delivery["error"].as_str().expect("an error");
    assert!(!error.is_empty() && !error.contains("secret-path"), "{error}");
    app.query_as(&admin, UPDATE, json!({ "id": id, "input": { "url": receiver.url } })).await;
    app.run_jobs_after(TimeDelta::minutes(1)).await;
    assert_eq!(receiver.take_received().len(), 1);
    app.run_pending_jobs().await;
}
