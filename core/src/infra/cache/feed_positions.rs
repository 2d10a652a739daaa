//! Positions of the event feed at which the tags were invalidated: whether a value of another instance is valid.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How long values of other instances are not used after a write by this instance. Until then this instance has applied
/// the event of the write.
const OWN_WRITE_DELAY: Duration = Duration::from_secs(10);

/// Position of the feed that an instance had applied before it computed a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPosition(pub i64);

/// Positions of the last events of the slots of tags.
#[derive(Debug)]
pub(super) struct FeedPositions {
    /// Position of the last event that invalidated a tag of the slot.
    slots: Box<[AtomicI64]>,
    /// Time of the last write by this instance, in milliseconds after `started_at`, plus 1; 0 if there was none.
    own_writes: Box<[AtomicU64]>,
    started_at: OnceLock<Instant>,
    /// The events up to this position are unknown; all of them if no feed is followed.
    unknown_until: AtomicI64,
    /// Position of the last event that was applied.
    applied: AtomicI64,
}

impl FeedPositions {
    pub(super) fn new(slot_count: usize) -> Self {
        Self {
            slots: std::iter::repeat_with(AtomicI64::default).take(slot_count).collect(),
            own_writes: std::iter::repeat_with(AtomicU64::default).take(slot_count).collect(),
            started_at: OnceLock::new(),
            unknown_until: AtomicI64::new(i64::MAX),
            applied: AtomicI64::new(0),
        }
    }

    fn elapsed_millis(&self) -> u64 {
        let elapsed = self.started_at.get_or_init(Instant::now).elapsed();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// Starts to follow the feed after a position.
    pub(super) fn restart_at(&self, FeedPosition(position): FeedPosition) {
        self.unknown_until.store(position, Ordering::SeqCst);
        self.applied.fetch_max(position, Ordering::SeqCst);
    }

    /// Records that a write by this instance has changed a tag of the slot.
    pub(super) fn record_own_write(&self, slot: usize) {
        let now = self.elapsed_millis().saturating_add(1);
        self.own_writes[slot].fetch_max(now, Ordering::SeqCst);
    }

    /// Records that the event at a position has invalidated a tag of the slot.
    pub(super) fn record_event(&self, slot: usize, FeedPosition(position): FeedPosition) {
        self.slots[slot].fetch_max(position, Ordering::SeqCst);
    }

    /// Records that all events up to a position are applied.
    pub(super) fn set_applied(&self, FeedPosition(position): FeedPosition) {
        self.applied.fetch_max(position, Ordering::SeqCst);
    }

    /// Returns the position of the last applied event; `None` if the feed is not followed.
    pub(super) fn applied(&self) -> Option<FeedPosition> {
        let is_followed = self.unknown_until.load(Ordering::SeqCst) != i64::MAX;
        is_followed.then(|| FeedPosition(self.applied.load(Ordering::SeqCst)))
    }

    /// Returns whether no known event after the position, and no recent write by this instance, has changed a tag of the
    /// slots.
    pub(super) fn is_valid(&self, FeedPosition(position): FeedPosition, slots: &[usize]) -> bool {
        let now = self.elapsed_millis();
        let delay = u64::try_from(OWN_WRITE_DELAY.as_millis()).unwrap_or(u64::MAX);
        let is_unchanged = |slot: &usize| {
            let own_write = self.own_writes[*slot].load(Ordering::SeqCst);
            let is_settled = own_write == 0 || own_write.saturating_add(delay) < now;
            is_settled && self.slots[*slot].load(Ordering::SeqCst) <= position
        };
        self.unknown_until.load(Ordering::SeqCst) <= position && slots.iter().all(is_unchanged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow_from(position: i64) -> FeedPositions {
        let positions = FeedPositions::new(4);
        positions.restart_at(FeedPosition(position));
        positions
    }

    #[test]
    fn value_is_invalid_after_an_event_that_its_instance_had_not_applied() {
        let positions = follow_from(10);
        assert!(positions.is_valid(FeedPosition(12), &[1, 2]));
        positions.record_event(1, FeedPosition(13));
        assert!(!positions.is_valid(FeedPosition(12), &[1, 2]));
        assert!(positions.is_valid(FeedPosition(12), &[2]));
        assert!(positions.is_valid(FeedPosition(13), &[1, 2]));
    }

    #[test]
    fn value_from_before_the_known_events_is_invalid() {
        let positions = follow_from(10);
        assert!(!positions.is_valid(FeedPosition(9), &[]));
        assert!(positions.is_valid(FeedPosition(10), &[]));
        positions.restart_at(FeedPosition(20));
        assert!(!positions.is_valid(FeedPosition(19), &[]));
    }

    #[test]
    fn nothing_is_valid_without_a_feed() {
        let positions = FeedPositions::new(4);
        assert!(!positions.is_valid(FeedPosition(1_000_000), &[]));
        assert_eq!(positions.applied(), None);
    }

    #[test]
    fn values_of_others_are_not_used_after_an_own_write() {
        let positions = follow_from(10);
        positions.record_own_write(1);
        assert!(!positions.is_valid(FeedPosition(1_000), &[1]));
        assert!(positions.is_valid(FeedPosition(10), &[2]));
    }
}
