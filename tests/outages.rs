//! A database that cannot answer just now: callers are told to come back, and nothing is lost or left open.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use savannah::base::{Error, error::Code};
use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    shop::{Backend, Shop},
    stories,
};

stories![
    idle_connections_terminated_requests_succeed,
    row_locked_by_another_session_is_unavailable_and_reads_answer,
    full_disk_is_unavailable_and_later_writes_are_durable,
    commit_that_fails_closes_its_connection,
    write_dropped_midway_leaves_no_open_transaction,
    clients_that_disconnect_leave_no_open_transaction,
    statement_over_its_timeout_is_unavailable,
    read_that_nobody_waits_for_is_interrupted,
];

/// Longer than anything takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_mins(1);

const CREATE: &str = "mutation { cartCreate { cart { id } userErrors { code } } }";

/// A session beside the shop's own.
async fn session(shop: &Shop) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(shop.database_url());
    options.max_connections(1);
    Database::connect(options).await.expect("a session")
}

/// A transaction of another session, which on SQLite may write from its beginning.
async fn transaction(session: &DatabaseConnection) -> DatabaseTransaction {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    session.begin_with_options(options).await.expect("a transaction")
}

async fn count(session: &DatabaseConnection, sql: &str) -> i64 {
    let sql = format!("SELECT CAST(({sql}) AS BIGINT) AS n");
    let row = session.query_one_raw(Statement::from_string(session.get_database_backend(), sql)).await;
    row.expect("an answer").expect("a row").try_get("", "n").expect("a number")
}

async fn create_cart(shop: &Shop) -> String {
    shop.ask(CREATE).await.at("/cartCreate/cart/id").as_str().expect("an id").to_owned()
}

fn code(body: &Value) -> Option<&str> {
    body["errors"][0]["extensions"]["code"].as_str()
}

async fn idle_connections_terminated_requests_succeed(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let shop = Shop::demo(backend).await;
    let other = session(&shop).await;
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for write_first in [true, false] {
        // As many connections as there may be.
        join_all((0..16).map(|_| shop.ask("{ product(slug: \"mug\") { name } }"))).await;
        other.execute_unprepared(terminate).await.expect("terminated");
        if write_first {
            create_cart(&shop).await;
        }
        for _ in 0..12 {
            let answer = shop.ask("{ product(slug: \"mug\") { name } }").await;
            assert_eq!(answer.at("/product/name"), "Savannah Mug");
        }
        create_cart(&shop).await;
    }
}

async fn row_locked_by_another_session_is_unavailable_and_reads_answer(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_DATABASE__LOCK_TIMEOUT", "1")]).await;
    let id = create_cart(&shop).await;
    let other = session(&shop).await;
    let locked = transaction(&other).await;
    if backend == Backend::Postgres {
        locked.execute_unprepared("SELECT id FROM cart FOR UPDATE").await.expect("a lock");
    }
    let note = "mutation($id: ID!) { cartNoteSet(id: $id, note: \"x\") { cart { version } userErrors { code } } }";
    let writes = join_all((0..12).map(|_| shop.ask_with(note, json!({ "id": id }))));
    let reads = join_all((0..12).map(|_| shop.ask("{ products { totalCount } }")));
    let (writes, reads) = tokio::join!(writes, reads);
    for write in writes {
        assert_eq!(code(&write.body), Some("UNAVAILABLE"), "{}", write.body);
    }
    for read in reads {
        assert_eq!(read.at("/products/totalCount"), 0);
    }
    locked.rollback().await.expect("the end of it");
    let answer = shop.ask_with(note, json!({ "id": id })).await;
    assert_eq!(answer.at("/cartNoteSet/cart/version"), 2);
}

async fn full_disk_is_unavailable_and_later_writes_are_durable(backend: Backend) {
    if backend == Backend::Postgres {
        return;
    }
    let shop = Shop::open(backend).await;
    let pages = shop.number("SELECT page_count FROM pragma_page_count").await;
    // Of this connection; one that comes after it would find room.
    shop.sql(&format!("PRAGMA max_page_count = {pages}")).await.expect("a limit");
    let mut created = 0;
    let full = loop {
        let answer = shop.ask(CREATE).await;
        if code(&answer.body).is_some() {
            break answer;
        }
        created += 1;
        assert!(created < 10_000, "the disk is never full");
    };
    assert_eq!(code(&full.body), Some("UNAVAILABLE"), "{}", full.body);
    shop.sql("PRAGMA max_page_count = 1000000").await.expect("room again");
    assert_no_open_transaction(&shop).await;
    assert_eq!(shop.number("SELECT count(*) FROM cart").await, created + 1);
}

async fn commit_that_fails_closes_its_connection(backend: Backend) {
    if backend == Backend::Postgres {
        return;
    }
    let shop = Shop::open(backend).await;
    // SQLite rolls back by itself on some errors; then sqlx still counts a transaction.
    let failed = shop.db.write(async |tx| Ok(tx.execute_unprepared("ROLLBACK").await?.rows_affected())).await;
    assert!(failed.is_err(), "there was nothing to commit");
    assert_no_open_transaction(&shop).await;
}

/// Fails unless every transaction comes to its end.
pub async fn assert_no_open_transaction(shop: &Shop) {
    let other = session(shop).await;
    if shop.db.backend() == sea_orm::DbBackend::Postgres {
        let open = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        let began = Instant::now();
        while count(&other, open).await > 0 {
            assert!(began.elapsed() < PATIENCE, "a transaction stays open");
            tokio::task::yield_now().await;
        }
    } else {
        let began = Instant::now();
        while let Err(why) = other.execute_unprepared("BEGIN IMMEDIATE; ROLLBACK").await {
            // SQLite does not queue writers: beside a busy one, another can wait in vain.
            assert!(began.elapsed() < PATIENCE, "a transaction stays open: {why}");
        }
    }
    // What is written now is there for others, and what they count is what the shop counts.
    let last = create_cart(shop).await;
    assert_eq!(count(&other, &format!("SELECT count(*) FROM cart WHERE word = '{last}'")).await, 1, "it was lost");
    // Mutations go on without their clients, so the counts are equal once the last of them has ended.
    let (carts, began) = ("SELECT count(*) FROM cart", Instant::now());
    while count(&other, carts).await != shop.number(carts).await {
        assert!(began.elapsed() < PATIENCE, "the shop and others count differently");
        tokio::task::yield_now().await;
    }
}

async fn write_dropped_midway_leaves_no_open_transaction(backend: Backend) {
    let shop = Shop::open(backend).await;
    let rename = "UPDATE shop SET updated_at = updated_at";
    for round in 0..400 {
        let write = shop.db.write(async |tx| {
            for _ in 0..3 {
                tx.execute_unprepared(rename).await?;
            }
            Ok(())
        });
        // Somewhere between its beginning and its end, which may come before.
        let _ = tokio::time::timeout(Duration::from_micros(round * 17), write).await;
    }
    assert_no_open_transaction(&shop).await;
}

async fn clients_that_disconnect_leave_no_open_transaction(backend: Backend) {
    const CLIENTS: u64 = 1_000;
    const AT_ONCE: u64 = 16;
    // All of them wait for one writer on SQLite, and the last write of this test waits behind them.
    let shop = Shop::open_with(backend, &[("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "60")]).await;
    let body = json!({ "query": CREATE }).to_string();
    let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length:";
    let request = format!("{head} {}\r\n\r\n{body}", body.len());
    join_all((0..AT_ONCE).map(async |first| {
        for client in (first..CLIENTS).step_by(usize::try_from(AT_ONCE).expect("a number")) {
            let mut stream = TcpStream::connect(shop.address).await.expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("sent");
            tokio::time::sleep(Duration::from_micros(client * 7_919 % 20_000)).await;
        }
    }))
    .await;
    assert_no_open_transaction(&shop).await;
}

async fn statement_over_its_timeout_is_unavailable(backend: Backend) {
    let shop = Shop::open_with(backend, &[("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "1")]).await;
    let slow = || Statement::from_string(shop.db.backend(), endless(backend));
    let why = Error::from(shop.db.query_one_raw(slow()).await.expect_err("no answer"));
    assert_eq!(why.public().code, Code::Unavailable, "{}", why.log());
    let written = shop.db.write(async |tx| Ok(tx.query_one_raw(slow()).await?.is_some())).await;
    let why = written.expect_err("no answer");
    assert_eq!(why.public().code, Code::Unavailable, "{}", why.log());
    assert_no_open_transaction(&shop).await;
}

/// A statement that takes longer than anybody waits.
fn endless(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS x FROM n"
        }
        Backend::Postgres => "SELECT 1 AS x FROM pg_sleep(600)",
    }
}

async fn read_that_nobody_waits_for_is_interrupted(backend: Backend) {
    if backend == Backend::Postgres {
        return;
    }
    let shop = Shop::open_with(backend, &[("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "600")]).await;
    // More than there are readers: each but the first few can only begin when one before it has ended.
    for _ in 0..16 {
        let read = shop.db.query_one_raw(Statement::from_string(shop.db.backend(), endless(backend)));
        let dropped = tokio::time::timeout(Duration::from_millis(5), read).await;
        assert!(dropped.is_err(), "it has an answer");
    }
    assert_eq!(shop.ask("{ products { totalCount } }").await.at("/products/totalCount"), 0);
}
