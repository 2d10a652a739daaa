//! Events of products.

use serde::{Deserialize, Serialize};

use crate::infra::outbox::Event;

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
