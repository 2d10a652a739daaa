//! Everything that can be done in a shop, in any order, beside a shop on paper: after each step both answer the same and
//! stand the same.

use std::sync::Arc;

use chrono::TimeDelta;
use savannah::{
    base::{GlobalId, global_id::NodeType},
    identity::Role,
};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    payments::{apply_payment_response, assert_balances_match, order_key},
    stock_concurrency::{create_second_location, mutate_stock},
    support::{
        Backend, FakePaymentProvider, FakePaymentResponse, GraphqlResponse, LedgerPaymentState, LedgerRefundLine,
        LedgerVariant, ReferenceLedger, TestApp, parse_datetime,
    },
};

integration_tests![random_order_operations_match_the_reference_ledger];

/// Number of random sequences, and of steps in each.
const SEED_COUNT: u64 = 3;
const STEPS_PER_SEED: usize = 120;

/// Somebody who does everything twice: in the shop, and on paper.
struct ModelBasedRun {
    app: TestApp,
    payment_provider: Arc<FakePaymentProvider>,
    staff_token: String,
    variant_ids: Vec<String>,
    location_ids: [String; 2],
    orders: Vec<Value>,
    ledger: ReferenceLedger,
    rng_state: u64,
    accepted_steps: usize,
}

async fn random_order_operations_match_the_reference_ledger(backend: Backend) {
    for seed in 1..=SEED_COUNT {
        let mut run = ModelBasedRun::start(backend, seed).await;
        for step in 0..STEPS_PER_SEED {
            let description = run.run_random_step().await;
            run.assert_matches_ledger(&format!("seed {seed}, step {step}: {description}")).await;
        }
        assert!(
            run.accepted_steps > STEPS_PER_SEED / 3,
            "seed {seed}: only {} steps could be taken",
            run.accepted_steps
        );
        assert_balances_match(&run.app, &run.payment_provider).await;
        // What may be ordered before it is there need not be kept for those who have.
        for variant in 0..2 {
            run.set_backorder(variant, true).await;
        }
        run.app.assert_invariants().await;
        run.app.run_pending_jobs().await;
    }
}

impl ModelBasedRun {
    async fn start(backend: Backend, seed: u64) -> Self {
        let (app, payment_provider) = FakePaymentProvider::start_app(backend, FakePaymentResponse::Succeeded).await;
        let staff = app.login(Role::Staff).await;
        let (mut variants, mut ledger) = (Vec::new(), ReferenceLedger::default());
        for (index, on_hand) in [8, 5, 12].into_iter().enumerate() {
            let price = 7 + 13 * i64::try_from(index).expect("few");
            variants.push(app.create_product(&format!("good-{index}"), price, Some(on_hand)).await);
            ledger.variants.push(LedgerVariant {
                price: price * 100,
                on_hand: [on_hand, 0],
                ..LedgerVariant::default()
            });
        }
        let locations = [GlobalId::new(NodeType::Location, 1).encode(), create_second_location(&app, &staff).await];
        app.drain_jobs().await;
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            app,
            payment_provider,
            staff_token: staff,
            variant_ids: variants,
            location_ids: locations,
            orders: Vec::new(),
            ledger,
            rng_state: state,
            accepted_steps: 0,
        }
    }

    /// A number below this one.
    fn random_below(&mut self, children: usize) -> usize {
        self.rng_state ^= self.rng_state << 13;
        self.rng_state ^= self.rng_state >> 7;
        self.rng_state ^= self.rng_state << 17;
        usize::try_from(self.rng_state >> 33).expect("a small number") % children
    }

    fn random_quantity_below(&mut self, children: usize) -> i64 {
        i64::try_from(self.random_below(children)).expect("a small number")
    }

    /// Takes a step in the shop and on paper; what it was.
    async fn run_random_step(&mut self) -> String {
        let order_count = self.orders.len();
        let (description, actual, expected) = match self.random_below(if order_count == 0 { 3 } else { 16 }) {
            0 | 1 => self.create_order().await,
            2 => self.checkout_cart().await,
            3 | 4 => self.run_stock_operation().await,
            5 => self.toggle_backorder().await,
            6 => self.advance_time().await,
            7 => self.deliver_late_payment().await,
            other => {
                let order = self.random_below(order_count);
                let (description, actual, expected) = self.run_order_operation(other - 8, order).await;
                (format!("{description} of order {order}"), actual, expected)
            }
        };
        assert_eq!(actual.as_deref(), expected, "{description}: {:#?}", self.ledger);
        self.accepted_steps += usize::from(actual.is_none());
        format!("{description}, told {actual:?}")
    }

    fn choose_items(&mut self) -> Vec<(usize, i64)> {
        (0..=self.random_below(3)).map(|_| (self.random_below(3), 1 + self.random_quantity_below(3))).collect()
    }

    /// At the door, or through the bank, which says one thing or another.
    fn choose_payment(&mut self) -> (Option<FakePaymentResponse>, Value) {
        let response = [
            None,
            Some(FakePaymentResponse::Authorized),
            Some(FakePaymentResponse::Succeeded),
            Some(FakePaymentResponse::Pending),
            Some(FakePaymentResponse::Pending),
            Some(FakePaymentResponse::Declined),
        ];
        let response = response[self.random_below(6)];
        if let Some(response) = response {
            self.payment_provider.set_authorize_response(response);
        }
        (response, json!({ "paymentMethodId": if response.is_some() { "bank" } else { "cash_on_delivery" } }))
    }

    async fn create_order(&mut self) -> StepOutcome {
        let (chosen_items, (payment_response, payment_input)) = (self.choose_items(), self.choose_payment());
        let items: Vec<_> =
            chosen_items.iter().map(|(index, quantity)| (self.variant_ids[*index].as_str(), *quantity)).collect();
        let key = format!("order {}", self.rng_state);
        let response = self.app.create_order(None, &key, &items, payment_input).await;
        self.record_order("orderCreate", &response, (&chosen_items, payment_response))
    }

    async fn checkout_cart(&mut self) -> StepOutcome {
        let (mut chosen_items, (payment_response, payment_input)) = (self.choose_items(), self.choose_payment());
        chosen_items.sort_unstable();
        chosen_items.dedup_by_key(|(index, _)| *index);
        // Limits of carts have tests of their own.
        chosen_items.retain(|(index, quantity)| self.ledger.variants[*index].available() >= *quantity);
        if chosen_items.is_empty() {
            return ("an empty cart".into(), None, None);
        }
        let items: Vec<_> =
            chosen_items.iter().map(|(index, quantity)| (self.variant_ids[*index].as_str(), *quantity)).collect();
        let cart = self.app.create_cart(None, &items).await;
        let response =
            self.app.complete_checkout(None, &format!("cart {}", self.rng_state), &cart, payment_input).await;
        self.record_order("checkoutComplete", &response, (&chosen_items, payment_response))
    }

    fn record_order(
        &mut self,
        mutation: &str,
        response: &GraphqlResponse,
        (chosen_items, payment_response): (&[(usize, i64)], Option<FakePaymentResponse>),
    ) -> StepOutcome {
        let expected = self.ledger.place_order(chosen_items, payment_response).map(|_| ()).err();
        if expected.is_none() {
            self.orders.push(response.data_at(&format!("/{mutation}/order")).clone());
        }
        (
            format!("{mutation} of {chosen_items:?} paid by {payment_response:?}"),
            first_error_code(response, mutation),
            expected,
        )
    }

    async fn run_order_operation(&mut self, operation: usize, index: usize) -> StepOutcome {
        let id = self.orders[index]["id"].as_str().expect("an id").to_owned();
        let (mutation, input, expected) = match operation {
            0 => ("orderConfirm", None, self.ledger.confirm_order(index)),
            1 => ("orderDeliver", None, self.ledger.deliver_order(index)),
            2 => ("orderCapture", None, self.ledger.capture_order(index)),
            3 => {
                let (operation, lines) = (self.random_below(3), self.choose_line_quantities(index));
                let input = match operation {
                    0 => json!({}),
                    1 => json!({ "restock": self.line_inputs(index, &lines) }),
                    _ => json!({ "lines": self.line_inputs(index, &lines) }),
                };
                let expected = match operation {
                    0 => self.ledger.cancel_order(index, None),
                    1 => self.ledger.cancel_order(index, Some(&lines)),
                    _ => self.ledger.cancel_units(index, &lines),
                };
                ("orderCancel", Some(("OrderCancelInput", input)), expected)
            }
            4 | 5 => {
                let lines = (self.random_below(2) == 0).then(|| self.choose_line_quantities(index));
                let input = json!({ "lines": lines.as_deref().map(|lines| self.line_inputs(index, lines)) });
                (
                    "orderFulfill",
                    Some(("OrderFulfillInput!", input)),
                    self.ledger.fulfill_order(index, lines.as_deref()),
                )
            }
            _ => {
                let operation = self.random_below(5);
                let lines = (operation < 3).then(|| self.choose_refund_lines(index));
                let amount = (operation == 3).then(|| 1 + self.random_quantity_below(3000));
                let mut input = json!({ "amount": amount.map(format_minor_units) });
                let line = |refund_line: &LedgerRefundLine| {
                    json!({ "lineId": self.orders[index]["lines"][refund_line.line]["id"], "quantityFulfilled": refund_line.fulfilled,
                        "quantityUnfulfilled": refund_line.unfulfilled, "restock": refund_line.restock })
                };
                input["lines"] = json!(lines.as_ref().map(|lines| lines.iter().map(line).collect::<Vec<_>>()));
                let expected = self.ledger.refund_order(index, lines.as_deref(), amount);
                ("orderRefund", Some(("OrderRefundInput!", input)), expected)
            }
        };
        let description = format!("{mutation} with {input:?}");
        let input = input.map(|(kind, mut input)| {
            if mutation != "orderCancel" {
                input["idempotencyKey"] = json!(format!("step {}", self.rng_state));
            }
            (kind, input)
        });
        let response = self.app.run_order_mutation(&self.staff_token, mutation, &id, input).await;
        self.run_jobs().await;
        (description, first_error_code(&response, mutation), expected.err())
    }

    /// Some lines of an order, and so many of each: often fewer than there are, at times more.
    fn choose_line_quantities(&mut self, index: usize) -> Vec<(usize, i64)> {
        let lines = self.ledger.orders[index].lines.len();
        let from = self.random_below(lines);
        (from..lines).map(|line_index| (line_index, 1 + self.random_quantity_below(3))).collect()
    }

    /// Shipped and unshipped units of some lines, some of them back in stock.
    fn choose_refund_lines(&mut self, index: usize) -> Vec<LedgerRefundLine> {
        let lines = self.ledger.orders[index].lines.len();
        let from = self.random_below(lines);
        let make_line = |line_index| LedgerRefundLine {
            line: line_index,
            fulfilled: self.random_quantity_below(3),
            unfulfilled: self.random_quantity_below(3),
            restock: self.random_below(3) == 0,
        };
        (from..lines).map(make_line).collect()
    }

    fn line_inputs(&self, index: usize, lines: &[(usize, i64)]) -> Value {
        let line = |(line_index, quantity): &(usize, i64)| json!({ "lineId": self.orders[index]["lines"][*line_index]["id"], "quantity": quantity });
        lines.iter().map(line).collect()
    }

    async fn run_stock_operation(&mut self) -> StepOutcome {
        let (variant, location) = (self.random_below(3), self.random_below(2));
        let on_hand = self.ledger.variants[variant].on_hand[location];
        let (mutation, mut input, ledger_result) = match self.random_below(3) {
            0 => {
                let delta = 1 + self.random_quantity_below(4) - if self.random_below(2) == 0 { 0 } else { 5 };
                let input =
                    json!({ "locationId": self.location_ids[location], "delta": delta, "reason": "CORRECTION" });
                ("stockAdjust", input, self.ledger.adjust_stock(variant, location, delta))
            }
            1 => {
                let (quantity, expected) =
                    (self.random_quantity_below(9), on_hand + i64::from(self.random_below(4) == 0));
                let input = json!({ "locationId": self.location_ids[location], "quantity": quantity, "expectedQuantity": expected });
                ("stockSet", input, self.ledger.set_stock(variant, location, (quantity, expected)))
            }
            _ => {
                let quantity = 1 + self.random_quantity_below(4);
                let input = json!({ "fromLocationId": self.location_ids[location], "toLocationId": self.location_ids[1 - location],
                    "quantity": quantity });
                ("stockTransfer", input, self.ledger.transfer_stock(variant, (location, 1 - location), quantity))
            }
        };
        let description = format!("{mutation} of {variant} with {input}");
        input["variantId"] = json!(self.variant_ids[variant]);
        let response =
            mutate_stock(&self.app, &self.staff_token, mutation, &format!("stock {}", self.rng_state), input).await;
        (description, first_error_code(&response, mutation), ledger_result.err())
    }

    async fn toggle_backorder(&mut self) -> StepOutcome {
        // The last one is never ordered before it is there.
        let (variant, backorder) = (self.random_below(2), self.random_below(3) == 0);
        self.set_backorder(variant, backorder).await
    }

    async fn set_backorder(&mut self, variant: usize, backorder: bool) -> StepOutcome {
        self.ledger.variants[variant].backorder = backorder;
        let input = json!({ "variantId": self.variant_ids[variant], "allowBackorder": backorder });
        let response = mutate_stock(&self.app, &self.staff_token, "stockSettingsUpdate", "", input).await;
        (format!("backorder of {variant}: {backorder}"), first_error_code(&response, "stockSettingsUpdate"), None)
    }

    /// Time goes by; what is overdue then may be ended by the schedule, or not yet.
    async fn advance_time(&mut self) -> StepOutcome {
        let (minutes, work) = (5 + self.random_quantity_below(8), self.random_below(2) == 0);
        self.ledger.elapsed_minutes += minutes;
        self.app.clock.set(parse_datetime("2026-11-01T09:00:00Z") + TimeDelta::minutes(self.ledger.elapsed_minutes));
        self.staff_token = self.app.login(Role::Staff).await;
        if work {
            self.run_jobs().await;
        }
        (format!("{minutes} minutes, then work: {work}"), None, None)
    }

    /// Does what waits; the schedule ends what is overdue.
    async fn run_jobs(&mut self) {
        self.app.drain_jobs().await;
        self.ledger.expire_overdue_orders(|_| true);
    }

    async fn deliver_late_payment(&mut self) -> StepOutcome {
        let order = self.random_below(self.orders.len());
        let ledger_order = &self.ledger.orders[order];
        let is_pending = ledger_order.payment_state == LedgerPaymentState::Pending;
        let key = order_key(&self.orders[order]);
        let payment_sql =
            format!("SELECT COALESCE(MAX(id), 0) FROM payment WHERE provider = 'bank' AND order_id = {key}");
        let payment = self.app.query_scalar(&payment_sql).await;
        if payment == 0 || !(is_pending || ledger_order.payment_state == LedgerPaymentState::Voided) {
            return (format!("no money for order {order}"), None, None);
        }
        let response = self.payment_provider.complete_payment(&format!("payment-{payment}"), ledger_order.total);
        apply_payment_response(&self.app, &self.orders[order], &response).await;
        self.ledger.record_late_payment(order);
        self.run_jobs().await;
        (format!("money for order {order}"), None, None)
    }

    /// Fails unless the shop stands as the paper says.
    async fn assert_matches_ledger(&self, when: &str) {
        let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on ProductVariant { stockLevels { onHand reserved location { id } } } }
            orders(first: 100) { nodes { id status paymentStatus fulfillmentStatus
            lines { quantityFulfilled quantityRefunded quantityUnfulfilled quantityCanceled quantityReturned } payments { capturedAmount { amount } refundedAmount { amount } } } } }";
        let response = self.app.query_as(&self.staff_token, query, json!({ "ids": self.variant_ids })).await;
        for (index, variant) in self.ledger.variants.iter().enumerate() {
            let levels = response.data_at(&format!("/nodes/{index}/stockLevels")).as_array().expect("levels");
            let level = |location: usize| {
                let actual = levels.iter().find(|level| level["location"]["id"] == self.location_ids[location]);
                actual.map_or((json!(0), json!(0)), |level| (level["onHand"].clone(), level["reserved"].clone()))
            };
            let expected = |location: usize| (json!(variant.on_hand[location]), json!(variant.reserved[location]));
            assert_eq!([level(0), level(1)], [expected(0), expected(1)], "{when}: stock of {index}");
        }
        let all = response.data_at("/orders/nodes").as_array().expect("orders");
        assert_eq!(all.len(), self.ledger.orders.len(), "{when}");
        for (index, ledger_order) in self.ledger.orders.iter().enumerate() {
            let mut actual =
                all.iter().find(|order| order["id"] == self.orders[index]["id"]).expect("the order").clone();
            actual.as_object_mut().expect("an order").remove("id");
            let lines = ledger_order.lines.iter().map(|ledger_line| {
                json!({ "quantityFulfilled": ledger_line.fulfilled, "quantityRefunded": ledger_line.refunded,
                    "quantityUnfulfilled": ledger_line.unfulfilled(), "quantityCanceled": ledger_line.canceled,
                    "quantityReturned": ledger_line.returned })
            });
            let expected = json!({ "status": ledger_order.status, "paymentStatus": ledger_order.payment_status(),
                "fulfillmentStatus": ledger_order.fulfillment_status(), "lines": lines.collect::<Vec<_>>(),
                "payments": [{ "capturedAmount": { "amount": format_minor_units(ledger_order.captured()) },
                    "refundedAmount": { "amount": format_minor_units(ledger_order.refunded) } }] });
            assert_eq!(actual, expected, "{when}: order {index}: {ledger_order:#?}");
        }
    }
}

/// The operation, the server's error code, and the model's.
type StepOutcome = (String, Option<String>, Option<&'static str>);

fn first_error_code(response: &GraphqlResponse, mutation: &str) -> Option<String> {
    response.user_errors(mutation).into_iter().next().map(|(code, _)| code)
}

fn format_minor_units(minor_units: i64) -> String {
    format!("{}.{:02}", minor_units / 100, minor_units % 100)
}
