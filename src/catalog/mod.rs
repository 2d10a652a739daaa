//! What the shop sells: products and their variants, the category tree, lists, facets and search.

pub mod draft;
pub mod entity;
pub mod columns;
pub mod tree;
mod wrong;
pub mod category;
pub mod price;
pub mod html;
pub mod search;
pub mod filter;
pub mod loader;
pub mod list;
pub mod facet;
mod sku;
mod lay;
mod merge;
mod parts;
pub mod save;
pub mod edit;
pub mod reprice;

pub use draft::{ImageDraft, ProductDraft, Sale, Status, VariantDraft};
pub use entity::{category as category_row, product, variant};
pub use filter::Filter;
pub use lay::ONLY as DEFAULT_VARIANT;
pub use reprice::reprice;
pub use save::save;
pub use tree::{Forest, Tree};
pub use wrong::Expected;
