//! Errors on their way out: what callers may read, in one shape, and the rest for the log.

use std::{collections::HashSet, sync::Arc};

use async_graphql::{ErrorExtensionValues, PathSegment, ServerError};

use crate::base;

impl From<base::Error> for async_graphql::Error {
    fn from(error: base::Error) -> Self {
        let base::error::Problem { code, field, message } = error.public();
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", code.as_str());
        if !field.is_empty() {
            extensions.set("field", field);
        }
        if let base::Error::RateLimited { retry_after } = error {
            extensions.set("retryAfter", retry_after);
        }
        Self { message, source: Some(Arc::new(error)), extensions: Some(extensions) }
    }
}

/// Where an error was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The text is no GraphQL.
    Parse,
    /// It asks for what is not, or for too much.
    Validate,
    /// While it was answered.
    Execute,
}

/// What is wrong with a document is told so many times; who has read these will not read more.
const MOST_REFUSALS: usize = 10;

/// Gives errors their codes and the request's id; logs what is our fault, each once.
pub fn finish(errors: &mut Vec<ServerError>, stage: Stage, request_id: &str) {
    if stage != Stage::Execute {
        errors.truncate(MOST_REFUSALS);
    }
    // One statement that fails is the fault of every field that waited for it.
    let mut told = HashSet::new();
    for error in errors {
        if let Some(cause @ base::Error::Fault(_)) = error.source::<base::Error>() {
            let cause = cause.log();
            if !told.contains(&cause) {
                tracing::error!(error = cause, path = path(&error.path), "a field could not be answered");
                told.insert(cause);
            }
        }
        give_code(error, stage, request_id);
    }
}

fn give_code(error: &mut ServerError, stage: Stage, request_id: &str) {
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("code").is_none() {
        let code = match stage {
            Stage::Parse => "GRAPHQL_PARSE_FAILED",
            Stage::Validate if error.message == "Query is too complex." => "QUERY_TOO_COMPLEX",
            Stage::Validate => "GRAPHQL_VALIDATION_FAILED",
            // Resolvers give their errors a code; what has none is an argument that could not be read.
            Stage::Execute => "BAD_USER_INPUT",
        };
        extensions.set("code", code);
    }
    extensions.set("requestId", request_id);
    if stage == Stage::Parse || error.message.contains('\n') {
        error.message = one_line(&error.message);
    }
}

fn path(path: &[PathSegment]) -> String {
    let segment = |segment: &PathSegment| match segment {
        PathSegment::Field(name) => name.clone(),
        PathSegment::Index(place) => place.to_string(),
    };
    path.iter().map(segment).collect::<Vec<_>>().join(".")
}

/// The parser draws a picture of several lines; its last one says what it means.
fn one_line(message: &str) -> String {
    let last = message.lines().rev().find_map(|line| line.trim().strip_prefix("= "));
    last.map_or_else(|| message.replace('\n', " "), |expected| format!("Syntax error: {expected}"))
}
