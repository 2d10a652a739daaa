//! Events of payments and refunds.

use serde::{Deserialize, Serialize};

use crate::infra::outbox::Event;

/// Event emitted when unshipped units of an order are canceled, by a refund of lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderUnitsCanceled {
    /// Id of the order.
    pub order: i64,
}

impl Event for OrderUnitsCanceled {
    const KIND: &'static str = "OrderUnitsCanceled";

    fn aggregate(&self) -> String {
        format!("order:{}", self.order)
    }
}

/// Event emitted when a payment was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// Id of the order.
    pub order: i64,
    /// Id of the payment.
    pub payment: i64,
}

impl Event for PaymentCaptured {
    const KIND: &'static str = "PaymentCaptured";

    fn aggregate(&self) -> String {
        format!("order:{}", self.order)
    }
}

/// Event emitted when a payment was declined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFailed {
    /// Id of the order.
    pub order: i64,
    /// Id of the payment.
    pub payment: i64,
}

impl Event for PaymentFailed {
    const KIND: &'static str = "PaymentFailed";

    fn aggregate(&self) -> String {
        format!("order:{}", self.order)
    }
}
