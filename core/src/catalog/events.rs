//! Events of products.

use serde::{Deserialize, Serialize};

use super::cache_tags::{CATALOG, product_tag};
use crate::infra::{cache::CacheTag, outbox::Event};

/// Event emitted when products are created or changed.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProductsChanged {
    /// Product ids.
    pub products: Vec<i64>,
}

impl Event for ProductsChanged {
    const KIND: &'static str = "ProductsChanged";

    fn aggregate(&self) -> String {
        // One aggregate for all products, because the order of batches matters.
        "catalog:1".into()
    }

    fn cache_tags(&self) -> Vec<CacheTag> {
        std::iter::once(CATALOG).chain(self.products.iter().copied().map(product_tag)).collect()
    }
}

/// Event emitted when a product goes on sale.
#[derive(Debug, Deserialize, Serialize)]
pub struct ProductPublished {
    /// Product id.
    pub product: i64,
}

impl Event for ProductPublished {
    const KIND: &'static str = "ProductPublished";

    fn aggregate(&self) -> String {
        format!("product:{}", self.product)
    }
}
