//! Statuses of orders, and the actions that they allow.

use async_graphql::Enum;

use crate::order::{self, Status, state_machine::OrderAction};

/// Status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Status")]
pub enum OrderStatus {
    /// Placed, but not confirmed or not paid.
    Pending,
    /// Confirmed; will be shipped.
    Confirmed,
    /// Partially shipped.
    Processing,
    /// Completely shipped.
    Shipped,
    /// Delivered.
    Delivered,
    /// Canceled; will not be shipped.
    Canceled,
    /// Completely refunded.
    Refunded,
}

/// Payment status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "order::PaymentStatus")]
pub enum OrderPaymentStatus {
    /// Pending: the result is not known yet.
    Pending,
    /// Authorized by the payment provider, or payable on delivery.
    Authorized,
    /// Captured.
    Paid,
    /// Partially refunded.
    PartiallyRefunded,
    /// Completely refunded.
    Refunded,
    /// Failed or voided.
    Voided,
}

/// Fulfillment status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "order::FulfillmentStatus", name = "FulfillmentStatus")]
pub enum FulfillmentStatusEnum {
    /// Nothing is shipped.
    Unfulfilled,
    /// Partially shipped.
    Partial,
    /// Completely shipped.
    Fulfilled,
}

/// Action on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "OrderAction")]
pub enum OrderActionEnum {
    /// Confirm the order.
    Confirm,
    /// Ship all or some lines.
    Fulfill,
    /// Mark the order as delivered.
    Deliver,
    /// Cancel the order: before shipment, or after its return if no payment was captured.
    Cancel,
    /// Refund the payment.
    Refund,
}

impl OrderActionEnum {
    /// Returns the action in the API; `None` for an action that no caller can request.
    pub(super) const fn from_action(action: OrderAction) -> Option<Self> {
        Some(match action {
            OrderAction::Confirm => Self::Confirm,
            OrderAction::Fulfill { .. } => Self::Fulfill,
            OrderAction::Deliver => Self::Deliver,
            OrderAction::Cancel => Self::Cancel,
            OrderAction::Refund => Self::Refund,
            OrderAction::Reinstate => return None,
        })
    }
}
