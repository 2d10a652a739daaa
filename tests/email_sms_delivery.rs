//! Delivery of emails and SMS to a real SMTP server and an SMS gateway.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use savannah::{
    base::LanguageCode,
    identity::Role,
    notification::{
        self, LineTemplateData, NewNotification, NotificationEventType, NotificationRecipient, OrderTemplateData,
        send::MAX_SEND_ATTEMPTS,
    },
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{Backend, FakeSmsService, FakeSmtpServer, GraphqlResponse, SmsServiceMode, TestApp},
};

integration_tests![
    sms_is_sent_in_the_format_of_the_gateway,
    sms_to_a_failing_gateway_is_retried_or_failed;
    needs(has_smtp_server): email_is_delivered_over_smtp, email_to_a_failing_smtp_server_is_retried_or_failed, email_without_required_tls_or_login_is_not_sent,
];

/// Returns whether an SMTP server is available.
pub fn has_smtp_server() -> bool {
    crate::browser::has_node_module("smtp-server") && crate::browser::has_node_module("postal-mime")
}

pub fn order_template_data() -> OrderTemplateData {
    let line = |name: &str, variant: &str, quantity: i64, total: &str| LineTemplateData {
        name: name.into(),
        variant: variant.into(),
        quantity,
        total: total.into(),
    };
    OrderTemplateData {
        number: "K7M2-9QXA".into(),
        name: "Wanjiku".into(),
        lines: vec![line("<b>x</b>", "Red", 2, "KES 2,500.00"), line("Chai ya tangawizi", "", 1, "KES 350.50")],
        subtotal: "KES 2,850.50".into(),
        shipping: "KES 300.00".into(),
        total: "KES 3,150.50".into(),
        address: vec!["Wanjiku Kamau".into(), "Moi Avenue 1".into(), "Nairobi".into()],
        ..OrderTemplateData::default()
    }
}

pub fn guest_recipient() -> NotificationRecipient {
    NotificationRecipient {
        account_id: None,
        email: Some("wanjiku@example.com".into()),
        phone: Some("+254712345678".into()),
        language: Some(LanguageCode::Swahili),
    }
}

/// Enqueues an order notification as an event handler would.
pub async fn enqueue_notification(
    app: &TestApp,
    event: i64,
    event_type: NotificationEventType,
    to: NotificationRecipient,
) {
    let order_7 = "INSERT INTO orders (id, number, guest_access_token, email, customer_name_normalized, language, \
        status, payment_status, \
        fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, total, version, \
        placed_at, created_at, \
        updated_at) SELECT 7, 'K7M2-9QXA', 'an-unguessable-token-of-an-order', 'wanjiku@example.com', '', 'sw', 'pending', \
        'pending', 'unfulfilled', 'KES', 285050, 0, 30000, 0, 0, 315050, 1, created_at, created_at, created_at FROM shop \
        WHERE NOT EXISTS (SELECT 1 FROM orders WHERE id = 7)";
    app.execute_sql(order_7).await.expect("an order");
    let new_notification =
        NewNotification { event_id: event, event_type, recipient: to, order: Some((7, order_template_data())) };
    let outcome = app.db.write(async |tx| notification::enqueue_notification(tx, new_notification).await).await;
    outcome.unwrap_or_else(|reason| panic!("no notification: {}", reason.log_message()));
}

/// Returns all messages as staff see them.
pub async fn query_messages(app: &TestApp, filter: &str) -> Vec<Value> {
    let staff = app.login(Role::Admin).await;
    let query = format!(
        "{{ notifications(first: 100{filter}) {{ nodes {{ id event channel recipient status failureReason attempts subject providerId
            language sentAt }} }} }}"
    );
    let response: GraphqlResponse = app.query_as(&staff, &query, json!({})).await;
    response.data_at("/notifications/nodes").as_array().expect("notifications").clone()
}

/// Runs jobs and advances the clock until no job is left.
pub async fn drain_jobs_until_final(app: &TestApp) {
    for _ in 0..=MAX_SEND_ATTEMPTS {
        app.drain_jobs().await;
        app.clock.set(app.clock.now() + TimeDelta::hours(2));
    }
}

async fn email_is_delivered_over_smtp(backend: Backend) {
    let smtp_server = FakeSmtpServer::start().await;
    let shop_settings = [
        ("SAVANNAH_SHOP__NAME", "Duka & Co"),
        ("SAVANNAH_EMAIL__FROM", "Duka & Co <duka@shop.example>"),
        ("SAVANNAH_EMAIL__REPLY_TO", "help@shop.example"),
        ("SAVANNAH_NOTIFICATION__ORDER_URL", "https://shop.example/orders/{number}?token={token}"),
    ];
    let app = TestApp::start_with_settings(backend, &[&smtp_server.settings()[..], &shop_settings].concat()).await;
    enqueue_notification(
        &app,
        1,
        NotificationEventType::OrderPlaced,
        NotificationRecipient { phone: None, ..guest_recipient() },
    )
    .await;
    // A repeated event creates no second notification.
    enqueue_notification(
        &app,
        1,
        NotificationEventType::OrderPlaced,
        NotificationRecipient { phone: None, ..guest_recipient() },
    )
    .await;
    app.drain_jobs().await;
    app.drain_jobs().await;
    let emails = smtp_server.received_emails().await;
    assert_eq!(emails.len(), 1);
    let email = &emails[0];
    assert_eq!(email["recipients"], json!(["wanjiku@example.com"]));
    assert_eq!((&email["to"][0]["address"], &email["user"]), (&json!("wanjiku@example.com"), &json!("shop")));
    assert_eq!((&email["from"]["name"], &email["from"]["address"]), (&json!("Duka & Co"), &json!("duka@shop.example")));
    assert_eq!(email["replyTo"][0]["address"], "help@shop.example");
    assert_eq!(email["subject"], "Tumepokea oda yako K7M2-9QXA");
    assert_eq!(email["date"], "2026-11-01T09:00:00.000Z");
    let (text, html) = (email["text"].as_str().expect("a text"), email["html"].as_str().expect("a page"));
    for expected in ["2 x <b>x</b> (Red): KES 2,500.00", "Jumla: KES 3,150.50", "Habari Wanjiku", "Moi Avenue 1"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(text.contains("https://shop.example/orders/K7M2-9QXA?token=an-unguessable-token"), "{text}");
    assert!(html.contains("&lt;b&gt;x&lt;") && !html.contains("<b>x</b>"), "{html}");
    assert!(html.contains("KES 3,150.50") && html.contains("lang=\"sw\"") && html.contains("Duka &amp; Co"), "{html}");
    assert!(!html.contains("<img") && !html.contains("src="), "{html}");

    let message_list = query_messages(&app, "").await;
    assert_eq!(message_list.len(), 1);
    assert_eq!(
        (&message_list[0]["status"], &message_list[0]["event"], &message_list[0]["attempts"]),
        (&json!("SENT"), &json!("ORDER_PLACED"), &json!(1))
    );
    assert_eq!(message_list[0]["providerId"], email["messageId"]);
    assert_eq!((&message_list[0]["subject"], &message_list[0]["language"]), (&email["subject"], &json!("sw")));

    // Resending creates another email with the same content.
    let staff = app.login(Role::Staff).await;
    let resend_mutation = "mutation($id: ID!) { notificationResend(id: $id) { notification { status attempts } userErrors { code field } } }";
    let id = json!({ "id": message_list[0]["id"] });
    let sent = app.query_as(&staff, resend_mutation, id.clone()).await;
    assert_eq!(sent.data_at("/notificationResend/notification"), &json!({ "status": "QUEUED", "attempts": 0 }));
    let repeated = app.query_as(&staff, resend_mutation, id).await;
    assert_eq!(repeated.user_errors("notificationResend"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
    app.drain_jobs().await;
    let emails = smtp_server.received_emails().await;
    assert_eq!((emails.len(), &emails[1]["text"]), (2, &email["text"]));
    assert_ne!(emails[1]["messageId"], email["messageId"]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE action = 'notification.resend'").await, 1);
}

async fn email_to_a_failing_smtp_server_is_retried_or_failed(backend: Backend) {
    let smtp_server = FakeSmtpServer::start().await;
    let app = TestApp::start_with_settings(backend, &smtp_server.settings()).await;
    let recipient = || NotificationRecipient { phone: None, ..guest_recipient() };
    // Permanent rejection.
    smtp_server.set_mode("refuse").await;
    enqueue_notification(&app, 1, NotificationEventType::OrderPlaced, recipient()).await;
    app.drain_jobs().await;
    let message_list = query_messages(&app, ", filter: { status: FAILED }").await;
    assert_eq!((message_list.len(), &message_list[0]["attempts"]), (1, &json!(1)));
    assert!(
        message_list[0]["failureReason"]
            .as_str()
            .is_some_and(|reason| reason.contains("550") || reason.contains("no mailbox")),
        "{message_list:?}"
    );
    // Transient failure; also a server that accepts the email without a response.
    for (event, mode) in [(2, "busy"), (3, "hang")] {
        smtp_server.set_mode(mode).await;
        enqueue_notification(&app, event, NotificationEventType::OrderPlaced, recipient()).await;
        app.drain_jobs().await;
        let message_list = query_messages(&app, ", filter: { status: QUEUED }").await;
        assert_eq!(message_list.len(), 1, "{mode}");
        assert!(
            message_list[0]["failureReason"].is_string() && message_list[0]["attempts"] == 1,
            "{mode} {message_list:?}"
        );
        smtp_server.set_mode("take").await;
        app.clock.set(app.clock.now() + TimeDelta::hours(1));
        app.drain_jobs().await;
        assert_eq!(
            query_messages(&app, ", filter: { status: SENT }").await.len(),
            usize::try_from(event - 1).expect("a count")
        );
    }
    let ids: BTreeSet<_> =
        smtp_server.received_emails().await.iter().map(|recipient| recipient["messageId"].to_string()).collect();
    assert_eq!(ids.len(), 2);

    // An unreachable server, and one that speaks another protocol.
    let nonsense = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = nonsense.local_addr().expect("an address").port().to_string();
    let server_task = tokio::spawn(async move {
        while let Ok((mut guest, _)) = nonsense.accept().await {
            use tokio::io::AsyncWriteExt;
            // The result of the write does not matter.
            let _ = guest.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>\r\n").await;
        }
    });
    for port in [port.as_str(), "1"] {
        let settings = [("SAVANNAH_EMAIL__PORT", port)];
        let app = TestApp::start_with_settings(backend, &[&smtp_server.settings()[..], &settings].concat()).await;
        enqueue_notification(&app, 1, NotificationEventType::OrderPlaced, recipient()).await;
        drain_jobs_until_final(&app).await;
        let message_list = query_messages(&app, "").await;
        assert_eq!(
            (&message_list[0]["status"], &message_list[0]["attempts"]),
            (&json!("FAILED"), &json!(MAX_SEND_ATTEMPTS)),
            "{message_list:?}"
        );
        assert!(
            message_list[0]["failureReason"].as_str().is_some_and(|reason| reason.starts_with("tried 8 times")),
            "{message_list:?}"
        );
    }
    server_task.abort();
}

async fn email_without_required_tls_or_login_is_not_sent(backend: Backend) {
    let smtp_server = FakeSmtpServer::start().await;
    for (name, value) in [("SAVANNAH_EMAIL__TLS", "starttls"), ("SAVANNAH_EMAIL__PASSWORD", "wrong")] {
        let mut settings = smtp_server.settings().to_vec();
        settings.push((name, value));
        let app = TestApp::start_with_settings(backend, &settings).await;
        enqueue_notification(
            &app,
            1,
            NotificationEventType::OrderPlaced,
            NotificationRecipient { phone: None, ..guest_recipient() },
        )
        .await;
        app.drain_jobs().await;
        let message_list = query_messages(&app, "").await;
        // Invalid settings can be corrected: the message stays queued.
        assert_eq!(message_list[0]["status"], "QUEUED", "{name} {message_list:?}");
        let reason = message_list[0]["failureReason"].as_str().expect("a reason");
        assert!(!reason.contains("wrong") && !reason.contains("sesame"), "{reason}");
    }
    assert_eq!(smtp_server.received_emails().await.len(), 0);
}

async fn sms_is_sent_in_the_format_of_the_gateway(backend: Backend) {
    let sms_service = FakeSmsService::start().await;
    let app = TestApp::start_with_settings(backend, &sms_service.settings()).await;
    enqueue_notification(
        &app,
        1,
        NotificationEventType::OrderShipped,
        NotificationRecipient { email: None, ..guest_recipient() },
    )
    .await;
    // These events are not sent by SMS unless the customer enables them.
    enqueue_notification(
        &app,
        2,
        NotificationEventType::OrderConfirmed,
        NotificationRecipient { email: None, ..guest_recipient() },
    )
    .await;
    app.drain_jobs().await;
    let sms_messages = sms_service.received_messages();
    assert_eq!(sms_messages.len(), 1);
    let field = |name: &str| sms_messages[0].get(name).map(String::as_str);
    assert_eq!(
        (field("username"), field("to"), field("from")),
        (Some("duka"), Some("+254712345678"), Some("SAVANNAH"))
    );
    assert_eq!((field("message"), field("enqueue")), (Some("Savannah: oda yako K7M2-9QXA iko njiani."), Some("1")));
    let message_list = query_messages(&app, "").await;
    assert_eq!(
        (message_list.len(), &message_list[0]["status"], &message_list[0]["providerId"]),
        (1, &json!("SENT"), &json!("ATXid_1"))
    );
    assert_eq!(message_list[0]["channel"], "SMS");
}

async fn sms_to_a_failing_gateway_is_retried_or_failed(backend: Backend) {
    let sms_service = FakeSmsService::start().await;
    let app = TestApp::start_with_settings(backend, &sms_service.settings()).await;
    let recipient = || NotificationRecipient { email: None, ..guest_recipient() };
    sms_service.set_mode(SmsServiceMode::RejectsNumber);
    enqueue_notification(&app, 1, NotificationEventType::OrderPlaced, recipient()).await;
    app.drain_jobs().await;
    let message_list = query_messages(&app, "").await;
    assert_eq!(
        (&message_list[0]["status"], &message_list[0]["failureReason"]),
        (&json!("FAILED"), &json!("the service returned 403 InvalidPhoneNumber"))
    );
    for (event, mode) in [
        (2, SmsServiceMode::Hangs),
        (3, SmsServiceMode::Fails),
        (4, SmsServiceMode::ReturnsInvalidBody),
        (5, SmsServiceMode::InsufficientBalance),
    ] {
        sms_service.set_mode(mode);
        enqueue_notification(&app, event, NotificationEventType::OrderPlaced, recipient()).await;
        app.drain_jobs().await;
        let message_list = query_messages(&app, ", filter: { status: QUEUED }").await;
        assert!(message_list.len() == 1 && message_list[0]["failureReason"].is_string(), "{mode:?} {message_list:?}");
        assert!(!message_list[0]["failureReason"].to_string().contains("atsk_secret"), "{message_list:?}");
        sms_service.set_mode(SmsServiceMode::Accepts);
        app.clock.set(app.clock.now() + TimeDelta::hours(1));
        app.drain_jobs().await;
        assert_eq!(sms_service.received_messages().len(), usize::try_from(event - 1).expect("a count"), "{mode:?}");
    }
    sms_service.set_mode(SmsServiceMode::Fails);
    enqueue_notification(&app, 6, NotificationEventType::OrderPlaced, recipient()).await;
    drain_jobs_until_final(&app).await;
    let message_list = query_messages(&app, ", filter: { status: FAILED, recipient: \"+254712345678\" }").await;
    assert_eq!((message_list.len(), &message_list[0]["attempts"]), (2, &json!(MAX_SEND_ATTEMPTS)));
    // A rejected API key can be corrected; the message stays queued.
    let app = TestApp::start_with_settings(
        backend,
        &[&sms_service.settings()[..], &[("SAVANNAH_SMS__API_KEY", "atsk_other")]].concat(),
    )
    .await;
    enqueue_notification(&app, 1, NotificationEventType::OrderPlaced, recipient()).await;
    app.drain_jobs().await;
    let message_list = query_messages(&app, "").await;
    assert!(
        message_list[0]["status"] == "QUEUED" && message_list[0]["failureReason"].to_string().contains("401"),
        "{message_list:?}"
    );
}
