//! Products, variants and categories.

pub mod availability;
pub mod category;
pub mod image;
pub mod measure;
pub mod seo;
pub mod product;
pub mod product_option;
pub mod variant;
pub mod variant_list;
pub mod filter;
pub mod facets;
pub mod facet_filters;
pub mod search;
pub mod search_synonyms;
pub mod search_pins;
pub mod search_ranking;
pub mod search_report;
pub mod queries;
pub mod mutations;

use async_graphql::MergedObject;

/// Catalog queries.
#[derive(Debug, Default, MergedObject)]
pub struct CatalogQuery(
    queries::ProductQuery,
    category::CategoryQuery,
    search::SearchSuggestQuery,
    search_synonyms::SearchSynonymQuery,
    search_pins::SearchPinQuery,
    search_ranking::SearchRankingQuery,
    search_report::SearchReportQuery,
);
