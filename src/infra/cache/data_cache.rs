//! Cache of values that are expensive to compute, by typed keys.

use std::{
    any::Any,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

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
}

impl CachedWeight for StoredData {
    fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }
}

/// Cache of computed values in this process.
#[derive(Debug)]
pub struct DataCache {
    /// `None` if it is disabled.
    entries: Option<TaggedCache<KeyHash, StoredData>>,
}

impl DataCache {
    /// Creates an empty cache; a size of 0 disables it.
    #[must_use]
    pub fn new(config: &CacheConfig) -> Self {
        let CacheConfig { data_bytes: max_bytes, max_entry_bytes, ttl, .. } = *config;
        let limits = CacheLimits { max_bytes, max_entry_bytes, max_tags: usize::MAX, ttl };
        Self { entries: (max_bytes > 0 && ttl > Duration::ZERO).then(|| TaggedCache::new(limits)) }
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
        let compute_stored = || async {
            is_computed.store(true, Ordering::Relaxed);
            let value = compute().await?;
            let weight_bytes = value.weight_bytes();
            let stored = StoredData { value: Arc::new(value), weight_bytes };
            Ok((stored, K::TAGS.iter().copied().collect()))
        };
        let outcome = entries.get_or_compute(hash_key(key), db, compute_stored).await;
        if let Some(metrics) = telemetry::metrics() {
            metrics.count_lookup(CacheName::Data, !is_computed.load(Ordering::Relaxed));
        }
        let stored = outcome?;
        let type_mismatch = |_| Error::internal("reading a cached value", "two kinds of keys have one name");
        stored.value.downcast().map_err(type_mismatch)
    }
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
