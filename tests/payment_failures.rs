//! Payments while the provider is down, while requests about the same payment are concurrent, and while clients
//! disconnect.

use std::{collections::BTreeSet, time::Duration};

use chrono::TimeDelta;
use futures_util::future::join;
use savannah::identity::Role;
use serde_json::{Value, json};

use crate::{
    checkout::{expect_order, order_id},
    disconnects::send_and_disconnect,
    integration_tests,
    mpesa::noon,
    outages::assert_no_open_transaction,
    payments::{order_and_payment_status, reload_order},
    stripe_checkout::StripeShop,
    support::{
        Backend, line_inputs, shipping_address,
        stripe_stub::{StripeMode, StripeOperation},
    },
};

integration_tests![
    calls_during_an_outage_of_an_hour_are_executed_after_it,
    refund_concurrent_with_cancellation_refunds_the_payment_once,
    capture_concurrent_with_cancellation_leaves_no_money,
    payment_of_client_that_disconnects_is_created_once,
];

impl StripeShop {
    /// Places an order whose payment the buyer authorizes.
    async fn place_authorized_order(&self, key: &str) -> Value {
        let order = self.place_order(key).await;
        let number = self.stub.count_objects().0;
        self.stub.advance_intent(number, "succeeded");
        let event = "payment_intent.amount_capturable_updated";
        self.deliver_event(&format!("evt_{key}"), event, &self.stub.intent(number)).await;
        self.assert_status(&order, ("CONFIRMED", "AUTHORIZED")).await
    }
}

fn refund_input(amount: &str, key: &str) -> (&'static str, Value) {
    ("OrderRefundInput!", json!({ "amount": amount, "idempotencyKey": key }))
}

async fn calls_during_an_outage_of_an_hour_are_executed_after_it(backend: Backend) {
    let shop = StripeShop::start_with(backend, "false").await;
    let staff = shop.app.login(Role::Staff).await;
    let mut orders = Vec::new();
    for key in ["captured", "canceled", "refunded"] {
        orders.push(shop.place_authorized_order(key).await);
    }
    let run = async |mutation: &str, order: &Value, input: Option<(&str, Value)>| {
        let response = shop.app.run_order_mutation(&staff, mutation, order_id(order), input).await;
        expect_order(&response, mutation)
    };
    run("orderCapture", &orders[2], None).await;

    let outage = StripeMode::Fails(503, json!({ "type": "api_error", "message": "We are down." }));
    shop.stub.set_mode_of_all(Some(&outage));
    assert_eq!(order_and_payment_status(&run("orderCapture", &orders[0], None).await), ("CONFIRMED", "AUTHORIZED"));
    run("orderCancel", &orders[1], None).await;
    let pending = run("orderRefund", &orders[2], Some(refund_input("50.00", "r"))).await;
    assert_eq!(pending["refunds"][0]["status"], "PENDING");
    let expired = shop.place_order("expired").await;
    for minute in 1..=60 {
        shop.app.clock.set(noon() + TimeDelta::minutes(minute));
        shop.app.drain_jobs().await;
    }
    let late = shop.place_order("late").await;
    assert_eq!(shop.assert_money_matches().await, 20_000, "nothing changed during the outage");
    shop.assert_status(&expired, ("CANCELED", "VOIDED")).await;
    shop.assert_status(&late, ("PENDING", "PENDING")).await;

    shop.stub.set_mode_of_all(None);
    for minute in 61..=71 {
        shop.app.clock.set(noon() + TimeDelta::minutes(minute));
        shop.app.drain_jobs().await;
    }
    shop.assert_status(&orders[0], ("CONFIRMED", "PAID")).await;
    shop.assert_status(&orders[1], ("CANCELED", "VOIDED")).await;
    shop.assert_status(&orders[2], ("CONFIRMED", "PARTIALLY_REFUNDED")).await;
    assert_eq!(shop.stub.intent(2)["status"], "canceled");
    let waiting = reload_order(&shop.app, &late).await;
    assert_eq!(waiting["payments"][0]["action"]["__typename"], "ClientSecretAction", "{waiting}");
    let is_late = |number: &usize| shop.stub.intent(*number)["metadata"]["order_number"] == late["number"];
    let number = (1..=shop.stub.count_objects().0).find(is_late).expect("the payment of the order");
    shop.stub.advance_intent(number, "succeeded");
    let event = "payment_intent.amount_capturable_updated";
    shop.deliver_event("evt_late", event, &shop.stub.intent(number)).await;
    shop.assert_status(&late, ("CONFIRMED", "AUTHORIZED")).await;
    assert_eq!(shop.assert_money_matches().await, 35_000);
    shop.app.assert_invariants().await;
}

async fn refund_concurrent_with_cancellation_refunds_the_payment_once(backend: Backend) {
    const ROUNDS: usize = 12;
    let shop = StripeShop::start_with(backend, "true").await;
    let staff = shop.app.login(Role::Staff).await;
    let mut orders = Vec::new();
    for round in 0..ROUNDS {
        let order = shop.place_order(&format!("k{round}")).await;
        shop.stub.advance_intent(round + 1, "succeeded");
        let id = format!("evt_{round}");
        shop.deliver_event(&id, "payment_intent.succeeded", &shop.stub.intent(round + 1)).await;
        let mutate = async |mutation: &'static str, input| {
            let response = shop.app.run_order_mutation(&staff, mutation, order_id(&order), input).await;
            response.user_errors(mutation).into_iter().map(|(code, _)| code).collect::<Vec<_>>()
        };
        let refund = mutate("orderRefund", Some(refund_input("50.00", "r")));
        let cancel = mutate("orderCancel", None);
        let (refund_errors, cancel_errors) =
            if round % 2 == 0 { join(refund, cancel).await } else { swap(join(cancel, refund).await) };
        assert!(cancel_errors.is_empty(), "{cancel_errors:?}");
        assert!(
            refund_errors.iter().all(|code| code == "ILLEGAL_TRANSITION" || code == "VALIDATION_ERROR"),
            "{refund_errors:?}"
        );
        orders.push(order);
    }
    shop.app.drain_jobs().await;
    for order in &orders {
        shop.assert_status(order, ("CANCELED", "REFUNDED")).await;
    }
    assert_eq!(shop.assert_money_matches().await, 0);
    shop.app.assert_invariants().await;
}

fn swap<T>((first, second): (T, T)) -> (T, T) {
    (second, first)
}

async fn capture_concurrent_with_cancellation_leaves_no_money(backend: Backend) {
    const ROUNDS: usize = 12;
    let shop = StripeShop::start_with(backend, "false").await;
    let staff = shop.app.login(Role::Staff).await;
    let mut orders = Vec::new();
    for round in 0..ROUNDS {
        let order = shop.place_authorized_order(&format!("k{round}")).await;
        let mutate = async |mutation: &'static str| {
            let response = shop.app.run_order_mutation(&staff, mutation, order_id(&order), None).await;
            response.user_errors(mutation).into_iter().map(|(code, _)| code).collect::<Vec<_>>()
        };
        // The void is sent while the capture may be on its way.
        let cancel = async {
            let errors = mutate("orderCancel").await;
            shop.app.drain_jobs().await;
            errors
        };
        let (capture_errors, cancel_errors) = if round % 2 == 0 {
            join(mutate("orderCapture"), cancel).await
        } else {
            swap(join(cancel, mutate("orderCapture")).await)
        };
        assert!(cancel_errors.is_empty(), "{cancel_errors:?}");
        assert!(capture_errors.iter().all(|code| code == "ILLEGAL_TRANSITION"), "{capture_errors:?}");
        orders.push(order);
    }
    shop.app.clock.set(noon() + TimeDelta::minutes(5));
    shop.app.drain_jobs().await;
    for order in &orders {
        let order = reload_order(&shop.app, order).await;
        let status = order_and_payment_status(&order);
        assert!([("CANCELED", "VOIDED"), ("CANCELED", "REFUNDED")].contains(&status), "{order}");
    }
    assert_eq!(shop.assert_money_matches().await, 0);
    shop.app.assert_invariants().await;
}

async fn payment_of_client_that_disconnects_is_created_once(backend: Backend) {
    const CLIENTS: usize = 36;
    const CREATE: &str = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) {
        order { number payments { action { __typename } } } userErrors { code message } } }";
    let shop = StripeShop::start_with(backend, "true").await;
    let body = |client: usize| {
        let input = json!({ "lines": line_inputs(&[(&shop.mug, 1)]), "paymentMethodId": "stripe",
            "idempotencyKey": format!("key-{client}"), "email": format!("buyer{client}@example.com"),
            "shippingAddress": shipping_address() });
        json!({ "query": CREATE, "variables": { "input": input } })
    };
    let bodies: Vec<_> = (0..CLIENTS).map(body).collect();
    shop.stub.set_mode(StripeOperation::CreatePayment, Some(StripeMode::RespondsAfter(Duration::from_millis(50))));
    send_and_disconnect(&shop.app, &bodies, Duration::from_millis(400)).await;
    shop.app.assert_invariants().await;
    assert_no_open_transaction(&shop.app).await;

    // Each buyer retries and receives the one order of the key.
    let mut numbers = BTreeSet::new();
    for body in &bodies {
        let response: Value = shop.app.post_graphql(body.clone()).await.json().await.expect("JSON");
        let number = response["data"]["orderCreate"]["order"]["number"].as_str().map(str::to_owned);
        numbers.insert(number.unwrap_or_else(|| panic!("no order: {response}")));
    }
    assert_eq!(numbers.len(), CLIENTS);
    // Calls that the disconnect interrupted are repeated by their jobs.
    shop.app.clock.set(noon() + TimeDelta::minutes(1));
    shop.app.drain_jobs().await;
    let clients = i64::try_from(CLIENTS).expect("a number");
    assert_eq!(shop.stub.count_objects(), (CLIENTS, 0));
    let waiting = "SELECT count(*) FROM payment WHERE status = 'action_required' AND reference IS NOT NULL";
    assert_eq!(shop.app.query_scalar(waiting).await, clients);
    for number in 1..=CLIENTS {
        shop.stub.advance_intent(number, "succeeded");
        shop.deliver_event(&format!("evt_{number}"), "payment_intent.succeeded", &shop.stub.intent(number)).await;
    }
    let paid = "SELECT count(*) FROM orders WHERE status = 'confirmed' AND payment_status = 'paid'";
    assert_eq!(shop.app.query_scalar(paid).await, clients);
    assert_eq!(shop.assert_money_matches().await, 10_000 * clients);
    shop.app.assert_invariants().await;
}
