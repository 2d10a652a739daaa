//! Accounts that a caller may change, and their locks.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::LockType};

use super::{Caller, Permission, Role, entity::account};
use crate::{
    base::{Error, Result, VersionedTarget, error::PublicErrorCode},
    infra::Tx,
};

/// Account to change, with the caller; `None` for the CLI.
pub type AccountTarget = VersionedTarget<i64, Option<Caller>>;

/// Locks and returns the target account, at its expected version.
///
/// # Errors
/// Returns `NotFound`, `Forbidden` if the caller may not change the account, and `VersionConflict`.
pub async fn lock_target_account(tx: &Tx, target: &AccountTarget) -> Result<account::Model> {
    let row = lock_account_for_caller(tx, target.id, target.scope).await?;
    target.check_version(row.version)?;
    Ok(row)
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
    let message = format!("Staff accounts can be changed only with the permission {}.", Permission::StaffWrite.name());
    Err(Error::user(PublicErrorCode::Forbidden, "id", message))
}
