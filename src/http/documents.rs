//! Documents that were parsed and looked at before: bounded, by text.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use async_graphql::{
    ServerError,
    parser::{parse_query, types::ExecutableDocument},
};
use moka::sync::Cache;

use crate::{
    graphql::{limits, prepare::prepare},
    infra::{Config, config::GraphqlConfig},
};

/// Longer documents are not kept: they are rare, and few of them would fill the memory.
const LONGEST_KEPT: usize = 16 * 1024;
/// How many requests that passed every rule are remembered, by hash.
const PASSED: u64 = 20_000;

/// Parsed documents, and which requests need not be validated again.
pub struct Documents {
    parsed: Cache<String, Arc<ExecutableDocument>>,
    passed: Cache<u64, ()>,
    introspection: bool,
    hasher: RandomState,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

impl Documents {
    /// As the settings want them.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let introspection = config.graphql.introspection.on(config.shop.mode);
        let parsed = Cache::new(config.graphql.document_cache);
        Self { parsed, passed: Cache::new(PASSED), introspection, hasher: RandomState::new() }
    }

    /// The document of a text, parsed, within the limits and prepared.
    ///
    /// # Errors
    /// When it is no GraphQL, or too much of it.
    pub fn get(&self, text: &str, config: &GraphqlConfig) -> Result<Arc<ExecutableDocument>, Refused> {
        if let Some(document) = self.parsed.get(text) {
            return Ok(document);
        }
        let mut document = parse_query(text).map_err(|why| Refused::Parse(why.into()))?;
        limits::check(&document, config, self.introspection).map_err(Refused::Limit)?;
        prepare(&mut document).map_err(Refused::Limit)?;
        let document = Arc::new(document);
        if text.len() <= LONGEST_KEPT {
            self.parsed.insert(text.to_owned(), Arc::clone(&document));
        }
        Ok(document)
    }

    /// A key for exactly this request. Made with a secret of this process; should two requests ever share one, the
    /// second is answered with fewer checks, and still safely.
    pub fn request_key(&self, request: impl std::hash::Hash) -> u64 {
        self.hasher.hash_one(request)
    }

    /// Whether exactly this request has passed every rule before.
    #[must_use]
    pub fn has_passed(&self, key: u64) -> bool {
        self.passed.contains_key(&key)
    }

    /// Remembers that it has.
    pub fn pass(&self, key: u64) {
        self.passed.insert(key, ());
    }
}

/// Why a document is not looked at further.
#[derive(Debug)]
pub enum Refused {
    /// It is no GraphQL.
    Parse(ServerError),
    /// It is too much, or asks for what it may not.
    Limit(ServerError),
}
