//! Stripe: the Payment Intents API.
//!
//! The buyer pays with Stripe's client library: creating a `PaymentIntent` moves no money. Every writing request has an
//! idempotency key, and webhooks only announce changes: the state is read from the API.

mod amount;
mod client;
mod event;
mod objects;
pub mod signature;

use futures_util::future::{BoxFuture, FutureExt};
use iso_currency::Currency;
use secrecy::ExposeSecret;
use serde::Deserialize;

use self::{
    amount::to_stripe_amount,
    client::{StripeCallError, StripeClient},
    event::identify_event,
    objects::{PaymentIntent, StripeRefund, StripeRefundList, decline_result},
    signature::verify_signature,
};
use super::{
    entity::DeclineCode,
    provider::{PaymentProvider, PaymentRequest, PaymentResult},
    webhook::{WebhookEvent, WebhookRejection, WebhookRequest},
};
use crate::{
    base::Money,
    infra::{Config, HttpClient, config::StripeConfig},
};

pub use client::STRIPE_API_VERSION;

/// Name of the provider.
pub const STRIPE_PROVIDER_NAME: &str = "stripe";
/// Error code of a request that the state of a `PaymentIntent` forbids.
const UNEXPECTED_STATE: &str = "payment_intent_unexpected_state";
/// Refunds per page.
const REFUND_PAGE_SIZE: usize = 100;
/// Shown to buyers if the shop or Stripe cannot start a payment.
const UNAVAILABLE: &str = "This payment method is not available at the moment. Choose another one.";

/// Provider of Stripe payments.
#[derive(Debug, Clone)]
pub struct StripeProvider {
    client: StripeClient,
    config: StripeConfig,
}

/// The event of a webhook about a `PaymentIntent`.
#[derive(Deserialize)]
struct PaymentIntentEvent {
    data: PaymentIntentEventData,
}

#[derive(Deserialize)]
struct PaymentIntentEventData {
    object: PaymentIntent,
}

impl StripeProvider {
    /// Returns whether the settings that the provider needs to serve payments are set.
    #[must_use]
    pub fn is_configured(config: &Config) -> bool {
        !config.payment.stripe.secret_key.expose_secret().is_empty()
    }

    /// Creates the provider from the settings. It connects when the first payment starts.
    ///
    /// # Errors
    /// Returns a message for the operator if a setting is invalid.
    pub fn new(config: &Config, http_client: &HttpClient) -> Result<Self, String> {
        let stripe = config.payment.stripe.clone();
        Ok(Self { client: StripeClient::new(http_client, &stripe, config.payment.request_timeout)?, config: stripe })
    }

    /// Creates the `PaymentIntent` of a payment, or returns the existing one if the request is repeated.
    async fn create_intent(&self, request: &PaymentRequest) -> Result<PaymentIntent, StripeCallError> {
        let amount = requested_amount(request).ok_or_else(|| StripeCallError::Rejected {
            code: "amount_too_small".into(),
            message: "the amount cannot be expressed in Stripe's unit".into(),
        })?;
        let capture_method = if self.config.capture_automatically { "automatic" } else { "manual" };
        let fields = [
            ("amount", amount.as_str()),
            ("currency", &request.currency.to_lowercase()),
            ("capture_method", capture_method),
            ("automatic_payment_methods[enabled]", "true"),
            ("description", &format!("Order {}", request.order_number)),
            ("metadata[payment_id]", &request.payment_id.to_string()),
            ("metadata[order_number]", &request.order_number),
        ];
        self.client.post("/v1/payment_intents", &fields, &idempotency_key(request)).await
    }

    async fn start_payment(&self, request: PaymentRequest) -> PaymentResult {
        match self.create_intent(&request).await {
            Ok(intent) => intent.into_result(&self.config.publishable_key),
            Err(StripeCallError::Rejected { code, .. }) if code.starts_with("amount_too_") => {
                PaymentResult::declined(DeclineCode::InvalidDetails, "Stripe does not accept this amount.")
            }
            Err(StripeCallError::Declined { code, message }) => decline_result(&code, &message),
            Err(error @ (StripeCallError::Rejected { .. } | StripeCallError::NotFound)) => {
                tracing::error!(%error, "stripe rejected a payment: check the account and its payment methods");
                PaymentResult::declined(DeclineCode::Declined, UNAVAILABLE)
            }
            Err(StripeCallError::Unknown(reason)) => PaymentResult::unknown(reason),
        }
    }

    async fn read_intent(&self, id: &str) -> PaymentResult {
        let Some(path) = intent_path(id) else {
            return PaymentResult::unknown("the reference is not the id of a PaymentIntent");
        };
        match self.client.get::<PaymentIntent>(&path).await {
            Ok(intent) => intent.into_result(&self.config.publishable_key),
            Err(error) => PaymentResult::unknown(error.to_string()),
        }
    }

    /// Returns the state of a payment. A payment without a reference can be created again with the same key: if the
    /// first request created it after all, Stripe returns that one, and otherwise no buyer has its secret.
    async fn report_payment(&self, request: PaymentRequest) -> PaymentResult {
        match request.reference {
            Some(reference) => self.read_intent(&reference).await,
            None => PaymentResult::NotFound,
        }
    }

    async fn capture_payment(&self, request: PaymentRequest) -> PaymentResult {
        let (Some(path), Some(amount)) =
            (request.reference.as_deref().and_then(intent_path), requested_amount(&request))
        else {
            return PaymentResult::declined(DeclineCode::InvalidDetails, "This amount cannot be captured at Stripe.");
        };
        let fields = [("amount_to_capture", amount.as_str())];
        let captured = self.client.post(&format!("{path}/capture"), &fields, &idempotency_key(&request)).await;
        self.change_result(captured, request).await
    }

    async fn cancel_payment(&self, mut request: PaymentRequest) -> PaymentResult {
        if request.reference.is_none() {
            if request.sent_at.is_none() {
                return PaymentResult::Voided;
            }
            // The response to its creation was lost: the same key returns it.
            let creation =
                PaymentRequest { idempotency_key: format!("payment-{}", request.payment_id), ..request.clone() };
            match self.create_intent(&creation).await {
                Ok(intent) => request.reference = Some(intent.id),
                Err(StripeCallError::Unknown(reason)) => return PaymentResult::unknown(reason),
                Err(_) => return PaymentResult::Voided,
            }
        }
        let Some(path) = request.reference.as_deref().and_then(intent_path) else {
            return PaymentResult::unknown("the reference is not the id of a PaymentIntent");
        };
        let canceled = self.client.post(&format!("{path}/cancel"), &[], &idempotency_key(&request)).await;
        match self.change_result(canceled, request).await {
            // Canceled after a declined attempt.
            PaymentResult::Declined { .. } => PaymentResult::Voided,
            result => result,
        }
    }

    /// Returns the result of a capture or cancellation. If the state of the `PaymentIntent` forbids it, for example
    /// because it was captured in the Stripe Dashboard, the state is the result.
    async fn change_result(
        &self,
        changed: Result<PaymentIntent, StripeCallError>,
        request: PaymentRequest,
    ) -> PaymentResult {
        match changed {
            Ok(intent) => intent.into_result(&self.config.publishable_key),
            Err(StripeCallError::Rejected { code, .. }) if code == UNEXPECTED_STATE => {
                self.report_payment(request).await
            }
            Err(StripeCallError::Declined { code, message }) => decline_result(&code, &message),
            Err(error) => PaymentResult::unknown(error.to_string()),
        }
    }

    async fn create_refund(&self, request: PaymentRequest) -> PaymentResult {
        let declined = |reason: String| PaymentResult::declined(DeclineCode::Declined, reason);
        let reference = request.reference.as_deref().or(request.capture_reference.as_deref());
        let (Some(reference), Some(refund_id), Some(amount)) =
            (reference, request.refund_id, requested_amount(&request))
        else {
            return declined("Stripe cannot refund this amount.".into());
        };
        let fields = [
            (if reference.starts_with("pi_") { "payment_intent" } else { "charge" }, reference),
            ("amount", amount.as_str()),
            ("metadata[refund_id]", &refund_id.to_string()),
            ("metadata[payment_id]", &request.payment_id.to_string()),
            ("metadata[order_number]", &request.order_number),
        ];
        match self.client.post::<StripeRefund>("/v1/refunds", &fields, &idempotency_key(&request)).await {
            Ok(refund) => refund.into_result(),
            Err(StripeCallError::Unknown(reason)) => PaymentResult::unknown(reason),
            Err(error) => declined(format!("Nothing was refunded: {error}")),
        }
    }

    /// Returns the state of a refund. A refund without a reference is searched in the refunds of the payment by its id.
    async fn report_refund(&self, request: PaymentRequest) -> PaymentResult {
        if let Some(reference) = request.refund_reference.as_deref() {
            let Some(id) = object_id(reference) else {
                return PaymentResult::unknown("the reference is not the id of a refund");
            };
            return match self.client.get::<StripeRefund>(&format!("/v1/refunds/{id}")).await {
                Ok(refund) => refund.into_result(),
                Err(error) => PaymentResult::unknown(error.to_string()),
            };
        }
        let (Some(refund_id), Some(payment)) = (request.refund_id, request.reference.as_deref().and_then(object_id))
        else {
            return PaymentResult::unknown("the reference of the payment is not known");
        };
        let path = format!("/v1/refunds?payment_intent={payment}&limit={REFUND_PAGE_SIZE}");
        let page: StripeRefundList = match self.client.get(&path).await {
            Ok(page) => page,
            Err(error) => return PaymentResult::unknown(error.to_string()),
        };
        let has_more = page.has_more;
        match page.data.into_iter().find(|refund| refund.belongs_to(refund_id, &request.order_number)) {
            Some(refund) => refund.into_result(),
            None if has_more => PaymentResult::unknown("the payment has too many refunds"),
            None => PaymentResult::NotFound,
        }
    }

    /// Reads the state of what an event is about. An event of another shop with the same account has no result here.
    async fn interpret_event(&self, body: Vec<u8>, request: PaymentRequest) -> PaymentResult {
        let without_news = PaymentResult::Pending { reference: None, action: None };
        let result = if request.refund_id.is_some() {
            self.report_refund(request).await
        } else if request.reference.is_some() {
            self.report_payment(request).await
        } else {
            // The event came before the response to the creation.
            match serde_json::from_slice::<PaymentIntentEvent>(&body) {
                Ok(event) if event.data.object.belongs_to(request.payment_id, &request.order_number) => {
                    self.read_intent(&event.data.object.id).await
                }
                _ => PaymentResult::NotFound,
            }
        };
        if result == PaymentResult::NotFound { without_news } else { result }
    }
}

/// Returns the idempotency key of a request. It contains the order number, which is random: payments of several shops
/// with the same account, or of a recreated database, have the same ids.
fn idempotency_key(request: &PaymentRequest) -> String {
    format!("{}-{}", request.idempotency_key, request.order_number)
}

fn requested_amount(request: &PaymentRequest) -> Option<String> {
    let currency = Currency::from_code(&request.currency)?;
    to_stripe_amount(Money::new(request.amount, currency)).map(|amount| amount.to_string())
}

/// Returns an id if it can be a part of a URL.
fn object_id(id: &str) -> Option<&str> {
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')).then_some(id)
}

fn intent_path(id: &str) -> Option<String> {
    object_id(id).map(|id| format!("/v1/payment_intents/{id}"))
}

impl PaymentProvider for StripeProvider {
    fn name(&self) -> &'static str {
        STRIPE_PROVIDER_NAME
    }

    fn accepts(&self, amount: Money) -> bool {
        to_stripe_amount(amount).is_some()
    }

    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.start_payment(request).boxed()
    }

    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.capture_payment(request).boxed()
    }

    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.create_refund(request).boxed()
    }

    fn void(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.cancel_payment(request).boxed()
    }

    fn query_payment(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.report_payment(request).boxed()
    }

    fn query_refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.report_refund(request).boxed()
    }

    fn verify_webhook(&self, webhook: &WebhookRequest<'_>) -> Result<WebhookEvent, WebhookRejection> {
        let header = webhook.signature.ok_or(WebhookRejection::InvalidSignature)?;
        verify_signature(header, webhook.body, self.config.webhook_secret_list(), webhook.unix_time)?;
        identify_event(webhook.body)
    }

    fn interpret_webhook(&self, body: Vec<u8>, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.interpret_event(body, request).boxed()
    }
}
