//! Password changes and resets, email verification.

use async_graphql::{Context, InputObject, Object};

use super::{
    context::{RequestContext, request_context},
    guard::{Public, RequireLogin},
    payload::payload,
    session::{SessionPayload, Tokens, require_local_accounts, session_idle_timeout},
    throttle,
};
use crate::{
    base::{Error, Result, error::PublicErrorCode, global_id::NodeType},
    identity::{
        Caller, account,
        entity::account as row,
        login_attempt::{LoginAttempt, LoginSource},
        one_time_token::{self, AccountEmailRequested, OneTimeTokenPurpose},
        password,
        session::{self, IssuedSession},
    },
    infra::{AuditRecord, Tx},
};

payload!(
    /// Payload of the email requests. Does not reveal whether an account exists.
    MailPayload {
        /// Whether the request was accepted. An email is sent only if the account exists.
        accepted: bool
    }
);

payload!(
    /// Payload of `emailVerify`.
    EmailVerifyPayload {
        /// Verified email address.
        email: String
    }
);

/// Input of a password change.
#[derive(Debug, InputObject)]
pub struct PasswordChangeInput {
    /// Current password.
    current_password: String,
    /// New password, from 8 to 128 characters.
    new_password: String,
}

/// Password and email verification mutations.
#[derive(Debug, Default)]
pub struct PasswordMutation;

#[Object]
impl PasswordMutation {
    /// Changes the caller's password. All other sessions are revoked; new tokens are returned.
    #[graphql(guard = "RequireLogin")]
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Current and new password.")] input: PasswordChangeInput,
    ) -> Result<SessionPayload> {
        SessionPayload::from_result(change_password(request_context(ctx), input).await)
    }

    /// Emails a password-reset token, valid for one hour.
    #[graphql(guard = "Public")]
    async fn password_reset_request(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Email address of the account.")] email: String,
    ) -> Result<MailPayload> {
        MailPayload::from_result(request_password_reset(request_context(ctx), &email).await.map(|()| true))
    }

    /// Sets a new password with a reset token. All sessions are revoked; new tokens are returned.
    #[graphql(guard = "Public")]
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Token from the email.")] token: String,
        #[graphql(desc = "New password, from 8 to 128 characters.")] new_password: String,
    ) -> Result<SessionPayload> {
        SessionPayload::from_result(reset_password(request_context(ctx), &token, new_password).await)
    }

    /// Emails a verification token, valid for two days.
    #[graphql(guard = "RequireLogin")]
    async fn email_verification_request(&self, ctx: &Context<'_>) -> Result<MailPayload> {
        let context = request_context(ctx);
        let account_id = context.caller.require_account_id()?;
        let account = account::find_active_account(&context.db, account_id)
            .await?
            .filter(|account| account.email_verified_at.is_none());
        if account.is_some_and(|account| account.email.is_some()) {
            request_account_email(context, account_id, OneTimeTokenPurpose::VerifyEmail).await?;
        }
        MailPayload::from_result(Ok(true))
    }

    /// Verifies the email address with the token.
    #[graphql(guard = "Public")]
    async fn email_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Token from the email.")] token: String,
    ) -> Result<EmailVerifyPayload> {
        EmailVerifyPayload::from_result(verify_email(request_context(ctx), &token).await)
    }
}

async fn verify_email(context: &RequestContext, token: &str) -> Result<String> {
    find_token_account(context, OneTimeTokenPurpose::VerifyEmail, token).await?;
    let verified = context.db.write(async |tx| {
        let consumed_token =
            one_time_token::consume_one_time_token(tx, OneTimeTokenPurpose::VerifyEmail, token, "token").await?;
        let account = account::find_active_account(tx, consumed_token.account_id).await?;
        // The token is valid only for the address that it was sent to.
        let email = account.and_then(|account| account.email).filter(|email| *email == consumed_token.metadata);
        let email = email.ok_or_else(|| Error::bad_input("token", "the account has another e-mail address by now"))?;
        account::mark_email_verified(tx, consumed_token.account_id).await?;
        one_time_token::delete_one_time_tokens(tx, OneTimeTokenPurpose::VerifyEmail, consumed_token.account_id).await?;
        record_audit_entry(tx, consumed_token.account_id, "account.verify_email").await?;
        Ok(email)
    });
    verified.await
}

/// Returns the account of an emailed token. Unknown tokens count toward the rate limit.
async fn find_token_account(context: &RequestContext, purpose: OneTimeTokenPurpose, token: &str) -> Result<i64> {
    if let Some(account_id) =
        one_time_token::find_account_by_token(&context.db, purpose, token, context.db.now()).await?
    {
        return Ok(account_id);
    }
    throttle::limit_unknown_tokens(context).await?;
    Err(one_time_token::invalid_token_error("token"))
}

/// Creates a login attempt of a logged-in account, counted per session so that other clients cannot exhaust its limit.
pub(super) fn build_login_attempt(context: &RequestContext, account_id: i64) -> LoginAttempt {
    let source = match context.caller {
        Caller::User { session_id: Some(session_id), .. } => LoginSource::Session(session_id),
        _ => LoginSource::IpAddress(&context.client_info.ip_address),
    };
    LoginAttempt::new(&context.app_state.config.throttle, &format!("account {account_id}"), source)
}

async fn change_password(context: &RequestContext, input: PasswordChangeInput) -> Result<Tokens> {
    require_local_accounts(context)?;
    let PasswordChangeInput { current_password, new_password } = input;
    let account_id = context.caller.require_account_id()?;
    let account = account::find_active_account(&context.db, account_id).await?;
    let account = account.ok_or_else(|| Error::not_found("", "account"))?;
    let email = account.email.clone().unwrap_or_default();
    password::validate_password(&new_password, &email, "input.newPassword")?;
    let attempt = build_login_attempt(context, account_id);
    attempt.count_as_failure(&context.app_state.db).await?;
    if !context.app_state.password_hasher.verify(current_password, account.password_hash.clone()).await? {
        return Err(Error::user(
            PublicErrorCode::InvalidCredentials,
            "input.currentPassword",
            "this is not the password so far",
        ));
    }
    let password_hash = context.app_state.password_hasher.hash(new_password).await?;
    let new_session = context.db.write(async |tx| {
        // A session that was revoked meanwhile must not change the password.
        if let Caller::User { session_id: Some(session_id), .. } = context.caller
            && !session::is_session_active(tx, account_id, session_id).await?
        {
            return Err(session::account_changed_error());
        }
        one_time_token::delete_one_time_tokens(tx, OneTimeTokenPurpose::ResetPassword, account_id).await?;
        replace_password(tx, (account, password_hash), "account.change_password", context).await
    });
    let new_session = new_session.await?;
    attempt.clear_failure(&context.app_state.db).await?;
    issue_new_tokens(context, new_session).await
}

async fn request_password_reset(context: &RequestContext, email: &str) -> Result<()> {
    require_local_accounts(context)?;
    throttle::limit_reset_requests(context).await?;
    let account =
        account::find_account_by_email(&context.db, email).await?.filter(|account| account.disabled_at.is_none());
    if let Some(account) = account {
        request_account_email(context, account.id, OneTimeTokenPurpose::ResetPassword).await?;
    }
    Ok(())
}

/// Requests an email; its token is created when the email is rendered. Skipped if the rate limit is reached.
async fn request_account_email(context: &RequestContext, account_id: i64, purpose: OneTimeTokenPurpose) -> Result<()> {
    if !throttle::allow_account_email(context, account_id, purpose).await? {
        return Ok(());
    }
    context.db.write(async |tx| tx.emit_event(AccountEmailRequested { account: account_id, purpose }).await).await
}

async fn reset_password(context: &RequestContext, token: &str, new_password: String) -> Result<Tokens> {
    require_local_accounts(context)?;
    // Unknown tokens are rejected before hashing, and an invalid password does not consume the token.
    let account_id = find_token_account(context, OneTimeTokenPurpose::ResetPassword, token).await?;
    let account = account::find_active_account(&context.db, account_id).await?;
    let email = account.and_then(|account| account.email).unwrap_or_default();
    password::validate_password(&new_password, &email, "newPassword")?;
    let password_hash = context.app_state.password_hasher.hash(new_password).await?;
    let new_session = context.db.write(async |tx| {
        let consumed_token =
            one_time_token::consume_one_time_token(tx, OneTimeTokenPurpose::ResetPassword, token, "token").await?;
        let account = account::find_active_account(tx, consumed_token.account_id).await?;
        let account = account.ok_or_else(|| Error::bad_input("token", "the account may not sign in"))?;
        if account.email_verified_at.is_none() {
            // Possession of the emailed token proves access to the mailbox.
            account::mark_email_verified(tx, account.id).await?;
        }
        one_time_token::delete_one_time_tokens(tx, OneTimeTokenPurpose::ResetPassword, account.id).await?;
        replace_password(tx, (account, password_hash), "account.reset_password", context).await
    });
    issue_new_tokens(context, new_session.await?).await
}

/// Replaces the password, revokes all sessions of the account and creates a new session.
async fn replace_password(
    tx: &Tx,
    (account, password_hash): (row::Model, String),
    action: &'static str,
    context: &RequestContext,
) -> Result<IssuedSession> {
    let account = account::replace_password(tx, account, password_hash).await?;
    record_audit_entry(tx, account.id, action).await?;
    session::revoke_sessions(tx, account.id, None).await?;
    session::create_session(tx, account, &context.client_info, ("password", session_idle_timeout(context))).await
}

/// Returns the tokens of the only remaining session; the revocations take effect on this instance immediately.
async fn issue_new_tokens(context: &RequestContext, new_session: IssuedSession) -> Result<Tokens> {
    context.app_state.access_token_service.refresh(&context.db).await?;
    Tokens::issue(context, new_session)
}

/// Records the action in the audit log, without secrets.
async fn record_audit_entry(tx: &Tx, account_id: i64, action: &'static str) -> Result<()> {
    tx.record_audit(&[AuditRecord { action, entity: (NodeType::Customer, account_id), before: None, after: None }])
        .await
}
