//! Dependencies of the account use cases in a request.

use chrono::TimeDelta;

use super::{
    AccessTokenService, Caller, LoginAttempt, PasswordHashPool,
    entity::{OneTimeTokenPurpose, account},
    login_attempt::LoginSource,
    one_time_token::{self, AccountEmailRequested},
    session::{ClientInfo, IssuedSession, NewSession, SessionTokens},
};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::{Db, RequestThrottle, config::IdentityConfig, throttle::ThrottleSubject},
};

/// Authentication method of sessions that began with a password.
pub(super) const PASSWORD_METHOD: &str = "password";

/// Dependencies of the account use cases in a request.
#[derive(Debug, Clone, Copy)]
pub struct IdentityContext<'a> {
    /// Database view of the request.
    pub db: &'a Db,
    /// Identity settings.
    pub config: &'a IdentityConfig,
    /// Issuer of access tokens.
    pub access_tokens: &'a AccessTokenService,
    /// Hashes and verifies passwords.
    pub password_hasher: &'a PasswordHashPool,
    /// Rate limits of the request.
    pub throttle: RequestThrottle<'a>,
    /// Caller.
    pub caller: Caller,
    /// Client of the request.
    pub client_info: &'a ClientInfo,
}

impl IdentityContext<'_> {
    /// Checks that accounts with passwords are enabled.
    ///
    /// # Errors
    /// Returns `Forbidden` if they are not.
    pub(super) fn require_local_accounts(&self) -> Result<()> {
        if self.config.local_accounts {
            return Ok(());
        }
        let message = "This shop has no accounts with passwords; sign in through a provider.";
        Err(Error::user(PublicErrorCode::Forbidden, "", message))
    }

    /// Returns the idle timeout of a session.
    pub(super) fn session_idle_timeout(&self) -> TimeDelta {
        TimeDelta::from_std(self.config.session_idle_timeout).unwrap_or(TimeDelta::MAX)
    }

    /// Returns the data of a new session of the request's client.
    pub(super) fn new_session<'s>(&'s self, account: account::Model, auth_method: &'s str) -> NewSession<'s> {
        NewSession { account, client: self.client_info, auth_method, lifetime: self.session_idle_timeout() }
    }

    /// Issues the tokens of a session.
    pub(super) fn issue_tokens(&self, issued: IssuedSession) -> Result<SessionTokens> {
        self.access_tokens.issue_session_tokens(issued, self.db.now())
    }

    /// Creates a password attempt of a logged-in account, counted per session so that other clients cannot exhaust its
    /// limit.
    pub(super) fn login_attempt(&self, account_id: i64) -> LoginAttempt {
        let source = match self.caller {
            Caller::User { session_id: Some(session_id), .. } => LoginSource::Session(session_id),
            _ => LoginSource::IpAddress(&self.client_info.ip_address),
        };
        LoginAttempt::new(self.throttle.config, &format!("account {account_id}"), source)
    }

    /// Returns the account of a one-time token, without consuming it. Unknown tokens count toward the rate limit;
    /// `field` is the input path for the error.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the token is invalid, and `RateLimited` if there were too many unknown ones.
    pub(super) async fn find_token_account(
        &self,
        purpose: OneTimeTokenPurpose,
        token: &str,
        field: &str,
    ) -> Result<i64> {
        let account_id = one_time_token::find_account_by_token(self.db, purpose, token, self.db.now()).await?;
        if let Some(account_id) = account_id {
            return Ok(account_id);
        }
        self.limit_unknown_tokens().await?;
        Err(one_time_token::invalid_token_error(field))
    }

    /// Counts an unknown token.
    ///
    /// # Errors
    /// Returns `RateLimited` if the limit is exceeded.
    pub(super) async fn limit_unknown_tokens(&self) -> Result<()> {
        let limit = self.throttle.config.invalid_tokens_per_ip;
        self.throttle.count_action(self.throttle.network_subject("token address", limit).as_slice()).await
    }

    /// Requests an email with a one-time token, which is created when the email is rendered. Skipped if the account has
    /// been sent too many of them.
    pub(super) async fn request_account_email(&self, account_id: i64, purpose: OneTimeTokenPurpose) -> Result<()> {
        let subject = format!("{purpose:?} {account_id}");
        let subject = ThrottleSubject::new("mail account", &subject, self.throttle.config.emails_per_account);
        match self.throttle.count_action(&[subject]).await {
            Err(Error::RateLimited { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                let event = AccountEmailRequested { account: account_id, purpose };
                self.db.write(async |tx| tx.emit_event(event).await).await
            }
        }
    }
}
