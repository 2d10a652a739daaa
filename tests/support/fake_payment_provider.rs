//! Fake payment provider: configurable results, and one money movement per idempotency key.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use savannah::payment::{DeclineCode, PaymentAction, PaymentProvider, PaymentProviders, PaymentRequest, PaymentResult};

use super::{Backend, TestApp};

/// Response of the fake provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FakePaymentResponse {
    /// The payment is authorized.
    Authorized,
    /// The operation succeeded.
    Succeeded,
    /// The buyer must act first.
    Pending,
    /// The operation is declined.
    Declined,
    /// The operation succeeded, but the response is lost.
    Unknown,
    /// The request was not received.
    Unreceived,
}

/// A fake payment provider named `bank`.
#[derive(Debug)]
pub struct FakePaymentProvider {
    authorize_response: Mutex<FakePaymentResponse>,
    refund_response: Mutex<FakePaymentResponse>,
    capture_response: Mutex<FakePaymentResponse>,
    void_response: Mutex<FakePaymentResponse>,
    responses_by_key: Mutex<BTreeMap<String, FakePaymentResponse>>,
    amounts_by_key: Mutex<BTreeMap<String, i64>>,
    requests: Mutex<Vec<(&'static str, PaymentRequest)>>,
}

impl FakePaymentProvider {
    /// Starts a server with a fake provider that returns this response.
    pub async fn start_app(backend: Backend, response: FakePaymentResponse) -> (TestApp, Arc<Self>) {
        let payment_provider = Arc::new(Self {
            authorize_response: Mutex::new(response),
            refund_response: Mutex::new(FakePaymentResponse::Succeeded),
            capture_response: Mutex::new(FakePaymentResponse::Succeeded),
            void_response: Mutex::new(FakePaymentResponse::Succeeded),
            responses_by_key: Mutex::default(),
            amounts_by_key: Mutex::default(),
            requests: Mutex::default(),
        });
        let providers = payment_provider.registry();
        (
            TestApp::start_with_payment_providers(backend, &[("SAVANNAH_DATABASE__MAX_CONNECTIONS", "8")], providers)
                .await,
            payment_provider,
        )
    }

    /// Returns a registry with the manual methods and this provider.
    pub fn registry(self: &Arc<Self>) -> PaymentProviders {
        let provider_handle: Arc<dyn PaymentProvider> = Arc::<Self>::clone(self);
        PaymentProviders::default().with_provider(provider_handle)
    }

    /// Sets the response to new authorizations. Existing keys keep their response.
    pub fn set_authorize_response(&self, response: FakePaymentResponse) {
        *self.authorize_response.lock().expect("response") = response;
    }

    /// Sets the response to refunds.
    pub fn set_refund_response(&self, response: FakePaymentResponse) {
        *self.refund_response.lock().expect("response") = response;
    }

    /// Sets the response to captures.
    pub fn set_capture_response(&self, response: FakePaymentResponse) {
        *self.capture_response.lock().expect("response") = response;
    }

    /// Sets the response to voids.
    pub fn set_void_response(&self, response: FakePaymentResponse) {
        *self.void_response.lock().expect("response") = response;
    }

    /// Completes a pending payment as the buyer would. Returns the provider's result.
    pub fn complete_payment(&self, key: &str, amount: i64) -> PaymentResult {
        self.responses_by_key.lock().expect("responses").insert(key.to_owned(), FakePaymentResponse::Succeeded);
        self.record_amount_once(key, amount);
        PaymentResult::Succeeded { reference: format!("bank {key}"), amount: None }
    }

    /// Returns the net amount moved, in minor units.
    pub fn balance(&self) -> i64 {
        self.amounts_by_key.lock().expect("amounts").values().sum()
    }

    /// Returns the idempotency keys of an operation's requests, in order.
    pub fn request_keys(&self, operation: &str) -> Vec<String> {
        let requests = self.requests.lock().expect("requests");
        requests
            .iter()
            .filter(|(requested, _)| *requested == operation)
            .map(|(_, request)| request.idempotency_key.clone())
            .collect()
    }

    /// Returns the state under a key: what was answered, or the movement of money whose answer was lost.
    fn query_state(&self, key: &str) -> Option<PaymentResult> {
        let reference = format!("bank {key}");
        let response = self.responses_by_key.lock().expect("responses").get(key).copied();
        match response {
            Some(FakePaymentResponse::Authorized) => Some(PaymentResult::Authorized { reference, amount: None }),
            Some(FakePaymentResponse::Pending) => Some(PaymentResult::Pending { reference: None, action: None }),
            Some(FakePaymentResponse::Declined) if !key.starts_with("capture-") => {
                Some(PaymentResult::declined(DeclineCode::InsufficientFunds, "there is not enough on the account"))
            }
            _ => {
                let is_moved = self.amounts_by_key.lock().expect("amounts").contains_key(key);
                is_moved.then_some(PaymentResult::Succeeded { reference, amount: None })
            }
        }
    }

    fn record_amount_once(&self, key: &str, amount: i64) {
        self.amounts_by_key.lock().expect("amounts").entry(key.to_owned()).or_insert(amount);
    }

    /// Responds to a request; a key with a known result gets the same result again.
    fn respond(
        &self,
        (operation, provider_response): (&'static str, FakePaymentResponse),
        request: PaymentRequest,
        sign: i64,
    ) -> BoxFuture<'_, PaymentResult> {
        let key = request.idempotency_key.clone();
        let amount = request.amount * sign;
        self.requests.lock().expect("requests").push((operation, request));
        let existing = self.responses_by_key.lock().expect("responses").get(&key).copied();
        let provider_response = existing.unwrap_or(provider_response);
        if provider_response != FakePaymentResponse::Unreceived && provider_response != FakePaymentResponse::Unknown {
            self.responses_by_key.lock().expect("responses").insert(key.clone(), provider_response);
        }
        if matches!(provider_response, FakePaymentResponse::Succeeded | FakePaymentResponse::Unknown) {
            self.record_amount_once(&key, amount);
        }
        let reference = format!("bank {key}");
        let response = match provider_response {
            FakePaymentResponse::Authorized => PaymentResult::Authorized { reference, amount: None },
            FakePaymentResponse::Succeeded if operation == "void" => PaymentResult::Voided,
            FakePaymentResponse::Succeeded => PaymentResult::Succeeded { reference, amount: None },
            FakePaymentResponse::Pending => {
                let url = format!("https://bank.example/pay/{key}");
                PaymentResult::Pending { reference: None, action: Some(PaymentAction::Redirect { url }) }
            }
            FakePaymentResponse::Declined => {
                PaymentResult::declined(DeclineCode::InsufficientFunds, "there is not enough on the account")
            }
            FakePaymentResponse::Unknown | FakePaymentResponse::Unreceived => {
                PaymentResult::unknown("the line is dead")
            }
        };
        ready(response).boxed()
    }
}

impl PaymentProvider for FakePaymentProvider {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        let response = *self.authorize_response.lock().expect("response");
        self.respond(("authorize", response), request, 1)
    }

    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        let response = *self.capture_response.lock().expect("response");
        self.respond(("capture", response), request, 1)
    }

    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        let response = *self.refund_response.lock().expect("response");
        self.respond(("refund", response), request, -1)
    }

    fn void(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        let response = *self.void_response.lock().expect("response");
        self.respond(("void", response), request, 0)
    }

    /// Returns the state of a payment: of its capture if there was a successful one, otherwise of its authorization.
    fn query_payment(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        self.requests.lock().expect("requests").push(("query", request.clone()));
        let keys = [format!("capture-{}", request.payment_id), format!("payment-{}", request.payment_id)];
        ready(keys.iter().find_map(|key| self.query_state(key)).unwrap_or(PaymentResult::NotFound)).boxed()
    }

    fn query_refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult> {
        ready(self.query_state(&request.idempotency_key).unwrap_or(PaymentResult::NotFound)).boxed()
    }
}
