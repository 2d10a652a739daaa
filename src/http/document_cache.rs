//! Cache of parsed and validated documents by their text, bounded by memory size.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::{
    graphql::execution::{
        document::{DocumentError, ValidDocument, parse_document},
        limits::DocumentLimits,
    },
    infra::{
        Config, background,
        config::GraphqlConfig,
        telemetry::{self, CacheName},
    },
};

/// Maximum length in bytes of a text parsed on the request thread; longer texts are parsed on a background thread.
const MAX_INLINE_PARSE_BYTES: usize = 2 * 1024;
/// Estimated memory of a document node in bytes: names, positions and vectors.
const NODE_BYTES: usize = 384;

/// Cache of valid documents. Invalid documents are not cached.
pub struct DocumentCache {
    valid_documents: Cache<String, Arc<ValidDocument>>,
    introspection: bool,
    /// Permits for concurrent parsing of long texts.
    parser_permits: Arc<Semaphore>,
}

impl std::fmt::Debug for DocumentCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

impl DocumentCache {
    /// Creates an empty cache of the configured size.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let introspection = config.graphql.introspection.resolve(config.shop.mode);
        let valid_documents = Cache::builder()
            .max_capacity(config.graphql.document_cache_size)
            .weigher(|text: &String, document: &Arc<ValidDocument>| document_bytes(text, document))
            .build();
        Self { valid_documents, introspection, parser_permits: Arc::new(Semaphore::new(background::thread_count())) }
    }

    /// Returns the document of a text, parsed and validated.
    ///
    /// # Errors
    /// Returns [`DocumentError`] if the text is not valid GraphQL, exceeds a limit, or does not match the schema.
    pub async fn get_or_parse(
        &self,
        text: String,
        config: &GraphqlConfig,
    ) -> Result<Arc<ValidDocument>, DocumentError> {
        let found = self.valid_documents.get(&text);
        if let Some(metrics) = telemetry::metrics() {
            metrics.count_lookup(CacheName::Document, found.is_some());
        }
        if let Some(document) = found {
            return Ok(document);
        }
        let allows_introspection = self.introspection;
        let (text, parse_result) = if text.len() <= MAX_INLINE_PARSE_BYTES || text.len() > config.max_document_bytes {
            let parse_result = parse_document(&text, DocumentLimits { config, allows_introspection });
            (text, parse_result)
        } else {
            // The task owns the permit: a canceled request releases it only when the task ends.
            let permit = Arc::clone(&self.parser_permits).acquire_owned().await;
            let config = config.clone();
            let parse_task = move || {
                let _permit = permit;
                let parse_result = parse_document(&text, DocumentLimits { config: &config, allows_introspection });
                (text, parse_result)
            };
            background::compute(parse_task).await.map_err(|_| DocumentError::interrupted())?
        };
        let document = Arc::new(parse_result?);
        self.valid_documents.insert(text, Arc::clone(&document));
        Ok(document)
    }
}

/// Returns the estimated memory of a cached document in bytes.
pub(super) fn document_bytes(text: &str, document: &ValidDocument) -> u32 {
    let bytes = document.nodes.saturating_mul(NODE_BYTES).saturating_add(text.len().saturating_mul(2));
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_cache(variables: &[(&str, &str)]) -> (DocumentCache, Config) {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let config = Config::load_from(std::path::Path::new("/nowhere.toml"), variables).expect("valid configuration");
        (DocumentCache::new(&config), config)
    }

    #[tokio::test]
    async fn document_cache_is_bounded_in_memory() {
        let (cache, config) = test_cache(&[("SAVANNAH_GRAPHQL__DOCUMENT_CACHE_SIZE", "100000")]);
        for number in 0..200 {
            let fields = (0..20).map(|field| format!("a{number}x{field}: name ")).collect::<Vec<_>>().concat();
            let text = format!("{{ shop {{ {fields} }} }}");
            assert!(cache.get_or_parse(text, &config.graphql).await.is_ok());
        }
        cache.valid_documents.run_pending_tasks();
        assert!(cache.valid_documents.weighted_size() <= 100_000);
        // About ten documents fit: each has 21 fields of 384 bytes.
        assert!((5..15).contains(&cache.valid_documents.entry_count()), "{}", cache.valid_documents.entry_count());
    }

    #[tokio::test]
    async fn invalid_document_is_not_cached() {
        let (cache, config) = test_cache(&[]);
        for text in ["{", "{ nothing }", "{ shop { name }", "query ($a: Int) { shop { name } }"] {
            assert!(cache.get_or_parse(text.into(), &config.graphql).await.is_err());
        }
        cache.valid_documents.run_pending_tasks();
        assert_eq!(cache.valid_documents.entry_count(), 0);
    }
}
