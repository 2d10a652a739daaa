//! Single-use tokens: email verification, password reset, OpenID Connect login.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

use super::random_token;
use crate::{
    base::{Error, Result},
    infra::{SqlBuilder, Tx, outbox::Event},
};

/// Purpose of a one-time token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum OneTimeTokenPurpose {
    /// Verifies the email address of an account.
    VerifyEmail,
    /// Sets a new password.
    ResetPassword,
    /// Completes an OpenID Connect login.
    Login,
}

impl OneTimeTokenPurpose {
    /// Returns the lifetime of a token.
    const fn ttl(self) -> TimeDelta {
        match self {
            Self::VerifyEmail => TimeDelta::days(2),
            Self::ResetPassword => TimeDelta::hours(1),
            Self::Login => TimeDelta::minutes(1),
        }
    }
}

/// Event: an account email with a one-time token was requested. The token is created when the email is rendered.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct AccountEmailRequested {
    /// ID of the recipient account.
    pub account: i64,
    /// Purpose of the token.
    pub purpose: OneTimeTokenPurpose,
}

impl Event for AccountEmailRequested {
    const KIND: &'static str = "AccountEmailRequested";

    fn aggregate(&self) -> String {
        format!("account:{}", self.account)
    }
}

/// Data stored with a consumed token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumedToken {
    /// ID of the account.
    pub account_id: i64,
    /// Metadata passed to [`create_one_time_token`].
    pub metadata: String,
}

/// Creates a token and returns it. Only its digest is stored.
pub async fn create_one_time_token(
    tx: &Tx,
    purpose: OneTimeTokenPurpose,
    account_id: i64,
    metadata: &str,
) -> Result<String> {
    let token = random_token::generate_token()?;
    let mut sql = tx.sql();
    sql.push(
        "INSERT INTO one_time_token (token_hash, purpose, account_id, metadata, expires_at, created_at, updated_at) VALUES (",
    );
    sql.bind(random_token::sha256_base64url(&token))
        .push(", ")
        .bind(purpose)
        .push(", ")
        .bind(account_id)
        .push(", ")
        .bind(metadata)
        .push(", ");
    sql.bind(tx.now() + purpose.ttl()).push(", ").bind(tx.now()).push(", ").bind(tx.now()).push(")");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(token)
}

/// Consumes (deletes) a token. `field` is the input path for the error.
///
/// # Errors
/// Returns `BadUserInput` if the token does not exist, has another purpose, was used or is expired.
pub async fn consume_one_time_token(
    tx: &Tx,
    purpose: OneTimeTokenPurpose,
    token: &str,
    field: &str,
) -> Result<ConsumedToken> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM one_time_token WHERE token_hash = ").bind(random_token::sha256_base64url(token));
    sql.push(" AND purpose = ").bind(purpose).push(" AND expires_at > ").bind(tx.now());
    sql.push(" RETURNING account_id, metadata");
    let row = tx.query_one_raw(sql.into_statement()).await?.ok_or_else(|| invalid_token_error(field))?;
    Ok(ConsumedToken { account_id: row.try_get_by(0)?, metadata: row.try_get_by(1)? })
}

/// Returns the account of a valid token without consuming it.
pub async fn find_account_by_token(
    db: &impl ConnectionTrait,
    purpose: OneTimeTokenPurpose,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT account_id FROM one_time_token WHERE token_hash = ").bind(random_token::sha256_base64url(token));
    sql.push(" AND purpose = ").bind(purpose).push(" AND expires_at > ").bind(now);
    let row = db.query_one_raw(sql.into_statement()).await?;
    Ok(row.map(|row| row.try_get_by(0)).transpose()?)
}

/// Returns the error for an invalid token; `field` is the input path.
#[must_use]
pub fn invalid_token_error(field: &str) -> Error {
    Error::bad_input(
        field,
        "this token does not hold: it was used, has ended, or is not one of ours; ask for a new one",
    )
}

/// Deletes all tokens of an account for a purpose.
pub async fn delete_one_time_tokens(tx: &Tx, purpose: OneTimeTokenPurpose, account_id: i64) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM one_time_token WHERE purpose = ").bind(purpose);
    sql.push(" AND account_id = ").bind(account_id);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}
