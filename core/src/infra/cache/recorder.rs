//! Recorder of what a computation depends on.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::CacheTag;

/// A search that a response contains. It is counted each time the response is sent, also from a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedSearch {
    /// The text under which it is counted.
    pub text: String,
    /// Whether products were found.
    pub has_results: bool,
}

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
    /// Searches in the result.
    pub searches: Vec<CountedSearch>,
}

impl CacheRecorder {
    /// Records tags.
    pub fn record_tags(&self, tags: impl IntoIterator<Item = CacheTag>) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).tags.extend(tags);
    }

    /// Records a search.
    pub fn record_search(&self, search: CountedSearch) {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).searches.push(search);
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
