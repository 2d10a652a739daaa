//! Stock events.

use serde::{Deserialize, Serialize};

use crate::{
    catalog::cache_tags::STOCK,
    infra::{cache::CacheTag, outbox::Event},
};

/// Event emitted when the stock of variants changes: what is on hand or reserved, or how it is tracked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockChanged {
    /// The variants, ascending; at least one.
    pub variants: Vec<i64>,
}

impl Event for StockChanged {
    const KIND: &'static str = "StockChanged";

    fn aggregate(&self) -> String {
        // The transaction has locked the stock levels of this variant, so that others do not wait for the number of
        // the event in addition.
        format!("variant:{}", self.variants.first().copied().unwrap_or_default())
    }

    fn cache_tags(&self) -> Vec<CacheTag> {
        vec![STOCK]
    }
}

/// Event emitted when the available stock of a variant at a location falls to its low-stock threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLow {
    /// The variant.
    pub variant: i64,
    /// The location.
    pub location: i64,
    /// Units available.
    pub available: i64,
}

impl Event for StockLow {
    const KIND: &'static str = "StockLow";

    fn aggregate(&self) -> String {
        format!("variant:{}", self.variant)
    }
}
