//! Registration, login, token refresh and logout.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use crate::{
    base::{GlobalId, LanguageCode, Result, global_id::NodeType},
    cart,
    graphql::{
        context::{RequestContext, request_context},
        guard::{Public, RequireLogin},
        payload::payload,
    },
    identity::{
        Caller, entity,
        login::{self, PasswordLogin},
        registration::{self, Registration},
        session::{self, SessionTokens},
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

impl From<SessionTokens> for Tokens {
    fn from(tokens: SessionTokens) -> Self {
        let SessionTokens {
            account_id: _,
            access_token,
            access_token_expires_at,
            refresh_token,
            refresh_token_expires_at,
        } = tokens;
        Self {
            access_token: access_token.expose_secret().to_owned(),
            access_token_expires_at,
            refresh_token: refresh_token.expose_secret().to_owned(),
            refresh_token_expires_at,
        }
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
        &self.0.auth_method
    }

    /// User agent of the client at login.
    async fn user_agent(&self) -> &str {
        &self.0.user_agent
    }

    /// IP address at login.
    async fn address(&self) -> &str {
        &self.0.ip_address
    }

    /// Login time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last token issue.
    async fn used_at(&self) -> DateTime<Utc> {
        self.0.last_used_at
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
    language: Option<LanguageCode>,
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
    ) -> Result<Option<SessionPayload>> {
        let context = request_context(ctx);
        let CustomerRegisterInput { email, password, first_name, last_name, cart_id, language } = input;
        let (password, language) = (password.into(), language.map(Into::into));
        let registration = Registration { email, password, first_name, last_name, language };
        let registered = registration::register_customer(&context.identity(), registration).await;
        finish_login(context, registered, cart_id).await
    }

    /// Logs in with email and password.
    #[graphql(guard = "Public")]
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Login credentials.")] input: LoginInput,
    ) -> Result<Option<SessionPayload>> {
        let context = request_context(ctx);
        let LoginInput { email, password, device_token, cart_id } = input;
        let credentials =
            PasswordLogin { email, password: password.into(), device_token: device_token.map(Into::into) };
        finish_login(context, login::log_in(&context.identity(), credentials).await, cart_id).await
    }

    /// Exchanges a refresh token for new tokens. Refresh tokens are single-use; reuse revokes the session.
    #[graphql(guard = "Public")]
    async fn token_refresh(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Latest refresh token of the session.")] refresh_token: String,
    ) -> Result<Option<SessionPayload>> {
        SessionPayload::from_result(login::refresh_tokens(&request_context(ctx).identity(), &refresh_token).await)
    }

    /// Revokes the current session; its tokens become invalid on all instances within seconds.
    #[graphql(guard = "RequireLogin")]
    async fn logout(&self, ctx: &Context<'_>) -> Result<Option<LogoutPayload>> {
        LogoutPayload::from_result(login::log_out(&request_context(ctx).identity()).await)
    }

    /// Revokes all sessions of the account, including the current one.
    #[graphql(guard = "RequireLogin")]
    async fn logout_everywhere(&self, ctx: &Context<'_>) -> Result<Option<LogoutPayload>> {
        LogoutPayload::from_result(login::log_out_everywhere(&request_context(ctx).identity()).await)
    }

    /// Revokes one of the caller's sessions.
    #[graphql(guard = "RequireLogin")]
    async fn session_revoke(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the session.")] id: ID,
    ) -> Result<Option<LogoutPayload>> {
        let revoked = async {
            let session_id = GlobalId::decode_as(&id, NodeType::Session, "id")?;
            login::revoke_session(&request_context(ctx).identity(), session_id).await
        };
        LogoutPayload::from_result(revoked.await)
    }
}

/// Merges a guest cart into the cart of an account that has logged in, and returns the payload with its tokens.
pub(super) async fn finish_login(
    context: &RequestContext,
    login: Result<SessionTokens>,
    cart_id: Option<ID>,
) -> Result<Option<SessionPayload>> {
    if let (Ok(tokens), Some(cart_id)) = (&login, cart_id) {
        cart::merge_guest_cart_at_login(&context.db, tokens.account_id, &cart_id).await;
    }
    SessionPayload::from_result(login)
}
