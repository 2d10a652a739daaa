//! API keys: what machines sign in with. Shown once; what is kept opens nothing.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Set, sea_query::LockType,
};
use serde_json::json;

use super::{
    Caller, Permissions, Role, account,
    entity::{self, api_key},
    secret,
};
use crate::{
    base::{
        Error, Result,
        error::{Code, Problem},
        id::Kind,
    },
    infra::{Change, Db, Tx},
};

/// What every key begins with, so that people and scanners of leaked secrets know one.
pub const PREFIX: &str = "sav_";
/// So many keys that were not revoked; a list of them needs no pages.
pub const MOST: u64 = 100;
/// The longest name. Characters.
const NAME_LIMIT: usize = 100;
/// The use of a key is written down so often, at most.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);
/// So many of its last characters are kept to be shown.
const HINT: usize = 4;

/// A key that is to be made.
#[derive(Debug)]
pub struct NewApiKey {
    /// What it is for, for people.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// When it ends; `None` when it does not.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its own key.
    pub id: i64,
    /// What it may do.
    pub permissions: Permissions,
    /// When it ends; `None` when it does not.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a key, and gives it away this once.
///
/// # Errors
/// When there are too many, it may do more than its maker, or it cannot be.
pub async fn create(tx: &Tx, caller: Caller, new: NewApiKey) -> Result<(api_key::Model, String)> {
    let name = check(tx, caller, &new)?;
    let alive = api_key::Entity::find().filter(api_key::Column::RevokedAt.is_null()).count(tx).await?;
    if alive >= MOST {
        let message = format!("there are {MOST} keys; revoke one that is not needed any more");
        return Err(Error::user(Code::IllegalTransition, "", message));
    }
    let word = format!("{PREFIX}{}", secret::random()?);
    let row = api_key::ActiveModel {
        name: Set(name),
        hint: Set(word[word.len() - HINT..].to_owned()),
        digest: Set(secret::digest(&word)),
        permissions: Set(new.permissions.to_string()),
        made_by: Set(maker(tx, caller).await?),
        expires_at: Set(new.expires_at),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let row = row.insert(tx).await?;
    let after = json!({ "name": row.name, "permissions": row.permissions, "expiresAt": row.expires_at });
    let thing = (Kind::ApiKey, row.id);
    tx.record(&[Change { action: "api_key.create", thing, before: None, after: Some(after) }]).await?;
    Ok((row, word))
}

/// The person who answers for what a caller makes: a key's own maker for a key.
async fn maker(tx: &Tx, caller: Caller) -> Result<Option<i64>> {
    match caller {
        // Held, so that nobody who is losing their role at the same moment leaves a key behind.
        Caller::Person { account, role, session } => {
            let row = entity::account::Entity::find_by_id(account).lock(LockType::NoKeyUpdate).one(tx).await?;
            let row = row.filter(|row| row.disabled_at.is_none() && row.deleted_at.is_none());
            let row = row.filter(|row| session.is_none() || row.role == role);
            row.map(|row| Some(row.id)).ok_or_else(super::session::stale)
        }
        Caller::Machine { key, .. } => Ok(api_key::Entity::find_by_id(key).one(tx).await?.and_then(|row| row.made_by)),
        Caller::Nobody => Ok(None),
    }
}

/// Everything that is wrong with a new key; its name otherwise.
fn check(tx: &Tx, caller: Caller, new: &NewApiKey) -> Result<String> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, message: String| {
        let field = vec!["input".to_owned(), field.to_owned()];
        problems.push(Problem { code: Code::BadUserInput, field, message });
    };
    let name = new.name.trim();
    let length = name.chars().count();
    if !(1..=NAME_LIMIT).contains(&length) || name.chars().any(char::is_control) {
        wrong("name", format!("a name has 1 to {NAME_LIMIT} characters, on one line; this one has {length}"));
    }
    if new.permissions == Permissions::default() {
        wrong("permissions", "a key without permissions opens nothing; give at least one".into());
    }
    if !caller.permissions().covers(new.permissions) {
        wrong("permissions", "a key may do no more than who makes it".into());
    }
    if new.expires_at.is_some_and(|at| at <= tx.now() || !crate::base::page::in_range(&at)) {
        wrong("expiresAt", "a key ends in the future, before the year 10000".into());
    }
    Error::all(problems)?;
    Ok(name.to_owned())
}

/// Revokes a key. Revoking it again changes nothing.
///
/// # Errors
/// When it is not there.
pub async fn revoke(tx: &Tx, key: i64) -> Result<api_key::Model> {
    let found = api_key::Entity::find_by_id(key).one(tx).await?;
    let row = found.ok_or_else(|| Error::not_found("id", "API key"))?;
    if row.revoked_at.is_some() {
        return Ok(row);
    }
    let mut row = row.into_active_model();
    row.revoked_at = Set(Some(tx.now()));
    row.updated_at = Set(tx.now());
    let row = row.update(tx).await?;
    let before = json!({ "name": row.name });
    tx.record(&[Change { action: "api_key.revoke", thing: (Kind::ApiKey, key), before: Some(before), after: None }])
        .await?;
    Ok(row)
}

/// Revokes all keys of somebody who may not have made them any more.
///
/// # Errors
/// When the database refuses.
pub async fn revoke_all_of(tx: &Tx, maker: i64) -> Result<()> {
    let keys = api_key::Entity::find()
        .filter(api_key::Column::MadeBy.eq(maker))
        .filter(api_key::Column::RevokedAt.is_null())
        .order_by_asc(api_key::Column::Id)
        .all(tx)
        .await?;
    for key in keys {
        revoke(tx, key.id).await?;
    }
    Ok(())
}

/// The keys that were not revoked, the newest first. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(db: &impl ConnectionTrait) -> Result<Vec<api_key::Model>> {
    let alive = api_key::Entity::find().filter(api_key::Column::RevokedAt.is_null());
    Ok(alive.order_by_desc(api_key::Column::Id).all(db).await?)
}

/// The key of a word that was given away, if it holds. That it was used is written down once a minute.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(db: &Db, word: &str) -> Result<Option<Found>> {
    let Some(_) = word.strip_prefix(PREFIX) else { return Ok(None) };
    let alive = api_key::Entity::find().filter(api_key::Column::Digest.eq(secret::digest(word)));
    let Some(row) = alive.filter(api_key::Column::RevokedAt.is_null()).one(db).await? else { return Ok(None) };
    let now = db.now();
    if row.expires_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    if row.used_at.is_none_or(|at| at + NOTED_EVERY <= now) {
        note(db, row.id, now).await?;
    }
    let mut permissions = Permissions::read(&row.permissions);
    if let Some(maker) = row.made_by {
        let Some(maker) = account::alive(db, maker).await? else { return Ok(None) };
        // A key never does more than its maker may do now. Whoever is a customer here had their role from a provider's
        // token, which the shop does not keep; somebody whose role was taken away here has no keys any more.
        if maker.role != Role::Customer {
            permissions = permissions.intersection(maker.role.permissions());
        }
    }
    Ok(Some(Found { id: row.id, permissions, expires_at: row.expires_at }))
}

/// Of many uses at once, one is written down.
async fn note(db: &Db, key: i64, now: DateTime<Utc>) -> Result<()> {
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("UPDATE api_key SET used_at = ").bind(now).push(" WHERE id = ").bind(key);
        sql.push(" AND (used_at IS NULL OR used_at <= ").bind(now - NOTED_EVERY).push(")");
        tx.execute_raw(sql.statement()).await?;
        Ok(())
    })
    .await
}
