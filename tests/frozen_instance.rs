//! PostgreSQL: an instance frozen inside transactions blocks others no longer than the idle-transaction timeout, and
//! continues correctly when it resumes.

use std::time::{Duration, Instant};

use savannah::infra::Db;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::{
    integration_tests,
    support::{
        AcknowledgedOrder, Backend, CliSandbox, LoadCatalog, LoadClients, RunningProcess, TestApp, TestDatabase,
        assert_invariants, assert_jobs_finished_and_catalog_consistent, assert_no_rows, assert_order_notifications,
        line_inputs, query_scalar, shipping_address,
    },
};

integration_tests![
    sessions_limit_idle_transactions_locks_and_statements,
    transaction_idle_beyond_its_limit_is_undone_and_its_locks_released,
    frozen_instance_does_not_stop_the_other_and_resumes_correctly,
];

/// Timeout for any step on a slow machine.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Idle-transaction timeout in seconds, as short as possible.
const IDLE_LIMIT: u64 = 2;
const STAFF: &str = "amani@shop.example";
const SERVE: [&str; 2] = ["serve", "--no-demo"];
const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
    AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%' \
    AND clock_timestamp() - state_change > interval '200 milliseconds'";
/// Delay after which an idle transaction belongs to the frozen instance.
const SETTLE: Duration = Duration::from_millis(300);

async fn sessions_limit_idle_transactions_locks_and_statements(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let settings = [
        ("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", "7s"),
        ("SAVANNAH_DATABASE__LOCK_TIMEOUT", "4s"),
        ("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "11s"),
    ];
    let shop = TestApp::start_with_settings(backend, &settings).await;
    let limits = "SELECT current_setting('idle_in_transaction_session_timeout') || ' ' || \
        current_setting('lock_timeout') || ' ' || current_setting('statement_timeout') AS limits";
    let limits = || Statement::from_string(shop.db.backend(), limits);
    let text = |row: Option<sea_orm::QueryResult>| row.expect("a row").try_get::<String>("", "limits").expect("text");
    assert_eq!(text(shop.db.query_one_raw(limits()).await.expect("an answer")), "7s 4s 11s");
    let written = shop.db.write(async |tx| Ok(tx.query_one_raw(limits()).await?)).await;
    assert_eq!(text(written.unwrap_or_else(|error| panic!("{}", error.log_message()))), "7s 4s 11s");
}

async fn transaction_idle_beyond_its_limit_is_undone_and_its_locks_released(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let limit = format!("{IDLE_LIMIT}s");
    let shop = TestApp::start_with_settings(backend, &[("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", &limit)]).await;
    let rename = "UPDATE shop SET currency = 'XXX'";
    let outcome = shop.db.write(async |tx| {
        tx.execute_unprepared(rename).await?;
        // It sends nothing while others wait for its locks.
        let began = Instant::now();
        shop.execute_sql("UPDATE shop SET updated_at = updated_at").await.expect("the lock is released");
        assert!(began.elapsed() < Duration::from_secs(IDLE_LIMIT + 5), "{:?}", began.elapsed());
        Ok(())
    });
    assert!(outcome.await.is_err(), "its session was ended");
    assert_eq!(shop.query_scalar("SELECT count(*) FROM shop WHERE currency = 'XXX'").await, 0);
    // The lost connection is replaced.
    assert_eq!(shop.query("mutation { cartCreate { userErrors { code } } }").await.user_errors("cartCreate"), []);
}

/// Two instances of one shop with products.
struct Stage {
    database: TestDatabase,
    goods: LoadCatalog,
    staff: String,
    shops: [RunningProcess; 2],
    _place: CliSandbox,
}

impl Stage {
    async fn set() -> Self {
        let database = TestDatabase::create_migrated(Backend::Postgres).await;
        let limit = format!("{IDLE_LIMIT}s");
        let settings = [
            ("DATABASE_URL", database.url()),
            ("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", limit.as_str()),
            ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "30s"),
            ("SAVANNAH_JOBS__LEASE_DURATION", "3s"),
            ("SAVANNAH_SMS__GUEST_DAILY_LIMIT", "1000000"),
            ("SAVANNAH_CHECKOUT__PAYMENT_METHODS", "cash_on_delivery, test"),
            // Requests to the frozen instance do not time out.
            ("SAVANNAH_SERVER__REQUEST_TIMEOUT", "2m"),
        ];
        let place = CliSandbox::new(&settings);
        place.write_file("goods.csv", &LoadCatalog::to_csv());
        // An import keeps its transaction open while it computes.
        let slow = [("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", "1m")];
        let ended = place.run_command(&["import", "products", "goods.csv"], &slow).await;
        assert_eq!(ended.exit_code, Some(0), "{ended:?}");
        let ended = place.run_command(&["user", "create", "--email", STAFF, "--role", "staff"], &[]).await;
        let password = ended.stdout.split_whitespace().last().expect("a password").to_owned();
        let shops = [place.start_server_with_args(&SERVE, &[]).await, place.start_server_with_args(&SERVE, &[]).await];
        let input = format!("{{ email: {}, password: {} }}", json!(STAFF), json!(password));
        let answer =
            shops[1].query(&format!("mutation {{ login(input: {input}) {{ tokens {{ accessToken }} }} }}")).await;
        let staff = answer["data"]["login"]["tokens"]["accessToken"].as_str().expect("a token").to_owned();
        let db = database.connect().await;
        let goods = LoadCatalog::from_database(&db).await.expect("the catalog");
        db.close().await;
        Self { database, goods, staff, shops, _place: place }
    }

    /// Freezes the first instance while it has open transactions.
    async fn freeze(&self, db: &Db) {
        let began = Instant::now();
        loop {
            self.shops[0].send_signal("STOP");
            tokio::time::sleep(SETTLE).await;
            if query_scalar(db, OPEN).await > 0 {
                return;
            }
            self.shops[0].send_signal("CONT");
            assert!(began.elapsed() < PATIENCE, "it is never in the middle of a transaction");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Places an order at the second instance, with retries until acknowledged.
    async fn buy_elsewhere(&self, round: usize, n: usize) -> AcknowledgedOrder {
        let key = format!("elsewhere-{round}-{n}");
        let input = json!({ "paymentMethodId": "cash_on_delivery", "idempotencyKey": key, "email": format!("{key}@example.com"),
            "shippingAddress": shipping_address(), "lines": line_inputs(&self.goods.choose_items(n)) });
        let query = "mutation($input: OrderCreateInput!) { orderCreate(input: $input) {
            order { number status } userErrors { code message } } }";
        let body = json!({ "query": query, "variables": { "input": input } });
        loop {
            let request = reqwest::Client::new().post(format!("http://{}/graphql", self.shops[1].address)).json(&body);
            let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
            if answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE" {
                continue;
            }
            let order = &answer["data"]["orderCreate"]["order"];
            let text = |name: &str| order[name].as_str().unwrap_or_else(|| panic!("no order in {answer}")).to_owned();
            return AcknowledgedOrder { idempotency_key: key, number: text("number"), status: text("status") };
        }
    }
}

async fn until_zero(db: &Db, sql: &str) {
    let began = Instant::now();
    while query_scalar(db, sql).await > 0 {
        assert!(began.elapsed() < PATIENCE, "it does not come to zero: {sql}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn frozen_instance_does_not_stop_the_other_and_resumes_correctly(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let stage = Stage::set().await;
    let db = stage.database.connect().await;
    let mut load_clients = LoadClients::spawn(8, &stage.goods, &stage.staff);
    load_clients.add_endpoint(0, &stage.shops[0]);
    let mut bought = Vec::new();
    for round in 0..3 {
        load_clients.wait_for_orders(4).await;
        stage.freeze(&db).await;
        let frozen = Instant::now();
        // Of all products, including those locked by the frozen transactions.
        let others = futures_util::future::join_all((0..7).map(|n| stage.buy_elsewhere(round, n))).await;
        let took = frozen.elapsed();
        assert!(took < Duration::from_secs(IDLE_LIMIT + 10), "the others waited for {took:?}");
        until_zero(&db, OPEN).await;
        bought.extend(others);
        stage.shops[0].send_signal("CONT");
    }
    // It resumes, and interrupted requests take effect once.
    load_clients.wait_for_orders(8).await;
    bought.extend(load_clients.stop_and_collect().await);
    bought.sort_unstable();
    let left = "(SELECT count(*) FROM outbox_event WHERE dispatched_at IS NULL) + \
        (SELECT count(*) FROM job WHERE status IN ('pending', 'running'))";
    until_zero(&db, &format!("SELECT {left}")).await;
    assert_eq!(query_scalar(&db, "SELECT count(*) FROM orders").await, i64::try_from(bought.len()).expect("a number"));
    for one in &bought {
        let AcknowledgedOrder { idempotency_key: key, number: order, status } = one;
        let matching_order_sql = format!(
            "SELECT count(*) FROM orders WHERE number = '{order}' AND email = '{key}@example.com' \
             AND CASE status WHEN 'canceled' THEN 'CANCELED' ELSE upper(status) END = '{status}'"
        );
        assert_eq!(query_scalar(&db, &matching_order_sql).await, 1, "{one:?}");
    }
    let twice = "orders AS o WHERE 1 <> (SELECT count(*) FROM idempotency_key AS i \
        WHERE i.resource_id = o.id AND i.key || '@example.com' = o.email)";
    assert_no_rows(&db, &[("orders that are not one request's", twice)]).await;
    assert_invariants(&db).await;
    assert_jobs_finished_and_catalog_consistent(&db).await;
    assert_order_notifications(&db).await;
    db.close().await;
    for shop in stage.shops {
        shop.send_signal("TERM");
        let ended = shop.wait_for_exit().await;
        assert_eq!(ended.exit_code, Some(0), "{ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    }
}
