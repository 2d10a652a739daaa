//! State that the handlers share.

use std::sync::{Arc, atomic::AtomicBool};

use super::{document_cache::DocumentCache, listener, subscription::SubscriptionHub};
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
    /// Live updates.
    pub subscriptions: SubscriptionHub,
    /// Whether the server is shutting down.
    pub is_stopping: AtomicBool,
}

impl App {
    /// Creates the shared state of a server.
    #[must_use]
    pub fn new(state: Arc<AppState>) -> Arc<Self> {
        let schema = AppSchema::new(&state.config);
        let document_cache = DocumentCache::new(&state.config);
        let max_connections = listener::live_connection_limit(&state.config);
        let subscriptions = SubscriptionHub::new(&state.config.subscriptions, max_connections);
        Arc::new(Self { state, schema, document_cache, subscriptions, is_stopping: false.into() })
    }
}
