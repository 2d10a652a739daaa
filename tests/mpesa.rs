//! The M-Pesa provider against a stub of the Daraja API: payments.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use iso_currency::Currency;
use libtest_mimic::Trial;
use savannah::{
    base::{Clock, Money},
    infra::{Config, HttpClient},
    payment::{
        DeclineCode, PaymentAction, PaymentProvider, PaymentRequest, PaymentResult,
        mpesa::MpesaProvider,
        webhook::{WebhookEvent, WebhookRejection, WebhookRequest, WebhookSubject},
    },
};
use serde_json::{Value, json};

use crate::support::{
    TestFuture,
    mpesa_stub::{MpesaMode, MpesaStub, PUSH_PATH, QUERY_PATH, TOKEN_PATH},
    trial_without_database,
};

const CALLBACK_PREFIX: &str = "/webhooks/payments/mpesa/";

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> TestFuture| trial_without_database("mpesa", name, run);
    vec![
        trial("access_token_is_shared_by_concurrent_payments", || Box::pin(share_access_token())),
        trial("access_token_is_renewed_before_it_expires", || Box::pin(renew_expiring_token())),
        trial("rejected_access_token_is_renewed_once", || Box::pin(renew_rejected_token())),
        trial("push_waits_for_the_confirmation_on_the_phone", || Box::pin(push_prompt())),
        trial("payment_outside_of_the_limits_is_declined_without_a_request", || Box::pin(decline_without_request())),
        trial("rejected_push_is_declined", || Box::pin(decline_rejected_push())),
        trial("lost_push_is_unknown_and_not_repeated", || Box::pin(lose_push())),
        trial("unreadable_response_is_unknown", || Box::pin(receive_unreadable_responses())),
        trial("payment_is_confirmed_by_callback_and_query", || Box::pin(confirm_payment())),
        trial("forged_success_is_not_counted", || Box::pin(reject_forged_success())),
        trial("failure_callback_is_a_decline", || Box::pin(decline_by_callback())),
        trial("callback_needs_the_token_of_its_payment", || Box::pin(verify_callback_tokens())),
        trial("lost_callback_is_replaced_by_the_query", || Box::pin(query_without_callback())),
        trial("void_reports_what_became_of_the_prompt", || Box::pin(void_prompts())),
        trial("secrets_are_not_printed", || Box::pin(print_no_secrets())),
    ]
}

pub fn noon() -> DateTime<Utc> {
    "2026-11-01T09:00:00Z".parse().expect("a time")
}

pub fn create_provider(stub: &MpesaStub, clock: &Clock, changes: &[(&str, &str)]) -> MpesaProvider {
    let settings = [&stub.settings()[..], changes].concat();
    let variables = settings.into_iter().map(|(name, value)| (name.into(), value.into()));
    let config = Config::load_from(Path::new("/nowhere/savannah.toml"), variables).expect("settings");
    MpesaProvider::new(&config, &HttpClient::new().expect("a client"), clock).expect("a provider")
}

pub async fn start() -> (MpesaStub, MpesaProvider, Clock) {
    let (stub, clock) = (MpesaStub::start().await, Clock::fixed(noon()));
    let provider = create_provider(&stub, &clock, &[]);
    (stub, provider, clock)
}

pub fn payment_request() -> PaymentRequest {
    PaymentRequest {
        idempotency_key: "payment-7".into(),
        payment_id: 7,
        refund_id: None,
        reference: None,
        capture_reference: None,
        refund_reference: None,
        sent_at: Some(noon()),
        order_number: "K7QX-3M9T".into(),
        amount: 35_000,
        currency: "KES".into(),
        phone: Some("+254712345678".into()),
        email: Some("wanjiku@example.com".into()),
    }
}

/// Returns a request about the first push.
fn pushed_request() -> PaymentRequest {
    PaymentRequest { reference: Some(MpesaStub::checkout_id(1)), ..payment_request() }
}

fn confirm_on_phone() -> PaymentResult {
    PaymentResult::Pending {
        reference: Some(MpesaStub::checkout_id(1)),
        action: Some(PaymentAction::ConfirmOnPhone { phone: "+254712345678".into() }),
    }
}

pub fn assert_unknown(result: &PaymentResult) {
    assert!(matches!(result, PaymentResult::Unknown { .. }), "{result:?}");
}

pub fn assert_declined(result: &PaymentResult, expected: DeclineCode) {
    assert!(matches!(result, PaymentResult::Declined { code, .. } if *code == expected), "{expected:?}: {result:?}");
}

/// Verifies a callback at the path of the shop to which it is sent.
pub fn verify_callback(provider: &MpesaProvider, path: &str, body: &[u8]) -> Result<WebhookEvent, WebhookRejection> {
    let path_token = path.strip_prefix(CALLBACK_PREFIX);
    provider.verify_webhook(&WebhookRequest { body, signature: None, path_token, unix_time: 0 })
}

async fn share_access_token() {
    let (stub, provider, _) = start().await;
    let clones: Vec<MpesaProvider> = (0..20).map(|_| provider.clone()).collect();
    let results = join_all(clones.iter().map(|clone| clone.authorize(payment_request()))).await;
    assert!(results.iter().all(|result| matches!(result, PaymentResult::Pending { .. })), "{results:?}");
    assert_eq!((stub.requests(TOKEN_PATH).len(), stub.requests(PUSH_PATH).len()), (1, 20));
    // Of a failure, too, those who wait learn at once.
    stub.invalidate_token();
    stub.set_mode(TOKEN_PATH, Some(MpesaMode::Fails(500, "", "")));
    let results = join_all(clones.iter().map(|clone| clone.authorize(payment_request()))).await;
    for result in &results {
        assert_declined(result, DeclineCode::Declined);
    }
    assert_eq!(stub.requests(PUSH_PATH).len(), 20);
}

async fn renew_expiring_token() {
    let (stub, provider, clock) = start().await;
    for (seconds, fetched) in [(0, 1), (3538, 1), (3539, 2), (3600, 2)] {
        clock.set(noon() + TimeDelta::seconds(seconds));
        assert!(matches!(provider.authorize(payment_request()).await, PaymentResult::Pending { .. }));
        assert_eq!(stub.requests(TOKEN_PATH).len(), fetched, "after {seconds} s");
    }
}

async fn renew_rejected_token() {
    let (stub, provider, _) = start().await;
    assert_eq!(provider.authorize(payment_request()).await, confirm_on_phone());
    stub.invalidate_token();
    assert!(matches!(provider.authorize(payment_request()).await, PaymentResult::Pending { .. }));
    assert_eq!((stub.requests(TOKEN_PATH).len(), stub.requests(PUSH_PATH).len()), (2, 2));
    stub.set_mode(PUSH_PATH, Some(MpesaMode::RejectsTokens));
    assert_declined(&provider.authorize(payment_request()).await, DeclineCode::Declined);
    assert_eq!((stub.requests(TOKEN_PATH).len(), stub.requests(PUSH_PATH).len()), (3, 2));
}

async fn push_prompt() {
    let (stub, provider, _) = start().await;
    assert_eq!(provider.authorize(payment_request()).await, confirm_on_phone());
    let push = &stub.requests(PUSH_PATH)[0];
    assert_eq!(
        (&push["Amount"], &push["PartyA"], &push["AccountReference"], &push["Timestamp"]),
        (&json!(350), &json!("254712345678"), &json!("K7QX3M9T"), &json!("20261101120000"))
    );
    assert!(stub.callback_path(PUSH_PATH, 1).starts_with(&format!("{CALLBACK_PREFIX}payment-7-")));
    // The buyer has not answered yet.
    assert_eq!(provider.query_payment(pushed_request()).await, confirm_on_phone());
}

async fn decline_without_request() {
    let (stub, provider, _) = start().await;
    for request in [
        PaymentRequest { phone: None, ..payment_request() },
        PaymentRequest { phone: Some("+255712345678".into()), ..payment_request() },
        PaymentRequest { phone: Some("+254202345678".into()), ..payment_request() },
        PaymentRequest { amount: 35_050, ..payment_request() },
        PaymentRequest { amount: 25_000_100, ..payment_request() },
        PaymentRequest { currency: "USD".into(), ..payment_request() },
    ] {
        assert_declined(&provider.authorize(request).await, DeclineCode::InvalidDetails);
    }
    assert_eq!(stub.requests(TOKEN_PATH).len(), 0);
    let accepted: Vec<bool> =
        [(100, Currency::KES), (25_000_000, Currency::KES), (150, Currency::KES), (100, Currency::USD)]
            .map(|(minor_units, currency)| provider.accepts(Money::new(minor_units, currency)))
            .to_vec();
    assert_eq!(accepted, [true, true, false, false]);
}

async fn decline_rejected_push() {
    let (stub, provider, _) = start().await;
    for (status, code, message, expected) in [
        (400, "400.002.02", "Bad Request - Invalid PhoneNumber", DeclineCode::InvalidDetails),
        (400, "400.002.02", "Bad Request - Invalid Amount", DeclineCode::InvalidDetails),
        (400, "400.002.02", "Bad Request - Invalid BusinessShortCode", DeclineCode::Declined),
        (500, "500.001.1001", "Unable to lock subscriber, a transaction is already in process", DeclineCode::Declined),
        (500, "500.001.1001", "Wrong credentials", DeclineCode::Declined),
        (500, "500.003.02", "System is busy. Please try again in few minutes.", DeclineCode::Declined),
        (429, "", "", DeclineCode::Declined),
    ] {
        stub.set_mode(PUSH_PATH, Some(MpesaMode::Fails(status, code, message)));
        assert_declined(&provider.authorize(payment_request()).await, expected);
    }
    stub.set_mode(PUSH_PATH, None);
    // Without a token, and without a connection, nothing was pushed either.
    for mode in [MpesaMode::Fails(401, "", ""), MpesaMode::ReturnsHtml, MpesaMode::ReturnsOversizedBody] {
        stub.invalidate_token();
        stub.set_mode(TOKEN_PATH, Some(mode));
        assert_declined(&provider.authorize(payment_request()).await, DeclineCode::Declined);
    }
    let closed_port = [("SAVANNAH_PAYMENT__MPESA__URL", "http://127.0.0.1:1")];
    let unreachable = create_provider(&stub, &Clock::fixed(noon()), &closed_port);
    assert_declined(&unreachable.authorize(payment_request()).await, DeclineCode::Declined);
}

async fn lose_push() {
    let (stub, provider, _) = start().await;
    stub.set_mode(PUSH_PATH, Some(MpesaMode::LosesResponse));
    assert_unknown(&provider.authorize(payment_request()).await);
    assert_unknown(&provider.query_payment(payment_request()).await);
    assert_unknown(&provider.void(payment_request()).await);
    assert_eq!((stub.requests(PUSH_PATH).len(), stub.requests(QUERY_PATH).len()), (1, 0));
    // The buyer saw the prompt: the callback brings everything.
    stub.answer_prompt(1, "0");
    let body = stub.callback(1).to_string().into_bytes();
    let event = verify_callback(&provider, &stub.callback_path(PUSH_PATH, 1), &body).expect("an event");
    assert_eq!(event.subject, WebhookSubject::Payment(7));
    assert_eq!(provider.interpret_webhook(body, payment_request()).await, paid());
}

fn paid() -> PaymentResult {
    PaymentResult::Succeeded { reference: MpesaStub::receipt(1), amount: Some(Money::new(35_000, Currency::KES)) }
}

async fn receive_unreadable_responses() {
    let (stub, provider, _) = start().await;
    for mode in [
        MpesaMode::ReturnsHtml,
        MpesaMode::ReturnsOversizedBody,
        MpesaMode::Fails(500, "500.003.1001", "Internal Server Error"),
        MpesaMode::Fails(502, "", ""),
        MpesaMode::LosesResponse,
    ] {
        stub.set_mode(PUSH_PATH, Some(mode));
        assert_unknown(&provider.authorize(payment_request()).await);
        stub.set_mode(QUERY_PATH, Some(mode));
        assert_unknown(&provider.query_payment(pushed_request()).await);
    }
    // An error of the query says nothing about the payment.
    for (status, code, message) in [(400, "400.002.02", "Bad Request - Invalid CheckoutRequestID"), (429, "", "")] {
        stub.set_mode(QUERY_PATH, Some(MpesaMode::Fails(status, code, message)));
        assert_unknown(&provider.query_payment(pushed_request()).await);
    }
}

async fn confirm_payment() {
    let (stub, provider, _) = start().await;
    provider.authorize(payment_request()).await;
    stub.answer_prompt(1, "0");
    let body = stub.callback(1).to_string().into_bytes();
    for request in [pushed_request(), pushed_request(), payment_request()] {
        assert_eq!(provider.interpret_webhook(body.clone(), request).await, paid());
    }
    assert_eq!(stub.requests(QUERY_PATH).len(), 3);
    let mut other_amount = stub.callback(1);
    other_amount["Body"]["stkCallback"]["CallbackMetadata"]["Item"][3]["Value"] = json!(1.0);
    let reported = provider.interpret_webhook(other_amount.to_string().into_bytes(), pushed_request()).await;
    let PaymentResult::Succeeded { amount, .. } = reported else { panic!("{reported:?}") };
    assert_eq!(amount, Some(Money::new(100, Currency::KES)));
}

async fn reject_forged_success() {
    let (stub, provider, _) = start().await;
    provider.authorize(payment_request()).await;
    stub.answer_prompt(1, "0");
    let body = |checkout_id: &str| {
        let mut callback = stub.callback(1);
        callback["Body"]["stkCallback"]["CheckoutRequestID"] = json!(checkout_id);
        callback.to_string().into_bytes()
    };
    let genuine = body(&MpesaStub::checkout_id(1));
    // M-Pesa knows of no such payment, waits for the buyer, has declined, or does not answer.
    provider.authorize(payment_request()).await;
    let second = PaymentRequest { reference: Some(MpesaStub::checkout_id(2)), ..payment_request() };
    assert_unknown(&provider.interpret_webhook(body(&MpesaStub::checkout_id(2)), second.clone()).await);
    stub.answer_prompt(2, "1032");
    let declined = provider.interpret_webhook(body(&MpesaStub::checkout_id(2)), second.clone()).await;
    assert_declined(&declined, DeclineCode::CanceledByBuyer);
    stub.set_mode(QUERY_PATH, Some(MpesaMode::Fails(500, "500.003.1001", "Internal Server Error")));
    assert_unknown(&provider.interpret_webhook(genuine.clone(), pushed_request()).await);
    stub.set_mode(QUERY_PATH, None);
    // The callback of another payment does not count for this one.
    assert_declined(&provider.interpret_webhook(genuine, second).await, DeclineCode::CanceledByBuyer);
}

async fn decline_by_callback() {
    let (stub, provider, _) = start().await;
    provider.authorize(payment_request()).await;
    for (code, expected) in [
        ("1", DeclineCode::InsufficientFunds),
        ("1032", DeclineCode::CanceledByBuyer),
        ("1037", DeclineCode::NoResponse),
        ("2001", DeclineCode::AuthenticationFailed),
        ("1019", DeclineCode::NoResponse),
        ("26", DeclineCode::Declined),
    ] {
        stub.answer_prompt(1, code);
        let body = stub.callback(1).to_string().into_bytes();
        assert_declined(&provider.interpret_webhook(body, pushed_request()).await, expected);
        assert_declined(&provider.query_payment(pushed_request()).await, expected);
    }
}

async fn verify_callback_tokens() {
    let (stub, provider, _) = start().await;
    provider.authorize(payment_request()).await;
    stub.answer_prompt(1, "0");
    let (path, body) = (stub.callback_path(PUSH_PATH, 1), stub.callback(1).to_string());
    let event = verify_callback(&provider, &path, body.as_bytes()).expect("an event");
    assert_eq!(event.event_id, format!("payment-7:{}:0", MpesaStub::checkout_id(1)));
    assert_eq!(verify_callback(&provider, &path, body.as_bytes()), Ok(event));
    for forged in [path.replace("payment-7", "payment-8"), path[..path.len() - 1].to_owned(), CALLBACK_PREFIX.into()] {
        assert_eq!(verify_callback(&provider, &forged, body.as_bytes()), Err(WebhookRejection::InvalidSignature));
    }
    let without_token = WebhookRequest { body: body.as_bytes(), signature: None, path_token: None, unix_time: 0 };
    assert_eq!(provider.verify_webhook(&without_token), Err(WebhookRejection::InvalidSignature));
    let other_key = [("SAVANNAH_PAYMENT__MPESA__CALLBACK_KEY", "another-callback-key-0123456789abcdef")];
    let other_shop = create_provider(&stub, &Clock::fixed(noon()), &other_key);
    assert_eq!(verify_callback(&other_shop, &path, body.as_bytes()), Err(WebhookRejection::InvalidSignature));
    assert_eq!(verify_callback(&provider, &path, b"x"), Err(WebhookRejection::InvalidBody));
    assert_eq!(provider.webhook_response(), json!({ "ResultCode": 0, "ResultDesc": "Accepted" }));
}

async fn query_without_callback() {
    let (stub, provider, clock) = start().await;
    provider.authorize(payment_request()).await;
    stub.answer_prompt(1, "0");
    // The callback with the receipt number can still arrive.
    let awaited = PaymentResult::Pending { reference: Some(MpesaStub::checkout_id(1)), action: None };
    assert_eq!(provider.query_payment(pushed_request()).await, awaited);
    clock.set(noon() + TimeDelta::minutes(3));
    let reference = format!("checkout:{}", MpesaStub::checkout_id(1));
    let paid_without_receipt = PaymentResult::Succeeded { reference, amount: None };
    assert_eq!(provider.query_payment(pushed_request()).await, paid_without_receipt);
    assert_eq!(provider.capture(pushed_request()).await, paid_without_receipt);
}

async fn void_prompts() {
    let (stub, provider, clock) = start().await;
    provider.authorize(payment_request()).await;
    assert_eq!(provider.void(pushed_request()).await, confirm_on_phone());
    stub.answer_prompt(1, "1037");
    assert_eq!(provider.void(pushed_request()).await, PaymentResult::Voided);
    stub.answer_prompt(1, "0");
    clock.set(noon() + TimeDelta::minutes(3));
    assert!(matches!(provider.void(pushed_request()).await, PaymentResult::Succeeded { .. }));
    stub.set_mode(QUERY_PATH, Some(MpesaMode::ReturnsHtml));
    assert_unknown(&provider.void(pushed_request()).await);
}

async fn print_no_secrets() {
    let (stub, provider, _) = start().await;
    let mut printed = vec![format!("{provider:?}")];
    for mode in [
        MpesaMode::Fails(401, "sesame", "sesame-consumer-secret"),
        MpesaMode::ReturnsOversizedBody,
        MpesaMode::LosesResponse,
    ] {
        for path in [TOKEN_PATH, PUSH_PATH] {
            stub.set_mode(path, Some(mode));
            printed.push(format!("{:?}", provider.authorize(payment_request()).await));
            stub.set_mode(path, None);
        }
    }
    let secrets: Vec<Value> = stub.requests(PUSH_PATH).iter().map(|push| push["Password"].clone()).collect();
    for text in printed {
        assert!(!text.contains("sesame") && !text.contains("token-"), "{text}");
        assert!(secrets.iter().all(|secret| !text.contains(secret.as_str().expect("text"))), "{text}");
    }
}
