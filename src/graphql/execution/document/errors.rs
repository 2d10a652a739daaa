//! Errors of documents.

use std::collections::HashSet;

use apollo_compiler::{
    diagnostic::ToCliReport,
    validation::{DiagnosticData, DiagnosticList},
};
use async_graphql::{Pos, ServerError};

use super::line_index::LineIndex;
use crate::base::error::PublicErrorCode;

/// Maximum number of reported errors per document.
pub const MAX_REPORTED_ERRORS: usize = 10;
/// Maximum length of an error message, in bytes: messages quote the document.
const MAX_MESSAGE_BYTES: usize = 300;
/// Validator's name of the error for an object without a selection set.
const MISSING_SUBFIELDS: &str = "MissingSubselection";

/// Returns the error for a null byte at a path.
#[must_use]
pub fn null_byte_error(path: &str) -> ServerError {
    error_with_code(
        format!("A text must not contain a null byte; there is one in {path}."),
        PublicErrorCode::BadUserInput,
    )
}

/// Returns the error for a document that exceeds a limit.
#[must_use]
pub fn too_complex_error(message: String) -> ServerError {
    error_with_code(message, PublicErrorCode::QueryTooComplex)
}

/// Creates an error with a code, without a position.
#[must_use]
pub fn error_with_code(message: String, code: PublicErrorCode) -> ServerError {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code.as_str());
    error
}

/// Creates an error at a position.
#[must_use]
pub fn error_at(message: impl Into<String>, pos: Pos) -> ServerError {
    ServerError::new(message, Some(pos))
}

/// Returns the first validation errors, without duplicate messages.
pub fn collect_errors(
    diagnostics: &DiagnosticList,
    lines: &LineIndex<'_>,
    is_reported: impl Fn(&DiagnosticData) -> bool,
) -> Vec<ServerError> {
    let mut seen_messages = HashSet::new();
    let mut errors = Vec::new();
    // A field with only unknown subfields is also reported as a field without subfields.
    let is_follow_up = |error: &DiagnosticData| error.unstable_error_name() == Some(MISSING_SUBFIELDS);
    let has_cause = diagnostics.iter().any(|diagnostic| !is_follow_up(diagnostic.error));
    let reported = |error: &&DiagnosticData| is_reported(error) && !(has_cause && is_follow_up(error));
    for error in diagnostics.iter().map(|diagnostic| diagnostic.error).filter(reported) {
        let message = error.unstable_compat_message().unwrap_or_else(|| error.to_string());
        let message = match message.strip_prefix("syntax error: ") {
            Some(message) => format!("Syntax error: {message}"),
            None => message,
        };
        if seen_messages.insert(message.clone()) {
            errors.push(error_at(truncate_message(message), lines.position_of_span(error.location())));
        }
        if errors.len() == MAX_REPORTED_ERRORS {
            break;
        }
    }
    errors
}

/// Truncates a message that quotes a long part of the document.
fn truncate_message(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
    message
}
