//! Payments of a server that is killed between the steps of a provider call: before the provider acts, and after it acted
//! but before its result is stored.

use std::time::{Duration, Instant};

use savannah::base::{Clock, GlobalId, global_id::NodeType};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        Backend, CliSandbox, RunningProcess, TestDatabase, assert_invariants, assert_no_rows, query_scalar,
        shipping_address,
        stripe_stub::{StripeMode, StripeOperation, StripeStub, WEBHOOK_SECRET, stripe_event, stripe_signature},
    },
};

integration_tests![
    calls_interrupted_before_the_provider_acts_are_repeated,
    calls_interrupted_after_the_provider_acted_are_not_repeated,
];

const SERVE_ARGS: [&str; 2] = ["serve", "--no-demo"];
const STAFF_EMAIL: &str = "amani@shop.example";
const CATALOG: &str = "Handle,Title,Category,Variant SKU,Variant Price,Variant Inventory Qty,Status\n\
    mug,Mug,Kitchen,MUG,100.00,9,active\n";
/// Timeout for any step on a slow machine.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// An unpaid order must not expire during the test.
const EXPIRY_SETTING: (&str, &str) = ("SAVANNAH_CHECKOUT__PAYMENT_TIMEOUT", "1h");

/// A server whose orders are paid with Stripe, captured by staff.
struct CrashingServer {
    sandbox: CliSandbox,
    database: TestDatabase,
    stub: StripeStub,
    server: RunningProcess,
    variant: String,
    staff_token: String,
}

impl CrashingServer {
    async fn start(backend: Backend) -> Self {
        let database = TestDatabase::create_migrated(backend).await;
        let stub = StripeStub::start().await;
        let own = [
            ("DATABASE_URL", database.url()),
            ("SAVANNAH_JOBS__LEASE_DURATION", "3s"),
            ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "stripe"),
            ("SAVANNAH_PAYMENT__STRIPE__CAPTURE_AUTOMATICALLY", "false"),
            EXPIRY_SETTING,
        ];
        // The provider does not answer: the server is killed before the request times out.
        let stub_settings = stub.settings().map(|(name, value)| match name {
            "SAVANNAH_PAYMENT__REQUEST_TIMEOUT" => (name, "30s"),
            _ => (name, value),
        });
        let sandbox = CliSandbox::new(&[&stub_settings[..], &own].concat());
        sandbox.write_file("goods.csv", CATALOG);
        let exited = sandbox.run_command(&["import", "products", "goods.csv"], &[]).await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
        let exited = sandbox.run_command(&["user", "create", "--email", STAFF_EMAIL, "--role", "staff"], &[]).await;
        let password = exited.stdout.split_whitespace().last().expect("a password").to_owned();
        let db = database.connect().await;
        let variant = query_scalar(&db, "SELECT id FROM variant").await;
        db.close().await;
        let server = sandbox.start_server_with_args(&SERVE_ARGS, &[]).await;
        let variant = GlobalId::new(NodeType::Variant, variant).encode();
        let mut started = Self { sandbox, database, stub, server, variant, staff_token: String::new() };
        let login = "mutation($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }";
        let input = json!({ "email": STAFF_EMAIL, "password": password });
        let response = started.send(login, &json!({ "input": input })).await.expect("a response");
        response["login"]["tokens"]["accessToken"].as_str().expect("a token").clone_into(&mut started.staff_token);
        started
    }

    /// Sends a request as staff. Returns the data, or `None` if the server was killed.
    async fn send(&self, query: &str, variables: &Value) -> Option<Value> {
        let client = reqwest::Client::new();
        let mut request = client.post(format!("http://{}/graphql", self.server.address));
        if !self.staff_token.is_empty() {
            request = request.bearer_auth(&self.staff_token);
        }
        let sent = request.json(&json!({ "query": query, "variables": variables })).send().await.ok()?;
        let response: Value = sent.json().await.ok()?;
        assert!(response.get("errors").is_none(), "{response}");
        Some(response["data"].clone())
    }

    /// Sends an order mutation. Returns its order.
    async fn mutate(&self, mutation: &str, declaration: &str, arguments: &str, variables: &Value) -> Option<Value> {
        let query = format!(
            "mutation({declaration}) {{ {mutation}({arguments}) {{ order {{ id number token }} userErrors {{ code message }} }} }}"
        );
        let data = self.send(&query, variables).await?;
        assert_eq!(data[mutation]["userErrors"], json!([]), "{data}");
        Some(data[mutation]["order"].clone())
    }

    async fn place_order(&self, key: &str) -> Option<Value> {
        let input = json!({ "lines": [{ "variantId": self.variant, "quantity": 2 }], "paymentMethodId": "stripe",
            "idempotencyKey": key, "email": "wanjiku@example.com", "shippingAddress": shipping_address() });
        self.mutate("orderCreate", "$input: OrderCreateInput!", "input: $input", &json!({ "input": input })).await
    }

    async fn capture(&self, order: &Value) -> Option<Value> {
        self.mutate("orderCapture", "$id: ID!", "id: $id", &json!({ "id": order["id"] })).await
    }

    async fn refund(&self, order: &Value) -> Option<Value> {
        let input = json!({ "amount": "50.00", "idempotencyKey": "r" });
        let variables = json!({ "id": order["id"], "input": input });
        self.mutate("orderRefund", "$id: ID!, $input: OrderRefundInput!", "id: $id, input: $input", &variables).await
    }

    async fn cancel(&self, order: &Value) -> Option<Value> {
        self.mutate("orderCancel", "$id: ID!", "id: $id", &json!({ "id": order["id"] })).await
    }

    /// Runs a request whose provider call is not answered, and kills the server while it waits.
    async fn kill_during_call(
        &mut self,
        operation: StripeOperation,
        mode: &StripeMode,
        request: impl AsyncFnOnce(&Self) -> Option<Value>,
    ) {
        let calls_before = self.stub.requests(operation).len();
        self.stub.set_mode(operation, Some(mode.clone()));
        let is_called = async {
            let started_at = Instant::now();
            while self.stub.requests(operation).len() == calls_before {
                assert!(started_at.elapsed() < WAIT_TIMEOUT, "{operation:?} is not called: {}", self.server.stderr());
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            self.server.send_signal("KILL");
        };
        // A cancellation responds before its job calls the provider.
        let _ = futures_util::future::join(request(self), is_called).await;
        self.restart(operation).await;
    }

    /// Starts the killed server again; repeated calls are due immediately.
    async fn restart(&mut self, operation: StripeOperation) {
        let killed = std::mem::replace(&mut self.server, self.sandbox.start_command(&["--version"]));
        assert_eq!(killed.wait_for_exit().await.exit_code, None);
        let db = self.database.connect().await;
        let due_now = "UPDATE job SET run_at = created_at WHERE status IN ('pending', 'running')";
        sea_orm::ConnectionTrait::execute_unprepared(db.writer_connection(), due_now).await.expect("due jobs");
        db.close().await;
        self.stub.set_mode(operation, None);
        self.server = self.sandbox.start_server_with_args(&SERVE_ARGS, &[]).await;
    }

    /// Announces the current state of a payment, and kills the server as soon as it has accepted the webhook.
    async fn send_webhook_and_kill(&mut self, id: &str, event_type: &str, number: usize) {
        let body = stripe_event(id, event_type, &self.stub.intent(number));
        let signature = stripe_signature(WEBHOOK_SECRET, Clock::default().now().timestamp(), &body);
        let url = format!("http://{}/webhooks/payments/stripe", self.server.address);
        let request = reqwest::Client::new().post(url).header("content-type", "application/json");
        let response = request.header("stripe-signature", signature).body(body).send().await.expect("a response");
        assert_eq!(response.status().as_u16(), 200);
        self.server.send_signal("KILL");
        self.restart(StripeOperation::Read).await;
    }

    async fn wait_for_status(&self, order: &Value, payment_status: &str) {
        let query = "query($n: String, $t: String) { order(number: $n, token: $t) { paymentStatus } }";
        let started_at = Instant::now();
        loop {
            let variables = json!({ "n": order["number"], "t": order["token"] });
            let data = self.send(query, &variables).await.expect("a response");
            if data["order"]["paymentStatus"] == payment_status {
                return;
            }
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "{data}, not {payment_status}: {}", self.server.stderr());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until Stripe has canceled a payment.
    async fn wait_for_cancellation(&self, number: usize) {
        let started_at = Instant::now();
        while self.stub.intent(number)["status"] != "canceled" {
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "not canceled: {}", self.server.stderr());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Places an order, killing the server during the call of Stripe; its buyer retries and authorizes the payment.
    async fn place_authorized_order(&mut self, number: usize, mode: &StripeMode) -> Value {
        let key = format!("key-{number}");
        self.kill_during_call(StripeOperation::CreatePayment, mode, async |server| server.place_order(&key).await)
            .await;
        let order = self.place_order(&key).await.expect("the order of the key");
        let started_at = Instant::now();
        while self.stub.count_objects().0 < number {
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "no payment: {}", self.server.stderr());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.stub.advance_intent(number, "succeeded");
        let event = "payment_intent.amount_capturable_updated";
        self.send_webhook_and_kill(&format!("evt_{number}"), event, number).await;
        self.wait_for_status(&order, "AUTHORIZED").await;
        order
    }
}

async fn calls_interrupted_before_the_provider_acts_are_repeated(backend: Backend) {
    kill_during_each_call(backend, &StripeMode::Hangs).await;
}

async fn calls_interrupted_after_the_provider_acted_are_not_repeated(backend: Backend) {
    kill_during_each_call(backend, &StripeMode::LosesResponse).await;
}

async fn kill_during_each_call(backend: Backend, mode: &StripeMode) {
    let mut server = CrashingServer::start(backend).await;
    let paid = server.place_authorized_order(1, mode).await;
    server.kill_during_call(StripeOperation::Capture, mode, async |server| server.capture(&paid).await).await;
    server.wait_for_status(&paid, "PAID").await;
    server.kill_during_call(StripeOperation::CreateRefund, mode, async |server| server.refund(&paid).await).await;
    server.wait_for_status(&paid, "PARTIALLY_REFUNDED").await;
    let canceled = server.place_authorized_order(2, mode).await;
    server.kill_during_call(StripeOperation::Cancel, mode, async |server| server.cancel(&canceled).await).await;
    server.wait_for_cancellation(2).await;
    server.wait_for_status(&canceled, "VOIDED").await;

    assert_eq!(server.stub.count_objects(), (2, 1));
    assert_eq!((server.stub.balance(1), server.stub.balance(2)), (15_000, 0));
    server.server.send_signal("TERM");
    let exited = server.server.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    let db = server.database.connect().await;
    for (number, expected) in [(1, 15_000), (2, 0)] {
        let recorded = format!("SELECT captured - refunded FROM payment WHERE reference = 'pi_{number}'");
        assert_eq!(query_scalar(&db, &recorded).await, expected);
    }
    assert_no_rows(&db, &[("payments without a reference", "payment WHERE reference IS NULL")]).await;
    assert_invariants(&db).await;
    db.close().await;
}
