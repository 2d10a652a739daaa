//! Batch loaders for customers and addresses.

use std::collections::HashMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{OwnerScope, entity::address};
use crate::{base::Result, identity::entity::account, infra::eq_any};

/// Loads the accounts with these IDs that are not deleted and within the scope. Statements: 1.
pub async fn load_accounts(
    db: &impl ConnectionTrait,
    account_ids: &[i64],
    scope: OwnerScope,
) -> Result<HashMap<i64, account::Model>> {
    let mut query = account::Entity::find().filter(account::Column::DeletedAt.is_null()).filter(eq_any(
        db,
        account::Column::Id,
        account_ids.iter().copied(),
    ));
    if let OwnerScope::Account(account_id) = scope {
        query = query.filter(account::Column::Id.eq(account_id));
    }
    Ok(query.all(db).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// Loads the addresses with these IDs that are within the scope. Statements: 1.
pub async fn load_addresses(
    db: &impl ConnectionTrait,
    address_ids: &[i64],
    scope: OwnerScope,
) -> Result<HashMap<i64, address::Model>> {
    let mut query = address::Entity::find().filter(eq_any(db, address::Column::Id, address_ids.iter().copied()));
    if let OwnerScope::Account(account_id) = scope {
        query = query.filter(address::Column::AccountId.eq(account_id));
    }
    Ok(query.all(db).await?.into_iter().map(|row| (row.id, row)).collect())
}

/// Loads the addresses of many accounts, oldest first. Statements: 1.
pub async fn load_addresses_by_owner(
    db: &impl ConnectionTrait,
    owner_ids: &[i64],
) -> Result<HashMap<i64, Vec<address::Model>>> {
    let query = address::Entity::find()
        .filter(eq_any(db, address::Column::AccountId, owner_ids.iter().copied()))
        .order_by_asc(address::Column::AccountId)
        .order_by_asc(address::Column::Id);
    let mut by_owner: HashMap<i64, Vec<address::Model>> = HashMap::new();
    for row in query.all(db).await? {
        by_owner.entry(row.account_id).or_default().push(row);
    }
    Ok(by_owner)
}
