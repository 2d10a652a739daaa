//! Jobs: stored with the change that wants them, done after, tried again, and given up.

use std::sync::Arc;

use chrono::TimeDelta;
use savannah::{
    base::{Error, Result, error::PublicErrorCode},
    infra::{
        JobContext,
        jobs::{BackgroundJob, JobOutcome, JobRegistry, Worker},
    },
};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use crate::{
    integration_tests,
    support::{Backend, CliSandbox, TestApp, parse_datetime},
};

integration_tests![
    job_of_a_rolled_back_transaction_is_not_run,
    failing_job_is_retried_with_backoff_until_dead,
    pending_job_with_the_same_key_is_deduplicated,
    worker_with_an_expired_lease_cannot_complete_the_job,
    jobs_command_lists_retries_and_discards_dead_jobs,
];

/// Something to be written down, or not.
#[derive(Debug, Serialize, Deserialize)]
pub struct RecordNumber {
    pub number: i64,
    pub key: Option<String>,
}

impl BackgroundJob for RecordNumber {
    const KIND: &'static str = "test.write";
    const QUEUE: &'static str = "test";
    const MAX_ATTEMPTS: Option<u32> = Some(4);

    fn dedup_key(&self) -> Option<String> {
        self.key.clone()
    }
}

/// Writes it down, and then does what the number wants.
pub async fn run_record_number(context: &JobContext, job: RecordNumber) -> JobOutcome {
    if let Err(error) = insert_number(context, job.number).await {
        return JobOutcome::from(Err(error));
    }
    match job.number {
        13 => panic!("panic requested by the test"),
        7 => JobOutcome::Fail("the number is out of service".into()),
        5 => JobOutcome::Retry("the line is busy".into()),
        4 => JobOutcome::from(Err(Error::user(PublicErrorCode::NotFound, "", "there is no such number"))),
        _ => JobOutcome::Done,
    }
}

async fn insert_number(context: &JobContext, number: i64) -> Result<()> {
    context
        .db
        .write(async |tx| {
            let mut sql = tx.sql();
            sql.push("INSERT INTO done (number) VALUES (").bind(number).push(")");
            tx.execute_raw(sql.into_statement()).await?;
            Ok(())
        })
        .await
}

/// A shop that does such jobs.
pub async fn start_app_with_test_job(backend: Backend, settings: &[(&str, &str)]) -> TestApp {
    let mut app = TestApp::start_with_settings(backend, settings).await;
    app.job_registry = Arc::new(JobRegistry::default().with_job::<RecordNumber>(run_record_number));
    app.execute_sql("CREATE TABLE done (number BIGINT)").await.expect("a table");
    app
}

pub async fn enqueue_number(app: &TestApp, number: i64) {
    let stored = app.db.write(async |tx| tx.enqueue_job(RecordNumber { number, key: None }).await).await;
    stored.unwrap_or_else(|error| panic!("not stored: {}", error.log_message()));
}

async fn count_runs(app: &TestApp, number: i64) -> i64 {
    app.query_scalar(&format!("SELECT count(*) FROM done WHERE number = {number}")).await
}

async fn job_of_a_rolled_back_transaction_is_not_run(backend: Backend) {
    let app = start_app_with_test_job(backend, &[]).await;
    let rolled_back: Result<()> = app
        .db
        .write(async |tx| {
            tx.enqueue_job(RecordNumber { number: 1, key: None }).await?;
            Err(Error::bad_input("", "rejected by the test"))
        })
        .await;
    assert!(rolled_back.is_err());
    enqueue_number(&app, 2).await;
    let later = app.db.now() + TimeDelta::hours(1);
    let stored = app.db.write(async |tx| tx.enqueue_job_at(RecordNumber { number: 3, key: None }, later).await).await;
    assert!(stored.is_ok());
    app.run_pending_jobs().await;
    assert_eq!((count_runs(&app, 1).await, count_runs(&app, 2).await, count_runs(&app, 3).await), (0, 1, 0));
    app.clock.set(later);
    app.run_pending_jobs().await;
    assert_eq!((count_runs(&app, 2).await, count_runs(&app, 3).await), (1, 1));
}

async fn failing_job_is_retried_with_backoff_until_dead(backend: Backend) {
    let app = start_app_with_test_job(backend, &[("SAVANNAH_JOBS__BACKOFF", "1m")]).await;
    for number in [13, 7, 5, 4, 1] {
        enqueue_number(&app, number).await;
    }
    app.drain_jobs().await;
    let dead = "SELECT count(*) FROM job WHERE status = 'dead'";
    assert_eq!(app.query_scalar(dead).await, 2, "what can never be is not tried again");
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE last_error LIKE '%there is no such number%'").await, 1);
    // A minute, less up to a half; then two.
    for (time, attempts) in
        [("09:00:29", 1), ("09:01:00", 2), ("09:01:59", 2), ("09:03:00", 3), ("10:00:00", 4), ("12:00:00", 4)]
    {
        app.clock.set(parse_datetime(&format!("2026-11-01T{time}Z")));
        app.drain_jobs().await;
        assert_eq!((count_runs(&app, 5).await, count_runs(&app, 13).await), (attempts, attempts), "{time}");
    }
    assert_eq!(app.query_scalar(dead).await, 4);
    assert_eq!((count_runs(&app, 7).await, count_runs(&app, 4).await, count_runs(&app, 1).await), (1, 1, 1));
}

async fn pending_job_with_the_same_key_is_deduplicated(backend: Backend) {
    let app = start_app_with_test_job(backend, &[]).await;
    for key in ["a", "b", "a", "a"] {
        let job = RecordNumber { number: 1, key: Some(key.into()) };
        assert!(app.db.write(async |tx| tx.enqueue_job(job).await).await.is_ok());
    }
    app.run_pending_jobs().await;
    assert_eq!(count_runs(&app, 1).await, 2);
    let job = RecordNumber { number: 1, key: Some("a".into()) };
    assert!(app.db.write(async |tx| tx.enqueue_job(job).await).await.is_ok());
    app.run_pending_jobs().await;
    assert_eq!(count_runs(&app, 1).await, 3, "what is done stands in nobody's way");
}

async fn worker_with_an_expired_lease_cannot_complete_the_job(backend: Backend) {
    let mut app = start_app_with_test_job(backend, &[]).await;
    let (start_count, started) = tokio::sync::watch::channel(0);
    let (gate_sender, _) = tokio::sync::watch::channel(false);
    let gate = gate_sender.clone();
    let slow = move |context: &JobContext, job: RecordNumber| {
        let (context, start_count, mut gate) = (context.clone(), start_count.clone(), gate.subscribe());
        async move {
            let mut first = false;
            start_count.send_modify(|count| {
                first = *count == 0;
                *count += 1;
            });
            if first {
                gate.wait_for(|open| *open).await.expect("a gate");
                return JobOutcome::Retry("too late".into());
            }
            run_record_number(&context, job).await
        }
    };
    app.job_registry = Arc::new(JobRegistry::default().with_job::<RecordNumber>(slow));
    enqueue_number(&app, 1).await;
    let worker: Worker = app.create_worker().await;
    let stale_worker = tokio::spawn(async move { worker.run_until_idle().await.map_err(|error| error.log_message()) });
    started.clone().wait_for(|count| *count == 1).await.expect("it has begun");
    assert_eq!(app.drain_jobs().await, 0, "somebody has it");
    app.clock.set(parse_datetime("2026-11-01T09:01:00Z"));
    assert_eq!(app.drain_jobs().await, 1, "its lease is over");
    gate_sender.send_replace(true);
    stale_worker.await.expect("an end").expect("an end");
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'done' AND attempts = 2").await, 1);
    assert_eq!(count_runs(&app, 1).await, 1);
    app.run_pending_jobs().await;
}

async fn jobs_command_lists_retries_and_discards_dead_jobs(backend: Backend) {
    let app = start_app_with_test_job(backend, &[]).await;
    enqueue_number(&app, 7).await;
    enqueue_number(&app, 4).await;
    app.drain_jobs().await;
    let sandbox = CliSandbox::new(&[("DATABASE_URL", app.database_url())]);
    let list = sandbox.run_command(&["jobs", "list", "--state", "dead"], &[]).await;
    assert_eq!(list.exit_code, Some(0), "{list:?}");
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{list:?}");
    assert!(lines[1].contains("test.write") && lines[1].contains("out of service"), "{list:?}");
    let id = |line: &str| line.split(' ').next().expect("a number").to_owned();
    let output = sandbox.run_command(&["jobs", "show", &id(lines[1])], &[]).await;
    assert!(output.stdout.contains("queue test") && output.stdout.contains("out of service"), "{output:?}");
    let discarded = sandbox.run_command(&["jobs", "discard", &id(lines[0])], &[]).await;
    assert_eq!((discarded.exit_code, discarded.stdout.contains("discarded")), (Some(0), true), "{discarded:?}");
    let retry_output = sandbox.run_command(&["jobs", "retry", "--dead"], &[]).await;
    assert_eq!(
        (retry_output.exit_code, retry_output.stdout.contains("1 will be retried")),
        (Some(0), true),
        "{retry_output:?}"
    );
    assert_eq!(app.query_scalar("SELECT count(*) FROM job WHERE status = 'pending' AND attempts = 0").await, 1);
    let retry_output = sandbox.run_command(&["jobs", "retry", "4711"], &[]).await;
    assert_eq!(
        (retry_output.exit_code, retry_output.stderr.contains("there is no such job")),
        (Some(1), true),
        "{retry_output:?}"
    );
    let none = sandbox.run_command(&["jobs", "list", "--queue", "nowhere"], &[]).await;
    assert_eq!((none.exit_code, none.stdout.trim()), (Some(0), "no jobs found"));
}
