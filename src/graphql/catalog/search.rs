//! Suggestions for a search box, and what a product list searched for.

use async_graphql::{Context, Object, SimpleObject};
use macros::BatchedObject;

use super::{category::Category, product::Product, queries::ProductList};
use crate::{
    base::{Error, LanguageCode, Result},
    catalog::search::{
        MAX_SEARCH_TEXT_LENGTH, QueryWord,
        suggest::{self, SuggestionRequest},
    },
    graphql::{
        batched::{BatchedList, Selection},
        context::request_context,
        scalars::LanguageScalar,
    },
};

/// Complexity of the search behind the suggestions, without those that are selected.
const SUGGEST_COST: usize = 100;
/// Default number of suggestions of each kind.
const DEFAULT_SUGGESTIONS: i32 = 10;
/// Maximum number of suggestions of each kind.
const MAX_SUGGESTIONS: usize = 20;

/// Search suggestions, best match first. Empty lists if the text contains no word.
#[derive(Debug, SimpleObject)]
#[graphql(name = "SearchSuggestions")]
pub struct SearchSuggestionsObject {
    /// Search terms: the text with misspelled words corrected, and with its last word completed by words of the names of
    /// matching products.
    queries: Vec<String>,
    /// Published products that match.
    products: BatchedList<Product>,
    /// Categories whose names contain all words.
    categories: BatchedList<Category>,
}

/// Word of a search that was replaced, because no product contains it.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct SearchCorrection {
    /// Word as typed, without case and accents.
    word: String,
    /// Words searched for instead, any of them; nearest first. Words that only unpublished products contain are omitted
    /// for shoppers.
    replacements: Vec<String>,
}

/// Word of a search that has synonyms; products with any of them match as well.
#[derive(Debug, Clone, SimpleObject, BatchedObject)]
pub struct SearchExpansion {
    /// Word as typed, without case and accents, or several words that have synonyms together.
    word: String,
    /// Synonyms that are searched for as well, without case and accents.
    synonyms: Vec<String>,
}

/// Search of a product list.
#[derive(Debug)]
pub struct ProductSearch<'a>(pub &'a ProductList);

/// Search of a product list.
#[Object]
impl ProductSearch<'_> {
    /// Search text of the filter.
    async fn query(&self) -> &str {
        self.0.search_text().unwrap_or_default()
    }

    /// Words of the search text, without case and accents: as typed, or the nearest replacement. Words that have synonyms
    /// together are one. At most 12.
    async fn words(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        let corrections = self.0.corrections(request_context(ctx)).await?;
        Ok(corrections.words().iter().map(|word| word.searched().to_owned()).collect())
    }

    /// Misspelled words that were replaced; empty if the words were searched for as typed.
    async fn corrected(&self, ctx: &Context<'_>) -> Result<Vec<SearchCorrection>> {
        let corrections = self.0.corrections(request_context(ctx)).await?;
        let replaced = corrections.words().iter().filter(|word| !word.corrections.is_empty());
        let to_correction = |QueryWord { typed, corrections, .. }: &QueryWord| SearchCorrection {
            word: typed.clone(),
            replacements: corrections.clone(),
        };
        Ok(replaced.map(to_correction).collect())
    }

    /// Words with the synonyms that staff have set for them; empty if there are none. They are not corrected.
    async fn expanded(&self, ctx: &Context<'_>) -> Result<Vec<SearchExpansion>> {
        let corrections = self.0.corrections(request_context(ctx)).await?;
        let expanded = corrections.words().iter().filter(|word| !word.synonyms.is_empty());
        let to_expansion = |QueryWord { typed, synonyms, .. }: &QueryWord| SearchExpansion {
            word: typed.clone(),
            synonyms: synonyms.clone(),
        };
        Ok(expanded.map(to_expansion).collect())
    }

    /// Words that are not searched for, because no product has them; empty unless `matchesAny`.
    async fn dropped(&self, ctx: &Context<'_>) -> Result<Vec<String>> {
        let corrections = self.0.corrections(request_context(ctx)).await?;
        let dropped = corrections.words().iter().filter(|word| word.is_dropped);
        Ok(dropped.map(|word| word.typed.clone()).collect())
    }

    /// Whether products match any of the words, because no product matches all of them.
    async fn matches_any(&self) -> bool {
        self.0.matches_any()
    }

    /// Search text with the nearest replacements, for "Results for …"; null if no word was replaced.
    async fn corrected_query(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(self.0.corrections(request_context(ctx)).await?.corrected_text())
    }
}

/// Queries of the search box.
#[derive(Debug, Default)]
pub struct SearchSuggestQuery;

#[Object]
impl SearchSuggestQuery {
    /// Suggestions for a search box: search terms, published products and categories.
    #[graphql(
        complexity = "usize::try_from(first).unwrap_or(0).saturating_mul(child_complexity).saturating_add(SUGGEST_COST)"
    )]
    async fn search_suggest(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Text in the search box, at most 200 characters.")] query: String,
        #[graphql(desc = "Maximum number of suggestions of each kind (0-20).", default_with = "DEFAULT_SUGGESTIONS")]
        first: i32,
        #[graphql(desc = "Language of the text, whose synonyms apply; the language of the shop by default.")]
        language: Option<LanguageScalar>,
    ) -> Result<SearchSuggestionsObject> {
        if query.chars().count() > MAX_SEARCH_TEXT_LENGTH {
            return Err(Error::bad_input("query", format!("a search has at most {MAX_SEARCH_TEXT_LENGTH} characters")));
        }
        let Some(limit) = usize::try_from(first).ok().filter(|limit| *limit <= MAX_SUGGESTIONS) else {
            return Err(Error::bad_input("first", format!("`first` must be from 0 to {MAX_SUGGESTIONS}")));
        };
        let context = request_context(ctx);
        let columns = Selection::of_field(ctx).nested_columns::<Product>("products");
        let language = language.map_or(context.app_state.config.shop.language, LanguageCode::from);
        let rules = context.app_state.search_rules_cache.current();
        let request = SuggestionRequest { search_text: query, language, rules, limit, columns };
        let tree = context.category_tree();
        let ways = context.app_state.search_ways.clone();
        let suggest = |db| async move { suggest::suggest(&db, &ways, &tree, request).await };
        let found = context.run_expensive_read(suggest).await?;
        let tree = context.category_tree();
        Ok(SearchSuggestionsObject {
            queries: found.queries,
            products: BatchedList::limited(found.products.into_iter().map(Product::from)),
            categories: BatchedList::limited(
                found.category_indexes.into_iter().map(|index| Category::from_index(&tree, index)),
            ),
        })
    }
}
