//! How the products of a search are found: by walking the newest products, or by gathering all matches.
//!
//! A walk reads products in the order of the list and stops at a full page, so it is fast for frequent words, and in vain
//! for rare ones. Gathering reads all matches and sorts them, so it is fast for rare words. A walk that comes back short
//! is followed by gathering in the same statement; which searches that happened to is remembered, and not tried again.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use moka::sync::Cache;

use super::tier::SearchTier;
use crate::catalog::product_filter::ResolvedCatalogFilter;

/// Maximum number of searches remembered, a few dozen bytes each.
const MAX_REMEMBERED_SEARCHES: u64 = 20_000;
/// How long a search is remembered: its words may become frequent.
const REMEMBERED_FOR: Duration = Duration::from_mins(10);

/// How the products of a search are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchWay {
    /// Walks the newest products, and gathers where that does not fill the page.
    Walk,
    /// Gathers the matches of one tier after another.
    Gather,
    /// Gathers all matches and sorts them by tier: for filters, which the database may read by their own indexes.
    Rank,
}

/// Which searches are gathered, learned from their first pages. It decides what a page costs, never what is on it.
#[derive(Debug, Clone)]
pub struct SearchWays {
    gathered: Cache<u64, ()>,
    fixed: Option<SearchWay>,
}

/// A list of search results, or one tier of it, whose way is remembered.
#[derive(Debug, Clone, Copy)]
pub(in crate::catalog) struct SearchedList<'a> {
    /// The filter with the search.
    pub(in crate::catalog) filter: &'a ResolvedCatalogFilter,
    /// The tag of the sort order.
    pub(in crate::catalog) sort_tag: char,
    /// Whether the list is read in descending order.
    pub(in crate::catalog) descending: bool,
}

impl Default for SearchWays {
    fn default() -> Self {
        let gathered = Cache::builder().max_capacity(MAX_REMEMBERED_SEARCHES).time_to_live(REMEMBERED_FOR).build();
        Self { gathered, fixed: None }
    }
}

impl SearchWays {
    /// Finds everything in one way, to compare the ways with each other.
    #[must_use]
    pub fn fixed(way: SearchWay) -> Self {
        Self { fixed: Some(way), ..Self::default() }
    }

    /// Returns the way for a filter: rankings are for filters by more than the search and availability.
    pub(in crate::catalog) fn choose(&self, filter: &ResolvedCatalogFilter) -> SearchWay {
        let is_walkable = filter.is_only_search();
        self.fixed.filter(|_| is_walkable).unwrap_or(if is_walkable { SearchWay::Walk } else { SearchWay::Rank })
    }

    /// Returns whether a list, or a tier of it, is gathered without a walk.
    pub(in crate::catalog) fn is_gathered(&self, list: SearchedList<'_>, tier: Option<SearchTier>) -> bool {
        match self.fixed {
            Some(way) => way != SearchWay::Walk,
            None => self.gathered.contains_key(&hash_list(list, tier)),
        }
    }

    /// Remembers that a walk did not fill the first page of a list, or of a tier of it.
    pub(in crate::catalog) fn remember_gathered(&self, list: SearchedList<'_>, tier: Option<SearchTier>) {
        self.gathered.insert(hash_list(list, tier), ());
    }

    /// Returns the number of lists and tiers that are gathered.
    #[must_use]
    pub fn remembered_count(&self) -> u64 {
        self.gathered.run_pending_tasks();
        self.gathered.entry_count()
    }
}

fn hash_list(SearchedList { filter, sort_tag, descending }: SearchedList<'_>, tier: Option<SearchTier>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (filter.search_query.as_ref().map(|query| query.normalized_text.as_str()), filter.conditions().in_stock)
        .hash(&mut hasher);
    (sort_tag, descending, tier).hash(&mut hasher);
    hasher.finish()
}
