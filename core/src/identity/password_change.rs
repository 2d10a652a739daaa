//! Changes and resets of passwords, and their confirmation before critical actions.

use super::{
    Caller, account,
    context::{IdentityContext, PASSWORD_METHOD},
    entity::{OneTimeTokenPurpose, account as account_row},
    one_time_token, password,
    session::{self, IssuedSession, SessionTokens},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::Tx,
};

/// Changes the caller's password. All sessions are revoked; returns the tokens of a new one.
///
/// # Errors
/// Returns `Forbidden` without local accounts, `BadUserInput` if the new password is invalid, `InvalidCredentials` if
/// the current one is wrong, `RateLimited`, or `Unauthenticated` if the account was changed concurrently.
pub async fn change_password(
    context: &IdentityContext<'_>,
    current_password: String,
    new_password: String,
) -> Result<SessionTokens> {
    context.require_local_accounts()?;
    let account_id = context.caller.require_account_id()?;
    let account = account::find_active_account(context.db, account_id).await?;
    let account = account.ok_or_else(|| Error::not_found("", "account"))?;
    let email = account.email.clone().unwrap_or_default();
    password::validate_password(&new_password, &email, "input.newPassword")?;
    let attempt = context.login_attempt(account_id);
    attempt.count_as_failure(context.throttle.db).await?;
    if !context.password_hasher.verify(current_password, account.password_hash.clone()).await? {
        let message = "this is not the current password";
        return Err(Error::user(PublicErrorCode::InvalidCredentials, "input.currentPassword", message));
    }
    let password_hash = context.password_hasher.hash(new_password).await?;
    let changed = context.db.write(async |tx| {
        // A session that was revoked meanwhile must not change the password.
        if let Caller::User { session_id: Some(session_id), .. } = context.caller
            && !session::is_session_active(tx, account_id, session_id).await?
        {
            return Err(account::account_changed_error());
        }
        one_time_token::delete_one_time_tokens(tx, OneTimeTokenPurpose::ResetPassword, account_id).await?;
        let account = account::replace_password(tx, account, password_hash).await?;
        account::record_account_action(tx, account_id, "account.change_password").await?;
        renew_sessions(tx, context, account).await
    });
    let issued = changed.await?;
    attempt.clear_failure(context.throttle.db).await?;
    issue_only_tokens(context, issued).await
}

/// Requests the email with a reset token, if there is an account of this address.
///
/// # Errors
/// Returns `Forbidden` without local accounts, and `RateLimited`.
pub async fn request_password_reset(context: &IdentityContext<'_>, email: &str) -> Result<()> {
    context.require_local_accounts()?;
    let limit = context.throttle.config.password_resets_per_ip;
    context.throttle.count_action(context.throttle.network_subject("reset address", limit).as_slice()).await?;
    let account = account::find_account_by_email(context.db, email).await?;
    match account.filter(|account| account.disabled_at.is_none()) {
        Some(account) => context.request_account_email(account.id, OneTimeTokenPurpose::ResetPassword).await,
        None => Ok(()),
    }
}

/// Sets a new password with the emailed token. All sessions are revoked; returns the tokens of a new one.
///
/// # Errors
/// Returns `Forbidden` without local accounts, `BadUserInput` if the token or the password is invalid, `RateLimited`,
/// or `Unauthenticated` if the account was changed concurrently.
pub async fn reset_password(context: &IdentityContext<'_>, token: &str, new_password: String) -> Result<SessionTokens> {
    context.require_local_accounts()?;
    let purpose = OneTimeTokenPurpose::ResetPassword;
    // Unknown tokens are rejected before hashing, and an invalid password does not consume the token.
    let account_id = context.find_token_account(purpose, token, "token").await?;
    let account = account::find_active_account(context.db, account_id).await?;
    let email = account.and_then(|account| account.email).unwrap_or_default();
    password::validate_password(&new_password, &email, "newPassword")?;
    let password_hash = context.password_hasher.hash(new_password).await?;
    let reset = context.db.write(async |tx| {
        let consumed = one_time_token::consume_one_time_token(tx, purpose, token, "token").await?;
        let account = account::find_active_account(tx, consumed.account_id).await?;
        let account = account.ok_or_else(|| Error::bad_input("token", "the account is disabled or deleted"))?;
        if account.email_verified_at.is_none() {
            // Possession of the emailed token proves access to the mailbox.
            account::mark_email_verified(tx, account.id).await?;
        }
        one_time_token::delete_one_time_tokens(tx, purpose, account.id).await?;
        let account = account::replace_password(tx, account, password_hash).await?;
        account::record_account_action(tx, account.id, "account.reset_password").await?;
        renew_sessions(tx, context, account).await
    });
    issue_only_tokens(context, reset.await?).await
}

/// Revokes all sessions of the account and creates a new one.
async fn renew_sessions(tx: &Tx, context: &IdentityContext<'_>, account: account_row::Model) -> Result<IssuedSession> {
    session::revoke_sessions(tx, account.id, None).await?;
    session::create_session(tx, context.new_session(account, PASSWORD_METHOD)).await
}

/// Returns the tokens of the only remaining session; the revocations take effect on this instance immediately.
async fn issue_only_tokens(context: &IdentityContext<'_>, issued: IssuedSession) -> Result<SessionTokens> {
    context.access_tokens.refresh(context.db).await?;
    context.issue_tokens(issued)
}

/// Verifies the caller's password, so that access to an unlocked device is not sufficient. Counts toward the login rate
/// limit. An account without a password needs none.
///
/// # Errors
/// Returns `InvalidCredentials` if the password is wrong, and `RateLimited` if there were too many failures.
pub async fn confirm_password(context: &IdentityContext<'_>, account_id: i64, password: Option<String>) -> Result<()> {
    let account = account::find_active_account(context.db, account_id).await?;
    let account = account.ok_or_else(|| Error::not_found("id", "customer"))?;
    if account.password_hash.is_none() {
        return Ok(());
    }
    let attempt = context.login_attempt(account_id);
    attempt.count_as_failure(context.throttle.db).await?;
    let password = password::truncate_password(&password.unwrap_or_default());
    if !context.password_hasher.verify(password, account.password_hash).await? {
        return Err(Error::user(PublicErrorCode::InvalidCredentials, "password", "this is not the account's password"));
    }
    attempt.clear_failure(context.throttle.db).await
}
