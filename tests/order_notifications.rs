//! Order notifications over the whole lifecycle: exactly once, with failures in between.

use savannah::order::{OrderPlaced, OrderRefunded, OrderShipped, OrderStatusChanged, Status};
use serde_json::json;

use crate::{
    email_sms_delivery::query_messages,
    integration_tests,
    notification_preferences::read_sent_emails,
    support::{Backend, FakeSmsService, TestApp},
};

integration_tests![order_events_are_notified_exactly_once, order_of_a_customer_is_notified_at_the_account_address,];

/// An order of two lines, one parcel with a part of it, and some money back.
async fn insert_order_rows(app: &TestApp, owner_columns: &str) {
    let all = [
        format!(
            "INSERT INTO orders (id, number, guest_access_token, account_id, email, phone, customer_name_normalized, \
             language, status, \
             payment_status, fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, \
             total, \
             shipping_address, version, placed_at, created_at, updated_at) SELECT 7, 'K7M2-9QXA', \
             'an-unguessable-token-of-an-order', {owner_columns}, '', 'sw', 'pending', 'pending', 'unfulfilled', 'KES', 285050, \
             10000, 30000, 50000, 20000, 325050, '{{\"firstName\": \"Wanjiku\", \"lastName\": \"Kamau\", \
             \"line1\": \"Moi Avenue 1\", \"city\": \"Nairobi\", \"countryCode\": \"KE\"}}', 1, created_at, created_at, \
             created_at FROM shop"
        ),
        "INSERT INTO order_line (id, order_id, position, sku, name, variant_name, quantity, unit_list_price, \
         unit_price, discount, \
         tax_rate_bps, tax, tax_excluded_total, total, track_stock, quantity_fulfilled, quantity_refunded, \
         quantity_canceled, created_at, updated_at) \
         SELECT 70, 7, 0, 'mug-1', '<b>Kikombe</b>', 'Nyekundu', 2, 125000, 120000, 10000, 800, 20000, 20000, 260000, true, \
         0, 0, 0, created_at, created_at FROM shop UNION ALL \
         SELECT 71, 7, 1, 'chai', 'Chai', '', 1, 35050, 35050, 0, 0, 0, 0, 35050, true, 0, 0, 0, created_at, created_at \
         FROM shop"
            .to_owned(),
        "INSERT INTO fulfillment (id, order_id, carrier, tracking_number, tracking_url, created_at, updated_at) \
         SELECT 5, 7, 'Posta', 'RR1KE', 'javascript:alert(1)', created_at, created_at FROM shop"
            .to_owned(),
        "INSERT INTO fulfillment_line (fulfillment_id, order_line_id, quantity) VALUES (5, 70, 1)".to_owned(),
        "INSERT INTO payment (id, order_id, method, provider, status, amount, captured, refunded, created_at, updated_at) \
         SELECT 3, 7, 'cash_on_delivery', 'manual', 'captured', 325050, 325050, 0, created_at, created_at FROM shop"
            .to_owned(),
        "INSERT INTO refund (id, order_id, payment_id, amount, status, created_at, updated_at) \
         SELECT 4, 7, 3, 120000, 'succeeded', created_at, created_at FROM shop"
            .to_owned(),
    ];
    for sql in all {
        app.execute_sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// All notification events of an order.
async fn emit_order_events(app: &TestApp) {
    let step = |from, to| OrderStatusChanged { order: 7, from, to };
    let outcome = app.db.write(async |tx| {
        tx.emit_event(OrderPlaced { order: 7, account: None }).await?;
        tx.emit_event(step(Status::Pending, Status::Confirmed)).await?;
        tx.emit_event(step(Status::Confirmed, Status::Processing)).await?;
        tx.emit_event(OrderShipped { order: 7, fulfillment: 5 }).await?;
        tx.emit_event(step(Status::Processing, Status::Shipped)).await?;
        tx.emit_event(step(Status::Shipped, Status::Delivered)).await?;
        tx.emit_event(step(Status::Pending, Status::Canceled)).await?;
        tx.emit_event(OrderRefunded { order: 7, refund: 4 }).await?;
        tx.emit_event(step(Status::Delivered, Status::Refunded)).await
    });
    outcome.await.unwrap_or_else(|error| panic!("nothing happens: {}", error.log_message()));
    app.drain_jobs().await;
}

async fn order_events_are_notified_exactly_once(backend: Backend) {
    let sms_service = FakeSmsService::start().await;
    let link = ("SAVANNAH_NOTIFICATION__ORDER_URL", "https://s.example/o/{number}?t={token}");
    let app = TestApp::start_with_settings(backend, &[&sms_service.settings()[..], &[link]].concat()).await;
    insert_order_rows(&app, "NULL, 'wanjiku@example.com', '+254712345678'").await;
    emit_order_events(&app).await;
    // Concurrent and late workers send nothing twice.
    tokio::join!(app.drain_jobs(), app.drain_jobs());
    let message_list = query_messages(&app, "").await;
    let mut reported: Vec<_> =
        message_list.iter().map(|entry| format!("{} {}", entry["event"], entry["channel"]).replace('"', "")).collect();
    reported.sort();
    let expected = [
        "ORDER_CANCELED EMAIL",
        "ORDER_CONFIRMED EMAIL",
        "ORDER_DELIVERED EMAIL",
        "ORDER_DELIVERED SMS",
        "ORDER_PLACED EMAIL",
        "ORDER_PLACED SMS",
        "ORDER_REFUNDED EMAIL",
        "ORDER_SHIPPED EMAIL",
        "ORDER_SHIPPED SMS",
    ];
    assert_eq!(reported, expected);
    assert!(message_list.iter().all(|entry| entry["status"] == "SENT" && entry["attempts"] == 1), "{message_list:?}");

    let mut texts: Vec<_> =
        sms_service.received_messages().into_iter().map(|fields| fields["message"].clone()).collect();
    texts.sort();
    let order_url = "https://s.example/o/K7M2-9QXA?t=an-unguessable-token-of-an-order";
    let placed = format!("Savannah: tumepokea oda yako K7M2-9QXA, KES 3,250.50. Asante! {order_url}");
    assert_eq!(texts.iter().filter(|message| **message == placed).count(), 1, "{texts:?}");
    assert!(texts.iter().all(|message| savannah::infra::sms::count_segments(message) == 1), "{texts:?}");
    assert!(
        texts.iter().any(|message| message.contains("sehemu ya oda yako") && message.contains("RR1KE")),
        "{texts:?}"
    );

    let all = read_sent_emails(&app);
    assert_eq!(all.len(), 6);
    let find_email = |expected_text: &str| {
        all.iter().find(|entry| entry.contains(expected_text)).unwrap_or_else(|| panic!("none says {expected_text}"))
    };
    let first = find_email("Asante kwa oda yako");
    for expected_text in [
        "2 x <b>Kikombe</b> (Nyekundu): KES 2,500.00",
        "1 x Chai: KES 350.50",
        "Jumla ya bidhaa: KES 2,850.50",
        "Punguzo: -KES 100.00",
        "Usafirishaji: KES 300.00",
        "Kodi: KES 200.00",
        "Jumla: KES 3,250.50",
        "Kodi iliyojumuishwa: KES 300.00",
        "Wanjiku Kamau\nMoi Avenue 1\nNairobi\nKenya",
        "&lt;b&gt;Kikombe",
    ] {
        assert!(first.contains(expected_text), "{expected_text} in {first}");
    }
    let parcel = find_email("Sehemu ya oda yako K7M2-9QXA imesafirishwa");
    assert!(parcel.contains("Posta") && parcel.contains("RR1KE") && parcel.contains("1 x <b>Kikombe</b>"), "{parcel}");
    assert!(!parcel.contains("javascript:"), "{parcel}");
    assert!(find_email("Pesa zako zinarudishwa").contains("Tunakurudishia KES 1,200.00"));
}

async fn order_of_a_customer_is_notified_at_the_account_address(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(savannah::identity::Role::Customer).await;
    let account = app.query_scalar("SELECT max(id) FROM account").await;
    insert_order_rows(&app, &format!("{account}, NULL, '+254712345678'")).await;
    app.db
        .write(async |tx| tx.emit_event(OrderPlaced { order: 7, account: None }).await)
        .await
        .unwrap_or_else(|error| panic!("{}", error.log_message()));
    app.drain_jobs().await;
    let message_list = query_messages(&app, ", filter: { channel: EMAIL }").await;
    assert_eq!(message_list.len(), 1);
    assert_eq!(
        (&message_list[0]["recipient"], &message_list[0]["status"]),
        (&json!("customer1@example.com"), &json!("SENT"))
    );
    // An erased customer gets no notifications; the order stays.
    let anonymize_sql = "UPDATE account SET email = NULL, email_normalized = NULL, phone = NULL, password_hash = \
        NULL, first_name = '', \
        last_name = '', name_normalized = '', last_name_normalized = '', deleted_at = created_at WHERE role = 'customer'";
    app.execute_sql(anonymize_sql).await.expect("forgotten");
    emit_order_events(&app).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM notification").await, 2);
}
