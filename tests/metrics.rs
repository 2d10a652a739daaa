//! Metrics of real processes: names, values, labels, and what alerts and dashboards need of them.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
};

use libtest_mimic::Trial;
use savannah::{infra::telemetry::names, operations::document_id::sha256_hex};
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::{
    architecture::project_root,
    integration_tests,
    support::{Backend, CliSandbox, MANAGEMENT_ON, RESPONSE_CACHE_ON, Scrape, TestDatabase, report_missing},
    trusted_documents::{SHOP, manifest_of},
};

integration_tests![
    requests_are_counted_by_operation_and_outcome,
    responses_from_memory_are_counted,
    orders_payments_and_stock_are_counted,
    worker_reports_the_state_of_jobs_and_events,
    nothing_is_served_without_a_management_address,
    occupied_management_address_stops_the_start;
    needs(has_promtool): metrics_are_valid_for_prometheus
];

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Vec<String>| {
        Trial::test(format!("metrics::{name}"), move || {
            let violations = run();
            if violations.is_empty() { Ok(()) } else { Err(violations.join("\n").into()) }
        })
    };
    vec![
        trial("alerts_and_dashboard_use_existing_metrics", find_unknown_metrics),
        trial("metrics_and_alerts_are_documented", find_undocumented),
    ]
}

fn read(path: &str) -> String {
    fs::read_to_string(project_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the names of metrics in a text, without the suffixes of histograms.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("savannah_"));
    let histogram = |word: &str| {
        let base = ["_bucket", "_count", "_sum"].into_iter().find_map(|suffix| word.strip_suffix(suffix));
        base.filter(|base| names::ALL.iter().any(|(name, ..)| name == base)).unwrap_or(word).to_owned()
    };
    words.map(histogram).collect()
}

fn find_unknown_metrics() -> Vec<String> {
    let known: BTreeSet<String> = names::ALL.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let files = ["deploy/prometheus/alerts.yml", "deploy/prometheus/alerts_test.yml", "deploy/grafana/savannah.json"];
    let mut violations = Vec::new();
    for file in files {
        let used = metric_names(&read(file));
        assert!(used.len() > 5, "{file}: {used:?}");
        violations.extend(used.difference(&known).map(|name| format!("{file} uses {name}, which does not exist")));
    }
    violations
}

fn find_undocumented() -> Vec<String> {
    let (documentation, runbook) = (read("docs/OBSERVABILITY.md"), read("docs/RUNBOOK.md"));
    let undocumented = names::ALL.iter().filter(|(name, ..)| !documentation.contains(&format!("| `{name}` |")));
    let mut violations: Vec<_> = undocumented.map(|(name, ..)| format!("{name} is not documented")).collect();
    let alerts = read("deploy/prometheus/alerts.yml");
    let alerts: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    let tests = read("deploy/prometheus/alerts_test.yml");
    for alert in alerts {
        if !runbook.contains(&format!("\n## {alert}\n")) {
            violations.push(format!("docs/RUNBOOK.md does not explain {alert}"));
        }
        if !tests.contains(&format!("name: {alert} fires\n"))
            || !tests.contains(&format!("name: {alert} does not fire\n"))
        {
            violations.push(format!("{alert} is not tested"));
        }
    }
    violations
}

async fn requests_are_counted_by_operation_and_outcome(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[MANAGEMENT_ON]).await;
    let server = sandbox.start_server(&[]).await;
    sandbox.write_file("manifest.json", &manifest_of(&[SHOP]));
    let publish = ["operations", "publish", "--app", "ios", "--version", "1", "manifest.json"];
    assert_eq!(sandbox.run_command(&publish, &[("SAVANNAH_MANAGEMENT__BIND", "")]).await.exit_code, Some(0));
    let before = server.scrape().await;

    for _ in 0..3 {
        let response = server.post(&json!({ "documentId": sha256_hex(SHOP) }), &[]).await;
        assert_eq!(response.status(), 200);
    }
    for number in 0..20 {
        server.query(&format!("query Attack{number} {{ products(first: {}) {{ nodes {{ id }} }} }}", number + 1)).await;
    }
    server.query("query Unknown { unknown }").await;
    server.query("{ node(id: \"no id\") { id } }").await;
    let paths = ["/health/live", "/missing"];
    for path in paths {
        reqwest::get(format!("http://{}{path}", server.address)).await.expect("a response");
    }

    let scrape = server.scrape().await;
    let requests = |operation: &str, outcome: &str| {
        let labels = [("operation", operation), ("outcome", outcome)];
        scrape.count(names::REQUESTS, &labels) - before.find_count(names::REQUESTS, &labels).unwrap_or_default()
    };
    assert_eq!((requests("Shop", "ok"), requests("Shop", "rejected"), requests("Shop", "failed")), (3, 0, 0));
    assert_eq!((requests("other", "ok"), requests("other", "rejected"), requests("other", "failed")), (20, 2, 0));
    assert_eq!((requests("http", "ok"), requests("http", "rejected")), (1, 1));
    let operations = scrape.label_values(names::REQUESTS, "operation");
    assert_eq!(operations, ["Shop", "http", "other"].map(str::to_owned).into());
    let durations = format!("{}_count", names::REQUEST_DURATION);
    assert_eq!(scrape.count(&durations, &[("operation", "Shop")]), 3);
    for code in ["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "NOT_FOUND"] {
        assert_eq!(scrape.count(names::ERRORS, &[("code", code)]), 1, "{code}");
    }
    let statements = format!("{}_count", names::STATEMENT_DURATION);
    assert!(scrape.count(&statements, &[]) - before.count(&statements, &[]) >= 20);
    assert_eq!(scrape.count(names::BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))]), 1);
    assert_eq!(scrape.count(names::DATABASE_UP, &[]), 1);
    assert_eq!((scrape.count(names::SUBSCRIPTION_CONNECTIONS, &[]), scrape.count(names::SUBSCRIPTIONS, &[])), (0, 0));
    for pool in ["read", "write"] {
        let connections = |state: &str| scrape.count(names::POOL_CONNECTIONS, &[("pool", pool), ("state", state)]);
        let limit = scrape.count(names::POOL_LIMIT, &[("pool", pool)]);
        assert!(limit >= 1 && connections("in_use") + connections("idle") <= limit, "{}", scrape.text);
        assert_eq!(scrape.count(names::POOL_WAITING, &[("pool", pool)]), 0);
    }
}

async fn responses_from_memory_are_counted(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[MANAGEMENT_ON, RESPONSE_CACHE_ON]).await;
    let server = sandbox.start_server(&[]).await;
    for _ in 0..5 {
        server.query("query Listing { products(first: 3) { nodes { name } } }").await;
    }
    let scrape = server.scrape().await;
    assert_eq!(scrape.count(names::REQUESTS, &[("operation", "other"), ("outcome", "ok")]), 5, "{}", scrape.text);
    let lookups = |result: &str| scrape.count(names::CACHE_LOOKUPS, &[("cache", "response"), ("result", result)]);
    assert_eq!((lookups("hit"), lookups("miss")), (4, 1));
}

async fn orders_payments_and_stock_are_counted(backend: Backend) {
    let methods = ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "test");
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[MANAGEMENT_ON, methods]).await;
    let server = sandbox.start_server(&[]).await;
    let order = server.place_order("test", &[]).await;
    let total = order["cost"]["total"]["amount"].as_str().expect("an amount").replace('.', "");
    let total: u64 = total.parse().expect("minor units");
    // The payment and the notification are separate jobs, which end in any order.
    let scrape = server
        .scrape_until("the jobs of the order are done", |scrape| {
            let payments = scrape.find_count(names::PAYMENTS, &[("provider", "test"), ("outcome", "captured")]);
            let attempts =
                scrape.find_count(names::JOB_ATTEMPTS, &[("queue", "notification.order"), ("outcome", "done")]);
            payments.is_some() && attempts.is_some()
        })
        .await;
    assert_eq!(scrape.count(names::ORDERS, &[]), 1);
    assert_eq!(scrape.count(names::ORDER_VALUE, &[("currency", "KES")]), total);
    assert_eq!(scrape.count(names::PAYMENTS, &[("provider", "test"), ("outcome", "captured")]), 1, "{}", scrape.text);
    let reservations = |outcome: &str| scrape.count(names::STOCK_RESERVATIONS, &[("outcome", outcome)]);
    assert_eq!((reservations("reserved"), reservations("short")), (1, 0));
    // Those of a read replica exist only with one, so that its alert does not fire: `read_replica` tests them.
    let of_replica = [names::REPLICA_LAG, names::REPLICA_USED];
    let expected = names::ALL.iter().map(|(name, ..)| *name).filter(|name| !of_replica.contains(name));
    let expected: BTreeSet<String> = expected.map(str::to_owned).collect();
    assert_eq!(scrape.declared_names(), expected, "{}", scrape.text);
}

async fn worker_reports_the_state_of_jobs_and_events(backend: Backend) {
    let database = TestDatabase::create_migrated(backend).await;
    let sandbox = CliSandbox::new(&[MANAGEMENT_ON, ("DATABASE_URL", database.url())]);
    let db = sea_orm::Database::connect(database.url()).await.expect("a connection");
    let insert = |queue: &str, status: &str, run_at: &str| {
        format!(
            "INSERT INTO job (queue, kind, payload, status, run_at, attempts, last_error, created_at, updated_at) VALUES \
             ('{queue}', 'Unknown', '{{}}', '{status}', {run_at}, 3, 'it failed', '2026-01-01 00:00:00+00:00', \
             '2026-01-01 00:00:00+00:00')"
        )
    };
    // No worker has a handler of this kind, so that the pending job stays.
    for sql in [
        insert("notifications", "dead", "NULL"),
        insert("notifications", "dead", "NULL"),
        insert("notifications", "pending", "'2026-01-01 00:00:00+00:00'"),
        insert("of another version", "dead", "NULL"),
    ] {
        db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    db.close().await.expect("closed");
    let worker = sandbox.start_command(&["worker"]);
    let scrape = worker.scrape().await;
    let jobs = |queue: &str, state: &str| scrape.count(names::JOBS, &[("queue", queue), ("state", state)]);
    assert_eq!((jobs("notifications", "dead"), jobs("notifications", "pending")), (2, 1), "{}", scrape.text);
    assert_eq!((jobs("other", "dead"), jobs("payment", "dead")), (1, 0));
    assert!(scrape.seconds(names::JOB_LAG, &[("queue", "notifications")]) > 3600.0, "{}", scrape.text);
    assert!(!scrape.label_values(names::JOBS, "queue").contains("of another version"));
    assert_eq!((scrape.count(names::OUTBOX_EVENTS, &[]), scrape.count(names::OUTBOX_LAG, &[])), (0, 0));
    for path in ["/health/live", "/health/ready", "/health"] {
        let response = reqwest::get(format!("http://{}{path}", worker.management_address().await)).await;
        assert_eq!(response.expect("a response").status(), 200, "{path}");
    }
    worker.send_signal("TERM");
    assert_eq!(worker.wait_for_exit().await.exit_code, Some(0));
}

async fn nothing_is_served_without_a_management_address(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[("SAVANNAH_MANAGEMENT__BIND", "")]).await;
    let server = sandbox.start_server(&[]).await;
    assert!(!server.stderr().contains("management address"), "{}", server.stderr());
    let response = reqwest::get(format!("http://{}/metrics", server.address)).await.expect("a response");
    assert_eq!(response.status(), 404);
}

async fn occupied_management_address_stops_the_start(backend: Backend) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (sandbox, _database) =
        CliSandbox::with_empty_database(backend, &[("SAVANNAH_MANAGEMENT__BIND", &address)]).await;
    let exited = sandbox.run_command(&["serve"], &[]).await;
    assert_eq!(exited.exit_code, Some(1));
    assert!(exited.stderr.contains(&format!("management.bind: cannot listen on {address}")), "{exited:?}");
}

fn has_promtool() -> bool {
    let has_promtool = Command::new("promtool").arg("--version").output().is_ok();
    has_promtool || report_missing("promtool (of the Debian package prometheus)")
}

async fn metrics_are_valid_for_prometheus(backend: Backend) {
    let (sandbox, _database) = CliSandbox::with_empty_database(backend, &[MANAGEMENT_ON]).await;
    let server = sandbox.start_server(&[]).await;
    server.place_order("cash_on_delivery", &[]).await;
    let scrape: Scrape = server.scrape().await;
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = promtool.spawn().expect("promtool");
    process.stdin.take().expect("standard input").write_all(scrape.text.as_bytes()).expect("written");
    let output = process.wait_with_output().expect("an end");
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{messages}\n{}", scrape.text);
}
