//! Catalog: products and variants, the category tree, product lists, facets and search.

pub mod measure;
pub mod entity;
pub mod cache_tags;
pub mod events;
pub mod projection;
pub mod category_tree;
pub mod category;
pub mod price;
pub mod sanitize;
pub mod search;
pub mod catalog_filter;
pub mod queries;
pub mod find;
pub mod loader;
pub mod write;
pub mod image_copy;
pub mod price_refresh;
mod product_lock;

pub use catalog_filter::{CatalogFilter, CategoryKey};
pub use category_tree::{CategoryTree, CategoryTreeCache};
pub use entity::{PublicationStatus, category as category_row, product, variant};
pub use loader::ProductImage;
pub use price_refresh::refresh_prices;
pub use queries::{facets, product_filter, product_queries};
pub use write::{CategoryInput, DEFAULT_VARIANT_NAME as DEFAULT_VARIANT, ProductPatch, SaleInput, VariantPatch};
