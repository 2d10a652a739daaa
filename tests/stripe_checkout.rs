//! Orders paid with Stripe: checkout, webhooks, captures and refunds, against a stub of its API.

use std::path::Path;

use reqwest::Method;
use savannah::{
    base::Clock,
    identity::Role,
    infra::{Config, HttpClient},
    payment::PaymentProviders,
};
use serde_json::{Value, json};

use crate::{
    browser::{has_node_module, run_node_script},
    checkout::{expect_order, order_id},
    integration_tests,
    mpesa::noon,
    payments::{order_and_payment_status, reload_order},
    support::{
        Backend, TestApp,
        stripe_stub::{StripeMode, StripeOperation, StripeStub, WEBHOOK_SECRET, stripe_event, stripe_signature},
    },
};

integration_tests![
    buyer_pays_after_3d_secure_and_a_declined_attempt,
    lost_creation_gives_the_buyer_the_same_payment,
    authorized_payment_is_captured_by_staff,
    canceled_order_cancels_the_payment,
    refund_is_executed_and_can_fail_later,
    dispute_is_recorded_in_the_history,
    webhook_with_wrong_or_old_signature_is_rejected;
    needs(has_stripe_library): signatures_agree_with_the_library_of_stripe,
];

fn has_stripe_library() -> bool {
    has_node_module("stripe")
}

/// A shop that is paid with Stripe.
pub struct StripeShop {
    pub app: TestApp,
    pub stub: StripeStub,
    pub mug: String,
}

impl StripeShop {
    async fn start(backend: Backend) -> Self {
        Self::start_with(backend, "true").await
    }

    pub async fn start_with(backend: Backend, capture_automatically: &str) -> Self {
        let stub = StripeStub::start().await;
        let own = [
            ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "stripe, cash_on_delivery"),
            ("SAVANNAH_PAYMENT__STRIPE__CAPTURE_AUTOMATICALLY", capture_automatically),
        ];
        let settings = [&stub.settings()[..], &own].concat();
        let variables = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let config = Config::load_from(Path::new("/nowhere/savannah.toml"), variables).expect("settings");
        let client = HttpClient::new().expect("a client");
        let providers = PaymentProviders::from_config(&config, &client, &Clock::fixed(noon())).expect("providers");
        let app = Box::pin(TestApp::start_with_payment_providers(backend, &settings, providers)).await;
        let mug = app.create_product("mug", 100, Some(90)).await;
        Self { app, stub, mug }
    }

    /// Orders two mugs for 200 shillings.
    pub async fn place_order(&self, key: &str) -> Value {
        let payment = json!({ "paymentMethodId": "stripe" });
        expect_order(&self.app.create_order(None, key, &[(&self.mug, 2)], payment).await, "orderCreate")
    }

    /// Sends an event with a signature. Returns the status code.
    async fn send_event(&self, body: &str, signature: &str) -> u16 {
        let request = self.app.build_request(Method::POST, "/webhooks/payments/stripe");
        let request = request.header("content-type", "application/json").header("stripe-signature", signature);
        request.body(body.to_owned()).send().await.expect("a response").status().as_u16()
    }

    /// Sends an event twice, and applies it.
    pub async fn deliver_event(&self, id: &str, event_type: &str, object: &Value) {
        let body = stripe_event(id, event_type, object);
        let signature = stripe_signature(WEBHOOK_SECRET, self.app.clock.now().timestamp(), &body);
        for _ in 0..2 {
            assert_eq!(self.send_event(&body, &signature).await, 200);
        }
        self.app.drain_jobs().await;
    }

    pub async fn assert_status(&self, order: &Value, expected: (&str, &str)) -> Value {
        let reloaded = reload_order(&self.app, order).await;
        assert_eq!(order_and_payment_status(&reloaded), expected, "{reloaded}");
        reloaded
    }

    async fn run_staff_mutation(&self, mutation: &str, order: &Value, input: Option<(&str, Value)>) -> Value {
        let staff = self.app.login(Role::Staff).await;
        let response = self.app.run_order_mutation(&staff, mutation, order_id(order), input).await;
        expect_order(&response, mutation)
    }

    /// Asserts that the shop recorded for each payment the money that Stripe has of it, and returns the sum.
    pub async fn assert_money_matches(&self) -> i64 {
        let mut sum = 0;
        for number in 1..=self.stub.count_objects().0 {
            let recorded =
                format!("SELECT COALESCE(SUM(captured - refunded), 0) FROM payment WHERE reference = 'pi_{number}'");
            assert_eq!(self.app.query_scalar(&recorded).await, self.stub.balance(number), "pi_{number}");
            sum += self.stub.balance(number);
        }
        sum
    }

    async fn count_captures(&self) -> i64 {
        self.app.query_scalar("SELECT count(*) FROM payment_transaction WHERE transaction_type = 'capture'").await
    }
}

async fn buyer_pays_after_3d_secure_and_a_declined_attempt(backend: Backend) {
    let shop = StripeShop::start(backend).await;
    let order = shop.place_order("k").await;
    assert_eq!(order_and_payment_status(&order), ("PENDING", "PENDING"));
    assert_eq!(order["payments"][0]["action"]["__typename"], "ClientSecretAction");
    let (_, fields) = &shop.stub.requests(StripeOperation::CreatePayment)[0];
    assert_eq!((fields["amount"].as_str(), fields["currency"].as_str()), ("20000", "kes"));
    shop.stub.decline_attempt(1, "insufficient_funds");
    shop.deliver_event("evt_1", "payment_intent.payment_failed", &shop.stub.intent(1)).await;
    let waiting = shop.assert_status(&order, ("PENDING", "PENDING")).await;
    assert_eq!(waiting["payments"][0]["status"], "ACTION_REQUIRED");
    shop.stub.advance_intent(1, "requires_action");
    shop.deliver_event("evt_2", "payment_intent.requires_action", &shop.stub.intent(1)).await;
    let old_object = shop.stub.intent(1);
    shop.stub.advance_intent(1, "succeeded");
    shop.deliver_event("evt_4", "payment_intent.succeeded", &shop.stub.intent(1)).await;
    // An older event arrives later.
    shop.deliver_event("evt_3", "payment_intent.processing", &old_object).await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
    assert_eq!((shop.count_captures().await, shop.stub.count_objects()), (1, (1, 0)));
    assert_eq!(shop.app.query_scalar("SELECT count(*) FROM received_webhook").await, 4);
    shop.app.assert_invariants().await;
}

async fn lost_creation_gives_the_buyer_the_same_payment(backend: Backend) {
    let shop = StripeShop::start(backend).await;
    shop.stub.set_mode(StripeOperation::CreatePayment, Some(StripeMode::LosesResponse));
    let order = shop.place_order("k").await;
    assert_eq!(order["payments"][0]["action"], Value::Null);
    shop.stub.set_mode(StripeOperation::CreatePayment, None);
    shop.app.clock.set(noon() + chrono::TimeDelta::minutes(1));
    shop.app.drain_jobs().await;
    let waiting = shop.assert_status(&order, ("PENDING", "PENDING")).await;
    assert_eq!(waiting["payments"][0]["action"]["__typename"], "ClientSecretAction");
    assert_eq!(shop.stub.count_objects(), (1, 0));
    // Without a webhook, the shop asks.
    shop.stub.advance_intent(1, "succeeded");
    shop.app.clock.set(noon() + chrono::TimeDelta::minutes(5));
    shop.app.drain_jobs().await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
    assert_eq!(shop.count_captures().await, 1);
    shop.app.assert_invariants().await;
}

async fn authorized_payment_is_captured_by_staff(backend: Backend) {
    let shop = StripeShop::start_with(backend, "false").await;
    let order = shop.place_order("k").await;
    shop.stub.advance_intent(1, "succeeded");
    shop.deliver_event("evt_1", "payment_intent.amount_capturable_updated", &shop.stub.intent(1)).await;
    shop.assert_status(&order, ("CONFIRMED", "AUTHORIZED")).await;
    let captured = shop.run_staff_mutation("orderCapture", &order, None).await;
    assert_eq!(order_and_payment_status(&captured), ("CONFIRMED", "PAID"), "{captured}");
    shop.deliver_event("evt_2", "payment_intent.succeeded", &shop.stub.intent(1)).await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
    assert_eq!((shop.count_captures().await, &shop.stub.intent(1)["amount_received"]), (1, &json!(20_000)));
    shop.app.assert_invariants().await;
}

async fn canceled_order_cancels_the_payment(backend: Backend) {
    let shop = StripeShop::start_with(backend, "false").await;
    let order = shop.place_order("k").await;
    shop.stub.advance_intent(1, "succeeded");
    shop.deliver_event("evt_1", "payment_intent.amount_capturable_updated", &shop.stub.intent(1)).await;
    shop.run_staff_mutation("orderCancel", &order, None).await;
    shop.app.drain_jobs().await;
    assert_eq!(shop.stub.intent(1)["status"], "canceled");
    shop.deliver_event("evt_2", "payment_intent.canceled", &shop.stub.intent(1)).await;
    shop.assert_status(&order, ("CANCELED", "VOIDED")).await;
    assert_eq!(shop.count_captures().await, 0);
    shop.app.assert_invariants().await;
}

async fn place_paid_order(shop: &StripeShop) -> Value {
    let order = shop.place_order("k").await;
    shop.stub.advance_intent(1, "succeeded");
    shop.deliver_event("evt_paid", "payment_intent.succeeded", &shop.stub.intent(1)).await;
    order
}

async fn refund_is_executed_and_can_fail_later(backend: Backend) {
    let shop = StripeShop::start(backend).await;
    let order = place_paid_order(&shop).await;
    let input = |key: &str| Some(("OrderRefundInput!", json!({ "amount": "50.00", "idempotencyKey": key })));
    let refunded = shop.run_staff_mutation("orderRefund", &order, input("r1")).await;
    assert_eq!(order_and_payment_status(&refunded), ("CONFIRMED", "PARTIALLY_REFUNDED"), "{refunded}");
    shop.stub.set_refund_status("pending");
    let pending = shop.run_staff_mutation("orderRefund", &order, input("r2")).await;
    assert_eq!(pending["refunds"][1]["status"], "PENDING");
    shop.stub.finish_refund(2, "failed");
    shop.deliver_event("evt_1", "refund.failed", &shop.stub.refund(2)).await;
    let failed = shop.assert_status(&order, ("CONFIRMED", "PARTIALLY_REFUNDED")).await;
    assert_eq!(
        (&failed["refunds"][1]["status"], &failed["payments"][0]["refundedAmount"]["amount"]),
        (&json!("FAILED"), &json!("50.00"))
    );
    assert_eq!(shop.stub.count_objects(), (1, 2));
    shop.app.assert_invariants().await;
}

async fn dispute_is_recorded_in_the_history(backend: Backend) {
    let shop = StripeShop::start(backend).await;
    place_paid_order(&shop).await;
    let dispute = json!({ "id": "dp_1", "object": "dispute", "amount": 20_000, "currency": "kes",
        "payment_intent": "pi_1", "reason": "fraudulent", "status": "needs_response" });
    shop.deliver_event("evt_1", "charge.dispute.created", &dispute).await;
    let recorded = "SELECT count(*) FROM order_history WHERE note LIKE '%disputes KES 200.00%fraudulent%'";
    assert_eq!(shop.app.query_scalar(recorded).await, 1);
    let public = format!("{recorded} AND is_public");
    assert_eq!(shop.app.query_scalar(&public).await, 0, "buyers do not see it");
}

async fn webhook_with_wrong_or_old_signature_is_rejected(backend: Backend) {
    let shop = StripeShop::start(backend).await;
    let order = shop.place_order("k").await;
    shop.stub.advance_intent(1, "succeeded");
    let body = stripe_event("evt_1", "payment_intent.succeeded", &shop.stub.intent(1));
    let now = shop.app.clock.now().timestamp();
    for signature in [
        stripe_signature("whsec_wrong", now, &body),
        stripe_signature(WEBHOOK_SECRET, now - 301, &body),
        stripe_signature(WEBHOOK_SECRET, now, "{}"),
        "t=1".to_owned(),
    ] {
        assert_eq!(shop.send_event(&body, &signature).await, 401, "{signature}");
    }
    assert_eq!(shop.app.query_scalar("SELECT count(*) FROM received_webhook").await, 0);
    shop.assert_status(&order, ("PENDING", "PENDING")).await;
}

async fn signatures_agree_with_the_library_of_stripe(backend: Backend) {
    let shop = StripeShop::start(backend).await;
    let order = shop.place_order("k").await;
    shop.stub.advance_intent(1, "succeeded");
    let body = stripe_event("evt_1", "payment_intent.succeeded", &shop.stub.intent(1));
    let now = shop.app.clock.now().timestamp();
    let run = async |operation: &str, argument: String| {
        let arguments = [operation, WEBHOOK_SECRET, &argument, &body].map(str::to_owned).to_vec();
        run_node_script("stripe/signatures.mjs", arguments).await.trim().to_owned()
    };
    assert_eq!(run("verify", stripe_signature(WEBHOOK_SECRET, now, &body)).await, "evt_1");
    let header = run("sign", now.to_string()).await;
    assert_eq!(shop.send_event(&body, &header).await, 200, "{header}");
    shop.app.drain_jobs().await;
    shop.assert_status(&order, ("CONFIRMED", "PAID")).await;
}
