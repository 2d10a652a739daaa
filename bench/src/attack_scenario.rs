//! Load by abusive requests: 200 expensive requests per second beside an ordinary client that lists products.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Result,
    args::Options,
    checkout_database::{encode_variant_id, sample_shipping_address},
    http,
    latency::{Latencies, wait_until_due},
    process::Server,
    scenario::ScenarioSet,
};

/// Attacking requests per second, in total.
const ATTACK_REQUESTS_PER_SECOND: u32 = 200;
/// The number of attacking clients; each waits for its responses.
const ATTACKER_COUNT: u32 = 100;
/// The request interval of the ordinary client.
const LISTING_INTERVAL: Duration = Duration::from_millis(50);
/// The interval of the liveness checks.
const LIVENESS_INTERVAL: Duration = Duration::from_millis(250);

/// Latencies and errors of the ordinary client and the liveness checks.
#[derive(Debug, Default)]
struct ObserverStats {
    listing_latencies: Latencies,
    liveness_latencies: Latencies,
    error_count: u32,
}

/// Runs the scenario and prints the results.
pub fn run_attack_scenario(options: &Options, server: &Path, url: &str) -> Result<()> {
    let shop = Server::start_with_throttle(server, url)?;
    let server_address = shop.address;
    let seconds = Duration::from_secs(options.seconds.into());
    // Warm-up: caches are filled before the measurement.
    observe_server(server_address, Duration::from_secs(2), &AtomicBool::new(false));
    let mut before = observe_server(server_address, seconds.min(Duration::from_secs(20)), &AtomicBool::new(false));
    let memory_before = shop.memory_usage();
    let bodies = build_attack_requests();
    let finished = AtomicBool::new(false);
    let (mut during, status_counts) = std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..ATTACKER_COUNT)
            .map(|attacker| (attacker, &bodies))
            .map(|(attacker, bodies)| scope.spawn(move || run_attacker(server_address, (attacker, bodies), seconds)))
            .collect();
        let during = observe_server(server_address, seconds, &finished);
        let mut status_counts: BTreeMap<String, u32> = BTreeMap::new();
        for attacker in attackers {
            for (kind, count) in attacker.join().unwrap_or_default() {
                *status_counts.entry(kind).or_default() += count;
            }
        }
        finished.store(true, Ordering::Relaxed);
        (during, status_counts)
    });
    let memory = Some(shop.memory_usage().ok_or("the server did not survive the attack")?);
    let sent: u32 = status_counts.values().sum();
    println!(
        "{sent} attacking requests in {} s ({:.0} a second), one listing each {} ms:\n",
        options.seconds,
        f64::from(sent) / f64::from(options.seconds),
        LISTING_INTERVAL.as_millis()
    );
    println!("| | p50 ms | p99 ms | longest ms | /health/live longest ms | failed | memory MB | most |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for (label, stats, memory) in [("without", &mut before, memory_before), ("under attack", &mut during, memory)] {
        let [p50, p99, max] = [50, 99, 100].map(|percent| stats.listing_latencies.percentile_ms(percent));
        let (resident, peak) = memory.map_or((f64::NAN, f64::NAN), |memory| (memory.resident_mb, memory.peak_mb));
        let (max_liveness, error_count) = (stats.liveness_latencies.percentile_ms(100), stats.error_count);
        println!(
            "| {label} | {p50:.1} | {p99:.1} | {max:.1} | {max_liveness:.1} | {error_count} | {resident:.0} | {peak:.0} |"
        );
    }
    println!("\nAnswers to the attack: {status_counts:?}");
    Ok(())
}

/// Lists products and checks liveness at fixed intervals.
fn observe_server(server_address: SocketAddr, duration: Duration, finished: &AtomicBool) -> ObserverStats {
    let request_body = ScenarioSet::readiness_body();
    let started = Instant::now();
    std::thread::scope(|scope| {
        let liveness_observer = scope.spawn(move || {
            let mut liveness_latencies = Latencies::default();
            let mut error_count = 0;
            for sequence in 0.. {
                if started.elapsed() >= duration || finished.load(Ordering::Relaxed) {
                    break;
                }
                wait_until_due(started, LIVENESS_INTERVAL, sequence);
                let sent_at = Instant::now();
                error_count += u32::from(!matches!(http::get_path(server_address, "/health/live"), Ok((200, _))));
                liveness_latencies.add(sent_at.elapsed());
            }
            (liveness_latencies, error_count)
        });
        let mut stats = ObserverStats::default();
        for sequence in 0.. {
            if started.elapsed() >= duration {
                break;
            }
            wait_until_due(started, LISTING_INTERVAL, sequence);
            let sent_at = Instant::now();
            stats.error_count += u32::from(!matches!(http::post_graphql(server_address, &request_body), Ok((200, _))));
            stats.listing_latencies.add(sent_at.elapsed());
        }
        let (liveness_latencies, error_count) = liveness_observer.join().unwrap_or_default();
        ObserverStats { liveness_latencies, error_count: stats.error_count + error_count, ..stats }
    })
}

/// Runs an attacking client. Requests that are overdue because of a slow response are skipped.
fn run_attacker(
    server_address: SocketAddr,
    (attacker, bodies): (u32, &[(&str, String)]),
    duration: Duration,
) -> BTreeMap<String, u32> {
    let interval = Duration::from_secs(1) * ATTACKER_COUNT / ATTACK_REQUESTS_PER_SECOND;
    let started = Instant::now();
    let mut status_counts: BTreeMap<String, u32> = BTreeMap::new();
    std::thread::sleep(interval * attacker / ATTACKER_COUNT);
    for sequence in 0.. {
        if started.elapsed() >= duration {
            break;
        }
        if !wait_until_due(started, interval, sequence) {
            continue;
        }
        let index = usize::try_from(attacker.wrapping_add(sequence.wrapping_mul(7))).unwrap_or_default();
        let (kind, body) = &bodies[index % bodies.len()];
        let status = http::post_graphql(server_address, body)
            .map_or_else(|_| "none".to_owned(), |(status, _)| status.to_string());
        *status_counts.entry(format!("{kind} {status}")).or_default() += 1;
    }
    status_counts
}

/// Builds the attacking requests: name and body.
fn build_attack_requests() -> Vec<(&'static str, String)> {
    let to_body = |query: String| json!({ "query": query }).to_string();
    let repeat_numbered =
        |count: usize, build: &dyn Fn(usize) -> String| (0..count).map(build).collect::<Vec<_>>().join(" ");
    let nest = |open: &str, close: &str, levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    let order = |index: usize| {
        let shipping_address = sample_shipping_address();
        let postal_address = &shipping_address["address"];
        let field = |name: &str| postal_address[name].as_str().unwrap_or_default().to_owned();
        format!(
            "a{index}: orderCreate(input: {{ lines: [{{ variantId: \"{}\" }}], paymentMethodId: \"cash_on_delivery\", idempotencyKey: \"attack {index}\", email: \
             \"victim{index}@example.com\", shippingAddress: {{ address: {{ firstName: \"{}\", lastName: \"{}\", line1: \"{}\", \
             city: \"{}\", countryCode: KE }} }} }}) {{ userErrors {{ code }} }}",
            encode_variant_id(1),
            field("firstName"),
            field("lastName"),
            field("line1"),
            field("city")
        )
    };
    let facets = "facets { options { name } tags { count } vendors { count } }";
    let fragments = repeat_numbered(30, &|index| {
        let next = index + 1;
        format!("fragment f{index} on Query {{ ...f{next} ...f{next} }}")
    });
    vec![
        ("deep lists", to_body(format!("{{ a(b: {}) {{ c }} }}", nest("[", "]", 2_000)))),
        ("deep objects", to_body(format!("{{ a(b: {}) {{ c }} }}", nest("{x:", "}", 10_000)))),
        ("deep variable", to_body(format!("query($v: Int = {}) {{ a }}", nest("[", "]", 25_000)))),
        ("deep selections", to_body(format!("{{ {} {} }}", "a { ".repeat(10_000), "}".repeat(10_000)))),
        ("wide", to_body(format!("{{ {} }}", repeat_numbered(3_000, &|index| format!("a{index}: __typename"))))),
        (
            "counted",
            to_body(format!(
                "{{ {} }}",
                repeat_numbered(900, &|index| format!(
                    "a{index}: products(first: 0, filter: {{ search: \"lamp0\" }}) {{ totalCount }}"
                ))
            )),
        ),
        (
            "facets",
            to_body(format!(
                "{{ products(first: 0, filter: {{ inStock: true }}) {{ {} }} }}",
                repeat_numbered(60, &|index| { format!("f{index}: {facets}") })
            )),
        ),
        ("fragments", to_body(format!("{{ ...f0 }} {fragments} fragment f30 on Query {{ __typename }}"))),
        ("huge", to_body(format!("{{ a(b: [{}]) {{ c }} }}", "[]".repeat(500_000)))),
        ("huge text", json!({ "query": "{ __typename }", "variables": { "x": "y".repeat(1_000_000) } }).to_string()),
        (
            "passwords",
            to_body(format!(
                "mutation {{ {} }}",
                repeat_numbered(10, &|index| format!(
                    "a{index}: login(input: {{ email: \"nobody@example.com\", password: \"wrong password {index}\" }}) {{ userErrors {{ code }} }}"
                ))
            )),
        ),
        (
            "resets",
            to_body(format!(
                "mutation {{ {} }}",
                repeat_numbered(600, &|index| format!(
                    "a{index}: passwordReset(token: \"x{index}\", newPassword: \"pppppppp\") {{ userErrors {{ code }} }}"
                ))
            )),
        ),
        ("one password", build_login_request()),
        ("orders", to_body(format!("mutation {{ {} }}", repeat_numbered(200, &order)))),
        ("one order", to_body(format!("mutation {{ {} }}", order(0)))),
    ]
}

fn build_login_request() -> String {
    let query = "mutation($input: LoginInput!) { login(input: $input) { userErrors { code } } }";
    let input: Value = json!({ "email": "somebody@example.com", "password": "a wrong password" });
    json!({ "query": query, "variables": { "input": input } }).to_string()
}
