//! Access scope by owner. It is part of the query: rows outside of the scope are not found.

use crate::identity::{Caller, Permission};

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

    /// Returns whether the scope includes what an account owns; `None` is the owner of what a guest has.
    #[must_use]
    pub fn covers_owner(self, owner_id: Option<i64>) -> bool {
        self == Self::All || owner_id.is_some_and(|owner_id| self.covers(owner_id))
    }
}
