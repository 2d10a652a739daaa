//! Outcome of an attempt to pay an order: what the client does next.

use async_graphql::{SimpleObject, Union};
use chrono::{DateTime, Utc};

use super::{
    Order,
    loader::PaymentsOf,
    payments::{OrderPayment, PaymentActionUnion},
};
use crate::{
    base::Result,
    graphql::context::RequestContext,
    order::Status,
    payment::{PaymentState, select_current_payment},
};

/// The order is placed, and its payment authorized, captured or due later.
#[derive(Debug, SimpleObject)]
pub struct CheckoutSucceeded {
    /// Order.
    order: Order,
}

/// The result of the payment follows. The order's stock is reserved until `order.expiresAt`.
#[derive(Debug, SimpleObject)]
pub struct CheckoutProcessing {
    /// Order.
    order: Order,
    /// Payment; `payment.pollAfterSeconds` is when to ask for its result with `order`.
    payment: OrderPayment,
}

/// The buyer must act to continue the payment. The order's stock is reserved until `order.expiresAt`.
#[derive(Debug, SimpleObject)]
pub struct CheckoutActionRequired {
    /// Order.
    order: Order,
    /// Payment; `payment.pollAfterSeconds` is when to ask for its result with `order`.
    payment: OrderPayment,
    /// What the buyer must do.
    action: PaymentActionUnion,
}

/// The payment was declined; `payment.declineCode` and `payment.error` say why.
#[derive(Debug, SimpleObject)]
pub struct CheckoutFailed {
    /// Order.
    order: Order,
    /// Declined payment.
    payment: OrderPayment,
    /// Time until which `orderPay` can pay the order; null if the order has ended.
    retry_until: Option<DateTime<Utc>>,
}

/// Outcome of an attempt to pay an order.
#[derive(Debug, Union)]
pub enum CheckoutAttempt {
    /// Placed.
    Succeeded(CheckoutSucceeded),
    /// The result follows.
    Processing(CheckoutProcessing),
    /// The buyer must act.
    ActionRequired(CheckoutActionRequired),
    /// Declined.
    Failed(CheckoutFailed),
}

impl CheckoutAttempt {
    /// Returns the outcome for the current state of an order.
    pub(super) async fn load(context: &RequestContext, order: Order) -> Result<Self> {
        let payments = context.load(PaymentsOf(order.row.id)).await?.unwrap_or_default();
        let Some(payment) = select_current_payment(&payments).cloned() else {
            return Ok(Self::Succeeded(CheckoutSucceeded { order }));
        };
        let is_local = context.app_state.payment_providers.find_by_name(&payment.provider)?.is_local();
        let (status, action) = (payment.status, payment.action.clone());
        let payment = OrderPayment(payment);
        Ok(match (status, action) {
            (PaymentState::ActionRequired, Some(action)) => {
                Self::ActionRequired(CheckoutActionRequired { order, payment, action: action.into() })
            }
            (PaymentState::Pending | PaymentState::ActionRequired, _) if !is_local => {
                Self::Processing(CheckoutProcessing { order, payment })
            }
            (PaymentState::Failed | PaymentState::Expired | PaymentState::Voided, _) => {
                let retry_until = order.row.expires_at.filter(|_| order.row.status == Status::Pending);
                Self::Failed(CheckoutFailed { order, payment, retry_until })
            }
            _ => Self::Succeeded(CheckoutSucceeded { order }),
        })
    }
}
