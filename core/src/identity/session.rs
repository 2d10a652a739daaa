//! Login sessions with refresh-token rotation. Each session is a family of refresh tokens of which only the newest is
//! valid; reuse of an older one revokes the session.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Set,
    sea_query::{Expr, LockType},
};
use secrecy::SecretString;

use super::{
    account::{account_changed_error, find_active_account},
    entity::{account, one_time_token, refresh_token, session},
    random_token,
};
use crate::{
    base::{Result, digest, global_id::NodeType},
    infra::{AuditRecord, Db, Tx},
};

/// Separator of the two parts of a refresh token; it does not occur in base64url.
const TOKEN_SEPARATOR: char = '.';
/// Maximum number of new tokens for one used token within the reuse interval.
const MAX_TOKEN_REUSES: u64 = 10;
/// Maximum stored length of a user agent in characters.
const MAX_USER_AGENT_CHARS: usize = 300;
/// Retention of ended sessions, for inspection.
const ENDED_SESSION_RETENTION: TimeDelta = TimeDelta::days(30);

/// Client of a login.
#[derive(Debug, Clone, Default)]
pub struct ClientInfo {
    /// User agent.
    pub user_agent: String,
    /// IP address.
    pub ip_address: String,
}

/// Session with its new refresh token, which is returned only once.
#[derive(Debug)]
pub struct IssuedSession {
    /// ID of the session.
    pub session_id: i64,
    /// Account of the session.
    pub account: account::Model,
    /// Refresh token for the next token exchange.
    pub refresh_token: SecretString,
    /// Expiry of the session unless it is refreshed.
    pub expires_at: DateTime<Utc>,
}

/// Tokens of a session, for its client.
#[derive(Debug)]
pub struct SessionTokens {
    /// ID of the account.
    pub account_id: i64,
    /// ID of the session.
    pub session_id: i64,
    /// Access token.
    pub access_token: SecretString,
    /// Expiry of the access token.
    pub access_token_expires_at: DateTime<Utc>,
    /// Single-use refresh token.
    pub refresh_token: SecretString,
    /// Expiry of the session unless it is refreshed.
    pub refresh_token_expires_at: DateTime<Utc>,
}

/// Result of a refresh.
#[derive(Debug)]
pub enum RefreshOutcome {
    /// New tokens were issued.
    Issued(Box<IssuedSession>),
    /// The token is unknown or its session has ended.
    Invalid(&'static str),
    /// The token was used before: its session was revoked.
    Reused(&'static str),
}

/// Session to create for an authenticated account.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Account as it was when its credentials were checked.
    pub account: account::Model,
    /// Client of the login.
    pub client: &'a ClientInfo,
    /// `password`, `login_code` or the name of a provider.
    pub auth_method: &'a str,
    /// Time until the session expires unless it is refreshed.
    pub lifetime: TimeDelta,
}

/// Limits of a refresh.
#[derive(Debug, Clone, Copy)]
pub struct RefreshPolicy {
    /// Time until the session expires unless it is refreshed again.
    pub lifetime: TimeDelta,
    /// Time in which a used token is accepted again.
    pub reuse_interval: TimeDelta,
}

/// Creates a session.
///
/// The credentials were checked before this transaction, so the account is read again and locked: concurrent changes
/// of its status, role or password take effect.
///
/// # Errors
/// Returns `Unauthenticated` if the account was disabled or deleted or its password was changed.
pub async fn create_session(tx: &Tx, new: NewSession<'_>) -> Result<IssuedSession> {
    let NewSession { account: presented, client, auth_method, lifetime } = new;
    let account = account::Entity::find_by_id(presented.id).lock(LockType::NoKeyUpdate).one(tx).await?;
    let active = account.filter(|current| current.deleted_at.is_none() && current.disabled_at.is_none());
    let account =
        active.filter(|current| current.password_hash == presented.password_hash).ok_or_else(account_changed_error)?;
    let expires_at = tx.now() + lifetime;
    let family = random_token::generate_token()?;
    let row = session::ActiveModel {
        account_id: Set(account.id),
        token_family: Set(Some(digest::sha256_base64url(&family))),
        auth_method: Set(auth_method.to_owned()),
        user_agent: Set(client.user_agent.chars().filter(|c| *c != '\0').take(MAX_USER_AGENT_CHARS).collect()),
        ip_address: Set(client.ip_address.clone()),
        expires_at: Set(expires_at),
        last_used_at: Set(tx.now()),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let inserted = row.insert(tx).await?;
    let refresh_token = issue_refresh_token(tx, inserted.id, &family).await?;
    Ok(IssuedSession { session_id: inserted.id, account, refresh_token, expires_at })
}

/// Issues a refresh token: the family token, which identifies the session, and a random part.
async fn issue_refresh_token(tx: &Tx, session_id: i64, family: &str) -> Result<SecretString> {
    let refresh_token = format!("{family}{TOKEN_SEPARATOR}{}", random_token::generate_token()?);
    let row = refresh_token::ActiveModel {
        token_hash: Set(digest::sha256_base64url(&refresh_token)),
        session_id: Set(session_id),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    row.insert(tx).await?;
    Ok(refresh_token.into())
}

/// Returns the family part of a refresh token.
fn token_family(token: &str) -> Option<&str> {
    token.split_once(TOKEN_SEPARATOR).map(|(family, _)| family)
}

/// Returns the query for the session of a token family, even if the token itself is no longer stored.
fn select_session_by_family(family: &str) -> Select<session::Entity> {
    session::Entity::find().filter(session::Column::TokenFamily.eq(digest::sha256_base64url(family)))
}

/// Returns whether a refresh token belongs to a stored session. Statements: 1.
pub async fn is_known_token(db: &impl ConnectionTrait, token: &str) -> Result<bool> {
    let Some(family) = token_family(token) else { return Ok(false) };
    Ok(select_session_by_family(family).one(db).await?.is_some())
}

/// Returns the session of an account, active or ended, that a refresh token belongs to.
pub async fn find_session_by_token(db: &impl ConnectionTrait, token: &str, account_id: i64) -> Result<Option<i64>> {
    let Some(family) = token_family(token) else { return Ok(None) };
    let session = select_session_by_family(family).filter(session::Column::AccountId.eq(account_id)).one(db).await?;
    Ok(session.map(|session| session.id))
}

/// Exchanges a refresh token for a new one and extends the session. All older tokens of the session become used. A
/// used token is accepted again within the reuse interval, for concurrent refreshes of several tabs; later reuse
/// indicates a stolen token and revokes the session.
///
/// Only used tokens within the reuse interval are stored: the family part identifies the session of older ones.
///
/// An invalid token is not an `Err`, because the revocation of the session must be committed.
pub async fn refresh_session(tx: &Tx, token: &str, policy: RefreshPolicy) -> Result<RefreshOutcome> {
    let RefreshPolicy { lifetime, reuse_interval } = policy;
    let Some(family) = token_family(token) else {
        return Ok(RefreshOutcome::Invalid("there is no such token"));
    };
    let session = select_session_by_family(family).lock(LockType::NoKeyUpdate).one(tx).await?;
    let active = session.filter(|session| session.revoked_at.is_none() && session.expires_at > tx.now());
    let Some(session) = active else { return Ok(RefreshOutcome::Invalid("its session has ended")) };
    if !is_refresh_token_valid(tx, token, session.id, reuse_interval).await? {
        revoke_sessions(tx, session.account_id, Some(session.id)).await?;
        return Ok(RefreshOutcome::Reused("it was used before; its session is revoked"));
    }
    let Some(account) = find_active_account(tx, session.account_id).await? else {
        return Ok(RefreshOutcome::Invalid("its account is disabled or deleted"));
    };
    let expires_at = tx.now() + lifetime;
    session::Entity::update_many()
        .col_expr(session::Column::LastUsedAt, Expr::value(tx.now()))
        .col_expr(session::Column::UpdatedAt, Expr::value(tx.now()))
        .col_expr(session::Column::ExpiresAt, Expr::value(expires_at))
        .filter(session::Column::Id.eq(session.id))
        .exec(tx)
        .await?;
    refresh_token::Entity::update_many()
        .col_expr(refresh_token::Column::UsedAt, Expr::value(tx.now()))
        .col_expr(refresh_token::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(refresh_token::Column::UsedAt.is_null())
        .filter(refresh_token::Column::SessionId.eq(session.id))
        .exec(tx)
        .await?;
    refresh_token::Entity::delete_many()
        .filter(refresh_token::Column::SessionId.eq(session.id))
        .filter(refresh_token::Column::UsedAt.lt(tx.now() - reuse_interval))
        .exec(tx)
        .await?;
    let refresh_token = issue_refresh_token(tx, session.id, family).await?;
    Ok(RefreshOutcome::Issued(Box::new(IssuedSession { session_id: session.id, account, refresh_token, expires_at })))
}

/// Returns whether a token is unused, or was used within the reuse interval less than [`MAX_TOKEN_REUSES`] times.
async fn is_refresh_token_valid(tx: &Tx, token: &str, session_id: i64, reuse_interval: TimeDelta) -> Result<bool> {
    let stored = refresh_token::Entity::find_by_id(digest::sha256_base64url(token))
        .filter(refresh_token::Column::SessionId.eq(session_id))
        .one(tx)
        .await?;
    let Some(stored) = stored else { return Ok(false) };
    let Some(used_at) = stored.used_at else { return Ok(true) };
    if used_at + reuse_interval <= tx.now() {
        return Ok(false);
    }
    let reuse_count = refresh_token::Entity::find()
        .filter(refresh_token::Column::SessionId.eq(session_id))
        .filter(refresh_token::Column::CreatedAt.gte(used_at))
        .count(tx)
        .await?;
    Ok(reuse_count < MAX_TOKEN_REUSES)
}

/// Returns whether a session of an account is active.
pub async fn is_session_active(tx: &Tx, account_id: i64, session_id: i64) -> Result<bool> {
    let row = session::Entity::find_by_id(session_id).filter(session::Column::AccountId.eq(account_id)).one(tx).await?;
    Ok(row.is_some_and(|row| row.revoked_at.is_none() && row.expires_at > tx.now()))
}

/// Revokes one session or all sessions of an account; returns the number of revoked sessions.
pub async fn revoke_sessions(tx: &Tx, account_id: i64, session_id: Option<i64>) -> Result<u64> {
    let matching = session_id.map_or_else(Condition::all, |id| Condition::all().add(session::Column::Id.eq(id)));
    revoke_matching_sessions(tx, account_id, matching).await
}

/// Revokes the sessions of an account except these; returns the number of revoked sessions.
pub async fn revoke_other_sessions(tx: &Tx, account_id: i64, kept_ids: &[i64]) -> Result<u64> {
    let others = Condition::all().add(session::Column::Id.is_not_in(kept_ids.iter().copied()));
    revoke_matching_sessions(tx, account_id, others).await
}

async fn revoke_matching_sessions(tx: &Tx, account_id: i64, matching: Condition) -> Result<u64> {
    let update = session::Entity::update_many()
        .col_expr(session::Column::RevokedAt, Expr::value(tx.now()))
        .col_expr(session::Column::UpdatedAt, Expr::value(tx.now()))
        .filter(session::Column::AccountId.eq(account_id))
        .filter(session::Column::ExpiresAt.gt(tx.now()))
        .filter(session::Column::RevokedAt.is_null())
        .filter(matching);
    let revoked_count = update.exec(tx).await?.rows_affected;
    if revoked_count > 0 {
        let after = serde_json::json!({ "sessions": revoked_count });
        tx.record_audit(&[AuditRecord {
            action: "session.revoke",
            entity: (NodeType::Account, account_id),
            before: None,
            after: Some(after),
        }])
        .await?;
    }
    Ok(revoked_count)
}

/// Returns a session by its ID.
pub async fn find_session(db: &impl ConnectionTrait, session_id: i64) -> Result<Option<session::Model>> {
    Ok(session::Entity::find_by_id(session_id).one(db).await?)
}

/// Returns the active sessions of an account, most recently used first.
pub async fn list_active_sessions(
    db: &impl ConnectionTrait,
    account_id: i64,
    now: DateTime<Utc>,
) -> Result<Vec<session::Model>> {
    let query = session::Entity::find()
        .filter(session::Column::AccountId.eq(account_id))
        .filter(session::Column::RevokedAt.is_null())
        .filter(session::Column::ExpiresAt.gt(now))
        .order_by_desc(session::Column::LastUsedAt)
        .order_by_desc(session::Column::Id);
    Ok(query.all(db).await?)
}

/// Returns the ID of the newest session; 0 if there is none.
pub async fn find_newest_session_id(db: &impl ConnectionTrait) -> Result<i64> {
    let newest = session::Entity::find().order_by_desc(session::Column::Id).one(db).await?;
    Ok(newest.map_or(0, |newest| newest.id))
}

/// Returns the IDs of the sessions that were revoked after `cutoff`.
pub async fn list_sessions_revoked_since(db: &impl ConnectionTrait, cutoff: DateTime<Utc>) -> Result<Vec<i64>> {
    let revoked = session::Entity::find().filter(session::Column::RevokedAt.gt(cutoff));
    Ok(revoked.select_only().column(session::Column::Id).into_tuple().all(db).await?)
}

/// Deletes sessions past their retention and expired one-time tokens.
pub async fn delete_expired_sessions(db: &Db) -> Result<()> {
    db.write(async |tx| {
        let ended = session::Column::ExpiresAt.lt(tx.now() - ENDED_SESSION_RETENTION);
        session::Entity::delete_many().filter(ended).exec(tx).await?;
        let expired = one_time_token::Column::ExpiresAt.lt(tx.now());
        one_time_token::Entity::delete_many().filter(expired).exec(tx).await?;
        Ok(())
    })
    .await
}
