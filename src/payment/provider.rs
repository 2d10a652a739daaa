//! Interface of payment providers. Calls are idempotent by their key; a result may also arrive later.

use std::fmt;

use futures_util::future::BoxFuture;

use super::entity::Payment;
use crate::order::OrderRow;

/// Request to a payment provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRequest {
    /// Idempotency key, the same for each retry: `payment-7`, `refund-3`.
    pub idempotency_key: String,
    /// The provider's payment reference; `None` until known.
    pub reference: Option<String>,
    /// Order number, for texts shown to the buyer.
    pub order_number: String,
    /// Amount in minor units.
    pub amount: i64,
    /// Currency code (ISO 4217).
    pub currency: String,
    /// Phone number of the buyer, for mobile money.
    pub phone: Option<String>,
    /// E-mail address of the buyer.
    pub email: Option<String>,
}

impl PaymentRequest {
    /// Creates a request for the whole amount of an order's payment.
    #[must_use]
    pub fn new(order: &OrderRow, payment: &Payment, idempotency_key: String) -> Self {
        Self {
            idempotency_key,
            reference: payment.reference.clone(),
            order_number: order.number.clone(),
            amount: payment.amount,
            currency: order.currency.clone(),
            phone: order.phone.clone(),
            email: order.email.clone(),
        }
    }
}

/// Result of a provider call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentResult {
    /// The payment is authorized and can be captured.
    Authorized {
        /// The provider's payment reference.
        reference: String,
    },
    /// The payment was captured, refunded or voided.
    Succeeded {
        /// The provider's transaction reference.
        reference: String,
    },
    /// The buyer must act first; the result follows later.
    Pending {
        /// The provider's payment reference, if known.
        reference: Option<String>,
        /// URL where the buyer continues the payment.
        action_url: Option<String>,
    },
    /// The provider declined.
    Declined {
        /// Reason, shown to the buyer.
        reason: String,
    },
    /// The result is unknown; retry with the same key.
    Unknown {
        /// Reason, for the log.
        reason: String,
    },
}

/// A payment provider.
pub trait PaymentProvider: fmt::Debug + Send + Sync {
    /// Returns the name in the API and the database; it must not change.
    fn name(&self) -> &'static str;

    /// Returns whether results are local and immediate; they are then applied in the order's own transaction.
    fn is_local(&self) -> bool {
        false
    }

    /// Authorizes a payment.
    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Captures an authorized payment.
    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Refunds a captured payment.
    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Voids an authorized payment.
    fn void(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;
}
