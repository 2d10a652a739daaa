//! Requests with an `Idempotency-Key`: executed once, with the response stored for retries.
//!
//! A request is claimed before it is executed, so that concurrent retries are not executed. The claim is a lease that
//! is renewed during the execution; if its process ends, the lease expires and a retry is executed. The response is
//! stored after the execution, in a transaction of its own.
//!
//! Nothing stored can be read without the key: the row is found by a hash that is derived from it, the request is
//! stored as a keyed hash, and the response is encrypted.

use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set, UpdateMany,
    sea_query::{Expr, OnConflict},
};

use super::{
    Actor, Db, Tx,
    entity::idempotent_request::{ActiveModel, Column, Entity},
};
use crate::base::{
    Error, Result,
    encryption::{DataCipher, KeyDerivation},
    error::PublicErrorCode,
};

/// The length of a key. A key with fewer characters could be guessed, or chosen by two clients.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 20..=255;
/// The minimum number of different characters of a key: rejects keys that are not random.
const MIN_DISTINCT_CHARS: usize = 8;
/// The maximum size of a stored response. Bytes.
pub const MAX_STORED_RESPONSE_BYTES: usize = 256 * 1024;
/// How long a claim belongs to its process without renewal.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The interval of renewals.
pub const LEASE_RENEWAL_INTERVAL: Duration = Duration::from_secs(15);
/// The operation in internal errors.
const OPERATION: &str = "protecting a response by its idempotency key";

/// A request with an idempotency key, and what is derived from the key.
#[derive(Debug)]
pub struct IdempotentRequest {
    caller: String,
    key_hash: String,
    request_hash: String,
    cipher: DataCipher,
}

/// The result of claiming a request.
#[derive(Debug)]
pub enum RequestClaim {
    /// The request is new and claimed for execution.
    New(ClaimedRequest),
    /// The request was executed before, with this response.
    Replay(Vec<u8>),
}

/// A request that this process executes.
#[derive(Debug)]
pub struct ClaimedRequest {
    request: IdempotentRequest,
    claim_token: String,
}

/// Checks a key.
///
/// # Errors
/// Returns `BadUserInput` if it has characters other than visible ASCII, or is too short, too long or not random.
fn validate_key(key: &str) -> Result<()> {
    let is_visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    let mut distinct_bytes = key.as_bytes().to_vec();
    distinct_bytes.sort_unstable();
    distinct_bytes.dedup();
    if is_visible && KEY_LENGTH.contains(&key.len()) && distinct_bytes.len() >= MIN_DISTINCT_CHARS {
        return Ok(());
    }
    let message = format!(
        "Idempotency-Key must be {} to {} visible ASCII characters, at least {MIN_DISTINCT_CHARS} of them different; \
         make a new random UUID for each new request.",
        KEY_LENGTH.start(),
        KEY_LENGTH.end(),
    );
    Err(Error::bad_input("", message))
}

impl IdempotentRequest {
    /// Creates a request of a caller from its key and its content. Keys of different callers are different; those of
    /// anonymous callers differ by their randomness.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the key is invalid.
    pub fn new(actor: Actor, key: &str, content: &[u8]) -> Result<Self> {
        validate_key(key)?;
        let caller = actor.to_string();
        let derivation = KeyDerivation::new(caller.as_bytes(), key.as_bytes());
        let derive = |purpose: &str| {
            let derived = derivation.derive(purpose.as_bytes());
            derived.map_err(|_| Error::internal(OPERATION, "no key was derived"))
        };
        let request_key = hmac::Key::new(hmac::HMAC_SHA256, &derive("request")?);
        Ok(Self {
            caller,
            key_hash: BASE64_URL_SAFE_NO_PAD.encode(derive("key")?),
            request_hash: BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&request_key, content)),
            cipher: DataCipher::new(&derive("response")?)
                .map_err(|_| Error::internal(OPERATION, "the cipher was not created"))?,
        })
    }

    /// Claims the request for execution, unless it was executed before. Statements: 1, and 2 for a known key.
    ///
    /// # Errors
    /// Returns `IdempotencyMismatch` if the key was used for another request, and `IdempotencyConflict` if a request
    /// with the key is being executed.
    pub async fn claim(self, db: &Db) -> Result<RequestClaim> {
        let mut random_bytes = [0; 16];
        rand::fill(&mut random_bytes).map_err(|_| Error::internal(OPERATION, "the system provides no random bytes"))?;
        let claim_token = BASE64_URL_SAFE_NO_PAD.encode(random_bytes);
        let stored = db.write(async |tx| {
            if self.insert_claim(tx, &claim_token).await? {
                return Ok(None);
            }
            let stored = Entity::find_by_id(self.key_hash.as_str()).one(tx).await?;
            // A row that was deleted between the two statements belonged to a request that was not executed.
            stored.ok_or_else(conflict_error).map(Some)
        });
        let Some(stored) = stored.await? else {
            return Ok(RequestClaim::New(ClaimedRequest { request: self, claim_token }));
        };
        if stored.request_hash != self.request_hash {
            let message = "This Idempotency-Key was used for another request; use a new one for a new request.";
            return Err(Error::user(PublicErrorCode::IdempotencyMismatch, "", message));
        }
        let response = stored.response.ok_or_else(conflict_error)?;
        self.decrypt(response).map(RequestClaim::Replay)
    }

    /// Inserts the row of a new claim, or replaces an expired one. Returns whether it was claimed.
    async fn insert_claim(&self, tx: &Tx, claim_token: &str) -> Result<bool> {
        let row = ActiveModel {
            key_hash: Set(self.key_hash.clone()),
            caller: Set(self.caller.clone()),
            request_hash: Set(self.request_hash.clone()),
            claim_token: Set(claim_token.to_owned()),
            response: Set(None),
            expires_at: Set(tx.now() + LEASE),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        };
        let replaced_columns = [
            Column::RequestHash,
            Column::ClaimToken,
            Column::Response,
            Column::ExpiresAt,
            Column::CreatedAt,
            Column::UpdatedAt,
        ];
        let take_over = OnConflict::column(Column::KeyHash)
            .update_columns(replaced_columns)
            .action_and_where(Expr::col((Entity, Column::ExpiresAt)).lte(tx.now()))
            .to_owned();
        Ok(Entity::insert(row).on_conflict(take_over).exec_without_returning(tx).await? > 0)
    }

    /// Encrypts a response: nonce, ciphertext and tag. The request is authenticated with it.
    fn encrypt(&self, response: Vec<u8>) -> Result<Vec<u8>> {
        let encrypted = self.cipher.encrypt(response, self.request_hash.as_bytes());
        encrypted.map_err(|_| Error::internal(OPERATION, "the response was not encrypted"))
    }

    fn decrypt(&self, stored: Vec<u8>) -> Result<Vec<u8>> {
        let response = self.cipher.decrypt(stored, self.request_hash.as_bytes());
        response.map_err(|_| Error::internal(OPERATION, "the stored response was not decrypted"))
    }
}

impl ClaimedRequest {
    /// Extends the lease.
    pub async fn renew(&self, db: &Db) -> Result<()> {
        db.write(async |tx| {
            let expires_at = Expr::value(tx.now() + LEASE);
            self.update_row(tx).col_expr(Column::ExpiresAt, expires_at).exec(tx).await?;
            Ok(())
        })
        .await
    }

    /// Stores the response for retries. Does nothing if the lease has expired and another process claimed the request.
    pub async fn complete(&self, db: &Db, response: Vec<u8>, retention: Duration) -> Result<()> {
        let response = self.request.encrypt(response)?;
        let retention = TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
        db.write_with_retry(async |tx| {
            self.update_row(tx)
                .col_expr(Column::Response, Expr::value(response.clone()))
                .col_expr(Column::ExpiresAt, Expr::value(tx.now() + retention))
                .exec(tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Releases a request that changed nothing, so that a retry is executed.
    pub async fn release(&self, db: &Db) -> Result<()> {
        db.write(async |tx| {
            Entity::delete_many()
                .filter(Column::KeyHash.eq(self.request.key_hash.as_str()))
                .filter(Column::ClaimToken.eq(self.claim_token.as_str()))
                .filter(Column::Response.is_null())
                .exec(tx)
                .await?;
            Ok(())
        })
        .await
    }

    /// Returns the update of the claim's row, unless another process has taken it over.
    fn update_row(&self, tx: &Tx) -> UpdateMany<Entity> {
        Entity::update_many()
            .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
            .filter(Column::KeyHash.eq(self.request.key_hash.as_str()))
            .filter(Column::ClaimToken.eq(self.claim_token.as_str()))
            .filter(Column::Response.is_null())
    }
}

fn conflict_error() -> Error {
    let message = "A request with this Idempotency-Key is being executed; try again in a second.";
    Error::user(PublicErrorCode::IdempotencyConflict, "", message)
}

/// Deletes the stored responses of a caller. Statements: 1.
pub async fn erase_caller(tx: &Tx, actor: Actor) -> Result<()> {
    Entity::delete_many().filter(Column::Caller.eq(actor.to_string())).exec(tx).await?;
    Ok(())
}

/// Deletes requests past their retention, and claims whose lease has expired.
pub async fn delete_expired_requests(db: &Db) -> Result<()> {
    let expired = Entity::find().filter(Column::ExpiresAt.lte(db.now())).order_by_asc(Column::ExpiresAt);
    db.delete_in_batches(Column::KeyHash, expired).await
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    fn request(actor: Actor, key: &str, content: &str) -> IdempotentRequest {
        IdempotentRequest::new(actor, key, content.as_bytes()).unwrap_or_else(|error| panic!("{}", error.log_message()))
    }

    #[test]
    fn key_that_is_short_long_not_visible_or_not_random_is_rejected() {
        for key in [UUID, "V1StGXR8_Z5jdHi6B-myT", &"abcdefghij".repeat(25)] {
            assert!(validate_key(key).is_ok(), "{key}");
        }
        let nil = "00000000-0000-0000-0000-000000000000";
        for key in ["", "1", "0123456789012345678", nil, &"abcdefghij".repeat(26), "0123456789 0123456789", "ключ"]
        {
            assert!(validate_key(key).is_err(), "{key}");
        }
    }

    #[test]
    fn derived_values_depend_on_caller_key_and_content() {
        let first = request(Actor::Account(1), UUID, "a");
        let same = request(Actor::Account(1), UUID, "a");
        assert_eq!((&first.key_hash, &first.request_hash), (&same.key_hash, &same.request_hash));
        assert_ne!(first.request_hash, request(Actor::Account(1), UUID, "b").request_hash);
        for other in [
            request(Actor::Account(2), UUID, "a"),
            request(Actor::ApiKey(1), UUID, "a"),
            request(Actor::Anonymous, UUID, "a"),
            request(Actor::Account(1), &UUID.replace('0', "1"), "a"),
        ] {
            assert_ne!((&first.key_hash, &first.request_hash), (&other.key_hash, &other.request_hash));
            assert_ne!(first.key_hash, other.key_hash);
        }
    }

    #[test]
    fn response_is_decrypted_only_by_the_same_request() {
        let text = b"{\"data\":{}}".to_vec();
        let stored = request(Actor::Anonymous, UUID, "a").encrypt(text.clone()).expect("encrypted");
        assert!(!stored.windows(6).any(|window| window == b"\"data\""));
        let decrypt = |actor, content| request(actor, UUID, content).decrypt(stored.clone());
        assert_eq!(decrypt(Actor::Anonymous, "a").ok(), Some(text));
        assert!(decrypt(Actor::Anonymous, "b").is_err());
        assert!(decrypt(Actor::Account(1), "a").is_err());
        assert!(request(Actor::Anonymous, UUID, "a").decrypt(vec![0; 5]).is_err());
    }
}
