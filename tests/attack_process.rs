//! The server binary under every request that an anonymous client can send: it keeps running, responds, and its memory
//! is bounded.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, RunningProcess, TestDatabase},
};

integration_tests![server_under_anonymous_attack_answers_in_bounded_memory];

/// Maximum memory of the process in bytes, measured by the kernel.
const MEMORY_LIMIT: u64 = 150 << 20;
/// Number of concurrent clients.
const CLIENTS: usize = 16;

/// Kind of request.
#[derive(Clone)]
enum Attack {
    /// Document and number of requests.
    Post { document: String, variables: Value, count: usize },
    /// Document in the query string.
    Get { document: String },
    /// Request whose client disconnects without reading the response.
    HangUp { document: String, count: usize },
    /// Incomplete request; the connection stays open.
    HalfOpen { text: &'static str, count: usize },
}

fn single_post(document: impl Into<String>) -> Attack {
    repeated_post(1, document)
}

fn repeated_post(times: usize, document: impl Into<String>) -> Attack {
    Attack::Post { document: document.into(), variables: json!({}), count: times }
}

/// Returns `count` copies of a field under distinct aliases, in braces.
fn aliased_fields(count: usize, keyword: &str, field: impl Fn(usize) -> String) -> String {
    let mut document = format!("{keyword} {{");
    for number in 0..count {
        let _ = write!(document, " a{number}: {}", field(number));
    }
    document + " }"
}

fn nested_brackets(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Returns deeply nested literals in every position of a document.
fn deep_literals() -> Vec<Attack> {
    let lists = nested_brackets(2_000);
    let objects = format!("{}1{}", "{x:".repeat(1_500), "}".repeat(1_500));
    let documents = [
        format!("{{ a(b: {lists}) {{ c }} }}"),
        format!("{{ a(b: {objects}) {{ c }} }}"),
        format!("query($v: Int = {lists}) {{ a(b: $v) }}"),
        format!("query($v: {}Int{}) {{ a(b: $v) }}", "[".repeat(2_000), "]".repeat(2_000)),
        format!("{{ __typename @include(if: {lists}) }}"),
        format!("{{ __typename @unknown(a: {objects}) }}"),
        format!("{}{}", "{ a ".repeat(2_000), "}".repeat(2_000)),
        format!("{}{}", "{ ... ".repeat(2_000), "}".repeat(2_000)),
    ];
    let by_address = format!("{{ a(b: {}) {{ c }} }}", nested_brackets(2_500));
    documents.into_iter().map(single_post).chain([Attack::Get { document: by_address }]).collect()
}

/// Returns documents that are expensive to parse, validate or cache.
fn large_documents() -> Vec<Attack> {
    let mut attacks = vec![
        repeated_post(6, format!("{{ a(b: [{}]) }}", "[]".repeat(490_000))),
        single_post(format!("{} {{ __typename }}", "#[[[[\n".repeat(10_000))),
        single_post(format!("{{ a(b: \"\"\"{}\"\"\") }}", "[".repeat(60_000))),
        single_post(aliased_fields(2_000, "query", |_| "__typename".into())),
        single_post(format!("{{ __typename {} }}", "@a ".repeat(10_000))),
    ];
    let mut bomb = String::from("{ ...F0 }");
    for number in 0..40 {
        let _ = write!(bomb, " fragment F{number} on Query {{ ...F{0} ...F{0} }}", number + 1);
    }
    attacks.push(single_post(bomb + " fragment F40 on Query { __typename }"));
    // Each with a different text, so that no document is cached.
    let rejected = |number: usize| format!("{{ a{number}(b: [{}]) }}", "[]".repeat(8_000));
    attacks.extend((0..300).map(|number| single_post(rejected(number))));
    let many_products = |number: usize| format!("{{ products(first: 1) {{ {} }} }}", "totalCount ".repeat(number + 1));
    attacks.extend((0..200).map(|number| single_post(many_products(number))));
    attacks
}

/// Returns documents that are expensive for the database.
fn expensive_queries() -> Vec<Attack> {
    let facets = aliased_fields(60, "", |_| "facets { options { name } tags { count } vendors { count } }".into());
    let search = aliased_fields(900, "query", |n| {
        format!("products(first: 0, filter: {{ inStock: true, search: \"lamp{n}\" }}) {{ totalCount }}")
    });
    let names = aliased_fields(80, "", |_| "name".into());
    vec![
        repeated_post(4, format!("{{ products(first: 0, filter: {{ inStock: true }}) {facets} }}")),
        single_post(search),
        repeated_post(10, format!("{{ categories {{ descendants {names} }} }}")),
    ]
}

/// Returns writes and password hashes available to anonymous callers.
fn anonymous_writes() -> Vec<Attack> {
    let order = |number: usize| {
        format!(
            "orderCreate(input: {{ lines: [{{ variantId: \"x\", quantity: 10000 }}], paymentMethodId: \"cash_on_delivery\", idempotencyKey: \"k{number}\", \
             email: \"victim{number}@example.com\", phone: \"+447911100{number:03}\" }}) {{ userErrors {{ code }} }}"
        )
    };
    let reset = "passwordReset(token: \"x\", newPassword: \"pppppppp\") { userErrors { code } }";
    let login = "login(input: { email: \"admin@savannah.example\", password: \"wrong password\" }) \
                 { userErrors { code } }";
    let refresh = "tokenRefresh(refreshToken: \"rubbish\") { userErrors { code } }";
    let cart = "cartCreate { cart { id } }";
    vec![
        single_post(aliased_fields(200, "mutation", order)),
        single_post(aliased_fields(600, "mutation", |_| reset.into())),
        single_post(aliased_fields(600, "mutation", |_| cart.into())),
        single_post(aliased_fields(11, "mutation", |_| login.into())),
        repeated_post(50, format!("mutation {{ {refresh} }}")),
        repeated_post(20, format!("mutation {{ {reset} }}")),
        Attack::HangUp { document: format!("mutation {{ {login} }}"), count: 80 },
        Attack::HangUp { document: format!("mutation {{ {reset} }}"), count: 80 },
        Attack::HangUp { document: format!("mutation {{ {cart} }}"), count: 200 },
    ]
}

fn half_open_connections() -> Vec<Attack> {
    vec![
        Attack::HalfOpen { text: "POST /gra", count: 100 },
        Attack::HalfOpen { text: "", count: 50 },
        Attack::HalfOpen {
            text: "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n{",
            count: 50,
        },
    ]
}

/// Executes one attack. Responses and connections closed by the server are both accepted.
async fn send_attack(address: String, attack: Attack) -> Vec<TcpStream> {
    match attack {
        Attack::Post { document, variables, count: times } => {
            let client = reqwest::Client::new();
            let body = json!({ "query": document, "variables": variables }).to_string();
            for _ in 0..times {
                let request = client.post(format!("http://{address}/graphql")).body(body.clone());
                let request = request.header("content-type", "application/json");
                // A connection closed by the server is checked below with a new request.
                if let Ok(response) = request.send().await {
                    assert_ne!(response.status().as_u16(), 500, "{}", response.text().await.unwrap_or_default());
                }
            }
        }
        Attack::Get { document } => {
            let mut url = reqwest::Url::parse(&format!("http://{address}/graphql")).expect("an address");
            url.query_pairs_mut().append_pair("query", &document);
            let _ = reqwest::get(url).await;
        }
        Attack::HangUp { document, count: times } => {
            let body = json!({ "query": document }).to_string();
            let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
            let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            for _ in 0..times {
                if let Ok(mut stream) = TcpStream::connect(&address).await {
                    let _ = stream.write_all(request.as_bytes()).await;
                }
            }
        }
        Attack::HalfOpen { text, count: times } => {
            let mut open_streams = Vec::new();
            for _ in 0..times {
                if let Ok(mut stream) = TcpStream::connect(&address).await {
                    let _ = stream.write_all(text.as_bytes()).await;
                    open_streams.push(stream);
                }
            }
            return open_streams;
        }
    }
    Vec::new()
}

/// Returns a value of `/proc/<pid>/status` in bytes: `VmHWM` is the peak resident memory, `RssFile` the resident file
/// pages. `None` on systems without it.
fn read_process_memory(server: &RunningProcess, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok().map(|kilobytes: u64| kilobytes << 10)
}

async fn server_under_anonymous_attack_answers_in_bounded_memory(backend: Backend) {
    let database = TestDatabase::create_empty(backend).await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", database.url())]);
    let server = sandbox.start_server(&[]).await;
    let open_streams = half_open_connections()
        .into_iter()
        .map(|attack| send_attack(server.address.clone(), attack))
        .collect::<JoinSet<_>>()
        .join_all()
        .await;

    let groups = [deep_literals(), large_documents(), expensive_queries(), anonymous_writes()];
    let mut attacks = groups.into_iter().flatten().collect::<Vec<_>>().into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < CLIENTS
            && let Some(attack) = attacks.next()
        {
            running.spawn(send_attack(server.address.clone(), attack));
        }
        let Some(joined) = running.join_next().await else { break };
        joined.expect("an attack that was sent to its end");
        let alive = reqwest::get(format!("http://{}/health/live", server.address)).await.expect("an answer");
        assert_eq!(alive.status().as_u16(), 200);
    }
    drop(open_streams);

    let response = server.query("{ products(first: 1) { nodes { name } } }").await;
    assert!(response["data"]["products"]["nodes"][0]["name"].is_string(), "{response}");
    assert!(!server.stderr().contains("panicked"), "{}", server.stderr());
    // Pages of the executable are excluded: a debug build has many times those of a release build.
    if let (Some(peak_memory), Some(file)) =
        (read_process_memory(&server, "VmHWM"), read_process_memory(&server, "RssFile"))
    {
        let peak_memory = peak_memory.saturating_sub(file);
        println!("{} held at most {} MB, and {} MB of its file", backend.name(), peak_memory >> 20, file >> 20);
        assert!(peak_memory < MEMORY_LIMIT, "{} MB", peak_memory >> 20);
    }
    server.send_signal("TERM");
    let joined = server.wait_for_exit().await;
    assert_eq!(joined.exit_code, Some(0), "{joined:?}");
}
