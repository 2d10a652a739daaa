//! State that the handlers share.

use std::sync::{Arc, atomic::AtomicBool};

use super::{
    cors::CorsPolicy, document_cache::DocumentCache, listener, persisted_query::RegisteredTexts,
    request_log::RequestLog, response_cache::ResponseCache, rest, subscription::SubscriptionHub,
    trusted_documents::TrustedDocuments,
};
use crate::{
    base::Result,
    graphql::{AppSchema, context::AppState, execution::requested_cost::CostMeter},
};

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
    /// Documents that clients registered under their digest.
    pub persisted_queries: RegisteredTexts,
    /// Published documents.
    pub trusted_documents: TrustedDocuments,
    /// Live updates.
    pub subscriptions: SubscriptionHub,
    /// Cache of responses to public queries; `None` if it is disabled.
    pub response_cache: Option<ResponseCache>,
    /// Which origins may read responses.
    pub cors_policy: CorsPolicy,
    /// Logs and counts completed requests.
    pub request_log: Arc<RequestLog>,
    /// Whether the server is shutting down.
    pub is_stopping: Arc<AtomicBool>,
}

impl App {
    /// Creates the shared state of a server.
    #[must_use]
    pub fn new(state: Arc<AppState>) -> Arc<Self> {
        let schema = AppSchema::new(&state.config);
        let _ = rest::prepare_routes();
        let document_cache = DocumentCache::new(&state.config);
        let persisted_queries = RegisteredTexts::new(&state.config, state.redis.clone());
        let trusted_documents = TrustedDocuments::new(&state.config);
        let max_connections = listener::live_connection_limit(&state.config);
        let subscriptions = SubscriptionHub::new(&state.config.subscriptions, max_connections);
        let response_cache = ResponseCache::new(&state.config, state.redis.clone());
        let cors_policy = CorsPolicy::new(&state.config);
        let request_log = RequestLog::new(&state.config);
        Arc::new(Self {
            state,
            schema,
            document_cache,
            cost_meter: CostMeter::default(),
            persisted_queries,
            trusted_documents,
            subscriptions,
            response_cache,
            cors_policy,
            request_log,
            is_stopping: Arc::default(),
        })
    }

    /// Refreshes the state with changes of other instances, and stores what was counted. Called on a schedule.
    pub async fn refresh(&self) -> Result<()> {
        self.state.refresh().await?;
        self.trusted_documents.refresh(&self.state.db).await?;
        self.trusted_documents.store_uses_if_due(&self.state.db).await?;
        self.state.search_counts.store_if_due(&self.state.db, self.state.config.search.count_interval).await
    }
}
