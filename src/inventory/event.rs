//! What stock tells the world.

use serde::{Deserialize, Serialize};

use crate::infra::outbox::Event;

/// Of a variant there are as few left at a location as staff want to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLow {
    /// The variant.
    pub variant: i64,
    /// Where.
    pub location: i64,
    /// How many can still be promised.
    pub available: i64,
}

impl Event for StockLow {
    const KIND: &'static str = "StockLow";

    fn aggregate(&self) -> String {
        format!("variant:{}", self.variant)
    }
}
