//! Verification of access tokens of external issuers.
//!
//! The issuer's keys and the account of the subject are cached in memory, so a verification usually needs no SQL and
//! no HTTP request.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::Validation;
use moka::sync::Cache;
use serde_json::{Map, Value};

use super::{
    Caller, Role, account,
    account_linking::{self, ExternalIdentity},
    error::{AuthError, TokenError},
    jwt::VerifiedClaims,
    oidc_provider::{OidcProvider, OidcProviders, ProviderMetadata},
};
use crate::{
    base::Error,
    infra::{
        Db,
        config::{IdentityConfig, ProviderConfig},
    },
};

/// Maximum length of a token in bytes; longer ones are rejected without parsing.
const MAX_EXTERNAL_TOKEN_BYTES: usize = 8 * 1024;
/// Capacity of the account cache, in entries.
const ACCOUNT_CACHE_SIZE: u64 = 20_000;
/// Time until a cached account is checked again for being active.
const ACCOUNT_CACHE_TTL: TimeDelta = TimeDelta::seconds(5);

fn reject_token<T>(reason: impl Into<String>) -> Result<T, AuthError> {
    Err(AuthError::InvalidToken(TokenError::new(reason)))
}

/// Cache key of an external identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ExternalIdentityKey {
    issuer: String,
    subject: String,
    email: Option<String>,
}

impl From<&ExternalIdentity> for ExternalIdentityKey {
    fn from(identity: &ExternalIdentity) -> Self {
        let ExternalIdentity { issuer, subject, email, .. } = identity;
        Self { issuer: issuer.clone(), subject: subject.clone(), email: email.clone() }
    }
}

/// Account of an external identity in the cache.
#[derive(Debug, Clone, Copy)]
struct CachedAccount {
    account_id: i64,
    checked_at: DateTime<Utc>,
}

/// Verifier of access tokens of external issuers.
#[derive(Debug)]
pub struct ExternalTokenVerifier {
    /// All configured providers, including those whose access tokens are not accepted.
    pub providers: OidcProviders,
    /// Accounts by external identity.
    account_cache: Cache<ExternalIdentityKey, CachedAccount>,
}

/// Decoded token whose signature is not verified yet.
#[derive(Debug)]
struct DecodedToken {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl ExternalTokenVerifier {
    /// Creates a verifier with the configured providers.
    ///
    /// # Errors
    /// Returns a message for the operator if the configuration is invalid.
    pub fn new(config: &IdentityConfig) -> Result<Self, String> {
        Ok(Self { providers: OidcProviders::new(config)?, account_cache: Cache::new(ACCOUNT_CACHE_SIZE) })
    }

    /// Returns whether the unverified `iss` claim names a trusted issuer; [`verify`](Self::verify) does the check.
    #[must_use]
    pub fn has_trusted_issuer(&self, token: &str) -> bool {
        self.providers.has_token_issuers()
            && decode_token(token).is_ok_and(|decoded| self.find_provider(&decoded).is_some())
    }

    fn find_provider(&self, decoded: &DecodedToken) -> Option<&OidcProvider> {
        claim_text(&decoded.claims, "iss").and_then(|issuer| self.providers.find_token_issuer(issuer))
    }

    /// Verifies a token and returns its caller. Creates an account for a subject without one.
    ///
    /// # Errors
    /// Returns [`AuthError`] if the token is invalid or cannot be verified.
    pub async fn verify(&self, db: &Db, token: &str) -> Result<VerifiedClaims, AuthError> {
        let now = db.now();
        let decoded = decode_token(token)?;
        let Some(provider) = self.find_provider(&decoded) else {
            return reject_token("the issuer is not a trusted provider");
        };
        let claims = verify_signature(provider, token, &decoded, now).await?;
        let expires_at = validate_claims(&claims, &provider.config, now)?;
        let role = map_role(&claims, &provider.config);
        let account =
            self.find_account_id(db, &ExternalIdentity::from_claims(&provider.config.issuer, &claims)).await?;
        Ok(VerifiedClaims { caller: Caller::User { account_id: account, role, session_id: None }, expires_at })
    }

    /// Returns the active account of an external identity.
    async fn find_account_id(&self, db: &Db, identity: &ExternalIdentity) -> Result<i64, AuthError> {
        let (now, cache_key) = (db.now(), ExternalIdentityKey::from(identity));
        if let Some(CachedAccount { account_id, checked_at }) = self.account_cache.get(&cache_key) {
            if (now - checked_at).abs() < ACCOUNT_CACHE_TTL {
                return Ok(account_id);
            }
            if account::find_active_account(db, account_id).await.map_err(AuthError::Internal)?.is_none() {
                self.account_cache.invalidate(&cache_key);
                return reject_token(format!("account {account_id} is disabled or deleted"));
            }
            self.account_cache.insert(cache_key, CachedAccount { account_id, checked_at: now });
            return Ok(account_id);
        }
        let linked_account =
            account_linking::find_or_create_account(db, identity).await.map_err(|error| match error {
                Error::Internal(_) => AuthError::Internal(error),
                error => AuthError::InvalidToken(TokenError::new(error.log_message())),
            })?;
        self.account_cache.insert(cache_key, CachedAccount { account_id: linked_account.id, checked_at: now });
        Ok(linked_account.id)
    }
}

/// Decodes a token without verifying its signature.
fn decode_token(token: &str) -> Result<DecodedToken, AuthError> {
    if token.len() > MAX_EXTERNAL_TOKEN_BYTES {
        return reject_token(format!("a token of {} bytes is too long", token.len()));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _] = parts[..] else { return reject_token("it does not have three parts") };
    let decode_part = |part: &str| -> Option<Map<String, Value>> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    match (decode_part(header), decode_part(claims)) {
        (Some(header), Some(claims)) => Ok(DecodedToken { header, claims }),
        _ => reject_token("it is not valid JSON"),
    }
}

/// Verifies the signature with the issuer's keys and returns the claims.
async fn verify_signature(
    provider: &OidcProvider,
    token: &str,
    decoded: &DecodedToken,
    now: DateTime<Utc>,
) -> Result<Map<String, Value>, AuthError> {
    let kid = read_key_id(&decoded.header)?;
    let mut metadata = provider.load_metadata(now).await?;
    if !metadata.keys.contains_key(kid) {
        metadata = provider.refresh_metadata(metadata, now).await?;
    }
    verify_with_key(&metadata, kid, token)
}

/// Returns the key ID of the header. Rejects headers that embed or reference a key.
fn read_key_id(header: &Map<String, Value>) -> Result<&str, AuthError> {
    if let Some(forbidden_name) =
        ["jku", "jwk", "x5u", "x5c", "crit", "zip"].iter().find(|name| header.contains_key(**name))
    {
        return reject_token(format!("its header has {forbidden_name}"));
    }
    let token_type = claim_text(header, "typ").unwrap_or("JWT").to_ascii_lowercase();
    if !["jwt", "at+jwt", "application/at+jwt"].contains(&token_type.as_str()) {
        return reject_token(format!("it is a {token_type:?}"));
    }
    claim_text(header, "kid").map_or_else(|| reject_token("its header has no key id"), Ok)
}

fn verify_with_key(metadata: &ProviderMetadata, kid: &str, token: &str) -> Result<Map<String, Value>, AuthError> {
    let Some(key) = metadata.keys.get(kid) else { return reject_token(format!("its issuer has no key {kid:?}")) };
    // The key determines the algorithm; times and audience are validated with `Db::now` in `validate_claims`.
    let mut validation = Validation::new(key.algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    match jsonwebtoken::decode(token, &key.public, &validation) {
        Ok(decoded) => Ok(decoded.claims),
        Err(error) => reject_token(format!("its signature: {error}")),
    }
}

/// Validates issuer, audience, type and times; returns the expiry including the clock skew.
fn validate_claims(
    claims: &Map<String, Value>,
    config: &ProviderConfig,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, AuthError> {
    if claim_text(claims, "iss") != Some(&config.issuer) {
        return reject_token("its issuer does not match");
    }
    if !claim_values(claims.get("aud")).contains(&config.audience.as_str()) {
        return reject_token(format!("its audience does not include {:?}", config.audience));
    }
    // Keycloak sets `typ` on every token: ID and refresh tokens are not access tokens.
    if claim_text(claims, "typ").is_some_and(|token_type| !token_type.eq_ignore_ascii_case("bearer")) {
        return reject_token("it is not an access token");
    }
    if claims.contains_key("cnf") {
        return reject_token("it is bound to a key or certificate of its owner's, which the shop does not ask for");
    }
    let clock_skew = TimeDelta::from_std(config.clock_skew).unwrap_or_default();
    let Some(expires_at) = parse_claim_time(claims, "exp")? else { return reject_token("it has no expiry") };
    if expires_at + clock_skew <= now {
        return reject_token(format!("it expired at {expires_at}"));
    }
    for name in ["nbf", "iat"] {
        if let Some(valid_from) = parse_claim_time(claims, name)?.filter(|valid_from| *valid_from - clock_skew > now) {
            return reject_token(format!("it is not valid before {valid_from} ({name})"));
        }
    }
    Ok(expires_at + clock_skew)
}

/// Returns the highest role in the configured roles claim.
fn map_role(claims: &Map<String, Value>, config: &ProviderConfig) -> Role {
    // The name of a claim may contain dots itself, for example a URL.
    let claim = claims.get(&config.roles_claim);
    let nested_claim = || {
        config.roles_claim.split('.').try_fold(None, |parent: Option<&Value>, name| {
            let inner = parent.map_or(Some(claims), Value::as_object)?.get(name)?;
            Some(Some(inner))
        })
    };
    let role_names = claim_values(claim.or_else(|| nested_claim().flatten()));
    let has_any_role = |roles: &[String]| roles.iter().any(|role_name| role_names.contains(&role_name.as_str()));
    if has_any_role(&config.admin_roles) {
        Role::Admin
    } else if has_any_role(&config.staff_roles) {
        Role::Staff
    } else {
        Role::Customer
    }
}

fn claim_text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

/// Returns the values of a claim that is a string or a list of strings.
fn claim_values(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(single)) => vec![single],
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Parses a time claim in seconds since the epoch; some issuers write fractions.
fn parse_claim_time(claims: &Map<String, Value>, name: &str) -> Result<Option<DateTime<Utc>>, AuthError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float stops at the ends")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
    match seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
        // Within these years, adding or subtracting the clock skew cannot overflow.
        Some(time) if (0..=9999).contains(&chrono::Datelike::year(&time)) => Ok(Some(time)),
        _ => reject_token(format!("its {name} is not a valid time")),
    }
}

#[cfg(test)]
mod tests;
