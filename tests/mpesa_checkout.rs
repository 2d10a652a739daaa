//! Orders paid with M-Pesa: checkout, callbacks, status queries and refunds, against a stub of the Daraja API.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use savannah::{
    base::Clock,
    identity::Role,
    infra::{Config, HttpClient},
    payment::PaymentProviders,
};
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    further_payments::pay_order,
    integration_tests,
    mpesa::noon,
    payments::{order_and_payment_status, reload_order},
    support::{
        Backend, TestApp,
        mpesa_stub::{MpesaMode, MpesaStub, PUSH_PATH, QUERY_PATH, REVERSAL_PATH, STATUS_PATH},
    },
};

integration_tests![
    payment_is_confirmed_by_its_callback,
    callback_before_the_response_completes_the_payment,
    lost_callback_is_replaced_by_the_status_query,
    callback_with_another_amount_does_not_pay,
    forged_callback_is_rejected,
    payment_canceled_on_the_phone_is_tried_again,
    refund_is_executed_by_a_reversal,
];

/// A shop that is paid with M-Pesa.
struct MpesaShop {
    app: TestApp,
    stub: MpesaStub,
    provider_clock: Clock,
    mug: String,
}

impl MpesaShop {
    async fn start(backend: Backend) -> Self {
        let (stub, provider_clock) = (MpesaStub::start().await, Clock::fixed(noon()));
        let methods = [("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "mpesa, cash_on_delivery")];
        let settings = [&stub.settings()[..], &methods].concat();
        let variables = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let config = Config::load_from(Path::new("/nowhere/savannah.toml"), variables).expect("settings");
        let client = HttpClient::new().expect("a client");
        let providers = PaymentProviders::from_config(&config, &client, &provider_clock).expect("providers");
        let app = Box::pin(TestApp::start_with_payment_providers(backend, &settings, providers)).await;
        let mug = app.create_product("mug", 100, Some(9)).await;
        Self { app, stub, provider_clock, mug }
    }

    fn set_time(&self, time: DateTime<Utc>) {
        self.app.clock.set(time);
        self.provider_clock.set(time);
    }

    /// Orders two mugs for 200 shillings.
    async fn place_order(&self, key: &str) -> Value {
        let payment = json!({ "paymentMethodId": "mpesa", "phone": "0712 345678" });
        expect_order(&self.app.create_order(None, key, &[(&self.mug, 2)], payment).await, "orderCreate")
    }

    /// Sends a callback. Returns the status code and the body of the response.
    async fn send_callback(&self, path: &str, body: &Value) -> (u16, Value) {
        let sent = self.app.build_request(Method::POST, path).json(body).send().await.expect("a response");
        (sent.status().as_u16(), sent.json().await.expect("JSON"))
    }

    /// Sends the callback of an answered push twice, and applies it.
    async fn deliver_callback(&self, number: usize) {
        let (path, body) = (self.stub.callback_path(PUSH_PATH, number), self.stub.callback(number));
        for _ in 0..2 {
            let accepted = (200, json!({ "ResultCode": 0, "ResultDesc": "Accepted" }));
            assert_eq!(self.send_callback(&path, &body).await, accepted);
        }
        self.app.drain_jobs().await;
    }

    async fn assert_status(&self, order: &Value, expected: (&str, &str)) {
        let reloaded = reload_order(&self.app, order).await;
        assert_eq!(order_and_payment_status(&reloaded), expected, "{reloaded}");
    }

    /// Asserts that money was captured once, under a reference.
    async fn assert_captured_once(&self, reference: &str) {
        let captures = "SELECT count(*) FROM payment_transaction WHERE transaction_type = 'capture'";
        assert_eq!(self.app.query_scalar(captures).await, 1);
        let with_reference = format!("{captures} AND amount = 20000 AND reference = '{reference}'");
        assert_eq!(self.app.query_scalar(&with_reference).await, 1, "{reference}");
        self.app.assert_invariants().await;
    }
}

async fn payment_is_confirmed_by_its_callback(backend: Backend) {
    let shop = MpesaShop::start(backend).await;
    let order = shop.place_order("k").await;
    assert_eq!(order_and_payment_status(&order), ("PENDING", "PENDING"));
    let payment = &order["payments"][0];
    assert_eq!(
        (&payment["status"], &payment["action"]["__typename"]),
        (&json!("ACTION_REQUIRED"), &json!("ConfirmOnPhoneAction"))
    );
    let push = &shop.stub.requests(PUSH_PATH)[0];
    assert_eq!((&push["PhoneNumber"], &push["Amount"]), (&json!("254712345678"), &json!(200)));
    shop.stub.answer_prompt(1, "0");
    shop.deliver_callback(1).await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
    shop.assert_captured_once(&MpesaStub::receipt(1)).await;
    // Later queries change nothing.
    shop.set_time(noon() + TimeDelta::minutes(10));
    shop.app.drain_jobs().await;
    shop.assert_captured_once(&MpesaStub::receipt(1)).await;
    assert_eq!(shop.app.query_scalar("SELECT count(*) FROM received_webhook").await, 1);
    assert_eq!(shop.stub.requests(PUSH_PATH).len(), 1);
}

async fn callback_before_the_response_completes_the_payment(backend: Backend) {
    let shop = MpesaShop::start(backend).await;
    shop.stub.set_mode(PUSH_PATH, Some(MpesaMode::LosesResponse));
    let order = shop.place_order("k").await;
    assert_eq!(order["payments"][0]["action"], Value::Null);
    // The shop asks again and again, but never pushes a second prompt.
    shop.set_time(noon() + TimeDelta::minutes(2));
    shop.app.drain_jobs().await;
    shop.assert_status(&order, ("PENDING", "PENDING")).await;
    assert_eq!(shop.stub.requests(PUSH_PATH).len(), 1);
    shop.stub.answer_prompt(1, "0");
    shop.deliver_callback(1).await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
    shop.assert_captured_once(&MpesaStub::receipt(1)).await;
}

async fn lost_callback_is_replaced_by_the_status_query(backend: Backend) {
    let shop = MpesaShop::start(backend).await;
    let order = shop.place_order("k").await;
    shop.stub.answer_prompt(1, "0");
    // At first the callback is awaited, because only it has the receipt number.
    shop.set_time(noon() + TimeDelta::minutes(2));
    shop.app.drain_jobs().await;
    assert!(!shop.stub.requests(QUERY_PATH).is_empty());
    shop.assert_status(&order, ("PENDING", "PENDING")).await;
    shop.set_time(noon() + TimeDelta::minutes(4));
    shop.app.drain_jobs().await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
    let reference = format!("checkout:{}", MpesaStub::checkout_id(1));
    shop.assert_captured_once(&reference).await;
    shop.deliver_callback(1).await;
    shop.assert_captured_once(&reference).await;
    // M-Pesa reverses payments by their receipt numbers only.
    let staff = shop.app.login(Role::Staff).await;
    let input = Some(("OrderRefundInput!", json!({ "amount": "50.00", "idempotencyKey": "r" })));
    let refunded = shop.app.run_order_mutation(&staff, "orderRefund", order_id(&order), input).await;
    assert_eq!(refunded.data_at("/orderRefund/order/refunds/0/status"), "FAILED", "{}", refunded.body);
}

async fn callback_with_another_amount_does_not_pay(backend: Backend) {
    let shop = MpesaShop::start(backend).await;
    let order = shop.place_order("k").await;
    shop.stub.answer_prompt(1, "0");
    let (path, mut body) = (shop.stub.callback_path(PUSH_PATH, 1), shop.stub.callback(1));
    body["Body"]["stkCallback"]["CallbackMetadata"]["Item"][3]["Value"] = json!(1.0);
    assert_eq!(shop.send_callback(&path, &body).await.0, 200);
    shop.app.drain_jobs().await;
    shop.assert_status(&order, ("PENDING", "PENDING")).await;
    let noted = "SELECT count(*) FROM payment WHERE captured = 0 AND error LIKE '%1.00 KES%200.00 KES%'";
    assert_eq!(shop.app.query_scalar(noted).await, 1);
    shop.app.assert_invariants().await;
}

async fn forged_callback_is_rejected(backend: Backend) {
    let shop = MpesaShop::start(backend).await;
    let order = shop.place_order("k").await;
    shop.stub.answer_prompt(1, "0");
    let (path, body) = (shop.stub.callback_path(PUSH_PATH, 1), shop.stub.callback(1));
    let (without_code, _) = path.rsplit_once('-').expect("a code");
    let forged_paths = [
        "/webhooks/payments/mpesa".to_owned(),
        format!("{without_code}-{}", "0".repeat(32)),
        path.replace("payment-", "payment-9"),
        path.replace("/payment-", "/refund-"),
    ];
    for forged in &forged_paths {
        assert_eq!(shop.send_callback(forged, &body).await.0, 401, "{forged}");
    }
    // A success that M-Pesa does not confirm, at the right URL.
    shop.stub.answer_prompt(1, "1032");
    assert_eq!(shop.send_callback(&path, &body).await.0, 200);
    shop.app.drain_jobs().await;
    shop.assert_status(&order, ("PENDING", "PENDING")).await;
    assert_eq!(shop.app.query_scalar("SELECT count(*) FROM received_webhook").await, 1);
    assert_eq!(shop.app.query_scalar("SELECT count(*) FROM payment WHERE captured > 0").await, 0);
}

async fn payment_canceled_on_the_phone_is_tried_again(backend: Backend) {
    let shop = MpesaShop::start(backend).await;
    let order = shop.place_order("k").await;
    shop.stub.answer_prompt(1, "1032");
    shop.deliver_callback(1).await;
    let failed = reload_order(&shop.app, &order).await;
    assert_eq!(order_and_payment_status(&failed), ("PENDING", "PENDING"));
    let payment = &failed["payments"][0];
    assert_eq!((&payment["status"], &payment["declineCode"]), (&json!("FAILED"), &json!("CANCELED_BY_BUYER")));
    assert_eq!(payment["error"], "The payment was canceled on the phone.");
    expect_order(&pay_order(&shop.app, &order, "p", "mpesa").await, "orderPay");
    assert_eq!(shop.stub.requests(PUSH_PATH).len(), 2);
    shop.stub.answer_prompt(2, "0");
    shop.deliver_callback(2).await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
    shop.assert_captured_once(&MpesaStub::receipt(2)).await;
}

async fn refund_is_executed_by_a_reversal(backend: Backend) {
    let shop = MpesaShop::start(backend).await;
    let order = shop.place_order("k").await;
    shop.stub.answer_prompt(1, "0");
    shop.deliver_callback(1).await;
    let staff = shop.app.login(Role::Staff).await;
    let refund = async |key: &str| {
        let input = Some(("OrderRefundInput!", json!({ "amount": "50.00", "idempotencyKey": key })));
        expect_order(&shop.app.run_order_mutation(&staff, "orderRefund", order_id(&order), input).await, "orderRefund")
    };
    assert_eq!(refund("r1").await["refunds"][0]["status"], "PENDING");
    let reversal = &shop.stub.requests(REVERSAL_PATH)[0];
    assert_eq!((&reversal["TransactionID"], &reversal["Amount"]), (&json!(MpesaStub::receipt(1)), &json!(50)));
    // Meanwhile its state is requested, not the reversal repeated.
    shop.set_time(noon() + TimeDelta::minutes(2));
    shop.app.drain_jobs().await;
    assert_eq!(shop.stub.requests(REVERSAL_PATH).len(), 1);
    assert!(!shop.stub.requests(STATUS_PATH).is_empty());
    let path = shop.stub.callback_path(REVERSAL_PATH, 1);
    for result in [shop.stub.reversal_result(1, &json!(0)), shop.stub.status_report(1, "Completed")] {
        assert_eq!(shop.send_callback(&path, &result).await.0, 200);
        shop.app.drain_jobs().await;
        let reloaded = reload_order(&shop.app, &order).await;
        assert_eq!(order_and_payment_status(&reloaded), ("CONFIRMED", "PARTIALLY_REFUNDED"), "{reloaded}");
        assert_eq!(reloaded["payments"][0]["refundedAmount"]["amount"], "50.00");
    }
    // A reversal that M-Pesa declines gives nothing back.
    assert_eq!(refund("r2").await["refunds"][1]["status"], "PENDING");
    let path = shop.stub.callback_path(REVERSAL_PATH, 2);
    assert_eq!(shop.send_callback(&path, &shop.stub.reversal_result(2, &json!("R000002"))).await.0, 200);
    shop.app.drain_jobs().await;
    let reloaded = reload_order(&shop.app, &order).await;
    assert_eq!(
        (&reloaded["refunds"][1]["status"], &reloaded["payments"][0]["refundedAmount"]["amount"]),
        (&json!("FAILED"), &json!("50.00"))
    );
    shop.app.assert_invariants().await;
}
