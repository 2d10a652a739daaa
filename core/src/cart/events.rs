//! Events of carts.

use serde::{Deserialize, Serialize};

use crate::infra::outbox::Event;

/// Event emitted when a cart changes: its lines, its details, its owner or its status. Not emitted for a new cart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartChanged {
    /// Id of the cart.
    pub cart: i64,
}

impl Event for CartChanged {
    const KIND: &'static str = "CartChanged";

    fn aggregate(&self) -> String {
        format!("cart:{}", self.cart)
    }
}
