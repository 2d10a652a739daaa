//! The keys that the shop signs its tokens with. It makes the first one by itself; a retired one verifies until the last
//! token that it signed has ended.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{DecodingKey, EncodingKey};
use sea_orm::{ConnectionTrait, QueryResult};
use serde_json::{Value, json};

use super::secret;
use crate::{
    base::{Error, Result},
    infra::{Db, Tx},
};

/// The longest life of an access token: the settings allow none longer.
pub const MAX_TOKEN_LIFE: TimeDelta = TimeDelta::hours(24);
/// The clocks of instances may differ so much.
pub const SKEW: TimeDelta = TimeDelta::minutes(1);

/// Why a new key is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It is time: tokens of the key before hold until they end.
    Planned,
    /// Somebody may have the keys: no token of theirs holds any more.
    Compromised,
}

/// All keys of the moment.
pub struct Ring {
    /// What new tokens are signed with, and its name.
    pub current: Option<(String, EncodingKey)>,
    keys: Vec<Known>,
}

/// A key that tokens are verified with.
struct Known {
    kid: String,
    x: String,
    key: DecodingKey,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|known| &known.kid)).finish()
    }
}

impl Ring {
    /// Reads the keys; makes the first one where there is none. A retired key is one of them for as long as a token that
    /// it has signed may hold: the life of a token, and what clocks may differ.
    ///
    /// # Errors
    /// When the database cannot be asked, or holds what is no key.
    pub async fn load(db: &Db, token_life: TimeDelta) -> Result<Self> {
        let since = db.now() - token_life - SKEW;
        let ring = Self::read(db, since).await?;
        if ring.current.is_some() {
            return Ok(ring);
        }
        let made = db.write(async |tx| add(tx).await).await;
        match made {
            // Another instance has just made it.
            Err(why) if !why.is_taken() => Err(why),
            _ => Self::read(db, since).await,
        }
    }

    async fn read(db: &impl ConnectionTrait, since: DateTime<Utc>) -> Result<Self> {
        let mut sql = crate::infra::Sql::new(db.get_database_backend());
        sql.push("SELECT kid, private_key, public_key, retired_at FROM signing_key WHERE retired_at IS NULL OR retired_at > ");
        sql.bind(since).push(" ORDER BY created_at DESC, kid");
        let mut ring = Self { current: None, keys: Vec::new() };
        for row in db.query_all_raw(sql.statement()).await? {
            ring.add(&row)?;
        }
        Ok(ring)
    }

    fn add(&mut self, row: &QueryResult) -> Result<()> {
        let (kid, x): (String, String) = (row.try_get_by(0)?, row.try_get_by(2)?);
        let broken = |why: String| Error::fault("reading a signing key", why);
        let key = DecodingKey::from_ed_components(&x).map_err(|why| broken(why.to_string()))?;
        if row.try_get_by::<Option<DateTime<Utc>>, _>(3)?.is_none() {
            let private = BASE64_URL_SAFE_NO_PAD.decode(row.try_get_by::<String, _>(1)?);
            let private = private.map_err(|why| broken(why.to_string()))?;
            self.current = Some((kid.clone(), EncodingKey::from_ed_der(&private)));
        }
        self.keys.push(Known { kid, x, key });
        Ok(())
    }

    /// The key of a name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&DecodingKey> {
        self.keys.iter().find(|known| known.kid == kid).map(|known| &known.key)
    }

    /// The names of all keys: what tells one state of the ring from another.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|known| known.kid.as_str())
    }

    /// What the world verifies our tokens with: a JSON Web Key Set.
    #[must_use]
    pub fn public(&self) -> Value {
        let key = |known: &Known| json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": known.kid, "x": known.x });
        json!({ "keys": self.keys.iter().map(key).collect::<Vec<_>>() })
    }
}

/// Makes a new key, and retires or removes those before.
///
/// # Errors
/// When the database refuses.
pub async fn rotate(tx: &Tx, why: Rotation) -> Result<String> {
    let mut sql = tx.sql();
    sql.push("UPDATE signing_key SET private_key = '', retired_at = ").bind(tx.now());
    sql.push(", updated_at = ").bind(tx.now()).push(" WHERE retired_at IS NULL");
    tx.execute_raw(sql.statement()).await?;
    let mut sql = tx.sql();
    sql.push("DELETE FROM signing_key WHERE retired_at ");
    match why {
        Rotation::Planned => sql.push("< ").bind(tx.now() - MAX_TOKEN_LIFE - SKEW),
        Rotation::Compromised => sql.push("IS NOT NULL"),
    };
    tx.execute_raw(sql.statement()).await?;
    add(tx).await
}

async fn add(tx: &Tx) -> Result<String> {
    let failed = |_| Error::fault("making a signing key", "the system gives no random bytes");
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let private = pair.to_pkcs8v1().map_err(failed)?;
    let kid = secret::random()?[..16].to_owned();
    let mut sql = tx.sql();
    sql.push("INSERT INTO signing_key (kid, private_key, public_key, created_at, updated_at) VALUES (");
    sql.bind(kid.as_str()).push(", ").bind(BASE64_URL_SAFE_NO_PAD.encode(private.as_ref())).push(", ");
    sql.bind(BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref())).push(", ");
    sql.bind(tx.now()).push(", ").bind(tx.now()).push(")");
    tx.execute_raw(sql.statement()).await?;
    Ok(kid)
}
