//! Single-use tokens: email verification, password reset, OpenID Connect login.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, Set};
use serde::{Deserialize, Serialize};

use super::{
    email_change::EMAIL_CHANGE_TTL,
    entity::{
        OneTimeTokenPurpose,
        one_time_token::{self, Column},
    },
    random_token,
};
use crate::{
    base::{Error, Result, digest},
    infra::{Tx, outbox::Event},
};

impl OneTimeTokenPurpose {
    /// Returns the lifetime of a token.
    const fn ttl(self) -> TimeDelta {
        match self {
            Self::VerifyEmail => TimeDelta::days(2),
            Self::ResetPassword => TimeDelta::hours(1),
            Self::Login => TimeDelta::minutes(1),
            Self::ChangeEmail => EMAIL_CHANGE_TTL,
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
    let row = one_time_token::ActiveModel {
        token_hash: Set(digest::sha256_base64url(&token)),
        purpose: Set(purpose),
        account_id: Set(account_id),
        metadata: Set(metadata.to_owned()),
        expires_at: Set(tx.now() + purpose.ttl()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
    };
    row.insert(tx).await?;
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
    let valid = valid_token_condition(purpose, token, tx.now());
    let consumed = one_time_token::Entity::delete_many().filter(valid).exec_with_returning(tx).await?;
    let row = consumed.into_iter().next().ok_or_else(|| invalid_token_error(field))?;
    Ok(ConsumedToken { account_id: row.account_id, metadata: row.metadata })
}

/// Returns the account of a valid token without consuming it.
pub async fn find_account_by_token(
    db: &impl ConnectionTrait,
    purpose: OneTimeTokenPurpose,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Option<i64>> {
    let row = one_time_token::Entity::find().filter(valid_token_condition(purpose, token, now)).one(db).await?;
    Ok(row.map(|row| row.account_id))
}

/// Returns the condition of an unexpired token.
fn valid_token_condition(purpose: OneTimeTokenPurpose, token: &str, now: DateTime<Utc>) -> Condition {
    Condition::all()
        .add(Column::TokenHash.eq(digest::sha256_base64url(token)))
        .add(Column::Purpose.eq(purpose))
        .add(Column::ExpiresAt.gt(now))
}

/// Returns the error for an invalid token; `field` is the input path.
#[must_use]
pub fn invalid_token_error(field: &str) -> Error {
    Error::bad_input(
        field,
        "this token is invalid: it was used, has expired, or was not issued by this shop; request a new one",
    )
}

/// Deletes all tokens of an account for a purpose.
pub async fn delete_one_time_tokens(tx: &Tx, purpose: OneTimeTokenPurpose, account_id: i64) -> Result<()> {
    one_time_token::Entity::delete_many()
        .filter(Column::Purpose.eq(purpose))
        .filter(Column::AccountId.eq(account_id))
        .exec(tx)
        .await?;
    Ok(())
}
