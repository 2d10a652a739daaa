//! Caller of a request: anonymous, user or API key.

use super::{Permission, Permissions, Role};
use crate::{
    base::{Error, Result, error::PublicErrorCode},
    infra::Actor,
};

/// Authenticated caller of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Caller {
    /// Request without credentials.
    #[default]
    Anonymous,
    /// Logged-in user.
    User {
        /// ID of the account.
        account_id: i64,
        /// Role of the account.
        role: Role,
        /// ID of the session; `None` for a token of an external issuer.
        session_id: Option<i64>,
    },
    /// Machine client with an API key.
    ApiKey {
        /// ID of the API key.
        api_key_id: i64,
        /// Effective permissions of the key.
        permissions: Permissions,
    },
}

impl Caller {
    /// Returns the caller of a payload query of a webhook endpoint, which only reads: like a machine client with the
    /// permissions of the endpoint, without a key; anonymous without permissions.
    #[must_use]
    pub fn for_webhook(permissions: Permissions) -> Self {
        if permissions.is_empty() { Self::Anonymous } else { Self::ApiKey { api_key_id: 0, permissions } }
    }

    /// Returns the permissions of the caller.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Anonymous => Permissions::default(),
            Self::User { role, .. } => role.permissions(),
            Self::ApiKey { permissions, .. } => permissions,
        }
    }

    /// Returns whether the caller has any permission: staff and machine clients, to which public limits do not apply.
    #[must_use]
    pub fn has_permissions(self) -> bool {
        !self.permissions().is_empty()
    }

    /// Returns the account ID of the user.
    ///
    /// # Errors
    /// Returns `Unauthenticated` for anonymous callers and `Forbidden` for API keys.
    pub fn require_account_id(self) -> Result<i64> {
        match self {
            Self::User { account_id, .. } => Ok(account_id),
            Self::ApiKey { .. } => {
                Err(Error::user(PublicErrorCode::Forbidden, "", "This requires an account; an API key has none."))
            }
            Self::Anonymous => Err(unauthenticated_error()),
        }
    }

    /// Checks that the caller has a permission.
    ///
    /// # Errors
    /// Returns `Unauthenticated` for anonymous callers and `Forbidden` for other callers without the permission.
    pub fn require_permission(self, permission: Permission) -> Result<()> {
        if self.permissions().has(permission) {
            return Ok(());
        }
        if self == Self::Anonymous {
            return Err(unauthenticated_error());
        }
        Err(Error::user(PublicErrorCode::Forbidden, "", format!("This requires the permission {}.", permission.name())))
    }

    /// Checks that the caller has any permission.
    ///
    /// # Errors
    /// Returns `Unauthenticated` for anonymous callers and `Forbidden` for customers.
    pub fn require_any_permission(self) -> Result<()> {
        match self {
            caller if caller.has_permissions() => Ok(()),
            Self::Anonymous => Err(unauthenticated_error()),
            _ => Err(Error::user(PublicErrorCode::Forbidden, "", "This is for staff.")),
        }
    }

    /// Returns the actor for the audit log.
    #[must_use]
    pub const fn actor(self) -> Actor {
        match self {
            Self::Anonymous => Actor::Anonymous,
            Self::User { account_id, .. } => Actor::Account(account_id),
            Self::ApiKey { api_key_id, .. } => Actor::ApiKey(api_key_id),
        }
    }
}

fn unauthenticated_error() -> Error {
    Error::user(PublicErrorCode::Unauthenticated, "", "Authentication is required: send `Authorization: Bearer …`.")
}
