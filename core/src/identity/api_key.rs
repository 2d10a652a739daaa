//! API keys for machine clients. The secret is returned once; only its digest is stored.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Set,
    sea_query::{Expr, LockType},
};
use serde_json::json;

use super::{
    Caller, Permissions, Role, account,
    entity::{self, api_key, oauth_grant},
    random_token,
};
use crate::{
    base::{Error, Result, digest, error::PublicErrorCode, global_id::NodeType, validation::Validator},
    infra::{AuditRecord, Db, Tx},
};

/// Prefix of every key, so that people and secret scanners can recognize one.
pub const API_KEY_PREFIX: &str = "sav_";
/// Maximum number of active keys; the list needs no pagination.
pub const MAX_API_KEYS: u64 = 100;
/// Maximum length of a name in characters.
const MAX_API_KEY_NAME_CHARS: usize = 100;
/// Minimum interval between updates of `last_used_at`.
const LAST_USED_UPDATE_INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// Number of trailing characters of the secret that are stored for display.
const LAST_CHARS_COUNT: usize = 4;

/// Input for a new API key.
#[derive(Debug)]
pub struct NewApiKey {
    /// Display name.
    pub name: String,
    /// Permissions of the key.
    pub permissions: Permissions,
    /// Expiry; `None` if it never expires.
    pub expires_at: Option<DateTime<Utc>>,
}

/// New API key with its secret, which is returned only once.
#[derive(Debug)]
pub struct CreatedApiKey {
    /// Row of the key.
    pub row: api_key::Model,
    /// Secret.
    pub secret: String,
}

/// Valid API key of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthenticatedApiKey {
    /// ID of the API key.
    pub id: i64,
    /// Effective permissions, limited by the current role of the creator.
    pub permissions: Permissions,
    /// Expiry; `None` if it never expires.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Creates an API key.
///
/// # Errors
/// Returns `IllegalTransition` if there are too many keys, and `BadUserInput` if the input is invalid or exceeds the
/// permissions of the caller.
pub async fn create_api_key(db: &Db, caller: Caller, new: NewApiKey) -> Result<CreatedApiKey> {
    db.write(async |tx| {
        let name = validate_new_api_key(tx, caller, &new)?;
        let active_count = api_key::Entity::find().filter(api_key::Column::RevokedAt.is_null()).count(tx).await?;
        if active_count >= MAX_API_KEYS {
            let message = format!("there are already {MAX_API_KEYS} keys; revoke one that is no longer needed");
            return Err(Error::user(PublicErrorCode::IllegalTransition, "", message));
        }
        let key_secret = format!("{API_KEY_PREFIX}{}", random_token::generate_token()?);
        let row = api_key::ActiveModel {
            name: Set(name),
            last_four: Set(key_secret[key_secret.len() - LAST_CHARS_COUNT..].to_owned()),
            key_hash: Set(digest::sha256_base64url(&key_secret)),
            permissions: Set(new.permissions.to_string()),
            created_by: Set(resolve_creator_id(tx, caller).await?),
            expires_at: Set(new.expires_at),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
            ..Default::default()
        };
        let row = row.insert(tx).await?;
        let after = json!({ "name": row.name, "permissions": row.permissions, "expiresAt": row.expires_at });
        let entity = (NodeType::ApiKey, row.id);
        tx.record_audit(&[AuditRecord { action: "api_key.create", entity, before: None, after: Some(after) }]).await?;
        Ok(CreatedApiKey { row, secret: key_secret })
    })
    .await
}

/// Returns the ID of the account that a new key, or another object with permissions, belongs to; for an API key, the
/// creator of that key.
pub async fn resolve_creator_id(tx: &Tx, caller: Caller) -> Result<Option<i64>> {
    match caller {
        // Locks the row, so that no key is created while the role of the account is being changed.
        Caller::User { account_id, role, session_id } => {
            let row = entity::account::Entity::find_by_id(account_id).lock(LockType::NoKeyUpdate).one(tx).await?;
            let row = row.filter(|row| row.disabled_at.is_none() && row.deleted_at.is_none());
            let row = row.filter(|row| session_id.is_none() || row.role == role);
            row.map(|row| Some(row.id)).ok_or_else(account::account_changed_error)
        }
        Caller::ApiKey { api_key_id, .. } => {
            Ok(api_key::Entity::find_by_id(api_key_id).one(tx).await?.and_then(|row| row.created_by))
        }
        Caller::Anonymous => Ok(None),
    }
}

/// Returns the trimmed name, or all validation errors.
fn validate_new_api_key(tx: &Tx, caller: Caller, new: &NewApiKey) -> Result<String> {
    let mut validator = Validator::default();
    let mut input = validator.at("input");
    let name = new.name.trim();
    let length = name.chars().count();
    if !(1..=MAX_API_KEY_NAME_CHARS).contains(&length) || name.chars().any(char::is_control) {
        input.reject(
            "name",
            format!("a name has 1 to {MAX_API_KEY_NAME_CHARS} characters, on one line; this one has {length}"),
        );
    }
    if new.permissions == Permissions::default() {
        input.reject("permissions", "a key needs at least one permission");
    }
    if !caller.permissions().covers(new.permissions) {
        input.reject("permissions", "a key cannot have permissions that its creator does not have");
    }
    if new.expires_at.is_some_and(|at| at <= tx.now() || !crate::base::pagination::is_storable_time(&at)) {
        input.reject("expiresAt", "the expiry must be in the future, before the year 10000");
    }
    validator.finish()?;
    Ok(name.to_owned())
}

/// Revokes a key. Idempotent.
///
/// # Errors
/// Returns `NotFound` if the key does not exist.
pub async fn revoke_api_key(db: &Db, api_key_id: i64) -> Result<api_key::Model> {
    db.write(async |tx| {
        let existing = api_key::Entity::find_by_id(api_key_id).one(tx).await?;
        let row = existing.ok_or_else(|| Error::not_found("id", "API key"))?;
        if row.revoked_at.is_some() {
            return Ok(row);
        }
        let missing = || Error::internal("revoking an API key", "the row is missing");
        revoke_keys(tx, vec![row]).await?.pop().ok_or_else(missing)
    })
    .await
}

/// Revokes active keys, and all that was granted to them as API clients. Statements: 3.
async fn revoke_keys(tx: &Tx, mut keys: Vec<api_key::Model>) -> Result<Vec<api_key::Model>> {
    let key_ids: Vec<i64> = keys.iter().map(|key| key.id).collect();
    api_key::Entity::update_many()
        .col_expr(api_key::Column::RevokedAt, Expr::value(tx.now()))
        .col_expr(api_key::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(api_key::Column::Id.is_in(key_ids.iter().copied()))
        .exec(tx)
        .await?;
    oauth_grant::Entity::delete_many().filter(oauth_grant::Column::ApiKeyId.is_in(key_ids)).exec(tx).await?;
    let to_record = |key: &api_key::Model| AuditRecord {
        action: "api_key.revoke",
        entity: (NodeType::ApiKey, key.id),
        before: Some(json!({ "name": key.name })),
        after: None,
    };
    tx.record_audit(&keys.iter().map(to_record).collect::<Vec<_>>()).await?;
    for key in &mut keys {
        (key.revoked_at, key.updated_at) = (Some(tx.now()), tx.now());
    }
    Ok(keys)
}

/// Revokes all active keys that an account created. Statements: at most 4.
pub async fn revoke_api_keys_created_by(tx: &Tx, creator_id: i64) -> Result<()> {
    let keys = api_key::Entity::find()
        .filter(api_key::Column::CreatedBy.eq(creator_id))
        .filter(api_key::Column::RevokedAt.is_null())
        .order_by_asc(api_key::Column::Id)
        .all(tx)
        .await?;
    if !keys.is_empty() {
        revoke_keys(tx, keys).await?;
    }
    Ok(())
}

/// Returns the keys that are not revoked, newest first. Statements: 1.
pub async fn list_active_api_keys(db: &impl ConnectionTrait) -> Result<Vec<api_key::Model>> {
    let query = api_key::Entity::find().filter(api_key::Column::RevokedAt.is_null());
    Ok(query.order_by_desc(api_key::Column::Id).all(db).await?)
}

/// Returns the valid key of a secret, if any. Updates `last_used_at` at most once a minute.
pub async fn find_api_key_by_secret(db: &Db, key_secret: &str) -> Result<Option<AuthenticatedApiKey>> {
    let Some(_) = key_secret.strip_prefix(API_KEY_PREFIX) else { return Ok(None) };
    let query = api_key::Entity::find().filter(api_key::Column::KeyHash.eq(digest::sha256_base64url(key_secret)));
    match query.one(db).await? {
        Some(row) => authenticate_api_key(db, row).await,
        None => Ok(None),
    }
}

/// Returns the valid key with an ID and a secret, if any. Updates `last_used_at` at most once a minute.
pub async fn find_api_key_by_id_and_secret(
    db: &Db,
    api_key_id: i64,
    key_secret: &str,
) -> Result<Option<AuthenticatedApiKey>> {
    let row = api_key::Entity::find_by_id(api_key_id).one(db).await?;
    let presented_hash = digest::sha256_base64url(key_secret);
    match row.filter(|row| random_token::secrets_are_equal(&row.key_hash, &presented_hash)) {
        Some(row) => authenticate_api_key(db, row).await,
        None => Ok(None),
    }
}

/// Returns a key with its effective permissions, unless it was revoked or has expired or its creator is not active.
/// Updates `last_used_at` at most once a minute.
pub async fn authenticate_api_key(db: &Db, row: api_key::Model) -> Result<Option<AuthenticatedApiKey>> {
    let now = db.now();
    if row.revoked_at.is_some() || row.expires_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    let mut permissions = Permissions::parse(&row.permissions);
    if let Some(creator) = row.created_by {
        let Some(creator) = account::find_active_account(db, creator).await? else { return Ok(None) };
        // A key never exceeds the current permissions of its creator. The role of a creator stored as `customer` came
        // from a provider's token and is not stored; lowering a stored role revokes the keys of the account.
        if creator.role != Role::Customer {
            permissions = permissions.intersection(creator.role.permissions());
        }
    }
    if row.last_used_at.is_none_or(|at| at + LAST_USED_UPDATE_INTERVAL <= now) {
        record_api_key_use(db, row.id, now).await?;
    }
    Ok(Some(AuthenticatedApiKey { id: row.id, permissions, expires_at: row.expires_at }))
}

/// Updates `last_used_at`; of concurrent uses only one writes.
async fn record_api_key_use(db: &Db, api_key_id: i64, now: DateTime<Utc>) -> Result<()> {
    db.write(async |tx| {
        let is_outdated = api_key::Column::LastUsedAt.lte(now - LAST_USED_UPDATE_INTERVAL);
        api_key::Entity::update_many()
            .col_expr(api_key::Column::LastUsedAt, Expr::value(now))
            .filter(api_key::Column::Id.eq(api_key_id))
            .filter(api_key::Column::LastUsedAt.is_null().or(is_outdated))
            .exec(tx)
            .await?;
        Ok(())
    })
    .await
}
