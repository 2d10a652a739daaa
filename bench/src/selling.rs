//! Buying: carts that are filled and ordered, spread over many variants and against a single one, and how soon others
//! hear of an order.

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
    http,
    load::Script,
    market::{Market, address, variant_id, word},
    measure::Round,
    process::Server,
};

/// So many carts for each second of load: more than any server orders.
const CARTS: u32 = 4_000;
/// So many orders a second are placed while it is measured how soon others hear of them.
const PACE: u32 = 200;
/// By so many buyers.
const BUYERS: u32 = 20;

const CHECKOUT: &str = "mutation CheckoutComplete($input: CheckoutCompleteInput!) { checkoutComplete(input: $input) { \
    order { number status total } userErrors { code message } } }";
const ADD: &str = "mutation CartLinesAdd($id: ID!, $lines: [CartLineInput!]!) { cartLinesAdd(id: $id, lines: $lines) { \
    cart { id version itemCount } userErrors { code message } } }";

/// What is done with carts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Ordered, two lines each, of any variants.
    Spread,
    /// Ordered, two lines each, one of them always of the same variant.
    Hot,
    /// Filled.
    Add,
}

impl Way {
    const fn title(self) -> &'static str {
        match self {
            Self::Spread => "checkoutComplete, spread",
            Self::Hot => "checkoutComplete, one hot variant",
            Self::Add => "cartLinesAdd",
        }
    }
}

/// Measures it all, and prints it: on a database made just now, and on the same once it is full of orders.
pub fn run(options: &Options, server: &Path) -> Result<()> {
    let mut market = Market::make(options, server, "savannah_bench_selling")?;
    println!(
        "| | database | Savannah req/s | hand-written req/s | ratio | p50 ms | p99 ms | hand-written p50 | p99 | \
         CPU µs server + PostgreSQL | hand-written |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    market.compare(options, server, "new")?;
    if options.filled_orders > 0 {
        market.fill(options.filled_orders)?;
        market.compare(options, server, &format!("{} orders", options.filled_orders))?;
    }
    market.lag(options, server)
}

impl Market {
    /// Loads both servers in turn, started just now.
    fn compare(&mut self, options: &Options, server: &Path, state: &str) -> Result<()> {
        let savannah = Server::savannah(server, &self.url)?;
        let comparator = Server::comparator(&self.url)?;
        for way in [Way::Spread, Way::Hot, Way::Add] {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for round in 0..=options.rounds {
                for (server, all) in [(&savannah, &mut ours), (&comparator, &mut theirs)] {
                    let one = self.round(options, way, server, round == 0)?;
                    if round > 0 {
                        eprintln!("{}, {state}, round {round}: {:.0} a second", way.title(), one.seen.rate);
                        all.push(one);
                    }
                }
            }
            let (ours, theirs) = (Round::median(&ours), Round::median(&theirs));
            let micros = |one: &Round| {
                let number = |micros: Option<f64>| micros.map_or("?".into(), |micros| format!("{micros:.0}"));
                format!("{} + {}", number(one.cpu), number(one.postgres))
            };
            println!(
                "| {} | {state} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} |",
                way.title(),
                ours.seen.rate,
                theirs.seen.rate,
                ours.seen.rate / theirs.seen.rate,
                ours.seen.p50,
                ours.seen.p99,
                theirs.seen.p50,
                theirs.seen.p99,
                micros(&ours),
                micros(&theirs)
            );
        }
        Ok(())
    }

    /// Makes new carts; the body of a request for each.
    fn bodies(&mut self, way: Way, count: u32) -> Result<Vec<String>> {
        let salt = RandomState::new();
        let pick = |at: u32, part: u32| {
            let place = salt.hash_one((at, part, "variant")) % self.stock.len() as u64;
            self.stock[usize::try_from(place).unwrap_or(0)]
        };
        let (mut carts, mut lines, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..count {
            let word = word(&salt, at);
            carts.push(format!("('{word}', 'open', 1, now(), now())"));
            let mut first = pick(at, 0);
            let mut second = pick(at, 1);
            if way == Way::Hot {
                first = self.stock[0];
            }
            if first.0 == second.0 {
                second = self.stock[usize::from(first.0 == self.stock[1].0) + 1];
            }
            if way == Way::Add {
                let variables = json!({ "id": word, "lines": [{ "variantId": variant_id(first.0), "quantity": 1 }] });
                bodies
                    .push(json!({ "query": ADD, "operationName": "CartLinesAdd", "variables": variables }).to_string());
                continue;
            }
            for (place, (variant, price)) in [first, second].into_iter().enumerate() {
                lines.push(format!("('{word}', {variant}, {place}, {price})"));
            }
            let total = first.1 + second.1;
            let input = json!({ "cartId": word, "idempotencyKey": format!("bench-{word}"), "email": "wanjiku@example.com",
                "expectedTotal": format!("{}.{:02}", total / 100, total % 100), "shippingAddress": address() });
            let variables = json!({ "input": input });
            bodies.push(
                json!({ "query": CHECKOUT, "operationName": "CheckoutComplete", "variables": variables }).to_string(),
            );
        }
        self.sql(format!(
            "INSERT INTO cart (word, state, version, created_at, updated_at) VALUES {}",
            carts.join(", ")
        ))?;
        if !lines.is_empty() {
            self.sql(format!(
                "INSERT INTO cart_line (cart_id, variant_id, position, quantity, unit_price, created_at, updated_at) \
                 SELECT c.id, l.variant, l.place, 1, l.price, now(), now() FROM (VALUES {}) AS l (word, variant, place, price) \
                 JOIN cart AS c ON c.word = l.word",
                lines.join(", ")
            ))?;
        }
        Ok(bodies)
    }

    fn count(&mut self, what: &str) -> Result<i64> {
        self.number(&format!("SELECT count(*) FROM {what}"))
    }

    /// Loads one server with carts that nobody has touched, and looks whether what it answered has happened.
    fn round(&mut self, options: &Options, way: Way, server: &Server, warm_up: bool) -> Result<Round> {
        let seconds = if warm_up { 2 } else { options.seconds };
        let bodies = self.bodies(way, CARTS * seconds)?;
        self.sql("CHECKPOINT".into())?;
        let done = if way == Way::Add { "cart_line" } else { "customer_order" };
        let before = self.count(done)?;
        let script = Script::new(way.title(), &bodies, None)?;
        let (cpu, backends) = (server.cpu(), self.backends()?);
        let seen = script.run(options, server.address, warm_up)?;
        let (cpu_after, backends_after) = (server.cpu(), self.backends()?);
        #[expect(clippy::cast_precision_loss, reason = "they are a few thousand")]
        let made = (self.count(done)? - before) as f64;
        // Some were still on their way when the load ended.
        if made < seen.requests || made > seen.requests + f64::from(options.connections) {
            return Err(format!("{}: {} were answered, but {made} were made", way.title(), seen.requests));
        }
        Ok(Round::of(seen, (cpu, cpu_after), (backends, backends_after)))
    }

    /// How long after an order its notification is written, at a steady pace, with the worker beside the server.
    fn lag(&mut self, options: &Options, server: &Path) -> Result<()> {
        self.sql("UPDATE outbox SET relayed_at = now() WHERE relayed_at IS NULL".into())?;
        let shop = Server::working(server, &self.url)?;
        let (seconds, address) = (options.seconds.max(5), shop.address);
        let bodies = self.bodies(Way::Spread, PACE * seconds)?;
        let last = self.count("message")?;
        let began = Instant::now();
        let pause = Duration::from_secs(1) * BUYERS / PACE;
        std::thread::scope(|scope| {
            for (buyer, mine) in (0..BUYERS).zip(bodies.chunks(bodies.len() / BUYERS as usize)) {
                scope.spawn(move || {
                    for (at, body) in (0..).zip(mine) {
                        let due = pause * at + Duration::from_millis(5) * buyer;
                        std::thread::sleep(due.saturating_sub(began.elapsed()));
                        if let Err(why) = http::post(address, body) {
                            eprintln!("{why}");
                        }
                    }
                });
            }
        });
        let took = began.elapsed();
        std::thread::sleep(Duration::from_secs(3));
        let heard = self.count("message")? - last;
        let rows = self.sql(format!(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY extract(epoch FROM m.created_at - o.placed_at) * 1000) \
             FROM (SELECT * FROM message WHERE channel = 'email' ORDER BY id DESC LIMIT {heard}) AS m JOIN customer_order AS o ON o.id = m.order_id"
        ))?;
        let lags: Vec<f64> = rows[0].try_get(0).map_err(|why| why.to_string())?;
        let rate = f64::from(PACE * seconds) / took.as_secs_f64();
        println!(
            "\nOrders at {rate:.0} a second; of {} orders {heard} notifications; from the order to its notification: \
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
