//! One-time codes by email and SMS: login, and verification of phone numbers.

use chrono::TimeDelta;
use futures_util::future::join_all;
use savannah::identity::{Role, login_code};
use serde_json::{Value, json};

use crate::{
    access_tokens::is_rejected,
    integration_tests,
    notification_preferences::{extract_token, read_sent_emails},
    support::{Backend, GraphqlResponse, TestApp},
};

integration_tests![
    customer_logs_in_with_an_emailed_code,
    customer_logs_in_with_a_code_by_sms_to_a_verified_phone,
    code_request_does_not_reveal_whether_an_account_exists,
    attempts_of_a_code_are_limited,
    code_is_valid_for_ten_minutes_and_once,
    code_requests_are_limited_by_recipient_and_ip,
    code_of_an_unverified_address_removes_the_earlier_credentials,
    accounts_with_permissions_and_disabled_accounts_receive_no_code,
    verified_phone_moves_to_the_account_that_verifies_it,
    changed_phone_is_unverified,
    invalid_login_code_rows_are_rejected_by_the_database,
];

const REQUEST: &str = "mutation($to: LoginCodeRecipientInput!) { loginCodeRequest(recipient: $to) {
    request userErrors { code field } } }";
const LOGIN: &str = "mutation($input: LoginCodeInput!) { loginCode(input: $input) {
    tokens { accessToken } session { method } userErrors { code field } } }";
const REQUEST_PHONE: &str = "mutation { phoneVerificationRequest { request userErrors { code field } } }";
const VERIFY_PHONE: &str =
    "mutation($input: PhoneVerifyInput!) { phoneVerify(input: $input) { phone userErrors { code field } } }";
const PHONE: &str = "+254712345678";

async fn request_code(app: &TestApp, to: Value) -> String {
    let response = app.query_with_variables(REQUEST, json!({ "to": to })).await;
    assert_eq!(response.user_errors("loginCodeRequest"), []);
    response.data_at("/loginCodeRequest/request").as_str().expect("a token").to_owned()
}

async fn enter_code(app: &TestApp, request: &str, code: &str) -> GraphqlResponse {
    app.query_with_variables(LOGIN, json!({ "input": { "request": request, "code": code } })).await
}

fn access_token(response: &GraphqlResponse) -> String {
    response.data_at("/loginCode/tokens/accessToken").as_str().expect("a token").to_owned()
}

fn invalid_code() -> Vec<(String, String)> {
    vec![("INVALID_CREDENTIALS".into(), "input.code".into())]
}

/// Sends pending messages and returns the codes of all emails, in no particular order.
async fn emailed_codes(app: &TestApp) -> Vec<String> {
    app.drain_jobs().await;
    let emails = read_sent_emails(app);
    emails.iter().filter(|email| email.contains("Your code for signing in")).map(|email| extract_token(email)).collect()
}

/// Sends pending messages and returns the texts of all SMS.
async fn sent_sms(app: &TestApp) -> Vec<String> {
    app.drain_jobs().await;
    let files = std::fs::read_dir(app.message_directory.path()).into_iter().flatten();
    let files = files.map(|file| file.expect("a file").path());
    let sms = files.filter(|file| file.extension().is_some_and(|kind| kind == "txt"));
    sms.map(|file| std::fs::read_to_string(file).expect("an SMS")).collect()
}

fn code_of_sms(text: &str) -> String {
    text.split_once("code is ").expect("a code").1[..6].to_owned()
}

async fn query_email(app: &TestApp, number: i64) -> String {
    let sql = format!("SELECT count(*) FROM account WHERE email = 'customer{number}@example.com'");
    assert_eq!(app.query_scalar(&sql).await, 1);
    format!("customer{number}@example.com")
}

/// Sets the phone number of an account and verifies it by SMS.
async fn verify_phone(app: &TestApp, token: &str) {
    set_phone(app, token, PHONE).await;
    let requested = app.query_as(token, REQUEST_PHONE, json!({})).await;
    assert_eq!(requested.user_errors("phoneVerificationRequest"), []);
    let request = requested.data_at("/phoneVerificationRequest/request").as_str().expect("a token").to_owned();
    // The request tells which of several codes belongs to it.
    let mut outcomes = Vec::new();
    for text in sent_sms(app).await {
        let input = json!({ "input": { "request": request, "code": code_of_sms(&text) } });
        outcomes.push(app.query_as(token, VERIFY_PHONE, input).await.user_errors("phoneVerify"));
    }
    assert_eq!(outcomes.iter().filter(|errors| errors.is_empty()).count(), 1, "{outcomes:?}");
}

async fn set_phone(app: &TestApp, token: &str, phone: &str) {
    let query = "mutation($phone: String) { customerUpdate(input: { phone: $phone }) { userErrors { code } } }";
    assert_eq!(app.query_as(token, query, json!({ "phone": phone })).await.user_errors("customerUpdate"), []);
}

async fn is_phone_verified(app: &TestApp, token: &str) -> bool {
    app.query_as(token, "{ me { phoneVerified } }", json!({})).await.data_at("/me/phoneVerified") == true
}

async fn customer_logs_in_with_an_emailed_code(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(Role::Customer).await;
    let email = query_email(&app, 1).await;
    let cart = app.create_cart(None, &[]).await;
    let request = request_code(&app, json!({ "email": email.to_uppercase() })).await;
    let codes = emailed_codes(&app).await;
    assert_eq!(codes.len(), 1);
    let code = &codes[0];
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    // Neither the code nor the token of the request is in the database.
    let secrets = format!(
        "SELECT count(*) FROM login_code WHERE request_hash = '{request}' OR code_hash IS NULL OR code_hash LIKE '{code}' \
         OR code_hash NOT LIKE '$argon2id$%'"
    );
    assert_eq!(app.query_scalar(&secrets).await, 0);
    let input = json!({ "request": request, "code": format!("{} {}", &code[..3], &code[3..]), "cartId": cart });
    let response = app.query_with_variables(LOGIN, json!({ "input": input })).await;
    assert_eq!(response.data_at("/loginCode/session/method"), "login_code");
    let token = access_token(&response);
    let me = app.query_as(&token, "{ me { email customer { cart { id } } } }", json!({})).await;
    assert_eq!((me.data_at("/me/email"), me.data_at("/me/customer/cart/id")), (&json!(email), &json!(cart)));
    assert_eq!(app.query_scalar("SELECT count(*) FROM login_code").await, 0);
    app.run_pending_jobs().await;
}

async fn customer_logs_in_with_a_code_by_sms_to_a_verified_phone(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    set_phone(&app, &token, PHONE).await;
    // An unverified number is not a login name: its owner may be another person.
    request_code(&app, json!({ "phone": PHONE })).await;
    assert_eq!(sent_sms(&app).await, Vec::<String>::new());
    verify_phone(&app, &token).await;
    assert!(is_phone_verified(&app, &token).await);
    let before = sent_sms(&app).await;
    let request = request_code(&app, json!({ "phone": "0712 345 678" })).await;
    let sms: Vec<_> = sent_sms(&app).await.into_iter().filter(|text| !before.contains(text)).collect();
    assert!(sms.len() == 1 && sms[0].starts_with("To: +254712345678\n"), "{sms:?}");
    let response = enter_code(&app, &request, &code_of_sms(&sms[0])).await;
    assert!(!is_rejected(&app, &access_token(&response)).await);
}

async fn code_request_does_not_reveal_whether_an_account_exists(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(Role::Customer).await;
    let email = query_email(&app, 1).await;
    let ask = async |email: &str| app.query_with_variables(REQUEST, json!({ "to": { "email": email } })).await;
    let (known, unknown) = (ask(&email).await, ask("nobody@example.com").await);
    assert_eq!(known.statements, unknown.statements);
    let request = |response: &GraphqlResponse| {
        response.data_at("/loginCodeRequest/request").as_str().expect("a token").to_owned()
    };
    assert_eq!((request(&known).len(), request(&unknown).len()), (43, 43));
    assert_eq!(emailed_codes(&app).await.len(), 1);
    let (of_known, of_unknown, of_none) = (
        enter_code(&app, &request(&known), "000000x").await,
        enter_code(&app, &request(&unknown), "000000x").await,
        enter_code(&app, "made up", "000000x").await,
    );
    assert_eq!(of_known.user_errors("loginCode"), invalid_code());
    assert_eq!((&of_known.body, of_known.statements), (&of_unknown.body, of_unknown.statements));
    assert_eq!(of_known.body, of_none.body);
    for (to, field) in [(json!({ "email": "x" }), "recipient.email"), (json!({ "phone": "1" }), "recipient.phone")] {
        let response = app.query_with_variables(REQUEST, json!({ "to": to })).await;
        assert_eq!(response.user_errors("loginCodeRequest"), [("VALIDATION_ERROR".into(), field.into())]);
    }
}

async fn attempts_of_a_code_are_limited(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(Role::Customer).await;
    let email = query_email(&app, 1).await;
    let request = request_code(&app, json!({ "email": email })).await;
    let code = emailed_codes(&app).await.remove(0);
    let wrong = if code == "123456" { "654321" } else { "123456" };
    let attempts = join_all((0..5).map(|_| enter_code(&app, &request, wrong))).await;
    assert!(attempts.iter().all(|response| response.user_errors("loginCode") == invalid_code()));
    assert_eq!(enter_code(&app, &request, &code).await.user_errors("loginCode"), invalid_code(), "the sixth attempt");
    // Another request has its own code and attempts.
    let second_request = request_code(&app, json!({ "email": email })).await;
    let second_code = emailed_codes(&app).await.into_iter().find(|found| *found != code).expect("another code");
    assert_eq!(enter_code(&app, &second_request, &code).await.user_errors("loginCode"), invalid_code());
    access_token(&enter_code(&app, &second_request, &second_code).await);
}

async fn code_is_valid_for_ten_minutes_and_once(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(Role::Customer).await;
    let email = query_email(&app, 1).await;
    let request = request_code(&app, json!({ "email": email })).await;
    let code = emailed_codes(&app).await.remove(0);
    app.clock.set(app.clock.now() + TimeDelta::minutes(10) - TimeDelta::seconds(1));
    let responses = join_all((0..4).map(|_| enter_code(&app, &request, &code))).await;
    let successful = responses.iter().filter(|response| response.user_errors("loginCode").is_empty());
    assert_eq!(successful.count(), 1, "once");
    let late_request = request_code(&app, json!({ "email": email })).await;
    let late_code = emailed_codes(&app).await.into_iter().find(|found| *found != code).expect("another code");
    app.clock.set(app.clock.now() + TimeDelta::minutes(10));
    assert_eq!(enter_code(&app, &late_request, &late_code).await.user_errors("loginCode"), invalid_code());
    login_code::delete_expired_login_codes(&app.db).await.expect("pruned");
    assert_eq!(app.query_scalar("SELECT count(*) FROM login_code").await, 0);
    // A message that is sent too late contains no code.
    request_code(&app, json!({ "email": email })).await;
    app.clock.set(app.clock.now() + TimeDelta::minutes(10));
    assert_eq!(emailed_codes(&app).await.len(), 2);
}

async fn code_requests_are_limited_by_recipient_and_ip(backend: Backend) {
    let settings =
        [("SAVANNAH_THROTTLE__LOGIN_CODES_PER_IP", "4/1h"), ("SAVANNAH_THROTTLE__LOGIN_CODES_PER_RECIPIENT", "2/1h")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    for email in ["a@example.com", "A@example.com", "b@example.com", "b@example.com"] {
        request_code(&app, json!({ "email": email })).await;
    }
    let rejected = async |email: &str| {
        app.query_with_variables(REQUEST, json!({ "to": { "email": email } })).await.error_code().to_owned()
    };
    assert_eq!(
        (rejected("a@example.com").await, rejected("c@example.com").await),
        ("RATE_LIMITED".into(), "RATE_LIMITED".into())
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM login_code").await, 4);
}

async fn code_of_an_unverified_address_removes_the_earlier_credentials(backend: Backend) {
    let app = TestApp::start(backend).await;
    let register = "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        tokens { accessToken } userErrors { code field } } }";
    let registered = app.query(register).await;
    let earlier = registered.data_at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned();
    let request = request_code(&app, json!({ "email": "amani@example.com" })).await;
    let code = emailed_codes(&app).await.remove(0);
    let token = access_token(&enter_code(&app, &request, &code).await);
    assert!(is_rejected(&app, &earlier).await);
    let me = app.query_as(&token, "{ me { emailVerified } }", json!({})).await;
    assert_eq!(me.data_at("/me/emailVerified"), true);
    let login = "mutation { login(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        userErrors { code field } } }";
    assert_eq!(app.query(login).await.user_errors("login").len(), 1);
    // Of a verified address, a code opens a session and changes nothing else.
    let request = request_code(&app, json!({ "email": "amani@example.com" })).await;
    let code = emailed_codes(&app).await.into_iter().find(|found| *found != code).expect("another code");
    access_token(&enter_code(&app, &request, &code).await);
    assert!(!is_rejected(&app, &token).await);
}

async fn accounts_with_permissions_and_disabled_accounts_receive_no_code(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.login(Role::Staff).await;
    app.login(Role::Admin).await;
    app.login(Role::Customer).await;
    app.execute_sql("UPDATE account SET disabled_at = created_at WHERE role = 'customer'").await.expect("disabled");
    for email in ["staff1@example.com", "admin2@example.com", "customer3@example.com"] {
        request_code(&app, json!({ "email": email })).await;
    }
    assert_eq!(emailed_codes(&app).await, Vec::<String>::new());
    // An account that is disabled after the request cannot log in.
    app.execute_sql("UPDATE account SET disabled_at = NULL").await.expect("enabled");
    let request = request_code(&app, json!({ "email": "customer3@example.com" })).await;
    let code = emailed_codes(&app).await.remove(0);
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("disabled");
    assert_eq!(enter_code(&app, &request, &code).await.user_errors("loginCode"), invalid_code());
}

async fn verified_phone_moves_to_the_account_that_verifies_it(backend: Backend) {
    let app = TestApp::start(backend).await;
    let (first, second) = (app.login(Role::Customer).await, app.login(Role::Customer).await);
    verify_phone(&app, &first).await;
    verify_phone(&app, &second).await;
    assert_eq!((is_phone_verified(&app, &first).await, is_phone_verified(&app, &second).await), (false, true));
    let again = app.query_as(&second, REQUEST_PHONE, json!({})).await;
    assert_eq!(again.user_errors("phoneVerificationRequest"), [("VALIDATION_ERROR".into(), String::new())]);
    // A code of one account does not verify the phone of another, and is no login code.
    let requested = app.query_as(&first, REQUEST_PHONE, json!({})).await;
    let request = requested.data_at("/phoneVerificationRequest/request").as_str().expect("a token").to_owned();
    for text in sent_sms(&app).await {
        let code = code_of_sms(&text);
        let input = json!({ "input": { "request": request, "code": code } });
        assert_eq!(app.query_as(&second, VERIFY_PHONE, input).await.user_errors("phoneVerify"), invalid_code());
        assert_eq!(enter_code(&app, &request, &code).await.user_errors("loginCode"), invalid_code());
    }
}

async fn changed_phone_is_unverified(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    verify_phone(&app, &token).await;
    set_phone(&app, &token, "0712 345 678").await;
    assert!(is_phone_verified(&app, &token).await, "the same number");
    set_phone(&app, &token, "+254712345679").await;
    assert!(!is_phone_verified(&app, &token).await);
    let deletion = "mutation { customerDelete { deletedId userErrors { code } } }";
    verify_phone(&app, &token).await;
    app.query_as(&token, REQUEST_PHONE, json!({})).await;
    assert!(app.query_as(&token, deletion, json!({})).await.data_at("/customerDelete/deletedId").is_string());
    assert_eq!(app.query_scalar("SELECT count(*) FROM login_code WHERE account_id IS NOT NULL").await, 0);
}

async fn invalid_login_code_rows_are_rejected_by_the_database(backend: Backend) {
    let app = TestApp::start(backend).await;
    let token = app.login(Role::Customer).await;
    verify_phone(&app, &token).await;
    request_code(&app, json!({ "phone": PHONE })).await;
    for sql in [
        "UPDATE login_code SET attempts = 6",
        "UPDATE login_code SET attempts = -1",
        "UPDATE login_code SET recipient = NULL",
        "UPDATE login_code SET account_id = NULL, recipient = NULL, code_hash = 'x'",
        "UPDATE login_code SET purpose = 'other'",
        "UPDATE login_code SET purpose = 'verify_phone', channel = 'email'",
        "UPDATE login_code SET channel = 'fax'",
        "UPDATE login_code SET expires_at = created_at",
        "UPDATE account SET phone = NULL",
        "INSERT INTO account (email, email_normalized, role, first_name, last_name, phone, phone_verified_at, version, \
         created_at, updated_at) SELECT NULL, NULL, role, '', '', phone, phone_verified_at, 1, created_at, updated_at \
         FROM account WHERE phone_verified_at IS NOT NULL",
    ] {
        assert!(app.execute_sql(sql).await.is_err(), "the database accepted: {sql}");
    }
}
