//! Trusted documents of an instance: the index of all, the parsed ones, and their use counts.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use async_graphql::ServerError;
use moka::sync::Cache;
use tokio::time::Instant;

use super::{
    App, document_cache,
    document_uses::{DocumentUseCounter, DocumentUses},
    graphql_request::RequestError,
    persisted_query,
};
use crate::{
    base::Result,
    graphql::{error::ErrorStage, execution::document::ValidDocument},
    infra::{Config, Db},
    operations::{DocumentLookup, OperationIndex, load_document_text, record_uses},
};

/// Minimum interval between the statements that unknown documents cause.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(250);
/// Estimated memory of the errors of an outdated document, in bytes.
const OUTDATED_BYTES: u32 = 8 * 1024;

/// Parsed document.
#[derive(Debug, Clone)]
pub enum TrustedDocument {
    /// Document that the schema allows, and the counter of its uses.
    Valid(Arc<ValidDocument>, Arc<DocumentUseCounter>),
    /// Errors of a document that the schema or the limits no longer allow.
    Outdated(Arc<[ServerError]>),
}

/// Trusted documents of an instance.
pub struct TrustedDocuments {
    index: ArcSwap<OperationIndex>,
    /// Last refresh by a lookup; locked while the index is refreshed.
    last_lookup_refresh: tokio::sync::Mutex<Option<IndexRefresh>>,
    refresh_count: AtomicU64,
    documents: Cache<i64, TrustedDocument>,
    uses: DocumentUses,
    uses_stored_at: Mutex<Option<Instant>>,
    use_count_interval: Duration,
}

/// Refresh of the index by a lookup.
#[derive(Debug, Clone, Copy)]
struct IndexRefresh {
    ended_at: Instant,
    has_succeeded: bool,
}

impl std::fmt::Debug for TrustedDocuments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedDocuments").field("revision", &self.index.load().revision()).finish_non_exhaustive()
    }
}

impl TrustedDocuments {
    /// Creates the documents of a starting instance: the index is read with the first refresh.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let weigh = |_: &i64, document: &TrustedDocument| match document {
            TrustedDocument::Valid(document, _) => document_cache::document_bytes("", document),
            TrustedDocument::Outdated(_) => OUTDATED_BYTES,
        };
        let builder = Cache::builder().max_capacity(config.graphql.trusted_document_cache_size).weigher(weigh);
        Self {
            index: ArcSwap::default(),
            last_lookup_refresh: tokio::sync::Mutex::default(),
            refresh_count: AtomicU64::new(0),
            documents: builder.build(),
            uses: DocumentUses::default(),
            uses_stored_at: Mutex::default(),
            use_count_interval: config.graphql.use_count_interval,
        }
    }

    /// Reads the index if it has changed. Statements: 1, or 4 if it has changed.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read; the index is then unchanged.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let _last_lookup_refresh = self.last_lookup_refresh.lock().await;
        self.reload_index(db).await
    }

    async fn reload_index(&self, db: &Db) -> Result<()> {
        self.refresh_count.fetch_add(1, Ordering::Relaxed);
        if let Some(index) = OperationIndex::load_if_changed(db, self.index.load().revision()).await? {
            self.index.store(Arc::new(index));
        }
        Ok(())
    }

    /// Returns the revision of the published documents that this instance knows.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.index.load().revision()
    }

    /// Returns how often the index was refreshed.
    #[must_use]
    pub fn refresh_count(&self) -> u64 {
        self.refresh_count.load(Ordering::Relaxed)
    }

    /// Finds a document. If it is unknown or retired, it may have been published by another process since the last
    /// refresh: the index is then refreshed, but by lookups not more often than every quarter of a second.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub async fn find(
        &self,
        app: &App,
        lookup: impl Fn(&OperationIndex) -> DocumentLookup,
    ) -> Result<DocumentLookup, RequestError> {
        let outcome = lookup(&self.index.load());
        if matches!(outcome, DocumentLookup::Found(_)) {
            return Ok(outcome);
        }
        let mut last_refresh = self.last_lookup_refresh.lock().await;
        match *last_refresh {
            Some(IndexRefresh { ended_at, has_succeeded }) if ended_at.elapsed() < MIN_REFRESH_INTERVAL => {
                if !has_succeeded {
                    return Err(persisted_query::unavailable());
                }
            }
            _ => {
                let refresh = self.reload_index(&app.state.db).await;
                *last_refresh = Some(IndexRefresh { ended_at: Instant::now(), has_succeeded: refresh.is_ok() });
                refresh.map_err(|error| persisted_query::log_unavailable(&error))?;
            }
        }
        Ok(lookup(&self.index.load()))
    }

    /// Returns a document, parsed and validated once. Statements: 1 if it is not in the cache.
    ///
    /// # Errors
    /// Returns an error if the database cannot be read.
    pub async fn load(&self, app: &App, key: i64) -> Result<TrustedDocument, RequestError> {
        if let Some(document) = self.documents.get(&key) {
            return Ok(document);
        }
        let text =
            load_document_text(&app.state.db, key).await.map_err(|error| persisted_query::log_unavailable(&error))?;
        let parsed = app.document_cache.get_or_parse(text.unwrap_or_default(), &app.state.config.graphql).await;
        let document = match parsed {
            Ok(document) => TrustedDocument::Valid(document, self.uses.counter_of(key)),
            // The server is stopping: the document was not parsed.
            Err(error) if error.stage == ErrorStage::Execute => return Err(error.into()),
            Err(error) => TrustedDocument::Outdated(error.errors.into()),
        };
        self.documents.insert(key, document.clone());
        Ok(document)
    }

    /// Stores the use counts, if the interval has passed since the last time. Statements: 1 if there are any.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written; the counts are then stored later.
    pub async fn store_uses_if_due(&self, db: &Db) -> Result<()> {
        let is_due = {
            let mut stored_at = self.uses_stored_at.lock().unwrap_or_else(PoisonError::into_inner);
            stored_at.get_or_insert_with(Instant::now).elapsed() >= self.use_count_interval
        };
        if is_due { self.store_uses(db).await } else { Ok(()) }
    }

    /// Stores the use counts. Statements: 1 if there are any.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written; the counts are then stored later.
    pub async fn store_uses(&self, db: &Db) -> Result<()> {
        *self.uses_stored_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let taken = self.uses.take_all();
        let outcome = record_uses(db, taken.clone()).await;
        if outcome.is_err() {
            self.uses.restore_uses(&taken);
        }
        outcome
    }
}
