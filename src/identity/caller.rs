//! Who asks: nobody in particular, a person, or a machine.

use super::{Permission, Permissions, Role};
use crate::{
    base::{Error, Result, error::Code},
    infra::Actor,
};

/// Who sent a request, as far as what came with it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caller {
    /// Nobody has signed in.
    #[default]
    Nobody,
    /// A person.
    Person {
        /// The account.
        account: i64,
        /// What it may do.
        role: Role,
        /// The session; `None` with a token of an outside issuer, which keeps its own.
        session: Option<i64>,
    },
    /// A machine with a key.
    Machine {
        /// The key's own key.
        key: i64,
        /// What it was made for.
        permissions: Permissions,
    },
}

impl Caller {
    /// What the caller may do.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Nobody => Permissions::default(),
            Self::Person { role, .. } => role.permissions(),
            Self::Machine { permissions, .. } => permissions,
        }
    }

    /// The account of the person who asks.
    ///
    /// # Errors
    /// When nobody is signed in, or it is a machine.
    pub fn account(self) -> Result<i64> {
        match self {
            Self::Person { account, .. } => Ok(account),
            Self::Machine { .. } => {
                Err(Error::user(Code::Forbidden, "", "This is for people; an API key has no account."))
            }
            Self::Nobody => Err(unauthenticated()),
        }
    }

    /// Whether the caller may do something.
    ///
    /// # Errors
    /// When not: because nobody is signed in, or because whoever is may not.
    pub fn may(self, what: Permission) -> Result<()> {
        if self.permissions().has(what) {
            return Ok(());
        }
        if self == Self::Nobody {
            return Err(unauthenticated());
        }
        Err(Error::user(Code::Forbidden, "", format!("This needs the permission {}.", what.name())))
    }

    /// As the audit log knows the caller.
    #[must_use]
    pub const fn actor(self) -> Actor {
        match self {
            Self::Nobody => Actor::Nobody,
            Self::Person { account, .. } => Actor::Account(account),
            Self::Machine { key, .. } => Actor::ApiKey(key),
        }
    }
}

fn unauthenticated() -> Error {
    Error::user(Code::Unauthenticated, "", "Sign in first: send `Authorization: Bearer …`.")
}
