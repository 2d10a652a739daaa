//! The event types that endpoints can subscribe to. Names never change; docs/WEBHOOKS.md describes each.

use sea_orm::{DeriveActiveEnum, EnumIter};

/// Event type of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum WebhookEventType {
    /// An order was placed.
    #[sea_orm(string_value = "order.placed")]
    OrderPlaced,
    /// An order was changed: its status, payment, fulfillments or notes.
    #[sea_orm(string_value = "order.updated")]
    OrderUpdated,
    /// An order was confirmed.
    #[sea_orm(string_value = "order.confirmed")]
    OrderConfirmed,
    /// Lines of an order were shipped.
    #[sea_orm(string_value = "order.fulfilled")]
    OrderFulfilled,
    /// An order was delivered.
    #[sea_orm(string_value = "order.delivered")]
    OrderDelivered,
    /// An order was canceled.
    #[sea_orm(string_value = "order.canceled")]
    OrderCanceled,
    /// A refund of an order was completed.
    #[sea_orm(string_value = "order.refunded")]
    OrderRefunded,
    /// A payment was captured.
    #[sea_orm(string_value = "payment.captured")]
    PaymentCaptured,
    /// A payment was declined.
    #[sea_orm(string_value = "payment.failed")]
    PaymentFailed,
    /// Products were created or changed.
    #[sea_orm(string_value = "product.updated")]
    ProductUpdated,
    /// A product went on sale.
    #[sea_orm(string_value = "product.published")]
    ProductPublished,
    /// The stock of variants changed.
    #[sea_orm(string_value = "stock.changed")]
    StockChanged,
    /// The stock of a variant at a location fell to its threshold.
    #[sea_orm(string_value = "stock.low")]
    StockLow,
    /// A customer account was created.
    #[sea_orm(string_value = "customer.created")]
    CustomerCreated,
    /// A customer was changed.
    #[sea_orm(string_value = "customer.updated")]
    CustomerUpdated,
    /// The personal data of a customer was erased.
    #[sea_orm(string_value = "customer.deleted")]
    CustomerDeleted,
    /// A test by staff; every endpoint accepts it.
    #[sea_orm(string_value = "webhook.test")]
    Test,
}

impl WebhookEventType {
    /// The types that endpoints can subscribe to.
    pub const SUBSCRIBABLE: [Self; 16] = [
        Self::OrderPlaced,
        Self::OrderUpdated,
        Self::OrderConfirmed,
        Self::OrderFulfilled,
        Self::OrderDelivered,
        Self::OrderCanceled,
        Self::OrderRefunded,
        Self::PaymentCaptured,
        Self::PaymentFailed,
        Self::ProductUpdated,
        Self::ProductPublished,
        Self::StockChanged,
        Self::StockLow,
        Self::CustomerCreated,
        Self::CustomerUpdated,
        Self::CustomerDeleted,
    ];

    /// Returns the name, as it is sent and stored.
    #[must_use]
    pub fn name(self) -> String {
        sea_orm::ActiveEnum::to_value(&self)
    }

    /// Returns the type that can be subscribed to with a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::SUBSCRIBABLE.into_iter().find(|event_type| event_type.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    #[test]
    fn every_type_except_the_test_can_be_subscribed_to() {
        for event_type in WebhookEventType::iter() {
            let found = WebhookEventType::from_name(&event_type.name());
            assert_eq!(found, (event_type != WebhookEventType::Test).then_some(event_type));
        }
        assert_eq!(WebhookEventType::iter().count(), WebhookEventType::SUBSCRIBABLE.len() + 1);
    }
}
