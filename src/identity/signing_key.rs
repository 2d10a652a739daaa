//! Signing keys of access tokens (Ed25519). The first key is created automatically; a retired key verifies until the
//! last token that it signed has expired.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sea_orm::{ConnectionTrait, QueryResult};
use serde_json::{Value, json};

use super::random_token;
use crate::{
    base::{Error, Result},
    infra::{Db, Tx},
};

/// Maximum lifetime of an access token that the configuration allows.
pub const MAX_ACCESS_TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(24);
/// Maximum clock skew between instances.
pub const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(1);

/// Reason of a key rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRotation {
    /// Planned rotation: tokens of the previous key remain valid until they expire.
    Planned,
    /// The keys may have leaked: all tokens of the previous keys become invalid.
    Compromised,
}

/// Current signing key and all verification keys. `Debug` of a private key prints no key material.
#[derive(Debug)]
pub struct KeyRing {
    /// Key ID and private key for new tokens.
    pub current: Option<(String, EncodingKey)>,
    verification_keys: Vec<VerificationKey>,
}

/// Public key for token verification.
#[derive(Debug)]
struct VerificationKey {
    kid: String,
    x: String,
    decoding_key: DecodingKey,
}

impl KeyRing {
    /// Loads the keys; creates the first one if there is none. A retired key is included for the token lifetime plus
    /// [`MAX_CLOCK_SKEW`].
    pub async fn load(db: &Db, token_lifetime: TimeDelta) -> Result<Self> {
        let since = db.now() - token_lifetime - MAX_CLOCK_SKEW;
        let key_ring = Self::read_keys(db, since).await?;
        if key_ring.current.is_some() {
            return Ok(key_ring);
        }
        let created = db.write(async |tx| create_signing_key(tx).await).await;
        match created {
            // Another instance has created it concurrently.
            Err(error) if !error.is_unique_violation() => Err(error),
            _ => Self::read_keys(db, since).await,
        }
    }

    async fn read_keys(db: &impl ConnectionTrait, since: DateTime<Utc>) -> Result<Self> {
        let mut sql = crate::infra::SqlBuilder::new(db.get_database_backend());
        sql.push("SELECT kid, private_key, public_key, retired_at FROM signing_key WHERE retired_at IS NULL OR retired_at > ");
        sql.bind(since).push(" ORDER BY created_at DESC, kid");
        let mut key_ring = Self { current: None, verification_keys: Vec::new() };
        for row in db.query_all_raw(sql.into_statement()).await? {
            key_ring.add_row(&row)?;
        }
        Ok(key_ring)
    }

    fn add_row(&mut self, row: &QueryResult) -> Result<()> {
        let (kid, x): (String, String) = (row.try_get_by(0)?, row.try_get_by(2)?);
        let invalid_key_error = |error: String| Error::internal("reading a signing key", error);
        let key = DecodingKey::from_ed_components(&x).map_err(|error| invalid_key_error(error.to_string()))?;
        if row.try_get_by::<Option<DateTime<Utc>>, _>(3)?.is_none() {
            let private = BASE64_URL_SAFE_NO_PAD.decode(row.try_get_by::<String, _>(1)?);
            let private = private.map_err(|error| invalid_key_error(error.to_string()))?;
            self.current = Some((kid.clone(), EncodingKey::from_ed_der(&private)));
        }
        self.verification_keys.push(VerificationKey { kid, x, decoding_key: key });
        Ok(())
    }

    /// Returns the public key with a key ID.
    #[must_use]
    pub fn find_decoding_key(&self, kid: &str) -> Option<&DecodingKey> {
        self.verification_keys
            .iter()
            .find(|verification_key| verification_key.kid == kid)
            .map(|verification_key| &verification_key.decoding_key)
    }

    /// Returns the IDs of all keys, which identify the state of the key ring.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.verification_keys.iter().map(|verification_key| verification_key.kid.as_str())
    }

    /// Returns the public keys as a JSON Web Key Set.
    #[must_use]
    pub fn to_jwks(&self) -> Value {
        let to_jwk = |verification_key: &VerificationKey| json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": verification_key.kid, "x": verification_key.x });
        json!({ "keys": self.verification_keys.iter().map(to_jwk).collect::<Vec<_>>() })
    }
}

/// Creates a new key and retires or deletes the previous ones; returns the new key ID.
pub async fn rotate_signing_key(tx: &Tx, rotation: KeyRotation) -> Result<String> {
    let mut sql = tx.sql();
    sql.push("UPDATE signing_key SET private_key = '', retired_at = ").bind(tx.now());
    sql.push(", updated_at = ").bind(tx.now()).push(" WHERE retired_at IS NULL");
    tx.execute_raw(sql.into_statement()).await?;
    let mut sql = tx.sql();
    sql.push("DELETE FROM signing_key WHERE retired_at ");
    match rotation {
        KeyRotation::Planned => sql.push("< ").bind(tx.now() - MAX_ACCESS_TOKEN_LIFETIME - MAX_CLOCK_SKEW),
        KeyRotation::Compromised => sql.push("IS NOT NULL"),
    };
    tx.execute_raw(sql.into_statement()).await?;
    create_signing_key(tx).await
}

async fn create_signing_key(tx: &Tx) -> Result<String> {
    let generation_error = |_| Error::internal("making a signing key", "the system gives no random bytes");
    let key_pair = Ed25519KeyPair::generate().map_err(generation_error)?;
    let private = key_pair.to_pkcs8v1().map_err(generation_error)?;
    let kid = random_token::generate_token()?[..16].to_owned();
    let mut sql = tx.sql();
    sql.push("INSERT INTO signing_key (kid, private_key, public_key, created_at, updated_at) VALUES (");
    sql.bind(kid.as_str()).push(", ").bind(BASE64_URL_SAFE_NO_PAD.encode(private.as_ref())).push(", ");
    sql.bind(BASE64_URL_SAFE_NO_PAD.encode(key_pair.public_key().as_ref())).push(", ");
    sql.bind(tx.now()).push(", ").bind(tx.now()).push(")");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(kid)
}
