//! Interface of payment providers.
//!
//! A call is stored as a job before it is made, and repeated with the same idempotency key. A call whose result is
//! unknown is not repeated: the provider is asked for its state, and the call is made again only if the provider knows
//! nothing of it.

use std::fmt;

use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, FutureExt, ready};

use super::{
    entity::{DeclineCode, Payment},
    webhook::{WebhookEvent, WebhookRejection, WebhookRequest},
};
use crate::{base::Money, order::OrderRow};

/// Request to a payment provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRequest {
    /// Idempotency key, the same for each retry: `payment-7`, `capture-7`, `void-7`, `refund-3`.
    pub idempotency_key: String,
    /// Id of the payment, for the provider's metadata.
    pub payment_id: i64,
    /// Id of the refund; `None` unless the request is about a refund.
    pub refund_id: Option<i64>,
    /// The provider's payment reference; `None` until known.
    pub reference: Option<String>,
    /// The provider's reference of the capture, for refunds; `None` until captured.
    pub capture_reference: Option<String>,
    /// The provider's reference of the refund; `None` until known.
    pub refund_reference: Option<String>,
    /// When the provider was first called to authorize the payment; `None` if it was not.
    pub sent_at: Option<DateTime<Utc>>,
    /// Order number, for texts shown to the buyer.
    pub order_number: String,
    /// Amount in minor units.
    pub amount: i64,
    /// Currency code (ISO 4217).
    pub currency: String,
    /// Phone number of the buyer (E.164), for mobile money.
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
            payment_id: payment.id,
            refund_id: None,
            reference: payment.reference.clone(),
            capture_reference: None,
            refund_reference: None,
            sent_at: payment.authorize_sent_at,
            order_number: order.number.clone(),
            amount: payment.amount,
            currency: order.currency.clone(),
            phone: payment.phone.clone().or_else(|| order.phone.clone()),
            email: order.email.clone(),
        }
    }
}

/// What the buyer must do to continue a payment. Stored with the payment until its result is known.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, sea_orm::FromJsonQueryResult)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PaymentAction {
    /// Open a page of the provider.
    Redirect {
        /// URL of the page.
        url: String,
    },
    /// Confirm the payment with the provider's client library.
    ClientSecret {
        /// Secret of this payment for the client library.
        client_secret: String,
        /// Publishable key of the shop's account at the provider.
        publishable_key: String,
    },
    /// Confirm the prompt on the phone.
    ConfirmOnPhone {
        /// Phone number that received the prompt (E.164).
        phone: String,
    },
}

/// Result of a provider call, or state that the provider reports. Amounts are what the provider says, where it says it:
/// they are compared with the requested amount before the result counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentResult {
    /// The payment is authorized and can be captured.
    Authorized {
        /// The provider's payment reference.
        reference: String,
        /// The authorized amount, if reported.
        amount: Option<Money>,
    },
    /// The payment was captured, or the refund executed.
    Succeeded {
        /// The provider's reference of the movement of money, unique for the payment.
        reference: String,
        /// The moved amount, if reported.
        amount: Option<Money>,
    },
    /// The authorization was voided, or the payment was canceled at the provider.
    Voided,
    /// The result follows later.
    Pending {
        /// The provider's payment or refund reference, if known.
        reference: Option<String>,
        /// What the buyer must do first.
        action: Option<PaymentAction>,
    },
    /// The provider declined.
    Declined {
        /// Classification.
        code: DeclineCode,
        /// Reason, shown to the buyer.
        reason: String,
    },
    /// The result is unknown; the provider is asked later.
    Unknown {
        /// Reason, for the log.
        reason: String,
    },
    /// The provider knows nothing of the request; it can be sent with the same key. Only a response of the queries.
    NotFound,
}

impl PaymentResult {
    /// Returns an unknown result.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }

    /// Returns the amount that the provider reports, if it is not the requested one.
    #[must_use]
    pub fn find_amount_mismatch(&self, minor_units: i64, currency_code: &str) -> Option<Money> {
        let (Self::Authorized { amount, .. } | Self::Succeeded { amount, .. }) = self else { return None };
        let is_requested =
            |reported: &Money| reported.minor_units == minor_units && reported.currency.code() == currency_code;
        amount.filter(|reported| !is_requested(reported))
    }

    /// Returns a decline.
    pub fn declined(code: DeclineCode, reason: impl Into<String>) -> Self {
        Self::Declined { code, reason: reason.into() }
    }
}

/// A payment provider.
pub trait PaymentProvider: fmt::Debug + Send + Sync {
    /// Returns the name in the API, the URL of webhooks and the database; it must not change.
    fn name(&self) -> &'static str;

    /// Returns whether results are local and immediate; they are then applied in the order's own transaction.
    fn is_local(&self) -> bool {
        false
    }

    /// Returns whether the provider can process this amount.
    fn accepts(&self, _amount: Money) -> bool {
        true
    }

    /// Authorizes or captures a payment. It is called again with the same key only after [`Self::query_payment`]
    /// returned `NotFound`.
    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Captures an authorized payment.
    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Refunds a captured payment; `amount` is the refunded amount.
    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Voids an authorized payment, or cancels a pending one. `Succeeded` means that it was captured instead.
    fn void(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Returns the state of a payment. Moves no money.
    fn query_payment(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Returns the state of a refund. Moves no money.
    fn query_refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Verifies a received webhook and returns what it is about, without I/O.
    ///
    /// # Errors
    /// Returns `Unsupported` by default.
    fn verify_webhook(&self, _webhook: &WebhookRequest<'_>) -> Result<WebhookEvent, WebhookRejection> {
        Err(WebhookRejection::Unsupported)
    }

    /// Returns the result that a stored webhook reports of the payment or refund of `request`. Events arrive repeatedly
    /// and in any order: where the body alone does not prove the current state, the provider is asked.
    fn interpret_webhook(&self, _body: Vec<u8>, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        if request.refund_id.is_some() { self.query_refund(request) } else { self.query_payment(request) }
    }

    /// Returns the body of the response to an accepted webhook.
    fn webhook_response(&self) -> serde_json::Value {
        serde_json::json!({ "received": true })
    }
}

/// Returns a result without I/O.
pub(super) fn immediate_result<'a>(result: PaymentResult) -> BoxFuture<'a, PaymentResult> {
    ready(result).boxed()
}
