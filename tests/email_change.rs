//! Changes of an email address: requested with the password, confirmed at the new address, notified to both.

use chrono::TimeDelta;
use savannah::identity::{email_change, session};
use serde_json::{Value, json};

use crate::{
    access_tokens::is_rejected,
    integration_tests,
    notification_preferences::{extract_token, read_sent_emails},
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    email_address_is_changed_by_the_token_sent_to_the_new_address,
    taken_email_address_is_notified_and_not_revealed,
    replaced_or_expired_email_change_is_rejected,
    invalid_email_change_requests_are_rejected,
    email_address_taken_before_the_confirmation_is_rejected,
    email_change_of_a_disabled_account_is_rejected,
    email_changes_are_exported_erased_and_pruned,
    invalid_email_change_rows_are_rejected_by_the_database,
];

const REQUEST: &str = "mutation($email: String!, $password: String!) {
    emailChangeRequest(input: { newEmail: $email, password: $password }) { accepted userErrors { code field } } }";
const CONFIRM: &str = "mutation($token: String!) { emailChange(token: $token) { email userErrors { code field } } }";
const LOGIN: &str = "mutation($email: String!) { login(input: { email: $email, password: \"correct horse\" }) {
    tokens { accessToken } userErrors { code field } } }";

async fn register(app: &TestApp, email: &str) -> String {
    let query = "mutation($email: String!) { customerRegister(input: { email: $email, password: \"correct horse\" }) {
        tokens { accessToken } userErrors { code field } } }";
    access_token(&app.query_with_variables(query, json!({ "email": email })).await, "customerRegister")
}

fn access_token(response: &GraphqlResponse, mutation: &str) -> String {
    response.data_at(&format!("/{mutation}/tokens/accessToken")).as_str().expect("a token").to_owned()
}

async fn log_in(app: &TestApp, email: &str) -> GraphqlResponse {
    app.query_with_variables(LOGIN, json!({ "email": email })).await
}

async fn request_change(app: &TestApp, token: &str, email: &str) -> GraphqlResponse {
    app.query_as(token, REQUEST, json!({ "email": email, "password": "correct horse" })).await
}

/// Requests a change and returns the token of its email.
async fn request_token(app: &TestApp, token: &str, email: &str) -> String {
    assert_eq!(request_change(app, token, email).await.data_at("/emailChangeRequest/accepted"), true);
    app.drain_jobs().await;
    let address = format!("To: {email}");
    let emails = read_sent_emails(app);
    let email = emails.iter().find(|text| text.contains(&address) && text.contains("Confirm your new e-mail address"));
    extract_token(email.unwrap_or_else(|| panic!("no email to {address}: {emails:?}")))
}

async fn confirm(app: &TestApp, token: &str) -> GraphqlResponse {
    app.query_with_variables(CONFIRM, json!({ "token": token })).await
}

fn invalid_token() -> Vec<(String, String)> {
    vec![("VALIDATION_ERROR".into(), "token".into())]
}

/// Returns the recipients of the emails with a text.
fn recipients_of(app: &TestApp, text: &str) -> Vec<String> {
    let emails = read_sent_emails(app);
    let matching = emails.iter().filter(|email| email.contains(text));
    let recipient = |email: &String| email.lines().find_map(|line| line.strip_prefix("To: ")).expect("To").to_owned();
    let mut recipients: Vec<_> = matching.map(recipient).collect();
    recipients.sort();
    recipients
}

async fn email_address_is_changed_by_the_token_sent_to_the_new_address(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    let other = access_token(&log_in(&app, "old@example.com").await, "login");
    let confirming = access_token(&log_in(&app, "old@example.com").await, "login");
    let token = request_token(&app, &first, "New@example.com").await;
    assert_eq!(token.len(), 43, "{token}");
    // Nothing has changed, and the old address has received only the verification email.
    assert_eq!(log_in(&app, "new@example.com").await.user_errors("login").len(), 1);
    assert_eq!(recipients_of(&app, "Confirm your new e-mail address"), ["New@example.com"]);
    // A session confirms the change in which it did not request it.
    let changed = app.query_as(&confirming, CONFIRM, json!({ "token": token })).await;
    assert_eq!(changed.data_at("/emailChange/email"), "New@example.com");
    assert!(!is_rejected(&app, &first).await, "the session that requested it");
    assert!(!is_rejected(&app, &confirming).await, "the session that confirmed it");
    assert!(is_rejected(&app, &other).await, "another session");
    assert_eq!(confirm(&app, &token).await.user_errors("emailChange"), invalid_token(), "once");
    assert_eq!(log_in(&app, "old@example.com").await.user_errors("login").len(), 1);
    access_token(&log_in(&app, "new@example.com").await, "login");
    let me = app.query_as(&first, "{ me { email emailVerified } }", json!({})).await;
    assert_eq!(me.data_at("/me"), &json!({ "email": "New@example.com", "emailVerified": true }));
    app.drain_jobs().await;
    assert_eq!(recipients_of(&app, "was changed"), ["New@example.com", "old@example.com"]);
    let notices: Vec<_> = read_sent_emails(&app).into_iter().filter(|email| email.contains("was changed")).collect();
    let to_old = notices.iter().find(|email| email.contains("To: old@example.com")).expect("a notice");
    assert!(!to_old.contains("New@example.com"), "{to_old}");
    let count_sql = "SELECT count(*) FROM audit_log WHERE action IN ('account.change_email', \
        'account.request_email_change')";
    assert_eq!(app.query_scalar(count_sql).await, 2);
    app.run_pending_jobs().await;
}

async fn taken_email_address_is_notified_and_not_revealed(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (first, _) = (register(&app, "old@example.com").await, register(&app, "taken@example.com").await);
    let free = request_change(&app, &first, "free@example.com").await;
    let taken = request_change(&app, &first, "Taken@example.com").await;
    assert_eq!((&taken.body, taken.statements), (&free.body, free.statements));
    app.drain_jobs().await;
    assert_eq!(recipients_of(&app, "You already have an account"), ["taken@example.com"]);
    // The first request was replaced before its email was sent.
    assert_eq!(recipients_of(&app, "Confirm your new e-mail address"), Vec::<String>::new());
    assert_eq!(app.query_scalar("SELECT count(*) FROM one_time_token WHERE purpose = 'change_email'").await, 0);
}

async fn replaced_or_expired_email_change_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    let replaced = request_token(&app, &first, "first@example.com").await;
    let current = request_token(&app, &first, "second@example.com").await;
    assert_eq!(confirm(&app, &replaced).await.user_errors("emailChange"), invalid_token());
    app.clock.set(app.clock.now() + TimeDelta::days(1));
    assert_eq!(confirm(&app, &current).await.user_errors("emailChange"), invalid_token());
    assert_eq!(confirm(&app, "made up").await.user_errors("emailChange"), invalid_token());
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE email = 'old@example.com'").await, 1);
}

async fn invalid_email_change_requests_are_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    let errors = async |email: &str, password: Value| {
        let response = app.query_as(&first, REQUEST, json!({ "email": email, "password": password })).await;
        response.user_errors("emailChangeRequest")
    };
    let error = |code: &str, field: &str| vec![(code.to_owned(), field.to_owned())];
    let new_email = "input.newEmail";
    assert_eq!(errors("x", json!("correct horse")).await, error("VALIDATION_ERROR", new_email));
    assert_eq!(errors("new@example.com", json!("wrong")).await, error("INVALID_CREDENTIALS", "input.password"));
    assert_eq!(errors("new@example.com", json!("")).await, error("INVALID_CREDENTIALS", "input.password"));
    assert_eq!(errors("OLD@example.com", json!("correct horse")).await, error("VALIDATION_ERROR", new_email));
    assert_eq!(app.query_scalar("SELECT count(*) FROM email_change").await, 0);
    let without_password = app.login(savannah::identity::Role::Customer).await;
    let rejected = request_change(&app, &without_password, "new@example.com").await;
    assert_eq!(rejected.user_errors("emailChangeRequest"), error("VALIDATION_ERROR", "input.password"));
    let anonymous =
        app.query_with_variables(REQUEST, json!({ "email": "new@example.com", "password": "correct horse" })).await;
    assert_eq!(anonymous.error_code(), "UNAUTHENTICATED");
    // Five requests an hour, whatever comes of them.
    assert_eq!(errors("new1@example.com", json!("correct horse")).await, []);
    assert_eq!(errors("new2@example.com", json!("correct horse")).await, []);
    assert_eq!(request_change(&app, &first, "new3@example.com").await.error_code(), "RATE_LIMITED");
    app.clock.set(app.clock.now() + TimeDelta::hours(1));
    let again = access_token(&log_in(&app, "old@example.com").await, "login");
    assert_eq!(request_change(&app, &again, "new3@example.com").await.user_errors("emailChangeRequest"), []);
    let provider_only = [("SAVANNAH_IDENTITY__LOCAL_ACCOUNTS", "false")];
    let app = TestApp::start_with_settings(backend, &provider_only).await;
    let customer = app.login(savannah::identity::Role::Customer).await;
    assert_eq!(request_change(&app, &customer, "new@example.com").await.error_code(), "FORBIDDEN");
}

async fn email_address_taken_before_the_confirmation_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    let token = request_token(&app, &first, "new@example.com").await;
    register(&app, "new@example.com").await;
    let rejected = confirm(&app, &token).await;
    assert_eq!(rejected.user_errors("emailChange"), [("ALREADY_EXISTS".into(), "token".into())]);
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE email = 'old@example.com'").await, 1);
    assert!(!is_rejected(&app, &first).await);
}

async fn email_change_of_a_disabled_account_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    let token = request_token(&app, &first, "new@example.com").await;
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("disabled");
    assert_eq!(confirm(&app, &token).await.user_errors("emailChange"), invalid_token());
}

async fn email_changes_are_exported_erased_and_pruned(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    let token = request_token(&app, &first, "new@example.com").await;
    confirm(&app, &token).await;
    request_change(&app, &first, "third@example.com").await;
    let export = app.query_as(&first, "{ customerExport }", json!({})).await;
    let changes = export.data_at("/customerExport/emailChanges");
    assert_eq!(changes[0]["oldEmail"], "old@example.com");
    assert_eq!(
        (&changes[0]["newEmail"], &changes[1]["newEmail"]),
        (&json!("new@example.com"), &json!("third@example.com"))
    );
    assert!(changes[0]["confirmedAt"].is_string() && changes[1]["confirmedAt"].is_null(), "{changes}");
    // Expired changes are kept for a month.
    app.clock.set(app.clock.now() + TimeDelta::days(31));
    email_change::delete_expired_email_changes(&app.db).await.expect("pruned");
    assert_eq!(app.query_scalar("SELECT count(*) FROM email_change").await, 2);
    app.clock.set(app.clock.now() + TimeDelta::seconds(1));
    email_change::delete_expired_email_changes(&app.db).await.expect("pruned");
    assert_eq!(app.query_scalar("SELECT count(*) FROM email_change").await, 0);

    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    request_token(&app, &first, "new@example.com").await;
    let deletion = "mutation { customerDelete(password: \"correct horse\") { deletedId userErrors { code } } }";
    assert!(app.query_as(&first, deletion, json!({})).await.data_at("/customerDelete/deletedId").is_string());
    let traces = "SELECT (SELECT count(*) FROM email_change) + (SELECT count(*) FROM one_time_token) \
        + (SELECT count(*) FROM notification WHERE recipient IS NOT NULL)";
    assert_eq!(app.query_scalar(traces).await, 0);
    session::delete_expired_sessions(&app.db).await.expect("pruned");
}

async fn invalid_email_change_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register(&app, "old@example.com").await;
    request_change(&app, &first, "new@example.com").await;
    for sql in [
        "INSERT INTO email_change (account_id, old_email, new_email, expires_at, created_at, updated_at) \
         SELECT account_id, old_email, 'other@example.com', expires_at, created_at, updated_at FROM email_change",
        "UPDATE email_change SET new_email = old_email",
        "UPDATE email_change SET new_email = ''",
        "UPDATE email_change SET account_id = 99",
        "UPDATE email_change SET session_id = 99",
        "UPDATE email_change SET expires_at = created_at",
        "UPDATE one_time_token SET purpose = 'other'",
    ] {
        let is_rejected = app.execute_sql(sql).await.map_or(true, |rows| rows == 0 && sql.contains("one_time_token"));
        assert!(is_rejected, "the database accepted: {sql}");
    }
}
