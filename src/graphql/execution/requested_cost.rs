//! Requested cost: the complexity of an operation with its variables, measured before its execution and cached.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use async_graphql::{Value, Variables, parser::types::ExecutableDocument};
use moka::sync::Cache;

use super::complexity_probe::measure_complexity;
use crate::base::digest::Sha256Digest;

/// Maximum number of cached costs.
const CACHE_SIZE: u64 = 10_000;

/// Measures the requested cost of operations.
#[derive(Debug)]
pub struct CostMeter {
    costs: Cache<CostKey, u32>,
    /// Random, so that clients cannot find variables with the hash of others.
    hash_state: RandomState,
}

/// What the complexity of an operation depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CostKey {
    document_hash: Sha256Digest,
    operation_name: Option<String>,
    sizes: u64,
}

/// Operation of a valid document with its variables.
#[derive(Debug, Clone, Copy)]
pub struct MeasuredOperation<'a> {
    /// Identifies the document.
    pub document_hash: &'a Sha256Digest,
    /// Name of the selected operation.
    pub operation_name: Option<&'a str>,
    /// Variables after coercion.
    pub variables: &'a Variables,
}

impl Default for CostMeter {
    fn default() -> Self {
        Self { costs: Cache::new(CACHE_SIZE), hash_state: RandomState::new() }
    }
}

impl CostMeter {
    /// Returns the complexity of an operation in points, at least 1. `select_document` returns the document with the
    /// operation only, and is called if the cost is not cached. An operation that cannot be measured, which the executor
    /// rejects, costs 1.
    pub async fn measure(
        &self,
        operation: MeasuredOperation<'_>,
        select_document: impl FnOnce() -> ExecutableDocument,
    ) -> u32 {
        let MeasuredOperation { document_hash, operation_name, variables } = operation;
        let key = CostKey {
            document_hash: *document_hash,
            operation_name: operation_name.map(str::to_owned),
            sizes: self.hash_sizes(variables),
        };
        if let Some(cost) = self.costs.get(&key) {
            return cost;
        }
        let complexity = measure_complexity(select_document(), variables.clone()).await.unwrap_or(1);
        let cost = u32::try_from(complexity).unwrap_or(u32::MAX).max(1);
        self.costs.insert(key, cost);
        cost
    }

    /// Hashes the parts of the variables on which a complexity depends: numbers, lengths of lists, and which are set.
    fn hash_sizes(&self, variables: &Variables) -> u64 {
        let mut hasher = self.hash_state.build_hasher();
        for (name, value) in variables.iter() {
            name.hash(&mut hasher);
            match value {
                Value::Null => 0.hash(&mut hasher),
                Value::Number(number) => (1, number.as_i64()).hash(&mut hasher),
                Value::List(items) => (2, items.len()).hash(&mut hasher),
                _ => 3.hash(&mut hasher),
            }
        }
        hasher.finish()
    }
}
