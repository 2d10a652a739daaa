//! Idempotency keys: stored in the transaction of the change, so that a repeated request is carried out once.

use chrono::TimeDelta;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, OnConflict, Query},
};
use serde_json::Value;

use super::{
    Actor, Db, Tx,
    entity::idempotency_key::{self, Column},
};
use crate::base::{Error, Result, digest, error::PublicErrorCode};

/// The retention of idempotency keys.
const IDEMPOTENCY_KEY_RETENTION: TimeDelta = TimeDelta::days(30);
/// The maximum length of a key. Characters.
const MAX_IDEMPOTENCY_KEY_LENGTH: usize = 255;
/// The operation in internal errors.
const CLAIM_OPERATION: &str = "claiming an idempotency key";
/// The input path of the key.
const IDEMPOTENCY_KEY_FIELD: &str = "input.idempotencyKey";

/// The idempotency key of a request.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    mutation: &'static str,
    key: String,
    request_hash: String,
    /// The hash that separates the keys of guests.
    guest_hash: String,
}

impl IdempotencyKey {
    /// Creates the key of a mutation with its whole input.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the key is empty, too long or contains control characters.
    pub fn new(mutation: &'static str, key: &str, input: &Value) -> Result<Self> {
        let length = key.chars().count();
        if length == 0 || length > MAX_IDEMPOTENCY_KEY_LENGTH || key.chars().any(char::is_control) {
            let message =
                format!("a key has 1 to {MAX_IDEMPOTENCY_KEY_LENGTH} characters; make a new UUID for each new request");
            return Err(Error::bad_input(IDEMPOTENCY_KEY_FIELD, message));
        }
        let request_hash = digest::sha256_base64url(&input.to_string());
        Ok(Self { mutation, key: key.to_owned(), request_hash, guest_hash: String::new() })
    }

    /// Scopes the keys of guests by a cart id or a recipient address, so that two clients that number their keys from 1
    /// do not collide. Keys of authenticated callers are scoped by the caller.
    #[must_use]
    pub fn for_guest(self, guest: &str) -> Self {
        Self { guest_hash: digest::sha256_base64url(guest), ..self }
    }
}

/// The id of the resource that a request creates or changes.
#[derive(Debug, Clone, Copy)]
pub enum ResourceKey {
    /// A new row of the table, whose id is allocated with the claim.
    New(&'static str),
    /// An existing row.
    Existing(i64),
}

/// The result of claiming a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdempotencyClaim {
    /// The request is new; its resource has this id.
    New(i64),
    /// The request was carried out before; its resource has this id.
    Replay(i64),
}

impl Tx {
    /// Claims an idempotency key for this transaction. Concurrent requests with the same key wait until it has ended.
    /// Statements: 1 on PostgreSQL for a new key.
    ///
    /// Keys are scoped by mutation and caller; those of guests by [`IdempotencyKey::for_guest`].
    ///
    /// # Errors
    /// Returns `IdempotencyMismatch` if the key was used for another request.
    pub async fn claim_idempotency_key(
        &self,
        idempotency_key: &IdempotencyKey,
        resource: ResourceKey,
    ) -> Result<IdempotencyClaim> {
        let guest_hash = if self.origin().actor == Actor::Anonymous { idempotency_key.guest_hash.as_str() } else { "" };
        let scope = format!("{} {} {guest_hash}", idempotency_key.mutation, self.origin().actor).trim_end().to_owned();
        let resource_id = match resource {
            ResourceKey::Existing(resource_id) => Expr::val(resource_id),
            // Allocated by the same statement.
            ResourceKey::New(table) if self.sql().is_postgres() => {
                Expr::cust(format!("nextval(pg_get_serial_sequence('{table}', 'id'))"))
            }
            ResourceKey::New(table) => {
                let allocated_id = self.allocate_ids(table, 1).await?.next();
                Expr::val(allocated_id.ok_or_else(|| Error::internal(CLAIM_OPERATION, "no id allocated"))?)
            }
        };
        let (key, request_hash) = (&idempotency_key.key, &idempotency_key.request_hash);
        let insert = Query::insert()
            .into_table(idempotency_key::Entity)
            .columns([Column::Scope, Column::Key, Column::RequestHash, Column::ResourceId, Column::CreatedAt])
            .values([scope.as_str().into(), key.into(), request_hash.into(), resource_id, self.now().into()])
            .map_err(|error| Error::internal(CLAIM_OPERATION, error))?
            .on_conflict(OnConflict::columns([Column::Scope, Column::Key]).do_nothing().to_owned())
            .returning_col(Column::ResourceId)
            .to_owned();
        if let Some(row) = self.query_one(&insert).await? {
            return Ok(IdempotencyClaim::New(row.try_get_by(0)?));
        }
        let stored = idempotency_key::Entity::find_by_id((scope, key.clone())).one(self).await?;
        let stored = stored.ok_or_else(|| Error::internal(CLAIM_OPERATION, "the stored key was not found"))?;
        if stored.request_hash != *request_hash {
            let message = "this key was used for another request; use a new one for a new request";
            return Err(Error::user(PublicErrorCode::IdempotencyMismatch, IDEMPOTENCY_KEY_FIELD, message));
        }
        Ok(IdempotencyClaim::Replay(stored.resource_id))
    }
}

/// Deletes idempotency keys past their retention.
pub async fn delete_expired_idempotency_keys(db: &Db) -> Result<u64> {
    db.write(async |tx| {
        let expired = Column::CreatedAt.lt(tx.now() - IDEMPOTENCY_KEY_RETENTION);
        Ok(idempotency_key::Entity::delete_many().filter(expired).exec(tx).await?.rows_affected)
    })
    .await
}
