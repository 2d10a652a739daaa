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
    /// The link to an order was requested.
    OrderLink,
    /// Verification of an e-mail address was requested.
    VerifyEmail,
    /// A password reset was requested.
    ResetPassword,
    /// A change of the e-mail address was requested; sent to the new address.
    ChangeEmail,
    /// A change to the address of another account was requested; sent to the owner of the address.
    EmailInUse,
    /// The e-mail address was changed; sent to both addresses.
    EmailChanged,
    /// A one-time code was requested.
    LoginCode,
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
    /// Returns whether customers can disable it. Messages that they requested, and those about their login, are always
    /// sent.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        self.is_about_order() && !matches!(self, Self::OrderLink)
    }

    /// Returns whether it is about an order, and has its data.
    #[must_use]
    pub const fn is_about_order(self) -> bool {
        match self {
            Self::OrderPlaced
            | Self::OrderConfirmed
            | Self::OrderShipped
            | Self::OrderDelivered
            | Self::OrderCanceled
            | Self::OrderRefunded
            | Self::OrderLink => true,
            Self::VerifyEmail
            | Self::ResetPassword
            | Self::ChangeEmail
            | Self::EmailInUse
            | Self::EmailChanged
            | Self::LoginCode => false,
        }
    }

    /// Returns whether it can be sent on the channel.
    #[must_use]
    pub const fn supports_channel(self, channel: NotificationChannel) -> bool {
        match channel {
            NotificationChannel::Email => true,
            NotificationChannel::Sms => self.is_optional() || matches!(self, Self::LoginCode),
        }
    }

    /// Returns whether the channel is enabled for accounts without a preference.
    #[must_use]
    pub const fn is_enabled_by_default(self, channel: NotificationChannel) -> bool {
        match channel {
            NotificationChannel::Email => true,
            // SMS are charged individually: enabled only for what customers wait for.
            NotificationChannel::Sms => {
                matches!(self, Self::OrderPlaced | Self::OrderShipped | Self::OrderDelivered | Self::LoginCode)
            }
        }
    }
}
