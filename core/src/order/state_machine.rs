//! State machine of orders: statuses, actions and transitions. Pure.

use sea_orm::{ActiveEnum, DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

use crate::base::{Error, error::PublicErrorCode};

/// Status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Placed; not confirmed or not paid yet.
    Pending,
    /// Confirmed; nothing is shipped yet.
    Confirmed,
    /// Partially shipped.
    Processing,
    /// Completely shipped.
    Shipped,
    /// Delivered.
    Delivered,
    /// Canceled; final, unless the payment of an expired order arrives late.
    Canceled,
    /// Completely refunded; final.
    Refunded,
}

/// Payment status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// No result of the provider yet.
    Pending,
    /// Authorized by the provider, or payable on delivery.
    Authorized,
    /// Captured.
    Paid,
    /// Partially refunded.
    PartiallyRefunded,
    /// Completely refunded.
    Refunded,
    /// Voided or declined.
    Voided,
}

/// Fulfillment status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FulfillmentStatus {
    /// No unit is shipped.
    Unfulfilled,
    /// Some units are shipped.
    Partial,
    /// All units are shipped or canceled.
    Fulfilled,
}

/// An action that changes the status of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderAction {
    /// Confirms the order.
    Confirm,
    /// Ships units of the order.
    Fulfill {
        /// Whether no unit remains to be shipped.
        is_last: bool,
    },
    /// Marks the order as delivered.
    Deliver,
    /// Cancels the order.
    Cancel,
    /// Refunds the order completely.
    Refund,
    /// Reinstates an expired order whose payment arrived late. Not available to callers.
    Reinstate,
}

impl OrderAction {
    const ALL: [Self; 5] = [Self::Confirm, Self::Fulfill { is_last: true }, Self::Deliver, Self::Cancel, Self::Refund];

    /// Returns the action's name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Fulfill { .. } => "fulfill",
            Self::Deliver => "deliver",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
            Self::Reinstate => "reinstate",
        }
    }
}

impl PaymentStatus {
    /// Returns whether the payment was captured, even if it was refunded since.
    #[must_use]
    pub const fn is_captured(self) -> bool {
        matches!(self, Self::Paid | Self::PartiallyRefunded | Self::Refunded)
    }
}

impl Status {
    /// Returns the status after an action, given the payment status; `None` if the action is not allowed.
    ///
    /// A shipped order can be canceled while its payment is not captured, for returned shipments. A refund requires a
    /// captured payment.
    #[must_use]
    pub const fn next_status(self, action: OrderAction, payment: PaymentStatus) -> Option<Self> {
        match (self, action) {
            (Self::Pending, OrderAction::Confirm) => Some(Self::Confirmed),
            (Self::Confirmed | Self::Processing, OrderAction::Fulfill { is_last: false }) => Some(Self::Processing),
            (Self::Confirmed | Self::Processing, OrderAction::Fulfill { is_last: true }) => Some(Self::Shipped),
            (Self::Shipped, OrderAction::Deliver) => Some(Self::Delivered),
            (Self::Pending | Self::Confirmed, OrderAction::Cancel) => Some(Self::Canceled),
            (Self::Processing | Self::Shipped, OrderAction::Cancel) if !payment.is_captured() => Some(Self::Canceled),
            (Self::Confirmed | Self::Processing | Self::Shipped | Self::Delivered, OrderAction::Refund)
                if payment.is_captured() =>
            {
                Some(Self::Refunded)
            }
            (Self::Canceled, OrderAction::Reinstate) if payment.is_captured() => Some(Self::Confirmed),
            _ => None,
        }
    }

    /// Returns whether the buyer can cancel the order: nothing has been shipped.
    #[must_use]
    pub const fn is_cancelable_by_buyer(self) -> bool {
        matches!(self, Self::Pending | Self::Confirmed)
    }

    /// Returns the allowed actions, given the payment status.
    pub fn available_actions(self, payment: PaymentStatus) -> impl Iterator<Item = OrderAction> {
        OrderAction::ALL.into_iter().filter(move |action| self.next_status(*action, payment).is_some())
    }

    /// Returns the status after an action.
    ///
    /// # Errors
    /// Returns `IllegalTransition`, with the allowed actions, if the action is not allowed.
    pub fn apply(self, action: OrderAction, payment: PaymentStatus) -> Result<Self, Error> {
        self.next_status(action, payment).ok_or_else(|| {
            let available_actions: Vec<_> = self.available_actions(payment).map(OrderAction::name).collect();
            let alternatives = if available_actions.is_empty() {
                "nothing more can be done with it".to_owned()
            } else {
                format!("it can: {}", available_actions.join(", "))
            };
            let message = format!("an order that is {} cannot {}; {alternatives}", self.to_value(), action.name());
            Error::user(PublicErrorCode::IllegalTransition, "id", message)
        })
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::Iterable;

    use super::*;

    const ACTIONS: [OrderAction; 6] = [
        OrderAction::Confirm,
        OrderAction::Fulfill { is_last: true },
        OrderAction::Fulfill { is_last: false },
        OrderAction::Deliver,
        OrderAction::Cancel,
        OrderAction::Refund,
    ];

    #[test]
    fn transitions_never_lead_backward() {
        let rank = |status: Status| Status::iter().position(|candidate| candidate == status);
        for (from, payment) in
            Status::iter().flat_map(|from| PaymentStatus::iter().map(move |candidate| (from, candidate)))
        {
            for action in ACTIONS {
                let Some(to) = from.next_status(action, payment) else { continue };
                let is_unchanged = from == Status::Processing && to == Status::Processing;
                assert!(is_unchanged || rank(to) > rank(from), "{from:?} {payment:?} {action:?} {to:?}");
            }
        }
    }

    #[test]
    fn final_statuses_are_reachable_and_have_no_actions() {
        let mut reached = vec![Status::Pending];
        let mut next_index = 0;
        while let Some(from) = reached.get(next_index).copied() {
            next_index += 1;
            for (action, payment) in ACTIONS
                .into_iter()
                .flat_map(|action| PaymentStatus::iter().map(move |payment_status| (action, payment_status)))
            {
                reached.extend(from.next_status(action, payment).filter(|to| !reached.contains(to)));
            }
        }
        assert_eq!(reached.len(), Status::iter().count());
        for payment in PaymentStatus::iter() {
            for final_status in [Status::Canceled, Status::Refunded] {
                assert_eq!(final_status.available_actions(payment).count(), 0, "{final_status:?} {payment:?}");
            }
        }
    }

    #[test]
    fn cancel_after_shipment_requires_uncaptured_payment() {
        use PaymentStatus::{Authorized, Paid, PartiallyRefunded, Pending, Refunded, Voided};
        for payment in [Pending, Authorized, Voided, Paid, PartiallyRefunded, Refunded] {
            let captured = [Paid, PartiallyRefunded, Refunded].contains(&payment);
            for from in Status::iter() {
                let expected = match from {
                    Status::Pending | Status::Confirmed => true,
                    Status::Processing | Status::Shipped => !captured,
                    Status::Delivered | Status::Canceled | Status::Refunded => false,
                };
                let to = from.next_status(OrderAction::Cancel, payment);
                assert_eq!(to, expected.then_some(Status::Canceled), "{from:?} {payment:?}");
                assert!(!from.is_cancelable_by_buyer() || expected, "{from:?}");
            }
        }
    }

    #[test]
    fn refund_of_uncaptured_payment_is_rejected() {
        let confirmed = Status::Confirmed;
        assert_eq!(confirmed.next_status(OrderAction::Refund, PaymentStatus::Authorized), None);
        assert_eq!(confirmed.next_status(OrderAction::Refund, PaymentStatus::Paid), Some(Status::Refunded));
        assert_eq!(Status::Pending.next_status(OrderAction::Refund, PaymentStatus::Paid), None);
    }

    #[test]
    fn rejected_action_message_lists_available_actions() {
        let message = |payment| {
            Status::Delivered.apply(OrderAction::Cancel, payment).err().map(|error| error.to_public_error().message)
        };
        let paid_message = message(PaymentStatus::Paid);
        assert_eq!(paid_message.as_deref(), Some("an order that is delivered cannot cancel; it can: refund"));
        let unpaid_message = message(PaymentStatus::Authorized);
        let no_action_message = "an order that is delivered cannot cancel; nothing more can be done with it";
        assert_eq!(unpaid_message.as_deref(), Some(no_action_message));
    }
}
