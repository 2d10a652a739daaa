//! Event types and channels of notifications.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

/// Event that customers are notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum NotificationChannel {
    /// Email.
    Email,
    /// SMS.
    Sms,
}

impl NotificationEventType {
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
