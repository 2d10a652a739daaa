//! Application state and per-request context of the resolvers.

mod budget;
mod search;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use arc_swap::ArcSwap;
use async_graphql::{
    Context,
    dataloader::{DataLoader, Loader},
};
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;
use tokio::sync::{Semaphore, mpsc};

use super::{
    batched::Batched,
    load_batching::PendingLoads,
    loader::Loaders,
    scalars::MoneyObject,
    shared_loads::{CallerLoads, LoadCache, SharedLoads},
};
use crate::{
    base::{Error, Money, Result},
    catalog::{
        CategoryTree, CategoryTreeCache,
        product_filter::ProductVisibility,
        search::{report::SearchCounts, rules::SearchRulesCache, way::SearchWays},
    },
    identity::{
        AccessTokenService, Authenticator, Caller, ExternalTokenVerifier, IdentityContext, PasswordHashPool,
        authenticator::TokenVerifiers, error::AuthError, session::ClientInfo,
    },
    infra::{
        Actor, Config, Db, EventFeed, HttpClient, QueryBudget, QueryStats, RateLimiter, RedisClient, RequestOrigin,
        RequestThrottle, Throttle, WalPosition, WritePositions, bootstrap,
        cache::{CacheRecorder, CacheTag, DataCache},
        telemetry::RequestRecord,
    },
    media::MediaLibrary,
    payment::PaymentProviders,
    sales::SalesContext,
};

/// State shared by all requests.
#[derive(Debug)]
pub struct AppState {
    /// Database.
    pub db: Db,
    /// Redis client.
    pub redis: RedisClient,
    /// Cached category tree.
    pub category_tree_cache: CategoryTreeCache,
    /// Issues and verifies access tokens.
    pub access_token_service: AccessTokenService,
    /// OpenID Connect providers and the verifier of their tokens.
    pub external_token_verifier: ExternalTokenVerifier,
    /// Authenticates external tokens and API keys.
    pub authenticator: Authenticator,
    /// Thread pool for password hashing.
    pub password_hasher: PasswordHashPool,
    /// Rate limits of public actions.
    pub throttle: Throttle,
    /// Pictures.
    pub media: MediaLibrary,
    /// Events of all instances.
    pub event_feed: Arc<EventFeed>,
    /// Rate limits of requests.
    pub rate_limiter: RateLimiter,
    /// HTTP client of outbound requests.
    pub http_client: HttpClient,
    /// Payment providers.
    pub payment_providers: PaymentProviders,
    /// Configuration.
    pub config: Config,
    /// Cache of values that are expensive to compute.
    pub data_cache: DataCache,
    /// How the products of searches are found.
    pub search_ways: SearchWays,
    /// Cached synonyms and pinned products.
    pub search_rules_cache: SearchRulesCache,
    /// Counts of searches that are not yet stored.
    pub search_counts: SearchCounts,
    /// Permits for expensive database reads.
    pub expensive_reads: Arc<Semaphore>,
    /// Positions of the last writes of the callers, for reads from a replica.
    pub write_positions: WritePositions,
}

impl AppState {
    /// Loads the state from a migrated database.
    pub async fn load(db: Db, config: Config) -> Result<Self> {
        let redis = bootstrap::connect_redis(&db, &config)
            .await
            .map_err(|error| Error::internal("connecting to Redis", error))?;
        let category_tree_cache = CategoryTreeCache::load(&db).await?;
        let search_rules_cache = SearchRulesCache::load(&db).await?;
        let access_token_service = AccessTokenService::load(&db, &config.identity).await?;
        let external_token_verifier = ExternalTokenVerifier::new(&config.identity)
            .map_err(|error| Error::internal("reading the settings of providers", error))?;
        let data_cache = DataCache::new(&config.cache);
        let core_count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let permit_count =
            if config.graphql.max_expensive_reads == 0 { core_count } else { config.graphql.max_expensive_reads };
        let expensive_reads = Arc::new(Semaphore::new(permit_count));
        let password_hasher = PasswordHashPool::new(config.identity.max_queued_passwords);
        let event_feed = Arc::new(EventFeed::load(&db).await?);
        let http_client = HttpClient::new().map_err(|error| Error::internal("creating the HTTP client", error))?;
        let payment_providers = PaymentProviders::from_config(&config, &http_client, db.clock())
            .map_err(|error| Error::internal("reading the settings of payment providers", error))?;
        let media = MediaLibrary::new(&config.media);
        let (authenticator, throttle) = (Authenticator::default(), Throttle::new(redis.clone()));
        let write_positions = WritePositions::new(redis.clone(), config.database.replica_max_lag);
        Ok(Self {
            db,
            redis,
            category_tree_cache,
            access_token_service,
            external_token_verifier,
            authenticator,
            password_hasher,
            throttle,
            rate_limiter: RateLimiter::default(),
            event_feed,
            http_client,
            payment_providers,
            media,
            config,
            data_cache,
            search_ways: SearchWays::default(),
            search_rules_cache,
            search_counts: SearchCounts::default(),
            expensive_reads,
            write_positions,
        })
    }

    /// Returns the database for a request that is not GraphQL: without a budget of statements, on the primary.
    #[must_use]
    pub fn request_db(&self, actor: Actor, request_id: &str) -> Db {
        let origin = RequestOrigin { actor, request_id: request_id.to_owned() };
        self.db.for_request(origin, QueryBudget::UNLIMITED).0
    }

    /// Returns the caller that a bearer token identifies.
    ///
    /// # Errors
    /// Returns an `AuthError` if the token is invalid or cannot be verified.
    pub async fn authenticate(&self, token: &str, request_id: &str) -> Result<Caller, AuthError> {
        let db = self.request_db(Actor::Anonymous, request_id);
        let verifiers = TokenVerifiers {
            access_tokens: &self.access_token_service,
            external_tokens: &self.external_token_verifier,
        };
        self.authenticator.authenticate(verifiers, &db, token).await
    }

    /// Refreshes the category tree, search rules, revoked sessions and signing keys with changes of other instances.
    /// Called on a schedule.
    pub async fn refresh(&self) -> Result<()> {
        self.category_tree_cache.refresh(&self.db).await?;
        self.search_rules_cache.refresh(&self.db).await?;
        self.access_token_service.refresh(&self.db).await
    }
}

/// Caller and origin of a request.
#[derive(Debug, Default)]
pub struct RequestInfo {
    /// Authenticated caller.
    pub caller: Caller,
    /// IP address and user agent.
    pub client_info: ClientInfo,
    /// Request ID.
    pub request_id: String,
    /// Recorder of what the response depends on; `None` if the response cannot be cached.
    pub cache_recorder: Option<Arc<CacheRecorder>>,
    /// What the request reports about itself.
    pub record: Arc<RequestRecord>,
    /// Position of the writes that the request must see, if it may read from a replica; `None`: it reads from the
    /// primary.
    pub replica_position: Option<WalPosition>,
}

/// Per-request context of the resolvers.
pub struct RequestContext {
    /// State shared by all requests.
    pub app_state: Arc<AppState>,
    /// Database handle that counts the statements of this request.
    pub db: Db,
    /// Authenticated caller.
    pub caller: Caller,
    /// IP address and user agent.
    pub client_info: ClientInfo,
    /// Products that the caller may see.
    pub visibility: ProductVisibility,
    /// Recorder of what the response depends on; `None` if the response cannot be cached.
    pub cache_recorder: Option<Arc<CacheRecorder>>,
    category_tree: Arc<ArcSwap<CategoryTree>>,
    /// Data loaders.
    loaders: DataLoader<Loaders, LoadCache>,
    /// Loads shared with other executions for the same event.
    shared_loads: Option<CallerLoads>,
    remaining_values: AtomicUsize,
    /// Whether the request has started a checkout.
    checkout_started: AtomicBool,
    query_stats: Arc<QueryStats>,
    /// Whether the request has exported a customer's data.
    customer_exported: AtomicBool,
    /// Accounts of the sessions of which the response contains tokens. Shared with the server.
    pub token_accounts: Arc<Mutex<Vec<i64>>>,
}

impl RequestContext {
    /// Creates the context of a request, its query statistics and its load queue, which `run_with_batching` drains.
    #[must_use]
    pub fn for_request(app_state: &Arc<AppState>, request_info: RequestInfo) -> (Self, Arc<QueryStats>, PendingLoads) {
        Self::with_shared_loads(app_state, request_info, None)
    }

    /// Creates the context of a request that shares its loads with other executions for the same event.
    #[must_use]
    pub fn with_shared_loads(
        app_state: &Arc<AppState>,
        request_info: RequestInfo,
        shared: Option<SharedLoads>,
    ) -> (Self, Arc<QueryStats>, PendingLoads) {
        let RequestInfo { caller, client_info, request_id, cache_recorder, record, replica_position } = request_info;
        let limits = &app_state.config.graphql;
        let max_statements = if caller.has_permissions() { limits.max_statements_staff } else { limits.max_statements };
        let budget = QueryBudget { max_statements, max_time: limits.max_database_time };
        // Before the replica is chosen, which must have the changes of this tree.
        let category_tree = Arc::new(ArcSwap::new(app_state.category_tree_cache.current()));
        let (mut db, query_stats) =
            app_state.db.for_request(RequestOrigin { actor: caller.actor(), request_id }, budget);
        if let Some(position) = replica_position {
            db = db.prefer_replica(position);
        }
        // A record has one execution; of further ones the statements are not reported.
        let _ = record.query_stats.set(Arc::clone(&query_stats));
        if cache_recorder.is_some() {
            db.require_invalidated_changes();
        }
        let visibility = ProductVisibility::for_caller(caller);
        let shared_loads = shared.map(|shared| CallerLoads { shared, visibility });
        let (sender, receiver) = mpsc::unbounded_channel();
        let spawn_load = move |load| {
            // The receiver is dropped when the request ends; its remaining loads are not needed.
            let _ = sender.send(load);
        };
        let loaders = DataLoader::with_cache(
            Loaders {
                app_state: Arc::clone(app_state),
                db: db.clone(),
                category_tree: Arc::clone(&category_tree),
                visibility,
            },
            spawn_load,
            LoadCache(shared_loads.clone()),
        )
        .delay(std::time::Duration::ZERO)
        .max_batch_size(usize::MAX);
        let pending_loads = PendingLoads { receiver, query_stats: Arc::clone(&query_stats) };
        let remaining_values = AtomicUsize::new(app_state.config.graphql.max_response_values);
        let context = Self {
            app_state: Arc::clone(app_state),
            db,
            caller,
            client_info,
            visibility,
            cache_recorder,
            category_tree,
            loaders,
            shared_loads,
            remaining_values,
            checkout_started: AtomicBool::new(false),
            query_stats: Arc::clone(&query_stats),
            customer_exported: AtomicBool::new(false),
            token_accounts: Arc::default(),
        };
        (context, query_stats, pending_loads)
    }

    /// Returns the request's snapshot of the tree, replaced only by the request's own changes.
    #[must_use]
    pub fn category_tree(&self) -> Arc<CategoryTree> {
        self.category_tree.load_full()
    }

    /// Reloads the tree after a change by this request and publishes it to all requests of this instance.
    pub async fn refresh_category_tree(&self) -> Result<Arc<CategoryTree>> {
        self.app_state.category_tree_cache.refresh(&self.db).await?;
        self.category_tree.store(self.app_state.category_tree_cache.current());
        Ok(self.category_tree())
    }

    /// Records a tag that the response depends on, if the response may be cached.
    pub fn record_cache_tag(&self, tag: CacheTag) {
        if let Some(recorder) = &self.cache_recorder {
            recorder.record_tags([tag]);
        }
    }

    /// Records that the response contains tokens of a session of an account.
    pub fn record_issued_tokens(&self, account_id: i64) {
        self.token_accounts.lock().unwrap_or_else(PoisonError::into_inner).push(account_id);
    }

    /// Returns the rate limits of the request. They are counted outside of its statement budget.
    #[must_use]
    pub fn throttle(&self) -> RequestThrottle<'_> {
        let AppState { throttle, db, config, .. } = &*self.app_state;
        RequestThrottle { throttle, db, config: &config.throttle, ip_address: &self.client_info.ip_address }
    }

    /// Returns the dependencies of the account use cases.
    #[must_use]
    pub fn identity(&self) -> IdentityContext<'_> {
        IdentityContext {
            db: &self.db,
            config: &self.app_state.config.identity,
            access_tokens: &self.app_state.access_token_service,
            password_hasher: &self.app_state.password_hasher,
            throttle: self.throttle(),
            caller: self.caller,
            client_info: &self.client_info,
        }
    }

    /// Returns the dependencies of the sales use cases.
    #[must_use]
    pub fn sales(&self) -> SalesContext<'_> {
        SalesContext {
            db: &self.db,
            config: &self.app_state.config,
            payment_providers: &self.app_state.payment_providers,
            throttle: self.throttle(),
            caller: self.caller,
            category_tree: self.category_tree(),
        }
    }

    /// Loads one value, batched with all other loads of the same key type in the request.
    ///
    /// Boxed, because a resolver's future is as large as its largest field future: fields that are already loaded would
    /// otherwise pay for the size of those that are not.
    pub fn load<K>(&self, key: K) -> BoxFuture<'_, Result<Option<<Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Error>,
    {
        let Some(shared_loads) = &self.shared_loads else { return Box::pin(self.loaders.load_one(key)) };
        Box::pin(shared_loads.load_one(&self.loaders, key))
    }

    /// Loads many values, batched with all other loads of the same key type in the request.
    pub fn load_many<K>(
        &self,
        keys: impl IntoIterator<Item = K, IntoIter: Send> + Send,
    ) -> BoxFuture<'_, Result<HashMap<K, <Loaders as Loader<K>>::Value>>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Error>,
    {
        let keys: Vec<K> = keys.into_iter().collect();
        let Some(shared_loads) = &self.shared_loads else { return Box::pin(self.loaders.load_many(keys)) };
        Box::pin(shared_loads.load_many(&self.loaders, keys))
    }

    /// Converts minor units to a decimal amount in the shop's currency.
    #[must_use]
    pub fn decimal_amount(&self, minor_units: i64) -> Decimal {
        Money::new(minor_units, self.app_state.config.shop.currency).to_decimal()
    }

    /// Converts minor units to an amount in the shop's currency.
    #[must_use]
    pub fn money(&self, minor_units: i64) -> Batched<MoneyObject> {
        Batched(Money::new(minor_units, self.app_state.config.shop.currency).into())
    }
}

/// Returns the context of a request.
#[must_use]
pub fn request_context<'a>(ctx: &Context<'a>) -> &'a RequestContext {
    ctx.data_unchecked()
}
