//! Statements of the catalog as text; each file says why.

pub mod product_filter;
pub mod product_queries;
pub mod facets;
pub mod batch_loads;
pub mod search_index;
pub mod media_use;
pub(super) mod categories;
pub(super) mod sku_lookup;
