//! Authentication of bearer tokens: the server's own access tokens, tokens of external issuers, API keys.

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;

use super::{
    AccessTokenService, Caller, ExternalTokenVerifier,
    access_token_service::MAX_TOKEN_BYTES,
    api_key,
    error::{AuthError, TokenError},
    jwt::VerifiedClaims,
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
    checked_at: DateTime<Utc>,
}

/// Authenticator of bearer tokens, with a cache of recently verified external tokens and API keys.
#[derive(Debug)]
pub struct Authenticator {
    verified_tokens: Cache<[u8; 32], CachedToken>,
}

impl Default for Authenticator {
    fn default() -> Self {
        Self { verified_tokens: Cache::new(TOKEN_CACHE_SIZE) }
    }
}

impl Authenticator {
    /// Returns the caller of a token. Uses the caches first; external tokens and API keys are verified again after
    /// `TOKEN_CACHE_TTL`.
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
        if let Some(CachedToken { verified, checked_at }) = self.verified_tokens.get(&digest)
            && verified.expires_at > now
            && (now - checked_at).abs() < TOKEN_CACHE_TTL
        {
            return Ok(verified.caller);
        }
        let verified = if token.starts_with(api_key::API_KEY_PREFIX) {
            authenticate_api_key(db, token).await?
        } else if external_tokens.has_trusted_issuer(token) {
            external_tokens.verify(db, token).await?
        } else {
            return access_tokens.verify(db, token, digest).await;
        };
        self.verified_tokens.insert(digest, CachedToken { verified, checked_at: now });
        Ok(verified.caller)
    }
}

async fn authenticate_api_key(db: &Db, token: &str) -> Result<VerifiedClaims, AuthError> {
    let api_key = api_key::find_api_key_by_secret(db, token).await.map_err(AuthError::Internal)?;
    let api_key = api_key.ok_or_else(|| TokenError::new("the API key does not exist, was revoked or has expired"))?;
    let caller = Caller::ApiKey { api_key_id: api_key.id, permissions: api_key.permissions };
    Ok(VerifiedClaims { caller, expires_at: api_key.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC) })
}
