//! Statements of the catalog as text; each file says why.

pub mod product_filter;
pub mod product_queries;
pub mod facets;
mod facet_counter;
mod facet_statement;
pub mod batch_loads;
pub mod search_index;
pub mod search_pages;
mod search_tiers;
mod tiered_pages;
mod pinned_products;
pub(super) mod search_ranking;
pub mod search_report;
pub mod search_rules;
pub mod media_use;
pub(super) mod categories;
pub(super) mod sku_lookup;
