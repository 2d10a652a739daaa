//! Where an order may go from where it stands. Pure: no step is taken here.

use serde::{Deserialize, Serialize};

use crate::base::{Error, error::Code};

macro_rules! stored {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
        #[sea_orm(rs_type = "String", db_type = "Text")]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$one])* #[sea_orm(string_value = $word)] $variant),*
        }

        impl $name {
            /// All there are.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As it is stored.
            #[must_use]
            pub const fn stored(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }

            /// The one that is stored so.
            #[must_use]
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.stored() == word)
            }
        }
    };
}

stored!(
    /// How far an order has come.
    Status {
        /// It was placed; nobody has looked at it, or it is not paid.
        Pending = "pending",
        /// The shop will send it.
        Confirmed = "confirmed",
        /// A part of it is on its way.
        Processing = "processing",
        /// All of it is on its way.
        Shipped = "shipped",
        /// It has arrived.
        Delivered = "delivered",
        /// It will never be sent.
        Cancelled = "cancelled",
        /// All the money has gone back.
        Refunded = "refunded",
    }
);

stored!(
    /// Where an order's money is.
    PaymentStatus {
        /// Nobody knows yet.
        Pending = "pending",
        /// It is promised: by a bank, or to be paid at the door.
        Authorised = "authorised",
        /// The shop has it.
        Paid = "paid",
        /// A part of it has gone back.
        PartiallyRefunded = "partially_refunded",
        /// All of it has gone back.
        Refunded = "refunded",
        /// It will never come.
        Voided = "voided",
    }
);

stored!(
    /// How much of an order is on its way.
    FulfilmentStatus {
        /// Nothing.
        Unfulfilled = "unfulfilled",
        /// A part.
        Partial = "partial",
        /// Everything.
        Fulfilled = "fulfilled",
    }
);

/// What can be done with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The shop takes it on.
    Confirm,
    /// A parcel goes off; the last one, or one of several.
    Fulfil {
        /// Whether nothing is left to be sent.
        last: bool,
    },
    /// It has arrived.
    Deliver,
    /// It will not be sent.
    Cancel,
    /// All its money goes back.
    Refund,
}

impl Step {
    const ALL: [Self; 5] = [Self::Confirm, Self::Fulfil { last: true }, Self::Deliver, Self::Cancel, Self::Refund];

    /// What it is called towards those who may take it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Fulfil { .. } => "fulfil",
            Self::Deliver => "deliver",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
        }
    }
}

impl Status {
    /// Where a step leads; `None` when it cannot be taken.
    #[must_use]
    pub const fn after(self, step: Step) -> Option<Self> {
        match (self, step) {
            (Self::Pending, Step::Confirm) => Some(Self::Confirmed),
            (Self::Confirmed | Self::Processing, Step::Fulfil { last: false }) => Some(Self::Processing),
            (Self::Confirmed | Self::Processing, Step::Fulfil { last: true }) => Some(Self::Shipped),
            (Self::Shipped, Step::Deliver) => Some(Self::Delivered),
            (Self::Pending | Self::Confirmed, Step::Cancel) => Some(Self::Cancelled),
            (Self::Confirmed | Self::Processing | Self::Shipped | Self::Delivered, Step::Refund) => {
                Some(Self::Refunded)
            }
            _ => None,
        }
    }

    /// What can be done from here.
    pub fn possible(self) -> impl Iterator<Item = Step> {
        Step::ALL.into_iter().filter(move |step| self.after(*step).is_some())
    }

    /// Where a step leads.
    ///
    /// # Errors
    /// When it cannot be taken, with what could be done instead.
    pub fn take(self, step: Step) -> Result<Self, Error> {
        self.after(step).ok_or_else(|| {
            let possible: Vec<_> = self.possible().map(Step::name).collect();
            let instead = if possible.is_empty() {
                "nothing more can be done with it".to_owned()
            } else {
                format!("it can: {}", possible.join(", "))
            };
            let message = format!("an order that is {} cannot {}; {instead}", self.stored(), step.name());
            Error::user(Code::IllegalTransition, "id", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_goes_forward_or_ends() {
        let rank = |status: Status| Status::ALL.iter().position(|one| *one == status);
        for from in Status::ALL {
            for step in Step::ALL.into_iter().chain([Step::Fulfil { last: false }]) {
                let Some(to) = from.after(step) else { continue };
                let stays = *from == Status::Processing && to == Status::Processing;
                assert!(stays || rank(to) > rank(*from), "{from:?} {step:?} {to:?}");
            }
        }
    }

    #[test]
    fn every_end_is_reached_and_left_by_nothing() {
        let mut known = vec![Status::Pending];
        let mut next = 0;
        while let Some(from) = known.get(next).copied() {
            next += 1;
            for step in Step::ALL.into_iter().chain([Step::Fulfil { last: false }]) {
                known.extend(from.after(step).filter(|to| !known.contains(to)));
            }
        }
        assert_eq!(known.len(), Status::ALL.len());
        for end in [Status::Cancelled, Status::Refunded] {
            assert_eq!(end.possible().count(), 0, "{end:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_was_possible() {
        let why = Status::Shipped.take(Step::Cancel).err().map(|why| why.public().message);
        assert_eq!(why.as_deref(), Some("an order that is shipped cannot cancel; it can: deliver, refund"));
    }
}
