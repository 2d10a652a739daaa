//! Erasure and export of an account: its row, sessions, tokens, linked identities and API keys.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    api_key,
    entity::{
        account, account_identity, api_key as api_key_row, email_change, one_time_token, refresh_token,
        session as session_row,
    },
    login_code, session,
};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    infra::Tx,
};

/// Erases a locked account: revokes its sessions and API keys, deletes its tokens and linked identities and empties its
/// row, which is kept for foreign keys.
pub async fn erase_account(tx: &Tx, row: account::Model) -> Result<()> {
    let account_id = row.id;
    session::revoke_sessions(tx, account_id, None).await?;
    api_key::revoke_api_keys_created_by(tx, account_id).await?;
    erase_logins(tx, account_id).await?;
    let version = row.version + 1;
    let mut row = row.into_active_model();
    row.email = Set(None);
    row.email_normalized = Set(None);
    row.email_verified_at = Set(None);
    row.password_hash = Set(None);
    row.phone = Set(None);
    row.phone_verified_at = Set(None);
    for name in [&mut row.first_name, &mut row.last_name, &mut row.name_normalized, &mut row.last_name_normalized] {
        *name = Set(String::new());
    }
    row.language = Set(None);
    row.external_id = Set(None);
    row.version = Set(version);
    row.updated_at = Set(tx.now());
    row.deleted_at = Set(Some(tx.now()));
    row.update(tx).await?;
    Ok(())
}

/// Deletes the linked identities and tokens of an account, and the personal data of its sessions. Revoked sessions are
/// kept without it until they are pruned, because every instance reads them to reject their access tokens.
async fn erase_logins(tx: &Tx, account_id: i64) -> Result<()> {
    let identities = account_identity::Entity::delete_many().filter(account_identity::Column::AccountId.eq(account_id));
    identities.exec(tx).await?;
    email_change::Entity::delete_many().filter(email_change::Column::AccountId.eq(account_id)).exec(tx).await?;
    login_code::delete_login_codes(tx, account_id).await?;
    one_time_token::Entity::delete_many().filter(one_time_token::Column::AccountId.eq(account_id)).exec(tx).await?;
    let sessions = session_row::Entity::find()
        .select_only()
        .column(session_row::Column::Id)
        .filter(session_row::Column::AccountId.eq(account_id))
        .into_query();
    refresh_token::Entity::delete_many()
        .filter(refresh_token::Column::SessionId.in_subquery(sessions))
        .exec(tx)
        .await?;
    let erased = session_row::ActiveModel {
        user_agent: Set(String::new()),
        ip_address: Set(String::new()),
        ..Default::default()
    };
    session_row::Entity::update_many()
        .set(erased)
        .filter(session_row::Column::AccountId.eq(account_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Data of an account, as exported to its owner. Excludes secrets: digests of passwords and tokens.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedAccount {
    customer: Value,
    sessions: Vec<Value>,
    identities: Vec<ExportedIdentity>,
    email_changes: Vec<ExportedEmailChange>,
    api_keys: Vec<ExportedApiKey>,
}

/// Linked identity at an OpenID provider.
#[derive(Debug, Serialize, DerivePartialModel)]
#[sea_orm(entity = "account_identity::Entity")]
#[serde(rename_all = "camelCase")]
struct ExportedIdentity {
    issuer: String,
    subject: String,
    created_at: DateTime<Utc>,
}

/// Requested change of the email address.
#[derive(Debug, Serialize, DerivePartialModel)]
#[sea_orm(entity = "email_change::Entity")]
#[serde(rename_all = "camelCase")]
struct ExportedEmailChange {
    old_email: Option<String>,
    new_email: String,
    confirmed_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// API key created by the account.
#[derive(Debug, Serialize, DerivePartialModel)]
#[sea_orm(entity = "api_key_row::Entity")]
#[serde(rename_all = "camelCase")]
struct ExportedApiKey {
    name: String,
    last_four: String,
    created_at: DateTime<Utc>,
}

/// Exports an account. Statements: 5.
///
/// # Errors
/// Returns `NotFound` if it does not exist.
pub async fn export_account(db: &impl ConnectionTrait, account_id: i64) -> Result<ExportedAccount> {
    let existing = account::Entity::find_by_id(account_id).filter(account::Column::DeletedAt.is_null()).one(db).await?;
    let row = existing.ok_or_else(|| Error::not_found("id", "customer"))?;
    let identities = account_identity::Entity::find().filter(account_identity::Column::AccountId.eq(account_id));
    let email_changes = email_change::Entity::find().filter(email_change::Column::AccountId.eq(account_id));
    let api_keys = api_key_row::Entity::find().filter(api_key_row::Column::CreatedBy.eq(account_id));
    Ok(ExportedAccount {
        customer: export_profile(&row),
        sessions: export_sessions(db, account_id).await?,
        identities: identities.order_by_asc(account_identity::Column::CreatedAt).into_partial_model().all(db).await?,
        email_changes: email_changes.order_by_asc(email_change::Column::Id).into_partial_model().all(db).await?,
        api_keys: api_keys.order_by_asc(api_key_row::Column::CreatedAt).into_partial_model().all(db).await?,
    })
}

fn export_profile(row: &account::Model) -> Value {
    json!({
        "id": GlobalId::new(NodeType::Account, row.id).encode(),
        "email": row.email, "emailVerifiedAt": row.email_verified_at, "hasPassword": row.password_hash.is_some(),
        "firstName": row.first_name, "lastName": row.last_name, "phone": row.phone,
        "phoneVerifiedAt": row.phone_verified_at, "language": row.language, "role": row.role.name(),
        "externalId": row.external_id,
        "disabledAt": row.disabled_at, "createdAt": row.created_at, "updatedAt": row.updated_at,
    })
}

async fn export_sessions(db: &impl ConnectionTrait, account_id: i64) -> Result<Vec<Value>> {
    let query = session_row::Entity::find().filter(session_row::Column::AccountId.eq(account_id));
    let rows = query.order_by_asc(session_row::Column::Id).all(db).await?;
    let session_json = |row: &session_row::Model| {
        json!({
            "authMethod": row.auth_method, "userAgent": row.user_agent, "ipAddress": row.ip_address, "createdAt": row.created_at,
            "lastUsedAt": row.last_used_at, "expiresAt": row.expires_at, "revokedAt": row.revoked_at,
        })
    };
    Ok(rows.iter().map(session_json).collect())
}
