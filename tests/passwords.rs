//! Passwords and verified email addresses: changes, resets and their tokens.

use chrono::TimeDelta;
use savannah::{
    base::error::PublicErrorCode,
    identity::{
        account,
        entity::{self, OneTimeTokenPurpose},
        one_time_token,
    },
};
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    access_tokens::is_rejected,
    integration_tests,
    support::{Backend, TestApp},
};

integration_tests![
    password_change_revokes_other_sessions,
    password_reset_token_is_valid_once,
    password_changed_concurrently_is_not_overwritten,
    password_change_in_flight_does_not_overwrite_a_reset,
    password_reset_with_email_as_password_is_rejected,
    email_is_verified_only_by_the_token_sent_to_it,
];

const CHANGE_PASSWORD: &str =
    "mutation($old: String!, $new: String!) { passwordChange(input: { currentPassword: $old, newPassword: $new }) {
    tokens { accessToken } userErrors { code field } } }";
const RESET_PASSWORD: &str =
    "mutation($token: String!, $new: String!) { passwordReset(token: $token, newPassword: $new) {
    tokens { accessToken } userErrors { code field } } }";

async fn register_customer(app: &TestApp) -> String {
    let register = "mutation { customerRegister(input: { email: \"amani@example.com\", password: \"correct horse\" }) {
        tokens { accessToken } userErrors { code } } }";
    let response = app.query(register).await;
    response.data_at("/customerRegister/tokens/accessToken").as_str().expect("a token").to_owned()
}

async fn password_change_revokes_other_sessions(backend: Backend) {
    let app = TestApp::start(backend).await;
    let first = register_customer(&app).await;
    let rejected =
        app.query_as(&first, CHANGE_PASSWORD, json!({ "old": "wrong horse", "new": "battery staple" })).await;
    assert_eq!(
        rejected.user_errors("passwordChange"),
        [("INVALID_CREDENTIALS".into(), "input.currentPassword".into())]
    );
    let too_short = app.query_as(&first, CHANGE_PASSWORD, json!({ "old": "correct horse", "new": "short" })).await;
    assert_eq!(too_short.user_errors("passwordChange"), [("VALIDATION_ERROR".into(), "input.newPassword".into())]);
    assert!(!is_rejected(&app, &first).await);
    let changed =
        app.query_as(&first, CHANGE_PASSWORD, json!({ "old": "correct horse", "new": "battery staple" })).await;
    assert_eq!(changed.user_errors("passwordChange"), []);
    assert!(is_rejected(&app, &first).await);
    assert!(!is_rejected(&app, changed.data_at("/passwordChange/tokens/accessToken").as_str().expect("a token")).await);
    let anonymous =
        app.query_with_variables(CHANGE_PASSWORD, json!({ "old": "battery staple", "new": "correct horse" })).await;
    assert_eq!(anonymous.error_code(), "UNAUTHENTICATED");
}

async fn password_reset_token_is_valid_once(backend: Backend) {
    const REQUEST_PASSWORD_RESET: &str =
        "mutation($email: String!) { passwordResetRequest(email: $email) { accepted userErrors { code } } }";
    let app = TestApp::start(backend).await;
    let first = register_customer(&app).await;
    for email in ["amani@example.com", "nobody@example.com"] {
        assert_eq!(
            app.query_with_variables(REQUEST_PASSWORD_RESET, json!({ "email": email }))
                .await
                .data_at("/passwordResetRequest/accepted"),
            true
        );
    }
    // Emails are sent only to existing accounts; the token is stored as a digest.
    let count_sql = "SELECT count(*) FROM outbox_event WHERE event_type = 'AccountEmailRequested' AND CAST(payload AS TEXT) LIKE '%reset_password%'";
    assert_eq!(app.query_scalar(count_sql).await, 1);
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM notification WHERE event_type = 'reset_password'").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM one_time_token WHERE purpose = 'reset_password'").await, 1);
    let db = app.open_second_database().await;
    let account = app.query_scalar("SELECT id FROM account").await;
    let make = async |purpose| {
        db.write(async |tx| one_time_token::create_one_time_token(tx, purpose, account, "").await)
            .await
            .expect("a token")
    };
    let (token, other) = (make(OneTimeTokenPurpose::ResetPassword).await, make(OneTimeTokenPurpose::VerifyEmail).await);
    let reset_password = |token: String, new: &'static str| {
        let app = &app;
        async move { app.query_with_variables(RESET_PASSWORD, json!({ "token": token, "new": new })).await }
    };
    let invalid = vec![("VALIDATION_ERROR".to_owned(), "token".to_owned())];
    assert_eq!(
        reset_password(other, "battery staple").await.user_errors("passwordReset"),
        invalid,
        "it is for something else"
    );
    let rejected = reset_password(token.clone(), "short").await;
    assert_eq!(rejected.user_errors("passwordReset"), [("VALIDATION_ERROR".into(), "newPassword".into())]);
    let both =
        tokio::join!(reset_password(token.clone(), "battery staple"), reset_password(token.clone(), "battery staple"));
    let success_count =
        [&both.0, &both.1].into_iter().filter(|response| response.user_errors("passwordReset").is_empty()).count();
    assert_eq!(success_count, 1, "once");
    assert!(is_rejected(&app, &first).await, "earlier sessions are revoked");
    let expired_token = make(OneTimeTokenPurpose::ResetPassword).await;
    app.clock.set(crate::support::parse_datetime("2026-11-01T09:00:00Z") + TimeDelta::hours(1));
    assert_eq!(
        reset_password(expired_token, "battery staple").await.user_errors("passwordReset"),
        invalid,
        "it has ended"
    );
}

async fn password_changed_concurrently_is_not_overwritten(backend: Backend) {
    let app = TestApp::start(backend).await;
    register_customer(&app).await;
    let account_row =
        account::find_account_by_email(&app.db, "amani@example.com").await.expect("an answer").expect("an account");
    let replace = async |account_row: &entity::account::Model, hash: &str| {
        let (account_row, hash) = (account_row.clone(), hash.to_owned());
        let outcome = app.db.write(async |tx| account::replace_password(tx, account_row, hash).await).await;
        outcome.map_err(|error| error.to_public_error().code)
    };
    let now = replace(&account_row, "by its letter").await.expect("replaced");
    assert_eq!(replace(&account_row, "by who knew the old one").await.err(), Some(PublicErrorCode::Unauthenticated));
    app.execute_sql("UPDATE account SET disabled_at = created_at").await.expect("disabled");
    assert_eq!(replace(&now, "of a closed account").await.err(), Some(PublicErrorCode::Unauthenticated));
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE password_hash = 'by its letter'").await, 1);
}

async fn password_change_in_flight_does_not_overwrite_a_reset(backend: Backend) {
    // SQLite serializes writers; there the condition of the statement is tested above.
    if backend == Backend::Sqlite {
        return;
    }
    let app = TestApp::start(backend).await;
    let token = register_customer(&app).await;
    let (holder, watcher) = (app.open_second_database().await, app.open_second_database().await);
    let change = app.query_as(&token, CHANGE_PASSWORD, json!({ "old": "correct horse", "new": "battery staple" }));
    let reset = holder.write(async |tx| {
        tx.execute_unprepared("SELECT id FROM account FOR UPDATE").await?;
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while crate::support::query_scalar(&watcher, waiting).await == 0 {}
        tx.execute_unprepared("UPDATE account SET password_hash = 'by a letter'").await?;
        Ok(())
    });
    let (response, reset_result) = tokio::join!(change, reset);
    reset_result.expect("a reset");
    assert_eq!(response.error_code(), "UNAUTHENTICATED");
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE password_hash = 'by a letter'").await, 1);
}

async fn password_reset_with_email_as_password_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    register_customer(&app).await;
    let account = app.query_scalar("SELECT id FROM account").await;
    let token_result = app
        .db
        .write(async |tx| {
            one_time_token::create_one_time_token(tx, OneTimeTokenPurpose::ResetPassword, account, "").await
        })
        .await;
    let token = token_result.expect("a token");
    let rejected =
        app.query_with_variables(RESET_PASSWORD, json!({ "token": token, "new": "Amani@example.com" })).await;
    assert_eq!(rejected.user_errors("passwordReset"), [("VALIDATION_ERROR".into(), "newPassword".into())]);
    let right = app.query_with_variables(RESET_PASSWORD, json!({ "token": token, "new": "battery staple" })).await;
    assert_eq!(right.user_errors("passwordReset"), [], "the token was not used up");
}

async fn email_is_verified_only_by_the_token_sent_to_it(backend: Backend) {
    const VERIFY_EMAIL: &str =
        "mutation($token: String!) { emailVerify(token: $token) { email userErrors { code field } } }";
    let app = TestApp::start(backend).await;
    let token = register_customer(&app).await;
    let request_response = app.query_as(&token, "mutation { emailVerificationRequest { accepted } }", json!({})).await;
    assert_eq!(request_response.data_at("/emailVerificationRequest/accepted"), true);
    app.drain_jobs().await;
    // One email for the registration, one for the request.
    assert_eq!(app.query_scalar("SELECT count(*) FROM one_time_token WHERE purpose = 'verify_email'").await, 2);
    let db = app.open_second_database().await;
    let account = app.query_scalar("SELECT id FROM account").await;
    let make = async |email| {
        let token_result = db.write(async |tx| {
            one_time_token::create_one_time_token(tx, OneTimeTokenPurpose::VerifyEmail, account, email).await
        });
        token_result.await.expect("a token")
    };
    let (before, current_token) = (make("old@example.com").await, make("amani@example.com").await);
    let invalid = vec![("VALIDATION_ERROR".to_owned(), "token".to_owned())];
    assert_eq!(
        app.query_with_variables(VERIFY_EMAIL, json!({ "token": before })).await.user_errors("emailVerify"),
        invalid
    );
    let response = app.query_with_variables(VERIFY_EMAIL, json!({ "token": current_token })).await;
    assert_eq!(response.data_at("/emailVerify/email"), "amani@example.com");
    assert_eq!(
        app.query_with_variables(VERIFY_EMAIL, json!({ "token": current_token })).await.user_errors("emailVerify"),
        invalid,
        "once"
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM account WHERE email_verified_at IS NOT NULL").await, 1);
}
