//! Errors of message delivery.

use std::{io::Write, path::Path};

use super::private_files;
use crate::base::text::to_single_line;

/// The maximum length of a stored reason. Characters.
const MAX_REASON_LENGTH: usize = 300;

/// The error of a message delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// A retry may succeed.
    #[error("{0}")]
    Transient(String),
    /// A retry cannot succeed: the recipient is invalid or refuses messages.
    #[error("{0}")]
    Permanent(String),
    /// The channel is disabled.
    #[error("the channel is disabled")]
    Disabled,
}

impl DeliveryError {
    /// Creates a transient error.
    pub fn transient(reason: impl AsRef<str>) -> Self {
        Self::Transient(to_single_line(reason.as_ref(), MAX_REASON_LENGTH))
    }

    /// Creates a permanent error.
    pub fn permanent(reason: impl AsRef<str>) -> Self {
        Self::Permanent(to_single_line(reason.as_ref(), MAX_REASON_LENGTH))
    }
}

/// Writes a message file atomically, readable by its owner only, because messages contain personal data and tokens. An
/// existing file of the same name is replaced.
pub(super) async fn write_message_file(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), DeliveryError> {
    let write_failed = |error: std::io::Error| {
        DeliveryError::transient(format!("it could not be written to {}: {error}", directory.display()))
    };
    let (partial_path, final_path, bytes) =
        (directory.join(format!(".{name}.part")), directory.join(name), bytes.to_vec());
    let created_directory = directory.to_owned();
    let write = move || {
        private_files::create_private_dir(&created_directory)?;
        private_files::private_open_options()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&partial_path)?
            .write_all(&bytes)?;
        std::fs::rename(partial_path, final_path)
    };
    let outcome = tokio::task::spawn_blocking(write).await;
    outcome.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(write_failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delivery_error_reason_is_one_bounded_line() {
        assert_eq!(DeliveryError::permanent("no\r\n such\tuser\0"), DeliveryError::Permanent("no such user".into()));
        assert_eq!(DeliveryError::transient("é".repeat(999)), DeliveryError::Transient("é".repeat(MAX_REASON_LENGTH)));
    }
}
