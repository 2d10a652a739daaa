//! Stub of the Stripe API with the published formats, and the cards of its buyers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use savannah::payment::stripe::{STRIPE_API_VERSION, signature::sign_body};
use serde_json::{Value, json};

use super::http_stub::StubServer;

/// Secret of the webhook endpoint.
pub const WEBHOOK_SECRET: &str = "whsec_sesame";
const SECRET_KEY: &str = "sk_test_sesame";

/// Operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StripeOperation {
    CreatePayment,
    Capture,
    Cancel,
    CreateRefund,
    Read,
}

/// Behavior of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum StripeMode {
    /// It is executed, but its response never arrives.
    LosesResponse,
    /// It is not executed, and no response arrives.
    Hangs,
    /// It is executed, and its response arrives after a delay.
    RespondsAfter(Duration),
    /// It is executed, but the response is an error of the server.
    ExecutesAndFails,
    /// The response is a web page.
    ReturnsHtml,
    /// The response has two megabytes.
    ReturnsOversizedBody,
    /// It is not executed and fails with an HTTP status and an error object.
    Fails(u16, Value),
}

/// A writing request: operation, idempotency key, form fields.
type WritingRequest = (StripeOperation, String, BTreeMap<String, String>);

#[derive(Debug, Default)]
struct StripeState {
    modes: BTreeMap<StripeOperation, StripeMode>,
    requests: Vec<WritingRequest>,
    /// Responses by idempotency key, with the fields of their requests.
    stored_responses: BTreeMap<String, (BTreeMap<String, String>, u16, Value)>,
    intents: Vec<Value>,
    refunds: Vec<Value>,
    refund_status: Option<&'static str>,
}

/// The stub; stopped on drop.
pub struct StripeStub {
    server: StubServer,
    state: Arc<Mutex<StripeState>>,
}

impl StripeStub {
    pub async fn start() -> Self {
        let state = Arc::new(Mutex::new(StripeState::default()));
        let shared = Arc::clone(&state);
        let respond = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let shared = Arc::clone(&shared);
            async move {
                let operation = find_operation(&method, uri.path());
                let (mode, (status, response)) = {
                    let mut state = shared.lock().expect("state");
                    let mode = state.modes.get(&operation).cloned();
                    (mode.clone(), state.respond(operation, mode.as_ref(), &uri, &headers, &body))
                };
                match mode {
                    Some(StripeMode::LosesResponse | StripeMode::Hangs) => std::future::pending().await,
                    Some(StripeMode::RespondsAfter(delay)) => {
                        tokio::time::sleep(delay).await;
                        to_response(status, response)
                    }
                    Some(StripeMode::ReturnsHtml) => (StatusCode::OK, "<html>Hello</html>").into_response(),
                    Some(StripeMode::ReturnsOversizedBody) => (StatusCode::OK, " ".repeat(2 << 20)).into_response(),
                    _ => to_response(status, response),
                }
            }
        };
        Self { server: StubServer::start(respond).await, state }
    }

    /// Returns the settings of a shop that uses this stub.
    pub fn settings(&self) -> [(&str, &str); 5] {
        [
            ("SAVANNAH_PAYMENT__REQUEST_TIMEOUT", "1s"),
            ("SAVANNAH_PAYMENT__STRIPE__URL", &self.server.url),
            ("SAVANNAH_PAYMENT__STRIPE__SECRET_KEY", SECRET_KEY),
            ("SAVANNAH_PAYMENT__STRIPE__PUBLISHABLE_KEY", "pk_test_1"),
            ("SAVANNAH_PAYMENT__STRIPE__WEBHOOK_SECRETS", "whsec_previous, whsec_sesame"),
        ]
    }

    fn state(&self) -> MutexGuard<'_, StripeState> {
        self.state.lock().expect("state")
    }

    /// Sets the behavior of an operation; `None`: as documented.
    pub fn set_mode(&self, operation: StripeOperation, mode: Option<StripeMode>) {
        match mode {
            Some(mode) => self.state().modes.insert(operation, mode),
            None => self.state().modes.remove(&operation),
        };
    }

    /// Sets the behavior of all operations; `None`: as documented.
    pub fn set_mode_of_all(&self, mode: Option<&StripeMode>) {
        use StripeOperation::{Cancel, Capture, CreatePayment, CreateRefund, Read};
        for operation in [CreatePayment, Capture, Cancel, CreateRefund, Read] {
            self.set_mode(operation, mode.cloned());
        }
    }

    /// Sets the status of new refunds.
    pub fn set_refund_status(&self, status: &'static str) {
        self.state().refund_status = Some(status);
    }

    /// Returns the form fields and idempotency keys of the requests of an operation.
    pub fn requests(&self, operation: StripeOperation) -> Vec<(String, BTreeMap<String, String>)> {
        let state = self.state();
        let of_operation = state.requests.iter().filter(|(requested, ..)| *requested == operation);
        of_operation.map(|(_, key, fields)| (key.clone(), fields.clone())).collect()
    }

    /// Returns a `PaymentIntent`, by its number from 1.
    pub fn intent(&self, number: usize) -> Value {
        self.state().intents[number - 1].clone()
    }

    /// Returns a refund, by its number from 1.
    pub fn refund(&self, number: usize) -> Value {
        self.state().refunds[number - 1].clone()
    }

    /// Returns the number of payments and refunds.
    pub fn count_objects(&self) -> (usize, usize) {
        let state = self.state();
        (state.intents.len(), state.refunds.len())
    }

    /// Returns the amount that a payment received minus its refunds, in minor units.
    pub fn balance(&self, number: usize) -> i64 {
        self.state().balance(&format!("pi_{number}"))
    }

    /// Changes the status of a refund.
    pub fn finish_refund(&self, number: usize, status: &str) {
        self.state().refunds[number - 1]["status"] = json!(status);
    }

    /// Changes the status of a `PaymentIntent`, as the buyer's card and bank do: `requires_action` asks for 3-D Secure;
    /// `succeeded` pays, or authorizes if the payment is captured manually.
    pub fn advance_intent(&self, number: usize, status: &str) {
        let intent = &mut self.state().intents[number - 1];
        let is_manual = intent["capture_method"] == "manual";
        match status {
            "succeeded" if is_manual => {
                intent["status"] = json!("requires_capture");
                intent["amount_capturable"] = intent["amount"].clone();
            }
            "succeeded" => {
                intent["status"] = json!(status);
                intent["amount_received"] = intent["amount"].clone();
            }
            _ => intent["status"] = json!(status),
        }
        if status != "requires_action" {
            intent["latest_charge"] = json!(format!("ch_{number}"));
        }
    }

    /// Lets the bank decline an attempt.
    pub fn decline_attempt(&self, number: usize, decline_code: &str) {
        let intent = &mut self.state().intents[number - 1];
        intent["status"] = json!("requires_payment_method");
        intent["last_payment_error"] = json!({ "type": "card_error", "code": "card_declined",
            "decline_code": decline_code, "message": "Your card was declined." });
    }
}

/// Returns the body of an event.
pub fn stripe_event(id: &str, event_type: &str, object: &Value) -> String {
    json!({ "id": id, "object": "event", "api_version": STRIPE_API_VERSION, "created": 1_793_523_600,
        "type": event_type, "data": { "object": object }, "livemode": false, "pending_webhooks": 1 })
    .to_string()
}

/// Returns the header `Stripe-Signature` of a body.
pub fn stripe_signature(secret: &str, unix_time: i64, body: &str) -> String {
    format!("t={unix_time},v1={}", sign_body(secret, unix_time, body.as_bytes()))
}

fn find_operation(method: &Method, path: &str) -> StripeOperation {
    match path.rsplit('/').next().unwrap_or_default() {
        _ if method == Method::GET => StripeOperation::Read,
        "payment_intents" => StripeOperation::CreatePayment,
        "capture" => StripeOperation::Capture,
        "cancel" => StripeOperation::Cancel,
        "refunds" => StripeOperation::CreateRefund,
        other => panic!("unknown operation {other}"),
    }
}

fn error(status: u16, error_type: &str, code: &str) -> (u16, Value) {
    (status, json!({ "error": { "type": error_type, "code": code, "message": format!("It failed with {code}.") } }))
}

fn to_response(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).expect("a status"), axum::Json(body)).into_response()
}

impl StripeState {
    fn respond(
        &mut self,
        operation: StripeOperation,
        mode: Option<&StripeMode>,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> (u16, Value) {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("authorization") != format!("Bearer {SECRET_KEY}") {
            let message = format!("Invalid API Key provided: {}", header("authorization"));
            return (401, json!({ "error": { "type": "invalid_request_error", "message": message } }));
        }
        assert_eq!(header("stripe-version"), STRIPE_API_VERSION);
        if let Some(StripeMode::Fails(status, error)) = mode {
            return (*status, json!({ "error": error }));
        }
        if operation == StripeOperation::Read {
            return self.read(uri.path(), uri.query());
        }
        let body = std::str::from_utf8(body).expect("a form");
        assert!(body.is_empty() || header("content-type") == "application/x-www-form-urlencoded");
        let form = reqwest::Url::parse(&format!("form:?{body}")).expect("a form");
        let fields: BTreeMap<String, String> = form.query_pairs().into_owned().collect();
        let key = header("idempotency-key").to_owned();
        assert!(!key.is_empty(), "no idempotency key");
        self.requests.push((operation, key.clone(), fields.clone()));
        if mode == Some(&StripeMode::Hangs) {
            return (500, Value::Null);
        }
        if let Some((stored_fields, status, response)) = self.stored_responses.get(&key) {
            let is_same = *stored_fields == fields;
            return if is_same { (*status, response.clone()) } else { error(400, "idempotency_error", "") };
        }
        let (mut status, mut response) = match operation {
            StripeOperation::CreatePayment => self.create_payment(&fields),
            StripeOperation::CreateRefund => self.create_refund(&fields),
            _ => self.change_payment(operation, uri.path(), &fields),
        };
        if mode == Some(&StripeMode::ExecutesAndFails) {
            (status, response) = error(500, "api_error", "");
        }
        self.stored_responses.insert(key, (fields, status, response.clone()));
        (status, response)
    }

    fn read(&self, path: &str, query: Option<&str>) -> (u16, Value) {
        let (collection, id) = path.strip_prefix("/v1/").and_then(|rest| rest.split_once('/')).unwrap_or((path, ""));
        if collection == "/v1/refunds" {
            let payment = query.and_then(|query| query.strip_prefix("payment_intent=")?.split('&').next());
            let of_payment = self.refunds.iter().rev().filter(|refund| refund["payment_intent"].as_str() == payment);
            return (200, json!({ "object": "list", "data": of_payment.collect::<Vec<_>>(), "has_more": false }));
        }
        let objects = if collection == "refunds" { &self.refunds } else { &self.intents };
        match objects.iter().find(|object| object["id"] == id) {
            Some(object) => (200, object.clone()),
            None => error(404, "invalid_request_error", "resource_missing"),
        }
    }

    fn create_payment(&mut self, fields: &BTreeMap<String, String>) -> (u16, Value) {
        let amount: i64 = fields["amount"].parse().expect("an amount");
        if amount < 50 {
            return error(400, "invalid_request_error", "amount_too_small");
        }
        assert_eq!(fields["automatic_payment_methods[enabled]"], "true");
        let number = self.intents.len() + 1;
        let intent = json!({
            "id": format!("pi_{number}"), "object": "payment_intent", "amount": amount, "amount_capturable": 0,
            "amount_received": 0, "capture_method": fields["capture_method"],
            "client_secret": format!("pi_{number}_secret_{number}"), "currency": fields["currency"],
            "description": fields["description"], "last_payment_error": null, "latest_charge": null,
            "metadata": { "payment_id": fields["metadata[payment_id]"], "order_number": fields["metadata[order_number]"] },
            "status": "requires_payment_method",
        });
        self.intents.push(intent.clone());
        (200, intent)
    }

    fn change_payment(
        &mut self,
        operation: StripeOperation,
        path: &str,
        fields: &BTreeMap<String, String>,
    ) -> (u16, Value) {
        let id = path.split('/').nth(3).expect("an id");
        let Some(intent) = self.intents.iter_mut().find(|intent| intent["id"] == id) else {
            return error(404, "invalid_request_error", "resource_missing");
        };
        let status = intent["status"].as_str().unwrap_or_default().to_owned();
        match operation {
            StripeOperation::Capture if status == "requires_capture" => {
                intent["status"] = json!("succeeded");
                let amount: i64 = fields["amount_to_capture"].parse().expect("an amount");
                (intent["amount_received"], intent["amount_capturable"]) = (json!(amount), json!(0));
            }
            StripeOperation::Cancel if !matches!(status.as_str(), "succeeded" | "canceled" | "processing") => {
                intent["status"] = json!("canceled");
                intent["amount_capturable"] = json!(0);
            }
            _ => return error(400, "invalid_request_error", "payment_intent_unexpected_state"),
        }
        (200, intent.clone())
    }

    fn balance(&self, payment: &str) -> i64 {
        let received = self.intents.iter().filter(|intent| intent["id"] == payment);
        let received: i64 = received.filter_map(|intent| intent["amount_received"].as_i64()).sum();
        // Failed refunds are returned to the shop.
        let refunds = self.refunds.iter().filter(|refund| refund["payment_intent"] == payment);
        let refunds = refunds.filter(|refund| refund["status"] != "failed");
        received - refunds.filter_map(|refund| refund["amount"].as_i64()).sum::<i64>()
    }

    fn create_refund(&mut self, fields: &BTreeMap<String, String>) -> (u16, Value) {
        let amount: i64 = fields["amount"].parse().expect("an amount");
        let payment = &fields["payment_intent"];
        if self.balance(payment) < amount {
            return error(400, "invalid_request_error", "charge_already_refunded");
        }
        let refund = json!({
            "id": format!("re_{}", self.refunds.len() + 1), "object": "refund", "amount": amount, "currency": "kes",
            "payment_intent": payment, "status": self.refund_status.unwrap_or("succeeded"), "failure_reason": null,
            "metadata": { "refund_id": fields["metadata[refund_id]"], "payment_id": fields["metadata[payment_id]"],
                "order_number": fields["metadata[order_number]"] },
        });
        self.refunds.push(refund.clone());
        (200, refund)
    }
}
