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

impl PaymentStatus {
    /// Whether the shop has taken the money, also when it has been refunded since.
    #[must_use]
    pub const fn is_captured(self) -> bool {
        matches!(self, Self::Paid | Self::PartiallyRefunded | Self::Refunded)
    }
}

impl Status {
    /// Returns where a step leads, by the order's payment; `None` when it cannot be taken.
    ///
    /// An order that has left the shop can still be canceled while its money is not captured: the parcel came back. Money
    /// can be refunded only after it was captured.
    #[must_use]
    pub const fn after(self, step: Step, payment: PaymentStatus) -> Option<Self> {
        match (self, step) {
            (Self::Pending, Step::Confirm) => Some(Self::Confirmed),
            (Self::Confirmed | Self::Processing, Step::Fulfil { last: false }) => Some(Self::Processing),
            (Self::Confirmed | Self::Processing, Step::Fulfil { last: true }) => Some(Self::Shipped),
            (Self::Shipped, Step::Deliver) => Some(Self::Delivered),
            (Self::Pending | Self::Confirmed, Step::Cancel) => Some(Self::Cancelled),
            (Self::Processing | Self::Shipped, Step::Cancel) if !payment.is_captured() => Some(Self::Cancelled),
            (Self::Confirmed | Self::Processing | Self::Shipped | Self::Delivered, Step::Refund)
                if payment.is_captured() =>
            {
                Some(Self::Refunded)
            }
            _ => None,
        }
    }

    /// Whether its buyer can still cancel it: nothing has been shipped.
    #[must_use]
    pub const fn is_cancellable_by_buyer(self) -> bool {
        matches!(self, Self::Pending | Self::Confirmed)
    }

    /// What can be done from here, by the order's payment.
    pub fn possible(self, payment: PaymentStatus) -> impl Iterator<Item = Step> {
        Step::ALL.into_iter().filter(move |step| self.after(*step, payment).is_some())
    }

    /// Where a step leads.
    ///
    /// # Errors
    /// When it cannot be taken, with what could be done instead.
    pub fn take(self, step: Step, payment: PaymentStatus) -> Result<Self, Error> {
        self.after(step, payment).ok_or_else(|| {
            let possible: Vec<_> = self.possible(payment).map(Step::name).collect();
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

    const STEPS: [Step; 6] = [
        Step::Confirm,
        Step::Fulfil { last: true },
        Step::Fulfil { last: false },
        Step::Deliver,
        Step::Cancel,
        Step::Refund,
    ];

    #[test]
    fn an_order_goes_forward_or_ends() {
        let rank = |status: Status| Status::ALL.iter().position(|one| *one == status);
        for (from, payment) in Status::ALL.iter().flat_map(|from| PaymentStatus::ALL.iter().map(move |one| (from, one)))
        {
            for step in STEPS {
                let Some(to) = from.after(step, *payment) else { continue };
                let stays = *from == Status::Processing && to == Status::Processing;
                assert!(stays || rank(to) > rank(*from), "{from:?} {payment:?} {step:?} {to:?}");
            }
        }
    }

    #[test]
    fn every_end_is_reached_and_left_by_nothing() {
        let mut known = vec![Status::Pending];
        let mut next = 0;
        while let Some(from) = known.get(next).copied() {
            next += 1;
            for (step, payment) in
                STEPS.into_iter().flat_map(|step| PaymentStatus::ALL.iter().map(move |one| (step, one)))
            {
                known.extend(from.after(step, *payment).filter(|to| !known.contains(to)));
            }
        }
        assert_eq!(known.len(), Status::ALL.len());
        for payment in PaymentStatus::ALL {
            for end in [Status::Cancelled, Status::Refunded] {
                assert_eq!(end.possible(*payment).count(), 0, "{end:?} {payment:?}");
            }
        }
    }

    #[test]
    fn cancel_depends_on_what_was_shipped_and_captured() {
        use PaymentStatus::{Authorised, Paid, PartiallyRefunded, Pending, Refunded, Voided};
        for payment in [Pending, Authorised, Voided, Paid, PartiallyRefunded, Refunded] {
            let captured = [Paid, PartiallyRefunded, Refunded].contains(&payment);
            for from in Status::ALL {
                let expected = match from {
                    Status::Pending | Status::Confirmed => true,
                    Status::Processing | Status::Shipped => !captured,
                    Status::Delivered | Status::Cancelled | Status::Refunded => false,
                };
                let to = from.after(Step::Cancel, payment);
                assert_eq!(to, expected.then_some(Status::Cancelled), "{from:?} {payment:?}");
                assert!(!from.is_cancellable_by_buyer() || expected, "{from:?}");
            }
        }
    }

    #[test]
    fn refund_needs_captured_money() {
        let confirmed = Status::Confirmed;
        assert_eq!(confirmed.after(Step::Refund, PaymentStatus::Authorised), None);
        assert_eq!(confirmed.after(Step::Refund, PaymentStatus::Paid), Some(Status::Refunded));
        assert_eq!(Status::Pending.after(Step::Refund, PaymentStatus::Paid), None);
    }

    #[test]
    fn a_refusal_says_what_was_possible() {
        let message = |payment| Status::Delivered.take(Step::Cancel, payment).err().map(|why| why.public().message);
        let paid = message(PaymentStatus::Paid);
        assert_eq!(paid.as_deref(), Some("an order that is delivered cannot cancel; it can: refund"));
        let unpaid = message(PaymentStatus::Authorised);
        let nothing = "an order that is delivered cannot cancel; nothing more can be done with it";
        assert_eq!(unpaid.as_deref(), Some(nothing));
    }
}
