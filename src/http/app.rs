//! State that the handlers share.

use std::sync::{Arc, atomic::AtomicBool};

use super::{document_cache::DocumentCache, response_cache::ResponseCache};
use crate::graphql::{AppSchema, context::AppState};

/// Shared state of the handlers.
#[derive(Debug)]
pub struct App {
    /// Application state.
    pub state: Arc<AppState>,
    /// GraphQL schema.
    pub schema: AppSchema,
    /// Cache of parsed documents.
    pub document_cache: DocumentCache,
    /// Cache of responses to public queries; `None` if it is disabled.
    pub response_cache: Option<ResponseCache>,
    /// Whether the server is shutting down.
    pub is_stopping: AtomicBool,
}

impl App {
    /// Creates the shared state of a server.
    #[must_use]
    pub fn new(state: Arc<AppState>) -> Arc<Self> {
        let schema = AppSchema::new(&state.config);
        let document_cache = DocumentCache::new(&state.config);
        let response_cache = ResponseCache::new(&state.config, state.redis.clone());
        Arc::new(Self { state, schema, document_cache, response_cache, is_stopping: false.into() })
    }
}
