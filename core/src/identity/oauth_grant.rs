//! Grants of API clients: what an API key may do by its access tokens, with rotation of refresh tokens.
//!
//! A grant ends when it expires or is revoked, with all its tokens. A revoked grant is deleted, so that the table has only
//! grants that are valid, or have expired since the last cleanup.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Set,
    sea_query::LockType,
};
use secrecy::SecretString;
use serde_json::json;

use super::{
    Permissions,
    api_key::{self, AuthenticatedApiKey},
    entity::{api_key as api_key_row, oauth_grant},
    random_token,
};
use crate::{
    base::{Result, digest, global_id::NodeType},
    infra::{AuditRecord, Db, Tx},
};

/// Maximum number of grants of an API key with a refresh token; a further one replaces the least recently used.
pub const MAX_REFRESHABLE_GRANTS: u64 = 100;
/// Separator of the two parts of a refresh token; it does not occur in base64url.
const TOKEN_SEPARATOR: char = '.';

/// Grant to create for an authenticated client.
#[derive(Debug, Clone, Copy)]
pub struct NewGrant {
    /// API key of the client, as it was when it was authenticated.
    pub client: AuthenticatedApiKey,
    /// Permissions of the grant.
    pub permissions: Permissions,
    /// Expiry of the access token.
    pub token_expires_at: DateTime<Utc>,
    /// Time until an unused refresh token expires; `None` without a refresh token.
    pub refresh_lifetime: Option<TimeDelta>,
}

/// Grant with its new refresh token, which is returned only once.
#[derive(Debug)]
pub struct IssuedGrant {
    /// ID of the grant.
    pub id: i64,
    /// Permissions of the grant.
    pub permissions: Permissions,
    /// Refresh token for the next exchange, if the grant has one.
    pub refresh_token: Option<SecretString>,
}

/// Refresh token that an authenticated client presents.
#[derive(Debug, Clone, Copy)]
pub struct GrantRefresh<'a> {
    /// ID of the API key of the client.
    pub api_key_id: i64,
    /// Token.
    pub token: &'a str,
    /// Expiry of the next access token.
    pub token_expires_at: DateTime<Utc>,
    /// Time until the next refresh token expires unless it is used.
    pub refresh_lifetime: TimeDelta,
}

/// Result of a refresh.
#[derive(Debug)]
pub enum GrantRefreshOutcome {
    /// The next refresh token was issued.
    Issued(IssuedGrant),
    /// The token is unknown, has expired, was revoked or belongs to another client.
    Invalid,
    /// The token was used before: its grant, with this ID, was revoked.
    Reused(i64),
}

/// Creates a grant. The client was authenticated before this transaction, so its key is read again and locked; returns
/// `None` if it was revoked or expires before the token.
pub async fn create_grant(tx: &Tx, new: NewGrant) -> Result<Option<IssuedGrant>> {
    let NewGrant { client, permissions, token_expires_at, refresh_lifetime } = new;
    let key = api_key_row::Entity::find_by_id(client.id).lock(LockType::NoKeyUpdate).one(tx).await?;
    if key.is_none_or(|key| key.revoked_at.is_some()) || token_expires_at <= tx.now() {
        return Ok(None);
    }
    let family = if refresh_lifetime.is_some() { Some(random_token::generate_token()?) } else { None };
    let refresh_token = family.as_deref().map(generate_refresh_token).transpose()?;
    let row = oauth_grant::ActiveModel {
        api_key_id: Set(client.id),
        scope: Set(permissions.to_string()),
        token_family: Set(family.as_deref().map(digest::sha256_base64url)),
        refresh_token_hash: Set(refresh_token.as_deref().map(digest::sha256_base64url)),
        expires_at: Set(grant_expiry(tx, token_expires_at, refresh_lifetime)),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    };
    let id = row.insert(tx).await?.id;
    if refresh_lifetime.is_some() {
        delete_surplus_grants(tx, client.id).await?;
    }
    Ok(Some(IssuedGrant { id, permissions, refresh_token: refresh_token.map(SecretString::from) }))
}

/// Returns a refresh token: the family token, which identifies the grant, and a random part.
fn generate_refresh_token(family: &str) -> Result<String> {
    Ok(format!("{family}{TOKEN_SEPARATOR}{}", random_token::generate_token()?))
}

/// Returns the expiry of a grant: that of its access token, or of its refresh token if it is later.
fn grant_expiry(tx: &Tx, token_expires_at: DateTime<Utc>, refresh_lifetime: Option<TimeDelta>) -> DateTime<Utc> {
    let refresh_expires_at =
        refresh_lifetime.and_then(|refresh_lifetime| tx.now().checked_add_signed(refresh_lifetime));
    refresh_expires_at.map_or(token_expires_at, |refresh_expires_at| refresh_expires_at.max(token_expires_at))
}

/// Deletes the least recently used grants of a locked API key with a refresh token, above their maximum number.
async fn delete_surplus_grants(tx: &Tx, api_key_id: i64) -> Result<()> {
    let surplus = oauth_grant::Entity::find()
        .filter(oauth_grant::Column::ApiKeyId.eq(api_key_id))
        .filter(oauth_grant::Column::TokenFamily.is_not_null())
        .order_by_desc(oauth_grant::Column::UpdatedAt)
        .order_by_desc(oauth_grant::Column::Id)
        .offset(MAX_REFRESHABLE_GRANTS)
        .limit(MAX_REFRESHABLE_GRANTS);
    let surplus_ids: Vec<i64> = surplus.select_only().column(oauth_grant::Column::Id).into_tuple().all(tx).await?;
    if !surplus_ids.is_empty() {
        oauth_grant::Entity::delete_many().filter(oauth_grant::Column::Id.is_in(surplus_ids)).exec(tx).await?;
    }
    Ok(())
}

/// Exchanges a refresh token for the next one. Of concurrent exchanges of a token one succeeds. A token that was used
/// before may have been stolen: its grant is revoked.
///
/// An invalid token is not an `Err`, because the revocation of the grant must be committed.
pub async fn refresh_grant(tx: &Tx, refresh: GrantRefresh<'_>) -> Result<GrantRefreshOutcome> {
    let GrantRefresh { api_key_id, token, token_expires_at, refresh_lifetime } = refresh;
    let Some(family) = token_family(token) else { return Ok(GrantRefreshOutcome::Invalid) };
    let grant = oauth_grant::Entity::find()
        .filter(oauth_grant::Column::TokenFamily.eq(digest::sha256_base64url(family)))
        .lock(LockType::NoKeyUpdate)
        .one(tx)
        .await?;
    let Some(grant) = grant.filter(|grant| grant.api_key_id == api_key_id && grant.expires_at > tx.now()) else {
        return Ok(GrantRefreshOutcome::Invalid);
    };
    if !is_newest_token(&grant, token) {
        revoke_grant(tx, &grant, "refresh token reused").await?;
        return Ok(GrantRefreshOutcome::Reused(grant.id));
    }
    let (id, permissions) = (grant.id, Permissions::parse(&grant.scope));
    let refresh_token = generate_refresh_token(family)?;
    let mut row = grant.into_active_model();
    row.refresh_token_hash = Set(Some(digest::sha256_base64url(&refresh_token)));
    row.expires_at = Set(grant_expiry(tx, token_expires_at, Some(refresh_lifetime)));
    row.updated_at = Set(tx.now());
    row.update(tx).await?;
    Ok(GrantRefreshOutcome::Issued(IssuedGrant { id, permissions, refresh_token: Some(refresh_token.into()) }))
}

/// Returns the family part of a refresh token.
fn token_family(token: &str) -> Option<&str> {
    token.split_once(TOKEN_SEPARATOR).map(|(family, _)| family)
}

/// Returns whether a token is the newest refresh token of a grant.
#[must_use]
pub fn is_newest_token(grant: &oauth_grant::Model, token: &str) -> bool {
    let newest_hash = grant.refresh_token_hash.as_deref();
    newest_hash.is_some_and(|newest| random_token::secrets_are_equal(newest, &digest::sha256_base64url(token)))
}

/// Returns the grant of a refresh token, used or not.
pub async fn find_grant_by_refresh_token(db: &Db, token: &str) -> Result<Option<oauth_grant::Model>> {
    let Some(family) = token_family(token) else { return Ok(None) };
    let query = oauth_grant::Entity::find();
    Ok(query.filter(oauth_grant::Column::TokenFamily.eq(digest::sha256_base64url(family))).one(db).await?)
}

/// Returns a grant by its ID.
pub async fn find_grant(db: &Db, grant_id: i64) -> Result<Option<oauth_grant::Model>> {
    Ok(oauth_grant::Entity::find_by_id(grant_id).one(db).await?)
}

/// Returns the valid API key of a valid grant, if any. Updates `last_used_at` of the key at most once a minute.
pub async fn find_api_key_by_grant(db: &Db, grant_id: i64) -> Result<Option<AuthenticatedApiKey>> {
    let found = oauth_grant::Entity::find_by_id(grant_id).find_also_related(api_key_row::Entity).one(db).await?;
    match found {
        Some((grant, Some(key))) if grant.expires_at > db.now() => api_key::authenticate_api_key(db, key).await,
        _ => Ok(None),
    }
}

/// Revokes a grant with all its tokens. Idempotent.
pub async fn revoke_grant(tx: &Tx, grant: &oauth_grant::Model, reason: &'static str) -> Result<()> {
    let deleted = oauth_grant::Entity::delete_by_id(grant.id).exec(tx).await?;
    if deleted.rows_affected == 0 {
        return Ok(());
    }
    tx.record_audit(&[AuditRecord {
        action: "api_key.grant_revoke",
        entity: (NodeType::ApiKey, grant.api_key_id),
        before: Some(json!({ "scope": grant.scope, "createdAt": grant.created_at })),
        after: Some(json!({ "reason": reason })),
    }])
    .await?;
    Ok(())
}

/// Deletes expired grants.
pub async fn delete_expired_grants(db: &Db) -> Result<()> {
    db.write(async |tx| {
        oauth_grant::Entity::delete_many().filter(oauth_grant::Column::ExpiresAt.lt(tx.now())).exec(tx).await?;
        Ok(())
    })
    .await
}
