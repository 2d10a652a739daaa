//! Stock events.

use serde::{Deserialize, Serialize};

use crate::infra::outbox::Event;

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
