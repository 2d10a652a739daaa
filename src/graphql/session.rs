//! Registration, login, token refresh and logout.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};

use super::{
    context::{RequestContext, request_context},
    guard::{Public, RequireLogin},
    payload::payload,
    scalars::Language,
    throttle,
};
use crate::{
    base::{Error, GlobalId, Result, error::PublicErrorCode, global_id::NodeType},
    cart,
    identity::{
        Caller,
        account::{self, AccountInput, NewAccount},
        entity,
        login_attempt::{LoginAttempt, LoginSource},
        one_time_token::{AccountEmailRequested, OneTimeTokenPurpose},
        password,
        session::{self, IssuedSession, RefreshOutcome},
    },
};

/// Tokens of a session.
#[derive(Debug, SimpleObject)]
pub struct Tokens {
    /// Access token, sent with every request as `Authorization: Bearer …`.
    access_token: String,
    /// Expiry time of the access token; refresh it before.
    access_token_expires_at: DateTime<Utc>,
    /// Single-use refresh token. Store it where third-party scripts cannot read it.
    refresh_token: String,
    /// Expiry time of the session, unless it is refreshed before.
    refresh_token_expires_at: DateTime<Utc>,
}

impl Tokens {
    /// Issues the tokens of a new session.
    ///
    /// # Errors
    /// Returns an internal error if no signing key is available.
    pub fn issue(context: &RequestContext, new_session: IssuedSession) -> Result<Self> {
        let IssuedSession { session_id: session, account, refresh_token, expires_at } = new_session;
        let (access_token, access_token_expires_at) =
            context.app_state.access_token_service.issue_token(account.id, account.role, session, context.db.now())?;
        Ok(Self { access_token, access_token_expires_at, refresh_token, refresh_token_expires_at: expires_at })
    }
}

payload!(
    /// Payload of the login and token mutations.
    SessionPayload {
        /// Issued tokens; null if the request was rejected.
        tokens: Tokens
    }
);

payload!(
    /// Payload of the logout mutations.
    LogoutPayload {
        /// Number of revoked sessions.
        sessions_ended: i64
    }
);

/// Login session.
#[derive(Debug)]
pub struct Session(entity::session::Model);

/// Login session.
#[Object]
impl Session {
    /// Global ID.
    async fn id(&self) -> ID {
        GlobalId::new(NodeType::Session, self.0.id).encode().into()
    }

    /// Login method: `password` or the name of an OpenID Connect provider.
    async fn method(&self) -> &str {
        &self.0.method
    }

    /// User agent of the client at login.
    async fn user_agent(&self) -> &str {
        &self.0.user_agent
    }

    /// IP address at login.
    async fn address(&self) -> &str {
        &self.0.address
    }

    /// Login time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last token issue.
    async fn used_at(&self) -> DateTime<Utc> {
        self.0.used_at
    }

    /// Expiry time, unless it is refreshed before.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.0.expires_at
    }

    /// Whether this is the session of the current request.
    async fn current(&self, ctx: &Context<'_>) -> bool {
        matches!(request_context(ctx).caller, Caller::User { session_id, .. } if session_id == Some(self.0.id))
    }
}

/// Lists the active sessions of an account, last used first.
pub async fn list_sessions(context: &RequestContext, account_id: i64) -> Result<Vec<Session>> {
    let rows = session::list_active_sessions(&context.db, account_id, context.db.now()).await?;
    Ok(rows.into_iter().map(Session).collect())
}

/// Input of a customer registration.
#[derive(Debug, InputObject)]
pub struct CustomerRegisterInput {
    /// Email address, also the login name.
    email: String,
    /// Password, from 8 to 128 characters.
    password: String,
    /// First name, at most 100 characters.
    #[graphql(default)]
    first_name: String,
    /// Last name, at most 100 characters.
    #[graphql(default)]
    last_name: String,
    /// ID of the guest cart to merge, as by `cartMerge`; the login succeeds even if the merge fails.
    cart_id: Option<ID>,
    /// Language of notifications; defaults to the shop's language.
    language: Option<Language>,
}

/// Login credentials.
#[derive(Debug, InputObject)]
pub struct LoginInput {
    /// Email address of the account; case-insensitive.
    email: String,
    /// Password of the account.
    password: String,
    /// Refresh token of an earlier session of the account on this device, which may have ended: failed logins from
    /// other devices then do not throttle it.
    device_token: Option<String>,
    /// ID of the guest cart to merge, as by `cartMerge`; the login succeeds even if the merge fails.
    cart_id: Option<ID>,
}

/// Session mutations.
#[derive(Debug, Default)]
pub struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Creates a customer account with email and password and logs in. Sends a verification email.
    #[graphql(guard = "Public")]
    async fn customer_register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Account to create.")] input: CustomerRegisterInput,
    ) -> Result<SessionPayload> {
        SessionPayload::from_result(register_customer(request_context(ctx), input).await)
    }

    /// Logs in with email and password.
    #[graphql(guard = "Public")]
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Login credentials.")] input: LoginInput,
    ) -> Result<SessionPayload> {
        SessionPayload::from_result(login_with_password(request_context(ctx), input).await)
    }

    /// Exchanges a refresh token for new tokens. Refresh tokens are single-use; reuse revokes the session.
    #[graphql(guard = "Public")]
    async fn token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Latest refresh token of the session.")] refresh_token: String,
    ) -> Result<SessionPayload> {
        SessionPayload::from_result(refresh_tokens(request_context(ctx), &refresh_token).await)
    }

    /// Revokes the current session; its tokens become invalid on all instances within seconds.
    #[graphql(guard = "RequireLogin")]
    async fn logout(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        let context = request_context(ctx);
        let Caller::User { account_id, session_id: Some(session_id), .. } = context.caller else {
            return LogoutPayload::from_result(Ok(0));
        };
        LogoutPayload::from_result(revoke_sessions(context, account_id, Some(session_id)).await)
    }

    /// Revokes all sessions of the account, including the current one.
    #[graphql(guard = "RequireLogin")]
    async fn logout_everywhere(&self, ctx: &Context<'_>) -> Result<LogoutPayload> {
        let context = request_context(ctx);
        LogoutPayload::from_result(revoke_sessions(context, context.caller.require_account_id()?, None).await)
    }

    /// Revokes one of the caller's sessions.
    #[graphql(guard = "RequireLogin")]
    async fn session_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the session.")] id: ID,
    ) -> Result<LogoutPayload> {
        let context = request_context(ctx);
        let account_id = context.caller.require_account_id()?;
        let outcome = match GlobalId::decode_as(&id, NodeType::Session, "id") {
            Ok(session_id) => revoke_sessions(context, account_id, Some(session_id)).await,
            Err(error) => Err(error),
        };
        let revoked = outcome.and_then(|revoked_count| {
            if revoked_count == 0 { Err(Error::not_found("id", "session")) } else { Ok(revoked_count) }
        });
        LogoutPayload::from_result(revoked)
    }
}

/// Returns the idle timeout of a session.
pub(super) fn session_idle_timeout(context: &RequestContext) -> TimeDelta {
    TimeDelta::from_std(context.app_state.config.identity.session_lifetime).unwrap_or(TimeDelta::MAX)
}

/// Merges a guest cart into the account's cart after login. A failure is logged and does not fail the login.
pub(super) async fn merge_guest_cart(context: &RequestContext, account_id: i64, cart_id: Option<ID>) {
    let Some(cart_token) = cart_id else { return };
    if let Err(error) = context.db.write(async |tx| cart::merge_guest_cart(tx, account_id, &cart_token).await).await {
        tracing::info!(error = error.log_message(), "guest cart not merged at login");
    }
}

/// Revokes sessions, with immediate effect on this instance.
pub(super) async fn revoke_sessions(context: &RequestContext, account_id: i64, session_id: Option<i64>) -> Result<i64> {
    let revoked_count = context.db.write(async |tx| session::revoke_sessions(tx, account_id, session_id).await).await?;
    context.app_state.access_token_service.refresh(&context.db).await?;
    Ok(i64::try_from(revoked_count).unwrap_or(i64::MAX))
}

/// Returns `Forbidden` if accounts with passwords are disabled.
pub(super) fn require_local_accounts(context: &RequestContext) -> Result<()> {
    if context.app_state.config.identity.local_accounts {
        return Ok(());
    }
    Err(Error::user(
        PublicErrorCode::Forbidden,
        "",
        "This shop has no accounts with passwords; sign in through a provider.",
    ))
}

async fn register_customer(context: &RequestContext, input: CustomerRegisterInput) -> Result<Tokens> {
    require_local_accounts(context)?;
    let CustomerRegisterInput { email, password, first_name, last_name, cart_id, language } = input;
    let account_input =
        AccountInput { email: &email, first_name: &first_name, last_name: &last_name, password: Some(&password) };
    let new_account = account_input.validate()?;
    throttle::limit_registrations(context, &email).await?;
    let (password, language) =
        (Some(context.app_state.password_hasher.hash(password).await?), language.map(Into::into));
    let new_account = NewAccount { password_hash: password, language, ..new_account };
    let idle_timeout = session_idle_timeout(context);
    let new_session = context.db.write(async |tx| {
        let account = account::create_account(tx, new_account).await?;
        let new_session =
            session::create_session(tx, account, &context.client_info, ("password", idle_timeout)).await?;
        tx.emit_event(AccountEmailRequested {
            account: new_session.account.id,
            purpose: OneTimeTokenPurpose::VerifyEmail,
        })
        .await?;
        Ok(new_session)
    });
    let new_session = new_session.await?;
    merge_guest_cart(context, new_session.account.id, cart_id).await;
    Tokens::issue(context, new_session)
}

async fn login_with_password(context: &RequestContext, input: LoginInput) -> Result<Tokens> {
    require_local_accounts(context)?;
    let LoginInput { email, password, device_token, cart_id } = input;
    let account = account::find_account_by_email(&context.db, &email).await?;
    let device = match (&account, device_token) {
        (Some(account), Some(token)) => session::find_session_by_token(&context.db, &token, account.id).await?,
        _ => None,
    };
    let source = device.map_or(LoginSource::IpAddress(&context.client_info.ip_address), LoginSource::Session);
    let attempt =
        LoginAttempt::new(&context.app_state.config.throttle, &account::normalize_email(email.trim()), source);
    attempt.count_as_failure(&context.app_state.db).await?;
    let password_hash = account.as_ref().and_then(|account| account.password.clone());
    // Overlong passwords cannot match; they are truncated so that verification takes the same time at bounded cost.
    let truncated_password: String = password.chars().take(password::MAX_PASSWORD_CHARS + 1).collect();
    let is_match = context.app_state.password_hasher.verify(truncated_password, password_hash).await?;
    match account.filter(|account| is_match && account.disabled_at.is_none() && account.deleted_at.is_none()) {
        Some(account) => {
            let idle_timeout = session_idle_timeout(context);
            let device = &context.client_info;
            let new_session = context
                .db
                .write(async |tx| session::create_session(tx, account, device, ("password", idle_timeout)).await)
                .await?;
            attempt.clear_failure(&context.app_state.db).await?;
            merge_guest_cart(context, new_session.account.id, cart_id).await;
            Tokens::issue(context, new_session)
        }
        None => Err(Error::user(
            PublicErrorCode::InvalidCredentials,
            "input",
            "the e-mail address and the password do not belong together",
        )),
    }
}

async fn refresh_tokens(context: &RequestContext, token: &str) -> Result<Tokens> {
    let config = &context.app_state.config.identity;
    let reuse_grace = TimeDelta::from_std(config.refresh_reuse_grace).unwrap_or_default();
    // Unknown tokens are rejected without a transaction.
    let refreshed = if session::is_known_token(&context.db, token).await? {
        let idle_timeout = session_idle_timeout(context);
        context.db.write(async |tx| session::refresh_session(tx, token, (idle_timeout, reuse_grace)).await).await?
    } else {
        throttle::limit_unknown_tokens(context).await?;
        RefreshOutcome::Invalid("unknown token")
    };
    let reason = match refreshed {
        RefreshOutcome::Issued(new_session) => return Tokens::issue(context, *new_session),
        RefreshOutcome::Reused(reason) => {
            context.app_state.access_token_service.refresh(&context.db).await?;
            reason
        }
        RefreshOutcome::Invalid(reason) => reason,
    };
    tracing::info!(reason = reason, "refresh token rejected");
    Err(Error::user(
        PublicErrorCode::Unauthenticated,
        "refreshToken",
        "This refresh token does not hold; sign in again.",
    ))
}
