//! Erasure and export of a person's data.

use savannah::identity::Role;
use sea_orm::{FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    customers::{create_address, home_address, query_account_id, to_customer_id},
    integration_tests,
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    deleted_customer_leaves_no_personal_data,
    customer_delete_requires_password_and_is_rate_limited,
    staff_delete_of_a_customer_hides_the_account,
    customer_export_contains_all_data_without_secrets,
    orders_of_a_deleted_customer_are_anonymized,
    customer_export_contains_own_orders_only,
];

const REGISTER_CUSTOMER: &str =
    "mutation { customerRegister(input: { email: \"wanjiku.kamau@example.com\", password: \"correct horse\",
    firstName: \"Wanjiku\", lastName: \"Kamau\" }) { tokens { accessToken refreshToken } userErrors { code } } }";
const DELETE_CUSTOMER: &str = "mutation($password: String) { customerDelete(password: $password) {
    deletedId userErrors { code field } } }";

async fn register_customer(app: &TestApp) -> (String, String) {
    let created = app.query(REGISTER_CUSTOMER).await;
    let token_named =
        |name: &str| created.data_at(&format!("/customerRegister/tokens/{name}")).as_str().expect("a token").to_owned();
    let (token, refresh) = (token_named("accessToken"), token_named("refreshToken"));
    create_address(app, &token, home_address()).await;
    let deleted_address = create_address(app, &token, home_address()).await;
    let remove = format!("mutation {{ addressDelete(id: \"{deleted_address}\") {{ deletedId }} }}");
    app.query_as(&token, &remove, json!({})).await.data_at("/addressDelete/deletedId");
    let update = "mutation { customerUpdate(input: { phone: \"0712 345678\" }) { customer { phone } } }";
    assert_eq!(
        app.query_as(&token, update, json!({})).await.data_at("/customerUpdate/customer/phone"),
        "+254712345678"
    );
    (token, refresh)
}

async fn delete_customer(app: &TestApp, token: &str, password: Option<&str>) -> GraphqlResponse {
    app.query_as(token, DELETE_CUSTOMER, json!({ "password": password })).await
}

/// Returns all stored personal data as text.
async fn dump_account_tables(app: &TestApp) -> String {
    let mut all = Vec::new();
    for table in
        ["account", "account_identity", "address", "session", "one_time_token", "audit_log", "outbox_event", "api_key"]
    {
        let statement = Statement::from_string(app.db.backend(), format!("SELECT * FROM {table}"));
        let rows = JsonValue::find_by_statement(statement).all(app.db.writer_connection()).await.expect("rows");
        all.extend(rows.iter().map(ToString::to_string));
    }
    all.join("\n")
}

async fn deleted_customer_leaves_no_personal_data(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (token, refresh) = register_customer(&app).await;
    let before = dump_account_tables(&app).await;
    let traces = ["wanjiku", "Wanjiku", "Kamau", "kamau", "712345678", "Moi Avenue", "argon2", "127.0.0.1"];
    for trace in traces {
        assert!(before.contains(trace), "the test data has no {trace}");
    }
    let deleted = delete_customer(&app, &token, Some("correct horse")).await;
    assert!(deleted.data_at("/customerDelete/deletedId").is_string());
    let after = dump_account_tables(&app).await;
    for trace in traces {
        assert!(!after.contains(trace), "{trace} is left in {after}");
    }
    // The row stays for its references, and so do the audit records.
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE deleted_at IS NOT NULL").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM audit_log WHERE action = 'customer.delete'").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM outbox_event WHERE event_type = 'CustomerDeleted'").await, 1);
    // All tokens are revoked, and the email address can be registered again.
    assert_eq!(app.query_as(&token, "{ me { id } }", json!({})).await.error_code(), "UNAUTHENTICATED");
    let next = "mutation($token: String!) { tokenRefresh(refreshToken: $token) { userErrors { code } } }";
    assert_eq!(app.query_with_variables(next, json!({ "token": refresh })).await.error_code(), "UNAUTHENTICATED");
    assert!(app.query(REGISTER_CUSTOMER).await.data_at("/customerRegister/tokens/accessToken").is_string());
}

async fn customer_delete_requires_password_and_is_rate_limited(backend: Backend) {
    let app =
        TestApp::start_with_settings(backend, &[("SAVANNAH_THROTTLE__FAILED_LOGINS_PER_ACCOUNT_AND_IP", "3/15m")])
            .await;
    let (token, _) = register_customer(&app).await;
    for wrong_password in [None, Some("wrong horse"), Some("")] {
        let response = delete_customer(&app, &token, wrong_password).await;
        assert_eq!(response.user_errors("customerDelete"), [("INVALID_CREDENTIALS".into(), "password".into())]);
    }
    assert_eq!(delete_customer(&app, &token, Some("correct horse")).await.error_code(), "RATE_LIMITED");
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE deleted_at IS NOT NULL").await, 0);
}

async fn staff_delete_of_a_customer_hides_the_account(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (token, _) = register_customer(&app).await;
    let id = to_customer_id(&query_account_id(&app, &token).await);
    let admin = app.login(Role::Admin).await;
    let query = "mutation($id: ID) { customerDelete(id: $id) { deletedId userErrors { code field } } }";
    let deleted = app.query_as(&admin, query, json!({ "id": id })).await;
    assert_eq!(deleted.data_at("/customerDelete/deletedId"), &json!(id));
    let repeated = app.query_as(&admin, query, json!({ "id": id })).await;
    assert_eq!(repeated.user_errors("customerDelete").len(), 1);
    let response =
        app.query_as(&admin, "query($id: ID!) { customer(id: $id) { id } node(id: $id) { id } }", json!({ "id": id }));
    assert_eq!(response.await.data_at(""), &json!({ "customer": null, "node": null }));
}

async fn customer_export_contains_all_data_without_secrets(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (token, _) = register_customer(&app).await;
    let other = app.login(Role::Customer).await;
    create_address(&app, &other, json!({ "company": "Others", "line1": "x", "city": "x", "countryCode": "UG" })).await;
    let response = app.query_as(&token, "{ customerExport }", json!({})).await;
    let all = response.data_at("/customerExport");
    assert_eq!(all["customer"]["email"], "wanjiku.kamau@example.com");
    assert_eq!(all["customer"]["hasPassword"], true);
    assert_eq!((&all["addresses"][0]["line1"], &all["addresses"][1]), (&json!("Moi Avenue 1"), &Value::Null));
    assert_eq!(all["sessions"][0]["authMethod"], "password");
    let actions: Vec<_> = all["changes"].as_array().expect("a list").iter().map(|entry| &entry["action"]).collect();
    assert!(actions.contains(&&json!("customer.update")) && actions.contains(&&json!("address.create")), "{actions:?}");
    let phone = all["changes"].as_array().expect("a list").iter().find(|entry| entry["action"] == "customer.update");
    assert_eq!(phone.expect("the change")["after"]["phone"], "+254712345678");
    assert!(all["deeds"].as_array().is_some_and(|deeds| !deeds.is_empty()));
    for secret in ["argon2", "Others", "digest", "_hash", "Hash"] {
        assert!(!all.to_string().contains(secret), "{secret} in {all}");
    }
    assert_eq!(app.query("{ customerExport }").await.error_code(), "UNAUTHENTICATED");
}

async fn orders_of_a_deleted_customer_are_anonymized(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(9)).await;
    let (token, _) = register_customer(&app).await;
    let staff = app.login(Role::Staff).await;
    let overrides = json!({ "email": "wanjiku.kamau@example.com", "phone": "0712 345678", "note": "for Wanjiku" });
    let buy = async |key: &str| {
        expect_order(&app.create_order(Some(&token), key, &[(&mug, 1)], overrides.clone()).await, "orderCreate")
    };
    let (canceled_order, confirmed_order, other) = (buy("a").await, buy("b").await, buy("c").await);
    let others = expect_order(&app.create_order(None, "d", &[(&mug, 1)], json!({})).await, "orderCreate");
    let reason = || Some(("OrderCancelInput", json!({ "reason": "Wanjiku changed her mind" })));
    expect_order(
        &app.run_order_mutation(&token, "orderCancel", order_id(&canceled_order), reason()).await,
        "orderCancel",
    );
    expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&others), None).await, "orderCancel");
    expect_order(
        &app.run_order_mutation(&staff, "orderConfirm", order_id(&confirmed_order), None).await,
        "orderConfirm",
    );
    let read_order = async |staff: &str, placed_order: &Value| {
        let query = "query($id: ID) { order(id: $id) { number status cost { total { amount } } email phone note customer { id }
            lines { name quantity cost { total { amount } } } shippingAddress { firstName line1 city countryCode } history { note } } }";
        app.query_as(staff, query, json!({ "id": placed_order["id"] })).await.data_at("/order").clone()
    };
    let before = [
        read_order(&staff, &canceled_order).await,
        read_order(&staff, &confirmed_order).await,
        read_order(&staff, &others).await,
    ];
    assert!(before[..2].iter().all(|one| one.to_string().contains("Wanjiku")), "{before:?}");
    delete_customer(&app, &token, Some("correct horse")).await.data_at("/customerDelete/deletedId");
    let after = read_order(&staff, &canceled_order).await;
    assert!(!after.to_string().to_lowercase().contains("wanjiku"), "{after}");
    for field in ["number", "status", "cost", "lines"] {
        assert_eq!(after[field], before[0][field], "{field}");
    }
    let empty_address = json!({ "firstName": "", "line1": "", "city": "", "countryCode": "KE" });
    assert_eq!(
        (&after["shippingAddress"], &after["email"], &after["phone"]),
        (&empty_address, &Value::Null, &Value::Null)
    );
    assert_eq!(read_order(&staff, &others).await, before[2], "another's order");
    // Open orders are still delivered, and anonymized afterwards.
    let order_json = read_order(&staff, &confirmed_order).await;
    assert_eq!(
        (&order_json["shippingAddress"], &order_json["email"]),
        (&before[1]["shippingAddress"], &before[1]["email"])
    );
    assert!(app.execute_sql("UPDATE orders SET email = 'again@example.com'").await.is_err(), "a name comes back");
    let parcel = Some(("OrderFulfillInput!", json!({ "idempotencyKey": "p" })));
    expect_order(
        &app.run_order_mutation(&staff, "orderFulfill", order_id(&confirmed_order), parcel).await,
        "orderFulfill",
    );
    expect_order(
        &app.run_order_mutation(&staff, "orderDeliver", order_id(&confirmed_order), None).await,
        "orderDeliver",
    );
    expect_order(&app.run_order_mutation(&staff, "orderCancel", order_id(&other), None).await, "orderCancel");
    // Schedules start, and one is due an hour later.
    app.drain_jobs().await;
    app.clock.set(app.clock.now() + chrono::TimeDelta::hours(2));
    app.drain_jobs().await;
    let staff = app.login(Role::Staff).await;
    for placed_order in [&confirmed_order, &other] {
        let after = read_order(&staff, placed_order).await;
        assert_eq!((&after["shippingAddress"], &after["email"]), (&empty_address, &Value::Null));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM orders WHERE anonymized_at IS NOT NULL").await, 3);
    assert_eq!(read_order(&staff, &others).await, before[2], "another's order");
    app.assert_invariants().await;
    app.run_pending_jobs().await;
}

async fn customer_export_contains_own_orders_only(backend: Backend) {
    let app = TestApp::start(backend).await;
    let mug = app.create_product("mug", 100, Some(9)).await;
    let (token, _) = register_customer(&app).await;
    let other = app.login(Role::Customer).await;
    let own_order = expect_order(&app.create_order(Some(&token), "a", &[(&mug, 2)], json!({})).await, "orderCreate");
    let other_order = expect_order(&app.create_order(Some(&other), "b", &[(&mug, 1)], json!({})).await, "orderCreate");
    let exported_orders =
        app.query_as(&token, "{ customerExport }", json!({})).await.data_at("/customerExport/orders").clone();
    assert_eq!(exported_orders.as_array().map(Vec::len), Some(1), "{exported_orders}");
    let exported_order = &exported_orders[0];
    assert_eq!(
        (&exported_order["number"], &exported_order["status"], &exported_order["total"]),
        (&own_order["number"], &json!("pending"), &json!("200.00"))
    );
    assert_eq!(exported_order["lines"][0]["sku"], "MUG");
    assert_eq!(
        (&exported_order["lines"][0]["quantity"], &exported_order["lines"][0]["total"]),
        (&json!(2), &json!("200.00"))
    );
    assert_eq!(exported_order["shippingAddress"]["line1"], "Moi Avenue 1");
    assert!(!exported_orders.to_string().contains(own_order["token"].as_str().expect("a token")), "{exported_orders}");
    // Customers see their own orders, paginated; staff see them too, other callers do not.
    let query = "{ me { customer { orders(first: 1) { totalCount nodes { number } pageInfo { hasNextPage } } } } }";
    let response = app.query_as(&token, query, json!({})).await;
    assert_eq!(response.data_at("/me/customer/orders/nodes"), &json!([{ "number": own_order["number"] }]));
    assert_eq!(response.data_at("/me/customer/orders/totalCount"), 1);
    let staff = app.login(Role::Staff).await;
    let query =
        "query($id: ID!) { customer(id: $id) { orders { nodes { number customer { orders { totalCount } } } } } }";
    let response =
        app.query_as(&staff, query, json!({ "id": to_customer_id(&query_account_id(&app, &other).await) })).await;
    let expected = json!([{ "number": other_order["number"], "customer": { "orders": { "totalCount": 1 } } }]);
    assert_eq!(response.data_at("/customer/orders/nodes"), &expected);
    // A message refers to its order.
    app.drain_jobs().await;
    let query = "{ notifications { nodes { order { number } } } }";
    let response = app.query_as(&staff, query, json!({})).await;
    let message_orders = response.data_at("/notifications/nodes").as_array().expect("notifications").clone();
    assert!(message_orders.contains(&json!({ "order": { "number": own_order["number"] } })), "{message_orders:?}");
    assert!(message_orders.contains(&json!({ "order": { "number": other_order["number"] } })), "{message_orders:?}");
}
