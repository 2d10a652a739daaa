//! `savannah jobs`: what waits, what failed for good, and what becomes of it.

use clap::{Args, Subcommand};

use super::open_ready;
use crate::{
    base::{Error, Result, page, page::Window},
    infra::{
        Config, Db,
        jobs::{
            list::{self, Row, State, Wanted},
            schedule,
        },
    },
};

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// List jobs and reactions to events, the newest first.
    #[command(after_help = "Example:\n  savannah jobs list --state dead")]
    List(ListArgs),
    /// Show one, with why it failed.
    #[command(after_help = "Example:\n  savannah jobs show 4711")]
    Show(IdArgs),
    /// Try again what is dead or was discarded; what waits, at once.
    #[command(
        after_help = "Example:\n  savannah jobs retry 4711 4712\n  savannah jobs retry --dead --kind send_message"
    )]
    Retry(ChoiceArgs),
    /// Let go of what waits or is dead: it will not be done.
    #[command(after_help = "Example:\n  savannah jobs discard 4711")]
    Discard(ChoiceArgs),
    /// List what runs by the clock.
    #[command(after_help = "Example:\n  savannah jobs schedules")]
    Schedules,
}

/// Which are listed.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those that are waiting, running, done, dead or discarded.
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Only those of a queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only those of a kind.
    #[arg(long)]
    kind: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// Which one.
#[derive(Debug, Args)]
pub(super) struct IdArgs {
    /// The number that `list` shows.
    id: i64,
}

/// Which ones: some by number, or all dead ones.
#[derive(Debug, Args)]
pub(super) struct ChoiceArgs {
    /// The numbers that `list` shows.
    #[arg(required_unless_present = "dead")]
    ids: Vec<i64>,
    /// All that are dead.
    #[arg(long, conflicts_with = "ids")]
    dead: bool,
    /// Of the dead, only those of a kind.
    #[arg(long, requires = "dead")]
    kind: Option<String>,
}

fn state(word: &str) -> Result<State, String> {
    State::named(word).ok_or_else(|| "it is waiting, running, done, dead or discarded".to_owned())
}

pub(super) async fn run(config: &Config, what: Jobs) -> Result<(), String> {
    let db = open_ready(config, false).await?;
    let outcome = match what {
        Jobs::List(args) => show_all(&db, args).await,
        Jobs::Show(IdArgs { id }) => show(&db, id).await,
        Jobs::Retry(args) => each(&db, args, true).await,
        Jobs::Discard(args) => each(&db, args, false).await,
        Jobs::Schedules => schedules(&db).await,
    };
    db.close().await;
    outcome.map_err(|why| why.log())
}

/// Goes through all that are wanted, page by page.
async fn pages(db: &Db, wanted: &Wanted, limit: usize, mut each: impl AsyncFnMut(&Row) -> Result<()>) -> Result<usize> {
    let (mut count, mut cursor) = (0, None);
    loop {
        let size = page::MAX.min(limit - count);
        let found = list::page(db, wanted, &Window { size, backwards: false, cursor }).await?;
        for row in &found.rows {
            each(row).await?;
        }
        count += found.rows.len();
        cursor = found.rows.last().map(Row::cursor);
        if !found.has_next || count >= limit {
            return Ok(count);
        }
    }
}

async fn show_all(db: &Db, args: ListArgs) -> Result<()> {
    let ListArgs { state, queue, kind, limit } = args;
    let wanted = Wanted { state, queue, kind };
    let count = pages(db, &wanted, limit, async |row| {
        println!("{}", line(row));
        Ok(())
    });
    if count.await? == 0 {
        println!("there are none");
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let about = row.aggregate.as_deref().map(|about| format!("  {about}")).unwrap_or_default();
    let error = row.last_error.as_deref().map(|error| format!("  {error}")).unwrap_or_default();
    format!("{}  {:<9}  {}{about}  attempts {}{error}", row.id, row.state, row.kind, row.attempts)
}

async fn show(db: &Db, id: i64) -> Result<()> {
    let row = list::find(db, id).await?.ok_or_else(|| Error::not_found("", "job"))?;
    println!("{}", line(&row));
    println!("queue {}, made {}, changed {}", row.queue, row.created_at, row.updated_at);
    if let Some(due) = row.due_at {
        println!("due {due}");
    }
    Ok(())
}

async fn each(db: &Db, args: ChoiceArgs, again: bool) -> Result<()> {
    let ChoiceArgs { mut ids, dead, kind } = args;
    if dead {
        let wanted = Wanted { state: Some(State::Dead), kind, ..Wanted::default() };
        pages(db, &wanted, usize::MAX, async |row| {
            ids.push(row.id);
            Ok(())
        })
        .await?;
    }
    for id in &ids {
        let decide = async |tx: &_| if again { list::retry(tx, *id).await } else { list::discard(tx, *id).await };
        let row = db.write(decide).await?;
        println!("{}", line(&row));
    }
    println!("{} {}", ids.len(), if again { "will be tried again" } else { "will not be done" });
    Ok(())
}

async fn schedules(db: &Db) -> Result<()> {
    for row in schedule::all(db).await? {
        let last = row.last_at.map_or("never".to_owned(), |at| at.to_string());
        println!("{}  \"{}\"  next {}  last {last}", row.name, row.cron, row.next_at);
    }
    Ok(())
}
