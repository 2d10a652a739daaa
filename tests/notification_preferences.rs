//! Notifications: preferences, languages, emails with tokens, and the view of staff.

use savannah::{
    identity::{
        Role,
        entity::account,
        session::{self, ClientInfo, NewSession},
    },
    notification::{NotificationEventType, NotificationRecipient},
};
use sea_orm::{EntityTrait, FromQueryResult, JsonValue, Statement};
use serde_json::{Value, json};

use crate::{
    customers::{query_account_id, to_customer_id},
    email_sms_delivery::{enqueue_notification, guest_recipient, query_messages},
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    verification_email_contains_a_valid_token,
    password_reset_email_contains_a_valid_token,
    notification_preferences_of_a_customer_are_applied,
    emails_are_in_the_language_of_the_recipient,
    message_list_filters_and_pages_for_staff,
    messages_of_a_deleted_customer_are_anonymized,
    messages_without_configured_transport_are_skipped,
    token_email_for_a_changed_account_is_not_sent,
    session_create_reads_the_current_account,
    invalid_message_rows_are_rejected_by_the_database,
];

const REGISTER_CUSTOMER: &str = "mutation($language: LanguageCode) { customerRegister(input: { email: \"amani@example.com\",
    password: \"correct horse\", firstName: \"Amani\", language: $language }) { tokens { accessToken } userErrors { code } } }";

async fn register_customer(app: &TestApp, language: Option<&str>) -> String {
    let created = app.query_with_variables(REGISTER_CUSTOMER, json!({ "language": language })).await;
    created.data_at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned()
}

/// The letters in the outbox that the last work has left, the newest last, each as text.
pub fn read_sent_emails(app: &TestApp) -> Vec<String> {
    let files =
        std::fs::read_dir(app.message_directory.path()).into_iter().flatten().map(|file| file.expect("a file").path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|kind| kind == "eml")).collect();
    files.sort();
    // Long lines are folded, and `=` is spelt out.
    let unfold = |text: String| text.replace("=\r\n", "").replace("=3D", "=").replace("\r\n", "\n");
    files.iter().map(|file| unfold(std::fs::read_to_string(file).expect("a letter"))).collect()
}

/// Returns the token or code of an email.
pub fn extract_token(email: &str) -> String {
    let line = email.lines().skip_while(|line| !line.starts_with("Your code:") && !line.starts_with("Msimbo wako:"));
    line.take(2).last().unwrap_or_else(|| panic!("no token in {email}")).trim().to_owned()
}

async fn verification_email_contains_a_valid_token(backend: Backend) {
    const VERIFY_EMAIL: &str = "mutation($token: String!) { emailVerify(token: $token) { email userErrors { code } } }";
    let app = TestApp::start(backend).await;
    register_customer(&app, None).await;
    app.drain_jobs().await;
    let sent = read_sent_emails(&app);
    assert_eq!(sent.len(), 1, "whoever registers is asked to verify the address");
    assert!(sent[0].contains("To: amani@example.com") && !sent[0].contains("Amani,"), "{}", sent[0]);
    let token = extract_token(&sent[0]);
    assert_eq!(token.len(), 43, "{token}");
    // It opens what it is for, and lies nowhere in plain text.
    for table in ["notification", "job", "outbox_event", "one_time_token", "audit_log"] {
        let statement = Statement::from_string(app.db.backend(), format!("SELECT * FROM {table}"));
        let rows = JsonValue::find_by_statement(statement).all(app.db.writer_connection()).await.expect("rows");
        assert!(!rows.iter().any(|row| row.to_string().contains(&token)), "in {table}");
    }
    let verified = app.query_with_variables(VERIFY_EMAIL, json!({ "token": token })).await;
    assert_eq!(verified.data_at("/emailVerify/email"), "amani@example.com");
    let message_list = query_messages(&app, "").await;
    assert_eq!((&message_list[0]["event"], &message_list[0]["status"]), (&json!("VERIFY_EMAIL"), &json!("SENT")));
    assert_eq!(message_list[0]["subject"], "Is this your e-mail address?");
}

async fn password_reset_email_contains_a_valid_token(backend: Backend) {
    const REQUEST_PASSWORD_RESET: &str =
        "mutation { passwordResetRequest(email: \"Amani@example.com\") { accepted userErrors { code } } }";
    const RESET_PASSWORD: &str =
        "mutation($token: String!) { passwordReset(token: $token, newPassword: \"battery staple\") {
        tokens { accessToken } userErrors { code field } } }";
    let pattern = "https://shop.example/reset?token={token}";
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_NOTIFICATION__RESET_URL", pattern)]).await;
    register_customer(&app, Some("sw")).await;
    assert_eq!(app.query(REQUEST_PASSWORD_RESET).await.data_at("/passwordResetRequest/accepted"), true);
    app.drain_jobs().await;
    let sent = read_sent_emails(&app);
    let email = sent.iter().find(|email| email.contains("Weka nenosiri jipya: https://")).expect("a letter in Swahili");
    let (_, after) = email.split_once("https://shop.example/reset?token=").expect("a link");
    let token: String = after.chars().take(43).collect();
    let reset = app.query_with_variables(RESET_PASSWORD, json!({ "token": token })).await;
    assert_eq!(reset.user_errors("passwordReset"), []);
    let repeated = app.query_with_variables(RESET_PASSWORD, json!({ "token": token })).await;
    assert_eq!(repeated.user_errors("passwordReset").len(), 1, "it sets one password");
}

async fn notification_preferences_of_a_customer_are_applied(backend: Backend) {
    const ALL_PREFERENCES: &str = "{ me { customer { notificationPreferences { event email sms } } } }";
    const SET_PREFERENCE: &str = "mutation($event: NotificationEvent!, $email: Boolean, $sms: Boolean) {
        notificationPreferenceUpdate(input: { event: $event, email: $email, sms: $sms }) {
        notificationPreferences { event email sms } userErrors { code field } } }";
    let app = TestApp::start(backend).await;
    let customer = app.login(Role::Customer).await;
    let before = app.query_as(&customer, ALL_PREFERENCES, json!({})).await;
    let list = before.data_at("/me/customer/notificationPreferences").as_array().expect("a list").clone();
    assert_eq!(list.len(), 6, "{list:?}");
    let by_sms: Vec<_> = list
        .iter()
        .filter(|preference| preference["sms"] == true)
        .map(|preference| preference["event"].clone())
        .collect();
    assert_eq!(json!(by_sms), json!(["ORDER_PLACED", "ORDER_SHIPPED", "ORDER_DELIVERED"]));
    assert!(list.iter().all(|preference| preference["email"] == true));

    let set = app.query_as(&customer, SET_PREFERENCE, json!({ "event": "ORDER_PLACED", "email": false })).await;
    assert_eq!(set.user_errors("notificationPreferenceUpdate"), []);
    let set = app.query_as(&customer, SET_PREFERENCE, json!({ "event": "ORDER_CONFIRMED", "sms": true })).await;
    let now = set.data_at("/notificationPreferenceUpdate/notificationPreferences");
    assert_eq!(now[0], json!({ "event": "ORDER_PLACED", "email": false, "sms": true }));
    assert_eq!(now[1], json!({ "event": "ORDER_CONFIRMED", "email": true, "sms": true }));
    let never = app.query_as(&customer, SET_PREFERENCE, json!({ "event": "RESET_PASSWORD", "email": false })).await;
    assert_eq!(never.user_errors("notificationPreferenceUpdate"), [("VALIDATION_ERROR".into(), "input.event".into())]);

    let account = app.query_scalar("SELECT max(id) FROM account").await;
    let to = || NotificationRecipient { account_id: Some(account), ..guest_recipient() };
    enqueue_notification(&app, 1, NotificationEventType::OrderPlaced, to()).await;
    enqueue_notification(&app, 2, NotificationEventType::OrderConfirmed, to()).await;
    enqueue_notification(&app, 3, NotificationEventType::OrderCanceled, to()).await;
    // Without an address or phone number nothing is sent.
    enqueue_notification(&app, 4, NotificationEventType::OrderPlaced, NotificationRecipient::default()).await;
    app.drain_jobs().await;
    let message_list = query_messages(&app, "").await;
    let reported: Vec<_> = message_list
        .iter()
        .map(|preference| json!([preference["event"], preference["channel"], preference["status"]]))
        .collect();
    let mut reported: Vec<_> = reported.iter().map(ToString::to_string).collect();
    reported.sort();
    assert_eq!(
        reported,
        [
            r#"["ORDER_CANCELED","EMAIL","SENT"]"#,
            r#"["ORDER_CONFIRMED","EMAIL","SENT"]"#,
            r#"["ORDER_CONFIRMED","SMS","SENT"]"#,
            r#"["ORDER_PLACED","EMAIL","SKIPPED"]"#,
            r#"["ORDER_PLACED","SMS","SENT"]"#,
        ]
    );
    let skipped = message_list.iter().find(|preference| preference["status"] == "SKIPPED").expect("one");
    assert_eq!(skipped["failureReason"], "the customer has opted out");
    assert_eq!(read_sent_emails(&app).len(), 2);
    // For staff, one statement for any number of customers.
    let admin = app.login(Role::Admin).await;
    let query = "{ customers(first: 50) { nodes { notificationPreferences { event } language } } }";
    let few = app.query_as(&admin, query, json!({})).await.statements;
    for _ in 0..5 {
        app.login(Role::Customer).await;
    }
    assert_eq!(app.query_as(&admin, query, json!({})).await.statements, few);
}

async fn emails_are_in_the_language_of_the_recipient(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SHOP__LANGUAGE", "sw")]).await;
    let customer = register_customer(&app, None).await;
    let request_verification = "mutation { emailVerificationRequest { accepted } }";
    let set_language = "mutation($language: LanguageCode) { customerUpdate(input: { language: $language }) {
        customer { language } userErrors { code } } }";
    let mut languages_set = Vec::new();
    for language in [json!(null), json!("en"), json!("sw"), json!(null)] {
        let set = app.query_as(&customer, set_language, json!({ "language": language })).await;
        languages_set.push(set.data_at("/customerUpdate/customer/language").as_str().expect("a language").to_owned());
        app.query_as(&customer, request_verification, json!({})).await.data_at("/emailVerificationRequest/accepted");
        app.drain_jobs().await;
    }
    assert_eq!(languages_set, ["sw", "en", "sw", "sw"]);
    let mut message_list = query_messages(&app, "").await;
    message_list.reverse();
    let languages: Vec<_> = message_list.iter().map(|message| message["language"].as_str().expect("text")).collect();
    assert_eq!(languages, ["sw", "sw", "en", "sw", "sw"], "the first is that of the registration");
    let english = read_sent_emails(&app).iter().filter(|email| email.contains("Confirm your e-mail address")).count();
    let swahili = read_sent_emails(&app).iter().filter(|email| email.contains("Thibitisha anwani yako")).count();
    assert_eq!((english, swahili), (1, 4));
}

async fn message_list_filters_and_pages_for_staff(backend: Backend) {
    let app = TestApp::start(backend).await;
    for event in 1..=5 {
        enqueue_notification(&app, event, NotificationEventType::OrderPlaced, guest_recipient()).await;
    }
    let staff = app.login(Role::Staff).await;
    let page = async |arguments: String| {
        let query = format!(
            "{{ notifications({arguments}) {{ totalCount edges {{ cursor node {{ id channel orderId customer {{ id }} }} }}
                pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        app.query_as(&staff, &query, json!({})).await
    };
    let first = page("first: 3, filter: { channel: EMAIL }".into()).await;
    assert_eq!(
        (first.data_at("/notifications/totalCount"), first.data_at("/notifications/pageInfo/hasNextPage")),
        (&json!(5), &json!(true))
    );
    let cursor = first.data_at("/notifications/pageInfo/endCursor").as_str().expect("a cursor").to_owned();
    let second = page(format!("first: 3, after: \"{cursor}\", filter: {{ channel: EMAIL }}")).await;
    assert_eq!(second.data_at("/notifications/pageInfo/hasNextPage"), false);
    let ids = |response: &crate::support::GraphqlResponse| {
        let edges = response.data_at("/notifications/edges").as_array().expect("edges").clone();
        edges.iter().map(|edge| edge["node"]["id"].to_string()).collect::<Vec<_>>()
    };
    let mut all = [ids(&first), ids(&second)].concat();
    all.dedup();
    assert_eq!(all.len(), 5);
    let order = first.data_at("/notifications/edges/0/node/orderId").as_str().expect("an id").to_owned();
    let count_matches = async |filter: String| {
        page(format!("first: 0, filter: {{ {filter} }}")).await.data_at("/notifications/totalCount").clone()
    };
    assert_eq!(count_matches(format!("orderId: \"{order}\"")).await, json!(10));
    assert_eq!(count_matches("recipient: \" WANJIKU@example.com\"".into()).await, json!(5));
    assert_eq!(count_matches("recipient: \"+254712345678\", status: QUEUED".into()).await, json!(5));
    assert_eq!(count_matches("recipient: \"nobody@example.com\"".into()).await, json!(0));
    assert_eq!(count_matches("status: SENT".into()).await, json!(0));
    assert_eq!(count_matches("event: ORDER_PLACED".into()).await, json!(10));
    page("filter: { orderId: \"Q3VzdG9tZXI6MQ\" }".into()).await.assert_error_field("filter.orderId");
    page("first: 3, after: \"nonsense\"".into()).await.assert_error_field("after");
    let single_statements = page("first: 1".into()).await.statements;
    assert_eq!(page("first: 10".into()).await.statements, single_statements);
}

async fn messages_of_a_deleted_customer_are_anonymized(backend: Backend) {
    let app = TestApp::start(backend).await;
    let customer = register_customer(&app, Some("sw")).await;
    app.drain_jobs().await;
    let account = app.query_scalar("SELECT max(id) FROM account").await;
    enqueue_notification(
        &app,
        101,
        NotificationEventType::OrderPlaced,
        NotificationRecipient { account_id: Some(account), ..guest_recipient() },
    )
    .await;
    let set =
        "mutation { notificationPreferenceUpdate(input: { event: ORDER_PLACED, sms: false }) { userErrors { code } } }";
    assert_eq!(app.query_as(&customer, set, json!({})).await.user_errors("notificationPreferenceUpdate"), []);
    let all = app.query_as(&customer, "{ customerExport }", json!({})).await;
    let all = all.data_at("/customerExport");
    let reported: Vec<_> =
        all["notifications"].as_array().expect("notifications").iter().map(|message| &message["recipient"]).collect();
    assert_eq!(reported, [&json!("amani@example.com"), &json!("wanjiku@example.com"), &json!("+254712345678")]);
    assert_eq!(all["notificationPreferences"][0]["event"], "order_placed");
    assert_eq!(all["customer"]["language"], "sw");

    let id = to_customer_id(&query_account_id(&app, &customer).await);
    let delete_mutation = "mutation { customerDelete(password: \"correct horse\") { deletedId userErrors { code } } }";
    assert_eq!(
        app.query_as(&customer, delete_mutation, json!({})).await.data_at("/customerDelete/deletedId"),
        &json!(id)
    );
    app.drain_jobs().await;
    let statement = Statement::from_string(app.db.backend(), "SELECT * FROM notification ORDER BY id");
    let rows = JsonValue::find_by_statement(statement).all(app.db.writer_connection()).await.expect("rows");
    let states: Vec<_> = rows.iter().map(|row| row["status"].as_str().expect("a status")).collect();
    assert_eq!(states, ["sent", "skipped", "skipped"]);
    for row in &rows {
        for trace in ["amani", "wanjiku", "Wanjiku", "Moi Avenue", "712345678"] {
            assert!(!row.to_string().contains(trace), "{trace} is left in {row}");
        }
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM notification_preference").await, 0);
    let message_list = query_messages(&app, "").await;
    let staff = app.login(Role::Admin).await;
    let resend_mutation = "mutation($id: ID!) { notificationResend(id: $id) { userErrors { code field } } }";
    let response = app.query_as(&staff, resend_mutation, json!({ "id": message_list[0]["id"] })).await;
    assert_eq!(response.user_errors("notificationResend"), [("ILLEGAL_TRANSITION".into(), "id".into())]);
}

async fn messages_without_configured_transport_are_skipped(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_SHOP__MODE", "production")]).await;
    enqueue_notification(&app, 1, NotificationEventType::OrderPlaced, guest_recipient()).await;
    app.drain_jobs().await;
    let message_list = query_messages(&app, "").await;
    let reasons: Vec<_> =
        message_list.iter().map(|message| json!([message["status"], message["failureReason"]])).collect();
    assert_eq!(
        reasons,
        [json!(["SKIPPED", "this shop sends nothing by sms"]), json!(["SKIPPED", "this shop sends nothing by email"])]
    );
}

async fn token_email_for_a_changed_account_is_not_sent(backend: Backend) {
    let app = TestApp::start(backend).await;
    register_customer(&app, None).await;
    app.query("mutation { passwordResetRequest(email: \"amani@example.com\") { accepted } }").await;
    // Between the asking and the writing, the account is shut.
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("a change");
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM notification").await, 0);
    assert_eq!((read_sent_emails(&app).len(), app.query_scalar("SELECT count(*) FROM one_time_token").await), (0, 0));

    let app = TestApp::start(backend).await;
    register_customer(&app, None).await;
    app.query("mutation { passwordResetRequest(email: \"amani@example.com\") { accepted } }").await;
    app.execute_sql("UPDATE account SET email_verified_at = created_at").await.expect("a change");
    app.drain_jobs().await;
    let message_list = query_messages(&app, ", filter: { status: SKIPPED }").await;
    assert_eq!((message_list.len(), &message_list[0]["event"]), (1, &json!("VERIFY_EMAIL")), "{message_list:?}");
    assert_eq!(read_sent_emails(&app).len(), 1);
}

async fn session_create_reads_the_current_account(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(Role::Staff).await;
    let account_row =
        account::Entity::find().one(app.db.writer_connection()).await.expect("an answer").expect("an account");
    let open = async || {
        let (client, lifetime) = (ClientInfo::default(), chrono::TimeDelta::days(1));
        let new = NewSession { account: account_row.clone(), client: &client, auth_method: "password", lifetime };
        app.db.write(async |tx| session::create_session(tx, new).await).await
    };
    app.execute_sql("UPDATE account SET role = 'customer'").await.expect("a change");
    let opened = open().await.unwrap_or_else(|error| panic!("no session: {}", error.log_message()));
    assert_eq!(opened.account.role, Role::Customer, "a role that was lost is lost here too");
    for change in ["password_hash = '$argon2id$other'", "password_hash = NULL, disabled_at = created_at"] {
        app.execute_sql(&format!("UPDATE account SET {change}")).await.expect("a change");
        assert!(open().await.is_err(), "{change}");
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM session").await, 2);
}

async fn invalid_message_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    enqueue_notification(&app, 1, NotificationEventType::OrderPlaced, guest_recipient()).await;
    let copy = "INSERT INTO notification (event_id, event_type, channel, recipient, order_id, status, attempts, \
        resend_count, created_at, \
        updated_at) SELECT event_id, event_type, channel, 'other@example.com', order_id, status, 0, 0, created_at, \
        updated_at \
        FROM notification";
    let invalid_statements = [
        copy,
        "UPDATE notification SET status = 'lost'",
        "UPDATE notification SET status = 'failed', failure_reason = NULL",
        "UPDATE notification SET status = 'sent', sent_at = NULL",
        "UPDATE notification SET recipient = NULL",
        "UPDATE notification SET status = 'skipped', failure_reason = 'gone', recipient = NULL",
        "UPDATE notification SET event_type = 'verify_email'",
        "UPDATE notification SET channel = 'pigeon'",
        "UPDATE notification SET language = 'fr'",
        "UPDATE notification SET attempts = -1",
        "UPDATE account SET language = 'fr'",
        "INSERT INTO notification_preference SELECT id, 'reset_password', 'email', true, created_at, created_at FROM account",
    ];
    app.login(Role::Customer).await;
    for sql in invalid_statements {
        assert!(app.execute_sql(sql).await.is_err(), "{sql}");
    }
    assert_eq!(query_messages(&app, ", filter: { status: QUEUED }").await.iter().map(Value::is_object).count(), 2);
}
