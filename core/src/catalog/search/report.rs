//! Counts of searches: how often each text is searched for, and how often nothing is found. Counted in memory and stored
//! together; nothing of who searched is kept.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{NaiveDate, TimeDelta};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use tokio::time::Instant;

use super::{SearchQuery, entity::daily_search_count};
pub use crate::catalog::queries::search_report::{
    SearchCount, SearchReportFilter, SearchReportRow, load_search_report,
};
use crate::{base::Result, catalog::queries::search_report::store_search_counts, infra::Db};

/// Maximum length of a counted text in characters; longer ones are truncated.
const MAX_COUNTED_LENGTH: usize = 100;
/// Maximum number of digits of a counted text: phone numbers and numbers of orders have more.
const MAX_COUNTED_DIGITS: usize = 6;
/// Maximum number of texts of an instance that are not yet stored; further ones are not counted.
const MAX_PENDING_TEXTS: usize = 2_000;

/// Searches of an instance that are not yet stored.
#[derive(Debug, Default)]
pub struct SearchCounts(Mutex<PendingCounts>);

#[derive(Debug, Default)]
struct PendingCounts {
    by_text: HashMap<(NaiveDate, String), SearchCount>,
    stored_at: Option<Instant>,
}

/// Returns the text under which a search is counted; `None` if it may contain personal data.
#[must_use]
pub fn countable_text(search_text: &str, query: &SearchQuery) -> Option<String> {
    let digit_count = search_text.chars().filter(|c| c.is_numeric()).count();
    if search_text.contains(['@', '＠']) || digit_count > MAX_COUNTED_DIGITS {
        return None;
    }
    let text: String = query.word_text.chars().take(MAX_COUNTED_LENGTH).collect();
    Some(text.trim_end().to_owned())
}

impl SearchCounts {
    /// Counts a search on a day.
    pub fn count(&self, day: NaiveDate, text: &str, has_results: bool) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = SearchCount { searches: 1, without_results: i64::from(!has_results) };
        pending.add((day, text.to_owned()), count);
    }

    /// Stores the counts, if the interval has passed since the last time. Statements: 1 if there are any.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written; the counts are then stored later.
    pub async fn store_if_due(&self, db: &Db, interval: Duration) -> Result<()> {
        let is_due = {
            let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pending.stored_at.get_or_insert_with(Instant::now).elapsed() >= interval
        };
        if is_due { self.store(db).await } else { Ok(()) }
    }

    /// Stores the counts. Statements: 1 if there are any.
    ///
    /// # Errors
    /// Returns an error if the database cannot be written; the counts are then stored later.
    pub async fn store(&self, db: &Db) -> Result<()> {
        let taken = {
            let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pending.stored_at = Some(Instant::now());
            std::mem::take(&mut pending.by_text)
        };
        let outcome = store_search_counts(db, &taken).await;
        if outcome.is_err() {
            let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, lost) in taken {
                pending.add(key, lost);
            }
        }
        outcome
    }
}

impl PendingCounts {
    fn add(&mut self, key: (NaiveDate, String), added: SearchCount) {
        if self.by_text.len() >= MAX_PENDING_TEXTS && !self.by_text.contains_key(&key) {
            return;
        }
        let count = self.by_text.entry(key).or_default();
        count.searches += added.searches;
        count.without_results += added.without_results;
    }
}

/// Deletes the counts of days past their retention.
pub async fn delete_expired_counts(db: &Db, retention: Duration) -> Result<()> {
    let retention = TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
    let Some(cutoff) = db.now().checked_sub_signed(retention) else { return Ok(()) };
    db.write(async |tx| {
        let expired = daily_search_count::Column::Day.lt(cutoff.date_naive());
        daily_search_count::Entity::delete_many().filter(expired).exec(tx).await?;
        Ok(())
    })
    .await
}
