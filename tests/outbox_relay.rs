//! Events reach their reactions: each once, in the order of what they happened to, whatever happens to others.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use savannah::{
    base::{Error, Result, error::PublicErrorCode},
    identity::Role,
    infra::{
        Tx,
        jobs::{JobRegistry, register_job_handlers},
        outbox::{DeliveredEvent, Event},
    },
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    integration_tests,
    support::{Backend, TestApp, parse_datetime},
};

integration_tests![
    event_is_delivered_to_each_handler_once,
    events_of_one_aggregate_are_delivered_in_order,
    permanently_failing_delivery_becomes_a_dead_job,
    staff_retry_and_discard_dead_jobs,
    events_of_one_aggregate_are_numbered_without_gaps,
    killed_worker_leaves_no_partial_delivery,
    failing_delivery_in_a_batch_does_not_affect_others,
    worker_without_due_jobs_writes_nothing,
    event_relayed_by_an_older_version_reaches_new_handlers,
    invalid_outbox_and_job_rows_are_rejected_by_the_database,
];

/// Shorter than the timeout for the writer.
const WRITER_WAIT_TIMEOUT: Duration = Duration::from_secs(4);

/// Something happened to a thing.
#[derive(Debug, Serialize, Deserialize)]
pub struct TestEvent {
    pub thing: i64,
    pub number: i64,
}

impl Event for TestEvent {
    const KIND: &'static str = "Poked";

    fn aggregate(&self) -> String {
        format!("thing:{}", self.thing)
    }
}

/// Writes down what it heard.
pub async fn record_event(tx: &Tx, delivered: &DeliveredEvent<TestEvent>) -> Result<()> {
    insert_delivery(tx, "steady", delivered).await
}

/// The same, but there are pokes that it cannot bear.
pub async fn record_event_or_fail(tx: &Tx, delivered: &DeliveredEvent<TestEvent>) -> Result<()> {
    insert_delivery(tx, "touchy", delivered).await?;
    let mut sql = tx.sql();
    sql.push("SELECT how FROM trouble WHERE number = ").bind(delivered.event.number);
    let Some(row) = tx.query_one_raw(sql.into_statement()).await? else { return Ok(()) };
    let operation: String = row.try_get("", "how")?;
    assert!(operation != "panic", "panic requested by the test");
    if operation == "fault" {
        let mut sql = tx.sql();
        sql.push("SELECT password FROM nowhere");
        tx.query_one_raw(sql.into_statement()).await?;
    }
    Err(Error::user(PublicErrorCode::NotFound, "", "there is no such leg"))
}

async fn insert_delivery(tx: &Tx, consumer: &str, delivered: &DeliveredEvent<TestEvent>) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("INSERT INTO heard (who, event, thing, number) VALUES (").bind(consumer).push(", ").bind(delivered.id);
    sql.push(", ").bind(delivered.event.thing).push(", ").bind(delivered.event.number).push(")");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Starts a server with two event handlers, and tables that record their calls.
pub async fn start_app_with_handlers(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    let mut app = TestApp::start_with_settings(backend, settings).await;
    app.job_registry = Arc::new(
        JobRegistry::default()
            .on_event::<TestEvent>("steady", record_event)
            .on_event::<TestEvent>("touchy", record_event_or_fail),
    );
    let key = if backend == Backend::Sqlite { "INTEGER PRIMARY KEY" } else { "BIGSERIAL PRIMARY KEY" };
    let create_table_sql =
        format!("CREATE TABLE heard (id {key}, who TEXT, event BIGINT, thing BIGINT, number BIGINT)");
    app.execute_sql(&create_table_sql).await.expect("a table");
    app.execute_sql("CREATE TABLE trouble (number BIGINT, how TEXT)").await.expect("a table");
    app
}

pub async fn emit_test_event(app: &TestApp, product: i64, number: i64) {
    let outcome = app.db.write(async |tx| tx.emit_event(TestEvent { thing: product, number }).await).await;
    outcome.unwrap_or_else(|error| panic!("not emitted: {}", error.log_message()));
}

/// Returns the numbers that a handler received, in order.
pub async fn delivered_numbers(app: &TestApp, consumer: &str, product: i64) -> Vec<i64> {
    let mut sql = app.db.sql();
    sql.push("SELECT number FROM heard WHERE who = ")
        .bind(consumer)
        .push(" AND thing = ")
        .bind(product)
        .push(" ORDER BY id");
    let rows = app.db.writer_connection().query_all_raw(sql.into_statement()).await.expect("rows");
    rows.iter().map(|row| row.try_get("", "number").expect("a number")).collect()
}

async fn event_is_delivered_to_each_handler_once(backend: Backend) {
    let app = start_app_with_handlers(backend, &[]).await;
    for number in 1..=3 {
        emit_test_event(&app, number % 2, number).await;
    }
    app.drain_jobs().await;
    for consumer in ["steady", "touchy"] {
        assert_eq!(
            (delivered_numbers(&app, consumer, 0).await, delivered_numbers(&app, consumer, 1).await),
            (vec![2], vec![1, 3])
        );
    }
    // Told again, it is known already.
    app.execute_sql("UPDATE outbox_event SET dispatched_at = NULL").await.expect("a change");
    app.run_pending_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM heard").await, 6);
    assert_eq!(app.query_scalar("SELECT count(DISTINCT event) FROM heard").await, 3);
}

async fn events_of_one_aggregate_are_delivered_in_order(backend: Backend) {
    let app = start_app_with_handlers(backend, &[]).await;
    app.execute_sql("INSERT INTO trouble VALUES (1, 'words')").await.expect("trouble");
    for number in 1..=3 {
        emit_test_event(&app, 1, number).await;
    }
    emit_test_event(&app, 2, 4).await;
    app.drain_jobs().await;
    assert_eq!(delivered_numbers(&app, "touchy", 1).await, [0; 0]);
    assert_eq!(delivered_numbers(&app, "touchy", 2).await, [4], "another thing does not wait");
    assert_eq!(delivered_numbers(&app, "steady", 1).await, [1, 2, 3], "another consumer does not wait");
    app.execute_sql("DELETE FROM trouble").await.expect("peace");
    app.clock.set(parse_datetime("2026-11-01T09:01:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(delivered_numbers(&app, "touchy", 1).await, [1, 2, 3]);
}

async fn permanently_failing_delivery_becomes_a_dead_job(backend: Backend) {
    let app = start_app_with_handlers(backend, &[("SAVANNAH_JOBS__MAX_ATTEMPTS", "3")]).await;
    app.execute_sql("INSERT INTO trouble VALUES (1, 'fault'), (2, 'panic')").await.expect("trouble");
    for number in 1..=3 {
        emit_test_event(&app, 1, number).await;
    }
    let attempts = "SELECT sum(attempts) FROM job WHERE status IN ('pending', 'dead') AND last_error IS NOT NULL";
    for (hour, tried) in [(10, 1), (11, 2), (12, 4), (13, 5), (14, 6)] {
        app.drain_jobs().await;
        assert_eq!(app.query_scalar(attempts).await, tried, "before {hour}");
        // Nothing is tried before its time.
        assert_eq!(app.drain_jobs().await, 0);
        app.clock.set(parse_datetime(&format!("2026-11-01T{hour}:00:00Z")));
    }
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'dead' AND attempts = 3").await, 2);
    assert_eq!(delivered_numbers(&app, "touchy", 1).await, [3]);
    assert_eq!(delivered_numbers(&app, "steady", 1).await, [1, 2, 3]);
    let leaking_count_sql =
        "SELECT count(*) FROM job WHERE last_error LIKE '%nowhere%' OR last_error LIKE '%password%'";
    assert_eq!(app.query_scalar(leaking_count_sql).await, 0, "what staff read holds no SQL");
}

const LIST_JOBS: &str =
    "query($filter: JobFilter, $first: Int, $after: String) { jobs(filter: $filter, first: $first, after: $after) {
    nodes { id kind queue status orderingKey attempts error dueAt } pageInfo { hasNextPage endCursor } } }";

async fn staff_retry_and_discard_dead_jobs(backend: Backend) {
    let app = start_app_with_handlers(backend, &[("SAVANNAH_JOBS__MAX_ATTEMPTS", "1")]).await;
    app.execute_sql("INSERT INTO trouble VALUES (1, 'words'), (2, 'words')").await.expect("trouble");
    for number in 1..=3 {
        emit_test_event(&app, 7, number).await;
    }
    app.drain_jobs().await;
    let admin = app.login(Role::Admin).await;
    let dead = json!({ "filter": { "status": "DEAD" } });
    let list = app.query_as(&admin, LIST_JOBS, dead.clone()).await;
    assert_eq!(list.strings_at("/jobs/nodes", "kind"), ["touchy/Poked", "touchy/Poked"]);
    assert_eq!(list.strings_at("/jobs/nodes", "orderingKey"), ["thing:7", "thing:7"]);
    assert_eq!(list.strings_at("/jobs/nodes", "error"), ["there is no such leg", "there is no such leg"]);
    assert_eq!(list.data_at("/jobs/nodes/0/attempts"), 1);
    let ids = list.strings_at("/jobs/nodes", "id");
    let page = app.query_as(&admin, LIST_JOBS, json!({ "first": 1, "filter": { "queue": "touchy" } })).await;
    let after = page.data_at("/jobs/pageInfo/endCursor");
    let page =
        app.query_as(&admin, LIST_JOBS, json!({ "first": 5, "after": after, "filter": { "queue": "touchy" } })).await;
    assert_eq!(page.data_at("/jobs/nodes").as_array().map(Vec::len), Some(2));

    let mutate_job = async |mutation: &str, id: &str| {
        let text =
            format!("mutation($id: ID!) {{ {mutation}(id: $id) {{ job {{ status }} userErrors {{ code field }} }} }}");
        app.query_as(&admin, &text, json!({ "id": id })).await
    };
    app.execute_sql("DELETE FROM trouble").await.expect("peace");
    assert_eq!(mutate_job("jobRetry", &ids[0]).await.data_at("/jobRetry/job/status"), "PENDING");
    assert_eq!(mutate_job("jobDiscard", &ids[1]).await.data_at("/jobDiscard/job/status"), "DISCARDED");
    app.run_pending_jobs().await;
    assert_eq!(delivered_numbers(&app, "touchy", 7).await, [3, 2]);
    for mutation in ["jobRetry", "jobDiscard"] {
        let rejected = [("ILLEGAL_TRANSITION".to_owned(), "id".to_owned())];
        assert_eq!(mutate_job(mutation, &ids[0]).await.user_errors(mutation), rejected, "it is done");
        let none = savannah::base::GlobalId::new(savannah::base::global_id::NodeType::Job, 4711).encode();
        assert_eq!(
            mutate_job(mutation, &none).await.user_errors(mutation),
            [("NOT_FOUND".to_owned(), "id".to_owned())]
        );
    }
    assert_eq!(mutate_job("jobRetry", &ids[1]).await.data_at("/jobRetry/job/status"), "PENDING");
    app.run_pending_jobs().await;
    assert_eq!(delivered_numbers(&app, "touchy", 7).await, [3, 2, 1]);
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM audit_log WHERE action IN ('job.retry', 'job.discard')").await,
        3
    );
    let staff = app.login(Role::Customer).await;
    assert_eq!(app.query_as(&staff, LIST_JOBS, dead).await.error_code(), "FORBIDDEN");
}

async fn events_of_one_aggregate_are_numbered_without_gaps(backend: Backend) {
    let app = start_app_with_handlers(backend, &[("SAVANNAH_DATABASE__MAX_CONNECTIONS", "16")]).await;
    let emit_events = async |client: i64| {
        for round in 0..6 {
            let number = client * 100 + round;
            let outcome = app.db.write(async |tx| {
                tx.emit_event(TestEvent { thing: 1, number }).await?;
                if number % 3 == 0 { Err(Error::bad_input("", "rejected by the test")) } else { Ok(()) }
            });
            assert_eq!(outcome.await.is_ok(), number % 3 != 0);
        }
    };
    join_all((0..16).map(emit_events)).await;
    let committed_count =
        (0..16).flat_map(|client| (0..6).map(move |round| client * 100 + round)).filter(|candidate| candidate % 3 != 0);
    let committed_count = i64::try_from(committed_count.count()).expect("a number");
    assert_eq!(app.query_scalar("SELECT count(DISTINCT sequence) FROM outbox_event").await, committed_count);
    assert_eq!(
        app.query_scalar("SELECT min(sequence) * 1000 + max(sequence) FROM outbox_event").await,
        1000 + committed_count
    );
    let unordered_sql =
        "SELECT count(*) FROM outbox_event AS a JOIN outbox_event AS b ON a.id < b.id AND a.sequence > b.sequence";
    assert_eq!(app.query_scalar(unordered_sql).await, 0, "keys follow the numbers");
    app.run_pending_jobs().await;
    let order =
        "SELECT count(*) FROM heard AS a JOIN heard AS b ON a.who = b.who AND a.id < b.id AND a.event > b.event";
    assert_eq!(app.query_scalar(order).await, 0, "told in their order");
    assert_eq!(app.query_scalar("SELECT count(*) FROM heard").await, 2 * committed_count);
}

async fn killed_worker_leaves_no_partial_delivery(backend: Backend) {
    let app = start_app_with_handlers(backend, &[]).await;
    emit_test_event(&app, 1, 1).await;
    emit_test_event(&app, 1, 2).await;
    app.create_worker().await.run_until_idle().await.expect("work");
    // As it was when a worker had begun, and was gone before its transaction was committed.
    let begin_sql = "UPDATE job SET status = 'running', locked_by = 'gone', attempts = 1, run_at = created_at";
    app.execute_sql("DELETE FROM heard").await.expect("nothing heard");
    app.execute_sql(begin_sql).await.expect("a change");
    let lease = if backend == Backend::Sqlite { "'2026-11-01T09:01:00+00:00'" } else { "'2026-11-01T09:01:00Z'" };
    app.execute_sql(&format!("UPDATE job SET run_at = {lease}")).await.expect("a lease");
    assert_eq!(app.drain_jobs().await, 0, "it may still come back");
    app.clock.set(parse_datetime("2026-11-01T09:01:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(delivered_numbers(&app, "steady", 1).await, [1, 2]);
    assert_eq!(delivered_numbers(&app, "touchy", 1).await, [1, 2]);
    assert_eq!(app.query_scalar("SELECT min(attempts) FROM job").await, 2);
}

async fn failing_delivery_in_a_batch_does_not_affect_others(backend: Backend) {
    let app = start_app_with_handlers(backend, &[]).await;
    app.execute_sql("INSERT INTO trouble VALUES (13, 'fault'), (21, 'panic')").await.expect("trouble");
    for number in 1..=50 {
        emit_test_event(&app, number, number).await;
    }
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM heard WHERE who = 'touchy'").await, 48);
    assert_eq!(app.query_scalar("SELECT count(DISTINCT event) FROM heard WHERE who = 'touchy'").await, 48);
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'pending'").await, 2);
}

async fn worker_without_due_jobs_writes_nothing(backend: Backend) {
    let app = start_app_with_handlers(backend, &[]).await;
    app.execute_sql("INSERT INTO trouble VALUES (1, 'words')").await.expect("trouble");
    emit_test_event(&app, 1, 1).await;
    emit_test_event(&app, 1, 2).await;
    app.drain_jobs().await;
    let worker = app.create_worker().await;
    // On SQLite the only writer is in use. Pending jobs are not due, or blocked by one that is not.
    let drained = app.db.write(async |_| {
        tokio::time::timeout(WRITER_WAIT_TIMEOUT, worker.run_until_idle()).await.expect("no writer is needed")
    });
    assert_eq!(drained.await.unwrap_or_else(|reason| panic!("{}", reason.log_message())), 0);
    assert_eq!(delivered_numbers(&app, "touchy", 1).await, [0; 0]);
}

async fn event_relayed_by_an_older_version_reaches_new_handlers(backend: Backend) {
    let mut app = start_app_with_handlers(backend, &[]).await;
    let next = Arc::clone(&app.job_registry);
    let registered = register_job_handlers(&app.db, &next).await;
    assert!(registered.is_ok(), "an instance of the next version has started");
    app.job_registry = Arc::new(JobRegistry::default().on_event::<TestEvent>("steady", record_event));
    emit_test_event(&app, 1, 1).await;
    app.run_pending_jobs().await;
    assert_eq!(
        (delivered_numbers(&app, "steady", 1).await, delivered_numbers(&app, "touchy", 1).await),
        (vec![1], vec![])
    );
    app.job_registry = next;
    app.run_pending_jobs().await;
    assert_eq!(
        (delivered_numbers(&app, "steady", 1).await, delivered_numbers(&app, "touchy", 1).await),
        (vec![1], vec![1])
    );
}

async fn invalid_outbox_and_job_rows_are_rejected_by_the_database(backend: Backend) {
    let app = start_app_with_handlers(backend, &[]).await;
    emit_test_event(&app, 1, 1).await;
    emit_test_event(&app, 1, 2).await;
    app.run_pending_jobs().await;
    let columns = "queue, kind, event_id, payload, ordering_key, status, run_at, attempts, locked_by, last_error, created_at, updated_at";
    let job = |values: &str| {
        format!("INSERT INTO job ({columns}) SELECT {values}, created_at, created_at FROM outbox_event LIMIT 1")
    };
    let invalid_statements = [
        "UPDATE outbox_event SET sequence = 1".to_owned(),
        "UPDATE outbox_event SET sequence = 0 WHERE sequence = 1".to_owned(),
        "DELETE FROM outbox_event".to_owned(),
        "UPDATE job SET status = 'asleep'".to_owned(),
        "UPDATE job SET status = 'pending'".to_owned(),
        "UPDATE job SET status = 'running', run_at = created_at".to_owned(),
        "UPDATE job SET status = 'dead'".to_owned(),
        "UPDATE job SET attempts = -1".to_owned(),
        "UPDATE job SET locked_by = 'me'".to_owned(),
        "UPDATE job SET event_id = NULL".to_owned(),
        "UPDATE job SET event_id = 4711".to_owned(),
        "UPDATE job SET ordering_key = NULL".to_owned(),
        job("'q', 'k', NULL, '{}', NULL, 'pending', NULL, 0, NULL, NULL"),
        job("'', 'k', NULL, '{}', NULL, 'pending', created_at, 0, NULL, NULL"),
        job("'q', 'k', NULL, '{}', NULL, 'running', created_at, 0, 'me', NULL"),
        job("'q', 'k', id, '{}', 'l', 'pending', created_at, 0, NULL, NULL"),
        job("'steady', 'steady/Poked', id, NULL, 'l', 'pending', created_at, 0, NULL, NULL"),
        "INSERT INTO schedule SELECT 'x', '', created_at, NULL, created_at, created_at FROM outbox_event".to_owned(),
        "INSERT INTO schedule SELECT 'x', 'x', created_at, created_at, created_at, created_at FROM outbox_event"
            .to_owned(),
    ];
    for sql in invalid_statements {
        assert!(app.execute_sql(&sql).await.is_err(), "the database took: {sql}");
    }
    // A version of the shop that knows nothing of numbers writes them too.
    let old = "INSERT INTO outbox_event (event_type, aggregate, payload, created_at) SELECT event_type, aggregate, \
        payload, created_at \
        FROM outbox_event WHERE sequence = 2";
    app.execute_sql(old).await.expect("an event");
    assert_eq!(app.query_scalar("SELECT max(sequence) FROM outbox_event").await, 3);
    app.run_pending_jobs().await;
    assert_eq!(delivered_numbers(&app, "steady", 1).await, [1, 2, 2]);
}
