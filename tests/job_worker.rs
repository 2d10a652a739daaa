//! Workers as they run: several on one database, woken, stopped, killed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use savannah::infra::{
    JobContext,
    jobs::{JobOutcome, JobRegistry, Worker},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    integration_tests,
    jobs::{RecordNumber, enqueue_number, run_record_number, start_app_with_test_job},
    outbox_relay,
    support::{Backend, CliSandbox, TestApp},
};

integration_tests![
    concurrent_workers_run_each_job_once,
    worker_is_notified_of_new_jobs,
    stopping_worker_finishes_running_jobs,
    worker_stopped_after_timeout_releases_running_jobs,
    queue_concurrency_limit_is_respected,
    events_are_delivered_without_polling_delay,
    worker_command_runs_jobs_and_stops_on_signal,
];

/// Far longer than a test takes: a job that is found was found by a notification.
const LONG_POLL_SETTING: (&str, &str) = ("SAVANNAH_JOBS__POLL_INTERVAL", "1h");
const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A running worker, until it is stopped.
struct RunningWorker {
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl RunningWorker {
    async fn start(context: JobContext, registry: &Arc<JobRegistry>, timeout: Duration) -> Self {
        let worker = Worker::create(context, Arc::clone(registry)).await;
        let worker = Arc::new(worker.unwrap_or_else(|error| panic!("no worker: {}", error.log_message())));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { worker.run(&shutdown, timeout).await }
        });
        Self { shutdown, task }
    }

    /// Ends it, and lets go of a database of its own.
    async fn stop_and_close(self, context: JobContext) {
        self.stop().await;
        context.db.close().await;
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("an end");
    }
}

/// Waits until a query returns this number.
async fn wait_for_scalar(app: &TestApp, sql: &str, expected: i64) {
    let started_at = Instant::now();
    while app.query_scalar(sql).await != expected {
        assert!(started_at.elapsed() < WAIT_TIMEOUT, "{} instead of {expected}: {sql}", app.query_scalar(sql).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn concurrent_workers_run_each_job_once(backend: Backend) {
    let app = start_app_with_test_job(backend, &[("SAVANNAH_DATABASE__MAX_CONNECTIONS", "4")]).await;
    for number in 0..64 {
        enqueue_number(&app, 100 + number).await;
    }
    let mut workers = Vec::new();
    for _ in 0..4 {
        let context = app.open_second_job_context().await;
        workers.push((RunningWorker::start(context.clone(), &app.job_registry, WAIT_TIMEOUT).await, context));
    }
    wait_for_scalar(&app, "SELECT count(*) FROM job WHERE status = 'done'", 64).await;
    join_all(workers.into_iter().map(|(runs, context)| runs.stop_and_close(context))).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM done").await, 64);
    assert_eq!(app.query_scalar("SELECT count(DISTINCT number) FROM done").await, 64);
    assert_eq!(app.query_scalar("SELECT max(attempts) FROM job").await, 1);
}

async fn worker_is_notified_of_new_jobs(backend: Backend) {
    let app = outbox_relay::start_app_with_handlers(backend, &[LONG_POLL_SETTING]).await;
    // SQLite has no notifications between processes: there the process notifies itself.
    let context = if backend == Backend::Postgres { app.open_second_job_context().await } else { app.job_context() };
    let runs = RunningWorker::start(context.clone(), &app.job_registry, WAIT_TIMEOUT).await;
    for number in 1..=3 {
        outbox_relay::emit_test_event(&app, 1, number).await;
        wait_for_scalar(&app, "SELECT count(*) FROM heard", 2 * number).await;
    }
    runs.stop().await;
    if backend == Backend::Postgres {
        context.db.close().await;
    }
    assert_eq!(outbox_relay::delivered_numbers(&app, "touchy", 1).await, [1, 2, 3]);
    app.run_pending_jobs().await;
}

/// Starts a server whose jobs begin and end when the test lets them.
async fn start_app_with_gated_job(
    backend: Backend,
    settings: &[(&str, &str)],
) -> (TestApp, watch::Receiver<i64>, watch::Sender<bool>) {
    let mut app = start_app_with_test_job(backend, settings).await;
    let (start_count, started) = watch::channel(0);
    let (gate_sender, gate) = watch::channel(false);
    let slow = move |context: &JobContext, job: RecordNumber| {
        let (context, start_count, mut gate) = (context.clone(), start_count.clone(), gate.clone());
        async move {
            start_count.send_modify(|count| *count += 1);
            if gate.wait_for(|open| *open).await.is_err() {
                return JobOutcome::Retry("the test is over".into());
            }
            run_record_number(&context, job).await
        }
    };
    app.job_registry = Arc::new(JobRegistry::default().with_job::<RecordNumber>(slow));
    (app, started, gate_sender)
}

async fn stopping_worker_finishes_running_jobs(backend: Backend) {
    let (app, mut start_count, gate_sender) =
        start_app_with_gated_job(backend, &[("SAVANNAH_JOBS__QUEUE_CONCURRENCY", "test=1")]).await;
    enqueue_number(&app, 1).await;
    let runs = RunningWorker::start(app.job_context(), &app.job_registry, WAIT_TIMEOUT).await;
    start_count.wait_for(|count| *count == 1).await.expect("it has begun");
    // It waits for the only slot, which becomes free after the shutdown.
    enqueue_number(&app, 2).await;
    runs.shutdown.cancel();
    gate_sender.send_replace(true);
    runs.stop().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'done'").await, 1);
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'pending' AND attempts = 0").await, 1);
    app.run_pending_jobs().await;
}

async fn worker_stopped_after_timeout_releases_running_jobs(backend: Backend) {
    let (app, mut start_count, gate_sender) = start_app_with_gated_job(backend, &[]).await;
    enqueue_number(&app, 1).await;
    let runs = RunningWorker::start(app.job_context(), &app.job_registry, Duration::from_millis(1)).await;
    start_count.wait_for(|count| *count == 1).await.expect("it has begun");
    runs.stop().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'pending' AND attempts = 0").await, 1);
    gate_sender.send_replace(true);
    // Others need not wait for the lease.
    app.run_pending_jobs().await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM done").await, 1);
}

async fn queue_concurrency_limit_is_respected(backend: Backend) {
    let (app, mut start_count, gate_sender) =
        start_app_with_gated_job(backend, &[("SAVANNAH_JOBS__QUEUE_CONCURRENCY", "other=9,test=2")]).await;
    for number in 1..=3 {
        enqueue_number(&app, 100 + number).await;
    }
    let runs = RunningWorker::start(app.job_context(), &app.job_registry, WAIT_TIMEOUT).await;
    start_count.wait_for(|count| *count == 2).await.expect("two have begun");
    wait_for_scalar(&app, "SELECT count(*) FROM job WHERE status = 'running'", 2).await;
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'pending'").await, 1);
    gate_sender.send_replace(true);
    wait_for_scalar(&app, "SELECT count(*) FROM job WHERE status = 'done'", 3).await;
    runs.stop().await;
    assert_eq!(*start_count.borrow(), 3);
}

/// The delay from the commit to the event handler is measured on whatever this runs on, and only to be far from a poll.
async fn events_are_delivered_without_polling_delay(backend: Backend) {
    let app = outbox_relay::start_app_with_handlers(backend, &[LONG_POLL_SETTING]).await;
    let runs = RunningWorker::start(app.job_context(), &app.job_registry, WAIT_TIMEOUT).await;
    let started_at = Instant::now();
    for number in 1..=100 {
        outbox_relay::emit_test_event(&app, number, number).await;
    }
    let outcome = started_at.elapsed();
    wait_for_scalar(&app, "SELECT count(*) FROM heard", 200).await;
    let after = started_at.elapsed().checked_sub(outcome).unwrap_or_default();
    runs.stop().await;
    println!("{}: 100 events in {outcome:?}, all heard {after:?} after the last", backend.name());
    assert!(after < Duration::from_secs(5), "the last was heard {after:?} after it was told");
}

async fn worker_command_runs_jobs_and_stops_on_signal(backend: Backend) {
    let app = TestApp::start(backend).await;
    // The clocks differ: the binary's is the real one.
    app.drain_jobs().await;
    app.execute_sql("UPDATE schedule SET next_run_at = created_at").await.expect("a change");
    let sandbox = CliSandbox::new(&[("DATABASE_URL", app.database_url())]);
    let worker = sandbox.start_command(&["worker"]);
    worker.wait_for_log("has started processing jobs").await;
    let all =
        "SELECT CASE WHEN count(*) >= (SELECT count(*) FROM schedule) THEN 1 ELSE 0 END FROM job WHERE status = 'done'";
    wait_for_scalar(&app, all, 1).await;
    worker.send_signal("TERM");
    let exited = worker.wait_for_exit().await;
    assert_eq!(exited.exit_code, Some(0), "{exited:?}");
    let list = sandbox.run_command(&["jobs", "schedules"], &[]).await;
    assert!(list.stdout.contains("session.prune") && !list.stdout.contains("last never"), "{list:?}");
}
