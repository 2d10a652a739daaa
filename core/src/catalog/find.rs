//! Finding products: pages, counts and facets of a filter, with or without a search.
//!
//! Callers name these functions only, not the statements behind them: a search engine could answer a search instead of the
//! database.

use sea_orm::ConnectionTrait;

pub use super::queries::{
    facets::{CountedFacet, CountedFacets, FacetCounts},
    product_queries::{MAX_COUNTED_PRODUCTS, ProductCount, ProductRow, ProductWindow},
};
use super::{
    CategoryTree,
    queries::{facets, product_filter::ResolvedCatalogFilter, product_queries, search_pages},
    search::way::SearchWays,
};
use crate::{
    base::{Result, pagination::Page},
    infra::Db,
};

/// Returns a page of the matching products. Statements: 1; 2 if a search finds fewer products than it did before.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn find_page(
    db: &impl ConnectionTrait,
    ways: &SearchWays,
    filter: &ResolvedCatalogFilter,
    window: &ProductWindow<'_>,
) -> Result<Page<ProductRow>> {
    search_pages::load_search_page(db, ways, filter, window).await
}

/// Returns the number of matching products, up to [`MAX_COUNTED_PRODUCTS`]. Statements: 1.
pub async fn count_products(db: &impl ConnectionTrait, filter: &ResolvedCatalogFilter) -> Result<ProductCount> {
    product_queries::count_products(db, filter).await
}

/// Returns facets of the matching products. Statements: 1 for any number of facets.
pub async fn count_facets(
    db: &Db,
    filter: &ResolvedCatalogFilter,
    tree: &CategoryTree,
    facets: CountedFacets,
) -> Result<FacetCounts> {
    facets::count_facets(db, filter, tree, facets).await
}
