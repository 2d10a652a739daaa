//! Three instances behind nginx under load, of which one is killed and one is upgraded: no order is lost or placed
//! twice, and nothing is refused except what the killed instance was working on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    integration_tests,
    support::{
        Backend, CliSandbox, LoadCatalog, NginxProcess, RunningProcess, TestDatabase, assert_invariants, has_nginx,
        has_shared_redis, line_inputs, query_path, query_scalar, shared_redis_url, shipping_address,
    },
};

integration_tests![
    ; needs(has_nginx_and_redis):
    killed_and_upgraded_instances_lose_nothing,
];

const BUYER_COUNT: usize = 6;
const READER_COUNT: usize = 3;
/// Orders before, between and after the kill and the upgrade.
const ORDERS_PER_PHASE: usize = 40;
const WAIT_LIMIT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const SERVE: [&str; 3] = ["serve", "--no-demo", "--no-worker"];
const PLACE_ORDER: &str = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) { order { id number } userErrors { code message } } }";

fn has_nginx_and_redis() -> bool {
    has_nginx() && has_shared_redis()
}

/// What buyers and readers have done so far.
#[derive(Default)]
struct Progress {
    /// The id of the order of each idempotency key.
    orders: Mutex<BTreeMap<String, String>>,
    /// Requests to place an order that were not answered, and were repeated.
    refused_orders: AtomicUsize,
    reads: AtomicUsize,
    is_done: AtomicBool,
}

impl Progress {
    fn order_count(&self) -> usize {
        self.orders.lock().expect("orders").len()
    }

    fn refused_count(&self) -> usize {
        self.refused_orders.load(Ordering::SeqCst)
    }

    /// Waits until this many more orders are placed, and as many reads answered.
    async fn wait_for_more(&self, count: usize, clients: &mut JoinSet<()>) {
        let (orders, reads) = (self.order_count() + count, self.reads.load(Ordering::SeqCst) + count);
        let started_at = Instant::now();
        while self.order_count() < orders || self.reads.load(Ordering::SeqCst) < reads {
            if let Some(ended) = clients.try_join_next() {
                panic!("a client ended: {ended:?}");
            }
            assert!(started_at.elapsed() < WAIT_LIMIT, "the clients make no progress");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// Sends a request to place an order until it is answered. Returns the id of the order.
async fn place_order(client: &Client, url: &str, input: &Value, progress: &Progress) -> String {
    let body = json!({ "query": PLACE_ORDER, "variables": { "input": input } });
    let started_at = Instant::now();
    loop {
        let response = client.post(url).json(&body).send().await;
        if let Ok(response) = response
            && response.status() == 200
            && let Ok(body) = response.json::<Value>().await
        {
            let id = body.pointer("/data/orderCreate/order/id").and_then(Value::as_str);
            return id.unwrap_or_else(|| panic!("the order was rejected: {body}")).to_owned();
        }
        progress.refused_orders.fetch_add(1, Ordering::SeqCst);
        assert!(started_at.elapsed() < WAIT_LIMIT, "no instance answers");
    }
}

fn order_input(key: &str, catalog: &LoadCatalog, number: usize) -> Value {
    let items = catalog.choose_items(number * 5 + 1);
    json!({ "lines": line_inputs(&items), "paymentMethodId": "cash_on_delivery", "idempotencyKey": key,
        "email": format!("{key}@example.com"), "shippingAddress": shipping_address() })
}

async fn buy(buyer: usize, catalog: LoadCatalog, url: String, progress: Arc<Progress>) {
    let client = Client::new();
    let mut number = 0;
    while !progress.is_done.load(Ordering::SeqCst) {
        number += 1;
        let key = format!("b{buyer}-{number}");
        let id = place_order(&client, &url, &order_input(&key, &catalog, number), &progress).await;
        progress.orders.lock().expect("orders").insert(key, id);
    }
}

/// Reads all the time, each time something that no cache has. A read that is not answered is a failure.
async fn read(reader: usize, url: String, progress: Arc<Progress>) {
    let client = Client::new();
    let mut number = 0;
    while !progress.is_done.load(Ordering::SeqCst) {
        number += 1;
        let path = query_path(&format!("{{ r{reader}x{number}: products(first: 2) {{ nodes {{ name }} }} }}"));
        let response = client.get(format!("{url}{path}")).send().await.expect("a response");
        assert_eq!(response.status(), 200);
        let body: Value = response.json().await.expect("JSON");
        assert!(body.get("errors").is_none(), "{body}");
        progress.reads.fetch_add(1, Ordering::SeqCst);
    }
}

/// Stops an instance and starts a new process at its address.
async fn upgrade(sandbox: &CliSandbox, instance: RunningProcess) -> RunningProcess {
    let address = instance.address.clone();
    instance.send_signal("TERM");
    let exited = instance.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    sandbox.start_server_with_args(&SERVE, &[("BIND_ADDR", &address)]).await
}

async fn killed_and_upgraded_instances_lose_nothing(backend: Backend) {
    let database = TestDatabase::create_migrated(backend).await;
    let redis_url = shared_redis_url().expect("a Redis server");
    let sandbox = CliSandbox::new(&[
        ("DATABASE_URL", database.url()),
        ("REDIS_URL", &redis_url),
        ("SAVANNAH_SERVER__TRUSTED_PROXIES", "1"),
        ("SAVANNAH_SERVER__SHUTDOWN_DELAY", "2s"),
        ("SAVANNAH_DATABASE__MAX_CONNECTIONS", "4"),
        // Processes and clients share few cores.
        ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "30s"),
        ("SAVANNAH_DATABASE__LOCK_TIMEOUT", "30s"),
    ]);
    sandbox.write_file("goods.csv", &LoadCatalog::to_csv());
    let exited = sandbox.run_command(&["import", "products", "goods.csv"], &[]).await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    let worker = sandbox.start_command(&["worker"]);
    let mut instances = Vec::new();
    for _ in 0..3 {
        instances.push(sandbox.start_server_with_args(&SERVE, &[]).await);
    }
    let nginx = NginxProcess::start(&[&instances[0].address, &instances[1].address, &instances[2].address]).await;
    let catalog = {
        let db = database.connect().await;
        let catalog = LoadCatalog::from_database(&db).await.expect("a catalog");
        db.close().await;
        catalog
    };

    let progress = Arc::new(Progress::default());
    let mut clients = JoinSet::new();
    for buyer in 0..BUYER_COUNT {
        clients.spawn(buy(buyer, catalog.clone(), nginx.url("/graphql"), Arc::clone(&progress)));
    }
    for reader in 0..READER_COUNT {
        clients.spawn(read(reader, nginx.url(""), Arc::clone(&progress)));
    }
    progress.wait_for_more(ORDERS_PER_PHASE, &mut clients).await;
    assert_eq!(progress.refused_count(), 0, "all instances are running");

    instances.remove(0).send_signal("KILL");
    progress.wait_for_more(ORDERS_PER_PHASE, &mut clients).await;
    let refused_by_kill = progress.refused_count();
    assert!(refused_by_kill <= BUYER_COUNT, "{refused_by_kill} requests were refused, more than were in progress");

    let upgraded = upgrade(&sandbox, instances.remove(0)).await;
    instances.push(upgraded);
    progress.wait_for_more(ORDERS_PER_PHASE, &mut clients).await;
    assert_eq!(progress.refused_count(), refused_by_kill, "the upgrade refused requests");

    progress.is_done.store(true, Ordering::SeqCst);
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client without failures");
    }
    let orders = progress.orders.lock().expect("orders").clone();
    eprintln!(
        "{} orders and {} reads, {refused_by_kill} orders repeated after the kill",
        orders.len(),
        progress.reads.load(Ordering::SeqCst)
    );
    // The same keys return the same orders, whichever instance answers.
    let client = Client::new();
    for (key, id) in &orders {
        let number = key.split_once('-').and_then(|(_, number)| number.parse().ok()).expect("a number");
        let input = order_input(key, &catalog, number);
        let again = place_order(&client, &nginx.url("/graphql"), &input, &progress).await;
        assert_eq!(&again, id, "{key}");
    }
    for process in instances.into_iter().chain([worker]) {
        process.send_signal("TERM");
        let exited = process.wait_for_exit().await;
        assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    }
    let db = database.connect().await;
    let stored = query_scalar(&db, "SELECT count(*) FROM orders").await;
    assert_eq!(usize::try_from(stored).expect("a count"), orders.len(), "an order was lost or placed twice");
    assert_invariants(&db).await;
    db.close().await;
}
