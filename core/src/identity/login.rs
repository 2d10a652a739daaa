//! Login and logout: with a password, with a code of an OpenID Connect login, or with a refresh token.

use chrono::TimeDelta;
use secrecy::{ExposeSecret, SecretString};

use super::{
    Caller, account,
    context::{IdentityContext, PASSWORD_METHOD},
    entity::OneTimeTokenPurpose,
    login_attempt::{LoginAttempt, LoginSource},
    oidc_login::{self, RedeemedLogin},
    password,
    session::{self, RefreshOutcome, RefreshPolicy, SessionTokens},
};
use crate::base::{Error, Result, error::PublicErrorCode};

/// Login credentials.
#[derive(Debug)]
pub struct PasswordLogin {
    /// Email address; case-insensitive.
    pub email: String,
    /// Password in plain text.
    pub password: SecretString,
    /// Refresh token of an earlier session of the account on this device, if any.
    pub device_token: Option<SecretString>,
}

/// Logs in with email and password.
///
/// # Errors
/// Returns `Forbidden` without local accounts, `InvalidCredentials`, or `RateLimited` if there were too many failures.
pub async fn log_in(context: &IdentityContext<'_>, login: PasswordLogin) -> Result<SessionTokens> {
    context.require_local_accounts()?;
    let PasswordLogin { email, password, device_token } = login;
    let account = account::find_account_by_email(context.db, &email).await?;
    let device = match (&account, device_token) {
        (Some(account), Some(token)) => {
            session::find_session_by_token(context.db, token.expose_secret(), account.id).await?
        }
        _ => None,
    };
    let source = device.map_or(LoginSource::IpAddress(&context.client_info.ip_address), LoginSource::Session);
    let attempt = LoginAttempt::new(context.throttle.config, &account::normalize_email(email.trim()), source);
    attempt.count_as_failure(context.throttle.db).await?;
    let password_hash = account.as_ref().and_then(|account| account.password_hash.clone());
    let password = password::truncate_password(password.expose_secret());
    let is_match = context.password_hasher.verify(password, password_hash).await?;
    let invalid_credentials = || {
        let message = "the e-mail address or the password is wrong";
        Error::user(PublicErrorCode::InvalidCredentials, "input", message)
    };
    let account = account
        .filter(|account| is_match && account.disabled_at.is_none() && account.deleted_at.is_none())
        .ok_or_else(invalid_credentials)?;
    let new_session = context.new_session(account, PASSWORD_METHOD);
    let opened = context.db.write(async |tx| session::create_session(tx, new_session).await);
    let issued = opened.await?;
    attempt.clear_failure(context.throttle.db).await?;
    context.issue_tokens(issued)
}

/// Completes an OpenID Connect login with its one-time code.
///
/// # Errors
/// Returns `BadUserInput` if the code or the verifier is invalid, `Forbidden` if the account is disabled or deleted,
/// and `RateLimited`.
pub async fn complete_oidc_login(context: &IdentityContext<'_>, code: &str, verifier: &str) -> Result<SessionTokens> {
    context.find_token_account(OneTimeTokenPurpose::Login, code, "code").await?;
    let opened = context.db.write(async |tx| {
        let RedeemedLogin { account, provider } = oidc_login::redeem_login_code(tx, code, verifier).await?;
        session::create_session(tx, context.new_session(account, &provider)).await
    });
    context.issue_tokens(opened.await?)
}

/// Exchanges a refresh token for new tokens. Reuse of a used token revokes its session.
///
/// # Errors
/// Returns `Unauthenticated` if the token is invalid, and `RateLimited` if there were too many unknown ones.
pub async fn refresh_tokens(context: &IdentityContext<'_>, token: &str) -> Result<SessionTokens> {
    let reuse_interval = TimeDelta::from_std(context.config.refresh_token_reuse_interval).unwrap_or_default();
    // Unknown tokens are rejected without a transaction.
    let outcome = if session::is_known_token(context.db, token).await? {
        let policy = RefreshPolicy { lifetime: context.session_idle_timeout(), reuse_interval };
        context.db.write(async |tx| session::refresh_session(tx, token, policy).await).await?
    } else {
        context.limit_unknown_tokens().await?;
        RefreshOutcome::Invalid("unknown token")
    };
    let reason = match outcome {
        RefreshOutcome::Issued(issued) => return context.issue_tokens(*issued),
        RefreshOutcome::Reused(reason) => {
            context.access_tokens.refresh(context.db).await?;
            reason
        }
        RefreshOutcome::Invalid(reason) => reason,
    };
    tracing::info!(reason = reason, "refresh token rejected");
    let message = "This refresh token is invalid; sign in again.";
    Err(Error::user(PublicErrorCode::Unauthenticated, "refreshToken", message))
}

/// Revokes the caller's current session; returns the number of revoked sessions.
pub async fn log_out(context: &IdentityContext<'_>) -> Result<i64> {
    match context.caller {
        Caller::User { account_id, session_id: Some(session_id), .. } => {
            revoke_sessions(context, account_id, Some(session_id)).await
        }
        _ => Ok(0),
    }
}

/// Revokes all sessions of the caller; returns their number.
///
/// # Errors
/// Returns `Unauthenticated` or `Forbidden` if the caller has no account.
pub async fn log_out_everywhere(context: &IdentityContext<'_>) -> Result<i64> {
    revoke_sessions(context, context.caller.require_account_id()?, None).await
}

/// Revokes one of the caller's sessions.
///
/// # Errors
/// Returns `NotFound` if it is not an active session of the caller.
pub async fn revoke_session(context: &IdentityContext<'_>, session_id: i64) -> Result<i64> {
    match revoke_sessions(context, context.caller.require_account_id()?, Some(session_id)).await? {
        0 => Err(Error::not_found("id", "session")),
        revoked_count => Ok(revoked_count),
    }
}

/// Revokes sessions, with immediate effect on this instance.
async fn revoke_sessions(context: &IdentityContext<'_>, account_id: i64, session_id: Option<i64>) -> Result<i64> {
    let revoked_count = context.db.write(async |tx| session::revoke_sessions(tx, account_id, session_id).await).await?;
    context.access_tokens.refresh(context.db).await?;
    Ok(i64::try_from(revoked_count).unwrap_or(i64::MAX))
}
