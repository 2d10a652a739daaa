//! Export of all personal data of an account as one JSON document (right of access).

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::{Value, json};

use super::{PostalAddress, entity::address as address_row};
use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType},
    identity::entity::{account, session},
    infra::SqlBuilder,
};

/// Exports the data of an account. Statements: constant. Excludes secrets (digests of passwords and tokens) and, for
/// actions on other accounts, the data of those accounts.
///
/// # Errors
/// Returns `NotFound` if the account does not exist.
pub async fn export_customer_data(db: &impl ConnectionTrait, account_id: i64) -> Result<Value> {
    let existing = account::Entity::find_by_id(account_id).filter(account::Column::DeletedAt.is_null()).one(db).await?;
    let row = existing.ok_or_else(|| Error::not_found("id", "customer"))?;
    Ok(json!({
        "customer": export_profile(&row),
        "addresses": export_addresses(db, account_id).await?,
        "sessions": export_sessions(db, account_id).await?,
        "identities": query_rows::<ExportedIdentity>(db, IDENTITIES_SQL, account_id).await?,
        "apiKeys": query_rows::<ExportedApiKey>(db, API_KEYS_SQL, account_id).await?,
        "changes": query_rows::<ExportedChange>(db, CHANGES_SQL, account_id).await?,
        "messages": query_rows::<ExportedMessage>(db, MESSAGES_SQL, account_id).await?,
        "notificationPreferences": query_rows::<ExportedPreference>(db, PREFERENCES_SQL, account_id).await?,
        "deeds": query_rows::<ExportedAction>(db, ACTIONS_SQL, account_id).await?,
    }))
}

fn export_profile(row: &account::Model) -> Value {
    json!({
        "id": GlobalId::new(NodeType::Customer, row.id).encode(),
        "email": row.email, "emailVerifiedAt": row.email_verified_at, "hasPassword": row.password.is_some(),
        "firstName": row.first_name, "lastName": row.last_name, "phone": row.phone, "language": row.language, "role": row.role.name(),
        "disabledAt": row.disabled_at, "createdAt": row.created_at, "updatedAt": row.updated_at,
    })
}

async fn export_addresses(db: &impl ConnectionTrait, account_id: i64) -> Result<Vec<Value>> {
    let query = address_row::Entity::find().filter(address_row::Column::AccountId.eq(account_id));
    let rows = query.order_by_asc(address_row::Column::Id).all(db).await?;
    let address_json = |row: &address_row::Model| {
        let mut address_json = PostalAddress::from(row.clone()).to_json();
        address_json["id"] = json!(GlobalId::new(NodeType::Address, row.id).encode());
        address_json["isDefaultShipping"] = json!(row.is_default_shipping);
        address_json["isDefaultBilling"] = json!(row.is_default_billing);
        address_json["createdAt"] = json!(row.created_at);
        address_json["updatedAt"] = json!(row.updated_at);
        address_json
    };
    Ok(rows.iter().map(address_json).collect())
}

async fn export_sessions(db: &impl ConnectionTrait, account_id: i64) -> Result<Vec<Value>> {
    let query = session::Entity::find().filter(session::Column::AccountId.eq(account_id));
    let rows = query.order_by_asc(session::Column::Id).all(db).await?;
    let session_json = |row: &session::Model| {
        json!({
            "method": row.method, "userAgent": row.user_agent, "address": row.address, "createdAt": row.created_at,
            "usedAt": row.used_at, "expiresAt": row.expires_at, "revokedAt": row.revoked_at,
        })
    };
    Ok(rows.iter().map(session_json).collect())
}

const IDENTITIES_SQL: &str = "SELECT issuer, subject, created_at FROM account_identity WHERE account_id = ";
const API_KEYS_SQL: &str = "SELECT name, hint, created_at FROM api_key WHERE made_by = ";
const CHANGES_SQL: &str =
    "SELECT action, before, after, created_at FROM audit WHERE thing_kind = 'Customer' AND thing_id = ";
const ACTIONS_SQL: &str =
    "SELECT action, thing_kind, created_at FROM audit WHERE actor_kind = 'account' AND actor_id = ";

const MESSAGES_SQL: &str = "SELECT occasion AS event, channel, recipient, language, words, state, why, sent_at, created_at \
    FROM message WHERE account_id = ";
const PREFERENCES_SQL: &str = "SELECT occasion AS event, channel, wanted, created_at, updated_at FROM notification_preference WHERE account_id = ";

/// Notification sent to the customer.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedMessage {
    event: String,
    channel: String,
    recipient: Option<String>,
    language: Option<String>,
    words: Option<Value>,
    state: String,
    why: Option<String>,
    sent_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// Notification preference.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedPreference {
    event: String,
    channel: String,
    wanted: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Linked identity at an OpenID provider.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedIdentity {
    issuer: String,
    subject: String,
    created_at: DateTime<Utc>,
}

/// API key created by the account.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedApiKey {
    name: String,
    hint: String,
    created_at: DateTime<Utc>,
}

/// Audit entry of a change to the account.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedChange {
    action: String,
    before: Option<Value>,
    after: Option<Value>,
    created_at: DateTime<Utc>,
}

/// Audit entry of an action by the account.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ExportedAction {
    action: String,
    thing_kind: String,
    created_at: DateTime<Utc>,
}

/// Runs a query that ends before the account ID; returns its rows, oldest first.
async fn query_rows<R: FromQueryResult>(db: &impl ConnectionTrait, query: &str, account_id: i64) -> Result<Vec<R>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push(query).bind(account_id).push(" ORDER BY created_at");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| R::from_query_result(row, "")).collect::<Result<_, _>>()?)
}
