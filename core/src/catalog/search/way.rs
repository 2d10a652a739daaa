//! How the products of a search are found: by walking the newest products, or by gathering all matches.
//!
//! A walk reads products in the order of the list and stops at a full page, so it is fast for frequent words, and in vain
//! for rare ones. Gathering reads all matches and sorts them, so it is fast for rare words. A search of which nothing is
//! known is probed: its first matches are gathered, and it is walked only if there are more. A walk that comes back short
//! is followed by gathering in the same statement. What a first page showed is remembered, and the next page is found in
//! the faster way without a probe. The tier that filled the first page is remembered, too: the tiers behind it are not in
//! the next statement, unless that does not fill its page.

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
    /// Gathers if there are few matches, and walks otherwise.
    Probe,
    /// Walks the newest products, and gathers where that does not fill the page.
    Walk,
    /// Gathers the matches of one tier after another.
    Gather,
    /// Gathers all matches and sorts them by tier: for conditions that the database may read by their own indexes.
    Rank,
}

/// The ways of searches, learned from their first pages. They decide what a page costs, never what is on it.
#[derive(Debug, Clone)]
pub struct SearchWays {
    learned: Cache<(u64, Option<SearchTier>), SearchWay>,
    /// The tiers that filled the first pages of lists.
    last_tiers: Cache<u64, SearchTier>,
    fixed: Option<SearchWay>,
}

/// A list of search results, or one tier of it, whose way is remembered.
#[derive(Debug, Clone, Copy)]
pub(in crate::catalog) struct SearchedList<'a> {
    /// The filter with the search.
    pub(in crate::catalog) filter: &'a ResolvedCatalogFilter,
    /// Whether the list is read in descending order.
    pub(in crate::catalog) descending: bool,
    /// Hash of the filter and the order.
    hash: u64,
}

impl<'a> SearchedList<'a> {
    /// Creates a list in the order with a tag.
    pub(in crate::catalog) fn new(filter: &'a ResolvedCatalogFilter, sort_tag: char, descending: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        // The text of the conditions contains the search.
        (format!("{:?}", filter.conditions()), filter.category_index, sort_tag, descending).hash(&mut hasher);
        Self { filter, descending, hash: hasher.finish() }
    }

    /// Returns whether products of the tier with a rank come before those of the tier with the other.
    pub(in crate::catalog) const fn is_tier_before(self, rank: i32, other_rank: i32) -> bool {
        if self.descending { rank > other_rank } else { rank < other_rank }
    }
}

impl Default for SearchWays {
    fn default() -> Self {
        Self { learned: create_cache(), last_tiers: create_cache(), fixed: None }
    }
}

fn create_cache<K, V>() -> Cache<K, V>
where
    K: Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().max_capacity(MAX_REMEMBERED_SEARCHES).time_to_live(REMEMBERED_FOR).build()
}

impl SearchWays {
    /// Finds everything in one way, to compare the ways with each other.
    #[must_use]
    pub fn fixed(way: SearchWay) -> Self {
        Self { fixed: Some(way), ..Self::default() }
    }

    /// Returns whether a filter is ranked: it has conditions that the database may read by their own indexes.
    pub(in crate::catalog) fn is_ranked(&self, filter: &ResolvedCatalogFilter) -> bool {
        !filter.is_search_first() || self.fixed == Some(SearchWay::Rank)
    }

    /// Returns the way of a list, or of a tier of it.
    pub(in crate::catalog) fn find(&self, list: SearchedList<'_>, tier: Option<SearchTier>) -> SearchWay {
        self.fixed.or_else(|| self.learned.get(&(list.hash, tier))).unwrap_or(SearchWay::Probe)
    }

    /// Remembers whether a walk filled the first page of a list, or of a tier of it. If not, there are few matches, or few
    /// among the newest products.
    pub(in crate::catalog) fn learn(&self, list: SearchedList<'_>, tier: Option<SearchTier>, is_filled_by_walk: bool) {
        let way = if is_filled_by_walk { SearchWay::Walk } else { SearchWay::Gather };
        if self.find(list, tier) != way {
            self.learned.insert((list.hash, tier), way);
        }
    }

    /// Returns the tier that filled the first page of a list, if one did: the tiers behind it need not be asked.
    pub(in crate::catalog) fn find_last_tier(&self, list: SearchedList<'_>) -> Option<SearchTier> {
        self.last_tiers.get(&list.hash)
    }

    /// Remembers the tier that filled the first page of a list; `None` if all tiers together did not.
    pub(in crate::catalog) fn learn_last_tier(&self, list: SearchedList<'_>, tier: Option<SearchTier>) {
        match tier {
            Some(tier) if self.find_last_tier(list) != Some(tier) => self.last_tiers.insert(list.hash, tier),
            Some(_) => {}
            None => self.last_tiers.invalidate(&list.hash),
        }
    }

    /// Returns the numbers of lists and tiers that are walked and gathered.
    #[must_use]
    pub fn count_learned(&self) -> (usize, usize) {
        self.learned.run_pending_tasks();
        let walked = self.learned.iter().filter(|(_, way)| *way == SearchWay::Walk).count();
        (walked, self.learned.iter().count() - walked)
    }
}
