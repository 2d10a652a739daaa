//! The domain events that become webhooks. To add one: implement [`WebhookSource`], and register the handler in
//! `job_registry.rs`.

use super::WebhookEventType;
use crate::{
    catalog::events::{ProductPublished, ProductsChanged},
    identity::events::{CustomerDeleted, CustomerRegistered, CustomerUpdated},
    infra::outbox::Event,
    inventory::{StockChanged, StockLow},
    order::{OrderPlaced, OrderRefunded, OrderShipped, OrderStatusChanged, OrderUpdated, Status},
    payment::events::{PaymentCaptured, PaymentFailed},
};

/// What an event is about; its data are read by these keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventSubject {
    /// An order, and the fulfillment, the refund or the payment that the event is about.
    Order {
        /// Id of the order.
        order: i64,
        /// Id of the fulfillment.
        fulfillment: Option<i64>,
        /// Id of the refund.
        refund: Option<i64>,
        /// Id of the payment.
        payment: Option<i64>,
    },
    /// Products.
    Products(Vec<i64>),
    /// Variants.
    Variants(Vec<i64>),
    /// A variant with little stock at a location.
    LowStock(StockLow),
    /// A customer.
    Customer(i64),
}

impl EventSubject {
    const fn order(order: i64) -> Self {
        Self::Order { order, fulfillment: None, refund: None, payment: None }
    }
}

/// A domain event that becomes a webhook.
pub trait WebhookSource: Event {
    /// Returns the type and the subject of the webhook; `None` if the event does not become one.
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)>;
}

impl WebhookSource for OrderPlaced {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::OrderPlaced, EventSubject::order(self.order)))
    }
}

impl WebhookSource for OrderUpdated {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::OrderUpdated, EventSubject::order(self.order)))
    }
}

impl WebhookSource for OrderStatusChanged {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        let event_type = match self.to {
            Status::Confirmed => WebhookEventType::OrderConfirmed,
            Status::Delivered => WebhookEventType::OrderDelivered,
            Status::Canceled => WebhookEventType::OrderCanceled,
            // Fulfillments and refunds have events of their own.
            Status::Pending | Status::Processing | Status::Shipped | Status::Refunded => return None,
        };
        Some((event_type, EventSubject::order(self.order)))
    }
}

impl WebhookSource for OrderShipped {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        let subject =
            EventSubject::Order { order: self.order, fulfillment: Some(self.fulfillment), refund: None, payment: None };
        Some((WebhookEventType::OrderFulfilled, subject))
    }
}

impl WebhookSource for OrderRefunded {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        let subject =
            EventSubject::Order { order: self.order, fulfillment: None, refund: Some(self.refund), payment: None };
        Some((WebhookEventType::OrderRefunded, subject))
    }
}

impl WebhookSource for PaymentCaptured {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::PaymentCaptured, payment_subject(self.order, self.payment)))
    }
}

impl WebhookSource for PaymentFailed {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::PaymentFailed, payment_subject(self.order, self.payment)))
    }
}

const fn payment_subject(order: i64, payment: i64) -> EventSubject {
    EventSubject::Order { order, fulfillment: None, refund: None, payment: Some(payment) }
}

impl WebhookSource for ProductsChanged {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::ProductUpdated, EventSubject::Products(self.products.clone())))
    }
}

impl WebhookSource for ProductPublished {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::ProductPublished, EventSubject::Products(vec![self.product])))
    }
}

impl WebhookSource for StockChanged {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::StockChanged, EventSubject::Variants(self.variants.clone())))
    }
}

impl WebhookSource for StockLow {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::StockLow, EventSubject::LowStock(self.clone())))
    }
}

impl WebhookSource for CustomerRegistered {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::CustomerCreated, EventSubject::Customer(self.customer)))
    }
}

impl WebhookSource for CustomerUpdated {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::CustomerUpdated, EventSubject::Customer(self.customer)))
    }
}

impl WebhookSource for CustomerDeleted {
    fn to_webhook(&self) -> Option<(WebhookEventType, EventSubject)> {
        Some((WebhookEventType::CustomerDeleted, EventSubject::Customer(self.customer)))
    }
}
