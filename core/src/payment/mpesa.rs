//! M-Pesa: STK push, its status query, and reversals of Safaricom's Daraja API.
//!
//! M-Pesa knows no idempotency keys: a push or a reversal is sent once. Its results arrive as callbacks, which are not
//! signed: their URLs contain a token, and a paid amount counts only after the status query confirmed the payment.

mod access_token;
mod callback;
mod callback_token;
mod client;
mod refund_result;
mod requests;
mod result_code;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{BoxFuture, FutureExt};
use secrecy::ExposeSecret;
use serde::Deserialize;

use self::{
    callback::{AsyncResult, StkCallback, identify_event},
    callback_token::{CallbackSubject, CallbackTokens},
    client::{DarajaClient, DarajaError, deserialize_flexible},
    refund_result::interpret_refund_result,
    requests::{Reversal, StkPush, to_msisdn, to_shillings},
    result_code::{SUCCESS_CODE, decline_payment, decline_push, decline_reversal, is_in_process},
};
use super::{
    entity::DeclineCode,
    provider::{PaymentAction, PaymentProvider, PaymentRequest, PaymentResult},
    webhook::{WebhookEvent, WebhookRejection, WebhookRequest},
};
use crate::{
    base::{Clock, Money},
    infra::{Config, HttpClient, config::MpesaConfig},
};

/// Name of the provider.
pub const MPESA_PROVIDER_NAME: &str = "mpesa";
/// How long after the push a confirmed payment waits for its callback, which has the receipt number. Prompts on the
/// phone expire earlier.
const CALLBACK_GRACE: TimeDelta = TimeDelta::minutes(3);
/// Prefix of the capture reference of a payment whose callback was lost.
const CHECKOUT_REFERENCE_PREFIX: &str = "checkout:";

/// Provider of M-Pesa payments. Clones share the access token.
#[derive(Debug, Clone)]
pub struct MpesaProvider {
    client: DarajaClient,
    callback_tokens: CallbackTokens,
    callback_base_url: String,
    clock: Clock,
    config: MpesaConfig,
}

/// Response to an STK push.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StkPushResponse {
    #[serde(rename = "CheckoutRequestID", default)]
    checkout_request_id: String,
    #[serde(deserialize_with = "deserialize_flexible")]
    response_code: String,
    #[serde(default)]
    response_description: String,
}

/// Response to a status query.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StkQueryResponse {
    #[serde(deserialize_with = "deserialize_flexible")]
    result_code: String,
    #[serde(default)]
    result_desc: String,
}

/// Response to a request whose result is sent to a URL.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AcceptedResponse {
    #[serde(rename = "OriginatorConversationID", default)]
    originator_conversation_id: String,
    #[serde(deserialize_with = "deserialize_flexible")]
    response_code: String,
    #[serde(default)]
    response_description: String,
}

/// State of a payment as M-Pesa reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum StkState {
    Paid,
    InProcess,
    Failed { code: String },
    Unknown { reason: String },
}

impl MpesaProvider {
    /// Returns whether the settings that the provider needs to serve payments are set.
    #[must_use]
    pub fn is_configured(config: &Config) -> bool {
        let mpesa = &config.payment.mpesa;
        ![&mpesa.consumer_key, &mpesa.short_code, &config.server.public_url].iter().any(|text| text.is_empty())
            && !mpesa.callback_key.expose_secret().is_empty()
    }

    /// Creates the provider from the settings. It connects when the first payment starts.
    ///
    /// # Errors
    /// Returns a message for the operator if a setting is invalid.
    pub fn new(config: &Config, http_client: &HttpClient, clock: &Clock) -> Result<Self, String> {
        if !Self::is_configured(config) {
            return Err(
                "payment.mpesa: consumer_key, short_code, callback_key and server.public_url are required".into()
            );
        }
        let (mpesa, public_url) = (&config.payment.mpesa, config.server.public_url.trim_end_matches('/'));
        Ok(Self {
            client: DarajaClient::new(http_client, clock, mpesa, config.payment.request_timeout),
            callback_tokens: CallbackTokens::new(&mpesa.callback_key),
            callback_base_url: format!("{public_url}/webhooks/payments/{MPESA_PROVIDER_NAME}"),
            clock: clock.clone(),
            config: mpesa.clone(),
        })
    }

    /// Returns the URL at which M-Pesa reports results of a subject.
    fn callback_url(&self, subject: CallbackSubject) -> String {
        format!("{}/{}", self.callback_base_url, self.callback_tokens.create(subject))
    }

    /// Sends the prompt to the phone.
    async fn push_prompt(&self, request: PaymentRequest) -> PaymentResult {
        let Some(msisdn) = request.phone.as_deref().and_then(to_msisdn) else {
            let reason = "M-Pesa needs the phone number of an M-Pesa account in Kenya.";
            return PaymentResult::declined(DeclineCode::InvalidDetails, reason);
        };
        let Some(shillings) = to_shillings(request.amount, &request.currency) else {
            let reason = "M-Pesa moves whole shillings, from KES 1 to KES 250,000.";
            return PaymentResult::declined(DeclineCode::InvalidDetails, reason);
        };
        let callback_url = self.callback_url(CallbackSubject::Payment(request.payment_id));
        let push = StkPush { msisdn, shillings, order_number: &request.order_number, callback_url: &callback_url };
        let body = requests::stk_push(&self.config, self.clock.now(), push);
        let response: StkPushResponse = match self.client.call("/mpesa/stkpush/v1/processrequest", &body).await {
            Ok(response) => response,
            Err(error) => return decline_push(&error),
        };
        if response.response_code != SUCCESS_CODE {
            let StkPushResponse { response_code: code, response_description: message, .. } = response;
            return decline_push(&DarajaError::Rejected { code, message });
        }
        if response.checkout_request_id.is_empty() {
            return PaymentResult::unknown("the response has no CheckoutRequestID");
        }
        PaymentResult::Pending {
            reference: Some(response.checkout_request_id),
            action: Some(PaymentAction::ConfirmOnPhone { phone: format!("+{msisdn}") }),
        }
    }

    /// Queries the state of an STK push.
    async fn query_push(&self, checkout_request_id: &str) -> StkState {
        let body = requests::stk_query(&self.config, self.clock.now(), checkout_request_id);
        let response: Result<StkQueryResponse, DarajaError> =
            self.client.call("/mpesa/stkpushquery/v1/query", &body).await;
        match response {
            Ok(StkQueryResponse { result_code, result_desc }) => match result_code.as_str() {
                SUCCESS_CODE => StkState::Paid,
                "" => StkState::Unknown { reason: "the status query returned no result code".into() },
                code if is_in_process(code, &result_desc) => StkState::InProcess,
                _ => StkState::Failed { code: result_code },
            },
            Err(DarajaError::Rejected { code, message }) if is_in_process(&code, &message) => StkState::InProcess,
            Err(error) => StkState::Unknown { reason: error.to_string() },
        }
    }

    /// Returns the state of a payment. A payment without a reference is not pushed again: its callback brings the
    /// reference.
    async fn report_payment(&self, request: PaymentRequest) -> PaymentResult {
        let Some(reference) = request.reference else {
            return PaymentResult::unknown("M-Pesa can be asked only after its callback brought the CheckoutRequestID");
        };
        let is_awaited = |sent_at: DateTime<Utc>| self.clock.now() < sent_at + CALLBACK_GRACE;
        match self.query_push(&reference).await {
            StkState::Paid if request.sent_at.is_some_and(is_awaited) => {
                PaymentResult::Pending { reference: Some(reference), action: None }
            }
            StkState::Paid => PaymentResult::Succeeded { reference: checkout_reference(&reference), amount: None },
            StkState::InProcess => {
                let phone = request.phone.filter(|phone| to_msisdn(phone).is_some());
                let action = phone.map(|phone| PaymentAction::ConfirmOnPhone { phone });
                PaymentResult::Pending { reference: Some(reference), action }
            }
            StkState::Failed { code } => decline_payment(&code),
            StkState::Unknown { reason } => PaymentResult::unknown(reason),
        }
    }

    /// Returns the result that a callback reports of a payment. A failure counts as reported: it moves no money, and a
    /// later success still counts. A success counts if the status query confirms it.
    async fn interpret_payment(&self, body: Vec<u8>, request: PaymentRequest) -> PaymentResult {
        let callback = StkCallback::parse(&body);
        let is_own = |callback: &StkCallback| {
            request.reference.as_ref().is_none_or(|reference| *reference == callback.checkout_request_id)
        };
        let Some(callback) = callback.filter(is_own) else { return self.report_payment(request).await };
        if callback.result_code != SUCCESS_CODE {
            return if is_in_process(&callback.result_code, "") {
                PaymentResult::Pending { reference: Some(callback.checkout_request_id), action: None }
            } else {
                decline_payment(&callback.result_code)
            };
        }
        match self.query_push(&callback.checkout_request_id).await {
            StkState::Paid => PaymentResult::Succeeded {
                reference: callback.receipt().unwrap_or_else(|| checkout_reference(&callback.checkout_request_id)),
                amount: callback.amount(),
            },
            // The callback has the receipt number, so it is interpreted again later.
            StkState::InProcess => PaymentResult::unknown("the status query does not know the result yet"),
            StkState::Failed { code } => decline_payment(&code),
            StkState::Unknown { reason } => PaymentResult::unknown(reason),
        }
    }

    /// M-Pesa cannot cancel a prompt: returns the voided state if the payment failed, and its state otherwise.
    async fn void_payment(&self, request: PaymentRequest) -> PaymentResult {
        match self.report_payment(request).await {
            PaymentResult::Declined { .. } => PaymentResult::Voided,
            result => result,
        }
    }

    fn has_initiator(&self) -> bool {
        !self.config.initiator_name.is_empty() && !self.config.security_credential.expose_secret().is_empty()
    }

    /// Reverses a received payment, wholly or partly.
    async fn reverse_payment(&self, request: PaymentRequest) -> PaymentResult {
        let declined = |reason: &str| PaymentResult::declined(DeclineCode::Declined, reason);
        if !self.has_initiator() {
            return declined(
                "Refunds through M-Pesa are not set up (payment.mpesa.initiator_name and security_credential). Refund \
                 the buyer in the M-Pesa portal.",
            );
        }
        let Some(refund_id) = request.refund_id else { return declined("The request names no refund.") };
        let receipt = request.capture_reference.as_deref();
        let Some(receipt) = receipt.filter(|reference| !reference.starts_with(CHECKOUT_REFERENCE_PREFIX)) else {
            return declined(
                "The M-Pesa receipt number of this payment is not known, because its callback was lost. Refund the \
                 buyer in the M-Pesa portal.",
            );
        };
        let Some(shillings) = to_shillings(request.amount, &request.currency) else {
            return declined("M-Pesa refunds whole shillings only.");
        };
        let result_url = self.callback_url(CallbackSubject::Refund(refund_id));
        let reversal = Reversal { receipt, shillings, order_number: &request.order_number, result_url: &result_url };
        let body = requests::reversal(&self.config, reversal);
        let response: AcceptedResponse = match self.client.call("/mpesa/reversal/v1/request", &body).await {
            Ok(response) => response,
            Err(error) => return decline_reversal(&error),
        };
        if response.response_code != SUCCESS_CODE {
            let AcceptedResponse { response_code: code, response_description: message, .. } = response;
            return decline_reversal(&DarajaError::Rejected { code, message });
        }
        if response.originator_conversation_id.is_empty() {
            return PaymentResult::unknown("the response has no OriginatorConversationID");
        }
        PaymentResult::Pending { reference: Some(response.originator_conversation_id), action: None }
    }

    /// Requests the state of a reversal; it arrives at the same URL as the reversal's result.
    async fn request_refund_status(&self, request: PaymentRequest) -> PaymentResult {
        let (Some(refund_id), Some(reference)) = (request.refund_id, request.refund_reference) else {
            return PaymentResult::unknown("the reversal's response was lost; only its callback brings its result");
        };
        if !self.has_initiator() {
            return PaymentResult::unknown("the settings of the M-Pesa initiator are missing");
        }
        let result_url = self.callback_url(CallbackSubject::Refund(refund_id));
        let body = requests::transaction_status(&self.config, &reference, &result_url);
        let response: Result<AcceptedResponse, DarajaError> =
            self.client.call("/mpesa/transactionstatus/v1/query", &body).await;
        match response {
            Ok(response) if response.response_code == SUCCESS_CODE => {
                PaymentResult::Pending { reference: Some(reference), action: None }
            }
            Ok(response) => {
                PaymentResult::unknown(format!("the status request was not accepted: {}", response.response_code))
            }
            Err(error) => PaymentResult::unknown(error.to_string()),
        }
    }

    async fn interpret_refund(&self, body: Vec<u8>, request: PaymentRequest) -> PaymentResult {
        match AsyncResult::parse(&body) {
            Some(result) => interpret_refund_result(&result, &request),
            None => self.request_refund_status(request).await,
        }
    }
}

fn checkout_reference(checkout_request_id: &str) -> String {
    format!("{CHECKOUT_REFERENCE_PREFIX}{checkout_request_id}")
}

impl PaymentProvider for MpesaProvider {
    fn name(&self) -> &'static str {
        MPESA_PROVIDER_NAME
    }

    fn accepts(&self, amount: Money) -> bool {
        to_shillings(amount.minor_units, amount.currency.code()).is_some()
    }

    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.push_prompt(request).boxed()
    }

    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        // A confirmed prompt moves the money at once.
        self.report_payment(request).boxed()
    }

    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.reverse_payment(request).boxed()
    }

    fn void(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.void_payment(request).boxed()
    }

    fn query_payment(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.report_payment(request).boxed()
    }

    fn query_refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.request_refund_status(request).boxed()
    }

    fn verify_webhook(&self, webhook: &WebhookRequest<'_>) -> Result<WebhookEvent, WebhookRejection> {
        let subject = webhook.path_token.and_then(|token| self.callback_tokens.verify(token));
        identify_event(subject.ok_or(WebhookRejection::InvalidSignature)?, webhook.body)
    }

    fn interpret_webhook(&self, body: Vec<u8>, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        if request.refund_id.is_some() {
            self.interpret_refund(body, request).boxed()
        } else {
            self.interpret_payment(body, request).boxed()
        }
    }

    fn webhook_response(&self) -> serde_json::Value {
        serde_json::json!({ "ResultCode": 0, "ResultDesc": "Accepted" })
    }
}
