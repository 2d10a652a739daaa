//! How far a replica has replayed the log of the primary.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::WalPosition;

/// Maximum number of samples of the primary's position; with more, the delay of the replica is overestimated.
const MAX_SAMPLES: usize = 1024;

/// State of a replica when it was last polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReplicaProgress {
    /// Position that the replica has replayed.
    pub(super) replayed: WalPosition,
    /// Time before which everything that was committed is replayed.
    pub(super) caught_up_at: Instant,
}

impl ReplicaProgress {
    /// Returns the age of the replica's data. It grows until the next poll.
    pub(super) fn lag(&self) -> Duration {
        self.caught_up_at.elapsed()
    }
}

/// Compares the positions of primary and replica. Ages are measured by the clock of this process, so that neither an idle
/// primary nor a difference between the clocks of the servers matters.
#[derive(Debug, Default)]
pub(super) struct ProgressTracker {
    /// Positions of the primary that are not known to be replayed, each with a time before it was read.
    samples: VecDeque<(Instant, WalPosition)>,
    last: Option<ReplicaProgress>,
}

impl ProgressTracker {
    /// Records a position of the primary that was read after `time`.
    pub(super) fn record_primary_position(&mut self, time: Instant, position: WalPosition) {
        if self.samples.len() < MAX_SAMPLES {
            self.samples.push_back((time, position));
        }
    }

    /// Records the position of the replica; returns its progress, `None` while nothing is known to be replayed.
    pub(super) fn record_replica_position(&mut self, replayed: WalPosition) -> Option<ReplicaProgress> {
        // A restarted or replaced replica.
        if self.last.is_some_and(|last| replayed < last.replayed) {
            self.last = None;
        }
        let mut caught_up_at = self.last.map(|last| last.caught_up_at);
        while let Some((time, position)) = self.samples.front() {
            if *position > replayed {
                break;
            }
            caught_up_at = Some(*time);
            self.samples.pop_front();
        }
        self.last = caught_up_at.map(|caught_up_at| ReplicaProgress { replayed, caught_up_at });
        self.last
    }

    /// Forgets everything: after a failed poll.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught_up_at(progress: Option<ReplicaProgress>) -> Option<Instant> {
        progress.map(|progress| progress.caught_up_at)
    }

    #[test]
    fn replica_has_caught_up_with_the_last_position_that_it_has_replayed() {
        let mut tracker = ProgressTracker::default();
        let times: Vec<Instant> = (0..5).map(|second| Instant::now() + Duration::from_secs(second)).collect();
        assert_eq!(tracker.record_replica_position(10.into()), None);
        tracker.record_primary_position(times[0], 20.into());
        assert_eq!(tracker.record_replica_position(10.into()), None);
        tracker.record_primary_position(times[1], 30.into());
        assert_eq!(caught_up_at(tracker.record_replica_position(20.into())), Some(times[0]));
        // Behind: the time does not advance.
        tracker.record_primary_position(times[2], 40.into());
        assert_eq!(caught_up_at(tracker.record_replica_position(29.into())), Some(times[0]));
        assert_eq!(caught_up_at(tracker.record_replica_position(40.into())), Some(times[2]));
        // Idle: it does.
        tracker.record_primary_position(times[3], 40.into());
        assert_eq!(caught_up_at(tracker.record_replica_position(40.into())), Some(times[3]));
        // A replica that was replaced by an older one is compared anew.
        assert_eq!(tracker.record_replica_position(35.into()), None);
        tracker.record_primary_position(times[4], 40.into());
        assert_eq!(tracker.record_replica_position(35.into()), None);
        assert_eq!(caught_up_at(tracker.record_replica_position(40.into())), Some(times[4]));
        tracker.reset();
        assert_eq!(tracker.record_replica_position(40.into()), None);
    }

    #[test]
    fn samples_are_bounded_and_the_delay_is_overestimated() {
        let mut tracker = ProgressTracker::default();
        let start = Instant::now();
        let count = u64::try_from(MAX_SAMPLES).expect("a number") * 2;
        for number in 0..count {
            tracker.record_primary_position(start + Duration::from_millis(number), (100 + number).into());
        }
        assert_eq!(tracker.samples.len(), MAX_SAMPLES);
        let progress = tracker.record_replica_position((100 + count).into()).expect("progress");
        assert!(progress.caught_up_at < start + Duration::from_millis(count / 2));
    }
}
