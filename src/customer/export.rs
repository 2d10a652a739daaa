//! Everything the shop holds about somebody, as one document: theirs to have.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, JsonValue, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::{address, entity::address as address_row};
use crate::{
    base::{Error, GlobalId, Result, id::Kind},
    identity::{account, session},
    infra::Sql,
};

/// Everything about an account. A constant number of statements. No secret is in it: passwords and tokens are kept as
/// digests, which are nobody's to have.
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
        "identities": rows(db, IDENTITIES, key).await?,
        "apiKeys": rows(db, API_KEYS, key).await?,
        "history": rows(db, HISTORY, key).await?,
    }))
}

/// Accounts elsewhere that sign in here.
const IDENTITIES: &str = "SELECT issuer, subject, created_at AS \"createdAt\" FROM account_identity \
    WHERE account_id = $1 ORDER BY created_at, issuer, subject";
const API_KEYS: &str = "SELECT name, hint, created_at AS \"createdAt\" FROM api_key WHERE made_by = $1 ORDER BY id";
/// What was done to them, and by them.
const HISTORY: &str = "SELECT action, thing_kind AS thing, before, after, created_at AS at FROM audit \
    WHERE (thing_kind = 'Customer' AND thing_id = $1) OR (actor_kind = 'account' AND actor_id = $1) ORDER BY id";

fn profile(row: &account::Model) -> Value {
    json!({
        "id": GlobalId::new(Kind::Customer, row.id).encode(),
        "email": row.email, "emailVerifiedAt": row.email_verified_at, "hasPassword": row.password.is_some(),
        "firstName": row.first_name, "lastName": row.last_name, "phone": row.phone, "role": row.role.name(),
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
    use crate::identity::entity::session::{Column, Entity};
    let rows = Entity::find().filter(Column::AccountId.eq(key)).order_by_asc(Column::Id).all(db).await?;
    let told = |row: &crate::identity::entity::session::Model| {
        json!({
            "method": row.method, "userAgent": row.user_agent, "address": row.address, "createdAt": row.created_at,
            "usedAt": row.used_at, "expiresAt": row.expires_at, "revokedAt": row.revoked_at,
        })
    };
    Ok(rows.iter().map(told).collect())
}

async fn rows(db: &impl ConnectionTrait, query: &str, key: i64) -> Result<Vec<Value>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push(query);
    let rows = db.query_all_raw(sql.given(key).statement()).await?;
    Ok(rows.iter().map(|row| JsonValue::from_query_result(row, "")).collect::<Result<_, _>>()?)
}
