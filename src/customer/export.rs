//! Everything the shop holds about somebody, as one document: theirs to have.

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::{Value, json};

use super::{address, entity::address as address_row};
use crate::{
    base::{Error, GlobalId, Result, id::Kind},
    identity::entity::{account, session},
    infra::Sql,
};

/// Everything about an account. A constant number of statements. No secret is in it: passwords and tokens are kept as
/// digests, which are nobody's to have; and what somebody did to others is told without what those are like.
///
/// # Errors
/// When it is not there, or the database cannot be asked.
pub async fn everything(db: &impl ConnectionTrait, key: i64) -> Result<Value> {
    let found = account::Entity::find_by_id(key).filter(account::Column::DeletedAt.is_null()).one(db).await?;
    let row = found.ok_or_else(|| Error::not_found("id", "customer"))?;
    Ok(json!({
        "customer": profile(&row),
        "addresses": addresses(db, key).await?,
        "sessions": sessions(db, key).await?,
        "identities": rows::<Identity>(db, IDENTITIES, key).await?,
        "apiKeys": rows::<ApiKey>(db, API_KEYS, key).await?,
        "changes": rows::<OwnChange>(db, CHANGES, key).await?,
        "messages": rows::<Letter>(db, MESSAGES, key).await?,
        "notificationPreferences": rows::<Preference>(db, PREFERENCES, key).await?,
        "deeds": rows::<Deed>(db, DEEDS, key).await?,
    }))
}

fn profile(row: &account::Model) -> Value {
    json!({
        "id": GlobalId::new(Kind::Customer, row.id).encode(),
        "email": row.email, "emailVerifiedAt": row.email_verified_at, "hasPassword": row.password.is_some(),
        "firstName": row.first_name, "lastName": row.last_name, "phone": row.phone, "language": row.language, "role": row.role.name(),
        "disabledAt": row.disabled_at, "createdAt": row.created_at, "updatedAt": row.updated_at,
    })
}

async fn addresses(db: &impl ConnectionTrait, key: i64) -> Result<Vec<Value>> {
    let query = address_row::Entity::find().filter(address_row::Column::AccountId.eq(key));
    let rows = query.order_by_asc(address_row::Column::Id).all(db).await?;
    let told = |row: &address_row::Model| {
        let mut told = address::shown(row);
        told["id"] = json!(GlobalId::new(Kind::Address, row.id).encode());
        told["isDefaultShipping"] = json!(row.is_default_shipping);
        told["isDefaultBilling"] = json!(row.is_default_billing);
        told["createdAt"] = json!(row.created_at);
        told["updatedAt"] = json!(row.updated_at);
        told
    };
    Ok(rows.iter().map(told).collect())
}

async fn sessions(db: &impl ConnectionTrait, key: i64) -> Result<Vec<Value>> {
    let query = session::Entity::find().filter(session::Column::AccountId.eq(key));
    let rows = query.order_by_asc(session::Column::Id).all(db).await?;
    let told = |row: &session::Model| {
        json!({
            "method": row.method, "userAgent": row.user_agent, "address": row.address, "createdAt": row.created_at,
            "usedAt": row.used_at, "expiresAt": row.expires_at, "revokedAt": row.revoked_at,
        })
    };
    Ok(rows.iter().map(told).collect())
}

const IDENTITIES: &str = "SELECT issuer, subject, created_at FROM account_identity WHERE account_id = ";
const API_KEYS: &str = "SELECT name, hint, created_at FROM api_key WHERE made_by = ";
const CHANGES: &str =
    "SELECT action, before, after, created_at FROM audit WHERE thing_kind = 'Customer' AND thing_id = ";
const DEEDS: &str = "SELECT action, thing_kind, created_at FROM audit WHERE actor_kind = 'account' AND actor_id = ";

const MESSAGES: &str = "SELECT occasion AS event, channel, recipient, language, words, state, why, sent_at, created_at \
    FROM message WHERE account_id = ";
const PREFERENCES: &str = "SELECT occasion AS event, channel, wanted, created_at, updated_at FROM notification_preference WHERE account_id = ";

/// A message to them.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct Letter {
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

/// What they have chosen to hear of, or not.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct Preference {
    event: String,
    channel: String,
    wanted: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// An account elsewhere that signs in here.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct Identity {
    issuer: String,
    subject: String,
    created_at: DateTime<Utc>,
}

/// A key that they made.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct ApiKey {
    name: String,
    hint: String,
    created_at: DateTime<Utc>,
}

/// What was done to them, whoever did it.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct OwnChange {
    action: String,
    before: Option<Value>,
    after: Option<Value>,
    created_at: DateTime<Utc>,
}

/// What they did.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
struct Deed {
    action: String,
    thing_kind: String,
    created_at: DateTime<Utc>,
}

/// The rows of a query that ends where the account's key belongs, the oldest first.
async fn rows<R: FromQueryResult>(db: &impl ConnectionTrait, query: &str, key: i64) -> Result<Vec<R>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push(query).bind(key).push(" ORDER BY created_at");
    let rows = db.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| R::from_query_result(row, "")).collect::<Result<_, _>>()?)
}
