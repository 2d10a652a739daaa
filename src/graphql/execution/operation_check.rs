//! Check of the operations of a manifest: each document is valid, has one operation, and is within the limits.

use std::sync::Arc;

use async_graphql::{ServerError, parser::types::OperationType};

use super::{
    document::{ValidDocument, parse_document},
    limits::DocumentLimits,
    operation_cost::measure_worst_case,
};
use crate::{
    base::{Result, Validator, error::PublicErrorCode},
    infra::{Config, background, config::GraphqlConfig},
    operations::{
        CheckedOperation, ManifestOperation,
        entity::{OperationKind, StatementFigure},
        manifest::MANIFEST_FIELD,
    },
};

/// Operation with its parsed document.
#[derive(Debug, Clone)]
pub struct ParsedOperation {
    /// Operation with its figures.
    pub operation: CheckedOperation,
    /// Document.
    pub document: Arc<ValidDocument>,
}

/// Limits that documents are checked against.
#[derive(Debug, Clone)]
struct CheckLimits {
    config: GraphqlConfig,
    allows_introspection: bool,
}

/// Checks operations. The number of statements of each is the limit of a request.
///
/// # Errors
/// Returns all user errors of all operations.
pub async fn check_operations(
    operations: Vec<ManifestOperation>,
    config: &Config,
    on_checked: impl Fn(),
) -> Result<Vec<ParsedOperation>> {
    let allows_introspection = config.graphql.introspection.resolve(config.shop.mode);
    let limits = Arc::new(CheckLimits { config: config.graphql.clone(), allows_introspection });
    let mut validator = Validator::default();
    let mut scope = validator.at(MANIFEST_FIELD);
    let mut checked = Vec::with_capacity(operations.len());
    for operation in operations {
        let ManifestOperation { document_id, text } = operation;
        let label = label_operation(&document_id, &text);
        let limits = Arc::clone(&limits);
        // On a background thread: documents may be long, and there may be thousands.
        let parse_limits = Arc::clone(&limits);
        let (text, parsed) = background::compute(move || {
            let CheckLimits { config, allows_introspection } = &*parse_limits;
            let parsed = parse_document(&text, DocumentLimits { config, allows_introspection: *allows_introspection });
            (text, parsed)
        })
        .await?;
        on_checked();
        let document = match parsed {
            Ok(document) => document,
            Err(failure) => {
                for error in &failure.errors {
                    scope.reject("", format!("{label}: {}", format_document_error(error)));
                }
                continue;
            }
        };
        let outcome = measure_operation(document_id, text, document, &limits.config).await;
        match outcome {
            Ok(parsed_operation) => checked.push(parsed_operation),
            Err(MeasureError { code, message }) => scope.reject_as(code, "", format!("{label}: {message}")),
        }
    }
    validator.finish()?;
    Ok(checked)
}

/// Reason why a valid document cannot be published.
struct MeasureError {
    code: PublicErrorCode,
    message: String,
}

impl From<String> for MeasureError {
    fn from(message: String) -> Self {
        Self { code: PublicErrorCode::BadUserInput, message }
    }
}

async fn measure_operation(
    document_id: String,
    text: String,
    document: ValidDocument,
    config: &GraphqlConfig,
) -> Result<ParsedOperation, MeasureError> {
    let mut operations = document.executable.operations.iter();
    let (Some((name, definition)), None) = (operations.next(), operations.next()) else {
        return Err(String::from("a document must have exactly one operation").into());
    };
    let name = name.map(ToString::to_string);
    let kind = match definition.node.ty {
        OperationType::Query => OperationKind::Query,
        OperationType::Mutation => OperationKind::Mutation,
        OperationType::Subscription => OperationKind::Subscription,
    };
    let complexity = measure_worst_case(&document.executable).await?;
    if complexity > config.max_complexity {
        let limit = config.max_complexity;
        let message = format!(
            "its worst-case cost is {complexity}, the limit is {limit}: select less, or write smaller page sizes as \
             constants"
        );
        return Err(MeasureError { code: PublicErrorCode::QueryTooComplex, message });
    }
    let operation = CheckedOperation {
        document_id,
        text,
        name,
        kind,
        complexity: i64::try_from(complexity).unwrap_or(i64::MAX),
        depth: i32::try_from(document.depth).unwrap_or(i32::MAX),
        statements: i32::try_from(config.max_statements).unwrap_or(i32::MAX),
        statement_figure: StatementFigure::Limit,
    };
    Ok(ParsedOperation { operation, document: Arc::new(document) })
}

/// Returns the name of an operation for messages: what stands after its keyword, and its id.
#[must_use]
pub fn label_operation(document_id: &str, text: &str) -> String {
    let is_keyword = |word: &&str| ["query", "mutation", "subscription"].contains(word);
    let mut words = text.split_whitespace().skip_while(|word| !is_keyword(word));
    let name = words.nth(1).map(|word| {
        let end = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
        &word[..end]
    });
    match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("{name} ({document_id})"),
        None => document_id.to_owned(),
    }
}

/// Formats an error of a document with its position.
#[must_use]
pub fn format_document_error(error: &ServerError) -> String {
    match error.locations.first() {
        Some(position) => format!("{}:{}: {}", position.line, position.column, error.message),
        None => error.message.clone(),
    }
}
