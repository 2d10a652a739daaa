//! Tags of cached catalog data.
//!
//! A change of a row invalidates its own tag and that of its set, so a value that depends on very many rows can depend
//! on the set instead.

use crate::infra::cache::CacheTag;

/// Set of the visible products, their order and all their data except stock.
pub const CATALOG: CacheTag = CacheTag::of_set("catalog");
/// Category tree.
pub const CATEGORIES: CacheTag = CacheTag::of_set("categories");
/// Stock of all variants.
pub const STOCK: CacheTag = CacheTag::of_set("stock");

/// Returns the tag of a product with its variants and their stock.
#[must_use]
pub const fn product_tag(id: i64) -> CacheTag {
    CacheTag::of_row("product", id)
}

/// Returns the tag of a category.
#[must_use]
pub const fn category_tag(id: i64) -> CacheTag {
    CacheTag::of_row("category", id)
}
