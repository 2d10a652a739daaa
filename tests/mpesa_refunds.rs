//! The M-Pesa provider against a stub of the Daraja API: refunds.

use iso_currency::Currency;
use libtest_mimic::Trial;
use savannah::{
    base::{Clock, Money},
    payment::{DeclineCode, PaymentProvider, PaymentRequest, PaymentResult, webhook::WebhookSubject},
};
use serde_json::{Value, json};

use crate::{
    mpesa::{assert_declined, assert_unknown, create_provider, noon, payment_request, start, verify_callback},
    support::{
        TestFuture,
        mpesa_stub::{MpesaMode, MpesaStub, REVERSAL_PATH, STATUS_PATH},
        trial_without_database,
    },
};

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> TestFuture| trial_without_database("mpesa_refunds", name, run);
    vec![
        trial("reversal_is_confirmed_by_its_result", || Box::pin(confirm_reversal())),
        trial("failed_reversal_is_declined", || Box::pin(decline_reversal())),
        trial("reversal_that_cannot_be_requested_is_declined", || Box::pin(decline_without_request())),
        trial("rejected_reversal_is_declined", || Box::pin(decline_rejected_reversal())),
        trial("lost_reversal_is_unknown_and_not_repeated", || Box::pin(lose_reversal())),
        trial("status_report_completes_a_reversal", || Box::pin(report_status())),
    ]
}

fn refund_request() -> PaymentRequest {
    PaymentRequest {
        idempotency_key: "refund-3".into(),
        refund_id: Some(3),
        reference: Some(MpesaStub::checkout_id(1)),
        capture_reference: Some("NLJ7RT61SV".into()),
        amount: 10_000,
        ..payment_request()
    }
}

/// Returns a request about the first reversal.
fn reversed_request() -> PaymentRequest {
    PaymentRequest { refund_reference: Some("reversal-1".into()), ..refund_request() }
}

fn accepted() -> PaymentResult {
    PaymentResult::Pending { reference: Some("reversal-1".into()), action: None }
}

fn refunded() -> PaymentResult {
    PaymentResult::Succeeded { reference: "RV00000001".into(), amount: Some(Money::new(10_000, Currency::KES)) }
}

fn to_body(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

async fn confirm_reversal() {
    let (stub, provider, _) = start().await;
    assert_eq!(provider.refund(refund_request()).await, accepted());
    let reversal = &stub.requests(REVERSAL_PATH)[0];
    assert_eq!((&reversal["TransactionID"], &reversal["Amount"]), (&json!("NLJ7RT61SV"), &json!(100)));
    let (path, body) = (stub.callback_path(REVERSAL_PATH, 1), to_body(&stub.reversal_result(1, &json!(0))));
    let event = verify_callback(&provider, &path, &body).expect("an event");
    assert_eq!((event.subject, event.event_id.as_str()), (WebhookSubject::Refund(3), "refund-3:AG_20261101_1:0"));
    for request in [reversed_request(), reversed_request()] {
        assert_eq!(provider.interpret_webhook(body.clone(), request).await, refunded());
    }
    // The result of another refund's reversal.
    let other = PaymentRequest { refund_reference: Some("reversal-2".into()), ..refund_request() };
    let pending = PaymentResult::Pending { reference: Some("reversal-2".into()), action: None };
    assert_eq!(provider.interpret_webhook(body, other).await, pending);
}

async fn decline_reversal() {
    let (stub, provider, _) = start().await;
    provider.refund(refund_request()).await;
    for (code, expected) in [
        (json!("R000002"), DeclineCode::Declined),
        (json!(21), DeclineCode::Declined),
        (json!(1), DeclineCode::InsufficientFunds),
    ] {
        let body = to_body(&stub.reversal_result(1, &code));
        assert_declined(&provider.interpret_webhook(body, reversed_request()).await, expected);
    }
}

async fn decline_without_request() {
    let (stub, provider, _) = start().await;
    for request in [
        PaymentRequest { capture_reference: None, ..refund_request() },
        PaymentRequest { capture_reference: Some("checkout:ws_CO_1".into()), ..refund_request() },
        PaymentRequest { amount: 10_050, ..refund_request() },
    ] {
        assert_declined(&provider.refund(request).await, DeclineCode::Declined);
    }
    for setting in ["SAVANNAH_PAYMENT__MPESA__INITIATOR_NAME", "SAVANNAH_PAYMENT__MPESA__SECURITY_CREDENTIAL"] {
        let without_initiator = create_provider(&stub, &Clock::fixed(noon()), &[(setting, "")]);
        let declined = without_initiator.refund(refund_request()).await;
        assert!(
            matches!(&declined, PaymentResult::Declined { reason, .. } if reason.contains("not set up")),
            "{declined:?}"
        );
    }
    assert_eq!(stub.requests(REVERSAL_PATH).len(), 0);
}

async fn decline_rejected_reversal() {
    let (stub, provider, _) = start().await;
    for (status, code) in [(400, "400.002.02"), (404, "404.001.01"), (500, "500.003.02"), (429, "")] {
        stub.set_mode(REVERSAL_PATH, Some(MpesaMode::Fails(status, code, "Bad Request - Invalid TransactionID")));
        let declined = provider.refund(refund_request()).await;
        assert!(
            matches!(&declined, PaymentResult::Declined { reason, .. } if reason.starts_with("Nothing was refunded")),
            "{declined:?}"
        );
    }
}

async fn lose_reversal() {
    let (stub, provider, _) = start().await;
    for mode in [
        MpesaMode::LosesResponse,
        MpesaMode::ReturnsHtml,
        MpesaMode::Fails(500, "500.001.1001", "Internal Server Error"),
    ] {
        stub.set_mode(REVERSAL_PATH, Some(mode));
        assert_unknown(&provider.refund(refund_request()).await);
    }
    assert_unknown(&provider.query_refund(refund_request()).await);
    assert_eq!((stub.requests(REVERSAL_PATH).len(), stub.requests(STATUS_PATH).len()), (3, 0));
    // The result at the refund's own URL completes it, if it is about the refunded payment.
    let body = to_body(&stub.reversal_result(1, &json!(0)));
    assert_eq!(provider.interpret_webhook(body.clone(), refund_request()).await, refunded());
    let other_payment = PaymentRequest { capture_reference: Some("OTHER".into()), ..refund_request() };
    assert_unknown(&provider.interpret_webhook(body, other_payment).await);
}

async fn report_status() {
    let (stub, provider, _) = start().await;
    provider.refund(refund_request()).await;
    assert_eq!(provider.query_refund(reversed_request()).await, accepted());
    assert_eq!(stub.requests(STATUS_PATH)[0]["OriginalConversationID"], "reversal-1");
    assert_eq!(stub.callback_path(STATUS_PATH, 1), stub.callback_path(REVERSAL_PATH, 1));
    let interpret = async |status: &str| {
        let body = to_body(&stub.status_report(1, status));
        let path = stub.callback_path(STATUS_PATH, 1);
        assert_eq!(verify_callback(&provider, &path, &body).expect("an event").subject, WebhookSubject::Refund(3));
        provider.interpret_webhook(body, reversed_request()).await
    };
    assert_eq!(interpret("Pending").await, accepted());
    assert_eq!(interpret("Completed").await, refunded());
    assert_declined(&interpret("Failed").await, DeclineCode::Declined);
    // A message in another format at the URL, such as a timeout in M-Pesa's queue, is answered by a new request.
    let timeout = provider.interpret_webhook(b"{\"message\":\"timeout\"}".to_vec(), reversed_request()).await;
    assert_eq!((timeout, stub.requests(STATUS_PATH).len()), (accepted(), 2));
    stub.set_mode(STATUS_PATH, Some(MpesaMode::Fails(500, "500.003.02", "busy")));
    assert_unknown(&provider.query_refund(reversed_request()).await);
}
