//! Sessions: sign-ins that last, until they end or are revoked. Each is a family of refresh tokens, of which only the
//! newest holds; whoever shows an older one ends the whole family.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set,
    sea_query::{Expr, LockType},
};

use super::{
    entity::{account, session},
    secret,
};
use crate::{
    base::{Error, Result, error::Code, id::Kind},
    infra::{Change, Db, Sql, Tx},
};

/// Stands between the two words of a refresh token; no word holds it.
const SEPARATOR: char = '.';
/// So many tokens one used token gives at most within the grace.
const MAX_REUSES: i64 = 10;
/// The most characters that are kept of what a client calls itself.
const AGENT_LIMIT: usize = 300;
/// So long sessions that have ended are kept, for those who want to know who was there.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Where a sign-in comes from.
#[derive(Debug, Clone, Default)]
pub struct Device {
    /// What the client calls itself.
    pub user_agent: String,
    /// Its network address.
    pub address: String,
}

/// A session with its newest refresh token, which is shown to nobody but its owner, once.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub session: i64,
    /// Whose it is.
    pub account: account::Model,
    /// What the next tokens are asked for with.
    pub refresh: String,
    /// When the session ends, unless it is used before.
    pub until: DateTime<Utc>,
}

/// What came of showing a refresh token.
#[derive(Debug)]
pub enum Refreshed {
    /// New tokens may be given.
    Opened(Box<Opened>),
    /// There is no such token, or its session has ended before.
    Gone(&'static str),
    /// It was used before: its session has been ended.
    Ended(&'static str),
}

/// Begins a session of an account that has shown who it is, by some method (`password`, a provider's name).
///
/// What its owner has shown was looked at before this transaction began. So the account is read anew and held: whoever was
/// shut out meanwhile stays outside, whoever lost a role has lost it here too, and a password that was changed opens nothing.
///
/// # Errors
/// When that no longer holds, or the database refuses.
pub async fn open(
    tx: &Tx,
    account: account::Model,
    device: &Device,
    (method, lasts): (&str, TimeDelta),
) -> Result<Opened> {
    let known = account;
    let account = account::Entity::find_by_id(known.id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let alive = account.filter(|now| now.deleted_at.is_none() && now.disabled_at.is_none());
    let account = alive.filter(|now| now.password == known.password).ok_or_else(stale)?;
    let until = tx.now() + lasts;
    let family = secret::random()?;
    let row = session::ActiveModel {
        account_id: Set(account.id),
        family: Set(Some(secret::digest(&family))),
        method: Set(method.to_owned()),
        user_agent: Set(device.user_agent.chars().filter(|c| *c != '\0').take(AGENT_LIMIT).collect()),
        address: Set(device.address.clone()),
        expires_at: Set(until),
        used_at: Set(tx.now()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let made = row.insert(tx).await?;
    let refresh = give(tx, made.id, &family).await?;
    Ok(Opened { session: made.id, account, refresh, until })
}

/// What somebody has shown has been changed since.
#[must_use]
pub fn stale() -> Error {
    Error::user(Code::Unauthenticated, "", "This account has been changed just now; sign in again.")
}

/// A refresh token is the family's word, by which its session is found, and a word of its own.
async fn give(tx: &Tx, session: i64, family: &str) -> Result<String> {
    let refresh = format!("{family}{SEPARATOR}{}", secret::random()?);
    let mut sql = tx.sql();
    sql.push("INSERT INTO refresh_token (digest, session_id, created_at, updated_at) VALUES (");
    sql.bind(secret::digest(&refresh)).push(", ").bind(session).push(", ");
    sql.bind(tx.now()).push(", ").bind(tx.now()).push(")");
    tx.execute_raw(sql.statement()).await?;
    Ok(refresh)
}

/// The session of a refresh token, also of one that is not kept any more.
fn of_token(token: &str) -> Option<(&str, Select<session::Entity>)> {
    let (family, _) = token.split_once(SEPARATOR)?;
    Some((family, session::Entity::find().filter(session::Column::Family.eq(secret::digest(family)))))
}

/// Whether a refresh token is one of a session that is kept. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn is_known(db: &impl ConnectionTrait, token: &str) -> Result<bool> {
    let Some((_, query)) = of_token(token) else { return Ok(false) };
    Ok(query.one(db).await?.is_some())
}

/// The session of an account, alive or ended, that a device has a refresh token of.
///
/// # Errors
/// When the database cannot be asked.
pub async fn of_device(db: &impl ConnectionTrait, token: &str, account: i64) -> Result<Option<i64>> {
    let Some((_, query)) = of_token(token) else { return Ok(None) };
    let found = query.filter(session::Column::AccountId.eq(account)).one(db).await?;
    Ok(found.map(|found| found.id))
}

/// Takes a refresh token and gives the next one; the session lasts that much longer. All older tokens of the session count
/// as used from then on. A used one gives another next one within the grace, for pages that refresh at once; shown later it
/// has been copied, and its session ends, for the thief as for the owner.
///
/// Of used tokens only those within the grace are kept: the family tells whose session an older one is.
///
/// # Errors
/// When the database refuses. What was shown does not hold is no error here: ending the session must be kept.
pub async fn refresh(tx: &Tx, token: &str, (lasts, grace): (TimeDelta, TimeDelta)) -> Result<Refreshed> {
    let Some((family, query)) = of_token(token) else { return Ok(Refreshed::Gone("there is no such token")) };
    let found = query.lock(LockType::NoKeyUpdate).one(tx).await?;
    let alive = found.filter(|found| found.revoked_at.is_none() && found.expires_at > tx.now());
    let Some(found) = alive else { return Ok(Refreshed::Gone("its session has ended")) };
    if !holds(tx, token, found.id, grace).await? {
        revoke(tx, found.account_id, Some(found.id)).await?;
        return Ok(Refreshed::Ended("it was used before: its session ends"));
    }
    let Some(account) = super::account::alive(tx, found.account_id).await? else {
        return Ok(Refreshed::Gone("its account may not sign in"));
    };
    let until = tx.now() + lasts;
    session::Entity::update_many()
        .col_expr(session::Column::UsedAt, Expr::value(tx.now()))
        .col_expr(session::Column::UpdatedAt, Expr::value(tx.now()))
        .col_expr(session::Column::ExpiresAt, Expr::value(until))
        .filter(session::Column::Id.eq(found.id))
        .exec(tx)
        .await?;
    let mut sql = tx.sql();
    sql.push("UPDATE refresh_token SET used_at = ").bind(tx.now()).push(", updated_at = ").bind(tx.now());
    sql.push(" WHERE used_at IS NULL AND session_id = ").bind(found.id);
    tx.execute_raw(sql.statement()).await?;
    let mut sql = tx.sql();
    sql.push("DELETE FROM refresh_token WHERE session_id = ").bind(found.id);
    sql.push(" AND used_at < ").bind(tx.now() - grace);
    tx.execute_raw(sql.statement()).await?;
    let refresh = give(tx, found.id, family).await?;
    Ok(Refreshed::Opened(Box::new(Opened { session: found.id, account, refresh, until })))
}

/// Whether a token of a session was not used before, or only a moment ago and not too often since.
async fn holds(tx: &Tx, token: &str, session: i64, grace: TimeDelta) -> Result<bool> {
    let mut sql = tx.sql();
    sql.push("SELECT used_at FROM refresh_token WHERE session_id = ").bind(session);
    sql.push(" AND digest = ").bind(secret::digest(token));
    let Some(row) = tx.query_one_raw(sql.statement()).await? else { return Ok(false) };
    let Some(used_at) = row.try_get_by::<Option<DateTime<Utc>>, _>(0)? else { return Ok(true) };
    if used_at + grace <= tx.now() {
        return Ok(false);
    }
    let mut sql = tx.sql();
    sql.push("SELECT count(*) FROM refresh_token WHERE session_id = ").bind(session);
    sql.push(" AND created_at >= ").bind(used_at);
    let row = tx.query_one_raw(sql.statement()).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by::<i64, _>(0))? < MAX_REUSES)
}

/// Whether a session of an account is alive.
///
/// # Errors
/// When the database cannot be asked.
pub async fn is_alive(tx: &Tx, account: i64, session: i64) -> Result<bool> {
    let found = session::Entity::find_by_id(session).filter(session::Column::AccountId.eq(account)).one(tx).await?;
    Ok(found.is_some_and(|found| found.revoked_at.is_none() && found.expires_at > tx.now()))
}

/// Ends sessions of an account: one, or all of them. Says how many were alive.
///
/// # Errors
/// When the database refuses.
pub async fn revoke(tx: &Tx, account: i64, one: Option<i64>) -> Result<u64> {
    let mut update = session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(tx.now()))
        .col_expr(session::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(session::Column::AccountId.eq(account))
        .filter(session::Column::ExpiresAt.gt(tx.now()))
        .filter(session::Column::RevokedAt.is_null());
    if let Some(one) = one {
        update = update.filter(session::Column::Id.eq(one));
    }
    let ended = update.exec(tx).await?.rows_affected;
    if ended > 0 {
        let after = serde_json::json!({ "sessions": ended });
        tx.record(&[Change {
            action: "session.revoke",
            thing: (Kind::Customer, account),
            before: None,
            after: Some(after),
        }])
        .await?;
    }
    Ok(ended)
}

/// The sessions of an account that are alive, the last used first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(db: &impl ConnectionTrait, account: i64, now: DateTime<Utc>) -> Result<Vec<session::Model>> {
    let alive = session::Entity::find()
        .filter(session::Column::AccountId.eq(account))
        .filter(session::Column::RevokedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now))
        .order_by_desc(session::Column::UsedAt)
        .order_by_desc(session::Column::Id);
    Ok(alive.all(db).await?)
}

/// The key of the newest session; 0 where there is none.
///
/// # Errors
/// When the database cannot be asked.
pub async fn newest(db: &impl ConnectionTrait) -> Result<i64> {
    let newest = session::Entity::find().order_by_desc(session::Column::Id).one(db).await?;
    Ok(newest.map_or(0, |newest| newest.id))
}

/// The sessions that were revoked since a moment.
///
/// # Errors
/// When the database cannot be asked.
pub async fn revoked_since(db: &impl ConnectionTrait, since: DateTime<Utc>) -> Result<Vec<i64>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT id FROM session WHERE revoked_at IS NOT NULL AND revoked_at > ").bind(since);
    let rows = db.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| row.try_get_by(0)).collect::<Result<_, _>>()?)
}

/// Removes what has ended long ago: sessions, one-time tokens.
///
/// # Errors
/// When the database refuses.
pub async fn prune(db: &Db) -> Result<()> {
    db.write(async |tx| {
        for (table, column, until) in
            [("session", "expires_at", tx.now() - KEPT), ("one_time_token", "expires_at", tx.now())]
        {
            let mut sql = tx.sql();
            sql.push(&format!("DELETE FROM {table} WHERE {column} < ")).bind(until);
            tx.execute_raw(sql.statement()).await?;
        }
        Ok(())
    })
    .await
}
