//! The shop under attack: two hundred requests a second that ask for as much work as they can, beside an ordinary client
//! that lists products.

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
    http,
    market::{address, variant_id},
    pace::{Times, wait},
    process::Server,
    scenario::Questions,
};

/// So many attacking requests a second, ...
const RATE: u32 = 200;
/// ... by so many clients, each of which waits for its answers.
const ATTACKERS: u32 = 100;
/// How often the ordinary client asks.
const LISTING: Duration = Duration::from_millis(50);
/// How often it is asked whether the server lives.
const LIVE: Duration = Duration::from_millis(250);

/// What the ordinary client and whoever watches saw.
#[derive(Debug, Default)]
struct Calm {
    listing: Times,
    live: Times,
    wrong: u32,
}

/// Measures it, and prints it.
pub fn run(options: &Options, server: &Path, url: &str) -> Result<()> {
    let shop = Server::attacked(server, url)?;
    let at = shop.address;
    let seconds = Duration::from_secs(options.seconds.into());
    // Whatever is made once for all requests is made before.
    watch(at, Duration::from_secs(2), &AtomicBool::new(false));
    let mut before = watch(at, seconds.min(Duration::from_secs(20)), &AtomicBool::new(false));
    let memory_before = shop.memory();
    let bodies = attacks();
    let over = AtomicBool::new(false);
    let (mut during, answered) = std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|attacker| (attacker, &bodies))
            .map(|(attacker, bodies)| scope.spawn(move || attack(at, (attacker, bodies), seconds)))
            .collect();
        let during = watch(at, seconds, &over);
        let mut answered: BTreeMap<String, u32> = BTreeMap::new();
        for attacker in attackers {
            for (kind, count) in attacker.join().unwrap_or_default() {
                *answered.entry(kind).or_default() += count;
            }
        }
        over.store(true, Ordering::Relaxed);
        (during, answered)
    });
    let memory = shop.memory();
    let sent: u32 = answered.values().sum();
    println!(
        "{sent} attacking requests in {} s ({:.0} a second), one listing each {} ms:\n",
        options.seconds,
        f64::from(sent) / f64::from(options.seconds),
        LISTING.as_millis()
    );
    println!("| | p50 ms | p99 ms | longest ms | /health/live longest ms | failed | memory MB | most |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for (what, calm, memory) in [("without", &mut before, memory_before), ("under attack", &mut during, memory)] {
        let [middle, most, longest] = [50, 99, 100].map(|part| calm.listing.at(part));
        let (now, peak) = memory.map_or((f64::NAN, f64::NAN), |memory| (memory.now, memory.most));
        let (live, wrong) = (calm.live.at(100), calm.wrong);
        println!("| {what} | {middle:.1} | {most:.1} | {longest:.1} | {live:.1} | {wrong} | {now:.0} | {peak:.0} |");
    }
    println!("\nAnswers to the attack: {answered:?}");
    Ok(())
}

/// Lists products at a steady pace, and asks whether the server lives.
fn watch(at: SocketAddr, time: Duration, over: &AtomicBool) -> Calm {
    let question = Questions::first();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || {
            let mut live = Times::default();
            let mut wrong = 0;
            for number in 0.. {
                if began.elapsed() >= time || over.load(Ordering::Relaxed) {
                    break;
                }
                wait(began, LIVE, number);
                let asked = Instant::now();
                wrong += u32::from(!matches!(http::get(at, "/health/live"), Ok((200, _))));
                live.add(asked.elapsed());
            }
            (live, wrong)
        });
        let mut calm = Calm::default();
        for number in 0.. {
            if began.elapsed() >= time {
                break;
            }
            wait(began, LISTING, number);
            let asked = Instant::now();
            calm.wrong += u32::from(!matches!(http::post(at, &question), Ok((200, _))));
            calm.listing.add(asked.elapsed());
        }
        let (live, wrong) = watcher.join().unwrap_or_default();
        Calm { live, wrong: calm.wrong + wrong, ..calm }
    })
}

/// One of those who attack. A request that would come too late, because the one before took so long, is left out.
fn attack(at: SocketAddr, (attacker, bodies): (u32, &[(&str, String)]), time: Duration) -> BTreeMap<String, u32> {
    let every = Duration::from_secs(1) * ATTACKERS / RATE;
    let began = Instant::now();
    let mut answered: BTreeMap<String, u32> = BTreeMap::new();
    std::thread::sleep(every * attacker / ATTACKERS);
    for number in 0.. {
        if began.elapsed() >= time {
            break;
        }
        if !wait(began, every, number) {
            continue;
        }
        let place = usize::try_from(attacker.wrapping_add(number.wrapping_mul(7))).unwrap_or_default();
        let (kind, body) = &bodies[place % bodies.len()];
        let status = http::post(at, body).map_or_else(|_| "none".to_owned(), |(status, _)| status.to_string());
        *answered.entry(format!("{kind} {status}")).or_default() += 1;
    }
    answered
}

/// What is asked for, each with a name.
fn attacks() -> Vec<(&'static str, String)> {
    let text = |query: String| json!({ "query": query }).to_string();
    let many = |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<Vec<_>>().join(" ");
    let deep = |open: &str, close: &str, levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    let order = |at: usize| {
        let place = address();
        let to = &place["address"];
        let field = |name: &str| to[name].as_str().unwrap_or_default().to_owned();
        format!(
            "a{at}: orderCreate(input: {{ items: [{{ variantId: \"{}\" }}], idempotencyKey: \"attack {at}\", email: \
             \"victim{at}@example.com\", shippingAddress: {{ address: {{ firstName: \"{}\", lastName: \"{}\", line1: \"{}\", \
             city: \"{}\", countryCode: KE }} }} }}) {{ userErrors {{ code }} }}",
            variant_id(1),
            field("firstName"),
            field("lastName"),
            field("line1"),
            field("city")
        )
    };
    let facets = "facets { options { name } tags { count } vendors { count } }";
    let fragments = many(30, &|at| {
        let next = at + 1;
        format!("fragment f{at} on Query {{ ...f{next} ...f{next} }}")
    });
    vec![
        ("deep lists", text(format!("{{ a(b: {}) {{ c }} }}", deep("[", "]", 2_000)))),
        ("deep objects", text(format!("{{ a(b: {}) {{ c }} }}", deep("{x:", "}", 10_000)))),
        ("deep variable", text(format!("query($v: Int = {}) {{ a }}", deep("[", "]", 25_000)))),
        ("deep selections", text(format!("{{ {} {} }}", "a { ".repeat(10_000), "}".repeat(10_000)))),
        ("wide", text(format!("{{ {} }}", many(3_000, &|at| format!("a{at}: __typename"))))),
        (
            "counted",
            text(format!(
                "{{ {} }}",
                many(900, &|at| format!("a{at}: products(first: 0, filter: {{ search: \"lamp0\" }}) {{ totalCount }}"))
            )),
        ),
        (
            "facets",
            text(format!(
                "{{ products(first: 0, filter: {{ inStock: true }}) {{ {} }} }}",
                many(60, &|at| { format!("f{at}: {facets}") })
            )),
        ),
        ("fragments", text(format!("{{ ...f0 }} {fragments} fragment f30 on Query {{ __typename }}"))),
        ("huge", text(format!("{{ a(b: [{}]) {{ c }} }}", "[]".repeat(500_000)))),
        ("huge text", json!({ "query": "{ __typename }", "variables": { "x": "y".repeat(1_000_000) } }).to_string()),
        (
            "passwords",
            text(format!(
                "mutation {{ {} }}",
                many(10, &|at| format!(
                    "a{at}: login(input: {{ email: \"nobody@example.com\", password: \"wrong password {at}\" }}) {{ userErrors {{ code }} }}"
                ))
            )),
        ),
        (
            "resets",
            text(format!(
                "mutation {{ {} }}",
                many(600, &|at| format!(
                    "a{at}: passwordReset(token: \"x{at}\", newPassword: \"pppppppp\") {{ userErrors {{ code }} }}"
                ))
            )),
        ),
        ("one password", one_password()),
        ("orders", text(format!("mutation {{ {} }}", many(200, &order)))),
        ("one order", text(format!("mutation {{ {} }}", order(0)))),
    ]
}

fn one_password() -> String {
    let query = "mutation($input: LoginInput!) { login(input: $input) { userErrors { code } } }";
    let input: Value = json!({ "email": "somebody@example.com", "password": "a wrong password" });
    json!({ "query": query, "variables": { "input": input } }).to_string()
}
