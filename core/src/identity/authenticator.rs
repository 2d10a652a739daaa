//! Authentication of bearer tokens: access tokens of people and of API clients, tokens of external issuers, API keys.

use chrono::{DateTime, TimeDelta, Utc};
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{
    AccessTokenService, Caller, ExternalTokenVerifier,
    access_token_service::MAX_TOKEN_BYTES,
    api_key,
    client_token::{self, VerifiedClientToken},
    error::{AuthError, TokenError},
    jwt::VerifiedClaims,
    oauth_grant,
};
use crate::{base::digest, infra::Db};

/// Capacity of the cache of external tokens and API keys, in entries.
const TOKEN_CACHE_SIZE: u64 = 20_000;
/// Time until a cached external token or API key is verified again.
const TOKEN_CACHE_TTL: TimeDelta = TimeDelta::seconds(5);

/// Verifiers of tokens in JSON Web Token format.
#[derive(Debug, Clone, Copy)]
pub struct TokenVerifiers<'a> {
    /// Verifier of the server's own access tokens.
    pub access_tokens: &'a AccessTokenService,
    /// Verifier of tokens of external issuers.
    pub external_tokens: &'a ExternalTokenVerifier,
}

/// Verified token in the cache.
#[derive(Debug, Clone, Copy)]
struct CachedToken {
    verified: VerifiedClaims,
    /// ID of the grant of an API client's access token.
    grant_id: Option<i64>,
    checked_at: DateTime<Utc>,
}

impl CachedToken {
    const fn new(verified: VerifiedClaims, grant_id: Option<i64>, checked_at: DateTime<Utc>) -> Self {
        Self { verified, grant_id, checked_at }
    }
}

/// What a token depends on and this instance has revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum RevokedCredential {
    ApiKey(i64),
    Grant(i64),
}

/// Authenticator of bearer tokens, with a cache of recently verified external tokens, API keys and tokens of API clients.
#[derive(Debug)]
pub struct Authenticator {
    verified_tokens: Cache<[u8; 32], CachedToken>,
    /// What this instance has revoked recently: its tokens in the cache are invalid. Entries are dropped long after their
    /// tokens are no longer in use from the cache.
    revoked_credentials: Cache<RevokedCredential, ()>,
}

impl Default for Authenticator {
    fn default() -> Self {
        Self {
            verified_tokens: Cache::new(TOKEN_CACHE_SIZE),
            revoked_credentials: Cache::builder()
                .max_capacity(TOKEN_CACHE_SIZE)
                // The newest entry must not be the one that is dropped.
                .eviction_policy(EvictionPolicy::lru())
                .build(),
        }
    }
}

impl Authenticator {
    /// Rejects the tokens of a revoked API key from now on. Other instances reject them after `TOKEN_CACHE_TTL`.
    pub fn end_api_key(&self, api_key_id: i64) {
        self.revoked_credentials.insert(RevokedCredential::ApiKey(api_key_id), ());
    }

    /// Rejects the access tokens of a revoked grant from now on. Other instances reject them after `TOKEN_CACHE_TTL`.
    pub fn end_grant(&self, grant_id: i64) {
        self.revoked_credentials.insert(RevokedCredential::Grant(grant_id), ());
    }

    fn is_revoked(&self, cached: &CachedToken) -> bool {
        let is_revoked = |credential| self.revoked_credentials.contains_key(&credential);
        let key_is_revoked = matches!(cached.verified.caller,
            Caller::ApiKey { api_key_id, .. } if is_revoked(RevokedCredential::ApiKey(api_key_id)));
        key_is_revoked || cached.grant_id.is_some_and(|grant_id| is_revoked(RevokedCredential::Grant(grant_id)))
    }

    /// Returns the caller of a token. Uses the caches first; external tokens, API keys and tokens of API clients are
    /// verified again after `TOKEN_CACHE_TTL`.
    ///
    /// # Errors
    /// Returns [`AuthError`] if the token is invalid or cannot be verified.
    pub async fn authenticate(&self, verifiers: TokenVerifiers<'_>, db: &Db, token: &str) -> Result<Caller, AuthError> {
        let TokenVerifiers { access_tokens, external_tokens } = verifiers;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::new(format!("a token of {} bytes is too long", token.len())).into());
        }
        let (now, digest) = (db.now(), digest::sha256_bytes(token));
        if let Some(cached) = access_tokens.verify_cached(&digest, now) {
            return Ok(cached?);
        }
        if let Some(cached) = self.verified_tokens.get(&digest)
            && cached.verified.expires_at > now
            && (now - cached.checked_at).abs() < TOKEN_CACHE_TTL
            && !self.is_revoked(&cached)
        {
            return Ok(cached.verified.caller);
        }
        let cached = if token.starts_with(api_key::API_KEY_PREFIX) {
            CachedToken::new(authenticate_api_key(db, token).await?, None, now)
        } else if external_tokens.has_trusted_issuer(token) {
            CachedToken::new(external_tokens.verify(db, token).await?, None, now)
        } else if client_token::has_client_token_type(token) {
            let token = access_tokens.verify_client_token(token, now)?;
            CachedToken::new(authenticate_client_token(db, &token).await?, Some(token.claims.grant_id), now)
        } else {
            return access_tokens.verify(db, token, digest).await;
        };
        self.verified_tokens.insert(digest, cached);
        Ok(cached.verified.caller)
    }
}

async fn authenticate_api_key(db: &Db, token: &str) -> Result<VerifiedClaims, AuthError> {
    let api_key = api_key::find_api_key_by_secret(db, token).await.map_err(AuthError::Internal)?;
    let api_key = api_key.ok_or_else(|| TokenError::new("the API key does not exist, was revoked or has expired"))?;
    let caller = Caller::ApiKey { api_key_id: api_key.id, permissions: api_key.permissions };
    Ok(VerifiedClaims { caller, expires_at: api_key.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC) })
}

/// Returns the caller of an API client's access token: its API key, with the permissions of the token that the key still
/// has.
async fn authenticate_client_token(db: &Db, token: &VerifiedClientToken) -> Result<VerifiedClaims, AuthError> {
    let api_key = oauth_grant::find_api_key_by_grant(db, token.claims.grant_id).await.map_err(AuthError::Internal)?;
    let api_key = api_key.filter(|api_key| api_key.id == token.api_key_id);
    let api_key = api_key.ok_or_else(|| TokenError::new("its grant or its API key has ended"))?;
    let permissions = token.permissions.intersection(api_key.permissions);
    let caller = Caller::ApiKey { api_key_id: api_key.id, permissions };
    let expires_at = api_key.expires_at.map_or(token.expires_at, |expires_at| expires_at.min(token.expires_at));
    Ok(VerifiedClaims { caller, expires_at })
}
