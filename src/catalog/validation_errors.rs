//! Validation errors of staff input, collected so that all are reported at once.

use crate::base::{
    Error, Result,
    error::{PublicError, PublicErrorCode},
};

/// The version that the caller expects, and the path of that input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedVersion(pub i32, pub String);

/// Collected validation errors.
#[derive(Debug, Default)]
pub(super) struct ValidationErrors(Vec<PublicError>);

impl ValidationErrors {
    /// Adds an error.
    pub(super) fn add(&mut self, code: PublicErrorCode, path: &str, message: impl Into<String>) {
        let field = path.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        self.0.push(PublicError { code, field, message: message.into() });
    }

    /// Adds a `BadUserInput` error.
    pub(super) fn add_bad_input(&mut self, path: &str, message: impl Into<String>) {
        self.add(PublicErrorCode::BadUserInput, path, message);
    }

    /// Returns the trimmed text, and adds an error if it is longer than `limit` characters or has control characters.
    pub(super) fn validate_text(&mut self, path: &str, text: &str, limit: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length > limit {
            self.add_bad_input(path, format!("at most {limit} characters; this has {length}"));
        }
        if text.contains(char::is_control) {
            self.add_bad_input(path, "a text of one line: no line breaks or other control characters");
        }
        text.to_owned()
    }

    /// Adds an error if a list has more than `limit` items.
    pub(super) fn validate_count(&mut self, path: &str, length: usize, limit: usize) {
        if length > limit {
            self.add_bad_input(path, format!("at most {limit}; there are {length}"));
        }
    }

    /// Adds a `VersionConflict` error if the expected version is not the current one.
    pub(super) fn check_version(&mut self, expected: Option<&ExpectedVersion>, current_version: i32) {
        if let Some(ExpectedVersion(expected, path)) = expected.filter(|expected| expected.0 != current_version) {
            let message = format!("it was changed since you read it: its version is {current_version}, not {expected}");
            self.add(PublicErrorCode::VersionConflict, path, message);
        }
    }

    /// Returns whether there are no errors.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the collected errors, if any.
    pub(super) fn into_result(self) -> Result<(), Vec<PublicError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    /// Converts the collected errors to an [`Error`], if any.
    pub(super) fn into_user_errors(self) -> Result<()> {
        Error::fail_if_any(self.0)
    }
}

/// Returns the path of a field below another path.
pub(super) fn join_field_path(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}
