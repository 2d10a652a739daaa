//! Test payment provider, for development: the last two digits of the amount, or of a test phone number, decide the
//! result, so that every outcome of a checkout can be tried. It moves no money and is not available in production.

use futures_util::future::BoxFuture;
use serde::Deserialize;

use super::{
    entity::DeclineCode,
    provider::{PaymentAction, PaymentProvider, PaymentRequest, PaymentResult, immediate_result},
    webhook::{WebhookEvent, WebhookRejection, WebhookRequest, WebhookSubject},
};

/// Name of the provider.
pub const TEST_PROVIDER_NAME: &str = "test";

/// Provider of test payments.
#[derive(Debug, Clone)]
pub struct TestPaymentProvider {
    /// Base URL of the server, for its payment page.
    public_url: String,
}

/// Prefix of the phone numbers whose last two digits decide the result instead of the amount.
const TEST_PHONE_PREFIX: &str = "+2547000000";

/// What the last two digits of an amount or a test phone number stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MagicAmount {
    /// 01: declined, not enough money.
    InsufficientFunds,
    /// 02: declined by the buyer.
    CanceledByBuyer,
    /// 03: pending at first, then captured.
    Delayed,
    /// 04: the buyer continues on a page.
    Redirect,
    /// 05: the response is lost; the payment was captured.
    LostResponse,
    /// 06: authorized only.
    Authorized,
    /// 07: the buyer confirms on the phone, then captured.
    ConfirmOnPhone,
    /// 08: no response at all.
    NoResponse,
    /// Captured at once.
    Captured,
}

impl MagicAmount {
    fn for_request(request: &PaymentRequest) -> Self {
        let test_digits = request.phone.as_deref().and_then(|phone| phone.strip_prefix(TEST_PHONE_PREFIX));
        Self::from_minor_units(test_digits.and_then(|digits| digits.parse().ok()).unwrap_or(request.amount))
    }

    const fn from_minor_units(amount: i64) -> Self {
        match amount % 100 {
            1 => Self::InsufficientFunds,
            2 => Self::CanceledByBuyer,
            3 => Self::Delayed,
            4 => Self::Redirect,
            5 => Self::LostResponse,
            6 => Self::Authorized,
            7 => Self::ConfirmOnPhone,
            8 => Self::NoResponse,
            _ => Self::Captured,
        }
    }
}

/// Body of a webhook: what the buyer decided on the payment page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct TestWebhook {
    outcome: TestOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TestOutcome {
    Succeeded,
    Declined,
}

impl TestPaymentProvider {
    /// Creates the provider of a server with this base URL.
    #[must_use]
    pub fn new(public_url: &str) -> Self {
        Self { public_url: public_url.trim_end_matches('/').to_owned() }
    }

    fn captured(request: &PaymentRequest) -> PaymentResult {
        PaymentResult::Succeeded { reference: format!("test-capture-{}", request.payment_id), amount: None }
    }

    fn authorized(request: &PaymentRequest) -> PaymentResult {
        PaymentResult::Authorized { reference: format!("test-payment-{}", request.payment_id), amount: None }
    }
}

fn canceled_by_buyer() -> PaymentResult {
    PaymentResult::declined(DeclineCode::CanceledByBuyer, "the buyer canceled the payment")
}

impl PaymentProvider for TestPaymentProvider {
    fn name(&self) -> &'static str {
        TEST_PROVIDER_NAME
    }

    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        let reference = Some(format!("test-payment-{}", request.payment_id));
        immediate_result(match MagicAmount::for_request(&request) {
            MagicAmount::InsufficientFunds => {
                PaymentResult::declined(DeclineCode::InsufficientFunds, "the account has not enough money")
            }
            MagicAmount::CanceledByBuyer => canceled_by_buyer(),
            MagicAmount::Delayed => PaymentResult::Pending { reference, action: None },
            MagicAmount::Redirect => {
                let url = format!("{}/payments/test/{}", self.public_url, request.payment_id);
                PaymentResult::Pending { reference, action: Some(PaymentAction::Redirect { url }) }
            }
            MagicAmount::ConfirmOnPhone => {
                let phone = request.phone.unwrap_or_else(|| format!("{TEST_PHONE_PREFIX}07"));
                PaymentResult::Pending { reference, action: Some(PaymentAction::ConfirmOnPhone { phone }) }
            }
            MagicAmount::LostResponse | MagicAmount::NoResponse => PaymentResult::unknown("the response was lost"),
            MagicAmount::Authorized => Self::authorized(&request),
            MagicAmount::Captured => Self::captured(&request),
        })
    }

    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(Self::captured(&request))
    }

    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(match MagicAmount::from_minor_units(request.amount) {
            MagicAmount::InsufficientFunds => {
                PaymentResult::declined(DeclineCode::InsufficientFunds, "the shop's account has not enough money")
            }
            MagicAmount::LostResponse => PaymentResult::unknown("the response was lost"),
            _ => PaymentResult::Succeeded { reference: request.idempotency_key, amount: None },
        })
    }

    fn void(&self, _request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::Voided)
    }

    fn query_payment(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(match MagicAmount::for_request(&request) {
            MagicAmount::Redirect => PaymentResult::Pending { reference: None, action: None },
            MagicAmount::NoResponse => PaymentResult::unknown("the response was lost"),
            MagicAmount::Authorized => Self::authorized(&request),
            _ => Self::captured(&request),
        })
    }

    fn query_refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(PaymentResult::Succeeded { reference: request.idempotency_key, amount: None })
    }

    fn verify_webhook(&self, webhook: &WebhookRequest<'_>) -> Result<WebhookEvent, WebhookRejection> {
        let payment_id = webhook.path_token.and_then(|token| token.parse().ok());
        let payment_id: i64 = payment_id.ok_or(WebhookRejection::InvalidSignature)?;
        let TestWebhook { outcome } =
            serde_json::from_slice(webhook.body).map_err(|_| WebhookRejection::InvalidBody)?;
        Ok(WebhookEvent {
            event_id: format!("payment-{payment_id}-{outcome:?}").to_lowercase(),
            event_type: format!("payment.{outcome:?}").to_lowercase(),
            subject: WebhookSubject::Payment(payment_id),
        })
    }

    fn interpret_webhook(&self, body: Vec<u8>, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        immediate_result(match serde_json::from_slice(&body) {
            Ok(TestWebhook { outcome: TestOutcome::Succeeded }) => Self::captured(&request),
            Ok(TestWebhook { outcome: TestOutcome::Declined }) => canceled_by_buyer(),
            Err(_) => PaymentResult::unknown("the webhook cannot be parsed"),
        })
    }
}
