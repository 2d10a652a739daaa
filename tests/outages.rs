//! Database outages: responses are `UNAVAILABLE`, and no write is lost and no transaction left open.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use savannah::base::{Error, error::PublicErrorCode};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    integration_tests,
    support::{Backend, TestApp, query_session_scalar},
};

integration_tests![
    idle_connections_terminated_requests_succeed,
    row_locked_by_another_session_is_unavailable_and_reads_succeed,
    full_disk_is_unavailable_and_later_writes_are_durable,
    commit_that_fails_closes_its_connection,
    write_dropped_midway_leaves_no_open_transaction,
    clients_that_disconnect_leave_no_open_transaction,
    statement_over_its_timeout_is_unavailable,
    read_with_dropped_future_is_interrupted,
];

/// Longer than anything takes, on the slowest machine.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

const CREATE_CART: &str = "mutation { cartCreate { cart { id } userErrors { code } } }";

/// A transaction of another session, which on SQLite may write from its beginning.
async fn begin_transaction(session: &DatabaseConnection) -> DatabaseTransaction {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    session.begin_with_options(options).await.expect("a transaction")
}

async fn create_cart(app: &TestApp) -> String {
    app.query(CREATE_CART).await.data_at("/cartCreate/cart/id").as_str().expect("an id").to_owned()
}

fn error_code(body: &Value) -> Option<&str> {
    body["errors"][0]["extensions"]["code"].as_str()
}

async fn idle_connections_terminated_requests_succeed(backend: Backend) {
    if backend == Backend::Sqlite {
        return;
    }
    let app = TestApp::start_with_demo_catalog(backend).await;
    let other = app.open_session().await;
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for write_first in [true, false] {
        // As many connections as there may be.
        join_all((0..16).map(|_| app.query("{ product(slug: \"mug\") { name } }"))).await;
        other.execute_unprepared(terminate).await.expect("terminated");
        if write_first {
            create_cart(&app).await;
        }
        for _ in 0..12 {
            let response = app.query("{ product(slug: \"mug\") { name } }").await;
            assert_eq!(response.data_at("/product/name"), "Savannah Mug");
        }
        create_cart(&app).await;
    }
}

async fn row_locked_by_another_session_is_unavailable_and_reads_succeed(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_DATABASE__LOCK_TIMEOUT", "1s")]).await;
    let id = create_cart(&app).await;
    let other = app.open_session().await;
    let locked = begin_transaction(&other).await;
    if backend == Backend::Postgres {
        locked.execute_unprepared("SELECT id FROM cart FOR UPDATE").await.expect("a lock");
    }
    let note = "mutation($id: ID!) { cartNoteUpdate(id: $id, note: \"x\") { cart { version } userErrors { code } } }";
    let writes = join_all((0..12).map(|_| app.query_with_variables(note, json!({ "id": id }))));
    let reads = join_all((0..12).map(|_| app.query("{ products { totalCount } }")));
    let (writes, reads) = tokio::join!(writes, reads);
    for write in writes {
        assert_eq!(error_code(&write.body), Some("UNAVAILABLE"), "{}", write.body);
    }
    for read in reads {
        assert_eq!(read.data_at("/products/totalCount"), 0);
    }
    locked.rollback().await.expect("the end of it");
    let response = app.query_with_variables(note, json!({ "id": id })).await;
    assert_eq!(response.data_at("/cartNoteUpdate/cart/version"), 2);
}

async fn full_disk_is_unavailable_and_later_writes_are_durable(backend: Backend) {
    if backend == Backend::Postgres {
        return;
    }
    let app = TestApp::start(backend).await;
    let pages = app.query_scalar("SELECT page_count FROM pragma_page_count").await;
    // Of this connection; one that comes after it would find room.
    app.execute_sql(&format!("PRAGMA max_page_count = {pages}")).await.expect("a limit");
    let mut created = 0;
    let full = loop {
        let response = app.query(CREATE_CART).await;
        if error_code(&response.body).is_some() {
            break response;
        }
        created += 1;
        assert!(created < 10_000, "the disk is never full");
    };
    assert_eq!(error_code(&full.body), Some("UNAVAILABLE"), "{}", full.body);
    app.execute_sql("PRAGMA max_page_count = 1000000").await.expect("room again");
    assert_no_open_transaction(&app).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM cart").await, created + 1);
}

async fn commit_that_fails_closes_its_connection(backend: Backend) {
    if backend == Backend::Postgres {
        return;
    }
    let app = TestApp::start(backend).await;
    // SQLite rolls back by itself on some errors; then sqlx still counts a transaction.
    let failed = app.db.write(async |tx| Ok(tx.execute_unprepared("ROLLBACK").await?.rows_affected())).await;
    assert!(failed.is_err(), "there was nothing to commit");
    assert_no_open_transaction(&app).await;
}

/// Fails unless every transaction comes to its end.
pub async fn assert_no_open_transaction(app: &TestApp) {
    let other = app.open_session().await;
    if app.db.backend() == sea_orm::DbBackend::Postgres {
        let open = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        let started_at = Instant::now();
        while query_session_scalar(&other, open).await > 0 {
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "a transaction stays open");
            tokio::task::yield_now().await;
        }
    } else {
        let started_at = Instant::now();
        while let Err(error) = other.execute_unprepared("BEGIN IMMEDIATE; ROLLBACK").await {
            // SQLite does not queue writers: beside a busy one, another can wait in vain.
            assert!(started_at.elapsed() < WAIT_TIMEOUT, "a transaction stays open: {error}");
        }
    }
    // What is written now is there for others, and what they count is what the shop counts.
    let last = create_cart(app).await;
    assert_eq!(
        query_session_scalar(&other, &format!("SELECT count(*) FROM cart WHERE token = '{last}'")).await,
        1,
        "it was lost"
    );
    // Mutations go on without their clients, so the counts are equal once the last of them has ended.
    let (carts, started_at) = ("SELECT count(*) FROM cart", Instant::now());
    while query_session_scalar(&other, carts).await != app.query_scalar(carts).await {
        assert!(started_at.elapsed() < WAIT_TIMEOUT, "the shop and others count differently");
        tokio::task::yield_now().await;
    }
}

async fn write_dropped_midway_leaves_no_open_transaction(backend: Backend) {
    let app = TestApp::start(backend).await;
    let rename = "UPDATE shop SET updated_at = updated_at";
    for round in 0..400 {
        let write = app.db.write(async |tx| {
            for _ in 0..3 {
                tx.execute_unprepared(rename).await?;
            }
            Ok(())
        });
        // Somewhere between its beginning and its end, which may come before.
        let _ = tokio::time::timeout(Duration::from_micros(round * 17), write).await;
    }
    assert_no_open_transaction(&app).await;
}

async fn clients_that_disconnect_leave_no_open_transaction(backend: Backend) {
    const CLIENT_COUNT: u64 = 1_000;
    const CONCURRENT_CLIENTS: u64 = 16;
    // All of them wait for one writer on SQLite, and the last write of this test waits behind them.
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "1m")]).await;
    let body = json!({ "query": CREATE_CART }).to_string();
    let head = "POST /graphql HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length:";
    let request = format!("{head} {}\r\n\r\n{body}", body.len());
    join_all((0..CONCURRENT_CLIENTS).map(async |first| {
        for client in (first..CLIENT_COUNT).step_by(usize::try_from(CONCURRENT_CLIENTS).expect("a number")) {
            let mut stream = TcpStream::connect(app.address).await.expect("a connection");
            stream.write_all(request.as_bytes()).await.expect("sent");
            tokio::time::sleep(Duration::from_micros(client * 7_919 % 20_000)).await;
        }
    }))
    .await;
    assert_no_open_transaction(&app).await;
}

async fn statement_over_its_timeout_is_unavailable(backend: Backend) {
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "1s")]).await;
    let slow = || Statement::from_string(app.db.backend(), endless_statement(backend));
    let error = Error::from(app.db.query_one_raw(slow()).await.expect_err("no answer"));
    assert_eq!(error.to_public_error().code, PublicErrorCode::Unavailable, "{}", error.log_message());
    let written = app.db.write(async |tx| Ok(tx.query_one_raw(slow()).await?.is_some())).await;
    let error = written.expect_err("no answer");
    assert_eq!(error.to_public_error().code, PublicErrorCode::Unavailable, "{}", error.log_message());
    assert_no_open_transaction(&app).await;
}

/// A statement that outlasts every timeout.
fn endless_statement(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS x FROM n"
        }
        Backend::Postgres => "SELECT 1 AS x FROM pg_sleep(600)",
    }
}

async fn read_with_dropped_future_is_interrupted(backend: Backend) {
    if backend == Backend::Postgres {
        return;
    }
    let app = TestApp::start_with_settings(backend, &[("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "10m")]).await;
    // More than there are readers: each but the first few can only begin when one before it has ended.
    for _ in 0..16 {
        let read = app.db.query_one_raw(Statement::from_string(app.db.backend(), endless_statement(backend)));
        let dropped = tokio::time::timeout(Duration::from_millis(5), read).await;
        assert!(dropped.is_err(), "it has an answer");
    }
    assert_eq!(app.query("{ products { totalCount } }").await.data_at("/products/totalCount"), 0);
}
