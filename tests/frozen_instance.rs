//! PostgreSQL: an instance that stands still in the middle of transactions does not stop the others for longer than the
//! limit for idle transactions, and goes on correctly when it wakes up.

use std::time::{Duration, Instant};

use savannah::infra::Db;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::{
    shop::{
        Backend, Bought, Crowd, Goods, Own, Running, Shop, Workplace, add_up, address, all_told, number, settled,
        wishes, wrong,
    },
    stories,
};

stories![
    sessions_limit_idle_transactions_locks_and_statements,
    transaction_idle_beyond_its_limit_is_undone_and_its_locks_released,
    frozen_instance_does_not_stop_the_other_and_resumes_correctly,
];

/// Longer than anything takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// As short as may be: seconds.
const IDLE_LIMIT: u64 = 2;
const STAFF: &str = "amani@shop.example";
const SERVE: [&str; 2] = ["serve", "--no-demo"];
const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
    AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%' \
    AND clock_timestamp() - state_change > interval '200 milliseconds'";
/// After which a transaction that is still idle is one of the frozen instance.
const SETTLE: Duration = Duration::from_millis(300);

async fn sessions_limit_idle_transactions_locks_and_statements(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let settings = [
        ("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", "7"),
        ("SAVANNAH_DATABASE__LOCK_TIMEOUT", "4"),
        ("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "11"),
    ];
    let shop = Shop::open_with(backend, &settings).await;
    let limits = "SELECT current_setting('idle_in_transaction_session_timeout') || ' ' || \
        current_setting('lock_timeout') || ' ' || current_setting('statement_timeout') AS limits";
    let limits = || Statement::from_string(shop.db.backend(), limits);
    let text = |row: Option<sea_orm::QueryResult>| row.expect("a row").try_get::<String>("", "limits").expect("text");
    assert_eq!(text(shop.db.query_one_raw(limits()).await.expect("an answer")), "7s 4s 11s");
    let written = shop.db.write(async |tx| Ok(tx.query_one_raw(limits()).await?)).await;
    assert_eq!(text(written.unwrap_or_else(|why| panic!("{}", why.log()))), "7s 4s 11s");
}

async fn transaction_idle_beyond_its_limit_is_undone_and_its_locks_released(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let limit = IDLE_LIMIT.to_string();
    let shop = Shop::open_with(backend, &[("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", &limit)]).await;
    let rename = "UPDATE shop SET currency = 'XXX'";
    let outcome = shop.db.write(async |tx| {
        tx.execute_unprepared(rename).await?;
        // It sends nothing while others wait for what it holds.
        let began = Instant::now();
        shop.sql("UPDATE shop SET updated_at = updated_at").await.expect("the lock is released");
        assert!(began.elapsed() < Duration::from_secs(IDLE_LIMIT + 5), "{:?}", began.elapsed());
        Ok(())
    });
    assert!(outcome.await.is_err(), "its session was ended");
    assert_eq!(shop.number("SELECT count(*) FROM shop WHERE currency = 'XXX'").await, 0);
    // The connection that was lost is replaced.
    assert_eq!(shop.ask("mutation { cartCreate { userErrors { code } } }").await.problems("cartCreate"), []);
}

/// Two instances of one shop with goods.
struct Stage {
    database: Own,
    goods: Goods,
    staff: String,
    shops: [Running; 2],
    _place: Workplace,
}

impl Stage {
    async fn set() -> Self {
        let database = Own::make(Backend::Postgres).await;
        let limit = IDLE_LIMIT.to_string();
        let settings = [
            ("DATABASE_URL", database.url()),
            ("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", limit.as_str()),
            ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "30"),
            ("SAVANNAH_JOBS__LEASE", "3"),
            ("SAVANNAH_SMS__GUEST_DAILY_LIMIT", "1000000"),
            // Nobody in front of the frozen instance is told that it took too long.
            ("SAVANNAH_SERVER__REQUEST_TIMEOUT", "120"),
        ];
        let place = Workplace::new(&settings);
        place.write("goods.csv", &Goods::file());
        // An import holds its transaction while it computes.
        let slow = [("SAVANNAH_DATABASE__IDLE_TRANSACTION_TIMEOUT", "60")];
        let ended = place.run(&["import", "products", "goods.csv"], &slow).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let ended = place.run(&["user", "create", "--email", STAFF, "--role", "staff"], &[]).await;
        let password = ended.out.split_whitespace().last().expect("a password").to_owned();
        let shops = [place.open_by(&SERVE, &[]).await, place.open_by(&SERVE, &[]).await];
        let input = format!("{{ email: {}, password: {} }}", json!(STAFF), json!(password));
        let answer =
            shops[1].ask(&format!("mutation {{ login(input: {input}) {{ tokens {{ accessToken }} }} }}")).await;
        let staff = answer["data"]["login"]["tokens"]["accessToken"].as_str().expect("a token").to_owned();
        let db = database.open().await;
        let goods = Goods::of(&db).await;
        db.close().await;
        Self { database, goods, staff, shops, _place: place }
    }

    /// Stops the first instance while it has transactions open.
    async fn freeze(&self, db: &Db) {
        let began = Instant::now();
        loop {
            self.shops[0].signal("STOP");
            tokio::time::sleep(SETTLE).await;
            if number(db, OPEN).await > 0 {
                return;
            }
            self.shops[0].signal("CONT");
            assert!(began.elapsed() < PATIENCE, "it is never in the middle of a transaction");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Buys from the second instance until it is told that it has.
    async fn buy_elsewhere(&self, round: usize, n: usize) -> Bought {
        let key = format!("elsewhere-{round}-{n}");
        let input = json!({ "idempotencyKey": key, "email": format!("{key}@example.com"),
            "shippingAddress": address(), "items": wishes(&self.goods.some(n)) });
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
            return Bought { key, number: text("number"), status: text("status").to_lowercase() };
        }
    }
}

async fn until_zero(db: &Db, sql: &str) {
    let began = Instant::now();
    while number(db, sql).await > 0 {
        assert!(began.elapsed() < PATIENCE, "it does not come to zero: {sql}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn frozen_instance_does_not_stop_the_other_and_resumes_correctly(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let stage = Stage::set().await;
    let db = stage.database.open().await;
    let mut crowd = Crowd::gather(8, &stage.goods, &stage.staff);
    crowd.opens(0, &stage.shops[0]);
    let mut bought = Vec::new();
    for round in 0..3 {
        crowd.buys(4).await;
        stage.freeze(&db).await;
        let frozen = Instant::now();
        // Of all goods, also those that the frozen transactions hold.
        let others = futures_util::future::join_all((0..7).map(|n| stage.buy_elsewhere(round, n))).await;
        let took = frozen.elapsed();
        assert!(took < Duration::from_secs(IDLE_LIMIT + 10), "the others waited for {took:?}");
        until_zero(&db, OPEN).await;
        bought.extend(others);
        stage.shops[0].signal("CONT");
    }
    // It goes on, with what was cut off done once.
    crowd.buys(8).await;
    bought.extend(crowd.leaves().await);
    bought.sort_unstable();
    let left = "(SELECT count(*) FROM outbox WHERE relayed_at IS NULL) + \
        (SELECT count(*) FROM job WHERE state IN ('waiting', 'running'))";
    until_zero(&db, &format!("SELECT {left}")).await;
    assert_eq!(
        number(&db, "SELECT count(*) FROM customer_order").await,
        i64::try_from(bought.len()).expect("a number")
    );
    for one in &bought {
        let Bought { key, number: order, status } = one;
        let found = format!(
            "SELECT count(*) FROM customer_order WHERE number = '{order}' AND status = '{status}' AND email = '{key}@example.com'"
        );
        assert_eq!(number(&db, &found).await, 1, "{one:?}");
    }
    let twice = "customer_order AS o WHERE 1 <> (SELECT count(*) FROM idempotency AS i \
        WHERE i.made = o.id AND i.key || '@example.com' = o.email)";
    wrong(&db, &[("orders that are not one request's", twice)]).await;
    add_up(&db).await;
    settled(&db).await;
    all_told(&db).await;
    db.close().await;
    for shop in stage.shops {
        shop.signal("TERM");
        let ended = shop.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.err.contains("panicked"), "{ended:?}");
    }
}
