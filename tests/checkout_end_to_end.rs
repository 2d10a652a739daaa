//! End-to-end checkout over HTTP and in GraphiQL: order, fulfillment by staff, emails and SMS.

use savannah::{
    base::{GlobalId, global_id::NodeType},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    browser::{has_browser, run_node_script},
    checkout::{expect_order, order_id},
    email_sms_delivery::{drain_jobs_until_final, has_smtp_server, query_messages},
    integration_tests,
    support::{Backend, FakeSmsService, FakeSmtpServer, SmsServiceMode, TestApp},
};

integration_tests![;
    needs(has_smtp_server): guest_and_customer_checkout_is_delivered_and_notified, orders_with_failing_message_services_are_still_processed;
    needs(has_browser_and_smtp): guest_and_customer_checkout_in_graphiql_is_delivered_and_notified
];

fn has_browser_and_smtp() -> bool {
    has_browser() && has_smtp_server()
}

/// Starts a server with products and fake email and SMS services.
async fn start_app_with_message_services(backend: Backend) -> (TestApp, FakeSmtpServer, FakeSmsService, [String; 2]) {
    let (smtp_server, sms_service) = (FakeSmtpServer::start().await, FakeSmsService::start().await);
    let link = ("SAVANNAH_NOTIFICATION__ORDER_URL", "https://s.example/o/{number}?t={token}");
    let settings = [&smtp_server.settings()[..], &sms_service.settings()[..], &[link]].concat();
    let app = Box::pin(TestApp::start_with_settings(backend, &settings)).await;
    app.seed_shipping_and_tax().await;
    let variant_ids = [app.create_product("mug", 1160, Some(5)).await, app.create_product("bowl", 580, Some(5)).await];
    (app, smtp_server, sms_service, variant_ids)
}

/// Creates a customer with language Swahili.
async fn create_swahili_customer(app: &TestApp) -> String {
    let token = app.login(Role::Customer).await;
    let update =
        "mutation { customerUpdate(input: { language: \"sw\", phone: \"0733 000001\" }) { userErrors { code } } }";
    assert_eq!(app.query_as(&token, update, json!({})).await.user_errors("customerUpdate"), []);
    token
}

/// Buys two units of each variant over HTTP.
async fn checkout_over_http(app: &TestApp, token: Option<&str>, variant_ids: &[String; 2], overrides: Value) -> Value {
    let cart = app.create_cart(token, &[(&variant_ids[0], 2), (&variant_ids[1], 2)]).await;
    let shipping_methods = "query($id: ID!) { cart(id: $id) { availableShippingOptions { shippingMethodId name } } }";
    let shipping_methods = app.query_maybe_as(token, shipping_methods, json!({ "id": cart })).await;
    let shipping_method = shipping_methods.data_at("/cart/availableShippingOptions/0");
    assert_eq!(shipping_method["name"], "Standard");
    let choose = "mutation($id: ID!, $way: ID) { cartShippingMethodUpdate(id: $id, shippingMethodId: $way) { userErrors { code } } }";
    let chosen =
        app.query_maybe_as(token, choose, json!({ "id": cart, "way": shipping_method["shippingMethodId"] })).await;
    assert_eq!(chosen.user_errors("cartShippingMethodUpdate"), []);
    expect_order(&app.complete_checkout(token, "a word", &cart, overrides).await, "checkoutComplete")
}

/// Buys the same in GraphiQL.
async fn checkout_in_graphiql(
    app: &TestApp,
    token: Option<&str>,
    variant_ids: &[String; 2],
    input_fields: &str,
) -> Value {
    let arguments = json!({ "variants": variant_ids, "said": input_fields, "token": token });
    let output = run_node_script("browser/buy.mjs", vec![app.url(""), arguments.to_string()]).await;
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// Confirms, ships and delivers an order as staff.
async fn fulfill_and_deliver(app: &TestApp, staff: &str, placed_order: &Value) {
    // A guest's manual payment is authorized when staff confirm the order.
    let payment = if placed_order["email"] == "wanjiku@example.com" { "PENDING" } else { "AUTHORIZED" };
    assert_eq!(
        (&placed_order["status"], &placed_order["paymentStatus"]),
        (&json!("PENDING"), &json!(payment)),
        "{placed_order}"
    );
    expect_order(&app.run_order_mutation(staff, "orderConfirm", order_id(placed_order), None).await, "orderConfirm");
    let parcel = json!({ "idempotencyKey": "p", "carrier": "G4S", "trackingNumber": format!("KE-{}", order_number(placed_order)) });
    expect_order(
        &app.run_order_mutation(staff, "orderFulfill", order_id(placed_order), Some(("OrderFulfillInput!", parcel)))
            .await,
        "orderFulfill",
    );
    expect_order(&app.run_order_mutation(staff, "orderCapture", order_id(placed_order), None).await, "orderCapture");
    let delivered_order = expect_order(
        &app.run_order_mutation(staff, "orderDeliver", order_id(placed_order), None).await,
        "orderDeliver",
    );
    assert_eq!((&delivered_order["status"], &delivered_order["paymentStatus"]), (&json!("DELIVERED"), &json!("PAID")));
}

fn order_number(placed_order: &Value) -> &str {
    placed_order["number"].as_str().expect("a number")
}

/// Asserts that both orders (guest in English, customer in Swahili) are delivered and notified.
async fn assert_orders_delivered_and_notified(
    app: &TestApp,
    (smtp_server, sms_service): (&FakeSmtpServer, &FakeSmsService),
    placed_orders: &[Value; 2],
) {
    let staff = app.login(Role::Staff).await;
    for placed_order in placed_orders {
        fulfill_and_deliver(app, &staff, placed_order).await;
        assert_eq!(placed_order["cost"]["total"]["amount"], "3830.00");
    }
    app.drain_jobs().await;
    let emails = smtp_server.received_emails().await;
    assert_eq!((emails.len(), sms_service.received_messages().len()), (8, 6));
    let expected_notifications = [
        (
            "wanjiku@example.com",
            "+254712345678",
            "en",
            [
                "We have your order #",
                "Your order # is confirmed",
                "Your order # is on its way",
                "Your order # has been delivered",
            ],
        ),
        (
            "customer1@example.com",
            "+254733000001",
            "sw",
            ["Tumepokea oda yako #", "Oda yako # imethibitishwa", "Oda yako # iko njiani", "Oda yako # imefika"],
        ),
    ];
    for ((email, phone, language, subjects), placed_orders) in expected_notifications.into_iter().zip(placed_orders) {
        let track = format!("KE-{}", order_number(placed_orders));
        let recipient_emails: Vec<&Value> =
            emails.iter().filter(|received_email| received_email["recipients"] == json!([email])).collect();
        for subject in subjects {
            let subject = subject.replace('#', order_number(placed_orders));
            let received_email =
                recipient_emails.iter().find(|received_email| received_email["subject"] == subject.as_str());
            let received_email = received_email.unwrap_or_else(|| panic!("no {subject} in {recipient_emails:?}"));
            let (text, html) =
                (received_email["text"].as_str().expect("a text"), received_email["html"].as_str().expect("a page"));
            assert!(html.contains(&format!("lang=\"{language}\"")), "{html}");
            assert!(text.contains(&format!("https://s.example/o/{}?t=", order_number(placed_orders))), "{text}");
            let parcel = text.contains("G4S");
            let has_lines = ["2 x mug", "2 x bowl"].iter().all(|expected_text| text.contains(expected_text));
            let priced = ["KES 2,320.00", "KES 1,160.00", "KES 3,480.00", "KES 350.00", "KES 3,830.00", "Moi Avenue 1"];
            assert!(has_lines && (parcel || priced.iter().all(|expected_text| text.contains(expected_text))), "{text}");
            let on_its_way = subject.contains("way") || subject.contains("njiani");
            assert_eq!((parcel, text.contains(&track)), (on_its_way, on_its_way), "{text}");
        }
        let sms_messages = sms_service.received_messages();
        let texts: Vec<&String> = sms_messages
            .iter()
            .filter(|placed_order| placed_order["to"] == phone)
            .map(|placed_order| &placed_order["message"])
            .collect();
        let count = |expected_text: &str| texts.iter().filter(|message| message.contains(expected_text)).count();
        assert_eq!((texts.len(), count(order_number(placed_orders)), count("KES 3,830.00")), (3, 3, 1), "{texts:?}");
        assert_eq!(count(&track), 1, "{texts:?}");
    }
    assert_eq!(query_messages(app, ", filter: { status: SENT }").await.len(), 14);
    // No duplicate notifications, and all stock is accounted for.
    app.drain_jobs().await;
    assert_eq!((smtp_server.received_emails().await.len(), sms_service.received_messages().len()), (8, 6));
    assert_eq!(app.query_scalar("SELECT sum(on_hand * 10 + reserved) FROM inventory_level").await, 20);
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn guest_and_customer_checkout_is_delivered_and_notified(backend: Backend) {
    let (app, smtp_server, sms_service, variant_ids) = start_app_with_message_services(backend).await;
    let token = create_swahili_customer(&app).await;
    let guest = checkout_over_http(&app, None, &variant_ids, json!({ "phone": "0712 345678" })).await;
    let placed_orders = [guest, checkout_over_http(&app, Some(&token), &variant_ids, json!({ "email": null })).await];
    assert_orders_delivered_and_notified(&app, (&smtp_server, &sms_service), &placed_orders).await;
}

async fn guest_and_customer_checkout_in_graphiql_is_delivered_and_notified(backend: Backend) {
    let (app, smtp_server, sms_service, variant_ids) = start_app_with_message_services(backend).await;
    let token = create_swahili_customer(&app).await;
    let input_fields = r#"email: "wanjiku@example.com" phone: "0712 345678""#;
    let guest = checkout_in_graphiql(&app, None, &variant_ids, input_fields).await;
    let placed_orders = [guest, checkout_in_graphiql(&app, Some(&token), &variant_ids, "").await];
    assert_orders_delivered_and_notified(&app, (&smtp_server, &sms_service), &placed_orders).await;
}

async fn orders_with_failing_message_services_are_still_processed(backend: Backend) {
    let (app, smtp_server, sms_service, variant_ids) = start_app_with_message_services(backend).await;
    let mut failed_count = 0;
    for (mode, sms_mode) in [
        ("refuse", SmsServiceMode::Fails),
        ("busy", SmsServiceMode::ReturnsInvalidBody),
        ("hang", SmsServiceMode::Hangs),
    ] {
        smtp_server.set_mode(mode).await;
        sms_service.set_mode(sms_mode);
        let shipping_method = app.query_scalar("SELECT id FROM shipping_method WHERE name = 'Standard'").await;
        let overrides = json!({ "email": format!("{mode}@example.com"), "phone": "0712 345678",
            "shippingMethodId": GlobalId::new(NodeType::ShippingMethod, shipping_method).encode(), "expectedTotal": "2090.00" });
        let cart = app.create_cart(None, &[(&variant_ids[0], 1), (&variant_ids[1], 1)]).await;
        let placed_order = expect_order(&app.complete_checkout(None, mode, &cart, overrides).await, "checkoutComplete");
        // Orders proceed while notifications cannot be delivered.
        let staff = app.login(Role::Staff).await;
        let confirmed = expect_order(
            &app.run_order_mutation(&staff, "orderConfirm", order_id(&placed_order), None).await,
            "orderConfirm",
        );
        assert_eq!(confirmed["status"], "CONFIRMED");
        drain_jobs_until_final(&app).await;
        failed_count += 3;
        let failed = query_messages(&app, ", filter: { status: FAILED }").await;
        assert_eq!(failed.len(), failed_count, "{mode} {failed:?}");
        assert!(
            failed.iter().all(|one| one["failureReason"].as_str().is_some_and(|reason| !reason.is_empty())),
            "{failed:?}"
        );
    }
    assert_eq!((smtp_server.received_emails().await.len(), sms_service.received_messages().len()), (0, 0));
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders WHERE status = 'confirmed'").await, 3);
    app.assert_invariants().await;
}
