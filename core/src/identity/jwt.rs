//! Signing and verification of the server's own access tokens (JWT).

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Caller, Role,
    error::TokenError,
    signing_key::{KeyRing, MAX_CLOCK_SKEW},
};
use crate::base::{Error, GlobalId, Result, global_id::NodeType};

/// Audience (`aud`) of the access tokens.
pub const ACCESS_TOKEN_AUDIENCE: &str = "savannah";
/// Type (`typ`) of the access tokens of people.
const ACCESS_TOKEN_TYPE: &str = "JWT";

/// Claims of an access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// Global ID of the account.
    pub sub: String,
    /// Global ID of the session.
    pub sid: String,
    /// Role of the account.
    pub role: String,
    /// Issue time, in seconds since the epoch.
    pub iat: i64,
    /// Start of validity, in seconds since the epoch.
    pub nbf: i64,
    /// Expiry, in seconds since the epoch.
    pub exp: i64,
}

/// Result of a verified token.
#[derive(Debug, Clone, Copy)]
pub struct VerifiedClaims {
    /// Caller that the token authenticates.
    pub caller: Caller,
    /// Expiry.
    pub expires_at: DateTime<Utc>,
}

/// Issuer and lifetime of this server's access tokens.
#[derive(Debug, Clone)]
pub struct TokenPolicy {
    /// Issuer.
    pub issuer: String,
    /// Lifetime of a token.
    pub lifetime: TimeDelta,
}

/// Subject of an access token.
#[derive(Debug, Clone, Copy)]
pub struct TokenSubject {
    /// ID of the account.
    pub account_id: i64,
    /// Role of the account.
    pub role: Role,
    /// ID of the session.
    pub session_id: i64,
}

/// Signed access token.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: String,
    /// Expiry.
    pub expires_at: DateTime<Utc>,
}

/// Times of a token, in seconds since the epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenTimes {
    /// Issue time.
    pub(super) issued_at: i64,
    /// Start of validity; `None` without one.
    pub(super) valid_from: Option<i64>,
    /// Expiry.
    pub(super) expires_at: i64,
}

impl TokenTimes {
    /// Checks the times and the lifetime of a token; returns its expiry.
    pub(super) fn check(self, policy: &TokenPolicy, now: DateTime<Utc>) -> Result<DateTime<Utc>, TokenError> {
        let Self { issued_at, valid_from, expires_at: expiry } = self;
        let expires_at =
            DateTime::from_timestamp(expiry, 0).ok_or_else(|| TokenError::new("its expiry is not a valid time"))?;
        if expires_at <= now {
            return Err(TokenError::new(format!("it expired at {expires_at}")));
        }
        // This server issues no token with a longer lifetime.
        if expiry.saturating_sub(issued_at) > policy.lifetime.num_seconds()
            || issued_at > (now + MAX_CLOCK_SKEW).timestamp()
        {
            return Err(TokenError::new("its lifetime is longer than that of the shop's tokens"));
        }
        if valid_from.is_some_and(|valid_from| valid_from > now.timestamp()) {
            return Err(TokenError::new("it is not valid yet"));
        }
        Ok(expires_at)
    }
}

/// Signs claims with the current key. `token_type` is the `typ` of the header.
pub(super) fn sign_claims(key_ring: &KeyRing, token_type: &str, claims: &impl Serialize) -> Result<String> {
    let missing_key_error = || Error::internal("signing a token", "there is no signing key");
    let (kid, key) = key_ring.current.as_ref().ok_or_else(missing_key_error)?;
    let header = Header { kid: Some(kid.clone()), typ: Some(token_type.to_owned()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, claims, key).map_err(|error| Error::internal("signing a token", error))
}

/// Verifies signature, issuer and audience of a token of this server, and returns its claims. Its times must be checked
/// with [`TokenTimes::check`].
pub(super) fn verify_signature<C: DeserializeOwned + Clone>(
    key_ring: &KeyRing,
    policy: &TokenPolicy,
    token: &str,
) -> Result<C, TokenError> {
    let header = jsonwebtoken::decode_header(token)
        .map_err(|error| TokenError::with_cause("the header cannot be read", error))?;
    if header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some() {
        return Err(TokenError::new("the token's header contains a key"));
    }
    let kid = header.kid.ok_or_else(|| TokenError::new("the token's header has no key id"))?;
    let key = key_ring.find_decoding_key(&kid).ok_or_else(|| TokenError::new(format!("there is no key {kid:?}")))?;
    // The algorithm is fixed, whatever the header names; times are compared with `now`, not with the system clock.
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[ACCESS_TOKEN_AUDIENCE]);
    validation.set_issuer(&[&policy.issuer]);
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    let claims = jsonwebtoken::decode::<C>(token, key, &validation);
    Ok(claims.map_err(|error| TokenError::with_cause("the token does not verify", error))?.claims)
}

/// Signs an access token for a session.
pub fn sign_access_token(
    key_ring: &KeyRing,
    policy: &TokenPolicy,
    subject: TokenSubject,
    now: DateTime<Utc>,
) -> Result<AccessToken> {
    let TokenSubject { account_id, role, session_id } = subject;
    let expires_at = now + policy.lifetime;
    let claims = AccessTokenClaims {
        iss: policy.issuer.clone(),
        aud: ACCESS_TOKEN_AUDIENCE.to_owned(),
        sub: GlobalId::new(NodeType::Account, account_id).encode(),
        sid: GlobalId::new(NodeType::Session, session_id).encode(),
        role: role.name().to_owned(),
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: expires_at.timestamp(),
    };
    Ok(AccessToken { token: sign_claims(key_ring, ACCESS_TOKEN_TYPE, &claims)?, expires_at })
}

/// Verifies an access token of this server against its issuer and token lifetime.
///
/// # Errors
/// Returns the reason, for the log, if the token is invalid.
pub fn verify_access_token(
    key_ring: &KeyRing,
    policy: &TokenPolicy,
    token: &str,
    now: DateTime<Utc>,
) -> Result<VerifiedClaims, TokenError> {
    let claims: AccessTokenClaims = verify_signature(key_ring, policy, token)?;
    let times = TokenTimes { issued_at: claims.iat, valid_from: Some(claims.nbf), expires_at: claims.exp };
    let expires_at = times.check(policy, now)?;
    let decode_id =
        |text: &str, kind| GlobalId::decode_as(text, kind, "").map_err(|error| TokenError::new(error.log_message()));
    let role =
        Role::from_name(&claims.role).ok_or_else(|| TokenError::new(format!("there is no role {:?}", claims.role)))?;
    let (account_id, session_id) =
        (decode_id(&claims.sub, NodeType::Account)?, decode_id(&claims.sid, NodeType::Session)?);
    Ok(VerifiedClaims { caller: Caller::User { account_id, role, session_id: Some(session_id) }, expires_at })
}
