//! The Stripe provider against a stub of its API.

use std::path::Path;

use iso_currency::Currency;
use libtest_mimic::Trial;
use savannah::{
    base::Money,
    infra::{Config, HttpClient},
    payment::{
        DeclineCode, PaymentAction, PaymentProvider, PaymentRequest, PaymentResult,
        stripe::StripeProvider,
        webhook::{WebhookEvent, WebhookRejection, WebhookRequest, WebhookSubject},
    },
};
use serde_json::{Value, json};

use crate::{
    mpesa::{assert_declined, assert_unknown, noon, payment_request},
    support::{
        TestFuture,
        stripe_stub::{StripeMode, StripeOperation, StripeStub, WEBHOOK_SECRET, stripe_event, stripe_signature},
        trial_without_database,
    },
};

const CREATE: StripeOperation = StripeOperation::CreatePayment;
const REFUND: StripeOperation = StripeOperation::CreateRefund;

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> TestFuture| trial_without_database("stripe", name, run);
    vec![
        trial("intent_waits_for_the_buyer", || Box::pin(create_intent())),
        trial("lost_creation_is_repeated_with_the_same_key", || Box::pin(lose_creation())),
        trial("rejected_creation_is_declined", || Box::pin(decline_rejected_creation())),
        trial("errors_without_result_are_unknown", || Box::pin(receive_errors())),
        trial("buyer_pays_after_a_declined_attempt_and_3d_secure", || Box::pin(pay_with_3d_secure())),
        trial("authorized_payment_is_captured_once", || Box::pin(capture_payment())),
        trial("void_cancels_or_reports_the_payment", || Box::pin(cancel_payment())),
        trial("refund_is_executed_once", || Box::pin(refund_payment())),
        trial("lost_refund_is_found_by_its_id", || Box::pin(lose_refund())),
        trial("rejected_refund_is_declined", || Box::pin(decline_refund())),
        trial("event_reads_the_current_state", || Box::pin(interpret_events())),
        trial("webhook_needs_a_recent_valid_signature", || Box::pin(verify_signatures())),
        trial("secrets_are_not_printed", || Box::pin(print_no_secrets())),
    ]
}

fn create_provider(stub: &StripeStub, changes: &[(&str, &str)]) -> StripeProvider {
    let settings = [&stub.settings()[..], changes].concat();
    let variables = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
    let config = Config::load_from(Path::new("/nowhere/savannah.toml"), variables).expect("settings");
    StripeProvider::new(&config, &HttpClient::new().expect("a client")).expect("a provider")
}

async fn start() -> (StripeStub, StripeProvider) {
    let stub = StripeStub::start().await;
    let provider = create_provider(&stub, &[]);
    (stub, provider)
}

async fn start_manual_capture() -> (StripeStub, StripeProvider) {
    let stub = StripeStub::start().await;
    let provider = create_provider(&stub, &[("SAVANNAH_PAYMENT__STRIPE__CAPTURE_AUTOMATICALLY", "false")]);
    (stub, provider)
}

/// Returns a request about the first `PaymentIntent`, with the key of an operation.
fn created_request(key: &str) -> PaymentRequest {
    PaymentRequest { idempotency_key: key.into(), reference: Some("pi_1".into()), ..payment_request() }
}

fn refund_request() -> PaymentRequest {
    PaymentRequest {
        refund_id: Some(3),
        capture_reference: Some("pi_1".into()),
        amount: 10_000,
        ..created_request("refund-3")
    }
}

fn kes(minor_units: i64) -> Money {
    Money::new(minor_units, Currency::KES)
}

fn waits_for_buyer() -> PaymentResult {
    let (client_secret, publishable_key) = ("pi_1_secret_1".to_owned(), "pk_test_1".to_owned());
    let action = PaymentAction::ClientSecret { client_secret, publishable_key };
    PaymentResult::Pending { reference: Some("pi_1".into()), action: Some(action) }
}

fn paid() -> PaymentResult {
    PaymentResult::Succeeded { reference: "pi_1".into(), amount: Some(kes(35_000)) }
}

fn error_object(error_type: &str, code: &str) -> Value {
    json!({ "type": error_type, "code": code, "message": "No." })
}

async fn create_intent() {
    let (stub, provider) = start().await;
    assert_eq!(provider.authorize(payment_request()).await, waits_for_buyer());
    let (key, fields) = &stub.requests(CREATE)[0];
    assert_eq!(key, "payment-7-K7QX-3M9T");
    let expected = [
        ("amount", "35000"),
        ("automatic_payment_methods[enabled]", "true"),
        ("capture_method", "automatic"),
        ("currency", "kes"),
        ("description", "Order K7QX-3M9T"),
        ("metadata[order_number]", "K7QX-3M9T"),
        ("metadata[payment_id]", "7"),
    ];
    assert_eq!(*fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(provider.query_payment(created_request("payment-7")).await, waits_for_buyer());
    assert!(provider.accepts(Money::new(35_050, Currency::KES)));
    assert!(!provider.accepts(Money::new(5124, Currency::KWD)));
}

async fn lose_creation() {
    let (stub, provider) = start().await;
    stub.set_mode(CREATE, Some(StripeMode::LosesResponse));
    assert_unknown(&provider.authorize(payment_request()).await);
    assert_eq!(provider.query_payment(payment_request()).await, PaymentResult::NotFound);
    stub.set_mode(CREATE, None);
    assert_eq!(provider.authorize(payment_request()).await, waits_for_buyer());
    assert_eq!(stub.count_objects(), (1, 0));
    // The same payment id of another shop with the same account is another payment.
    let other_shop = PaymentRequest { order_number: "AAAA-BBBB".into(), ..payment_request() };
    assert_ne!(provider.authorize(other_shop).await, waits_for_buyer());
    assert_eq!(stub.count_objects(), (2, 0));
}

async fn decline_rejected_creation() {
    let (stub, provider) = start().await;
    let small = PaymentRequest { amount: 49, ..payment_request() };
    assert_declined(&provider.authorize(small).await, DeclineCode::InvalidDetails);
    for (request, expected) in [
        (PaymentRequest { amount: 100_000_000, ..payment_request() }, DeclineCode::InvalidDetails),
        (PaymentRequest { currency: "CLF".into(), ..payment_request() }, DeclineCode::InvalidDetails),
    ] {
        assert_declined(&provider.authorize(request).await, expected);
    }
    stub.set_mode(CREATE, Some(StripeMode::Fails(400, error_object("invalid_request_error", "parameter_invalid"))));
    let declined = provider.authorize(payment_request()).await;
    assert!(matches!(&declined, PaymentResult::Declined { reason, .. } if !reason.contains("No.")), "{declined:?}");
    let mut card_error = error_object("card_error", "card_declined");
    card_error["decline_code"] = json!("insufficient_funds");
    stub.set_mode(CREATE, Some(StripeMode::Fails(402, card_error)));
    assert_declined(&provider.authorize(payment_request()).await, DeclineCode::InsufficientFunds);
}

async fn receive_errors() {
    let (stub, provider) = start().await;
    assert_eq!(provider.authorize(payment_request()).await, waits_for_buyer());
    for mode in [
        StripeMode::Fails(400, error_object("idempotency_error", "")),
        StripeMode::Fails(409, error_object("idempotency_error", "idempotency_key_in_use")),
        StripeMode::Fails(429, error_object("invalid_request_error", "rate_limit")),
        StripeMode::Fails(500, error_object("api_error", "")),
        StripeMode::Fails(401, error_object("invalid_request_error", "")),
        StripeMode::Fails(403, error_object("invalid_request_error", "")),
        StripeMode::Fails(404, error_object("invalid_request_error", "resource_missing")),
        StripeMode::ReturnsHtml,
        StripeMode::ReturnsOversizedBody,
        StripeMode::LosesResponse,
    ] {
        for operation in [StripeOperation::Capture, StripeOperation::Cancel, StripeOperation::Read] {
            stub.set_mode(operation, Some(mode.clone()));
        }
        for result in [
            provider.capture(created_request("capture-7")).await,
            provider.void(created_request("void-7")).await,
            provider.query_payment(created_request("payment-7")).await,
            provider.query_refund(refund_request()).await,
        ] {
            assert_unknown(&result);
        }
    }
    let unreachable = create_provider(&stub, &[("SAVANNAH_PAYMENT__STRIPE__URL", "http://127.0.0.1:1")]);
    assert_unknown(&unreachable.authorize(payment_request()).await);
    let wrong_key = create_provider(&stub, &[("SAVANNAH_PAYMENT__STRIPE__SECRET_KEY", "sk_test_wrong")]);
    let rejected = wrong_key.authorize(payment_request()).await;
    assert_unknown(&rejected);
    assert!(!format!("{rejected:?}").contains("sk_test"), "{rejected:?}");
    // A reference that is not an id never becomes a part of a URL.
    let path = PaymentRequest { reference: Some("../customers".into()), ..payment_request() };
    assert_unknown(&provider.query_payment(path).await);
}

async fn pay_with_3d_secure() {
    let (stub, provider) = start().await;
    provider.authorize(payment_request()).await;
    let query = || provider.query_payment(created_request("payment-7"));
    stub.decline_attempt(1, "insufficient_funds");
    assert_eq!(query().await, waits_for_buyer());
    stub.advance_intent(1, "requires_action");
    assert_eq!(query().await, waits_for_buyer());
    stub.advance_intent(1, "processing");
    assert_eq!(query().await, PaymentResult::Pending { reference: Some("pi_1".into()), action: None });
    stub.advance_intent(1, "succeeded");
    assert_eq!(query().await, paid());
}

async fn capture_payment() {
    let (stub, provider) = start_manual_capture().await;
    provider.authorize(payment_request()).await;
    stub.advance_intent(1, "succeeded");
    let authorized = PaymentResult::Authorized { reference: "pi_1".into(), amount: Some(kes(35_000)) };
    assert_eq!(provider.query_payment(created_request("payment-7")).await, authorized);
    stub.set_mode(StripeOperation::Capture, Some(StripeMode::LosesResponse));
    let partial = PaymentRequest { amount: 30_000, ..created_request("capture-7") };
    assert_unknown(&provider.capture(partial.clone()).await);
    stub.set_mode(StripeOperation::Capture, None);
    let captured = PaymentResult::Succeeded { reference: "pi_1".into(), amount: Some(kes(30_000)) };
    assert_eq!(provider.query_payment(partial.clone()).await, captured);
    assert_eq!(provider.capture(partial.clone()).await, captured);
    // Captured already, with another key: the state is the result.
    let again = PaymentRequest { idempotency_key: "capture-8".into(), ..partial };
    assert_eq!(provider.capture(again).await, captured);
}

async fn cancel_payment() {
    let (stub, provider) = start().await;
    // Never sent, or sent with a lost response.
    let unsent = PaymentRequest { sent_at: None, ..payment_request() };
    assert_eq!((provider.void(unsent).await, stub.count_objects()), (PaymentResult::Voided, (0, 0)));
    stub.set_mode(CREATE, Some(StripeMode::LosesResponse));
    assert_unknown(&provider.authorize(payment_request()).await);
    stub.set_mode(CREATE, None);
    let void_request = || PaymentRequest { idempotency_key: "void-7".into(), ..payment_request() };
    assert_eq!((provider.void(void_request()).await, stub.count_objects()), (PaymentResult::Voided, (1, 0)));
    assert_eq!(stub.intent(1)["status"], "canceled");
    assert_eq!(provider.query_payment(created_request("payment-7")).await, PaymentResult::Voided);
    // A declined attempt before, and a payment before.
    let second = PaymentRequest { order_number: "AAAA-BBBB".into(), ..payment_request() };
    provider.authorize(second.clone()).await;
    stub.decline_attempt(2, "do_not_honor");
    let second = PaymentRequest { reference: Some("pi_2".into()), idempotency_key: "void-8".into(), ..second };
    assert_eq!(provider.void(second.clone()).await, PaymentResult::Voided);
    assert_declined(&provider.query_payment(second).await, DeclineCode::Declined);
    let third = PaymentRequest { order_number: "CCCC-DDDD".into(), ..payment_request() };
    provider.authorize(third.clone()).await;
    stub.advance_intent(3, "succeeded");
    let third = PaymentRequest { reference: Some("pi_3".into()), idempotency_key: "void-9".into(), ..third };
    assert_eq!(
        provider.void(third).await,
        PaymentResult::Succeeded { reference: "pi_3".into(), amount: Some(kes(35_000)) }
    );
}

async fn start_paid() -> (StripeStub, StripeProvider) {
    let (stub, provider) = start().await;
    provider.authorize(payment_request()).await;
    stub.advance_intent(1, "succeeded");
    (stub, provider)
}

async fn refund_payment() {
    let (stub, provider) = start_paid().await;
    let refunded = PaymentResult::Succeeded { reference: "re_1".into(), amount: Some(kes(10_000)) };
    for _ in 0..2 {
        assert_eq!(provider.refund(refund_request()).await, refunded);
    }
    assert_eq!(stub.count_objects(), (1, 1));
    let (key, fields) = &stub.requests(REFUND)[0];
    assert_eq!((key.as_str(), fields["payment_intent"].as_str()), ("refund-3-K7QX-3M9T", "pi_1"));
    // Some methods refund later, and may fail.
    stub.set_refund_status("pending");
    let second = PaymentRequest { refund_id: Some(4), idempotency_key: "refund-4".into(), ..refund_request() };
    let pending = PaymentResult::Pending { reference: Some("re_2".into()), action: None };
    assert_eq!(provider.refund(second.clone()).await, pending);
    let second = PaymentRequest { refund_reference: Some("re_2".into()), ..second };
    assert_eq!(provider.query_refund(second.clone()).await, pending);
    stub.finish_refund(2, "failed");
    assert_declined(&provider.query_refund(second).await, DeclineCode::Declined);
}

async fn lose_refund() {
    let (stub, provider) = start_paid().await;
    stub.set_mode(REFUND, Some(StripeMode::Fails(429, error_object("invalid_request_error", "rate_limit"))));
    assert_unknown(&provider.refund(refund_request()).await);
    assert_eq!(provider.query_refund(refund_request()).await, PaymentResult::NotFound);
    for mode in [StripeMode::ExecutesAndFails, StripeMode::LosesResponse] {
        stub.set_mode(REFUND, Some(mode));
        assert_unknown(&provider.refund(refund_request()).await);
    }
    let refunded = PaymentResult::Succeeded { reference: "re_1".into(), amount: Some(kes(10_000)) };
    assert_eq!(provider.query_refund(refund_request()).await, refunded);
    let other = PaymentRequest { refund_id: Some(4), ..refund_request() };
    assert_eq!(provider.query_refund(other).await, PaymentResult::NotFound);
    assert_eq!(stub.count_objects(), (1, 1));
}

async fn decline_refund() {
    let (stub, provider) = start_paid().await;
    let too_much = PaymentRequest { amount: 35_001, ..refund_request() };
    let declined = provider.refund(too_much).await;
    assert!(
        matches!(&declined, PaymentResult::Declined { reason, .. } if reason.starts_with("Nothing was refunded")),
        "{declined:?}"
    );
    assert_eq!(stub.count_objects(), (1, 0));
}

async fn interpret_events() {
    let (stub, provider) = start().await;
    provider.authorize(payment_request()).await;
    let old_event = stripe_event("evt_1", "payment_intent.created", &stub.intent(1)).into_bytes();
    stub.advance_intent(1, "succeeded");
    // The event is old, and may come before the response to the creation.
    for request in [created_request("payment-7"), payment_request()] {
        assert_eq!(provider.interpret_webhook(old_event.clone(), request).await, paid());
    }
    let without_news = PaymentResult::Pending { reference: None, action: None };
    let other_shop = PaymentRequest { order_number: "AAAA-BBBB".into(), ..payment_request() };
    assert_eq!(provider.interpret_webhook(old_event.clone(), other_shop).await, without_news);
    provider.refund(refund_request()).await;
    let refund_event = stripe_event("evt_2", "refund.updated", &stub.refund(1)).into_bytes();
    let refunded = PaymentResult::Succeeded { reference: "re_1".into(), amount: Some(kes(10_000)) };
    for reference in [Some("re_1".to_owned()), None] {
        let request = PaymentRequest { refund_reference: reference, ..refund_request() };
        assert_eq!(provider.interpret_webhook(refund_event.clone(), request).await, refunded);
    }
    let other_refund = PaymentRequest { refund_id: Some(4), ..refund_request() };
    assert_eq!(provider.interpret_webhook(refund_event, other_refund).await, without_news);
    stub.set_mode(StripeOperation::Read, Some(StripeMode::ReturnsHtml));
    assert_unknown(&provider.interpret_webhook(old_event, created_request("payment-7")).await);
}

fn verify(provider: &StripeProvider, signature: Option<&str>, body: &str) -> Result<WebhookEvent, WebhookRejection> {
    let unix_time = noon().timestamp();
    provider.verify_webhook(&WebhookRequest { body: body.as_bytes(), signature, path_token: None, unix_time })
}

async fn verify_signatures() {
    let (stub, provider) = start().await;
    provider.authorize(payment_request()).await;
    let (body, now) = (stripe_event("evt_1", "payment_intent.succeeded", &stub.intent(1)), noon().timestamp());
    let expected = WebhookEvent {
        event_id: "evt_1".into(),
        event_type: "payment_intent.succeeded".into(),
        subject: WebhookSubject::Payment(7),
    };
    for secret in [WEBHOOK_SECRET, "whsec_previous"] {
        let signature = stripe_signature(secret, now, &body);
        assert_eq!(verify(&provider, Some(&signature), &body), Ok(expected.clone()));
    }
    let signature = stripe_signature(WEBHOOK_SECRET, now, &body);
    let changed_body = body.replace("35000", "1");
    assert_eq!(verify(&provider, Some(&signature), &changed_body), Err(WebhookRejection::InvalidSignature));
    assert_eq!(verify(&provider, None, &body), Err(WebhookRejection::InvalidSignature));
    let wrong_secret = stripe_signature("whsec_wrong", now, &body);
    assert_eq!(verify(&provider, Some(&wrong_secret), &body), Err(WebhookRejection::InvalidSignature));
    let old = stripe_signature(WEBHOOK_SECRET, now - 301, &body);
    assert_eq!(verify(&provider, Some(&old), &body), Err(WebhookRejection::Expired));
    let malformed = stripe_signature(WEBHOOK_SECRET, now, "{}");
    assert_eq!(verify(&provider, Some(&malformed), "{}"), Err(WebhookRejection::InvalidBody));
}

async fn print_no_secrets() {
    let (stub, provider) = start().await;
    let mut printed = vec![format!("{provider:?}")];
    for mode in [
        StripeMode::Fails(
            401,
            json!({ "type": "invalid_request_error", "message": "Invalid API Key: sk_test_sesame" }),
        ),
        StripeMode::ReturnsOversizedBody,
        StripeMode::LosesResponse,
    ] {
        stub.set_mode(CREATE, Some(mode));
        printed.push(format!("{:?}", provider.authorize(payment_request()).await));
    }
    assert!(printed.iter().all(|text| !text.contains("sesame") && !text.contains("whsec_previous")), "{printed:?}");
}
