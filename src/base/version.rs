//! Optimistic locking by version numbers.

use super::{Error, Result, error::PublicErrorCode};

/// Checks the expected version of a row.
///
/// # Errors
/// Returns `VersionConflict` if the version differs.
pub fn check_version(version: i32, expected: Option<i32>) -> Result<()> {
    match expected {
        Some(expected) if expected != version => {
            let message = format!("it has been changed since: this is version {version} now, not {expected}");
            Err(Error::user(PublicErrorCode::VersionConflict, "expectedVersion", message))
        }
        _ => Ok(()),
    }
}
