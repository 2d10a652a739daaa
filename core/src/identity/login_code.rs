//! One-time codes of six digits, sent by email or SMS, to log in or to verify a phone number.
//!
//! A code is used together with the random token of its request, which only the requesting client has: another client
//! can neither guess the code of a request nor use up its attempts. Codes are short, so they are stored with the slow
//! hash of passwords.

use aws_lc_rs::rand;
use chrono::TimeDelta;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, ExprTrait, QueryFilter, Set, sea_query::Expr};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{
    entity::{
        LoginCodeChannel, LoginCodePurpose,
        login_code::{ActiveModel, Column, Entity, Model},
    },
    password, random_token,
};
use crate::{
    base::{Error, Result, digest},
    infra::{Db, Tx, background, outbox::Event},
};

/// How long a code can be used after its request.
pub const LOGIN_CODE_TTL: TimeDelta = TimeDelta::minutes(10);
/// The maximum number of attempts of a code.
pub const MAX_LOGIN_CODE_ATTEMPTS: i32 = 5;
/// The number of different codes.
const CODE_COUNT: u32 = 1_000_000;

/// Event: a code was requested. It is created when the message is rendered.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct LoginCodeRequested {
    /// ID of the request.
    pub login_code: i64,
}

impl Event for LoginCodeRequested {
    const KIND: &'static str = "LoginCodeRequested";

    fn aggregate(&self) -> String {
        format!("login_code:{}", self.login_code)
    }
}

/// Request of a code.
#[derive(Debug)]
pub struct NewLoginCode {
    /// Purpose of the code.
    pub purpose: LoginCodePurpose,
    /// Channel of the message.
    pub channel: LoginCodeChannel,
    /// ID of the account and its email address or phone number; `None` if there is no such account.
    pub owner: Option<(i64, String)>,
}

/// Code with its hash.
#[derive(Debug)]
pub struct GeneratedLoginCode {
    /// Code of six digits.
    pub code: SecretString,
    code_hash: String,
}

impl GeneratedLoginCode {
    /// Generates a random code and hashes it on a background thread.
    pub async fn generate() -> Result<Self> {
        background::compute(|| {
            let code = generate_code()?;
            let code_hash = password::hash_password(&code)?;
            Ok(Self { code: code.into(), code_hash })
        })
        .await?
    }
}

fn generate_code() -> Result<String> {
    loop {
        let mut bytes = [0; 4];
        rand::fill(&mut bytes)
            .map_err(|_| Error::internal("generating a code", "the system provides no random bytes"))?;
        let number = u32::from_be_bytes(bytes);
        // Numbers of the last, incomplete range would make some codes more frequent.
        if number < u32::MAX - u32::MAX % CODE_COUNT {
            return Ok(format!("{:06}", number % CODE_COUNT));
        }
    }
}

/// Creates the request of a code and returns its token. A request without an account is stored, too, so that it cannot
/// be distinguished.
pub async fn create_login_code(tx: &Tx, new: NewLoginCode) -> Result<String> {
    let NewLoginCode { purpose, channel, owner } = new;
    let (account_id, recipient) = owner.unzip();
    let request = random_token::generate_token()?;
    let row = ActiveModel {
        request_hash: Set(digest::sha256_base64url(&request)),
        purpose: Set(purpose),
        channel: Set(channel),
        account_id: Set(account_id),
        recipient: Set(recipient),
        attempts: Set(0),
        expires_at: Set(tx.now() + LOGIN_CODE_TTL),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let row = row.insert(tx).await?;
    tx.emit_event(LoginCodeRequested { login_code: row.id }).await?;
    Ok(request)
}

/// Assigns the event of its message to a request and returns the request, unless it has expired.
pub async fn assign_event(tx: &Tx, id: i64, event_id: i64) -> Result<Option<Model>> {
    let assigned = Entity::update_many()
        .col_expr(Column::EventId, Expr::value(event_id))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
        .filter(Column::Id.eq(id))
        .filter(Column::ExpiresAt.gt(tx.now()))
        .exec_with_returning(tx)
        .await?;
    Ok(assigned.into_iter().next())
}

/// Stores the code of a request, found by the event of its message. Returns whether the request exists and has not
/// expired.
pub async fn store_code(tx: &Tx, event_id: i64, generated: &GeneratedLoginCode) -> Result<bool> {
    let stored = Entity::update_many()
        .col_expr(Column::CodeHash, Expr::value(generated.code_hash.as_str()))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
        .filter(Column::EventId.eq(event_id))
        .filter(Column::AccountId.is_not_null())
        .filter(Column::ExpiresAt.gt(tx.now()))
        .exec(tx)
        .await?;
    Ok(stored.rows_affected > 0)
}

/// Counts an attempt and returns the request; `None` if it does not exist, has expired or has no attempts left.
/// Attempts are counted before the code is checked, so that concurrent ones cannot exceed the limit.
pub async fn count_attempt(tx: &Tx, purpose: LoginCodePurpose, request: &str) -> Result<Option<Model>> {
    let counted = Entity::update_many()
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
        .filter(Column::RequestHash.eq(digest::sha256_base64url(request)))
        .filter(Column::Purpose.eq(purpose))
        .filter(Column::Attempts.lt(MAX_LOGIN_CODE_ATTEMPTS))
        .filter(Column::ExpiresAt.gt(tx.now()))
        .exec_with_returning(tx)
        .await?;
    Ok(counted.into_iter().next())
}

/// Consumes (deletes) a request whose code was correct. Returns whether it still existed.
pub async fn consume_login_code(tx: &Tx, id: i64) -> Result<bool> {
    Ok(Entity::delete_by_id(id).exec(tx).await?.rows_affected > 0)
}

/// Deletes the requests of an account.
pub async fn delete_login_codes(tx: &Tx, account_id: i64) -> Result<()> {
    Entity::delete_many().filter(Column::AccountId.eq(account_id)).exec(tx).await?;
    Ok(())
}

/// Deletes expired requests.
pub async fn delete_expired_login_codes(db: &Db) -> Result<()> {
    db.write(async |tx| {
        Entity::delete_many().filter(Column::ExpiresAt.lte(tx.now())).exec(tx).await?;
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_codes_have_six_digits() {
        let codes: Vec<_> = (0..200).map(|_| generate_code().expect("a code")).collect();
        assert!(codes.iter().all(|code| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())));
        assert!(codes.iter().any(|code| *code != codes[0]));
    }
}
