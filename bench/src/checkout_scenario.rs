//! Checkout: cart changes and orders, over many variants and contending for one, and the delay of order notifications.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use sqlx::Row;

use crate::{
    Result,
    args::Options,
    benchmark::LoadRound,
    checkout_database::{CheckoutDatabase, encode_variant_id, generate_token, sample_shipping_address},
    http,
    process::Server,
    wrk::WrkScript,
};

/// The number of carts per second of load: more than any server can convert.
const CARTS_PER_SECOND: u32 = 4_000;
/// The order rate during the measurement of the notification delay.
const PACED_ORDERS_PER_SECOND: u32 = 200;
/// The number of buyers during that measurement.
const PACED_BUYER_COUNT: u32 = 20;

const CHECKOUT_MUTATION: &str = "mutation CheckoutComplete($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) { \
    order { number status cost { total { amount } } } userErrors { code message } } }";
const CART_LINES_ADD_MUTATION: &str = "mutation CartLinesAdd($id: ID!, $lines: [LineInput!]!) { cartLinesAdd(id: $id, lines: $lines) { \
    cart { id version itemCount } userErrors { code message } } }";

/// The workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CartWorkload {
    /// Checkout of carts with two lines of random variants.
    Spread,
    /// Checkout of carts with two lines, one of them always of the same variant.
    Hot,
    /// Adding lines to carts.
    Add,
}

impl CartWorkload {
    const fn title(self) -> &'static str {
        match self {
            Self::Spread => "checkoutComplete, spread",
            Self::Hot => "checkoutComplete, one hot variant",
            Self::Add => "cartLinesAdd",
        }
    }
}

/// Runs the scenario on a new database and again with many orders in it, and prints the results.
pub fn run_checkout_scenario(options: &Options, server: &Path) -> Result<()> {
    let mut database = CheckoutDatabase::create(options, server, "savannah_bench_selling")?;
    println!(
        "| | database | Savannah req/s | hand-written req/s | ratio | p50 ms | p99 ms | hand-written p50 | p99 | \
         CPU µs server + PostgreSQL | hand-written |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    database.compare_servers(options, server, "new")?;
    if options.filled_orders > 0 {
        database.insert_orders(options.filled_orders)?;
        database.compare_servers(options, server, &format!("{} orders", options.filled_orders))?;
    }
    database.measure_notification_lag(options, server)
}

impl CheckoutDatabase {
    /// Starts both servers and loads them alternately.
    fn compare_servers(&mut self, options: &Options, server: &Path, state: &str) -> Result<()> {
        let savannah = Server::start_savannah(server, &self.url)?;
        let baseline = Server::start_baseline(&self.url)?;
        for workload in [CartWorkload::Spread, CartWorkload::Hot, CartWorkload::Add] {
            let (mut savannah_load, mut baseline_load) = (Vec::new(), Vec::new());
            for round in 0..=options.rounds {
                for (server, results) in [(&savannah, &mut savannah_load), (&baseline, &mut baseline_load)] {
                    let result = self.run_round(options, workload, server, round == 0)?;
                    if round > 0 {
                        eprintln!("{}, {state}, round {round}: {:.0} a second", workload.title(), result.result.rate);
                        results.push(result);
                    }
                }
            }
            let (savannah_load, baseline_load) = (LoadRound::median(&savannah_load), LoadRound::median(&baseline_load));
            let micros = |result: &LoadRound| {
                let format_micros = |micros: Option<f64>| micros.map_or("?".into(), |micros| format!("{micros:.0}"));
                format!("{} + {}", format_micros(result.cpu_micros), format_micros(result.postgres_cpu_micros))
            };
            println!(
                "| {} | {state} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} |",
                workload.title(),
                savannah_load.result.rate,
                baseline_load.result.rate,
                savannah_load.result.rate / baseline_load.result.rate,
                savannah_load.result.p50,
                savannah_load.result.p99,
                baseline_load.result.p50,
                baseline_load.result.p99,
                micros(&savannah_load),
                micros(&baseline_load)
            );
        }
        Ok(())
    }

    /// Creates carts and returns a request body for each.
    fn create_carts(&mut self, workload: CartWorkload, count: u32) -> Result<Vec<String>> {
        let salt = RandomState::new();
        let pick_variant = |index: u32, part: u32| {
            let position = salt.hash_one((index, part, "variant")) % self.variants.len() as u64;
            self.variants[usize::try_from(position).unwrap_or(0)]
        };
        let (mut carts, mut lines, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..count {
            let token = generate_token(&salt, index);
            carts.push(format!("('{token}', 'open', 1, now(), now())"));
            let mut first = pick_variant(index, 0);
            let mut second = pick_variant(index, 1);
            if workload == CartWorkload::Hot {
                first = self.variants[0];
            }
            if first.0 == second.0 {
                second = self.variants[usize::from(first.0 == self.variants[1].0) + 1];
            }
            if workload == CartWorkload::Add {
                let variables =
                    json!({ "id": token, "lines": [{ "variantId": encode_variant_id(first.0), "quantity": 1 }] });
                bodies
                    .push(json!({ "query": CART_LINES_ADD_MUTATION, "operationName": "CartLinesAdd", "variables": variables }).to_string());
                continue;
            }
            for (position, (variant, price)) in [first, second].into_iter().enumerate() {
                lines.push(format!("('{token}', {variant}, {position}, {price})"));
            }
            let total = first.1 + second.1;
            let input = json!({ "cartId": token, "paymentMethodId": "cash_on_delivery", "idempotencyKey": format!("bench-{token}"), "email": "wanjiku@example.com",
                "expectedTotal": format!("{}.{:02}", total / 100, total % 100), "shippingAddress": sample_shipping_address() });
            let variables = json!({ "input": input });
            bodies.push(
                json!({ "query": CHECKOUT_MUTATION, "operationName": "CheckoutComplete", "variables": variables })
                    .to_string(),
            );
        }
        self.execute(format!(
            "INSERT INTO cart (token, status, version, created_at, updated_at) VALUES {}",
            carts.join(", ")
        ))?;
        if !lines.is_empty() {
            self.execute(format!(
                "INSERT INTO cart_line (cart_id, variant_id, position, quantity, unit_price, created_at, updated_at) \
                 SELECT c.id, l.variant, l.place, 1, l.price, now(), now() FROM (VALUES {}) AS l (token, variant, \
                 place, price) \
                 JOIN cart AS c ON c.token = l.token",
                lines.join(", ")
            ))?;
        }
        Ok(bodies)
    }

    fn count_rows(&mut self, table: &str) -> Result<i64> {
        self.query_integer(&format!("SELECT count(*) FROM {table}"))
    }

    /// Loads a server with new carts and checks that the rows in the database match the responses.
    fn run_round(
        &mut self,
        options: &Options,
        workload: CartWorkload,
        server: &Server,
        warm_up: bool,
    ) -> Result<LoadRound> {
        let seconds = if warm_up { 2 } else { options.seconds };
        let bodies = self.create_carts(workload, CARTS_PER_SECOND * seconds)?;
        self.execute("CHECKPOINT".into())?;
        let table = if workload == CartWorkload::Add { "cart_line" } else { "orders" };
        let before = self.count_rows(table)?;
        let script = WrkScript::new(workload.title(), &bodies, None)?;
        let (cpu, backends) = (server.cpu_micros(), self.postgres_cpu_micros()?);
        let result = script.run(options, server.address, warm_up)?;
        let (cpu_after, backends_after) = (server.cpu_micros(), self.postgres_cpu_micros()?);
        #[expect(clippy::cast_precision_loss, reason = "they are a few thousand")]
        let created = (self.count_rows(table)? - before) as f64;
        // Some requests were in flight when the load ended.
        if created < result.requests || created > result.requests + f64::from(options.connections) {
            return Err(format!("{}: {} were answered, but {created} were made", workload.title(), result.requests));
        }
        Ok(LoadRound::from_measurements(result, (cpu, cpu_after), (backends, backends_after)))
    }

    /// Measures the delay between an order and its notification at a constant rate, with a worker in the server
    /// process.
    fn measure_notification_lag(&mut self, options: &Options, server: &Path) -> Result<()> {
        self.execute("UPDATE outbox_event SET dispatched_at = now() WHERE dispatched_at IS NULL".into())?;
        let shop = Server::start_with_worker(server, &self.url)?;
        let (seconds, address) = (options.seconds.max(5), shop.address);
        let bodies = self.create_carts(CartWorkload::Spread, PACED_ORDERS_PER_SECOND * seconds)?;
        let count_before = self.count_rows("notification")?;
        let started = Instant::now();
        let interval = Duration::from_secs(1) * PACED_BUYER_COUNT / PACED_ORDERS_PER_SECOND;
        std::thread::scope(|scope| {
            for (buyer, buyer_bodies) in
                (0..PACED_BUYER_COUNT).zip(bodies.chunks(bodies.len() / PACED_BUYER_COUNT as usize))
            {
                scope.spawn(move || {
                    for (index, body) in (0..).zip(buyer_bodies) {
                        let due = interval * index + Duration::from_millis(5) * buyer;
                        std::thread::sleep(due.saturating_sub(started.elapsed()));
                        if let Err(error) = http::post_graphql(address, body) {
                            eprintln!("{error}");
                        }
                    }
                });
            }
        });
        let elapsed = started.elapsed();
        std::thread::sleep(Duration::from_secs(3));
        let notified = self.count_rows("notification")? - count_before;
        let rows = self.execute(format!(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM m.created_at - o.placed_at) * 1000) \
             FROM (SELECT * FROM notification WHERE channel = 'email' ORDER BY id DESC LIMIT {notified}) AS m JOIN orders AS o ON o.id = m.order_id"
        ))?;
        let lags: Vec<f64> = rows[0].try_get(0).map_err(|error| error.to_string())?;
        let rate = f64::from(PACED_ORDERS_PER_SECOND * seconds) / elapsed.as_secs_f64();
        println!(
            "\nOrders at {rate:.0} a second; of {} orders {notified} notifications; from the order to its notification: \
             p50 {:.0} ms, p95 {:.0} ms, p99 {:.0} ms, longest {:.0} ms",
            bodies.len(),
            lags[0],
            lags[1],
            lags[2],
            lags[3]
        );
        Ok(())
    }
}
