//! What is done after a change: what waits, what failed for good, what runs by the clock.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::{
    connection::{self, PageInfo},
    context::scope,
    guard::Can,
    payload::payload,
};
use crate::{
    base::{GlobalId, Result, id::Kind, page::Window},
    identity::Permission,
    infra::jobs::{
        list::{self, Row, State, Wanted},
        schedule,
    },
};

/// Where a piece of work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "State")]
pub enum JobState {
    /// It is to be done, at `dueAt`.
    Waiting,
    /// Somebody does it just now.
    Running,
    /// It is done.
    Done,
    /// It was tried as often as may be, or can never be done: somebody must decide.
    Dead,
    /// Somebody has decided that it will not be done.
    Discarded,
}

/// A piece of work that is done after a change: a reaction to an event, or a job. What it carries is shown to nobody.
#[derive(Debug)]
pub struct Job(Row);

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        Self(row)
    }
}

/// A piece of work that is done after a change: a reaction to an event, or a job. What it carries is shown to nobody.
#[Object]
impl Job {
    /// The lasting id.
    async fn id(&self) -> ID {
        GlobalId::new(Kind::Job, self.0.id).encode().into()
    }

    /// What is to be done: a job's name; or a reaction's name, a slash, and the event that it hears of.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The queue that it waits in.
    async fn queue(&self) -> &str {
        &self.0.queue
    }

    /// Where it stands.
    async fn state(&self) -> JobState {
        // The database holds no other words.
        State::named(&self.0.state).unwrap_or(State::Waiting).into()
    }

    /// What the event happened to, as its kind and key: `order:7`; null for a job.
    async fn about(&self) -> Option<&str> {
        self.0.aggregate.as_deref()
    }

    /// How often it was begun.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// Why it failed the last time, in words; null when it has not. The log has the whole story.
    async fn error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// When it is begun, at the earliest; of one that is running, when another worker would take it over. Null when it
    /// is over.
    async fn due_at(&self) -> Option<DateTime<Utc>> {
        self.0.due_at
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When its state changed last.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Which pieces of work are wanted. Everything said must hold; what is not said does not narrow.
#[derive(Debug, Default, InputObject)]
pub struct JobFilter {
    /// In this state; `DEAD` is the list of dead letters.
    state: Option<JobState>,
    /// In this queue.
    queue: Option<String>,
    /// Of this kind, exactly.
    kind: Option<String>,
}

/// A piece of work and its place in the list.
#[derive(Debug, SimpleObject)]
pub struct JobEdge {
    /// Where it stands in the list; the next page comes `after` it.
    cursor: String,
    /// The piece of work.
    node: Job,
}

/// A page of the list of work, the newest first.
#[derive(Debug, SimpleObject)]
pub struct JobConnection {
    /// The work of the page.
    nodes: Vec<Job>,
    /// The work of the page, each with its cursor.
    edges: Vec<JobEdge>,
    /// Where the page lies in the list.
    page_info: PageInfo,
}

/// Something that runs by the clock.
#[derive(Debug, SimpleObject)]
pub struct Schedule {
    /// What it is called; its runs are jobs of this kind.
    name: String,
    /// When it runs: seconds, minutes, hours, days of the month, months, days of the week, in UTC.
    cron: String,
    /// When it runs next.
    next_at: DateTime<Utc>,
    /// When it ran last; null when it never did.
    last_at: Option<DateTime<Utc>>,
}

payload!(
    /// What came of a decision about a piece of work.
    JobPayload {
        /// The piece of work; null when nothing was changed.
        job: Job
    }
);

/// The work's part of the query root.
#[derive(Debug, Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// What is done after changes, the newest first, page by page. One statement.
    #[graphql(guard = "Can(Permission::JobWrite)", complexity = "connection::cost(first, last, child_complexity)")]
    async fn jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The first so many, from 0 to 100; 20 when nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Only what comes after this cursor. Goes with `first`.")] after: Option<String>,
        #[graphql(desc = "The last so many, from 0 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what comes before this cursor. Goes with `last`.")] before: Option<String>,
        #[graphql(desc = "Which work. Everything said must hold.")] filter: Option<JobFilter>,
    ) -> Result<JobConnection> {
        let window = Window::new(first, after, last, before)?;
        let JobFilter { state, queue, kind } = filter.unwrap_or_default();
        let wanted = Wanted { state: state.map(State::from), queue, kind };
        let page = list::page(&scope(ctx).db, &wanted, &window).await?;
        let page_info = PageInfo::of(&page, Row::cursor);
        let edges = page.rows.iter().map(|row| JobEdge { cursor: row.cursor(), node: Job(row.clone()) }).collect();
        Ok(JobConnection { edges, nodes: page.rows.into_iter().map(Job).collect(), page_info })
    }

    /// What runs by the clock, by name; a few at most. One statement.
    #[graphql(guard = "Can(Permission::JobWrite)")]
    async fn schedules(&self, ctx: &Context<'_>) -> Result<Vec<Schedule>> {
        let all = schedule::all(&scope(ctx).db).await?;
        let told = |schedule::Row { name, cron, next_at, last_at }| Schedule { name, cron, next_at, last_at };
        Ok(all.into_iter().map(told).collect())
    }
}

/// The work's part of the mutation root.
#[derive(Debug, Default)]
pub struct JobMutation;

#[Object]
impl JobMutation {
    /// Try a piece of work again that is dead or was discarded, as often as if it were new; one that waits, at once.
    #[graphql(guard = "Can(Permission::JobWrite)")]
    async fn job_retry(&self, ctx: &Context<'_>, #[graphql(desc = "The piece of work.")] id: ID) -> Result<JobPayload> {
        JobPayload::settle(decide(ctx, &id, true).await)
    }

    /// Let go of a piece of work that waits or is dead: it will not be done. What waits for it goes on.
    #[graphql(guard = "Can(Permission::JobWrite)")]
    async fn job_discard(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The piece of work.")] id: ID,
    ) -> Result<JobPayload> {
        JobPayload::settle(decide(ctx, &id, false).await)
    }
}

async fn decide(ctx: &Context<'_>, id: &ID, again: bool) -> Result<Row> {
    let key = GlobalId::key(id, Kind::Job, "id")?;
    let db = &scope(ctx).db;
    db.write(async |tx| if again { list::retry(tx, key).await } else { list::discard(tx, key).await }).await
}
