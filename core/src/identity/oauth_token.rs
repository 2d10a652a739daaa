//! Tokens of API clients: issued for client credentials, refreshed, revoked and introspected.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::{
    AccessTokenService, Authenticator, Permissions,
    api_key::{self, AuthenticatedApiKey},
    client_token::{ClientTokenClaims, ClientTokenSubject},
    entity::oauth_grant as grant_row,
    oauth_error::OauthError,
    oauth_grant::{self, GrantRefresh, GrantRefreshOutcome, IssuedGrant, NewGrant},
    token_scope::RequestedScope,
};
use crate::{
    base::{GlobalId, global_id::NodeType},
    infra::{RequestThrottle, config::IdentityConfig, throttle::ThrottleSubject},
};

/// Description of the error of a client that cannot be authenticated, whatever the reason.
const UNKNOWN_CLIENT: &str = "There is no API key with this id and secret, or it was revoked or has expired.";
/// Description of the error of an invalid refresh token, whatever the reason.
const INVALID_REFRESH_TOKEN: &str =
    "The refresh token is unknown, used, expired, revoked or was issued to another client.";

/// Dependencies of the use cases of API clients.
#[derive(Debug, Clone, Copy)]
pub struct OauthContext<'a> {
    /// Identity settings.
    pub config: &'a IdentityConfig,
    /// Issuer of access tokens.
    pub access_tokens: &'a AccessTokenService,
    /// Authenticator of the instance, which is notified of what ends.
    pub authenticator: &'a Authenticator,
    /// Rate limits and database of the request.
    pub throttle: RequestThrottle<'a>,
}

/// Credentials of a client.
#[derive(Debug)]
pub struct ClientCredentials {
    /// Client id: the global ID of an API key.
    pub client_id: String,
    /// Client secret: the API key.
    pub secret: SecretString,
}

/// Tokens of a client.
#[derive(Debug)]
pub struct ClientTokens {
    /// Access token.
    pub access_token: SecretString,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    /// Permissions of the access token.
    pub permissions: Permissions,
    /// Refresh token, if the grant has one.
    pub refresh_token: Option<SecretString>,
}

/// Valid token of a client.
#[derive(Debug)]
pub enum ActiveToken {
    /// Access token, with the permissions that it has now.
    Access(Box<ClientTokenClaims>, Permissions),
    /// Refresh token, with its grant.
    Refresh(grant_row::Model),
}

/// Authenticates a client. Failures count toward the limit of failed logins of the network. A correct secret is accepted
/// whatever was counted, because it cannot be guessed: it has 256 random bits.
///
/// # Errors
/// Returns `InvalidClient`, or `Failure` with `RateLimited` if there were too many failures.
pub async fn authenticate_client(
    context: OauthContext<'_>,
    credentials: ClientCredentials,
) -> Result<AuthenticatedApiKey, OauthError> {
    let ClientCredentials { client_id, secret } = credentials;
    let RequestThrottle { db, config, .. } = context.throttle;
    if let Ok(api_key_id) = GlobalId::decode_as(&client_id, NodeType::ApiKey, "client_id")
        && let Some(client) = api_key::find_api_key_by_id_and_secret(db, api_key_id, secret.expose_secret()).await?
    {
        return Ok(client);
    }
    let network = context.throttle.network_subject("client address", config.failed_logins_per_ip);
    context.throttle.count_action(network.as_slice()).await?;
    tracing::info!("API client not authenticated");
    Err(OauthError::InvalidClient(UNKNOWN_CLIENT))
}

/// Issues tokens for the credentials of a client.
///
/// # Errors
/// Returns `InvalidScope` if the scope exceeds the permissions of the client, `InvalidClient` if its key was revoked
/// meanwhile, and `Failure` with `RateLimited` if too many tokens were issued to it.
pub async fn issue_client_tokens(
    context: OauthContext<'_>,
    client: AuthenticatedApiKey,
    scope: RequestedScope,
) -> Result<ClientTokens, OauthError> {
    let permissions = scope.narrow(client.permissions)?;
    context.count_token(client).await?;
    let db = context.throttle.db;
    let refresh_lifetime = scope.is_refreshable.then(|| context.refresh_lifetime());
    let token_expires_at = context.access_tokens.client_token_expiry(client.expires_at, db.now());
    let new_grant = NewGrant { client, permissions, token_expires_at, refresh_lifetime };
    let issued = db.write_with_retry(async |tx| oauth_grant::create_grant(tx, new_grant).await).await?;
    let issued = issued.ok_or(OauthError::InvalidClient(UNKNOWN_CLIENT))?;
    context.sign_tokens(client, issued, token_expires_at)
}

/// Exchanges a refresh token for new tokens. Reuse of a used token revokes its grant.
///
/// # Errors
/// Returns `InvalidGrant` if the token is invalid, `InvalidScope` if the scope exceeds that of the grant, and `Failure`
/// with `RateLimited` if too many tokens were issued to the client.
pub async fn refresh_client_tokens(
    context: OauthContext<'_>,
    client: AuthenticatedApiKey,
    token: &str,
    scope: RequestedScope,
) -> Result<ClientTokens, OauthError> {
    context.count_token(client).await?;
    let db = context.throttle.db;
    // A scope that is too wide must not use up the token.
    if let Some(grant) = oauth_grant::find_grant_by_refresh_token(db, token).await?
        && grant.api_key_id == client.id
    {
        scope.narrow(Permissions::parse(&grant.scope).intersection(client.permissions))?;
    }
    let token_expires_at = context.access_tokens.client_token_expiry(client.expires_at, db.now());
    let refresh =
        GrantRefresh { api_key_id: client.id, token, token_expires_at, refresh_lifetime: context.refresh_lifetime() };
    match db.write_with_retry(async |tx| oauth_grant::refresh_grant(tx, refresh).await).await? {
        GrantRefreshOutcome::Issued(issued) => {
            let permissions = scope.narrow(issued.permissions.intersection(client.permissions))?;
            context.sign_tokens(client, IssuedGrant { permissions, ..issued }, token_expires_at)
        }
        GrantRefreshOutcome::Reused(grant_id) => {
            context.authenticator.end_grant(grant_id);
            tracing::warn!(api_key_id = client.id, "refresh token reused; its grant is revoked");
            Err(OauthError::InvalidGrant(INVALID_REFRESH_TOKEN))
        }
        GrantRefreshOutcome::Invalid => Err(OauthError::InvalidGrant(INVALID_REFRESH_TOKEN)),
    }
}

/// Revokes the grant of an access token or refresh token of a client, with all its tokens. Does nothing for a token that
/// is unknown or has ended.
///
/// # Errors
/// Returns `InvalidGrant` if the token belongs to another client.
pub async fn revoke_client_token(
    context: OauthContext<'_>,
    client: AuthenticatedApiKey,
    token: &str,
) -> Result<(), OauthError> {
    let db = context.throttle.db;
    let grant = match context.access_tokens.verify_client_token(token, db.now()) {
        Ok(verified) => oauth_grant::find_grant(db, verified.claims.grant_id).await?,
        Err(_) => oauth_grant::find_grant_by_refresh_token(db, token).await?,
    };
    let Some(grant) = grant else { return Ok(()) };
    if grant.api_key_id != client.id {
        return Err(OauthError::InvalidGrant("The token was issued to another client."));
    }
    db.write_with_retry(async |tx| oauth_grant::revoke_grant(tx, &grant, "revoked by the client").await).await?;
    context.authenticator.end_grant(grant.id);
    Ok(())
}

/// Returns what a valid token of a client is; `None` for any other token.
pub async fn introspect_client_token(
    context: OauthContext<'_>,
    client: AuthenticatedApiKey,
    token: &str,
) -> Result<Option<ActiveToken>, OauthError> {
    let db = context.throttle.db;
    let is_active = |grant: &grant_row::Model| grant.api_key_id == client.id && grant.expires_at > db.now();
    if let Ok(verified) = context.access_tokens.verify_client_token(token, db.now()) {
        let grant = oauth_grant::find_grant(db, verified.claims.grant_id).await?;
        let permissions = verified.permissions.intersection(client.permissions);
        return Ok(grant.filter(is_active).map(|_| ActiveToken::Access(Box::new(verified.claims), permissions)));
    }
    let grant = oauth_grant::find_grant_by_refresh_token(db, token).await?.filter(is_active);
    Ok(grant.filter(|grant| oauth_grant::is_newest_token(grant, token)).map(ActiveToken::Refresh))
}

impl OauthContext<'_> {
    fn refresh_lifetime(self) -> TimeDelta {
        TimeDelta::from_std(self.config.session_idle_timeout).unwrap_or(TimeDelta::MAX)
    }

    /// Counts an issued token.
    ///
    /// # Errors
    /// Returns `Failure` with `RateLimited` if the limit is exceeded.
    async fn count_token(self, client: AuthenticatedApiKey) -> Result<(), OauthError> {
        let limit = self.throttle.config.client_tokens_per_api_key;
        let subject = ThrottleSubject::new("client token", &client.id.to_string(), limit);
        Ok(self.throttle.count_action(&[subject]).await?)
    }

    /// Signs the access token of a stored grant.
    fn sign_tokens(
        self,
        client: AuthenticatedApiKey,
        issued: IssuedGrant,
        expires_at: DateTime<Utc>,
    ) -> Result<ClientTokens, OauthError> {
        let IssuedGrant { id: grant_id, permissions, refresh_token } = issued;
        let now = self.throttle.db.now();
        let subject = ClientTokenSubject { api_key_id: client.id, grant_id, permissions, expires_at };
        let access_token = self.access_tokens.issue_client_token(subject, now)?;
        Ok(ClientTokens {
            access_token: access_token.token.into(),
            expires_in: (expires_at - now).num_seconds(),
            permissions,
            refresh_token,
        })
    }
}
