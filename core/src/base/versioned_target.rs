//! The target of a change with optimistic locking.

use super::{Error, Result, error::PublicErrorCode};

/// The row to change, the caller's access to it, and the version that the caller has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionedTarget<Id = i64, Scope = ()> {
    /// The id.
    pub id: Id,
    /// The access: a row outside of it is not found.
    pub scope: Scope,
    /// The expected version; `None` skips the check.
    pub expected_version: Option<i32>,
}

impl<Id, Scope> VersionedTarget<Id, Scope> {
    /// Checks the expected version.
    ///
    /// # Errors
    /// Returns `VersionConflict` if the current version differs.
    pub fn check_version(&self, version: i32) -> Result<()> {
        match self.expected_version {
            Some(expected) if expected != version => {
                let message = format!("it has been changed since: this is version {version} now, not {expected}");
                Err(Error::user(PublicErrorCode::VersionConflict, "expectedVersion", message))
            }
            _ => Ok(()),
        }
    }
}
