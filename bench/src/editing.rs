//! Editing what is being bought: eight buyers order one product in a loop while staff change it.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::Row;

use crate::{
    Result,
    args::Options,
    http,
    market::{Market, address, id, variant_id, word},
    pace::{Times, codes},
    process::{self, Server},
};

const BUYERS: u32 = 8;
const EMAIL: &str = "staff@example.com";
const PASSWORD: &str = "a password of the benchmark";

/// What some clients saw.
#[derive(Debug, Default)]
struct Seen {
    times: Times,
    wrong: BTreeMap<String, u32>,
}

impl Seen {
    fn ask(&mut self, address: SocketAddr, token: Option<&str>, body: &Value) {
        let began = Instant::now();
        let answer = http::post_as(address, token, &body.to_string());
        self.times.add(began.elapsed());
        for code in codes(&answer) {
            *self.wrong.entry(code).or_default() += 1;
        }
    }

    fn join(&mut self, other: Self) {
        self.times.join(other.times);
        for (code, count) in other.wrong {
            *self.wrong.entry(code).or_default() += count;
        }
    }

    fn line(&mut self, what: &str) -> String {
        let wrong: Vec<String> = self.wrong.iter().map(|(code, count)| format!("{count} {code}")).collect();
        let wrong = if wrong.is_empty() { "none".to_owned() } else { wrong.join(", ") };
        let count = self.times.count();
        let [middle, most, longest] = [50, 95, 100].map(|part| self.times.at(part));
        format!("| {what} | {count} | {middle:.0} | {most:.0} | {longest:.0} | {wrong} |")
    }
}

/// Measures it, and prints it.
pub fn run(options: &Options, server: &Path) -> Result<()> {
    let mut market = Market::make(options, server, "savannah_bench_editing")?;
    make_staff(server, &market.url)?;
    let shop = Server::savannah(server, &market.url)?;
    let at = shop.address;
    let token = sign_in(at)?;
    let (variant, _) = market.stock[0];
    let query = format!("SELECT product_id FROM variant WHERE id = {variant}");
    let product = market.number(&query)?;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let before = market.number(deadlocks)?;
    let until = Instant::now() + Duration::from_secs(options.seconds.into());
    let salt = RandomState::new();
    let (mut bought, mut edited) = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYERS)
            .map(|buyer| (buyer, &salt))
            .map(|one| scope.spawn(move || buy(at, variant, one, until)))
            .collect();
        let editor = scope.spawn(|| edit(at, &token, (product, variant), until));
        let mut bought = Seen::default();
        for buyer in buyers {
            bought.join(buyer.join().unwrap_or_default());
        }
        (bought, editor.join().unwrap_or_default())
    });
    drop(shop);
    println!("{BUYERS} buyers of one product in a loop for {} s, while staff edit it in a loop:\n", options.seconds);
    println!("| | requests | p50 ms | p95 ms | longest ms | errors |");
    println!("|---|--:|--:|--:|--:|---|");
    println!("{}", bought.line("orders"));
    println!("{}", edited.line("edits"));
    println!("\nDeadlocks that PostgreSQL had to end: {}", market.number(deadlocks)? - before);
    let rows = market.sql("SELECT count(*) FROM customer_order".into())?;
    let orders: i64 = rows[0].try_get(0).map_err(|why| why.to_string())?;
    println!("Orders in the database: {orders}");
    Ok(())
}

fn buy(at: SocketAddr, variant: i64, (buyer, salt): (u32, &RandomState), until: Instant) -> Seen {
    let query = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) { order { number } \
                 userErrors { code message } } }";
    let mut seen = Seen::default();
    let mut number = 0;
    while Instant::now() < until {
        number += 1;
        let key = word(salt, buyer << 24 | number);
        let input = json!({ "items": [{ "variantId": variant_id(variant), "quantity": 1 }], "idempotencyKey": key,
            "email": format!("buyer{buyer}@example.com"), "shippingAddress": address() });
        seen.ask(at, None, &json!({ "query": query, "variables": { "input": input } }));
    }
    seen
}

/// The name, the price and the stock in turn.
fn edit(at: SocketAddr, token: &str, (product, variant): (i64, i64), until: Instant) -> Seen {
    let name = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) { \
                userErrors { code message } } }";
    let price = "mutation($id: ID!, $input: ProductVariantInput!) { variantUpdate(id: $id, input: $input) { \
                 userErrors { code message } } }";
    let stock = "mutation($input: StockSetInput!) { stockSet(input: $input) { userErrors { code message } } }";
    let mut seen = Seen::default();
    for (on_hand, number) in (1_000_000_000..).zip(0_u32..) {
        if Instant::now() >= until {
            break;
        }
        let input = json!({ "name": format!("Edited {number}") });
        let variables = json!({ "id": id("Product", product), "input": input });
        seen.ask(at, Some(token), &json!({ "query": name, "variables": variables }));
        let input = json!({ "price": format!("{}.00", 100 + number % 100) });
        let variables = json!({ "id": variant_id(variant), "input": input });
        seen.ask(at, Some(token), &json!({ "query": price, "variables": variables }));
        let input = json!({ "variantId": variant_id(variant), "quantity": on_hand + 1, "expectedQuantity": on_hand,
            "idempotencyKey": format!("edit {number}") });
        seen.ask(at, Some(token), &json!({ "query": stock, "variables": { "input": input } }));
    }
    seen
}

/// Makes an account that may edit.
fn make_staff(server: &Path, url: &str) -> Result<()> {
    use std::io::Write;
    let mut command = process::savannah(server, url);
    command.args(["user", "create", "--email", EMAIL, "--role", "admin", "--password-stdin"]);
    command.env("RUST_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::null());
    let failed = |why: std::io::Error| format!("`savannah user create` failed: {why}");
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(PASSWORD.as_bytes()).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("`savannah user create` failed: {status}")) }
}

fn sign_in(at: SocketAddr) -> Result<String> {
    let query = format!(
        "mutation {{ login(input: {{ email: \"{EMAIL}\", password: \"{PASSWORD}\" }}) {{ tokens {{ accessToken }} }} }}"
    );
    let (_, answer) = http::post(at, &json!({ "query": query }).to_string())?;
    let read: Value = serde_json::from_str(&answer).map_err(|why| format!("{why} in {answer}"))?;
    let token = read.pointer("/data/login/tokens/accessToken").and_then(Value::as_str);
    token.map(str::to_owned).ok_or_else(|| format!("staff cannot sign in: {answer}"))
}
