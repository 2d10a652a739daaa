//! The real binary under everything that an anonymous client can send: it keeps running, answers, and stays small.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{
    shop::{Backend, Own, Running, Workplace},
    stories,
};

stories![server_under_anonymous_attack_keeps_answering_in_bounded_memory];

/// The most that the process may ever hold in memory. Bytes. Measured from outside, by the kernel.
const MEMORY_LIMIT: u64 = 150 << 20;
/// Clients that send at the same time.
const CLIENTS: usize = 16;

/// One way to send a request.
#[derive(Clone)]
enum Attack {
    /// A document, and how often it is sent.
    Post { document: String, variables: Value, times: usize },
    /// A document in the address.
    Get { document: String },
    /// A request whose client closes the connection without reading the answer.
    HangUp { document: String, times: usize },
    /// The beginning of a request that never goes on; the connection is kept.
    HalfOpen { text: &'static str, times: usize },
}

fn post(document: impl Into<String>) -> Attack {
    repeat(1, document)
}

fn repeat(times: usize, document: impl Into<String>) -> Attack {
    Attack::Post { document: document.into(), variables: json!({}), times }
}

/// `count` copies of a field under aliases of their own, in braces.
fn aliases(count: usize, keyword: &str, field: impl Fn(usize) -> String) -> String {
    let mut document = format!("{keyword} {{");
    for number in 0..count {
        let _ = write!(document, " a{number}: {}", field(number));
    }
    document + " }"
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Literals nested in every position of a document.
fn deep_literals() -> Vec<Attack> {
    let lists = nested(2_000);
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
    let by_address = format!("{{ a(b: {}) {{ c }} }}", nested(2_500));
    documents.into_iter().map(post).chain([Attack::Get { document: by_address }]).collect()
}

/// Documents that cost much to read, validate or keep.
fn large_documents() -> Vec<Attack> {
    let mut attacks = vec![
        repeat(6, format!("{{ a(b: [{}]) }}", "[]".repeat(490_000))),
        post(format!("{} {{ __typename }}", "#[[[[\n".repeat(10_000))),
        post(format!("{{ a(b: \"\"\"{}\"\"\") }}", "[".repeat(60_000))),
        post(aliases(2_000, "query", |_| "__typename".into())),
        post(format!("{{ __typename {} }}", "@a ".repeat(10_000))),
    ];
    let mut bomb = String::from("{ ...F0 }");
    for number in 0..40 {
        let _ = write!(bomb, " fragment F{number} on Query {{ ...F{0} ...F{0} }}", number + 1);
    }
    attacks.push(post(bomb + " fragment F40 on Query { __typename }"));
    // Each another text, so that none of them is found in a cache.
    let refused = |number: usize| format!("{{ a{number}(b: [{}]) }}", "[]".repeat(8_000));
    attacks.extend((0..300).map(|number| post(refused(number))));
    let many_products = |number: usize| format!("{{ products(first: 1) {{ {} }} }}", "totalCount ".repeat(number + 1));
    attacks.extend((0..200).map(|number| post(many_products(number))));
    attacks
}

/// Documents that cost the database much.
fn expensive_queries() -> Vec<Attack> {
    let facets = aliases(60, "", |_| "facets { options { name } tags { count } vendors { count } }".into());
    let search = aliases(900, "query", |n| {
        format!("products(first: 0, filter: {{ inStock: true, search: \"lamp{n}\" }}) {{ totalCount }}")
    });
    let names = aliases(80, "", |_| "name".into());
    vec![
        repeat(4, format!("{{ products(first: 0, filter: {{ inStock: true }}) {facets} }}")),
        post(search),
        repeat(10, format!("{{ categories {{ descendants {names} }} }}")),
    ]
}

/// Writes and password hashes that anybody may ask for.
fn anonymous_writes() -> Vec<Attack> {
    let order = |number: usize| {
        format!(
            "orderCreate(input: {{ items: [{{ variantId: \"x\", quantity: 10000 }}], idempotencyKey: \"k{number}\", \
             email: \"victim{number}@example.com\", phone: \"+447911100{number:03}\" }}) {{ userErrors {{ code }} }}"
        )
    };
    let reset = "passwordReset(token: \"x\", newPassword: \"pppppppp\") { userErrors { code } }";
    let login = "login(input: { email: \"admin@savannah.example\", password: \"wrong password\" }) \
                 { userErrors { code } }";
    let refresh = "tokenRefresh(refreshToken: \"rubbish\") { userErrors { code } }";
    let cart = "cartCreate { cart { id } }";
    vec![
        post(aliases(200, "mutation", order)),
        post(aliases(600, "mutation", |_| reset.into())),
        post(aliases(600, "mutation", |_| cart.into())),
        post(aliases(11, "mutation", |_| login.into())),
        repeat(50, format!("mutation {{ {refresh} }}")),
        repeat(20, format!("mutation {{ {reset} }}")),
        Attack::HangUp { document: format!("mutation {{ {login} }}"), times: 80 },
        Attack::HangUp { document: format!("mutation {{ {reset} }}"), times: 80 },
        Attack::HangUp { document: format!("mutation {{ {cart} }}"), times: 200 },
    ]
}

fn half_open_connections() -> Vec<Attack> {
    vec![
        Attack::HalfOpen { text: "POST /gra", times: 100 },
        Attack::HalfOpen { text: "", times: 50 },
        Attack::HalfOpen {
            text: "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n{",
            times: 50,
        },
    ]
}

/// Sends one attack. Whatever comes back is an answer, or a connection that the server has closed.
async fn send(address: String, attack: Attack) -> Vec<TcpStream> {
    match attack {
        Attack::Post { document, variables, times } => {
            let client = reqwest::Client::new();
            let body = json!({ "query": document, "variables": variables }).to_string();
            for _ in 0..times {
                let request = client.post(format!("http://{address}/graphql")).body(body.clone());
                let request = request.header("content-type", "application/json");
                // A server that ends the connection is answered by asking it again, below.
                if let Ok(answer) = request.send().await {
                    assert_ne!(answer.status().as_u16(), 500, "{}", answer.text().await.unwrap_or_default());
                }
            }
        }
        Attack::Get { document } => {
            let mut url = reqwest::Url::parse(&format!("http://{address}/graphql")).expect("an address");
            url.query_pairs_mut().append_pair("query", &document);
            let _ = reqwest::get(url).await;
        }
        Attack::HangUp { document, times } => {
            let body = json!({ "query": document }).to_string();
            let head = "POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
            let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            for _ in 0..times {
                if let Ok(mut stream) = TcpStream::connect(&address).await {
                    let _ = stream.write_all(request.as_bytes()).await;
                }
            }
        }
        Attack::HalfOpen { text, times } => {
            let mut kept = Vec::new();
            for _ in 0..times {
                if let Ok(mut stream) = TcpStream::connect(&address).await {
                    let _ = stream.write_all(text.as_bytes()).await;
                    kept.push(stream);
                }
            }
            return kept;
        }
    }
    Vec::new()
}

/// A value of the kernel's account of a process: `VmHWM`, the most memory it ever held; `RssFile`, what of it are pages of
/// files now. Bytes; none where there is no such account.
fn memory(server: &Running, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok().map(|kilobytes: u64| kilobytes << 10)
}

async fn server_under_anonymous_attack_keeps_answering_in_bounded_memory(backend: Backend) {
    let database = Own::empty(backend).await;
    let place = Workplace::new(&[("DATABASE_URL", database.url())]);
    let server = place.open(&[]).await;
    let kept = half_open_connections()
        .into_iter()
        .map(|attack| send(server.address.clone(), attack))
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
            running.spawn(send(server.address.clone(), attack));
        }
        let Some(ended) = running.join_next().await else { break };
        ended.expect("an attack that was sent to its end");
        let alive = reqwest::get(format!("http://{}/health/live", server.address)).await.expect("an answer");
        assert_eq!(alive.status().as_u16(), 200);
    }
    drop(kept);

    let answer = server.ask("{ products(first: 1) { nodes { name } } }").await;
    assert!(answer["data"]["products"]["nodes"][0]["name"].is_string(), "{answer}");
    assert!(!server.err().contains("panicked"), "{}", server.err());
    // The pages of the program's own file are not counted: a build for debugging has many times those of a release.
    if let (Some(most), Some(file)) = (memory(&server, "VmHWM"), memory(&server, "RssFile")) {
        let most = most.saturating_sub(file);
        println!("{} held at most {} MB, and {} MB of its file", backend.name(), most >> 20, file >> 20);
        assert!(most < MEMORY_LIMIT, "{} MB", most >> 20);
    }
    server.signal("TERM");
    let ended = server.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
