//! Response cache: responses to public queries of requests without a token, as bytes.
//!
//! A response is found twice: by the request as it was received, before it is parsed, and by the operation with its
//! variables. Its operation selects only public fields (`graphql::cache_policy`), so its response is the same for every
//! anonymous caller. Errors are never cached.

mod cached_response;
mod direct;
mod encoding;
mod key;
mod render;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderValue, Method, Uri, header},
};
use chrono::{DateTime, Utc};
use moka::sync::Cache;

use super::{
    App,
    content_negotiation::has_json_content_type,
    document_uses::DocumentUseCounter,
    graphql_execution::{GraphqlOperation, RequestHead},
    graphql_response::{ExecutedRequest, ExecutionResult},
    rate_limit::COST_HEADER,
    write_position::WRITE_POSITION_HEADER,
};
use crate::{
    base::digest::{sha256_bytes, to_hex},
    catalog::cache_tags::{CATALOG, CATEGORIES, STOCK},
    graphql::render_sdl,
    infra::{
        Config, Db, RedisClient,
        cache::{CacheLimits, CacheRecorder, CacheTag, Cached, Dependencies, FindOutcome, SharedCache, TaggedCache},
        config::CacheConfig,
        telemetry::{self, CacheName, RequestOperation},
    },
};

pub use cached_response::CachedResponse;
pub use direct::{DirectOutcome, answer_from_cache};
pub use key::CacheKey;
pub use render::{HasNegotiatedEncoding, render_cached_response};

/// Start of the body of a response with data.
const DATA_PREFIX: &[u8] = b"{\"data\":{";
/// Estimated memory of the mapping of a received request, in bytes.
const ALIAS_BYTES: u32 = 128;
/// Part of the memory that is for the mappings of received requests.
const ALIAS_SHARE: u64 = 8;

/// Number of bytes of the hash in the namespace of shared responses.
const NAMESPACE_HASH_BYTES: usize = 12;

/// Cache of responses.
#[derive(Debug)]
pub struct ResponseCache {
    responses: TaggedCache<CacheKey, Arc<CachedResponse>>,
    /// Responses by requests as they were received.
    received: Cache<CacheKey, ReceivedEntry>,
    /// Responses that instances share.
    shared: SharedCache,
    max_tags: usize,
    /// `Cache-Control` of responses to GET.
    cache_control: HeaderValue,
}

/// Request whose response may be cached.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedRequest {
    /// Key of the request as it was received.
    key: CacheKey,
    /// Time of its receipt. The clock is read once, because reading it is a part of the cost of a cached response.
    pub received_at: DateTime<Utc>,
}

/// Cached response to a request.
#[derive(Debug, Clone)]
pub struct CacheHit {
    /// Response with the time of its computation.
    pub cached: Cached<Arc<CachedResponse>>,
    /// Key of the response.
    pub key: CacheKey,
    /// Where the response comes from.
    pub source: ResponseSource,
}

/// Where a cached response comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseSource {
    /// Computed and stored by this request.
    Computed,
    /// Memory of this instance.
    Memory,
    /// Computed by another instance, or before a restart.
    Shared,
}

/// What a request was found to be.
#[derive(Debug, Clone)]
struct ReceivedEntry {
    /// Key of the response.
    key: CacheKey,
    /// Counter of the uses of the document, if it is published.
    use_counter: Option<Arc<DocumentUseCounter>>,
    /// The operation in log lines and metrics.
    operation: RequestOperation,
}

impl ResponseCache {
    /// Creates an empty cache; `None` if responses are not cached.
    #[must_use]
    pub fn new(config: &Config, redis: RedisClient) -> Option<Self> {
        let CacheConfig { responses: is_enabled, response_bytes, max_entry_bytes, max_tags, ttl, .. } = config.cache;
        if !is_enabled {
            return None;
        }
        let shared = SharedCache::new(redis, &shared_namespace(config), ttl, max_entry_bytes);
        let alias_bytes = response_bytes / ALIAS_SHARE;
        let limits = CacheLimits {
            max_bytes: response_bytes - alias_bytes,
            max_entry_bytes,
            max_tags: usize::MAX, // a response with more tags depends on sets instead
            ttl,
            max_staleness: Duration::ZERO,
        };
        let received = Cache::builder().max_capacity(alias_bytes).time_to_live(ttl).weigher(|_, _| ALIAS_BYTES).build();
        let cache_control = render::build_cache_control(&config.cache);
        Some(Self { responses: TaggedCache::new(limits), received, shared, max_tags, cache_control })
    }

    /// Returns the response to a request as it was received, with its operation, if there is a valid one that is usable.
    #[must_use]
    pub fn find_received(
        &self,
        app: &App,
        ReceivedRequest { key: received, received_at }: ReceivedRequest,
        is_usable: impl FnOnce(&CachedResponse) -> bool,
    ) -> Option<(CacheHit, RequestOperation)> {
        let ReceivedEntry { key, use_counter, operation } = self.received.get(&received)?;
        let cached = self.responses.get(&key, &app.state.db, received_at)?;
        if !is_usable(&cached.value) {
            return None;
        }
        if let Some(use_counter) = use_counter {
            use_counter.count_use(received_at);
        }
        app.state.count_searches(&cached.value.searches);
        count_lookup(true);
        Some((CacheHit { cached, key, source: ResponseSource::Memory }, operation))
    }

    /// Returns a response that another instance has computed, if Redis has a valid one.
    async fn find_shared(&self, key: CacheKey, db: &Db) -> Option<CacheHit> {
        let decode = |bytes: &[u8]| CachedResponse::decode(bytes).map(Arc::new);
        let cached = self.shared.get(&key.to_string(), db, decode).await?;
        let cached = self.responses.insert_from_other(key, cached, db)?;
        Some(CacheHit { cached, key, source: ResponseSource::Shared })
    }

    /// Returns the memory of the responses in bytes.
    #[must_use]
    pub fn weighted_size(&self) -> u64 {
        self.received.run_pending_tasks();
        self.responses.weighted_size() + self.received.weighted_size()
    }

    /// Stores the response to a query. Returns `None` if it cannot be cached.
    fn store(&self, key: CacheKey, executed: &ExecutedRequest, mut found: Dependencies, db: &Db) -> Option<CacheHit> {
        // An error body that replaces a response that is too large has no data.
        if executed.has_errors || !executed.token_accounts.is_empty() || !executed.body.starts_with(DATA_PREFIX) {
            return None;
        }
        if found.tags.len() > self.max_tags {
            found.tags.retain(|tag| !tag.is_row());
            found.tags.extend([CATALOG, CATEGORIES, STOCK]);
        }
        let body = Bytes::copy_from_slice(&executed.body);
        let response = Arc::new(CachedResponse::new(body, &found.tags, std::mem::take(&mut found.searches)));
        let cached = self.responses.insert(key, response, found, db)?;
        Some(CacheHit { cached, key, source: ResponseSource::Computed })
    }
}

impl ReceivedRequest {
    /// Identifies a request whose response may be cached: a GET, or a POST of JSON, without a token.
    #[must_use]
    pub fn identify(
        app: &App,
        RequestHead { method, headers }: RequestHead<'_>,
        uri: &Uri,
        body: &[u8],
    ) -> Option<Self> {
        let body = match *method {
            Method::GET | Method::HEAD => None,
            Method::POST if has_json_content_type(headers) => Some(body),
            _ => return None,
        };
        // A response with its cost is of one request, and a request with the position of a write must see that write.
        let private_headers = [header::AUTHORIZATION, COST_HEADER, WRITE_POSITION_HEADER];
        let is_shareable = !private_headers.iter().any(|name| headers.contains_key(name));
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        (app.response_cache.is_some() && is_shareable).then(|| Self {
            key: CacheKey::of_received(app.trusted_documents.revision(), target, body),
            received_at: app.state.db.now(),
        })
    }
}

/// Public query whose response is cached.
#[derive(Debug)]
pub struct CacheableQuery {
    received: CacheKey,
    entry: ReceivedEntry,
    /// Sets of rows that the response depends on.
    tags: BTreeSet<CacheTag>,
}

impl CacheableQuery {
    /// Returns the query if its response may be cached.
    #[must_use]
    pub(super) fn select(received: Option<ReceivedRequest>, operation: &GraphqlOperation) -> Option<Self> {
        let GraphqlOperation { document, use_counter, name, variables, reported, .. } = operation;
        let name = name.as_deref();
        let (ReceivedRequest { key: received, .. }, policy) = received.zip(document.cache_policies.find(name))?;
        let key = CacheKey::of_operation(&document.hash, name, variables);
        let entry = ReceivedEntry { key, use_counter: use_counter.clone(), operation: reported.clone() };
        Some(Self { received, entry, tags: policy.tags.clone() })
    }
}

fn count_lookup(is_hit: bool) {
    if let Some(metrics) = telemetry::metrics() {
        metrics.count_lookup(CacheName::Response, is_hit);
    }
}

/// Returns the namespace of shared responses: of this version, its schema and the settings of the shop.
fn shared_namespace(config: &Config) -> String {
    let identity = format!("{}\n{:?}\n{}", env!("CARGO_PKG_VERSION"), config.shop, render_sdl());
    format!("response:{}:", to_hex(&sha256_bytes(&identity)[..NAMESPACE_HASH_BYTES]))
}

/// Executes a query, or answers it from the cache. Of concurrent equal queries one is executed.
pub async fn execute_query<F>(
    app: &App,
    query: Option<CacheableQuery>,
    execute: impl FnOnce(Option<Arc<CacheRecorder>>) -> F,
) -> ExecutionResult
where
    F: Future<Output = ExecutionResult>,
{
    let (Some(cache), Some(CacheableQuery { received, entry, tags })) = (&app.response_cache, query) else {
        return execute(None).await;
    };
    let (db, key) = (&app.state.db, entry.key);
    let guard = match cache.responses.find_or_lead(&key, db).await {
        FindOutcome::Found(cached) => {
            cache.received.insert(received, entry);
            app.state.count_searches(&cached.value.searches);
            count_lookup(true);
            return Ok(ExecutedRequest::from_cache(CacheHit { cached, key, source: ResponseSource::Memory }));
        }
        FindOutcome::Missing(guard) => guard,
    };
    if let Some(hit) = cache.find_shared(key, db).await {
        if let Some(guard) = guard {
            guard.finish(true);
        }
        cache.received.insert(received, entry);
        app.state.count_searches(&hit.cached.value.searches);
        count_lookup(true);
        return Ok(ExecutedRequest::from_cache(hit));
    }
    count_lookup(false);
    // Before the category tree and the rows are read.
    let (version, position) = (db.tag_versions().current(), db.tag_versions().applied_position());
    let recorder = Arc::new(CacheRecorder::default());
    recorder.record_tags(tags);
    let outcome = execute(Some(Arc::clone(&recorder))).await;
    let stored = match &outcome {
        Ok(executed) => cache.store(key, executed, Dependencies::new(version, recorder.take()), db),
        Err(_) => None,
    };
    if let Some(guard) = guard {
        guard.finish(stored.is_some());
    }
    match stored {
        Some(hit) => {
            cache.received.insert(received, entry);
            cache.shared.store(&key.to_string(), hit.cached.value.encode(), &hit.cached, position);
            outcome.map(|executed| executed.with_cached(hit))
        }
        None => outcome,
    }
}
