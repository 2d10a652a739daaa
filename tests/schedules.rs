//! Schedules: one run for each due time across all workers, and one run for all missed times.

use std::sync::Arc;

use futures_util::future::join_all;
use savannah::{
    base::Result,
    identity::Role,
    infra::{
        JobContext,
        jobs::{JobRegistry, Worker},
    },
};
use serde_json::json;

use crate::{
    integration_tests, outbox_relay,
    support::{Backend, TestApp, parse_datetime},
};

integration_tests![
    missed_schedule_runs_are_made_up_once,
    schedule_run_is_started_by_one_worker,
    changed_cron_expression_applies_from_now,
    schedules_query_returns_last_and_next_run,
    finished_jobs_and_events_are_deleted_after_retention,
    invalid_job_registry_is_rejected,
];

async fn do_nothing(_: &JobContext) -> Result<()> {
    Ok(())
}

async fn start_app_with_schedule(backend: Backend, line: &'static str) -> TestApp {
    let mut app = TestApp::start(backend).await;
    app.job_registry = Arc::new(JobRegistry::default().with_schedule("test.hourly", line, do_nothing));
    app
}

async fn count_runs(app: &TestApp) -> i64 {
    app.query_scalar("SELECT count(*) FROM job WHERE kind = 'test.hourly' AND status = 'done'").await
}

async fn missed_schedule_runs_are_made_up_once(backend: Backend) {
    let app = start_app_with_schedule(backend, "0 17 * * * *").await;
    app.run_pending_jobs().await;
    assert_eq!(count_runs(&app).await, 0);
    for (time, so_far) in
        [("09:16:59", 0), ("09:17:00", 1), ("09:17:30", 1), ("15:00:00", 2), ("15:16:00", 2), ("15:17:00", 3)]
    {
        app.clock.set(parse_datetime(&format!("2026-11-01T{time}Z")));
        app.run_pending_jobs().await;
        assert_eq!(count_runs(&app).await, so_far, "{time}");
    }
}

async fn schedule_run_is_started_by_one_worker(backend: Backend) {
    let app = start_app_with_schedule(backend, "0 17 * * * *").await;
    let (mut workers, mut contexts) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let context = app.open_second_job_context().await;
        contexts.push(context.clone());
        let worker = Worker::create(context, Arc::clone(&app.job_registry)).await;
        workers.push(worker.unwrap_or_else(|error| panic!("no worker: {}", error.log_message())));
    }
    for hour in 10..20 {
        app.clock.set(parse_datetime(&format!("2026-11-01T{hour}:17:00Z")));
        let drained = join_all(workers.iter().map(Worker::run_until_idle)).await;
        for outcome in drained {
            outcome.unwrap_or_else(|error| panic!("not drained: {}", error.log_message()));
        }
    }
    for context in contexts {
        context.db.close().await;
    }
    app.run_pending_jobs().await;
    assert_eq!(count_runs(&app).await, 10);
    assert_eq!(app.query_scalar("SELECT count(*) FROM job").await, 10);
}

async fn changed_cron_expression_applies_from_now(backend: Backend) {
    let mut app = start_app_with_schedule(backend, "0 0 0 1 1 *").await;
    app.run_pending_jobs().await;
    app.job_registry = Arc::new(JobRegistry::default().with_schedule("test.hourly", "0 1 9 * * *", do_nothing));
    app.run_pending_jobs().await;
    app.clock.set(parse_datetime("2026-11-01T09:01:00Z"));
    app.run_pending_jobs().await;
    assert_eq!(count_runs(&app).await, 1);
}

async fn schedules_query_returns_last_and_next_run(backend: Backend) {
    let app = TestApp::start(backend).await;
    app.drain_jobs().await;
    let admin = app.login(Role::Admin).await;
    let query = "{ schedules { name cron nextAt lastAt } }";
    let response = app.query_as(&admin, query, json!({})).await;
    let all = response.data_at("/schedules").as_array().expect("a list").clone();
    let prune = all.iter().find(|schedule| schedule["name"] == "session.prune").expect("a schedule");
    assert_eq!(prune["cron"], "40 */10 * * * *");
    assert_eq!(prune["nextAt"], "2026-11-01T09:00:40+00:00");
    assert!(prune["lastAt"].is_null());
    app.clock.set(parse_datetime("2026-11-01T09:00:40Z"));
    app.run_pending_jobs().await;
    let response = app.query_as(&admin, query, json!({})).await;
    let all = response.data_at("/schedules").as_array().expect("a list").clone();
    let prune = all.iter().find(|schedule| schedule["name"] == "session.prune").expect("a schedule");
    assert_eq!(
        (&prune["lastAt"], &prune["nextAt"]),
        (&json!("2026-11-01T09:00:40+00:00"), &json!("2026-11-01T09:10:40+00:00"))
    );
    let customer = app.login(Role::Customer).await;
    assert_eq!(app.query_as(&customer, query, json!({})).await.error_code(), "FORBIDDEN");
}

async fn finished_jobs_and_events_are_deleted_after_retention(backend: Backend) {
    let mut app = outbox_relay::start_app_with_handlers(backend, &[("SAVANNAH_JOBS__MAX_ATTEMPTS", "1")]).await;
    app.execute_sql("INSERT INTO trouble VALUES (2, 'words')").await.expect("trouble");
    outbox_relay::emit_test_event(&app, 1, 1).await;
    outbox_relay::emit_test_event(&app, 1, 2).await;
    app.drain_jobs().await;
    app.job_registry = Arc::new(app.build_job_registry());
    app.drain_jobs().await;
    app.clock.set(parse_datetime("2026-11-30T12:00:00Z"));
    app.drain_jobs().await;
    assert_eq!(
        app.query_scalar("SELECT count(*) FROM outbox_event WHERE event_type = 'Poked'").await,
        2,
        "29 days are not 30"
    );
    app.clock.set(parse_datetime("2026-12-02T12:00:00Z"));
    app.drain_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE kind LIKE '%Poked'").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'dead'").await, 1, "somebody must decide");
    assert_eq!(
        app.query_scalar("SELECT sequence FROM outbox_event WHERE event_type = 'Poked'").await,
        2,
        "and needs to know of what"
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM outbox_event").await, 1, "the event of the dead job is deleted");
    // Numbers go on where they were.
    outbox_relay::emit_test_event(&app, 1, 3).await;
    assert_eq!(app.query_scalar("SELECT max(sequence) FROM outbox_event").await, 3);
}

async fn invalid_job_registry_is_rejected(backend: Backend) {
    let app = TestApp::start(backend).await;
    let rejected = async |registry: JobRegistry, expected: &str| {
        let error = registry.validate().expect_err("it cannot be");
        assert!(error.contains(expected), "{error}");
        assert!(Worker::create(app.job_context(), Arc::new(registry)).await.is_err());
    };
    rejected(JobRegistry::default().with_schedule("x", "whenever", do_nothing), "whenever").await;
    rejected(
        JobRegistry::default().with_schedule("x", "0 0 * * * *", do_nothing).with_schedule(
            "x",
            "0 1 * * * *",
            do_nothing,
        ),
        "twice",
    )
    .await;
    assert!(app.build_job_registry().validate().is_ok());
    app.run_pending_jobs().await;
}
