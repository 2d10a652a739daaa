//! Requests that may come again: a key that is written in the change's own transaction, so that the same request is
//! carried out once, however often and from wherever it is sent.

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use sea_orm::ConnectionTrait;
use serde_json::Value;

use super::{Actor, Db, Tx};
use crate::base::{Error, Result, error::Code};

/// So long a key is remembered.
const KEPT: TimeDelta = TimeDelta::days(30);
/// The longest key. Characters.
const LIMIT: usize = 255;
/// Where the argument stands that holds the key.
const FIELD: &str = "input.idempotencyKey";

/// A request that may come again.
#[derive(Debug, Clone)]
pub struct Once {
    mutation: &'static str,
    key: String,
    digest: String,
    /// What separates the keys of callers who have not signed in.
    guest: String,
}

impl Once {
    /// A mutation's key and everything it was given.
    ///
    /// # Errors
    /// When the key is empty or too long.
    pub fn new(mutation: &'static str, key: &str, input: &Value) -> Result<Self> {
        let length = key.chars().count();
        if length == 0 || length > LIMIT || key.chars().any(char::is_control) {
            let message = format!("a key has 1 to {LIMIT} characters; make a new UUID for each new request");
            return Err(Error::bad_input(FIELD, message));
        }
        let digest = hash(&input.to_string());
        Ok(Self { mutation, key: key.to_owned(), digest, guest: String::new() })
    }

    /// Separates the keys of guests by what belongs to one of them: a cart's id, or an address for messages. Two clients
    /// that count their keys from 1 then never meet each other's request. Callers who have signed in have keys of their
    /// own anyway.
    #[must_use]
    pub fn for_guest(self, guest: &str) -> Self {
        Self { guest: hash(guest), ..self }
    }
}

fn hash(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// The key of what a request makes.
#[derive(Debug, Clone, Copy)]
pub enum Makes {
    /// A new row of this table.
    New(&'static str),
    /// Something that is there already.
    Known(i64),
}

/// Whether a request is carried out now, or was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It is to be carried out, and makes what has this key.
    First(i64),
    /// It has been carried out, and made what has this key.
    Again(i64),
}

impl Tx {
    /// Claims a request for this transaction. Whoever sends the same at the same time waits until it has ended: then the
    /// request was carried out, or is theirs. One statement, on PostgreSQL, the first time.
    ///
    /// Keys are scoped by the mutation and the caller; those of guests by what [`Once::for_guest`] says.
    ///
    /// # Errors
    /// When the key was used for another request, or the database refuses.
    pub async fn claim(&self, once: &Once, makes: Makes) -> Result<Claim> {
        let guest = if self.origin().actor == Actor::Nobody { once.guest.as_str() } else { "" };
        let scope = format!("{} {} {guest}", once.mutation, self.origin().actor).trim_end().to_owned();
        let mut sql = self.sql();
        sql.push("INSERT INTO idempotency (scope, key, digest, made, created_at) VALUES (").bind(scope.as_str());
        sql.push(", ").bind(once.key.as_str()).push(", ").bind(once.digest.as_str()).push(", ");
        match makes {
            Makes::Known(key) => sql.bind(key),
            Makes::New(table) if sql.postgres() => {
                sql.push(&format!("nextval(pg_get_serial_sequence('{table}', 'id'))"))
            }
            Makes::New(table) => {
                let key = self.keys(table, 1).await?.next();
                sql.bind(key.ok_or_else(|| Error::fault("claiming a request", "no key for a new row"))?)
            }
        };
        sql.push(", ").bind(self.now()).push(") ON CONFLICT (scope, key) DO NOTHING RETURNING made");
        if let Some(row) = self.query_one_raw(sql.statement()).await? {
            return Ok(Claim::First(row.try_get_by(0)?));
        }
        let mut sql = self.sql();
        sql.push("SELECT digest, made FROM idempotency WHERE scope = ").bind(scope);
        sql.push(" AND key = ").bind(once.key.as_str());
        let row = self.query_one_raw(sql.statement()).await?;
        let row = row.ok_or_else(|| Error::fault("claiming a request", "its key is taken and yet not there"))?;
        if row.try_get_by::<String, _>(0)? != once.digest {
            let message = "this key was used for another request; take a new one for a new request";
            return Err(Error::user(Code::IdempotencyMismatch, FIELD, message));
        }
        Ok(Claim::Again(row.try_get_by(1)?))
    }
}

/// Forgets the keys of long ago.
///
/// # Errors
/// When the database refuses.
pub async fn prune(db: &Db) -> Result<u64> {
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("DELETE FROM idempotency WHERE created_at < ").bind(tx.now() - KEPT);
        Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
    })
    .await
}
