//! What the shop writes about, and by which way.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the shop writes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// An order has come in.
    OrderPlaced,
    /// The shop will carry it out.
    OrderConfirmed,
    /// A parcel of it is on its way.
    OrderShipped,
    /// It has arrived.
    OrderDelivered,
    /// It will not be carried out.
    OrderCancelled,
    /// Money goes back.
    OrderRefunded,
    /// Somebody is to show that an e-mail address is theirs.
    VerifyEmail,
    /// Somebody is to set a new password.
    ResetPassword,
}

/// By which way something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A letter.
    Email,
    /// A short message to a telephone.
    Sms,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::OrderPlaced,
        Self::OrderConfirmed,
        Self::OrderShipped,
        Self::OrderDelivered,
        Self::OrderCancelled,
        Self::OrderRefunded,
        Self::VerifyEmail,
        Self::ResetPassword,
    ];

    /// As it is stored, and as its words' file is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderPlaced => "order_placed",
            Self::OrderConfirmed => "order_confirmed",
            Self::OrderShipped => "order_shipped",
            Self::OrderDelivered => "order_delivered",
            Self::OrderCancelled => "order_cancelled",
            Self::OrderRefunded => "order_refunded",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }

    /// Whether customers choose to hear of it. What they have asked for themselves they get.
    #[must_use]
    pub const fn is_chosen(self) -> bool {
        !matches!(self, Self::VerifyEmail | Self::ResetPassword)
    }

    /// Whether it is told this way to somebody who has not chosen.
    #[must_use]
    pub const fn by_default(self, channel: Channel) -> bool {
        match channel {
            Channel::Email => true,
            // These are paid for one by one: only what somebody waits for.
            Channel::Sms => matches!(self, Self::OrderPlaced | Self::OrderShipped | Self::OrderDelivered),
        }
    }
}

impl FromStr for Occasion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|one| one.name() == text);
        found.ok_or_else(|| format!("nothing is told of `{text}`"))
    }
}

impl Channel {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Email, Self::Sms];

    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

impl FromStr for Channel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| format!("nothing goes by `{text}`"))
    }
}
