//! Uses of published documents that are not yet stored.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Utc};

use crate::operations::DocumentUse;

/// Counter of the uses of a document. Requests that are answered from memory count without a lock.
#[derive(Debug)]
pub struct DocumentUseCounter {
    /// Primary key of the document.
    trusted_document_id: i64,
    count: AtomicI64,
    /// Time of the last request, in microseconds since 1970.
    last_used_at: AtomicI64,
}

impl DocumentUseCounter {
    /// Counts a request of the document.
    pub fn count_use(&self, now: DateTime<Utc>) {
        // Before the count: whoever takes the count finds a time.
        self.last_used_at.store(now.timestamp_micros(), Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Release);
    }

    /// Takes the uses since the last time, if there are any.
    fn take_uses(&self) -> Option<DocumentUse> {
        let count = self.count.swap(0, Ordering::Acquire);
        let last_used_at = DateTime::from_timestamp_micros(self.last_used_at.load(Ordering::Relaxed))?;
        let trusted_document_id = self.trusted_document_id;
        (count > 0).then_some(DocumentUse { trusted_document_id, count, last_used_at })
    }
}

/// Counters of all documents that were used.
#[derive(Debug, Default)]
pub struct DocumentUses(Mutex<HashMap<i64, Arc<DocumentUseCounter>>>);

impl DocumentUses {
    /// Returns the counter of a document.
    #[must_use]
    pub fn counter_of(&self, trusted_document_id: i64) -> Arc<DocumentUseCounter> {
        let create = || {
            let (count, last_used_at) = (AtomicI64::new(0), AtomicI64::new(0));
            Arc::new(DocumentUseCounter { trusted_document_id, count, last_used_at })
        };
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(counters.entry(trusted_document_id).or_insert_with(create))
    }

    /// Takes the uses of all documents since the last time, and forgets the counters that nothing refers to.
    #[must_use]
    pub fn take_all(&self) -> Vec<DocumentUse> {
        let mut taken = Vec::new();
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.retain(|_, counter| {
            // The count is read after the references: one that is gone has counted before.
            let is_referred_to = Arc::strong_count(counter) > 1;
            std::sync::atomic::fence(Ordering::Acquire);
            taken.extend(counter.take_uses());
            is_referred_to
        });
        taken
    }

    /// Adds uses that could not be stored.
    pub fn restore_uses(&self, taken: &[DocumentUse]) {
        for DocumentUse { trusted_document_id, count, last_used_at } in taken {
            let counter = self.counter_of(*trusted_document_id);
            counter.last_used_at.fetch_max(last_used_at.timestamp_micros(), Ordering::Relaxed);
            counter.count.fetch_add(*count, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_taken_once_and_restored_after_a_failure() {
        let at = |seconds: i64| DateTime::from_timestamp(seconds, 0).expect("a time");
        let describe = |taken: &[DocumentUse]| {
            let mut described: Vec<_> =
                taken.iter().map(|one| (one.trusted_document_id, one.count, one.last_used_at.timestamp())).collect();
            described.sort_unstable();
            described
        };
        let uses = DocumentUses::default();
        let counter = uses.counter_of(7);
        counter.count_use(at(10));
        counter.count_use(at(20));
        uses.counter_of(8).count_use(at(15));
        let taken = uses.take_all();
        assert_eq!(describe(&taken), [(7, 2, 20), (8, 1, 15)]);
        assert_eq!(uses.take_all(), []);
        counter.count_use(at(30));
        uses.restore_uses(&taken);
        assert_eq!(describe(&uses.take_all()), [(7, 3, 30), (8, 1, 15)]);
    }

    #[test]
    fn counters_are_forgotten_when_nothing_refers_to_them() {
        let uses = DocumentUses::default();
        let counter = uses.counter_of(7);
        let _ = uses.counter_of(8);
        let _ = uses.take_all();
        assert_eq!(uses.0.lock().expect("counters").keys().collect::<Vec<_>>(), [&7]);
        drop(counter);
        let _ = uses.take_all();
        assert!(uses.0.lock().expect("counters").is_empty());
    }
}
