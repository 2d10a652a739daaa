//! Documents: parsed, validated by the whole specification, and converted for the executor.
//!
//! The executor's own parser recurses without a limit and its validation lacks rules of the specification, so it never
//! sees a caller's text. `apollo-compiler` parses with limits and validates against the schema; `rules` adds what it
//! lacks. The result is converted node by node, so the positions of the original text stay.

mod convert;
mod lines;
mod list_lengths;
pub mod null_byte;
mod rules;
mod schema;

use std::collections::HashSet;

use apollo_compiler::{
    ast,
    diagnostic::ToCliReport,
    parser::Parser,
    validation::{DiagnosticData, DiagnosticList},
};
use async_graphql::{
    Pos, ServerError,
    parser::types::{ExecutableDocument, OperationType},
};

use super::{error::Stage, limits, prepare::prepare};
use crate::{base::error::Code, infra::config::GraphqlConfig};
pub use lines::LineIndex;
pub(super) use rules::is_one_of;
pub use schema::schema;

/// The greatest nesting that is parsed: of selections, of lists and objects in values, of lists in types.
const NESTING: usize = 100;
/// The most tokens that are read, white space and comments included.
const TOKENS: usize = 40_000;
/// How many errors of a document are reported; one cause rarely makes more.
const ERRORS: usize = 10;
/// The longest message of an error, in bytes: messages quote the document.
const MESSAGE: usize = 300;

/// A document that is valid and ready for the executor.
#[derive(Debug)]
pub struct ValidDocument {
    /// What is executed.
    pub executable: ExecutableDocument,
    /// How many nodes it has, which is what it weighs in memory.
    pub nodes: usize,
}

/// Why a document is not executed.
#[derive(Debug)]
pub struct DocumentError {
    /// Where it failed.
    pub stage: Stage,
    /// What is wrong with it. Never empty.
    pub errors: Vec<ServerError>,
    /// The operations of a document that could be parsed: their names and types.
    pub operations: Vec<(Option<String>, OperationType)>,
}

impl DocumentError {
    fn new(stage: Stage, errors: Vec<ServerError>) -> Self {
        Self { stage, errors, operations: Vec::new() }
    }

    /// The server stops before the document is parsed.
    #[must_use]
    pub fn interrupted() -> Self {
        let message = "The server is stopping; please try again.".to_owned();
        Self::new(Stage::Execute, vec![coded(message, Code::Unavailable)])
    }
}

/// Parses and validates a document. It calls for no I/O, and its time is bounded by the length of the text.
///
/// # Errors
/// When the text is not GraphQL, is over a limit, or asks for what is not in the schema.
pub fn parse_document(
    text: &str,
    (limits, introspection): (&GraphqlConfig, bool),
) -> Result<ValidDocument, DocumentError> {
    if text.len() > limits.max_document_bytes {
        let limit = limits.max_document_bytes;
        let message = format!("The document is longer than {limit} bytes: pass data in `variables`.");
        return Err(DocumentError::new(Stage::Validate, vec![too_complex(message)]));
    }
    // A byte-order mark is white space to the parser, but no part of the text to its author.
    let text = text.trim_start_matches('\u{feff}');
    let lines = LineIndex::new(text);
    let mut parser = Parser::new().recursion_limit(NESTING).token_limit(TOKENS);
    let ast = match parser.parse_ast(text, "") {
        Ok(ast) if ast.definitions.is_empty() => {
            let error = error_at("Syntax error: the document is empty.", Pos { line: 1, column: 1 });
            return Err(DocumentError::new(Stage::Parse, vec![error]));
        }
        Ok(ast) => ast,
        Err(_) if parser.recursion_reached() > NESTING => {
            let message = format!("The document nests more than {NESTING} levels deep.");
            return Err(DocumentError::new(Stage::Validate, vec![too_complex(message)]));
        }
        Err(_) if parser.tokens_reached() > TOKENS => {
            let message = format!("The document has more than {TOKENS} tokens: pass data in `variables`.");
            return Err(DocumentError::new(Stage::Validate, vec![too_complex(message)]));
        }
        Err(failed) => return Err(DocumentError::new(Stage::Parse, first_errors(&failed.errors, &lines, |_| true))),
    };
    validate(&ast, text, &lines, (limits, introspection))
        .map_err(|errors| DocumentError { operations: operations(&ast), ..DocumentError::new(Stage::Validate, errors) })
}

fn validate(
    ast: &ast::Document,
    text: &str,
    lines: &LineIndex<'_>,
    settings: (&GraphqlConfig, bool),
) -> Result<ValidDocument, Vec<ServerError>> {
    let size = limits::check(ast, lines, settings).map_err(|error| vec![error])?;
    let valid = ast.to_executable_validate(schema()).map_err(|failed| first_errors(&failed.errors, lines, |_| true))?;
    rules::check(&valid, lines)?;
    list_lengths::check(ast, &valid, lines)?;
    let mut executable = convert::document(ast, lines).map_err(|error| vec![error])?;
    // In a document a null byte can only stand as an escape, or as itself in a string.
    let suspect = text.contains("\\u0000") || text.contains("\\u{") || text.contains('\0');
    if let Some(path) = null_byte::find_in_document(&executable).filter(|_| suspect) {
        return Err(vec![null_byte_in(&path)]);
    }
    prepare(&mut executable);
    Ok(ValidDocument { executable, nodes: size.parts })
}

/// The error for a null byte at a path.
#[must_use]
pub fn null_byte_in(path: &str) -> ServerError {
    coded(format!("A text may not hold a null byte; one is in {path}."), Code::BadUserInput)
}

fn too_complex(message: String) -> ServerError {
    coded(message, Code::QueryTooComplex)
}

fn coded(message: String, code: Code) -> ServerError {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_default().set("code", code.as_str());
    error
}

/// The validator's name for an object without a selection of its fields.
const MISSING_SUBFIELDS: &str = "MissingSubselection";

/// An error at a position.
pub(super) fn error_at(message: impl Into<String>, pos: Pos) -> ServerError {
    ServerError::new(message, Some(pos))
}

/// The first few of what the validation found, each message once.
fn first_errors(
    found: &DiagnosticList,
    lines: &LineIndex<'_>,
    counts: impl Fn(&DiagnosticData) -> bool,
) -> Vec<ServerError> {
    let mut seen = HashSet::new();
    let mut errors = Vec::new();
    // A field of whose subfields none is known is reported as a field without subfields as well.
    let is_follow_up = |error: &DiagnosticData| error.unstable_error_name() == Some(MISSING_SUBFIELDS);
    let has_cause = found.iter().any(|one| !is_follow_up(one.error));
    let reported = |error: &&DiagnosticData| counts(error) && !(has_cause && is_follow_up(error));
    for error in found.iter().map(|one| one.error).filter(reported) {
        let message = error.unstable_compat_message().unwrap_or_else(|| error.to_string());
        let message = match message.strip_prefix("syntax error: ") {
            Some(message) => format!("Syntax error: {message}"),
            None => message,
        };
        if seen.insert(message.clone()) {
            errors.push(error_at(shorten(message), lines.position(error.location())));
        }
        if errors.len() == ERRORS {
            break;
        }
    }
    errors
}

/// A message that quotes no more of a document than a person reads.
fn shorten(mut message: String) -> String {
    if message.len() > MESSAGE {
        message.truncate(message.floor_char_boundary(MESSAGE));
        message.push('…');
    }
    message
}

fn operations(ast: &ast::Document) -> Vec<(Option<String>, OperationType)> {
    let operation = |definition: &ast::Definition| match definition {
        ast::Definition::OperationDefinition(operation) => {
            Some((operation.name.as_ref().map(ToString::to_string), convert::operation_type(operation.operation_type)))
        }
        _ => None,
    };
    ast.definitions.iter().filter_map(operation).collect()
}

#[cfg(test)]
mod tests;
