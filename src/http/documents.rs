//! Documents that were parsed and validated before, by their text; bounded by their size in memory.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::{
    graphql::document::{DocumentError, ValidDocument, parse_document},
    infra::{Config, background, config::GraphqlConfig},
};

/// Longer texts are parsed in the background, so that the threads that answer requests stay free. Bytes.
const LONG: usize = 2 * 1024;
/// What a node of a document takes in memory: names, positions, and the vectors that hold them. Bytes.
const NODE: usize = 384;

/// Valid documents. What is not valid is not kept.
pub struct Documents {
    valid: Cache<String, Arc<ValidDocument>>,
    introspection: bool,
    /// How many long texts are parsed at the same time.
    parsers: Arc<Semaphore>,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

impl Documents {
    /// An empty cache of the configured size.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let introspection = config.graphql.introspection.on(config.shop.mode);
        let valid = Cache::builder()
            .max_capacity(config.graphql.document_cache)
            .weigher(|text: &String, document: &Arc<ValidDocument>| weight(text, document))
            .build();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { valid, introspection, parsers: Arc::new(Semaphore::new(cores.div_ceil(2))) }
    }

    /// Returns the document of a text, parsed and validated.
    ///
    /// # Errors
    /// When the text is not GraphQL, is over a limit, or asks for what is not in the schema.
    pub async fn get(&self, text: String, config: &GraphqlConfig) -> Result<Arc<ValidDocument>, DocumentError> {
        if let Some(document) = self.valid.get(&text) {
            return Ok(document);
        }
        let introspection = self.introspection;
        let (text, parsed) = if text.len() <= LONG || text.len() > config.max_document_bytes {
            let parsed = parse_document(&text, (config, introspection));
            (text, parsed)
        } else {
            // The permit goes along with the work: who hangs up does not make room for more of it.
            let permit = Arc::clone(&self.parsers).acquire_owned().await;
            let config = config.clone();
            let parse = move || {
                let _permit = permit;
                let parsed = parse_document(&text, (&config, introspection));
                (text, parsed)
            };
            background::compute(parse).await.map_err(|_| DocumentError::interrupted())?
        };
        let document = Arc::new(parsed?);
        self.valid.insert(text, Arc::clone(&document));
        Ok(document)
    }
}

/// What a document takes in the cache, in bytes.
fn weight(text: &str, document: &ValidDocument) -> u32 {
    let bytes = document.nodes.saturating_mul(NODE).saturating_add(text.len().saturating_mul(2));
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(vars: &[(&str, &str)]) -> (Documents, Config) {
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let config = Config::read(std::path::Path::new("/nowhere.toml"), vars).expect("settings");
        (Documents::new(&config), config)
    }

    #[tokio::test]
    async fn documents_are_kept_up_to_a_size_in_memory() {
        let (documents, config) = documents(&[("SAVANNAH_GRAPHQL__DOCUMENT_CACHE", "100000")]);
        for n in 0..200 {
            let fields = (0..20).map(|field| format!("a{n}x{field}: name ")).collect::<Vec<_>>().concat();
            let text = format!("{{ shop {{ {fields} }} }}");
            assert!(documents.get(text, &config.graphql).await.is_ok());
        }
        documents.valid.run_pending_tasks();
        assert!(documents.valid.weighted_size() <= 100_000);
        // About ten of them fit: each has twenty-one fields of 384 bytes.
        assert!((5..15).contains(&documents.valid.entry_count()), "{}", documents.valid.entry_count());
    }

    #[tokio::test]
    async fn documents_that_are_not_valid_are_not_kept() {
        let (documents, config) = documents(&[]);
        for text in ["{", "{ nothing }", "{ shop { name }", "query ($a: Int) { shop { name } }"] {
            assert!(documents.get(text.into(), &config.graphql).await.is_err());
        }
        documents.valid.run_pending_tasks();
        assert_eq!(documents.valid.entry_count(), 0);
    }
}
