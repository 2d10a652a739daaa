//! Settings of GraphQL requests: `[graphql]`.

use std::time::Duration;

use serde::Deserialize;

use super::Switch;

/// `[graphql]`
#[derive(Debug, Clone, Deserialize)]
pub struct GraphqlConfig {
    /// Whether answers carry the `Server-Timing` header.
    pub timing: Switch,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: Switch,
    /// Size of a document's text, in bytes.
    pub max_document_bytes: usize,
    /// Nesting of fields.
    pub max_depth: usize,
    /// Fields of a document with its fragments expanded.
    pub max_fields: usize,
    /// Root fields of an operation.
    pub max_root_fields: usize,
    /// Root fields of a mutation of a caller without a permission.
    pub max_mutation_fields: usize,
    /// Complexity of an operation.
    pub max_complexity: usize,
    /// Values in one answer.
    pub max_values: usize,
    /// Size of an answer, in bytes.
    pub max_response_bytes: usize,
    /// Statements of a request of a caller without a permission.
    pub max_statements: u64,
    /// Statements of a request of a caller with a permission.
    pub max_statements_staff: u64,
    /// Database time of a request.
    #[serde(deserialize_with = "super::seconds")]
    pub max_database_time: Duration,
    /// Expensive reads (facets, counts, searches) that run at the same time; 0: by the number of cores.
    pub expensive_reads: usize,
    /// Memory for documents that were parsed and validated, in bytes.
    pub document_cache: u64,
}

impl GraphqlConfig {
    /// Refuses limits under which nothing could be answered.
    pub(super) fn check(&self) -> Result<(), String> {
        let limits = [
            ("max_document_bytes", self.max_document_bytes),
            ("max_depth", self.max_depth),
            ("max_fields", self.max_fields),
            ("max_root_fields", self.max_root_fields),
            ("max_mutation_fields", self.max_mutation_fields),
            ("max_complexity", self.max_complexity),
            ("max_response_bytes", self.max_response_bytes),
        ];
        match limits.iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => Err(format!("graphql.{name} must be at least 1")),
            None => Ok(()),
        }
    }
}
