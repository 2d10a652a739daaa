//! `savannah jobs`: inspection and administration of background jobs.

use clap::{Args, Subcommand};
use sea_orm::ActiveEnum;

use super::database::connect_initialized_database;
use crate::{
    base::{Error, Result, pagination, pagination::PageRequest},
    infra::{
        Config, Db,
        entity::JobStatus,
        jobs::{
            admin::{self, JobRow, JobRowFilter},
            schedule,
        },
    },
};

/// Subcommands of `jobs`.
#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// List jobs and event deliveries, newest first.
    #[command(after_help = "Example:\n  savannah jobs list --state dead")]
    List(JobListArgs),
    /// Show one job with its last error.
    #[command(after_help = "Example:\n  savannah jobs show 4711")]
    Show(JobIdArgs),
    /// Retry dead or discarded jobs; run pending jobs immediately.
    #[command(
        after_help = "Example:\n  savannah jobs retry 4711 4712\n  savannah jobs retry --dead --kind notification.send"
    )]
    Retry(JobSelectionArgs),
    /// Discard pending or dead jobs: they will not run.
    #[command(after_help = "Example:\n  savannah jobs discard 4711")]
    Discard(JobSelectionArgs),
    /// List the schedules.
    #[command(after_help = "Example:\n  savannah jobs schedules")]
    Schedules,
}

/// Arguments of `jobs list`.
#[derive(Debug, Args)]
pub(super) struct JobListArgs {
    /// Filter by state: pending, running, done, dead or discarded.
    #[arg(long, value_parser = parse_job_state)]
    state: Option<JobStatus>,
    /// Filter by queue.
    #[arg(long)]
    queue: Option<String>,
    /// Filter by kind.
    #[arg(long)]
    kind: Option<String>,
    /// Maximum number of jobs.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Arguments of `jobs show`.
#[derive(Debug, Args)]
pub(super) struct JobIdArgs {
    /// ID of the job, as shown by `list`.
    id: i64,
}

/// Selection of jobs: by ID, or all dead ones.
#[derive(Debug, Args)]
pub(super) struct JobSelectionArgs {
    /// IDs of the jobs, as shown by `list`.
    #[arg(required_unless_present = "dead")]
    ids: Vec<i64>,
    /// Select all dead jobs.
    #[arg(long, conflicts_with = "ids")]
    dead: bool,
    /// Restrict `--dead` to one kind.
    #[arg(long, requires = "dead")]
    kind: Option<String>,
}

fn parse_job_state(text: &str) -> Result<JobStatus, String> {
    JobStatus::try_from_value(&text.to_owned())
        .map_err(|_| "it must be pending, running, done, dead or discarded".to_owned())
}

pub(super) async fn run_jobs_command(config: &Config, command: JobsCommand) -> Result<(), String> {
    let db = connect_initialized_database(config, false).await?;
    let outcome = match command {
        JobsCommand::List(args) => print_jobs(&db, args).await,
        JobsCommand::Show(JobIdArgs { id }) => print_job(&db, id).await,
        JobsCommand::Retry(args) => retry_or_discard_jobs(&db, args, true).await,
        JobsCommand::Discard(args) => retry_or_discard_jobs(&db, args, false).await,
        JobsCommand::Schedules => print_schedules(&db).await,
    };
    db.close().await;
    outcome.map_err(|error| error.log_message())
}

/// Visits all jobs that match the filter, page by page, up to `limit`; returns their count.
async fn for_each_job(
    db: &Db,
    filter: &JobRowFilter,
    limit: usize,
    mut visit: impl AsyncFnMut(&JobRow) -> Result<()>,
) -> Result<usize> {
    let (mut count, mut cursor) = (0, None);
    loop {
        let size = pagination::MAX_PAGE_SIZE.min(limit - count);
        let job_page = admin::list_jobs(db, filter, &PageRequest { size, backwards: false, cursor }).await?;
        for row in &job_page.rows {
            visit(row).await?;
        }
        count += job_page.rows.len();
        cursor = job_page.rows.last().map(JobRow::cursor);
        if !job_page.has_next || count >= limit {
            return Ok(count);
        }
    }
}

async fn print_jobs(db: &Db, args: JobListArgs) -> Result<()> {
    let JobListArgs { state, queue, kind, limit } = args;
    let filter = JobRowFilter { status: state, queue, kind };
    let count = for_each_job(db, &filter, limit, async |row| {
        println!("{}", format_job(row));
        Ok(())
    });
    if count.await? == 0 {
        println!("no jobs found");
    }
    Ok(())
}

fn format_job(row: &JobRow) -> String {
    let subject = row.aggregate.as_deref().map(|subject| format!("  {subject}")).unwrap_or_default();
    let error = row.last_error.as_deref().map(|error| format!("  {error}")).unwrap_or_default();
    format!("{}  {:<9}  {}{subject}  attempts {}{error}", row.id, row.status.to_value(), row.kind, row.attempts)
}

async fn print_job(db: &Db, id: i64) -> Result<()> {
    let row = admin::find_job(db, id).await?.ok_or_else(|| Error::not_found("", "job"))?;
    println!("{}", format_job(&row));
    println!("queue {}, created {}, updated {}", row.queue, row.created_at, row.updated_at);
    if let Some(due_at) = row.run_at {
        println!("due {due_at}");
    }
    Ok(())
}

async fn retry_or_discard_jobs(db: &Db, args: JobSelectionArgs, is_retry: bool) -> Result<()> {
    let JobSelectionArgs { mut ids, dead, kind } = args;
    if dead {
        let filter = JobRowFilter { status: Some(JobStatus::Dead), kind, ..JobRowFilter::default() };
        for_each_job(db, &filter, usize::MAX, async |row| {
            ids.push(row.id);
            Ok(())
        })
        .await?;
    }
    for id in &ids {
        let row = if is_retry { admin::retry_job(db, *id).await? } else { admin::discard_job(db, *id).await? };
        println!("{}", format_job(&row));
    }
    println!("{} {}", ids.len(), if is_retry { "will be retried" } else { "discarded" });
    Ok(())
}

async fn print_schedules(db: &Db) -> Result<()> {
    for row in schedule::list_schedules(db).await? {
        let last_run = row.last_run_at.map_or("never".to_owned(), |last_run_at| last_run_at.to_string());
        println!("{}  \"{}\"  next {}  last {last_run}", row.name, row.cron, row.next_run_at);
    }
    Ok(())
}
