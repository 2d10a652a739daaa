//! GraphQL documents: parsing, validation against the full specification, and conversion for the executor.
//!
//! The executor's own parser recurses without a limit and its validation lacks rules of the specification, so it never
//! receives client text. `apollo-compiler` parses with limits and validates against the schema; `input_rules` and
//! `list_lengths` add missing rules. The result is converted node by node, so the positions of the original text are
//! preserved.

mod convert;
pub mod errors;
pub mod line_index;
mod list_lengths;
pub mod null_byte;
pub mod input_rules;
pub mod schema;

use apollo_compiler::{ast, parser::Parser};
use async_graphql::{
    Pos, ServerError,
    parser::types::{ExecutableDocument, OperationType},
};

use self::{
    errors::{collect_errors, error_at, error_with_code, null_byte_error, too_complex_error},
    line_index::LineIndex,
    schema::validation_schema,
};
use super::{
    document_rewrite::rewrite_document,
    limits::{self, DocumentLimits},
};
use crate::{
    base::{
        digest::{Sha256Digest, sha256_bytes},
        error::PublicErrorCode,
    },
    graphql::{cache_policy::CachePolicies, error::ErrorStage},
};

/// Maximum nesting depth of selections, of lists and objects in values, and of list types.
pub(super) const MAX_NESTING_DEPTH: usize = 100;
/// Maximum number of tokens, including white space and comments.
pub(super) const MAX_TOKENS: usize = 40_000;

/// Validated document, ready for the executor.
#[derive(Debug)]
pub struct ValidDocument {
    /// Document in the executor's types.
    pub executable: ExecutableDocument,
    /// SHA-256 of its text.
    pub hash: Sha256Digest,
    /// Cache policies of its operations.
    pub cache_policies: CachePolicies,
    /// Number of nodes, the measure of its memory size.
    pub nodes: usize,
    /// Nesting depth of the fields of its deepest operation.
    pub depth: usize,
}

/// Reason why a document is rejected.
#[derive(Debug)]
pub struct DocumentError {
    /// Stage that failed.
    pub stage: ErrorStage,
    /// Errors, never empty.
    pub errors: Vec<ServerError>,
    /// Names and types of the operations, if the document could be parsed.
    pub operations: Vec<(Option<String>, OperationType)>,
}

impl DocumentError {
    fn new(stage: ErrorStage, errors: Vec<ServerError>) -> Self {
        Self { stage, errors, operations: Vec::new() }
    }

    /// Returns the error for a server shutdown before the document was parsed.
    #[must_use]
    pub fn interrupted() -> Self {
        let message = "The server is stopping; please try again.".to_owned();
        Self::new(ErrorStage::Execute, vec![error_with_code(message, PublicErrorCode::Unavailable)])
    }
}

/// Parses and validates a document. Does no I/O; run time is bounded by the length of the text.
///
/// # Errors
/// Returns an error if the text is not valid GraphQL, exceeds a limit, or does not match the schema.
pub fn parse_document(text: &str, limits: DocumentLimits<'_>) -> Result<ValidDocument, DocumentError> {
    if text.len() > limits.config.max_document_bytes {
        let limit = limits.config.max_document_bytes;
        let message = format!("The document is longer than {limit} bytes: pass data in `variables`.");
        return Err(DocumentError::new(ErrorStage::Validate, vec![too_complex_error(message)]));
    }
    // The parser treats a byte-order mark as white space, which would shift column numbers.
    let text = text.trim_start_matches('\u{feff}');
    let lines = LineIndex::new(text);
    let mut parser = Parser::new().recursion_limit(MAX_NESTING_DEPTH).token_limit(MAX_TOKENS);
    let ast = match parser.parse_ast(text, "") {
        Ok(ast) if ast.definitions.is_empty() => {
            let error = error_at("Syntax error: the document is empty.", Pos { line: 1, column: 1 });
            return Err(DocumentError::new(ErrorStage::Parse, vec![error]));
        }
        Ok(ast) => ast,
        Err(_) if parser.recursion_reached() > MAX_NESTING_DEPTH => {
            let message = format!("The document nests more than {MAX_NESTING_DEPTH} levels deep.");
            return Err(DocumentError::new(ErrorStage::Validate, vec![too_complex_error(message)]));
        }
        Err(_) if parser.tokens_reached() > MAX_TOKENS => {
            let message = format!("The document has more than {MAX_TOKENS} tokens: pass data in `variables`.");
            return Err(DocumentError::new(ErrorStage::Validate, vec![too_complex_error(message)]));
        }
        Err(parse_failure) => {
            return Err(DocumentError::new(ErrorStage::Parse, collect_errors(&parse_failure.errors, &lines, |_| true)));
        }
    };
    validate_document(&ast, text, &lines, limits).map_err(|errors| DocumentError {
        operations: list_operations(&ast),
        ..DocumentError::new(ErrorStage::Validate, errors)
    })
}

fn validate_document(
    ast: &ast::Document,
    text: &str,
    lines: &LineIndex<'_>,
    limits: DocumentLimits<'_>,
) -> Result<ValidDocument, Vec<ServerError>> {
    let size = limits::check_document_limits(ast, lines, limits).map_err(|error| vec![error])?;
    let valid = ast
        .to_executable_validate(validation_schema())
        .map_err(|validation_failure| collect_errors(&validation_failure.errors, lines, |_| true))?;
    input_rules::check_input_rules(&valid, lines)?;
    list_lengths::check_list_lengths(ast, &valid, lines)?;
    let mut executable = convert::convert_document(ast, lines).map_err(|error| vec![error])?;
    // A null byte in a document is either an escape sequence or a raw byte in a string.
    let may_contain_null_byte = text.contains("\\u0000") || text.contains("\\u{") || text.contains('\0');
    if let Some(path) = null_byte::find_null_byte_in_document(&executable).filter(|_| may_contain_null_byte) {
        return Err(vec![null_byte_error(&path)]);
    }
    rewrite_document(&mut executable);
    let cache_policies = CachePolicies::of_document(&valid);
    Ok(ValidDocument { executable, hash: sha256_bytes(text), cache_policies, nodes: size.parts, depth: size.depth })
}

fn list_operations(ast: &ast::Document) -> Vec<(Option<String>, OperationType)> {
    let operation = |definition: &ast::Definition| match definition {
        ast::Definition::OperationDefinition(operation) => Some((
            operation.name.as_ref().map(ToString::to_string),
            convert::convert_operation_type(operation.operation_type),
        )),
        _ => None,
    };
    ast.definitions.iter().filter_map(operation).collect()
}

#[cfg(test)]
mod tests;
