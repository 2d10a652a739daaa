//! Signing keys of access tokens (Ed25519). The first key is created automatically; a retired key verifies until the
//! last token that it signed has expired.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set,
    sea_query::Expr,
};
use serde_json::{Value, json};

use super::{
    entity::signing_key::{self, Column},
    random_token,
};
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
        let rows = signing_key::Entity::find()
            .filter(Column::RetiredAt.is_null().or(Column::RetiredAt.gt(since)))
            .order_by_desc(Column::CreatedAt)
            .order_by_asc(Column::Kid)
            .all(db)
            .await?;
        let mut key_ring = Self { current: None, verification_keys: Vec::new() };
        for row in rows {
            key_ring.add_row(row)?;
        }
        Ok(key_ring)
    }

    fn add_row(&mut self, row: signing_key::Model) -> Result<()> {
        let signing_key::Model { kid, private_key, public_key: x, retired_at, .. } = row;
        let invalid_key_error = |error: String| Error::internal("reading a signing key", error);
        let key = DecodingKey::from_ed_components(&x).map_err(|error| invalid_key_error(error.to_string()))?;
        if retired_at.is_none() {
            let private = BASE64_URL_SAFE_NO_PAD.decode(private_key);
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
    signing_key::Entity::update_many()
        .col_expr(Column::PrivateKey, Expr::value(""))
        .col_expr(Column::RetiredAt, Expr::value(tx.now()))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
        .filter(Column::RetiredAt.is_null())
        .exec(tx)
        .await?;
    let unusable = match rotation {
        KeyRotation::Planned => Column::RetiredAt.lt(tx.now() - MAX_ACCESS_TOKEN_LIFETIME - MAX_CLOCK_SKEW),
        KeyRotation::Compromised => Column::RetiredAt.is_not_null(),
    };
    signing_key::Entity::delete_many().filter(unusable).exec(tx).await?;
    create_signing_key(tx).await
}

async fn create_signing_key(tx: &Tx) -> Result<String> {
    let generation_error = |_| Error::internal("generating a signing key", "the system provides no random bytes");
    let key_pair = Ed25519KeyPair::generate().map_err(generation_error)?;
    let private = key_pair.to_pkcs8v1().map_err(generation_error)?;
    let kid = random_token::generate_token()?[..16].to_owned();
    let row = signing_key::ActiveModel {
        kid: Set(kid.clone()),
        private_key: Set(BASE64_URL_SAFE_NO_PAD.encode(private.as_ref())),
        public_key: Set(BASE64_URL_SAFE_NO_PAD.encode(key_pair.public_key().as_ref())),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    row.insert(tx).await?;
    Ok(kid)
}
