//! Registration, login, token refresh and logout.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;

use super::account::Account;
use crate::{
    base::{GlobalId, LanguageCode, Result, global_id::NodeType},
    cart,
    graphql::{
        cart::{CART_COST, Cart},
        context::{RequestContext, request_context},
        guard::{Public, RequireLogin},
        payload::{UserError, payload, split_user_errors},
        scalars::LanguageScalar,
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
            session_id: _,
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

/// Payload of the login and token mutations.
#[derive(Debug)]
pub struct SessionPayload {
    /// Owner of the issued tokens; `None` if the request was rejected.
    owner: Option<TokenOwner>,
    tokens: Option<Tokens>,
    user_errors: Vec<UserError>,
}

/// Account and session of issued tokens.
#[derive(Debug, Clone, Copy)]
struct TokenOwner {
    account_id: i64,
    session_id: i64,
}

impl SessionPayload {
    /// Creates the payload from a result.
    ///
    /// # Errors
    /// Returns errors that the caller cannot correct.
    pub fn from_result(result: Result<SessionTokens>) -> Result<Option<Self>> {
        let (tokens, user_errors) = split_user_errors(result)?;
        let owner =
            tokens.as_ref().map(|tokens| TokenOwner { account_id: tokens.account_id, session_id: tokens.session_id });
        Ok(Some(Self { owner, tokens: tokens.map(Tokens::from), user_errors }))
    }
}

/// Payload of the login and token mutations.
#[Object]
impl SessionPayload {
    /// Issued tokens; null if the request was rejected.
    async fn tokens(&self, ctx: &Context<'_>) -> Option<&Tokens> {
        let (tokens, owner) = self.tokens.as_ref().zip(self.owner)?;
        request_context(ctx).record_issued_tokens(owner.account_id);
        Some(tokens)
    }

    /// Account of the session; null if the request was rejected. Its sessions and its customer's cart and orders need a
    /// request with the new access token.
    async fn account(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
        let Some(TokenOwner { account_id, .. }) = self.owner else { return Ok(None) };
        Account::find_own(request_context(ctx), account_id).await
    }

    /// Open cart of the account, after the merge of the guest cart; null if there is none or the request was rejected.
    #[graphql(complexity = "CART_COST + child_complexity")]
    async fn cart(&self, ctx: &Context<'_>) -> Result<Option<Cart>> {
        let Some(TokenOwner { account_id, .. }) = self.owner else { return Ok(None) };
        Ok(cart::find_open_cart(&request_context(ctx).db, account_id).await?.map(Cart::from))
    }

    /// Session of the tokens; null if the request was rejected.
    async fn session(&self, ctx: &Context<'_>) -> Result<Option<Session>> {
        let Some(TokenOwner { session_id, .. }) = self.owner else { return Ok(None) };
        let row = session::find_session(&request_context(ctx).db, session_id).await?;
        Ok(row.map(|row| Session { row, is_current: true }))
    }

    /// Errors that the caller can correct; empty on success.
    async fn user_errors(&self) -> &[UserError] {
        &self.user_errors
    }
}

payload!(
    /// Payload of the logout mutations.
    LogoutPayload {
        /// Number of revoked sessions.
        sessions_ended: i64
    }
);

/// Login session.
#[derive(Debug)]
pub struct Session {
    row: entity::session::Model,
    is_current: bool,
}

/// Login session.
#[Object]
impl Session {
    /// Global ID.
    async fn id(&self) -> ID {
        GlobalId::new(NodeType::Session, self.row.id).encode().into()
    }

    /// Login method: `password`, `login_code` or the name of an OpenID Connect provider.
    async fn method(&self) -> &str {
        &self.row.auth_method
    }

    /// User agent of the client at login.
    async fn user_agent(&self) -> &str {
        &self.row.user_agent
    }

    /// IP address at login.
    async fn address(&self) -> &str {
        &self.row.ip_address
    }

    /// Login time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.row.created_at
    }

    /// Time of the last token issue.
    async fn used_at(&self) -> DateTime<Utc> {
        self.row.last_used_at
    }

    /// Expiry time, unless it is refreshed before.
    async fn expires_at(&self) -> DateTime<Utc> {
        self.row.expires_at
    }

    /// Whether this is the session of the current request, or the one that the mutation has opened.
    async fn current(&self) -> bool {
        self.is_current
    }
}

/// Lists the active sessions of an account, last used first.
pub async fn list_sessions(context: &RequestContext, account_id: i64) -> Result<Vec<Session>> {
    let rows = session::list_active_sessions(&context.db, account_id, context.db.now()).await?;
    let is_current = |row: &entity::session::Model| matches!(context.caller, Caller::User { session_id, .. } if session_id == Some(row.id));
    Ok(rows.into_iter().map(|row| Session { is_current: is_current(&row), row }).collect())
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
    language: Option<LanguageScalar>,
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
        let (password, language) = (password.into(), language.map(LanguageCode::from));
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
