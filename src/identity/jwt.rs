//! Signing and verification of the server's own access tokens (JWT).

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{
    Caller, Role,
    error::TokenError,
    signing_key::{KeyRing, MAX_CLOCK_SKEW},
};
use crate::base::{Error, GlobalId, Result, global_id::NodeType};

/// Audience (`aud`) of the access tokens.
pub const ACCESS_TOKEN_AUDIENCE: &str = "savannah";

/// Claims of an access token.
#[derive(Debug, Serialize, Deserialize)]
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

/// Signs an access token for a session.
pub fn sign_access_token(
    key_ring: &KeyRing,
    policy: &TokenPolicy,
    subject: TokenSubject,
    now: DateTime<Utc>,
) -> Result<AccessToken> {
    let TokenSubject { account_id, role, session_id } = subject;
    let missing_key_error = || Error::internal("signing a token", "there is no signing key");
    let (kid, key) = key_ring.current.as_ref().ok_or_else(missing_key_error)?;
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
    let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
    let token = jsonwebtoken::encode(&header, &claims, key);
    let token = token.map_err(|error| Error::internal("signing a token", error))?;
    Ok(AccessToken { token, expires_at })
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
    let claims = jsonwebtoken::decode::<AccessTokenClaims>(token, key, &validation);
    let claims = claims.map_err(|error| TokenError::with_cause("the token does not verify", error))?.claims;
    let expires_at =
        DateTime::from_timestamp(claims.exp, 0).ok_or_else(|| TokenError::new("its expiry is not a valid time"))?;
    if expires_at <= now {
        return Err(TokenError::new(format!("it expired at {expires_at}")));
    }
    // This server issues no token with a longer lifetime.
    if claims.exp.saturating_sub(claims.iat) > policy.lifetime.num_seconds()
        || claims.iat > (now + MAX_CLOCK_SKEW).timestamp()
    {
        return Err(TokenError::new("its lifetime is longer than that of the shop's tokens"));
    }
    if claims.nbf > now.timestamp() {
        return Err(TokenError::new("it is not valid yet"));
    }
    let decode_id =
        |text: &str, kind| GlobalId::decode_as(text, kind, "").map_err(|error| TokenError::new(error.log_message()));
    let role =
        Role::from_name(&claims.role).ok_or_else(|| TokenError::new(format!("there is no role {:?}", claims.role)))?;
    let (account_id, session_id) =
        (decode_id(&claims.sub, NodeType::Account)?, decode_id(&claims.sid, NodeType::Session)?);
    Ok(VerifiedClaims { caller: Caller::User { account_id, role, session_id: Some(session_id) }, expires_at })
}
