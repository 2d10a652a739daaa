//! State that the handlers share.

use std::sync::{Arc, atomic::AtomicBool};

use super::document_cache::DocumentCache;
use crate::graphql::{AppSchema, context::AppState, execution::requested_cost::CostMeter};

/// Shared state of the handlers.
#[derive(Debug)]
pub struct App {
    /// Application state.
    pub state: Arc<AppState>,
    /// GraphQL schema.
    pub schema: AppSchema,
    /// Cache of parsed documents.
    pub document_cache: DocumentCache,
    /// Measures the cost of operations.
    pub cost_meter: CostMeter,
    /// Whether the server is shutting down.
    pub is_stopping: AtomicBool,
}

impl App {
    /// Creates the shared state of a server.
    #[must_use]
    pub fn new(state: Arc<AppState>) -> Arc<Self> {
        let schema = AppSchema::new(&state.config);
        let document_cache = DocumentCache::new(&state.config);
        Arc::new(Self { state, schema, document_cache, cost_meter: CostMeter::default(), is_stopping: false.into() })
    }
}
