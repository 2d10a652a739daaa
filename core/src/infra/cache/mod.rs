//! Caches: values with tags, invalidated by the events of the changes that they depend on.
//!
//! A value stores the version of the cached data at which its computation began. A change of a tag raises the tag's
//! version after its commit, so a value computed from data read before the change is never returned after it, even if
//! it is stored later. Values of other instances come from Redis; they carry the position of the event feed at which
//! they were computed.

mod data_cache;
mod feed_positions;
mod recorder;
mod shared_cache;
mod single_flight;
mod tag;
mod tag_versions;
mod tagged_cache;

pub use data_cache::{DataCache, DataKey, MIN_RENEWAL_INTERVAL, StaleValue};
pub use feed_positions::FeedPosition;
pub use recorder::{CacheRecorder, CountedSearch, RecordedDependencies};
pub use shared_cache::{SharedCache, SharedValue};
use single_flight::{FlightOutcome, FlightTurn, SingleFlight};

pub use single_flight::LeaderGuard;
pub use tag::CacheTag;
pub use tag_versions::{CacheVersion, TagVersions};
pub use tagged_cache::{CacheLimits, Cached, CachedWeight, Dependencies, FindOutcome, TaggedCache};
