//! Limits of guest orders: reserved stock, messages sent in the shop's name, and the text in them.

use savannah::identity::Role;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    checkout::{error_pairs, expect_order, order_id},
    email_sms_delivery::query_messages,
    integration_tests,
    notification_preferences::read_sent_emails,
    payments::{order_and_payment_status, reload_order},
    support::{Backend, TestApp, parse_datetime, shipping_address},
};

integration_tests![
    unconfirmed_guest_order_expires_and_reopens_its_cart,
    confirmed_guest_order_does_not_expire,
    guest_order_above_the_unit_limits_is_rejected,
    expiry_reaches_orders_beyond_one_batch_and_past_failures,
    second_email_of_a_kind_to_an_address_is_postponed,
    guest_sms_outside_of_served_countries_is_skipped,
    guest_sms_above_the_daily_limit_is_skipped,
    names_with_links_are_rejected_and_guest_names_not_in_messages,
    stored_messages_hold_no_token,
    guest_erasure_leaves_no_personal_data,
    expired_messages_and_audit_rows_are_deleted,
];

/// Everything that is kept of orders, carts, messages and what was done with them, as text.
async fn dump_personal_data_tables(app: &TestApp) -> Vec<String> {
    let mut all = Vec::new();
    for table in
        ["orders", "order_history", "notification", "cart", "job", "outbox_event", "audit_log", "idempotency_key"]
    {
        let statement = Statement::from_string(app.db.backend(), format!("SELECT * FROM {table}"));
        let rows = JsonValue::find_by_statement(statement).all(app.db.writer_connection()).await.expect("rows");
        all.extend(rows.iter().map(ToString::to_string));
    }
    all
}

/// A day and a bit after the shop opened.
const AFTER_GUEST_ORDER_EXPIRY: &str = "2026-11-02T09:00:01Z";

async fn unconfirmed_guest_order_expires_and_reopens_its_cart(backend: Backend) {
    let app = TestApp::start(backend).await;
    // The schedules begin now.
    app.run_pending_jobs().await;
    let mug = app.create_product("mug", 100, Some(2)).await;
    let cart = app.create_cart(None, &[(&mug, 2)]).await;
    let placed_order = expect_order(&app.complete_checkout(None, "k", &cart, json!({})).await, "checkoutComplete");
    assert_eq!(
        (order_and_payment_status(&placed_order), &placed_order["expiresAt"]),
        (("PENDING", "PENDING"), &json!("2026-11-02T09:00:00+00:00"))
    );
    assert_eq!(placed_order["payments"][0]["status"], "PENDING");
    // A customer with a verified address, and staff, are trusted: their payment by hand is promised.
    let customer = app.login(Role::Customer).await;
    app.create_product("bowl", 100, Some(1)).await;
    let bowl = app.query_variant_id("BOWL").await;
    let orders = expect_order(&app.create_order(Some(&customer), "k", &[(&bowl, 1)], json!({})).await, "orderCreate");
    assert_eq!((order_and_payment_status(&orders), &orders["expiresAt"]), (("PENDING", "AUTHORIZED"), &Value::Null));
    app.clock.set(parse_datetime(AFTER_GUEST_ORDER_EXPIRY));
    app.run_pending_jobs().await;
    let reloaded = reload_order(&app, &placed_order).await;
    assert_eq!(order_and_payment_status(&reloaded), ("CANCELED", "VOIDED"), "{reloaded}");
    let last = reloaded["history"].as_array().and_then(|all| all.last()).expect("an entry");
    assert_eq!(last["note"], "the shop did not confirm the order in time");
    assert_eq!(app.query_cart(None, &cart).await["status"], "OPEN");
    assert_eq!(order_and_payment_status(&reload_order(&app, &orders).await), ("PENDING", "AUTHORIZED"));
    expect_order(&app.complete_checkout(None, "k2", &cart, json!({})).await, "checkoutComplete");
    app.assert_invariants().await;
}

async fn confirmed_guest_order_does_not_expire(backend: Backend) {
    let app = TestApp::start(backend).await;
    // The schedules begin now.
    app.run_pending_jobs().await;
    let mug = app.create_product("mug", 100, Some(5)).await;
    let staff = app.login(Role::Staff).await;
    let first = expect_order(&app.create_order(None, "a", &[(&mug, 2)], json!({})).await, "orderCreate");
    let second = expect_order(&app.create_order(None, "b", &[(&mug, 2)], json!({})).await, "orderCreate");
    let confirmed =
        expect_order(&app.run_order_mutation(&staff, "orderConfirm", order_id(&first), None).await, "orderConfirm");
    assert_eq!(
        (order_and_payment_status(&confirmed), &confirmed["expiresAt"]),
        (("CONFIRMED", "AUTHORIZED"), &Value::Null)
    );
    // Money over the counter confirms as well.
    let paid =
        expect_order(&app.run_order_mutation(&staff, "orderCapture", order_id(&second), None).await, "orderCapture");
    assert_eq!(order_and_payment_status(&paid), ("CONFIRMED", "PAID"));
    app.clock.set(parse_datetime(AFTER_GUEST_ORDER_EXPIRY));
    app.run_pending_jobs().await;
    assert_eq!(order_and_payment_status(&reload_order(&app, &first).await), ("CONFIRMED", "AUTHORIZED"));
    assert_eq!(order_and_payment_status(&reload_order(&app, &second).await), ("CONFIRMED", "PAID"));
    assert_eq!(app.query_scalar("SELECT COUNT(*) FROM stock_reservation WHERE expires_at IS NULL").await, 2);
    app.assert_invariants().await;
}

async fn guest_order_above_the_unit_limits_is_rejected(backend: Backend) {
    let settings =
        [("SAVANNAH_CHECKOUT__MAX_UNVERIFIED_LINE_UNITS", "3"), ("SAVANNAH_CHECKOUT__MAX_UNVERIFIED_ORDER_UNITS", "5")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let (mug, bowl) = (app.create_product("mug", 100, Some(50)).await, app.create_product("bowl", 100, Some(50)).await);
    let tried = async |token: Option<&str>, items: &[(&str, i64)]| {
        let key = format!("{}", app.query_scalar("SELECT count(*) FROM idempotency_key").await);
        app.create_order(token, &key, items, json!({})).await.user_errors("orderCreate")
    };
    assert_eq!(tried(None, &[(&mug, 4)]).await, error_pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity")]));
    assert_eq!(tried(None, &[(&mug, 3), (&bowl, 3)]).await, error_pairs(&[("VALIDATION_ERROR", "input.lines")]));
    assert_eq!(tried(None, &[(&mug, 3), (&bowl, 2)]).await, []);
    let customer = app.login(Role::Customer).await;
    assert_eq!(tried(Some(&customer), &[(&mug, 9)]).await, []);
    app.execute_sql("UPDATE account SET email_verified_at = NULL").await.expect("an account");
    assert_eq!(
        tried(Some(&customer), &[(&mug, 9)]).await,
        error_pairs(&[("VALIDATION_ERROR", "input.lines.0.quantity")])
    );
}

async fn expiry_reaches_orders_beyond_one_batch_and_past_failures(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(500)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    // 250 orders that cannot end, as they have no payment, stand before one that can.
    let copies = "INSERT INTO orders (number, guest_access_token, email, customer_name_normalized, language, status, \
        payment_status, \
        fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, total, version, \
        expires_at, placed_at, \
        created_at, updated_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) \
        SELECT 'NUMBER-' || i, 'an-unguessable-token-of-' || i, email, customer_name_normalized, language, status, \
        payment_status, \
        fulfillment_status, currency, list_subtotal, discount, shipping, tax, tax_excluded_total, total, version, \
        placed_at, placed_at, \
        created_at, updated_at FROM orders, n";
    app.execute_sql(copies).await.expect("orders");
    app.clock.set(parse_datetime(AFTER_GUEST_ORDER_EXPIRY));
    let expired_count = savannah::sales::expire::expire_overdue_orders(&app.db, None).await;
    assert_eq!(expired_count.unwrap_or_else(|reason| panic!("{}", reason.log_message())), 1);
    assert_eq!(reload_order(&app, &placed_order).await["status"], "CANCELED");
}

async fn second_email_of_a_kind_to_an_address_is_postponed(backend: Backend) {
    let settings = [("SAVANNAH_NOTIFICATION__EMAIL_INTERVAL", "2m"), ("SAVANNAH_NOTIFICATION__MAX_EMAIL_DELAY", "4m")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let states = async || {
        let mut message_list = query_messages(&app, ", filter: { event: ORDER_PLACED }").await;
        message_list.sort_by_key(|message| message["id"].to_string());
        message_list.iter().map(|message| message["status"].as_str().expect("a state").to_owned()).collect::<Vec<_>>()
    };
    for key in ["a", "b", "c", "d"] {
        expect_order(
            &app.create_order(None, key, &[(&mug, 1)], json!({ "email": "Wanjiku@example.com" })).await,
            "orderCreate",
        );
    }
    expect_order(
        &app.create_order(None, "e", &[(&mug, 1)], json!({ "email": "amani@example.com" })).await,
        "orderCreate",
    );
    app.drain_jobs().await;
    let count = |states: &[String], message: &str| states.iter().filter(|state| *state == message).count();
    let first = states().await;
    assert_eq!((count(&first, "SENT"), count(&first, "QUEUED")), (2, 2), "{first:?}");
    assert_eq!(count(&first, "SKIPPED"), 1, "past the longest delay it is skipped, for staff to see");
    let waiting = query_messages(&app, ", filter: { status: QUEUED }").await;
    assert!(
        waiting
            .iter()
            .all(|message| message["failureReason"].as_str().is_some_and(|reason| reason.starts_with("postponed")))
    );
    app.clock.set(parse_datetime("2026-11-01T09:02:00Z"));
    app.drain_jobs().await;
    assert_eq!(count(&states().await, "SENT"), 3);
    app.clock.set(parse_datetime("2026-11-01T09:04:00Z"));
    app.drain_jobs().await;
    assert_eq!((count(&states().await, "SENT"), read_sent_emails(&app).len()), (4, 4));
    // Staff send the one that was skipped all the same.
    let staff = app.login(Role::Admin).await;
    let skipped = query_messages(&app, ", filter: { status: SKIPPED }").await;
    let resend = "mutation($id: ID!) { notificationResend(id: $id) { notification { status } userErrors { code } } }";
    let resend_response = app.query_as(&staff, resend, json!({ "id": skipped[0]["id"] })).await;
    assert_eq!(resend_response.data_at("/notificationResend/notification/status"), "QUEUED");
    app.drain_jobs().await;
    assert_eq!(read_sent_emails(&app).len(), 5);
}

async fn guest_sms_outside_of_served_countries_is_skipped(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let buy = async |key: &str, phone: &str, token: Option<&str>| {
        expect_order(&app.create_order(token, key, &[(&mug, 1)], json!({ "phone": phone })).await, "orderCreate");
        app.drain_jobs().await;
        let message_list = query_messages(&app, ", filter: { channel: SMS }").await;
        message_list[0].clone()
    };
    // Without a way of shipping the shop serves its own country; with one, where that goes.
    assert_eq!(buy("a", "+254712345678", None).await["status"], "SENT");
    let foreign_message = buy("b", "+447400123456", None).await;
    assert_eq!(foreign_message["status"], "SKIPPED", "{foreign_message}");
    assert!(
        foreign_message["failureReason"].as_str().is_some_and(|reason| reason.contains("United Kingdom")),
        "{foreign_message}"
    );
    let customer = app.login(Role::Customer).await;
    assert_eq!(buy("c", "+447400123457", Some(&customer)).await["status"], "SENT", "a known customer travels");
    app.seed_shipping_and_tax().await;
    app.execute_sql("UPDATE shipping_method SET countries = 'GB'").await.expect("methods");
    let shipping_method = app.query_scalar("SELECT MIN(id) FROM shipping_method").await;
    let shipping_method =
        savannah::base::GlobalId::new(savannah::base::global_id::NodeType::ShippingMethod, shipping_method).encode();
    let mut address_input = shipping_address();
    address_input["address"]["countryCode"] = json!("GB");
    let overrides =
        json!({ "phone": "+447400123456", "shippingMethodId": shipping_method, "shippingAddress": address_input });
    expect_order(&app.create_order(None, "d", &[(&mug, 1)], overrides).await, "orderCreate");
    app.drain_jobs().await;
    assert_eq!(query_messages(&app, ", filter: { channel: SMS }").await[0]["status"], "SENT");
    app.assert_invariants().await;
}

async fn guest_sms_above_the_daily_limit_is_skipped(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SMS__GUEST_DAILY_LIMIT", "2")]).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let staff = app.login(Role::Staff).await;
    let usage = async || {
        let query = "{ guestSmsUsage { sentToday dailyLimit } }";
        app.query_as(&staff, query, json!({})).await.data_at("/guestSmsUsage").clone()
    };
    for key in ["a", "b", "c"] {
        expect_order(
            &app.create_order(None, key, &[(&mug, 1)], json!({ "phone": "0712 345678" })).await,
            "orderCreate",
        );
    }
    app.drain_jobs().await;
    let message_list = query_messages(&app, ", filter: { channel: SMS }").await;
    let skipped: Vec<_> = message_list.iter().filter(|message| message["status"] == "SKIPPED").collect();
    assert_eq!((message_list.len(), skipped.len()), (3, 1), "{message_list:?}");
    assert!(
        skipped[0]["failureReason"].as_str().is_some_and(|reason| reason.contains("guest_daily_limit")),
        "{message_list:?}"
    );
    assert_eq!(usage().await, json!({ "sentToday": 2, "dailyLimit": 2 }));
    app.clock.set(parse_datetime("2026-11-02T00:00:00Z"));
    let staff = app.login(Role::Staff).await;
    let today = app.query_as(&staff, "{ guestSmsUsage { sentToday } }", json!({})).await;
    assert_eq!(today.data_at("/guestSmsUsage/sentToday"), 0);
}

async fn names_with_links_are_rejected_and_guest_names_not_in_messages(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    for (field, text) in [
        ("firstName", "URGENT: verify at http://evil.example/login"),
        ("lastName", "www.evil.example"),
        ("company", "evil.example/login"),
        ("line1", "https://evil.example"),
        ("city", "evil。example／x"),
    ] {
        let mut address_input = shipping_address();
        address_input["address"][field] = json!(text);
        let response = app.create_order(None, field, &[(&mug, 1)], json!({ "shippingAddress": address_input })).await;
        let path = format!("input.shippingAddress.{field}");
        assert_eq!(response.user_errors("orderCreate"), error_pairs(&[("VALIDATION_ERROR", path.as_str())]), "{text}");
    }
    let register = "mutation { customerRegister(input: { email: \"a@example.com\", password: \"correct horse\",
        firstName: \"see http://evil.example\" }) { userErrors { code field } } }";
    let rejected = app.query(register).await;
    assert_eq!(rejected.user_errors("customerRegister")[0].1, "input.firstName");
    // Default variants have no name of their own in messages, and guests are not greeted by what they typed.
    expect_order(
        &app.create_order(None, "k", &[(&mug, 1)], json!({ "note": "see http://evil.example/x" })).await,
        "orderCreate",
    );
    app.drain_jobs().await;
    let sent = read_sent_emails(&app);
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].contains("Hello") && !sent[0].contains("Default") && !sent[0].contains("evil"), "{}", sent[0]);
    assert!(sent[0].contains("Delivery address") && sent[0].contains("Moi Avenue 1"), "{}", sent[0]);
}

async fn stored_messages_hold_no_token(backend: Backend) {
    let pattern = "https://s.example/o/{number}?t={token}";
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_NOTIFICATION__ORDER_URL", pattern)]).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let placed_order = expect_order(&app.create_order(None, "k", &[(&mug, 1)], json!({})).await, "orderCreate");
    app.drain_jobs().await;
    let token = placed_order["token"].as_str().expect("a token");
    assert!(
        read_sent_emails(&app)[0].replace("=\r\n", "").replace("=\n", "").contains(token),
        "the letter links to the order"
    );
    let rows = dump_personal_data_tables(&app).await;
    let rows_with_token: Vec<_> = rows.iter().filter(|row| row.contains(token)).collect();
    assert_eq!(rows_with_token.len(), 1, "only the order itself holds its token: {rows_with_token:?}");
}

async fn guest_erasure_leaves_no_personal_data(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let overrides = json!({ "email": "njeri@example.com", "phone": "0712 345678", "note": "ring at Njeri's" });
    let canceled_order =
        expect_order(&app.create_order(None, "a", &[(&mug, 1)], overrides.clone()).await, "orderCreate");
    let open = expect_order(&app.create_order(None, "b", &[(&mug, 1)], overrides).await, "orderCreate");
    let cart = app.create_cart(None, &[(&mug, 1)]).await;
    let contact = "mutation($id: ID!) { cartContactUpdate(id: $id, input: { email: \"njeri@example.com\" }) { userErrors { code } } }";
    assert_eq!(app.query_with_variables(contact, json!({ "id": cart })).await.user_errors("cartContactUpdate"), []);
    let admin = app.login(Role::Admin).await;
    expect_order(&app.run_order_mutation(&admin, "orderCancel", order_id(&canceled_order), None).await, "orderCancel");
    app.drain_jobs().await;
    let erase = "mutation { guestErase(email: \"Njeri@example.com\") { erasure { erasedOrders openOrders }
        userErrors { code field } } }";
    let customer = app.login(Role::Customer).await;
    assert_eq!(app.query_as(&customer, erase, json!({})).await.error_code(), "FORBIDDEN");
    let response = app.query_as(&admin, erase, json!({})).await;
    assert_eq!(response.data_at("/guestErase/erasure"), &json!({ "erasedOrders": 1, "openOrders": 1 }));
    expect_order(&app.run_order_mutation(&admin, "orderCancel", order_id(&open), None).await, "orderCancel");
    app.drain_jobs().await;
    let response = app.query_as(&admin, erase, json!({})).await;
    assert_eq!(response.data_at("/guestErase/erasure"), &json!({ "erasedOrders": 1, "openOrders": 0 }));
    for row in dump_personal_data_tables(&app).await {
        for trace in ["njeri", "Njeri", "712345678", "Wanjiku", "Moi Avenue"] {
            assert!(!row.contains(trace), "{trace} is left in {row}");
        }
    }
    assert_eq!(app.query_scalar("SELECT COUNT(*) FROM audit_log WHERE action = 'order.erase'").await, 2);
    assert_eq!(app.query_scalar("SELECT SUM(total) FROM orders").await, 20_000, "the books stay");
    app.assert_invariants().await;
}

async fn expired_messages_and_audit_rows_are_deleted(backend: Backend) {
    let settings = [("SAVANNAH_NOTIFICATION__RETENTION", "90d"), ("SAVANNAH_JOBS__AUDIT_LOG_RETENTION", "120d")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let mug = app.create_product("mug", 100, Some(50)).await;
    let admin = app.login(Role::Admin).await;
    let placed_order = expect_order(
        &app.create_order(None, "a", &[(&mug, 1)], json!({ "phone": "0712 345678" })).await,
        "orderCreate",
    );
    expect_order(&app.run_order_mutation(&admin, "orderCancel", order_id(&placed_order), None).await, "orderCancel");
    let change = "mutation($id: ID!) { stockAdjust(input: { variantId: $id, delta: 1, reason: RECEIVED,
        idempotencyKey: \"s\" }) { userErrors { code } } }";
    assert_eq!(app.query_as(&admin, change, json!({ "id": mug })).await.user_errors("stockAdjust"), []);
    app.drain_jobs().await;
    let count = async |table: &str| app.query_scalar(&format!("SELECT COUNT(*) FROM {table}")).await;
    assert!(
        count("notification").await > 0 && count("audit_log").await > 0 && count("guest_sms_daily_count").await == 1
    );
    for (day, messages, audits) in
        [("2027-01-29", true, true), ("2027-01-31", false, true), ("2027-03-03", false, false)]
    {
        app.clock.set(parse_datetime(&format!("{day}T12:00:00Z")));
        app.drain_jobs().await;
        assert_eq!((count("notification").await > 0, count("audit_log").await > 0), (messages, audits), "{day}");
    }
    assert_eq!(
        (count("guest_sms_daily_count").await, count("outbox_event").await, count("outbox_sequence").await),
        (0, 0, 0)
    );
    // A thing whose events are gone begins anew.
    let more = change.replace("\"s\"", "\"t\"");
    let admin = app.login(Role::Admin).await;
    app.query_as(&admin, &more, json!({ "id": mug })).await.data_at("/stockAdjust");
    app.run_pending_jobs().await;
}
