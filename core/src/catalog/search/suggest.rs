//! Suggestions for a search box, and the corrections of a search, of what the caller may see only.

use std::{collections::HashSet, sync::Arc};

use sea_orm::ConnectionTrait;

use super::{QueryWord, SearchQuery, rules::SearchRules, way::SearchWays};
use crate::{
    base::{
        LanguageCode, Result,
        pagination::PageRequest,
        search_token::{self, SearchToken},
        text,
    },
    catalog::{
        CatalogFilter, CategoryTree,
        entity::product,
        find::{self, ProductWindow},
        product_filter::ProductVisibility,
        product_queries::{ProductSort, ProductSortKey},
        projection::ProductColumns,
        queries::search_index,
    },
};

/// Maximum number of products whose names complete a query.
const MAX_COMPLETING_PRODUCTS: usize = 50;

/// A search text with the number of suggestions that are wanted.
#[derive(Debug)]
pub struct SuggestionRequest {
    /// The search text.
    pub search_text: String,
    /// Language of the search text, whose synonyms apply.
    pub language: LanguageCode,
    /// The synonyms and pinned products in effect.
    pub rules: Arc<SearchRules>,
    /// Maximum number of suggestions of each kind.
    pub limit: usize,
    /// Columns that are read of the products.
    pub columns: ProductColumns,
}

/// Suggestions for a search text, best match first.
#[derive(Debug, Default)]
pub struct SearchSuggestions {
    /// Corrected and completed search texts.
    pub queries: Vec<String>,
    /// Published products that match.
    pub products: Vec<Arc<product::Model>>,
    /// Indexes in the tree of categories whose names match.
    pub category_indexes: Vec<usize>,
}

/// The words of a search with those corrections that occur in products which the caller may see: words of other products
/// are not disclosed.
#[derive(Debug, Clone, Default)]
pub struct VisibleCorrections(Vec<QueryWord>);

impl VisibleCorrections {
    /// Reads which corrections of a search may be shown. Statements: 1; none if no word was corrected.
    pub async fn load(
        db: &impl ConnectionTrait,
        query: Option<&SearchQuery>,
        visibility: ProductVisibility,
    ) -> Result<Self> {
        let mut words = query.map(|query| query.words().to_vec()).unwrap_or_default();
        let corrections: HashSet<&str> = words.iter().flat_map(|word| &word.corrections).map(String::as_str).collect();
        if !corrections.is_empty() {
            let visible = search_index::load_visible_words(db, corrections, visibility).await?;
            for word in &mut words {
                word.corrections.retain(|correction| visible.contains(correction));
            }
        }
        Ok(Self(words))
    }

    /// Returns the words of the search.
    #[must_use]
    pub fn words(&self) -> &[QueryWord] {
        &self.0
    }

    /// Returns the search text with the nearest correction of each corrected word; `None` if there is none.
    #[must_use]
    pub fn corrected_text(&self) -> Option<String> {
        self.0.iter().any(|word| !word.corrections.is_empty()).then(|| join_searched_words(&self.0))
    }
}

fn join_searched_words(words: &[QueryWord]) -> String {
    words.iter().filter(|word| !word.is_dropped).map(QueryWord::searched).collect::<Vec<_>>().join(" ")
}

/// Returns suggestions of published products for a search text. Statements: 4 at most.
///
/// # Errors
/// Returns `BadUserInput` if the search text is too long.
pub async fn suggest(
    db: &impl ConnectionTrait,
    ways: &SearchWays,
    tree: &CategoryTree,
    request: SuggestionRequest,
) -> Result<SearchSuggestions> {
    let SuggestionRequest { search_text, language, rules, limit, columns } = request;
    let filter =
        CatalogFilter { search: Some(search_text), search_language: Some(language), ..CatalogFilter::default() };
    let filter = filter.resolve(db, tree, &rules).await?;
    let Some(query) = &filter.search_query else { return Ok(SearchSuggestions::default()) };
    let sort = ProductSort { sort_key: ProductSortKey::Relevance, reverse: false };
    let page_request = PageRequest { size: MAX_COMPLETING_PRODUCTS.max(limit), backwards: false, cursor: None };
    let columns = columns.union(ProductColumns::from([product::Column::Id, product::Column::Name]));
    let window = ProductWindow { sort, request: &page_request, columns };
    let page = find::find_page(db, ways, &filter, &window).await?;
    let mut products: Vec<_> = page.rows.into_iter().map(|row| row.product).collect();
    let mut queries = Vec::new();
    if !products.is_empty() {
        let corrections = VisibleCorrections::load(db, Some(query), ProductVisibility::Shopper).await?;
        queries.extend(corrections.corrected_text());
        queries.extend(complete_query(corrections.words(), products.iter().map(|product| product.name.as_str())));
        queries.truncate(limit);
    }
    products.truncate(limit);
    Ok(SearchSuggestions { queries, products, category_indexes: find_categories(tree, query, limit) })
}

/// Returns the search texts with the last word completed by words of product names, most frequent first.
fn complete_query<'a>(words: &[QueryWord], product_names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let Some((last, first)) = words.split_last() else { return Vec::new() };
    if !last.can_be_prefix || !last.corrections.is_empty() {
        return Vec::new();
    }
    // Each completion as it is indexed and as it is written, with its number of products.
    let mut completions: Vec<(String, String, usize)> = Vec::new();
    for name in product_names {
        let mut counted = HashSet::new();
        for written in name.split(|c: char| !text::is_word_character(c)) {
            let [SearchToken::Word(indexed)] = &search_token::tokenize(written)[..] else { continue };
            let is_completion = indexed != &last.typed && indexed.starts_with(&last.typed);
            if !is_completion || !counted.insert(indexed.clone()) {
                continue;
            }
            match completions.iter_mut().find(|(known, ..)| known == indexed) {
                Some((_, _, count)) => *count += 1,
                None => completions.push((indexed.clone(), written.to_lowercase(), 1)),
            }
        }
    }
    completions.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    let beginning = join_searched_words(first);
    let separator = if beginning.is_empty() { "" } else { " " };
    completions.into_iter().map(|(_, written, _)| format!("{beginning}{separator}{written}")).collect()
}

/// Returns the categories whose names have all words of a search: first those that begin with the search text, then
/// those nearer to the root.
fn find_categories(tree: &CategoryTree, query: &SearchQuery, limit: usize) -> Vec<usize> {
    let words_of_names = tree.search_words().iter().enumerate();
    let matching = words_of_names.filter(|(_, words)| query.matches_words(words));
    let mut indexes: Vec<usize> = matching.map(|(index, _)| index).collect();
    let begins =
        |index: usize| text::normalize_for_search(&tree.node(index).name).starts_with(query.normalized_text.trim());
    indexes.sort_by_cached_key(|index| (!begins(*index), tree.node(*index).depth, *index));
    indexes.truncate(limit);
    indexes
}
