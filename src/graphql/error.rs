//! Response errors: sets codes and request IDs, hides internal causes and logs them.

use std::collections::HashSet;

use async_graphql::{ErrorExtensionValues, PathSegment, ServerError, Value};

use crate::{base, infra::telemetry};

/// Stage at which an error occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorStage {
    /// Parsing: the text is not valid GraphQL.
    Parse,
    /// Validation: the document is invalid or exceeds a limit.
    Validate,
    /// Execution.
    Execute,
}

/// Maximum number of parse and validation errors returned for one document.
const MAX_REQUEST_ERRORS: usize = 10;

/// Sets the code and request ID of all errors; logs internal errors, each once.
pub fn finalize_errors(errors: &mut Vec<ServerError>, stage: ErrorStage, request_id: &str) {
    if stage != ErrorStage::Execute {
        errors.truncate(MAX_REQUEST_ERRORS);
    }
    // One failed statement causes an error in every field that waited for its batch.
    let mut logged = HashSet::new();
    for error in &mut *errors {
        if let Some(cause @ base::Error::Internal(_)) = error.source::<base::Error>() {
            let cause = cause.log_message();
            if !logged.contains(&cause) {
                tracing::error!(error = cause, path = format_path(&error.path), "field resolution failed");
                logged.insert(cause);
            }
        }
        set_error_code(error, stage, request_id);
    }
    count_errors(errors);
}

/// Counts a response once for each code of its errors.
fn count_errors(errors: &[ServerError]) {
    let Some(metrics) = telemetry::metrics().filter(|_| !errors.is_empty()) else { return };
    let codes: HashSet<&str> = errors.iter().filter_map(error_code).collect();
    for code in codes {
        metrics.count_error(code);
    }
}

/// Returns the code of an error.
#[must_use]
pub fn error_code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

fn set_error_code(error: &mut ServerError, stage: ErrorStage, request_id: &str) {
    let mut extensions = error.extensions.take().unwrap_or_default();
    if extensions.get("code").is_none() {
        match error.source::<base::Error>() {
            Some(source) => describe_source(source, &mut extensions),
            None => extensions.set("code", code_of_stage(stage, &error.message)),
        }
    }
    extensions.set("requestId", request_id);
    error.extensions = Some(extensions);
    if stage == ErrorStage::Parse || error.message.contains('\n') {
        error.message = to_single_line(&error.message);
    }
}

/// Returns the code of an error that no resolver has returned.
fn code_of_stage(stage: ErrorStage, message: &str) -> &'static str {
    match stage {
        ErrorStage::Parse => "GRAPHQL_PARSE_FAILED",
        ErrorStage::Validate if message == "Query is too complex." => "QUERY_TOO_COMPLEX",
        ErrorStage::Validate => "GRAPHQL_VALIDATION_FAILED",
        // Resolver errors have codes; an error without one is an argument that could not be parsed.
        ErrorStage::Execute => "BAD_USER_INPUT",
    }
}

/// Sets what the error of a resolver tells its caller besides the message.
fn describe_source(source: &base::Error, extensions: &mut ErrorExtensionValues) {
    let base::error::PublicError { code, field, .. } = source.to_public_error();
    extensions.set("code", code.as_str());
    if !field.is_empty() {
        extensions.set("field", field);
    }
    if let base::Error::RateLimited { retry_after } = source {
        extensions.set("retryAfter", *retry_after);
    }
}

fn format_path(path: &[PathSegment]) -> String {
    let segment = |segment: &PathSegment| match segment {
        PathSegment::Field(name) => name.clone(),
        PathSegment::Index(index) => index.to_string(),
    };
    path.iter().map(segment).collect::<Vec<_>>().join(".")
}

/// Reduces the parser's multi-line error message to its last line, which contains the reason.
fn to_single_line(message: &str) -> String {
    let expected_line = message.lines().rev().find_map(|line| line.trim().strip_prefix("= "));
    expected_line.map_or_else(|| message.replace('\n', " "), |expected| format!("Syntax error: {expected}"))
}
