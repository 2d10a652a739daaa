//! Recorder of what a computation depends on.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};

use super::CacheTag;

/// Records the tags of the rows that a computation reads, and the time at which its result changes by itself.
#[derive(Debug, Default)]
pub struct CacheRecorder {
    recorded: Mutex<RecordedDependencies>,
}

/// What a computation depends on.
#[derive(Debug, Default, Clone)]
pub struct RecordedDependencies {
    /// Tags of the rows and sets that were read.
    pub tags: BTreeSet<CacheTag>,
    /// Time at which the result changes without a write; `None` if there is none.
    pub changes_at: Option<DateTime<Utc>>,
}

impl CacheRecorder {
    /// Records tags.
    pub fn record_tags(&self, tags: impl IntoIterator<Item = CacheTag>) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).tags.extend(tags);
    }

    /// Records a time at which the result changes by itself, such as the end of a sale. Past times have no effect.
    pub fn record_change_at(&self, time: DateTime<Utc>, now: DateTime<Utc>) {
        if time <= now {
            return;
        }
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.changes_at = Some(recorded.changes_at.map_or(time, |earlier| earlier.min(time)));
    }

    /// Returns what was recorded.
    #[must_use]
    pub fn take(&self) -> RecordedDependencies {
        std::mem::take(&mut self.recorded.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
