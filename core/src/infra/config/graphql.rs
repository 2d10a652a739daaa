//! Settings of GraphQL requests: `[graphql]`.

use std::{str::FromStr, time::Duration};

use serde::Deserialize;

use super::{
    AutoBool,
    duration::{DAY, MINUTE, SECOND, deserialize_duration, duration_within},
    parsed::deserialize_parsed,
    range::within,
};

/// The highest configurable limit of counts and sizes.
const MOST: usize = 1_000_000_000;
const MOST_STATEMENTS: u64 = 1_000_000_000;
/// The largest cache: 1 TiB.
const MOST_CACHE: u64 = 1 << 40;

/// `[graphql]`
#[derive(Debug, Clone, Deserialize)]
pub struct GraphqlConfig {
    /// Whether responses have the `Server-Timing` header.
    pub server_timing: AutoBool,
    /// Whether `__schema` and `__type` are answered.
    pub introspection: AutoBool,
    /// Whether the schema is a subgraph of Apollo Federation.
    pub federation: bool,
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
    /// Values in one response.
    pub max_response_values: usize,
    /// Size of a response, in bytes.
    pub max_response_bytes: usize,
    /// Statements of a request of a caller without a permission.
    pub max_statements: u64,
    /// Statements of a request of a caller with a permission.
    pub max_statements_staff: u64,
    /// Database time of a request.
    #[serde(deserialize_with = "deserialize_duration")]
    pub max_database_time: Duration,
    /// Expensive reads (facets, counts, searches) that run at the same time; 0: derived from the number of cores.
    pub max_expensive_reads: usize,
    /// How long the response of a mutation with an idempotency key is kept.
    #[serde(deserialize_with = "deserialize_duration")]
    pub idempotency_retention: Duration,
    /// Memory of the cache of parsed and validated documents, in bytes.
    pub document_cache_size: u64,
    /// Who may send documents that are not published.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub free_form_documents: FreeFormDocuments,
    /// Whether clients may register documents under their digest (automatic persisted queries).
    pub automatic_persisted_queries: bool,
    /// Memory of the cache of automatic persisted queries, in bytes.
    pub persisted_query_cache_size: u64,
    /// Memory of the cache of parsed trusted documents, in bytes.
    pub trusted_document_cache_size: u64,
    /// How often the use counts of trusted documents are stored.
    #[serde(deserialize_with = "deserialize_duration")]
    pub use_count_interval: Duration,
}

/// Who may send documents that are not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeFormDocuments {
    /// All callers.
    Everyone,
    /// Callers with a permission.
    Staff,
    /// No caller: only published operations are executed.
    Forbidden,
}

impl FromStr for FreeFormDocuments {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "everyone" => Ok(Self::Everyone),
            "staff" => Ok(Self::Staff),
            "nobody" => Ok(Self::Forbidden),
            _ => Err("it must be everyone, staff or nobody"),
        }
    }
}

impl GraphqlConfig {
    /// Settings that limit no document, for those of the program itself.
    pub const UNLIMITED: Self = Self {
        server_timing: AutoBool::Set(false),
        introspection: AutoBool::Set(false),
        federation: false,
        max_document_bytes: MOST,
        max_depth: MOST,
        max_fields: MOST,
        max_root_fields: MOST,
        max_mutation_fields: MOST,
        max_complexity: MOST,
        max_response_values: MOST,
        max_response_bytes: MOST,
        max_statements: MOST_STATEMENTS,
        max_statements_staff: MOST_STATEMENTS,
        max_database_time: DAY,
        max_expensive_reads: 0,
        idempotency_retention: DAY,
        document_cache_size: 0,
        free_form_documents: FreeFormDocuments::Everyone,
        automatic_persisted_queries: false,
        persisted_query_cache_size: 0,
        trusted_document_cache_size: 0,
        use_count_interval: DAY,
    };

    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        let limits = [
            ("graphql.max_document_bytes", self.max_document_bytes),
            ("graphql.max_depth", self.max_depth),
            ("graphql.max_fields", self.max_fields),
            ("graphql.max_root_fields", self.max_root_fields),
            ("graphql.max_mutation_fields", self.max_mutation_fields),
            ("graphql.max_complexity", self.max_complexity),
            ("graphql.max_response_bytes", self.max_response_bytes),
        ];
        limits.into_iter().try_for_each(|(key, limit)| within(key, limit, 1..=MOST))?;
        within("graphql.max_response_values", self.max_response_values, 1..=MOST)?;
        within("graphql.max_statements", self.max_statements, 1..=MOST_STATEMENTS)?;
        within("graphql.max_statements_staff", self.max_statements_staff, 1..=MOST_STATEMENTS)?;
        duration_within("graphql.max_database_time", self.max_database_time, Duration::ZERO..=DAY)?;
        duration_within("graphql.idempotency_retention", self.idempotency_retention, MINUTE..=DAY * 30)?;
        within("graphql.max_expensive_reads", self.max_expensive_reads, 0..=10_000)?;
        within("graphql.document_cache_size", self.document_cache_size, 0..=MOST_CACHE)?;
        within("graphql.persisted_query_cache_size", self.persisted_query_cache_size, 0..=MOST_CACHE)?;
        within("graphql.trusted_document_cache_size", self.trusted_document_cache_size, 0..=MOST_CACHE)?;
        duration_within("graphql.use_count_interval", self.use_count_interval, SECOND..=DAY)
    }
}
