//! What hangs on many customers at once.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult};

use super::{Reach, entity::address};
use crate::{base::Result, identity::entity::account, infra::Sql};

/// Accounts that are there and within reach. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn customers(db: &impl ConnectionTrait, keys: &[i64], reach: Reach) -> Result<HashMap<i64, account::Model>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT * FROM account WHERE deleted_at IS NULL AND ").any("id", keys.iter().copied());
    if let Reach::Own(own) = reach {
        sql.push(" AND id = ").bind(own);
    }
    let rows = db.query_all_raw(sql.statement()).await?;
    let read = |row| account::Model::from_query_result(row, "").map(|row| (row.id, row));
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// Addresses that are within reach. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn addresses(db: &impl ConnectionTrait, keys: &[i64], reach: Reach) -> Result<HashMap<i64, address::Model>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT * FROM address WHERE ").any("id", keys.iter().copied());
    if let Reach::Own(own) = reach {
        sql.push(" AND account_id = ").bind(own);
    }
    let rows = db.query_all_raw(sql.statement()).await?;
    let read = |row| address::Model::from_query_result(row, "").map(|row| (row.id, row));
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

/// The addresses of many accounts, the oldest first. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn addresses_of(db: &impl ConnectionTrait, owners: &[i64]) -> Result<HashMap<i64, Vec<address::Model>>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT * FROM address WHERE ").any("account_id", owners.iter().copied()).push(" ORDER BY account_id, id");
    let mut found: HashMap<i64, Vec<address::Model>> = HashMap::new();
    for row in &db.query_all_raw(sql.statement()).await? {
        let row = address::Model::from_query_result(row, "")?;
        found.entry(row.account_id).or_default().push(row);
    }
    Ok(found)
}
