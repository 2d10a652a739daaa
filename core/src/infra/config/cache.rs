//! Settings of the caches: `[cache]`.

use std::time::Duration;

use serde::Deserialize;

use super::{
    duration::{DAY, HOUR, SECOND, deserialize_duration, duration_within},
    range::within,
};

/// The largest cache: 1 TiB.
const MOST_CACHE: u64 = 1 << 40;
/// The largest entry: 1 GiB.
const MOST_ENTRY: usize = 1 << 30;
/// The highest number of tags of an entry. All of them are in a header of the response.
const MOST_TAGS: usize = 500;

/// `[cache]`
#[derive(Debug, Clone, Deserialize)]
pub struct CacheConfig {
    /// Whether responses of public queries are cached.
    pub responses: bool,
    /// Memory of the cached responses, in bytes.
    pub response_bytes: u64,
    /// Memory of other cached values, in bytes; 0: none are cached.
    pub data_bytes: u64,
    /// Memory of a cached value, in bytes.
    pub max_entry_bytes: usize,
    /// Tags of a response with which it is cached for single products and categories.
    pub max_tags: usize,
    /// Lifetime of a cached value.
    #[serde(deserialize_with = "deserialize_duration")]
    pub ttl: Duration,
    /// How old values may be that public responses contain while newer ones are computed; 0: none.
    #[serde(deserialize_with = "deserialize_duration")]
    pub max_staleness: Duration,
    /// How long a browser may use a response without asking again.
    #[serde(deserialize_with = "deserialize_duration")]
    pub http_max_age: Duration,
    /// How long a shared HTTP cache may use a response without asking again.
    #[serde(deserialize_with = "deserialize_duration")]
    pub http_shared_max_age: Duration,
    /// How long an HTTP cache may then use it while it asks.
    #[serde(deserialize_with = "deserialize_duration")]
    pub http_stale_while_revalidate: Duration,
}

impl CacheConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        within("cache.response_bytes", self.response_bytes, 1..=MOST_CACHE)?;
        within("cache.data_bytes", self.data_bytes, 0..=MOST_CACHE)?;
        within("cache.max_entry_bytes", self.max_entry_bytes, 1..=MOST_ENTRY)?;
        within("cache.max_tags", self.max_tags, 1..=MOST_TAGS)?;
        duration_within("cache.ttl", self.ttl, SECOND..=DAY)?;
        duration_within("cache.max_staleness", self.max_staleness, Duration::ZERO..=HOUR)?;
        duration_within("cache.http_max_age", self.http_max_age, Duration::ZERO..=DAY)?;
        duration_within("cache.http_shared_max_age", self.http_shared_max_age, Duration::ZERO..=DAY)?;
        duration_within("cache.http_stale_while_revalidate", self.http_stale_while_revalidate, Duration::ZERO..=DAY)
    }
}
