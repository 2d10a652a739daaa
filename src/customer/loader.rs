//! Batch loaders for customers and addresses.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{OwnerScope, entity::address};
use crate::{base::Result, identity::entity::account, infra::SqlBuilder};

/// Loads the accounts with these IDs that are not deleted and within the scope. Statements: 1.
pub async fn load_customers(
    db: &impl ConnectionTrait,
    account_ids: &[i64],
    scope: OwnerScope,
) -> Result<HashMap<i64, account::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT * FROM account WHERE deleted_at IS NULL AND ").eq_any("id", account_ids.iter().copied());
    if let OwnerScope::Account(account_id) = scope {
        sql.push(" AND id = ").bind(account_id);
    }
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let to_entry = |row| account::Model::from_query_result(row, "").map(|row| (row.id, row));
    Ok(rows.iter().map(to_entry).collect::<Result<_, _>>()?)
}

/// Loads the addresses with these IDs that are within the scope. Statements: 1.
pub async fn load_addresses(
    db: &impl ConnectionTrait,
    address_ids: &[i64],
    scope: OwnerScope,
) -> Result<HashMap<i64, address::Model>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT * FROM address WHERE ").eq_any("id", address_ids.iter().copied());
    if let OwnerScope::Account(account_id) = scope {
        sql.push(" AND account_id = ").bind(account_id);
    }
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let to_entry = |row| address::Model::from_query_result(row, "").map(|row| (row.id, row));
    Ok(rows.iter().map(to_entry).collect::<Result<_, _>>()?)
}

/// Loads the addresses of many accounts, oldest first. Statements: 1.
pub async fn load_addresses_by_owner(
    db: &impl ConnectionTrait,
    owner_ids: &[i64],
) -> Result<HashMap<i64, Vec<address::Model>>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT * FROM address WHERE ")
        .eq_any("account_id", owner_ids.iter().copied())
        .push(" ORDER BY account_id, id");
    let mut by_owner: HashMap<i64, Vec<address::Model>> = HashMap::new();
    for row in &db.query_all_raw(sql.into_statement()).await? {
        let row = address::Model::from_query_result(row, "")?;
        by_owner.entry(row.account_id).or_default().push(row);
    }
    Ok(by_owner)
}
