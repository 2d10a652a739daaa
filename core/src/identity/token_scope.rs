//! Scopes of API clients: the names of permissions, and `offline_access` for a refresh token.

use super::{Permission, Permissions, oauth_error::OauthError};

/// Scope with which a client requests a refresh token.
pub const REFRESH_SCOPE: &str = "offline_access";

/// Scope that a client requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestedScope {
    /// Requested permissions; empty if the scope names none.
    permissions: Permissions,
    /// Whether a refresh token is requested.
    pub is_refreshable: bool,
}

impl RequestedScope {
    /// Parses a scope: names separated by single spaces. An empty scope is that of a client that requests none.
    ///
    /// # Errors
    /// Returns `InvalidScope` if a name is unknown.
    pub fn parse(scope: &str) -> Result<Self, OauthError> {
        let mut requested = Self::default();
        let mut permissions = Vec::new();
        for name in scope.split(' ').filter(|_| !scope.is_empty()) {
            if name == REFRESH_SCOPE {
                requested.is_refreshable = true;
            } else {
                permissions.push(Permission::from_name(name).ok_or(OauthError::InvalidScope(
                    "The scope has a name that is no permission; names are separated by single spaces.",
                ))?);
            }
        }
        requested.permissions = Permissions::from_list(&permissions);
        Ok(requested)
    }

    /// Returns the requested permissions, or all available ones if the scope names none.
    ///
    /// # Errors
    /// Returns `InvalidScope` if a permission is not available, or if there is none.
    pub fn narrow(self, available: Permissions) -> Result<Permissions, OauthError> {
        if !available.covers(self.permissions) {
            return Err(OauthError::InvalidScope("The scope exceeds the permissions of the client or of the grant."));
        }
        let permissions = if self.permissions.is_empty() { available } else { self.permissions };
        if permissions.is_empty() {
            return Err(OauthError::InvalidScope("The client has no permissions any more."));
        }
        Ok(permissions)
    }
}

/// Returns all scopes that exist.
pub fn list_scopes() -> impl Iterator<Item = &'static str> {
    Permission::ALL.into_iter().map(Permission::name).chain([REFRESH_SCOPE])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrow(scope: &str, available: &[Permission]) -> Option<String> {
        let requested = RequestedScope::parse(scope).ok()?;
        requested.narrow(Permissions::from_list(available)).ok().map(|permissions| permissions.to_string())
    }

    #[test]
    fn scope_is_narrowed_to_its_permissions() {
        let available = [Permission::CatalogWrite, Permission::OrderRead];
        for scope in ["", "offline_access", "order:read catalog:write", "catalog:write order:read catalog:write"] {
            assert_eq!(narrow(scope, &available).as_deref(), Some("catalog:write order:read"), "{scope}");
        }
        assert_eq!(narrow("order:read offline_access", &available).as_deref(), Some("order:read"));
    }

    #[test]
    fn scope_that_is_unknown_or_too_wide_is_rejected() {
        let available = [Permission::CatalogWrite];
        let scopes =
            ["order:read", "catalog:write order:read", "catalog", "CATALOG:WRITE", " ", "catalog:write ", "a\0"];
        for scope in scopes {
            assert_eq!(narrow(scope, &available), None, "{scope}");
        }
        assert_eq!(narrow("", &[]), None);
    }
}
