//! Buying: carts that are filled and ordered, spread over many variants and against a single one, and how soon others
//! hear of an order.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use tokio::runtime::Runtime;

use crate::{
    Result,
    args::Options,
    database, http,
    load::{Script, Seen},
    process::Server,
};

/// So many variants are bought of.
const VARIANTS: i64 = 1_000;
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

/// Measures it all, and prints it.
pub fn run(options: &Options, server: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| format!("tokio cannot start: {why}"))?;
    let database = runtime.block_on(database::prepare(options, server, VARIANTS.unsigned_abs()))?;
    let mut market = Market { runtime, db: None, url: database.url, stock: Vec::new() };
    market.open()?;
    let savannah = Server::savannah(server, &market.url)?;
    let comparator = Server::comparator(&market.url)?;
    println!("| | Savannah req/s | hand-written req/s | ratio | p50 ms | p99 ms | hand-written p50 | p99 |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for way in [Way::Spread, Way::Hot, Way::Add] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=options.rounds {
            for (server, all) in [(&savannah, &mut ours), (&comparator, &mut theirs)] {
                let seen = market.round(options, way, server.address, round == 0)?;
                if round > 0 {
                    eprintln!("{}, round {round}: {:.0} a second", way.title(), seen.rate);
                    all.push(seen);
                }
            }
        }
        let (ours, theirs) = (middle(ours), middle(theirs));
        println!(
            "| {} | {:.0} | {:.0} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} |",
            way.title(),
            ours.rate,
            theirs.rate,
            ours.rate / theirs.rate,
            ours.p50,
            ours.p99,
            theirs.p50,
            theirs.p99
        );
    }
    drop((savannah, comparator));
    market.lag(options, server)
}

fn middle(mut rounds: Vec<Seen>) -> Seen {
    rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    rounds[rounds.len() / 2]
}

/// The shop's database, and what is in stock.
struct Market {
    runtime: Runtime,
    db: Option<PgConnection>,
    url: String,
    /// Variants with their prices.
    stock: Vec<(i64, i64)>,
}

impl Market {
    fn sql(&mut self, sql: String) -> Result<Vec<sqlx::postgres::PgRow>> {
        let db = self.db.as_mut().ok_or("the database is not open")?;
        let done = self.runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(db));
        done.map_err(|why| format!("PostgreSQL refuses: {why}"))
    }

    /// Puts enough of everything on the shelves, all of it for sale.
    fn open(&mut self) -> Result<()> {
        self.db = Some(self.runtime.block_on(database::connect(&self.url))?);
        self.sql(
            "UPDATE product SET status = 'active'; UPDATE variant SET track_stock = true, sale_price = NULL, \
             sale_starts_at = NULL, sale_ends_at = NULL; UPDATE inventory SET on_hand = 1000000000; \
             INSERT INTO inventory (variant_id, location_id, on_hand, reserved, created_at, updated_at) \
             SELECT id, 1, 1000000000, 0, now(), now() FROM variant ON CONFLICT DO NOTHING"
                .into(),
        )?;
        let rows = self.sql(format!(
            "SELECT v.id, v.price FROM variant AS v WHERE v.deleted_at IS NULL ORDER BY v.id LIMIT {VARIANTS}"
        ))?;
        let read = |row: &sqlx::postgres::PgRow| -> sqlx::Result<_> { Ok((row.try_get(0)?, row.try_get(1)?)) };
        let stock = rows.iter().map(read).collect::<sqlx::Result<Vec<_>>>();
        self.stock = stock.map_err(|why| why.to_string())?;
        if self.stock.len() < 3 { Err("there is nothing to sell".into()) } else { Ok(()) }
    }

    /// Makes new carts; the body of a request for each.
    fn bodies(&mut self, way: Way, count: u32) -> Result<Vec<String>> {
        let salt = RandomState::new();
        let word = |at: u32| {
            let half = |part: u32| salt.hash_one((at, part)).to_be_bytes();
            BASE64_URL_SAFE_NO_PAD.encode([half(0), half(1), half(2), half(3)].concat())
        };
        let pick = |at: u32, part: u32| {
            let place = salt.hash_one((at, part, "variant")) % self.stock.len() as u64;
            self.stock[usize::try_from(place).unwrap_or(0)]
        };
        let (mut carts, mut lines, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..count {
            let word = word(at);
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
                let id = BASE64_URL_SAFE_NO_PAD.encode(format!("ProductVariant:{}", first.0));
                let variables = json!({ "id": word, "lines": [{ "variantId": id, "quantity": 1 }] });
                bodies
                    .push(json!({ "query": ADD, "operationName": "CartLinesAdd", "variables": variables }).to_string());
                continue;
            }
            for (place, (variant, price)) in [first, second].into_iter().enumerate() {
                lines.push(format!("('{word}', {variant}, {place}, {price})"));
            }
            let total = first.1 + second.1;
            let address = json!({ "address": { "firstName": "Wanjiku", "lastName": "Kamau", "line1": "Moi Avenue 1",
                "city": "Nairobi", "countryCode": "KE" } });
            let input = json!({ "cartId": word, "idempotencyKey": format!("bench-{word}"), "email": "wanjiku@example.com",
                "expectedTotal": format!("{}.{:02}", total / 100, total % 100), "shippingAddress": address });
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
        let rows = self.sql(format!("SELECT count(*) FROM {what}"))?;
        rows[0].try_get(0).map_err(|why| why.to_string())
    }

    /// Loads one server with carts that nobody has touched, and looks whether what it answered has happened.
    fn round(&mut self, options: &Options, way: Way, address: SocketAddr, warm_up: bool) -> Result<Seen> {
        let seconds = if warm_up { 2 } else { options.seconds };
        let bodies = self.bodies(way, CARTS * seconds)?;
        self.sql("CHECKPOINT".into())?;
        let done = if way == Way::Add { "cart_line" } else { "customer_order" };
        let before = self.count(done)?;
        let seen = Script::new(way.title(), &bodies, None)?.run(options, address, warm_up)?;
        #[expect(clippy::cast_precision_loss, reason = "they are a few thousand")]
        let made = (self.count(done)? - before) as f64;
        // Some were still on their way when the load ended.
        if made < seen.requests || made > seen.requests + f64::from(options.connections) {
            return Err(format!("{}: {} were answered, but {made} were made", way.title(), seen.requests));
        }
        Ok(seen)
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
