//! Versions of the tags: when each was last invalidated.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{CacheTag, FeedPosition, feed_positions::FeedPositions};

/// Number of slots. Tags that share a slot are invalidated together, so the memory does not grow with their number.
const SLOT_COUNT: usize = 1 << 14;

/// Point in the order of invalidations of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheVersion(u64);

/// Versions of all tags, in fixed memory (384 KiB).
#[derive(Debug)]
pub struct TagVersions {
    /// Number of invalidations.
    sequence: AtomicU64,
    /// Version of the last invalidation of everything.
    cleared_at: AtomicU64,
    /// Version of the last invalidation of a tag of the slot.
    slots: Box<[AtomicU64]>,
    /// For values of other instances.
    feed_positions: FeedPositions,
    /// Time of the last invalidation.
    last_invalidated_at: Mutex<Option<Instant>>,
}

impl Default for TagVersions {
    fn default() -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(SLOT_COUNT).collect();
        Self {
            sequence: AtomicU64::new(0),
            cleared_at: AtomicU64::new(0),
            slots,
            feed_positions: FeedPositions::new(SLOT_COUNT),
            last_invalidated_at: Mutex::default(),
        }
    }
}

impl TagVersions {
    /// Returns the current version: taken before a computation reads data, it is the version of its result.
    #[must_use]
    pub fn current(&self) -> CacheVersion {
        CacheVersion(self.sequence.load(Ordering::SeqCst))
    }

    /// Invalidates the values that depend on one of the tags. Called after the commit of a change by this process: a
    /// computation that begins later reads the changed data.
    pub fn invalidate(&self, tags: &[CacheTag]) {
        for tag in tags {
            self.feed_positions.record_own_write(Self::slot_of(*tag));
        }
        self.invalidate_versions(tags);
    }

    /// Invalidates the values that depend on one of the tags by the event at a position.
    pub fn invalidate_by_event(&self, tags: &[CacheTag], position: FeedPosition) {
        for tag in tags {
            self.feed_positions.record_event(Self::slot_of(*tag), position);
        }
        self.invalidate_versions(tags);
    }

    fn invalidate_versions(&self, tags: &[CacheTag]) {
        if tags.is_empty() {
            return;
        }
        self.record_invalidation();
        let version = self.sequence.fetch_add(1, Ordering::SeqCst) + 1;
        for tag in tags {
            self.slots[Self::slot_of(*tag)].fetch_max(version, Ordering::SeqCst);
        }
    }

    /// Records the time of an invalidation, before the versions change: a computation that notes the new version finds it.
    fn record_invalidation(&self) {
        *self.last_invalidated_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Returns a time before which all changes were committed that a value of the current version must include; `None`
    /// if there was no invalidation.
    #[must_use]
    pub fn last_invalidated_at(&self) -> Option<Instant> {
        *self.last_invalidated_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the feed from a position; events before it are unknown, so everything is invalidated.
    pub fn restart_feed_at(&self, position: FeedPosition) {
        self.feed_positions.restart_at(position);
        self.invalidate_all();
    }

    /// Records that the events of the feed up to a position were applied.
    pub fn set_applied_position(&self, position: FeedPosition) {
        self.feed_positions.set_applied(position);
    }

    /// Returns the position up to which events were applied: taken before a computation reads data, it is the position
    /// of its result for other instances. `None` if no feed is followed.
    #[must_use]
    pub fn applied_position(&self) -> Option<FeedPosition> {
        self.feed_positions.applied()
    }

    /// Returns whether a value that another instance computed is valid here.
    #[must_use]
    pub(super) fn is_valid_from_other(&self, position: FeedPosition, slots: &[usize]) -> bool {
        slots.iter().all(|slot| *slot < SLOT_COUNT) && self.feed_positions.is_valid(position, slots)
    }

    /// Invalidates all values: after changes whose tags are unknown.
    pub fn invalidate_all(&self) {
        self.record_invalidation();
        let version = self.sequence.fetch_add(1, Ordering::SeqCst) + 1;
        self.cleared_at.fetch_max(version, Ordering::SeqCst);
    }

    /// Returns whether no tag of the slots was invalidated after the version.
    #[must_use]
    pub(super) fn is_valid(&self, CacheVersion(version): CacheVersion, slots: &[usize]) -> bool {
        // An invalidation raises the sequence before it changes a slot.
        if self.sequence.load(Ordering::SeqCst) <= version {
            return true;
        }
        let is_unchanged = |slot: &usize| self.slots[*slot].load(Ordering::SeqCst) <= version;
        self.cleared_at.load(Ordering::SeqCst) <= version && slots.iter().all(is_unchanged)
    }

    /// Returns the slot of a tag.
    pub(super) fn slot_of(tag: CacheTag) -> usize {
        usize::try_from(tag.hash_value() % SLOT_COUNT as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCT: CacheTag = CacheTag::of_row("product", 42);
    const CATALOG: CacheTag = CacheTag::of_set("catalog");

    fn is_valid(versions: &TagVersions, version: CacheVersion, tag: CacheTag) -> bool {
        versions.is_valid(version, &[TagVersions::slot_of(tag)])
    }

    #[test]
    fn invalidation_affects_earlier_versions_of_its_tags_only() {
        let versions = TagVersions::default();
        let before = versions.current();
        versions.invalidate(&[PRODUCT]);
        assert!(!is_valid(&versions, before, PRODUCT));
        assert!(is_valid(&versions, before, CATALOG));
        assert!(is_valid(&versions, versions.current(), PRODUCT));
    }

    #[test]
    fn invalidation_of_everything_affects_all_tags_and_values_without_tags() {
        let versions = TagVersions::default();
        let before = versions.current();
        versions.invalidate_all();
        assert!(!is_valid(&versions, before, CATALOG));
        assert!(!versions.is_valid(before, &[]));
        assert!(is_valid(&versions, versions.current(), CATALOG));
    }
}
