//! Enums and numbers that several types share.

use async_graphql::Enum;

/// Language of notifications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::base::LanguageCode")]
pub enum Language {
    /// English.
    #[graphql(name = "EN")]
    English,
    /// Swahili.
    #[graphql(name = "SW")]
    Swahili,
}

/// Event that triggers a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::notification::NotificationEventType")]
pub enum NotificationEvent {
    /// An order was placed.
    OrderPlaced,
    /// An order was confirmed.
    OrderConfirmed,
    /// A fulfillment of an order was shipped.
    OrderShipped,
    /// An order was delivered.
    OrderDelivered,
    /// An order was canceled.
    #[graphql(name = "ORDER_CANCELLED")]
    OrderCanceled,
    /// A refund was issued.
    OrderRefunded,
    /// Verification of an email address; sent on request.
    VerifyEmail,
    /// Password reset; sent on request.
    ResetPassword,
}

/// Clamps to the 32-bit range of `Int`.
pub(super) fn clamp_to_i32(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}
