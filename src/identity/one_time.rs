//! Tokens that do one thing, once: what a mail brings, what a provider's answer is swapped for.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::secret;
use crate::{
    base::{Error, Result},
    infra::{Sql, Tx, outbox::Event},
};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To show that a mail has arrived.
    VerifyEmail,
    /// To set a new password.
    ResetPassword,
    /// To take the tokens of a sign-in that a provider has vouched for.
    SignIn,
}

impl Purpose {
    const fn stored(self) -> (&'static str, TimeDelta) {
        match self {
            Self::VerifyEmail => ("verify_email", TimeDelta::days(2)),
            Self::ResetPassword => ("reset_password", TimeDelta::hours(1)),
            Self::SignIn => ("sign_in", TimeDelta::minutes(1)),
        }
    }
}

/// A mail is to be written that brings a token: its maker makes that when it writes.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct MailAsked {
    /// To whom.
    pub account: i64,
    /// What the token is for.
    pub purpose: Purpose,
}

impl Event for MailAsked {
    const KIND: &'static str = "MailAsked";

    fn aggregate(&self) -> String {
        format!("account:{}", self.account)
    }
}

/// What a token was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// For which account.
    pub account: i64,
    /// Whatever its maker wrote with it.
    pub detail: String,
}

/// Makes a token. It is shown once; only its digest is kept.
///
/// # Errors
/// When the database refuses.
pub async fn make(tx: &Tx, purpose: Purpose, account: i64, detail: &str) -> Result<String> {
    let (stored, lasts) = purpose.stored();
    let token = secret::random()?;
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO one_time_token (digest, purpose, account_id, detail, expires_at, created_at, updated_at) VALUES (",
    );
    sql.bind(secret::digest(&token))
        .push(", ")
        .bind(stored)
        .push(", ")
        .bind(account)
        .push(", ")
        .bind(detail)
        .push(", ");
    sql.bind(tx.now() + lasts).push(", ").bind(tx.now()).push(", ").bind(tx.now()).push(")");
    tx.execute_raw(sql.statement()).await?;
    Ok(token)
}

/// Takes a token: from now on it is gone. `field` is where it was given.
///
/// # Errors
/// When it is not there (any more), is for something else, or has ended.
pub async fn take(tx: &Tx, purpose: Purpose, token: &str, field: &str) -> Result<Taken> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM one_time_token WHERE digest = ").bind(secret::digest(token));
    sql.push(" AND purpose = ").bind(purpose.stored().0).push(" AND expires_at > ").bind(tx.now());
    sql.push(" RETURNING account_id, detail");
    let row = tx.query_one_raw(sql.statement()).await?.ok_or_else(|| unknown(field))?;
    Ok(Taken { account: row.try_get_by(0)?, detail: row.try_get_by(1)? })
}

/// The account of a token that holds, without taking it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(db: &impl ConnectionTrait, purpose: Purpose, token: &str, now: DateTime<Utc>) -> Result<Option<i64>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT account_id FROM one_time_token WHERE digest = ").bind(secret::digest(token));
    sql.push(" AND purpose = ").bind(purpose.stored().0).push(" AND expires_at > ").bind(now);
    let row = db.query_one_raw(sql.statement()).await?;
    Ok(row.map(|row| row.try_get_by(0)).transpose()?)
}

/// The refusal of a token; `field` is where it was given.
#[must_use]
pub fn unknown(field: &str) -> Error {
    Error::bad_input(
        field,
        "this token does not hold: it was used, has ended, or is not one of ours; ask for a new one",
    )
}

/// Removes all tokens of an account for a purpose: what they were for has been done.
///
/// # Errors
/// When the database refuses.
pub async fn clear(tx: &Tx, purpose: Purpose, account: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM one_time_token WHERE purpose = ").bind(purpose.stored().0);
    sql.push(" AND account_id = ").bind(account);
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}
