//! Webhooks under failures: endpoints that fail at random, hang, and workers that are killed.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use savannah::{
    identity::events::CustomerUpdated,
    infra::{Config, Db, jobs::Worker},
};
use tokio_util::sync::CancellationToken;

use crate::{
    integration_tests,
    support::{
        ALLOW_PRIVATE_ADDRESSES, Backend, CliSandbox, ReceivedWebhook, ReceiverResponse, TestApp, TestDatabase,
        WebhookReceiver, query_scalar, register_endpoint,
    },
};

integration_tests![
    events_arrive_in_order_at_an_endpoint_that_fails_at_random_across_kills,
    hanging_endpoints_do_not_delay_others,
    failing_endpoints_do_not_occupy_all_slots,
];

const WAIT_TIMEOUT: Duration = Duration::from_mins(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const PENDING_SQL: &str = "SELECT count(*) FROM webhook_delivery WHERE status <> 'delivered'";
/// Number of events and of the objects that they are about. `SAVANNAH_TEST_WEBHOOK_EVENTS` sets another number of events.
const EVENT_COUNT: usize = 300;
const OBJECT_COUNT: i64 = 20;
/// Number of times that the server is killed.
const KILL_COUNT: usize = 4;

fn event_count() -> usize {
    read_number("SAVANNAH_TEST_WEBHOOK_EVENTS").unwrap_or(EVENT_COUNT)
}

/// Waits until a condition holds.
async fn wait_until(what: &str, mut is_done: impl FnMut() -> bool) {
    let started_at = Instant::now();
    while !is_done() {
        assert!(started_at.elapsed() < WAIT_TIMEOUT, "timeout: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Waits until a query returns a number.
async fn wait_for_scalar(db: &Db, sql: &str, expected: i64) {
    let started_at = Instant::now();
    while query_scalar(db, sql).await != expected {
        assert!(started_at.elapsed() < WAIT_TIMEOUT, "{} instead of {expected}: {sql}", query_scalar(db, sql).await);
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Asserts that every event was accepted, and those of an object in order when each was accepted for the first time.
fn assert_complete_and_in_order(received: &[ReceivedWebhook], event_count: usize) {
    let mut seen = HashSet::new();
    let mut last_sequences: BTreeMap<String, i64> = BTreeMap::new();
    for webhook in received.iter().filter(|webhook| webhook.accepted) {
        let (object, sequence) = webhook.sequence();
        if seen.insert((object.clone(), sequence)) {
            let last = last_sequences.insert(object.clone(), sequence).unwrap_or_default();
            assert_eq!(sequence, last + 1, "{object}");
        }
    }
    assert_eq!(seen.len(), event_count);
}

async fn events_arrive_in_order_at_an_endpoint_that_fails_at_random_across_kills(backend: Backend) {
    let event_count = event_count();
    let database = TestDatabase::create_migrated(backend).await;
    let receiver = WebhookReceiver::start().await;
    let variables = [ALLOW_PRIVATE_ADDRESSES, ("DATABASE_URL", database.url())];
    let variables: Vec<_> = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let config = Config::load_from(Path::new("/nowhere"), variables.into_iter()).expect("settings");
    let db = database.connect().await;
    register_endpoint(&db, &config, &receiver.url, &["customer.updated"]).await;
    let events: Vec<_> = (0..event_count)
        .map(|index| CustomerUpdated { customer: 1 + i64::try_from(index).expect("a number") % OBJECT_COUNT })
        .collect();
    db.write(async |tx| tx.emit_events(&events).await).await.expect("stored events");
    db.close().await;
    let request_count = AtomicU64::new(0);
    receiver.respond_with(move |webhook| {
        let mut hasher = DefaultHasher::new();
        (request_count.fetch_add(1, Ordering::SeqCst), &webhook.id).hash(&mut hasher);
        ReceiverResponse::Status(
            [200, 200, 200, 500, 503, 404][usize::try_from(hasher.finish() % 6).expect("an index")],
        )
    });
    let sandbox = CliSandbox::new(&[
        ("DATABASE_URL", database.url()),
        ALLOW_PRIVATE_ADDRESSES,
        ("SAVANNAH_JOBS__LEASE_DURATION", "3s"),
        ("SAVANNAH_WEBHOOKS__BACKOFF", "0s"),
    ]);
    let started_at = Instant::now();
    for kill in 1..=KILL_COUNT {
        let worker = sandbox.start_command(&["worker"]);
        wait_until("a part of the events", || receiver.accepted_event_count() >= event_count * kill / (KILL_COUNT + 2))
            .await;
        worker.send_signal("KILL");
        worker.wait_for_exit().await;
    }
    let worker = sandbox.start_command(&["worker"]);
    wait_until("all events", || receiver.accepted_event_count() == event_count).await;
    let db = database.connect().await;
    wait_for_scalar(&db, PENDING_SQL, 0).await;
    worker.send_signal("TERM");
    worker.wait_for_exit().await;
    let received = receiver.received();
    eprintln!(
        "{event_count} events on {}: {} requests, {} accepted, {} s",
        backend.name(),
        received.len(),
        received.iter().filter(|webhook| webhook.accepted).count(),
        started_at.elapsed().as_secs()
    );
    assert_complete_and_in_order(&received, event_count);
    let total = "SELECT count(*) FROM webhook_delivery";
    assert_eq!(query_scalar(&db, total).await, i64::try_from(event_count).expect("a number"));
    db.close().await;
}

/// Runs a worker until the returned guard is dropped.
async fn start_worker(app: &TestApp) -> tokio_util::sync::DropGuard {
    let worker = Worker::create(app.job_context(), Arc::clone(&app.job_registry)).await;
    let worker = Arc::new(worker.unwrap_or_else(|error| panic!("no worker: {}", error.log_message())));
    let shutdown = CancellationToken::new();
    let guard = shutdown.clone().drop_guard();
    tokio::spawn(async move { worker.run(&shutdown, Duration::ZERO).await });
    guard
}

fn read_number(variable: &str) -> Option<usize> {
    std::env::var(variable).ok().and_then(|count| count.parse().ok())
}

/// Endpoints of which a part hangs, and slots. `SAVANNAH_TEST_WEBHOOK_ENDPOINTS` sets another number of endpoints, of which
/// `SAVANNAH_TEST_WEBHOOK_HANGING` hang, with `SAVANNAH_TEST_WEBHOOK_CONCURRENCY` slots and one event for each round.
struct HangingScenario {
    hanging_count: usize,
    healthy_count: usize,
    concurrency: String,
    events_per_round: i64,
}

impl HangingScenario {
    fn from_environment() -> Self {
        let hanging_count = read_number("SAVANNAH_TEST_WEBHOOK_HANGING");
        match read_number("SAVANNAH_TEST_WEBHOOK_ENDPOINTS") {
            Some(count) => {
                let hanging_count = hanging_count.unwrap_or(count / 10);
                let healthy_count = count - hanging_count;
                let concurrency = read_number("SAVANNAH_TEST_WEBHOOK_CONCURRENCY").unwrap_or(256).to_string();
                Self { hanging_count, healthy_count, concurrency, events_per_round: 1 }
            }
            // More objects than an endpoint gets requests at the same time.
            None => Self { hanging_count: 10, healthy_count: 5, concurrency: "11".into(), events_per_round: 20 },
        }
    }
}

/// The hanging endpoints answer nothing before the test ends: whatever waited for them would not arrive.
async fn hanging_endpoints_do_not_delay_others(backend: Backend) {
    const ROUNDS: i64 = 5;
    let scenario = HangingScenario::from_environment();
    let HangingScenario { hanging_count, healthy_count, concurrency, events_per_round } = scenario;
    let settings = [
        ALLOW_PRIVATE_ADDRESSES,
        ("SAVANNAH_WEBHOOKS__TIMEOUT", "1m"),
        ("SAVANNAH_WEBHOOKS__CONCURRENCY", concurrency.as_str()),
    ];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let receiver = WebhookReceiver::start().await;
    receiver.respond_with(|webhook| match webhook.path.as_str() {
        "/hanging" => ReceiverResponse::Hang,
        _ => ReceiverResponse::Status(200),
    });
    let paths = std::iter::repeat_n("hanging", hanging_count).chain(std::iter::repeat_n("healthy", healthy_count));
    for path in paths {
        app.register_endpoint(&format!("{}/{path}", receiver.url), &["customer.updated"]).await;
    }
    let worker = start_worker(&app).await;
    for round in 1..=ROUNDS {
        let events: Vec<_> =
            (0..events_per_round).map(|index| CustomerUpdated { customer: round * 100 + index }).collect();
        let emitted_at = Instant::now();
        app.emit_events(&events).await;
        let expected = usize::try_from(round * events_per_round).expect("a number") * healthy_count;
        wait_until("the events of the healthy endpoints", || receiver.request_count("/healthy") == expected).await;
        let received = receiver.received().into_iter().filter(|webhook| webhook.path == "/healthy");
        let mut lags: Vec<_> =
            received.filter_map(|webhook| webhook.received_at.checked_duration_since(emitted_at)).collect();
        lags.sort_unstable();
        let [median, max] = [lags.len() / 2, lags.len() - 1].map(|index| lags[index]);
        eprintln!(
            "{healthy_count} endpoints beside {hanging_count} hanging ones on {}, round {round}: p50 {median:?}, max {max:?}",
            backend.name()
        );
    }
    // Those of the hanging endpoints stay.
    let pending = events_per_round * ROUNDS * i64::try_from(hanging_count).expect("a number");
    wait_for_scalar(&app.db, PENDING_SQL, pending).await;
    assert!(receiver.request_count("/hanging") <= hanging_count * 8, "requests to an endpoint are limited");
    drop(worker);
}

async fn failing_endpoints_do_not_occupy_all_slots(backend: Backend) {
    const FAILING_COUNT: usize = 6;
    let settings = [
        ALLOW_PRIVATE_ADDRESSES,
        ("SAVANNAH_WEBHOOKS__TIMEOUT", "1m"),
        ("SAVANNAH_WEBHOOKS__CONCURRENCY", "3"),
        ("SAVANNAH_WEBHOOKS__FAILING_CONCURRENCY", "2"),
    ];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let receiver = WebhookReceiver::start().await;
    receiver.respond_with(|webhook| match webhook.path.as_str() {
        "/failing" => ReceiverResponse::Hang,
        _ => ReceiverResponse::Status(200),
    });
    for _ in 0..FAILING_COUNT {
        app.register_endpoint(&format!("{}/failing", receiver.url), &["customer.updated"]).await;
    }
    app.execute_sql("UPDATE webhook_endpoint SET failure_count = 1, failing_since = created_at")
        .await
        .expect("failures");
    app.register_endpoint(&format!("{}/healthy", receiver.url), &["customer.updated"]).await;
    let worker = start_worker(&app).await;
    for customer in 1..=3 {
        app.emit_events(&[CustomerUpdated { customer }]).await;
        wait_until("the event of the healthy endpoint", || {
            receiver.request_count("/healthy") == usize::try_from(customer).expect("a number")
        })
        .await;
    }
    assert!(receiver.request_count("/failing") <= 2);
    drop(worker);
}
