//! Cache of values that are expensive to compute, by typed keys.

use std::{
    any::Any,
    collections::BTreeSet,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use chrono::{DateTime, Utc};

use super::{CacheLimits, CacheTag, CachedWeight, TaggedCache};
use crate::{
    base::{Error, Result},
    infra::{
        Db,
        config::CacheConfig,
        telemetry::{self, CacheName},
    },
};

/// Key of a cached value. Its `Debug` text contains everything that the value depends on besides the data of its tags.
pub trait DataKey: Debug + Send + Sync {
    /// The value.
    type Value: CachedWeight + Send + Sync + 'static;
    /// Name of the kind of value, unique among all keys.
    const KIND: &'static str;
    /// Tags of the data that the value is computed from.
    const TAGS: &'static [CacheTag];
}

/// Hash of a key.
type KeyHash = [u8; SHA256_OUTPUT_LEN];

/// Value of any type.
#[derive(Debug, Clone)]
struct StoredData {
    value: Arc<dyn Any + Send + Sync>,
    weight_bytes: usize,
    /// When it was last known to be valid, in milliseconds since 1970.
    valid_at: Arc<AtomicI64>,
}

/// A value that was valid a short time ago.
#[derive(Debug)]
pub struct StaleValue<V> {
    /// The value.
    pub value: Arc<V>,
    /// Whether it is time to renew it.
    pub is_due: bool,
}

impl CachedWeight for StoredData {
    fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }
}

/// How long after a computation a value is not renewed: changes in quick succession are seen together.
pub const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(2);

/// Cache of computed values in this process.
#[derive(Debug)]
pub struct DataCache {
    /// `None` if it is disabled.
    entries: Option<TaggedCache<KeyHash, StoredData>>,
    max_staleness: Duration,
}

impl DataCache {
    /// Creates an empty cache; a size of 0 disables it.
    #[must_use]
    pub fn new(config: &CacheConfig) -> Self {
        let CacheConfig { data_bytes: max_bytes, max_entry_bytes, ttl, max_staleness, .. } = *config;
        let limits = CacheLimits { max_bytes, max_entry_bytes, max_tags: usize::MAX, ttl, max_staleness };
        Self { entries: (max_bytes > 0 && ttl > Duration::ZERO).then(|| TaggedCache::new(limits)), max_staleness }
    }

    /// Returns the value of a key that is not valid, if it was so recently enough.
    #[must_use]
    pub fn find_stale<K: DataKey>(&self, db: &Db, key: &K) -> Option<StaleValue<K::Value>> {
        let now = db.now();
        let (cached, is_valid) = self.entries.as_ref()?.find(&hash_key(key), db, now)?;
        let is_recent = elapsed(now, cached.value.valid_at.load(Ordering::Relaxed)) <= self.max_staleness;
        if is_valid || !is_recent {
            return None;
        }
        let value = cached.value.value.downcast().ok()?;
        count_lookup(true);
        let is_due = elapsed(now, cached.computed_at.timestamp_millis()) >= MIN_RENEWAL_INTERVAL;
        Some(StaleValue { value, is_due })
    }

    /// Computes the value of a key again, unless that is being done already.
    ///
    /// # Errors
    /// Returns the error of `compute`.
    pub async fn renew<K, F>(&self, db: &Db, key: &K, compute: impl FnOnce() -> F) -> Result<()>
    where
        K: DataKey,
        F: Future<Output = Result<K::Value>>,
    {
        let Some(entries) = &self.entries else { return Ok(()) };
        entries.renew(hash_key(key), db, || store::<K, F>(db, compute())).await
    }

    /// Returns the value of a key, computed if there is no valid one. Of concurrent calls with one key, one computes.
    ///
    /// # Errors
    /// Returns the error of `compute`, which is not cached.
    pub async fn get_or_compute<K, F>(&self, db: &Db, key: &K, compute: impl Fn() -> F) -> Result<Arc<K::Value>>
    where
        K: DataKey,
        F: Future<Output = Result<K::Value>>,
    {
        let Some(entries) = &self.entries else { return compute().await.map(Arc::new) };
        let is_computed = AtomicBool::new(false);
        let compute_stored = || {
            is_computed.store(true, Ordering::Relaxed);
            store::<K, F>(db, compute())
        };
        let outcome = entries.get_or_compute(hash_key(key), db, compute_stored).await;
        let is_found = !is_computed.load(Ordering::Relaxed);
        count_lookup(is_found);
        let stored = outcome?;
        if is_found {
            stored.valid_at.store(db.now().timestamp_millis(), Ordering::Relaxed);
        }
        let type_mismatch = |_| Error::internal("reading a cached value", "two kinds of keys have one name");
        stored.value.downcast().map_err(type_mismatch)
    }
}

/// Returns the time since a time in milliseconds since 1970.
fn elapsed(now: DateTime<Utc>, since: i64) -> Duration {
    Duration::from_millis(u64::try_from(now.timestamp_millis().saturating_sub(since)).unwrap_or_default())
}

fn count_lookup(is_found: bool) {
    if let Some(metrics) = telemetry::metrics() {
        metrics.count_lookup(CacheName::Data, is_found);
    }
}

/// Computes a value with its tags. It is as old as the start of the computation.
async fn store<K, F>(db: &Db, compute: F) -> Result<(StoredData, BTreeSet<CacheTag>)>
where
    K: DataKey,
    F: Future<Output = Result<K::Value>>,
{
    let valid_at = Arc::new(AtomicI64::new(db.now().timestamp_millis()));
    let value = compute.await?;
    let weight_bytes = value.weight_bytes();
    Ok((StoredData { value: Arc::new(value), weight_bytes, valid_at }, K::TAGS.iter().copied().collect()))
}

fn hash_key<K: DataKey>(key: &K) -> KeyHash {
    let mut context = Context::new(&SHA256);
    context.update(K::KIND.as_bytes());
    context.update(&[0]);
    context.update(format!("{key:?}").as_bytes());
    let mut hash = KeyHash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
