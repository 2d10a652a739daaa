//! Access scope by owner. It is part of the query: rows outside of the scope are not found.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::LockType};

use crate::{
    base::{Error, Result, error::PublicErrorCode},
    identity::{Caller, Permission, Role, entity::account},
    infra::Tx,
};

/// Owners whose data a caller may access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnerScope {
    /// Data of one account.
    Account(i64),
    /// Data of all customers.
    All,
}

impl OwnerScope {
    /// Returns the scope of a caller: all with the permission, else the own account; `None` for no access.
    #[must_use]
    pub fn for_caller(caller: Caller, permission: Permission) -> Option<Self> {
        if caller.permissions().has(permission) {
            return Some(Self::All);
        }
        match caller {
            Caller::User { account_id, .. } => Some(Self::Account(account_id)),
            Caller::Anonymous | Caller::ApiKey { .. } => None,
        }
    }

    /// Returns whether the scope includes an account.
    #[must_use]
    pub const fn covers(self, account_id: i64) -> bool {
        match self {
            Self::Account(owner_id) => owner_id == account_id,
            Self::All => true,
        }
    }
}

/// Locks and returns an account; `None` if it does not exist.
pub async fn lock_account(tx: &Tx, account_id: i64) -> Result<Option<account::Model>> {
    let row = account::Entity::find_by_id(account_id).filter(account::Column::DeletedAt.is_null());
    Ok(row.lock(LockType::NoKeyUpdate).one(tx).await?)
}

/// Locks and returns an account that the caller is allowed to change: the own account, a customer, or with
/// `staff:write` any account. `None` as caller is the CLI, which may change every account.
///
/// # Errors
/// Returns `NotFound` if the account does not exist, and `Forbidden` for a staff account without `staff:write`.
pub async fn lock_account_for_caller(tx: &Tx, account_id: i64, caller: Option<Caller>) -> Result<account::Model> {
    let row = lock_account(tx, account_id).await?.ok_or_else(|| Error::not_found("id", "customer"))?;
    let Some(caller) = caller else { return Ok(row) };
    let is_self =
        matches!(caller, Caller::User { account_id: caller_account_id, .. } if caller_account_id == account_id);
    if row.role == Role::Customer || is_self || caller.permissions().has(Permission::StaffWrite) {
        return Ok(row);
    }
    let message = format!("Accounts of staff are changed with the permission {}.", Permission::StaffWrite.name());
    Err(Error::user(PublicErrorCode::Forbidden, "id", message))
}
