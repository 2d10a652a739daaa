//! Issuing and verification of the server's own access tokens. Signing keys, revoked sessions and verified tokens are
//! cached in memory, so a verification usually needs no database and no network access.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicI64, Ordering},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;

use super::{
    Caller,
    client_token::{self, ClientTokenSubject, VerifiedClientToken},
    error::{AuthError, TokenError},
    jwt::{self, AccessToken, TokenPolicy, TokenSubject, VerifiedClaims},
    session::{self, IssuedSession, SessionTokens},
    signing_key::{KeyRing, MAX_ACCESS_TOKEN_LIFETIME, MAX_CLOCK_SKEW},
};
use crate::{
    base::Result,
    infra::{Db, config::IdentityConfig},
};

/// Maximum length of a token in bytes; longer ones are rejected without parsing.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Capacity of the cache of verified tokens, in entries.
const VERIFIED_TOKEN_CACHE_SIZE: u64 = 20_000;

/// Issuer and verifier of access tokens.
#[derive(Debug)]
pub struct AccessTokenService {
    policy: TokenPolicy,
    key_ring: ArcSwap<KeyRing>,
    /// Highest session ID read from the database so far.
    newest_session_id: AtomicI64,
    revoked_session_ids: ArcSwap<HashSet<i64>>,
    verified_tokens: Cache<[u8; 32], VerifiedClaims>,
}

impl AccessTokenService {
    /// Loads the signing keys and the recently revoked sessions.
    pub async fn load(db: &Db, config: &IdentityConfig) -> Result<Self> {
        let token_lifetime = TimeDelta::from_std(config.access_token_lifetime).unwrap_or(MAX_ACCESS_TOKEN_LIFETIME);
        let service = Self {
            policy: TokenPolicy { issuer: config.issuer.clone(), lifetime: token_lifetime },
            key_ring: ArcSwap::from_pointee(KeyRing::load(db, token_lifetime).await?),
            newest_session_id: AtomicI64::new(session::find_newest_session_id(db).await?),
            revoked_session_ids: ArcSwap::default(),
            verified_tokens: Cache::new(VERIFIED_TOKEN_CACHE_SIZE),
        };
        service.refresh(db).await?;
        Ok(service)
    }

    /// Reloads revoked sessions and signing keys, including changes by other instances. Called periodically, and
    /// immediately after a revocation in this process.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let revoked_session_ids =
            session::list_sessions_revoked_since(db, db.now() - self.policy.lifetime - MAX_CLOCK_SKEW).await?;
        self.revoked_session_ids.store(std::sync::Arc::new(revoked_session_ids.into_iter().collect()));
        let key_ring = KeyRing::load(db, self.policy.lifetime).await?;
        if !key_ring.key_ids().eq(self.key_ring.load().key_ids()) {
            // A cached token may be signed with a removed key.
            self.verified_tokens.invalidate_all();
            self.key_ring.store(std::sync::Arc::new(key_ring));
        }
        Ok(())
    }

    /// Returns the caller of a cached token; `None` if the token is not cached.
    pub fn verify_cached(&self, digest: &[u8; 32], now: DateTime<Utc>) -> Option<Result<Caller, TokenError>> {
        let verified = self.verified_tokens.get(digest)?;
        if verified.expires_at <= now {
            self.verified_tokens.invalidate(digest);
        }
        Some(self.check_expiry_and_revocation(verified, now))
    }

    /// Verifies a token that is not cached and returns its caller. Queries the database only if the session ID is
    /// higher than the highest one read so far.
    ///
    /// # Errors
    /// Returns [`AuthError`] if the token is invalid or its session cannot be checked.
    pub async fn verify(&self, db: &Db, token: &str, digest: [u8; 32]) -> Result<Caller, AuthError> {
        let now = db.now();
        let verified = jwt::verify_access_token(&self.key_ring.load(), &self.policy, token, now)?;
        if let Caller::User { session_id: Some(session_id), .. } = verified.caller
            && session_id > self.newest_session_id.load(Ordering::Relaxed)
        {
            let newest_session_id = session::find_newest_session_id(db).await.map_err(AuthError::Internal)?;
            self.newest_session_id.fetch_max(newest_session_id, Ordering::Relaxed);
            if session_id > newest_session_id {
                return Err(TokenError::new("there is no such session").into());
            }
        }
        self.verified_tokens.insert(digest, verified);
        Ok(self.check_expiry_and_revocation(verified, now)?)
    }

    fn check_expiry_and_revocation(&self, verified: VerifiedClaims, now: DateTime<Utc>) -> Result<Caller, TokenError> {
        if verified.expires_at <= now {
            return Err(TokenError::new(format!("it expired at {}", verified.expires_at)));
        }
        if let Caller::User { session_id: Some(session_id), .. } = verified.caller
            && self.revoked_session_ids.load().contains(&session_id)
        {
            return Err(TokenError::new("its session was revoked"));
        }
        Ok(verified.caller)
    }

    /// Issues a token for a session.
    pub fn issue_token(&self, subject: TokenSubject, now: DateTime<Utc>) -> Result<AccessToken> {
        jwt::sign_access_token(&self.key_ring.load(), &self.policy, subject, now)
    }

    /// Issues the tokens of a new or refreshed session.
    ///
    /// # Errors
    /// Returns an internal error if no signing key is available.
    pub fn issue_session_tokens(&self, issued: IssuedSession, now: DateTime<Utc>) -> Result<SessionTokens> {
        let IssuedSession { session_id, account, refresh_token, expires_at } = issued;
        let subject = TokenSubject { account_id: account.id, role: account.role, session_id };
        let access_token = self.issue_token(subject, now)?;
        Ok(SessionTokens {
            account_id: account.id,
            session_id,
            access_token: access_token.token.into(),
            access_token_expires_at: access_token.expires_at,
            refresh_token,
            refresh_token_expires_at: expires_at,
        })
    }

    /// Returns the expiry of a token that is issued to an API client now.
    #[must_use]
    pub fn client_token_expiry(&self, key_expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> DateTime<Utc> {
        client_token::client_token_expiry(&self.policy, key_expires_at, now)
    }

    /// Issues a token for an API client.
    ///
    /// # Errors
    /// Returns an internal error if no signing key is available.
    pub fn issue_client_token(&self, subject: ClientTokenSubject, now: DateTime<Utc>) -> Result<AccessToken> {
        client_token::sign_client_token(&self.key_ring.load(), &self.policy, subject, now)
    }

    /// Verifies signature and times of a token of an API client. Its grant and its API key may have ended.
    ///
    /// # Errors
    /// Returns the reason, for the log, if the token is invalid.
    pub fn verify_client_token(&self, token: &str, now: DateTime<Utc>) -> Result<VerifiedClientToken, TokenError> {
        client_token::verify_client_token(&self.key_ring.load(), &self.policy, token, now)
    }

    /// Returns the public keys as a JSON Web Key Set.
    #[must_use]
    pub fn public_keys(&self) -> serde_json::Value {
        self.key_ring.load().to_jwks()
    }
}
