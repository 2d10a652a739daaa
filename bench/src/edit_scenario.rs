//! Concurrent edits and orders: eight buyers order one product in a loop while staff edit it.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::Row;

use crate::{
    Result,
    args::Options,
    checkout_database::{
        CheckoutDatabase, encode_global_id, encode_variant_id, generate_token, sample_shipping_address,
    },
    http,
    latency::{Latencies, collect_error_codes},
    process::Server,
    staff::{create_staff_account, log_in_staff},
};

const BUYER_COUNT: u32 = 8;

/// Latencies and errors of clients.
#[derive(Debug, Default)]
struct ClientStats {
    latencies: Latencies,
    error_counts: BTreeMap<String, u32>,
}

impl ClientStats {
    fn send_request(&mut self, address: SocketAddr, token: Option<&str>, body: &Value) {
        let started = Instant::now();
        let response = http::post_graphql_as(address, token, &body.to_string());
        self.latencies.add(started.elapsed());
        for code in collect_error_codes(&response) {
            *self.error_counts.entry(code).or_default() += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        self.latencies.merge(other.latencies);
        for (code, count) in other.error_counts {
            *self.error_counts.entry(code).or_default() += count;
        }
    }

    fn format_row(&mut self, label: &str) -> String {
        let errors: Vec<String> = self.error_counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
        let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
        let count = self.latencies.count();
        let [p50, p95, max] = [50, 95, 100].map(|percent| self.latencies.percentile_ms(percent));
        format!("| {label} | {count} | {p50:.0} | {p95:.0} | {max:.0} | {errors} |")
    }
}

/// Runs the scenario and prints the results.
pub fn run_edit_scenario(options: &Options, server: &Path) -> Result<()> {
    let mut database = CheckoutDatabase::create(options, server, "savannah_bench_editing")?;
    create_staff_account(server, &database.url)?;
    let shop = Server::start_savannah(server, &database.url)?;
    let server_address = shop.address;
    let token = log_in_staff(server_address)?;
    let (variant, _) = database.variants[0];
    let query = format!("SELECT product_id FROM variant WHERE id = {variant}");
    let product = database.query_integer(&query)?;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let before = database.query_integer(deadlocks)?;
    let deadline = Instant::now() + Duration::from_secs(options.seconds.into());
    let salt = RandomState::new();
    let (mut buyer_stats, mut editor_stats) = std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYER_COUNT)
            .map(|buyer| (buyer, &salt))
            .map(|buyer_seed| scope.spawn(move || run_buyer(server_address, variant, buyer_seed, deadline)))
            .collect();
        let editor = scope.spawn(|| run_editor(server_address, &token, (product, variant), deadline));
        let mut buyer_stats = ClientStats::default();
        for buyer in buyers {
            buyer_stats.merge(buyer.join().unwrap_or_default());
        }
        (buyer_stats, editor.join().unwrap_or_default())
    });
    drop(shop);
    println!(
        "{BUYER_COUNT} buyers of one product in a loop for {} s, while staff edit it in a loop:\n",
        options.seconds
    );
    println!("| | requests | p50 ms | p95 ms | longest ms | errors |");
    println!("|---|--:|--:|--:|--:|---|");
    println!("{}", buyer_stats.format_row("orders"));
    println!("{}", editor_stats.format_row("edits"));
    println!("\nDeadlocks that PostgreSQL had to end: {}", database.query_integer(deadlocks)? - before);
    let rows = database.execute("SELECT count(*) FROM orders".into())?;
    let orders: i64 = rows[0].try_get(0).map_err(|error| error.to_string())?;
    println!("Orders in the database: {orders}");
    Ok(())
}

fn run_buyer(
    server_address: SocketAddr,
    variant: i64,
    (buyer, salt): (u32, &RandomState),
    deadline: Instant,
) -> ClientStats {
    let query = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) { order { number } \
                 userErrors { code message } } }";
    let mut stats = ClientStats::default();
    let mut sequence = 0;
    while Instant::now() < deadline {
        sequence += 1;
        let idempotency_key = generate_token(salt, buyer << 24 | sequence);
        let input = json!({ "lines": [{ "variantId": encode_variant_id(variant), "quantity": 1 }], "paymentMethodId": "cash_on_delivery", "idempotencyKey": idempotency_key,
            "email": format!("buyer{buyer}@example.com"), "shippingAddress": sample_shipping_address() });
        stats.send_request(server_address, None, &json!({ "query": query, "variables": { "input": input } }));
    }
    stats
}

/// Edits name, price and stock alternately.
fn run_editor(
    server_address: SocketAddr,
    token: &str,
    (product, variant): (i64, i64),
    deadline: Instant,
) -> ClientStats {
    let name = "mutation($id: ID!, $input: ProductUpdateInput!) { productUpdate(id: $id, input: $input) { \
                userErrors { code message } } }";
    let price = "mutation($id: ID!, $input: ProductVariantInput!) { productVariantUpdate(id: $id, input: $input) { \
                 userErrors { code message } } }";
    let stock = "mutation($input: StockSetInput!) { stockSet(input: $input) { userErrors { code message } } }";
    let mut stats = ClientStats::default();
    for (on_hand, sequence) in (1_000_000_000..).zip(0_u32..) {
        if Instant::now() >= deadline {
            break;
        }
        let input = json!({ "name": format!("Edited {sequence}") });
        let variables = json!({ "id": encode_global_id("Product", product), "input": input });
        stats.send_request(server_address, Some(token), &json!({ "query": name, "variables": variables }));
        let input = json!({ "price": format!("{}.00", 100 + sequence % 100) });
        let variables = json!({ "id": encode_variant_id(variant), "input": input });
        stats.send_request(server_address, Some(token), &json!({ "query": price, "variables": variables }));
        let input = json!({ "variantId": encode_variant_id(variant), "quantity": on_hand + 1, "expectedQuantity": on_hand,
            "idempotencyKey": format!("edit {sequence}") });
        stats.send_request(server_address, Some(token), &json!({ "query": stock, "variables": { "input": input } }));
    }
    stats
}
