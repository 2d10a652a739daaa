//! Catalog: products and variants, the category tree, product lists, facets and search.

pub mod product_input;
pub mod entity;
pub mod projection;
pub mod category_tree;
mod validation_errors;
pub mod category;
pub mod price;
pub mod sanitize;
pub mod search;
pub mod product_filter;
pub mod loader;
pub mod product_queries;
pub mod facets;
mod sku_generator;
mod row_values;
mod match_existing;
mod child_rows;
pub mod persist;
pub mod write;
pub mod price_refresh;

pub use category_tree::{CategoryTree, CategoryTreeCache};
pub use entity::{category as category_row, product, variant};
pub use persist::save_products;
pub use price_refresh::refresh_prices;
pub use product_filter::CatalogFilter;
pub use product_input::{ProductImageInput, ProductInput, PublicationStatus, SaleInput, VariantInput};
pub use row_values::DEFAULT_VARIANT_NAME as DEFAULT_VARIANT;
pub use validation_errors::ExpectedVersion;
