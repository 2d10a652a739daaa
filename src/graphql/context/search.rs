//! Searches of a request: their counts, and changes of the search rules.

use super::{AppState, RequestContext};
use crate::{base::Result, infra::cache::CountedSearch};

impl AppState {
    /// Counts searches of a response, also when it is sent from the cache.
    pub fn count_searches(&self, searches: &[CountedSearch]) {
        if searches.is_empty() {
            // Most cached responses contain no search, and the date would cost more than sending them.
            return;
        }
        let today = self.db.now().with_timezone(&self.config.shop.time_zone).date_naive();
        for CountedSearch { text, has_results } in searches {
            self.search_counts.count(today, text, *has_results);
        }
    }
}

impl RequestContext {
    /// Counts a search, now and each time the response is sent from the cache. Searches of staff are not counted.
    pub fn count_search(&self, search: CountedSearch) {
        if self.caller.has_permissions() {
            return;
        }
        self.app_state.count_searches(std::slice::from_ref(&search));
        if let Some(recorder) = &self.cache_recorder {
            recorder.record_search(search);
        }
    }

    /// Reloads the search rules if this request has changed them, so that the next search follows the change.
    ///
    /// # Errors
    /// Returns the error of the change, or of the database.
    pub async fn apply_search_rules<T>(&self, changed: Result<T>) -> Result<T> {
        if changed.is_ok() {
            self.app_state.search_rules_cache.refresh(&self.db).await?;
        }
        changed
    }
}
