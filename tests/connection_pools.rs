//! Bounds of the connection pools, and the responses when one is full.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    integration_tests,
    support::{Backend, HttpResponse, TestApp},
};

integration_tests![
    full_read_pool_is_answered_503_and_writes_succeed,
    full_write_pool_is_answered_503_and_reads_succeed,
    pools_keep_the_least_number_of_connections,
];

/// Longer than anything takes, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);
const SHORT_TIMEOUT: (&str, &str) = ("SAVANNAH_DATABASE__ACQUIRE_TIMEOUT", "1s");
const READ: &str = "{ products(first: 1) { nodes { name } } }";
const WRITE: &str = "mutation { cartCreate { userErrors { code } } }";
/// Reads that wait, except the one that counts them.
const WAITING_READS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%'
    AND state = 'active'";

async fn send(app: &TestApp, query: &str) -> HttpResponse {
    HttpResponse::send(app.build_post(query, &json!({}))).await
}

fn assert_overloaded(response: &HttpResponse) {
    assert_eq!(response.status, 503, "{response:?}");
    assert_eq!(response.error_code(), "UNAVAILABLE");
    assert_eq!(response.header("retry-after"), Some("1"), "{response:?}");
}

async fn full_read_pool_is_answered_503_and_writes_succeed(backend: Backend) {
    if backend == Backend::Sqlite {
        return; // Its readers are connections of this process, which nothing else can occupy.
    }
    let settings =
        [SHORT_TIMEOUT, ("SAVANNAH_DATABASE__MAX_CONNECTIONS", "4"), ("SAVANNAH_DATABASE__STATEMENT_TIMEOUT", "1m")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let sleep = || Statement::from_string(app.db.backend(), "SELECT pg_sleep(60)");
    let occupied = join_all((0..4).map(|_| app.db.query_one_raw(sleep())));
    let requests = async {
        let count = || Statement::from_string(app.db.backend(), format!("SELECT count(*) AS waiting {WAITING_READS}"));
        let started_at = Instant::now();
        loop {
            let row = app.db.writer_connection().query_one_raw(count()).await.expect("an answer").expect("a row");
            if row.try_get::<i64>("", "waiting").expect("a number") == 4 {
                break;
            }
            assert!(started_at.elapsed() < PATIENCE, "the pool is not full");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_overloaded(&send(&app, READ).await);
        let written = send(&app, WRITE).await;
        assert_eq!((written.status, written.json()["errors"].is_null()), (200, true), "{written:?}");
        let cancel = format!("SELECT pg_cancel_backend(pid) {WAITING_READS}");
        app.db.writer_connection().execute_unprepared(&cancel).await.expect("canceled reads");
    };
    let (outcomes, ()) = tokio::join!(occupied, requests);
    assert!(outcomes.iter().all(Result::is_err), "the pool was not full all the time");
    assert_eq!(send(&app, READ).await.status, 200);
}

async fn full_write_pool_is_answered_503_and_reads_succeed(backend: Backend) {
    let settings = [SHORT_TIMEOUT, ("SAVANNAH_DATABASE__MAX_WRITE_CONNECTIONS", "2")];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let writers = if backend == Backend::Postgres { 2 } else { 1 };
    let (started, release) = (watch::Sender::new(0), watch::Sender::new(false));
    let occupied = join_all((0..writers).map(|_| {
        app.db.write(async |_| {
            started.send_modify(|count| *count += 1);
            release.subscribe().wait_for(|is_released| *is_released).await.expect("a release");
            Ok(())
        })
    }));
    let requests = async {
        started.subscribe().wait_for(|count| *count == writers).await.expect("transactions");
        assert_overloaded(&send(&app, WRITE).await);
        let read = send(&app, READ).await;
        assert_eq!((read.status, read.json()["errors"].is_null()), (200, true), "{read:?}");
        release.send_replace(true);
    };
    let (outcomes, ()) = tokio::join!(occupied, requests);
    assert!(outcomes.iter().all(Result::is_ok), "a transaction failed");
    let written = send(&app, WRITE).await;
    assert_eq!((written.status, written.json()["errors"].is_null()), (200, true), "{written:?}");
}

async fn pools_keep_the_least_number_of_connections(backend: Backend) {
    if backend == Backend::Sqlite {
        return; // It opens all connections at the start.
    }
    let settings = [
        ("SAVANNAH_DATABASE__MIN_CONNECTIONS", "3"),
        ("SAVANNAH_DATABASE__MAX_CONNECTIONS", "5"),
        ("SAVANNAH_DATABASE__MAX_WRITE_CONNECTIONS", "4"),
    ];
    let app = TestApp::start_with_settings(backend, &settings).await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    let started_at = Instant::now();
    while app.query_scalar(count).await < 6 {
        assert!(started_at.elapsed() < PATIENCE, "{} connections", app.query_scalar(count).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    join_all((0..32).map(|_| send(&app, READ))).await;
    join_all((0..32).map(|_| send(&app, WRITE))).await;
    let open = app.query_scalar(count).await;
    assert!((6..=9).contains(&open), "{open} connections");
}
