//! Event types and channels of notifications.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Event that customers are notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationEventType {
    /// An order was placed.
    OrderPlaced,
    /// An order was confirmed.
    OrderConfirmed,
    /// A fulfillment of an order was shipped.
    OrderShipped,
    /// An order was delivered.
    OrderDelivered,
    /// An order was canceled.
    OrderCanceled,
    /// A refund was completed.
    OrderRefunded,
    /// Verification of an e-mail address was requested.
    VerifyEmail,
    /// A password reset was requested.
    ResetPassword,
}

/// Channel of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationChannel {
    /// Email.
    Email,
    /// SMS.
    Sms,
}

impl NotificationEventType {
    /// All event types.
    pub const ALL: [Self; 8] = [
        Self::OrderPlaced,
        Self::OrderConfirmed,
        Self::OrderShipped,
        Self::OrderDelivered,
        Self::OrderCanceled,
        Self::OrderRefunded,
        Self::VerifyEmail,
        Self::ResetPassword,
    ];

    /// Returns the stored name, which is also the template's file name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderPlaced => "order_placed",
            Self::OrderConfirmed => "order_confirmed",
            Self::OrderShipped => "order_shipped",
            Self::OrderDelivered => "order_delivered",
            Self::OrderCanceled => "order_canceled",
            Self::OrderRefunded => "order_refunded",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }

    /// Returns whether customers can disable it. Emails that they requested are always sent.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        !matches!(self, Self::VerifyEmail | Self::ResetPassword)
    }

    /// Returns whether the channel is enabled for accounts without a preference.
    #[must_use]
    pub const fn is_enabled_by_default(self, channel: NotificationChannel) -> bool {
        match channel {
            NotificationChannel::Email => true,
            // SMS are charged individually: enabled only for events that customers wait for.
            NotificationChannel::Sms => matches!(self, Self::OrderPlaced | Self::OrderShipped | Self::OrderDelivered),
        }
    }
}

impl FromStr for NotificationEventType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let event_type = Self::ALL.into_iter().find(|candidate| candidate.name() == text);
        event_type.ok_or_else(|| format!("nothing is told of `{text}`"))
    }
}

impl NotificationChannel {
    /// All channels.
    pub const ALL: [Self; 2] = [Self::Email, Self::Sms];

    /// Returns the stored name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

impl FromStr for NotificationChannel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|candidate| candidate.name() == text)
            .ok_or_else(|| format!("nothing goes by `{text}`"))
    }
}
