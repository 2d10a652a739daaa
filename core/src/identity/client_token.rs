//! Access tokens of API clients: JSON Web Tokens by the profile of RFC 9068.

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::{
    Permissions,
    error::TokenError,
    jwt::{self, ACCESS_TOKEN_AUDIENCE, AccessToken, TokenPolicy, TokenTimes},
    random_token,
    signing_key::KeyRing,
};
use crate::base::{GlobalId, Result, global_id::NodeType};

/// Type (`typ`) of the access tokens of API clients.
const CLIENT_TOKEN_TYPE: &str = "at+jwt";

/// Claims of an access token of an API client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientTokenClaims {
    /// Issuer.
    pub iss: String,
    /// Audience.
    pub aud: String,
    /// Client id: the global ID of the API key.
    pub sub: String,
    /// Client id, as `sub`.
    pub client_id: String,
    /// Names of permissions, separated by spaces.
    pub scope: String,
    /// ID of the grant.
    pub grant_id: i64,
    /// Unique ID of the token.
    pub jti: String,
    /// Issue time, in seconds since the epoch.
    pub iat: i64,
    /// Expiry, in seconds since the epoch.
    pub exp: i64,
}

/// Subject of an access token of an API client.
#[derive(Debug, Clone, Copy)]
pub struct ClientTokenSubject {
    /// ID of the API key.
    pub api_key_id: i64,
    /// ID of the grant.
    pub grant_id: i64,
    /// Permissions of the token.
    pub permissions: Permissions,
    /// Expiry.
    pub expires_at: DateTime<Utc>,
}

/// Access token of an API client whose signature and times are valid. Its grant and its API key may have ended.
#[derive(Debug)]
pub struct VerifiedClientToken {
    /// ID of the API key.
    pub api_key_id: i64,
    /// Permissions of the token.
    pub permissions: Permissions,
    /// Expiry.
    pub expires_at: DateTime<Utc>,
    /// Claims.
    pub claims: ClientTokenClaims,
}

/// Returns the client id of an API key.
#[must_use]
pub fn client_id(api_key_id: i64) -> String {
    GlobalId::new(NodeType::ApiKey, api_key_id).encode()
}

/// Returns the expiry of a token that is issued now, in full seconds: its lifetime, unless its API key expires earlier.
#[must_use]
pub fn client_token_expiry(
    policy: &TokenPolicy,
    key_expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> DateTime<Utc> {
    let expires_at = now + policy.lifetime;
    key_expires_at.map_or(expires_at, |key_expires_at| key_expires_at.min(expires_at)).trunc_subsecs(0)
}

/// Signs an access token for an API client.
pub fn sign_client_token(
    key_ring: &KeyRing,
    policy: &TokenPolicy,
    subject: ClientTokenSubject,
    now: DateTime<Utc>,
) -> Result<AccessToken> {
    let ClientTokenSubject { api_key_id, grant_id, permissions, expires_at } = subject;
    let client_id = client_id(api_key_id);
    let claims = ClientTokenClaims {
        iss: policy.issuer.clone(),
        aud: ACCESS_TOKEN_AUDIENCE.to_owned(),
        sub: client_id.clone(),
        client_id,
        scope: permissions.to_string(),
        grant_id,
        jti: random_token::generate_token()?,
        iat: now.timestamp(),
        exp: expires_at.timestamp(),
    };
    Ok(AccessToken { token: jwt::sign_claims(key_ring, CLIENT_TOKEN_TYPE, &claims)?, expires_at })
}

/// Returns whether the unverified header of a token has the type of the access tokens of API clients.
#[must_use]
pub fn has_client_token_type(token: &str) -> bool {
    jsonwebtoken::decode_header(token).is_ok_and(|header| header.typ.as_deref() == Some(CLIENT_TOKEN_TYPE))
}

/// Verifies signature, issuer, audience and times of an access token of an API client.
///
/// # Errors
/// Returns the reason, for the log, if the token is invalid.
pub fn verify_client_token(
    key_ring: &KeyRing,
    policy: &TokenPolicy,
    token: &str,
    now: DateTime<Utc>,
) -> Result<VerifiedClientToken, TokenError> {
    if !has_client_token_type(token) {
        return Err(TokenError::new("it is not an access token of an API client"));
    }
    let claims: ClientTokenClaims = jwt::verify_signature(key_ring, policy, token)?;
    let times = TokenTimes { issued_at: claims.iat, valid_from: None, expires_at: claims.exp };
    let expires_at = times.check(policy, now)?;
    let api_key_id = GlobalId::decode_as(&claims.client_id, NodeType::ApiKey, "")
        .map_err(|error| TokenError::new(error.log_message()))?;
    let permissions = Permissions::parse(&claims.scope);
    Ok(VerifiedClientToken { api_key_id, permissions, expires_at, claims })
}
