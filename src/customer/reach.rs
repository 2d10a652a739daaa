//! Whose things somebody may reach. It goes into the query: what is out of reach is simply not there.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::LockType};

use crate::{
    base::{Error, Result, error::Code},
    identity::{Caller, Permission, Role, entity::account},
    infra::Tx,
};

/// Whose things somebody may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// One's own.
    Own(i64),
    /// Every customer's.
    All,
}

impl Reach {
    /// How far this caller reaches, who reaches everybody with a permission; `None` when to nothing at all.
    #[must_use]
    pub fn of(caller: Caller, with: Permission) -> Option<Self> {
        if caller.permissions().has(with) {
            return Some(Self::All);
        }
        match caller {
            Caller::Person { account, .. } => Some(Self::Own(account)),
            Caller::Nobody | Caller::Machine { .. } => None,
        }
    }

    /// Whether it goes as far as an account.
    #[must_use]
    pub const fn covers(self, account: i64) -> bool {
        match self {
            Self::Own(own) => own == account,
            Self::All => true,
        }
    }
}

/// Reads an account, if it is there, and keeps it as it is until the transaction ends.
///
/// # Errors
/// When the database refuses.
pub async fn hold(tx: &Tx, key: i64) -> Result<Option<account::Model>> {
    let row = account::Entity::find_by_id(key).filter(account::Column::DeletedAt.is_null());
    Ok(row.lock(LockType::NoKeyUpdate).one(tx).await?)
}

/// The same, of an account that somebody is about to change: oneself, or a customer, or anybody for whoever may change
/// staff. Without a caller it is the shop itself, at its own command line, which may do everything.
///
/// # Errors
/// When it is not there, or belongs to staff and the caller may not change those.
pub async fn hold_for(tx: &Tx, key: i64, caller: Option<Caller>) -> Result<account::Model> {
    let row = hold(tx, key).await?.ok_or_else(|| Error::not_found("id", "customer"))?;
    let Some(caller) = caller else { return Ok(row) };
    let oneself = matches!(caller, Caller::Person { account, .. } if account == key);
    if row.role == Role::Customer || oneself || caller.permissions().has(Permission::StaffWrite) {
        return Ok(row);
    }
    let message = format!("Accounts of staff are changed with the permission {}.", Permission::StaffWrite.name());
    Err(Error::user(Code::Forbidden, "id", message))
}

/// Says no to a change of something that has changed since its caller looked.
///
/// # Errors
/// When it has.
pub fn expect(version: i32, expected: Option<i32>) -> Result<()> {
    match expected {
        Some(expected) if expected != version => {
            let message = format!("it has been changed since: this is version {version} now, not {expected}");
            Err(Error::user(Code::VersionConflict, "expectedVersion", message))
        }
        _ => Ok(()),
    }
}
