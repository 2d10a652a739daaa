//! Filter of products as a caller states it, and its validation.

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;

use super::{
    CategoryTree, PublicationStatus,
    queries::product_filter::{ProductVisibility, ResolvedCatalogFilter},
    search::{self, rules::SearchRules},
};
use crate::base::{Error, LanguageCode, Result, pagination, text};

/// Maximum number of values in one list of a filter.
const MAX_FILTER_VALUES: usize = 100;
/// Maximum number of options in a filter: each adds a query to the option facet.
const MAX_FILTER_OPTIONS: usize = 10;

/// Identifies a category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CategoryKey {
    /// By id.
    Id(i64),
    /// By URL slug.
    Slug(String),
}

/// Filter of products. Conditions are combined with AND; `None` and empty fields do not filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CatalogFilter {
    /// Categories, each including its subtree; a product must be in all of them.
    pub categories: Vec<CategoryKey>,
    /// Search text.
    pub search: Option<String>,
    /// Language of the search text, whose synonyms apply; `None`: only those of all languages.
    pub search_language: Option<LanguageCode>,
    /// Range of the current price in minor units, inclusive.
    pub price_range: (Option<i64>, Option<i64>),
    /// Whether any variant can be bought now.
    pub in_stock: Option<bool>,
    /// Whether the product is on sale now.
    pub on_sale: Option<bool>,
    /// Whether the product is featured.
    pub featured: Option<bool>,
    /// Vendors, any of which matches.
    pub vendors: Vec<String>,
    /// Tags that the product must or must not have.
    pub tags: TagCondition,
    /// Ids, one of which must be the product's.
    pub ids: Option<Vec<i64>>,
    /// URL slugs, one of which must be the product's.
    pub slugs: Option<Vec<String>>,
    /// SKUs, one of which a variant must have.
    pub skus: Option<Vec<String>>,
    /// Options with values: one variant must have, for each option, one of its values.
    pub options: Vec<(String, Vec<String>)>,
    /// Time of creation: from (inclusive), to (exclusive).
    pub created_range: ProductDateRange,
    /// Time of the last change: from (inclusive), to (exclusive).
    pub updated_range: ProductDateRange,
    /// Publication statuses, for staff only; published products if empty.
    pub status: Vec<PublicationStatus>,
}

/// Tags that a product must or must not have. Empty lists do not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagCondition {
    /// Any of these.
    pub any: Vec<String>,
    /// All of these.
    pub all: Vec<String>,
    /// None of these.
    pub none: Vec<String>,
}

/// A time range, unbounded where `None`.
pub type ProductDateRange = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

impl CatalogFilter {
    /// Validates the filter and parses its search text. Statements: 2 with a search of several words, 1 with a single one,
    /// else none.
    ///
    /// # Errors
    /// Returns `BadUserInput` if the search or a list is too long, or a time is out of range.
    pub async fn resolve(
        mut self,
        db: &impl ConnectionTrait,
        tree: &CategoryTree,
        rules: &SearchRules,
    ) -> Result<ResolvedCatalogFilter> {
        self.validate()?;
        // The parsed search has the synonyms of the language, which is no condition of its own.
        let language = self.search_language.take();
        let mut search_query = match &self.search {
            Some(search_text) => Some(search::SearchQuery::parse(db, search_text, rules, language).await?),
            None => None,
        };
        if let Some(Some(query)) = &mut search_query {
            // Other conditions do not matter: the meaning of a search does not change with a filter.
            let is_public = self.status.is_empty();
            query.relax(db, if is_public { ProductVisibility::Shopper } else { ProductVisibility::Staff }).await?;
        }
        let tree_lookup = (!self.categories.is_empty()).then(|| find_common_category(tree, &self.categories));
        let category_index = tree_lookup.flatten();
        Ok(ResolvedCatalogFilter {
            category_ids: category_index
                .map(|category_index| tree.subtree(category_index).iter().map(|node| node.id).collect()),
            category_index,
            // A missing category, categories without a common one, or a search without words, matches nothing.
            matches_nothing: tree_lookup == Some(None) || search_query == Some(None),
            search_query: search_query.flatten(),
            filter: Self { options: merge_options(self.options), ..self },
        })
    }

    fn validate(&self) -> Result<()> {
        if self.search.as_ref().is_some_and(|search_text| search_text.chars().count() > search::MAX_SEARCH_TEXT_LENGTH)
        {
            let message = format!("a search has at most {} characters", search::MAX_SEARCH_TEXT_LENGTH);
            return Err(Error::bad_input("filter.search", message));
        }
        let lists = [
            ("filter.vendors", self.vendors.len(), MAX_FILTER_VALUES),
            ("filter.tags.any", self.tags.any.len(), MAX_FILTER_VALUES),
            ("filter.tags.all", self.tags.all.len(), MAX_FILTER_VALUES),
            ("filter.tags.none", self.tags.none.len(), MAX_FILTER_VALUES),
            ("filter.ids", self.ids.as_ref().map_or(0, Vec::len), MAX_FILTER_VALUES),
            ("filter.slugs", self.slugs.as_ref().map_or(0, Vec::len), MAX_FILTER_VALUES),
            ("filter.skus", self.skus.as_ref().map_or(0, Vec::len), MAX_FILTER_VALUES),
            ("filter.options", self.options.len(), MAX_FILTER_OPTIONS),
        ];
        let values = self.options.iter().map(|(_, values)| ("filter.options.values", values.len(), MAX_FILTER_VALUES));
        for (field, count, limit) in lists.into_iter().chain(values) {
            if count > limit {
                return Err(Error::bad_input(field, format!("at most {limit}; there are {count}")));
            }
        }
        for (field, (from, to)) in [("filter.createdAt", self.created_range), ("filter.updatedAt", self.updated_range)]
        {
            if [from, to].iter().flatten().any(|moment| !pagination::is_storable_time(moment)) {
                return Err(Error::bad_input(field, "the year must be from 1 to 9999"));
            }
        }
        Ok(())
    }
}

/// Returns the category whose subtree is the common part of the categories' subtrees.
fn find_common_category(tree: &CategoryTree, categories: &[CategoryKey]) -> Option<usize> {
    let mut indexes = categories.iter().map(|category| match category {
        CategoryKey::Id(category_id) => tree.find_index(*category_id),
        CategoryKey::Slug(slug) => tree.find_index_by_slug(slug),
    });
    let contains = |outer: usize, inner: usize| (outer..outer + tree.subtree(outer).len()).contains(&inner);
    let first = indexes.next()??;
    indexes.try_fold(first, |common, index| match index? {
        index if contains(common, index) => Some(index),
        index if contains(index, common) => Some(common),
        _ => None,
    })
}

/// Merges repeated options: any of their values matches.
fn merge_options(options: Vec<(String, Vec<String>)>) -> Vec<(String, Vec<String>)> {
    let mut merged: Vec<(String, Vec<String>)> = Vec::new();
    for (name, values) in options.into_iter().filter(|(_, values)| !values.is_empty()) {
        let (name, values) = (text::normalize_text(&name), values.iter().map(|value| text::normalize_text(value)));
        match merged.iter_mut().find(|(existing, _)| *existing == name) {
            Some((_, existing)) => existing.extend(values),
            None => merged.push((name, values.collect())),
        }
    }
    merged
}
