//! Crash recovery: processes are killed at random times; every acknowledged order exists once, with all its effects.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use savannah::infra::Db;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    integration_tests,
    support::{
        AcknowledgedOrder, Backend, ExitedProcess, LoadScenario, RunningProcess, assert_invariants,
        assert_jobs_finished_and_catalog_consistent, assert_no_rows, assert_order_notifications, line_inputs,
        query_scalar, shipping_address,
    },
};

integration_tests![
    orders_survive_twenty_kills_exactly_once,
    killed_instance_is_replaced_by_the_other,
    shutdown_under_load_answers_accepted_requests,
];

const KILL_COUNT: u64 = 20;
const CLIENT_COUNT: usize = 6;
const SERVE_ARGS: [&str; 2] = ["serve", "--no-demo"];
const SERVE_WITHOUT_WORKER_ARGS: [&str; 3] = ["serve", "--no-demo", "--no-worker"];
/// Timeout for any step on a slow machine.
const WAIT_TIMEOUT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Random number generator; set `CRASH_SEED` to the printed seed to reproduce a run.
struct CrashRng(u64);

impl CrashRng {
    fn new(test_case: &str) -> Self {
        let configured_seed = std::env::var("CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = configured_seed.unwrap_or_else(|| RandomState::new().hash_one(test_case));
        eprintln!("{test_case}: CRASH_SEED={seed}");
        Self(seed)
    }

    /// Waits a random number of milliseconds before a process is killed.
    async fn pause_between(&mut self, from: u64, to: u64) {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed_rows = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed_rows = (mixed_rows ^ (mixed_rows >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        tokio::time::sleep(Duration::from_millis(from + (mixed_rows ^ (mixed_rows >> 31)) % (to - from))).await;
    }
}

impl LoadScenario {
    /// Waits until all jobs are done, stops the remaining processes and asserts consistency.
    async fn assert_consistent(self, acknowledged_orders: &[AcknowledgedOrder], running: Vec<RunningProcess>) {
        let db = self.database.connect().await;
        wait_for_scalar(
            &db,
            "SELECT (SELECT count(*) FROM outbox_event WHERE dispatched_at IS NULL) + \
            (SELECT count(*) FROM job WHERE status IN ('pending', 'running'))",
            |remaining| remaining == 0,
        )
        .await;
        db.close().await;
        for process in running {
            process.send_signal("TERM");
            let exited = process.wait_for_exit().await;
            assert_eq!(exited.exit_code, Some(0), "{exited:?}");
            assert_no_errors_logged(&exited);
        }
        let db = self.database.connect().await;
        let expected_files = expected_message_files(&db).await;
        eprintln!("{} orders, {} messages", acknowledged_orders.len(), expected_files.len());
        assert_eq!(query_orders(&db).await, acknowledged_orders);
        assert_no_rows(&db, &CRASH_INVARIANT_VIOLATIONS).await;
        assert_invariants(&db).await;
        assert_jobs_finished_and_catalog_consistent(&db).await;
        assert_order_notifications(&db).await;
        assert_eq!(self.sent_message_files(), expected_files);
        db.close().await;
    }

    /// Returns the file names of the message folder.
    fn sent_message_files(&self) -> BTreeSet<String> {
        let files = std::fs::read_dir(self.sandbox.path().join("dev/outbox")).expect("a folder");
        files.map(|file| file.expect("a file").file_name().into_string().expect("a name")).collect()
    }
}

/// Crash-specific invariant violations, besides those of every test.
const CRASH_INVARIANT_VIOLATIONS: [(&str, &str); 4] = [
    (
        "orders whose payment status does not tell the captured money",
        "orders AS o WHERE (SELECT COALESCE(SUM(p.captured - p.refunded), 0) FROM payment AS p WHERE p.order_id = o.id) \
         <> CASE WHEN o.payment_status = 'paid' THEN o.total ELSE 0 END",
    ),
    (
        "orders that are not one request's",
        "orders AS o WHERE 1 <> (SELECT count(*) FROM idempotency_key AS i \
         WHERE i.resource_id = o.id AND i.key || '@example.com' = o.email)",
    ),
    (
        "orders that are not sent in one parcel",
        "orders AS o WHERE (SELECT count(*) FROM fulfillment AS f WHERE f.order_id = o.id) <> \
         CASE WHEN o.status IN ('shipped', 'delivered') THEN 1 ELSE 0 END",
    ),
    ("unfinished deliveries", "job WHERE event_id IS NOT NULL AND status <> 'done'"),
];

/// Returns all orders as acknowledged to their buyers.
async fn query_orders(db: &Db) -> Vec<AcknowledgedOrder> {
    // The statuses as the schema spells them.
    let sql = "SELECT replace(email, '@example.com', '') AS key, number, \
        CASE status WHEN 'canceled' THEN 'CANCELED' ELSE upper(status) END AS status FROM orders";
    let rows = db.writer_connection().query_all_raw(Statement::from_string(db.backend(), sql)).await.expect("rows");
    let text = |row: &sea_orm::QueryResult, name: &str| row.try_get::<String>("", name).expect("text");
    let mut all: Vec<_> = rows
        .iter()
        .map(|row| AcknowledgedOrder {
            idempotency_key: text(row, "key"),
            number: text(row, "number"),
            status: text(row, "status"),
        })
        .collect();
    all.sort_unstable();
    let keys: HashSet<_> = all.iter().map(|order| &order.idempotency_key).collect();
    assert_eq!(keys.len(), all.len(), "a request became two orders");
    all
}

/// Returns the expected file names of all messages.
async fn expected_message_files(db: &Db) -> BTreeSet<String> {
    let sql = "SELECT id, channel FROM notification";
    let rows = db.writer_connection().query_all_raw(Statement::from_string(db.backend(), sql)).await.expect("rows");
    let file = |row: &sea_orm::QueryResult| {
        let (id, channel): (i64, String) =
            (row.try_get("", "id").expect("a key"), row.try_get("", "channel").expect("text"));
        format!("{id}.0.{}", if channel == "sms" { "txt" } else { "eml" })
    };
    rows.iter().map(file).collect()
}

/// Asserts that no errors were logged.
fn assert_no_errors_logged(exited: &ExitedProcess) {
    for line in exited.stderr.lines() {
        assert!(!line.contains("panicked") && !line.contains("\"level\":\"ERROR\""), "{line}");
    }
}

async fn kill_server(server: RunningProcess) {
    server.send_signal("KILL");
    let exited = server.wait_for_exit().await;
    assert_eq!(exited.exit_code, None, "{exited:?}");
    assert_no_errors_logged(&exited);
}

/// Waits until a query returns the expected value.
async fn wait_for_scalar(db: &Db, sql: &str, is_done: impl Fn(i64) -> bool) {
    let started_at = Instant::now();
    loop {
        let value = query_scalar(db, sql).await;
        if is_done(value) {
            return;
        }
        assert!(started_at.elapsed() < WAIT_TIMEOUT, "{value}: {sql}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn orders_survive_twenty_kills_exactly_once(backend: Backend) {
    let scenario = LoadScenario::prepare(backend).await;
    let mut rng = CrashRng::new(&format!("twenty kills on {}", backend.name()));
    let mut server = scenario.sandbox.start_server_with_args(&SERVE_ARGS, &[]).await;
    let mut clients = scenario.start_clients(&server, CLIENT_COUNT).await;
    for kill in 1..=KILL_COUNT {
        clients.add_endpoint(0, &server);
        rng.pause_between(50, 400).await;
        kill_server(server).await;
        clients.remove_endpoint(0);
        if kill % 5 == 0 {
            // This process is killed before the first order.
            let server = scenario.sandbox.start_command(&SERVE_ARGS);
            rng.pause_between(0, 300).await;
            kill_server(server).await;
        }
        server = scenario.sandbox.start_server_with_args(&SERVE_ARGS, &[]).await;
    }
    clients.add_endpoint(0, &server);
    clients.wait_for_orders(6).await;
    let acknowledged_orders = clients.stop_and_collect().await;
    scenario.assert_consistent(&acknowledged_orders, vec![server]).await;
}

async fn killed_instance_is_replaced_by_the_other(backend: Backend) {
    const KILL_ROUNDS: usize = 4;
    // SQLite supports a single process.
    if backend == Backend::Sqlite {
        return;
    }
    let scenario = LoadScenario::prepare(backend).await;
    let db = scenario.database.connect().await;
    let mut rng = CrashRng::new("one of two");
    let open = || scenario.sandbox.start_server_with_args(&SERVE_WITHOUT_WORKER_ARGS, &[]);
    let work = async || {
        let worker = scenario.sandbox.start_command(&["worker"]);
        worker.wait_for_log("has started processing jobs").await;
        worker
    };
    let (mut servers, mut workers) = (vec![open().await, open().await], vec![work().await, work().await]);
    let mut clients = scenario.start_clients(&servers[0], CLIENT_COUNT).await;
    clients.add_endpoint(0, &servers[0]);
    clients.add_endpoint(1, &servers[1]);
    let (mut round, mut remaining) = (0, 0);
    while round < KILL_ROUNDS || remaining == 0 {
        assert!(round < KILL_ROUNDS * 5, "no worker had anything to do when it died");
        let index = round % 2;
        round += 1;
        clients.wait_for_orders(4).await;
        rng.pause_between(0, 300).await;
        kill_server(servers.remove(index)).await;
        clients.remove_endpoint(index);
        rng.pause_between(0, 200).await;
        let worker = workers.remove(index);
        let running_jobs_sql =
            format!("SELECT count(*) FROM job WHERE status = 'running' AND locked_by LIKE '{}-%'", worker.process_id());
        kill_server(worker).await;
        remaining += query_scalar(&db, &running_jobs_sql).await;
        // The other workers continue, including jobs that the killed worker had started.
        let done_count_sql = "SELECT count(*) FROM job WHERE status = 'done'";
        let before = query_scalar(&db, done_count_sql).await;
        clients.wait_for_orders(4).await;
        // Jobs run in the order of their due time: the clients pause, so that those of the killed worker, due again when
        // their lease has expired, do not wait for ever more new ones.
        clients.remove_endpoint(1 - index);
        wait_for_scalar(&db, &running_jobs_sql, |remaining| remaining == 0).await;
        wait_for_scalar(&db, done_count_sql, |now| now > before).await;
        clients.add_endpoint(1 - index, &servers[0]);
        // After the last round no process is restarted.
        if round < KILL_ROUNDS || remaining == 0 {
            servers.insert(index, open().await);
            clients.add_endpoint(index, &servers[index]);
            workers.insert(index, work().await);
        }
    }
    let acknowledged_orders = clients.stop_and_collect().await;
    db.close().await;
    servers.append(&mut workers);
    scenario.assert_consistent(&acknowledged_orders, servers).await;
}

async fn shutdown_under_load_answers_accepted_requests(backend: Backend) {
    const PENDING_REQUESTS: usize = 8;
    let scenario = LoadScenario::prepare(backend).await;
    let server = scenario.sandbox.start_server_with_args(&SERVE_ARGS, &[]).await;
    let mut clients = scenario.start_clients(&server, CLIENT_COUNT).await;
    clients.add_endpoint(0, &server);
    clients.wait_for_orders(12).await;
    // Requests whose heads were read are accepted.
    let mut accepted = Vec::new();
    for n in 0..PENDING_REQUESTS {
        let key = format!("late-{n}");
        let input = json!({ "paymentMethodId": "cash_on_delivery", "idempotencyKey": key, "email": format!("{key}@example.com"), "shippingAddress": shipping_address(),
            "lines": line_inputs(&scenario.catalog.choose_items(n * 5 + 1)) });
        let query = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) { order { number status } } }";
        let body = json!({ "query": query, "variables": { "input": input } }).to_string();
        accepted.push((key, PendingRequest::send_head(&server.address, body).await));
    }
    server.send_signal("TERM");
    clients.remove_endpoint(0);
    server.wait_for_log("waiting for running requests").await;
    let mut late_orders = Vec::new();
    for (key, pending) in accepted {
        let response = pending.complete().await;
        let text = |name: &str| response["data"]["orderCreate"]["order"][name].as_str().expect("an order").to_owned();
        late_orders.push(AcknowledgedOrder { idempotency_key: key, number: text("number"), status: text("status") });
    }
    let exited = server.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    assert_no_errors_logged(&exited);
    assert!(!exited.stderr.contains("did not finish in time"), "{exited:?}");
    let db = scenario.database.connect().await;
    assert_eq!(
        query_scalar(&db, "SELECT count(*) FROM job WHERE status = 'running'").await,
        0,
        "orphaned running jobs"
    );
    assert_invariants(&db).await;
    db.close().await;
    let server = scenario.sandbox.start_server_with_args(&SERVE_ARGS, &[]).await;
    clients.add_endpoint(0, &server);
    clients.wait_for_orders(6).await;
    let mut acknowledged_orders = clients.stop_and_collect().await;
    acknowledged_orders.extend(late_orders);
    acknowledged_orders.sort_unstable();
    scenario.assert_consistent(&acknowledged_orders, vec![server]).await;
}

/// Request whose head was sent.
struct PendingRequest {
    stream: TcpStream,
    body: String,
}

impl PendingRequest {
    async fn send_head(address: &str, body: String) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n";
        let head = format!("{head}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut continue_head = [0; 25];
        stream.read_exact(&mut continue_head).await.expect("100 Continue");
        assert_eq!(String::from_utf8_lossy(&continue_head), "HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, body }
    }

    async fn complete(mut self) -> Value {
        self.stream.write_all(self.body.as_bytes()).await.expect("sent");
        let mut response = String::new();
        self.stream.read_to_string(&mut response).await.expect("an answer");
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{response}");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {response}"))
    }
}
