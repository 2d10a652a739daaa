//! In-process cache of values with tags, bounded by bytes.

use std::{collections::BTreeSet, fmt, hash::Hash, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;

use super::{
    CacheTag, CacheVersion, FlightOutcome, FlightTurn, LeaderGuard, SingleFlight, TagVersions,
    recorder::{CountedSearch, RecordedDependencies},
};
use crate::{base::Result, infra::Db};

/// Memory of an entry besides its value and its tags, in bytes.
const ENTRY_BYTES: usize = 256;
/// How often a computation waits for another one.
const MAX_FLIGHTS: usize = 3;
/// How long a computation waits for another one of the same key before it runs itself.
const FLIGHT_PATIENCE: Duration = Duration::from_secs(2);

/// Memory of a cached value.
pub trait CachedWeight {
    /// Returns the estimated memory in bytes.
    fn weight_bytes(&self) -> usize;
}

impl<V: CachedWeight> CachedWeight for Arc<V> {
    fn weight_bytes(&self) -> usize {
        self.as_ref().weight_bytes()
    }
}

impl<V: CachedWeight> CachedWeight for Vec<V> {
    fn weight_bytes(&self) -> usize {
        self.iter().map(CachedWeight::weight_bytes).sum()
    }
}

/// A position and a number.
impl CachedWeight for (usize, i64) {
    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Limits of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Memory of all entries, in bytes.
    pub max_bytes: u64,
    /// Memory of one entry, in bytes.
    pub max_entry_bytes: usize,
    /// Number of tags of one entry.
    pub max_tags: usize,
    /// Lifetime of an entry.
    pub ttl: Duration,
    /// How much longer an invalid entry is kept, for callers that accept values that are out of date.
    pub max_staleness: Duration,
}

/// What a value depends on.
#[derive(Debug, Clone)]
pub struct Dependencies {
    /// Version of the cached data when the computation began.
    pub version: CacheVersion,
    /// Tags; the value is invalid after a change of one of them.
    pub tags: BTreeSet<CacheTag>,
    /// Time at which the value changes without a write; `None` if there is none.
    pub changes_at: Option<DateTime<Utc>>,
    /// Searches in the value.
    pub searches: Vec<CountedSearch>,
}

impl Dependencies {
    /// Creates the dependencies of a value from what its computation recorded.
    #[must_use]
    pub fn new(version: CacheVersion, recorded: RecordedDependencies) -> Self {
        let RecordedDependencies { tags, changes_at, searches } = recorded;
        Self { version, tags, changes_at, searches }
    }
}

/// Cached value.
#[derive(Debug, Clone)]
pub struct Cached<V> {
    /// The value.
    pub value: V,
    /// When it was computed.
    pub computed_at: DateTime<Utc>,
    version: CacheVersion,
    slots: Arc<[usize]>,
    expires_at: DateTime<Utc>,
}

/// Times, version and tags of a cached value.
#[derive(Debug, Clone)]
pub(super) struct CachedParts {
    pub(super) computed_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) version: CacheVersion,
    pub(super) slots: Arc<[usize]>,
}

impl<V> Cached<V> {
    pub(super) fn from_parts(value: V, parts: CachedParts) -> Self {
        let CachedParts { computed_at, expires_at, version, slots } = parts;
        Self { value, computed_at, version, slots, expires_at }
    }

    pub(super) fn parts(&self) -> CachedParts {
        let Self { computed_at, expires_at, version, slots, .. } = self;
        CachedParts { computed_at: *computed_at, expires_at: *expires_at, version: *version, slots: Arc::clone(slots) }
    }
}

/// Outcome of looking for a value.
pub enum FindOutcome<'a, K: Eq + Hash, V> {
    /// There is a valid value.
    Found(Cached<V>),
    /// The caller computes the value; with a guard, others wait for it.
    Missing(Option<LeaderGuard<'a, K>>),
}

/// Cache of values with tags.
pub struct TaggedCache<K, V> {
    entries: Cache<K, Cached<V>>,
    limits: CacheLimits,
    flights: SingleFlight<K>,
}

impl<K, V> fmt::Debug for TaggedCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaggedCache").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<K, V> TaggedCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: CachedWeight + Clone + Send + Sync + 'static,
{
    /// Creates an empty cache.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        let entries = Cache::builder()
            .max_capacity(limits.max_bytes)
            .time_to_live(limits.ttl.saturating_add(limits.max_staleness))
            .weigher(|_: &K, cached: &Cached<V>| u32::try_from(cached.weight_bytes()).unwrap_or(u32::MAX))
            .build();
        Self { entries, limits, flights: SingleFlight::default() }
    }

    /// Returns the value of a key, if there is a valid one.
    #[must_use]
    pub fn get(&self, key: &K, db: &Db, now: DateTime<Utc>) -> Option<Cached<V>> {
        let (cached, is_valid) = self.find(key, db, now)?;
        if !is_valid && self.limits.max_staleness.is_zero() {
            self.entries.remove(key);
        }
        is_valid.then_some(cached)
    }

    /// Returns the value of a key, and whether it is valid.
    #[must_use]
    pub fn find(&self, key: &K, db: &Db, now: DateTime<Utc>) -> Option<(Cached<V>, bool)> {
        let cached = self.entries.get(key)?;
        let is_valid = cached.expires_at > now && db.tag_versions().is_valid(cached.version, &cached.slots);
        Some((cached, is_valid))
    }

    /// Stores a value. Returns `None` if it cannot be used: because it is too large, has too many tags, or something that
    /// it depends on has changed since its computation began.
    pub fn insert(&self, key: K, value: V, dependencies: Dependencies, db: &Db) -> Option<Cached<V>> {
        let Dependencies { version, tags, changes_at, searches: _ } = dependencies;
        let now = db.now();
        let ttl = TimeDelta::from_std(self.limits.ttl).unwrap_or(TimeDelta::MAX);
        let expires_at = now.checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let expires_at = changes_at.map_or(expires_at, |changes_at| changes_at.min(expires_at));
        let mut slots: Vec<usize> = tags.iter().copied().map(TagVersions::slot_of).collect();
        slots.sort_unstable();
        slots.dedup();
        let cached = Cached { value, computed_at: now, version, slots: slots.into(), expires_at };
        let fits = cached.weight_bytes() <= self.limits.max_entry_bytes && tags.len() <= self.limits.max_tags;
        let is_valid = db.tag_versions().is_valid(version, &cached.slots);
        if !fits || expires_at <= now || (!is_valid && self.limits.max_staleness.is_zero()) {
            return None;
        }
        self.entries.insert(key, cached.clone());
        is_valid.then_some(cached)
    }

    /// Stores a value that another instance has computed. Returns `None` if something that it depends on has changed
    /// since it was found.
    pub fn insert_from_other(&self, key: K, cached: Cached<V>, db: &Db) -> Option<Cached<V>> {
        let fits = cached.weight_bytes() <= self.limits.max_entry_bytes;
        if !fits || !db.tag_versions().is_valid(cached.version, &cached.slots) {
            return None;
        }
        self.entries.insert(key, cached.clone());
        Some(cached)
    }

    /// Replaces the value of an entry by another form of it, with the same dependencies and lifetime.
    pub fn replace_form(&self, key: K, cached: Cached<V>) {
        if cached.weight_bytes() <= self.limits.max_entry_bytes {
            self.entries.insert(key, cached);
        }
    }

    /// Returns the value of a key, computed if there is no valid one. `compute` returns the value with what it depends
    /// on; of concurrent calls one computes.
    ///
    /// # Errors
    /// Returns the error of `compute`, which is not cached.
    pub async fn get_or_compute<F>(&self, key: K, db: &Db, compute: impl Fn() -> F) -> Result<V>
    where
        F: Future<Output = Result<(V, BTreeSet<CacheTag>)>>,
    {
        let guard = match self.find_or_lead(&key, db).await {
            FindOutcome::Found(cached) => return Ok(cached.value),
            FindOutcome::Missing(guard) => guard,
        };
        self.compute(key, db, guard, compute).await
    }

    /// Computes the value of a key again, unless that is being done already. An error leaves the entry as it is.
    ///
    /// # Errors
    /// Returns the error of `compute`.
    pub async fn renew<F>(&self, key: K, db: &Db, compute: impl FnOnce() -> F) -> Result<()>
    where
        F: Future<Output = Result<(V, BTreeSet<CacheTag>)>>,
    {
        match self.flights.try_lead(key.clone()) {
            Some(guard) => self.compute(key, db, Some(guard), compute).await.map(drop),
            None => Ok(()),
        }
    }

    async fn compute<F>(
        &self,
        key: K,
        db: &Db,
        guard: Option<LeaderGuard<'_, K>>,
        compute: impl FnOnce() -> F,
    ) -> Result<V>
    where
        F: Future<Output = Result<(V, BTreeSet<CacheTag>)>>,
    {
        let version = db.tag_versions().current();
        db.require_invalidated_changes();
        let outcome = compute().await;
        let stored = match &outcome {
            Ok((value, tags)) => {
                let dependencies = Dependencies { version, tags: tags.clone(), changes_at: None, searches: Vec::new() };
                self.insert(key, value.clone(), dependencies, db)
            }
            Err(_) => None,
        };
        if let Some(guard) = guard {
            guard.finish(stored.is_some());
        }
        outcome.map(|(value, _)| value)
    }

    /// Returns the value of a key, perhaps after waiting for its computation for a limited time; else the caller
    /// computes it.
    pub async fn find_or_lead(&self, key: &K, db: &Db) -> FindOutcome<'_, K, V> {
        if let Some(cached) = self.get(key, db, db.now()) {
            return FindOutcome::Found(cached);
        }
        for _ in 0..MAX_FLIGHTS {
            let turn = self.flights.join(key.clone(), FLIGHT_PATIENCE).await;
            // Another computation may have stored the value since.
            let found = self.get(key, db, db.now());
            match (turn, found) {
                (FlightTurn::Leader(guard), Some(cached)) => {
                    guard.finish(true);
                    return FindOutcome::Found(cached);
                }
                (_, Some(cached)) => return FindOutcome::Found(cached),
                (FlightTurn::Leader(guard), None) => return FindOutcome::Missing(Some(guard)),
                (FlightTurn::Follower(FlightOutcome::Stored | FlightOutcome::Canceled), None) => {}
                (FlightTurn::Follower(FlightOutcome::NotStored | FlightOutcome::TimedOut), None) => break,
            }
        }
        FindOutcome::Missing(None)
    }

    /// Returns the memory of the entries in bytes.
    #[must_use]
    pub fn weighted_size(&self) -> u64 {
        self.entries.run_pending_tasks();
        self.entries.weighted_size()
    }
}

impl<V: CachedWeight> Cached<V> {
    fn weight_bytes(&self) -> usize {
        let slots = self.slots.len().saturating_mul(size_of::<usize>());
        self.value.weight_bytes().saturating_add(slots).saturating_add(ENTRY_BYTES)
    }

    /// Returns the value in another form.
    #[must_use]
    pub fn with_value(&self, value: V) -> Self
    where
        V: Clone,
    {
        Self { value, ..self.clone() }
    }
}
