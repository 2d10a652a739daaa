//! Background jobs: pending, failed and scheduled.
#![expect(clippy::unused_async, reason = "resolvers are async even if they do not await")]

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, dataloader::Loader};
use chrono::{DateTime, Utc};

use crate::{
    base::{Error, GlobalId, Result, global_id::NodeType, pagination::PageRequest},
    graphql::{
        context::request_context,
        guard::RequirePermission,
        loader::{Loaders, batch_loader},
        node::{Node, find_node},
        pagination::{compute_connection_cost, connection, edge, paged_list},
        payload::payload,
    },
    identity::Permission,
    infra::{
        entity::JobStatus,
        jobs::{
            admin::{self, JobRow, JobRowFilter},
            schedule,
        },
    },
};

batch_loader!(
    /// Loads background jobs, without an access check.
    JobKey, JobRow, |loaders, keys| admin::find_jobs(&loaders.db, keys)
);

/// Status of a background job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "JobStatus", name = "JobStatus")]
pub enum JobStatusEnum {
    /// Waiting to run at `dueAt`.
    Pending,
    /// Running on a worker.
    Running,
    /// Completed.
    Done,
    /// Dead letter: attempts exhausted or failed permanently; requires a manual decision.
    Dead,
    /// Discarded manually; will not run.
    Discarded,
}

/// Background job: an event handler invocation or a queued job. Its payload is not exposed.
#[derive(Debug)]
pub struct Job(JobRow);

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        Self(row)
    }
}

/// Background job: an event handler invocation or a queued job. Its payload is not exposed.
#[Object]
impl Job {
    /// Global ID.
    pub(in crate::graphql) async fn id(&self) -> ID {
        GlobalId::new(NodeType::Job, self.0.id).encode().into()
    }

    /// Job name, or `handler/event` for an event handler invocation.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// Queue name.
    async fn queue(&self) -> &str {
        &self.0.queue
    }

    /// Job status.
    async fn status(&self) -> JobStatusEnum {
        self.0.status.into()
    }

    /// Ordering key of the event as `type:key`, such as `order:7`: events with one key are handled in order. Null for a
    /// job.
    async fn ordering_key(&self) -> Option<&str> {
        self.0.aggregate.as_deref()
    }

    /// Object that the event is about; null for a job, and if the object does not exist or the caller may not see it.
    async fn subject(&self, ctx: &Context<'_>) -> Result<Option<Node>> {
        let Some((name, key)) = self.0.aggregate.as_deref().and_then(|aggregate| aggregate.split_once(':')) else {
            return Ok(None);
        };
        let node_type = match name {
            "account" => NodeType::Account,
            "customer" => NodeType::Customer,
            "order" => NodeType::Order,
            "product" => NodeType::Product,
            "variant" => NodeType::Variant,
            _ => return Ok(None),
        };
        let Ok(key) = key.parse() else { return Ok(None) };
        Box::pin(find_node(ctx, GlobalId::new(node_type, key))).await
    }

    /// Number of attempts started.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// Error message of the last failure; null if it has not failed. The log has the details.
    async fn error(&self) -> Option<&str> {
        self.0.last_error.as_deref()
    }

    /// Earliest time of the next attempt; for a running job, the time its lease expires. Null for a finished job.
    async fn due_at(&self) -> Option<DateTime<Utc>> {
        self.0.run_at
    }

    /// Enqueue time.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Time of the last status change.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

/// Filter for background jobs. Conditions are combined with AND; omitted fields do not filter.
#[derive(Debug, Default, InputObject)]
pub struct JobFilter {
    /// Job status; `DEAD` lists the dead letters.
    status: Option<JobStatusEnum>,
    /// Queue name.
    queue: Option<String>,
    /// Exact job kind.
    kind: Option<String>,
}

edge!(
    /// Background job with its cursor.
    JobEdge { cursor = "Cursor of the job.", node: Job = "Background job." }
);

connection!(
    /// Page of background jobs, newest first.
    JobConnection(JobRowFilter) {
        nodes: Vec<Job> = "Jobs of the page.",
        edges: Vec<JobEdge> = "Jobs of the page with their cursors.",
        page_info = "Pagination information.",
        total_count = "Number of jobs that match the filter, across all pages.",
    }
);

paged_list!(
    JobRowFilter,
    JobRow,
    |filter, db, request| admin::list_jobs(db, filter, request),
    |_, row| row.cursor(),
    |filter, db| admin::count_jobs(db, filter)
);

/// Scheduled task.
#[derive(Debug, SimpleObject)]
pub struct Schedule {
    /// Task name; its runs are jobs of this kind.
    name: String,
    /// Cron expression in UTC: seconds, minutes, hours, days of the month, months, days of the week.
    cron: String,
    /// Next scheduled run.
    next_at: DateTime<Utc>,
    /// Last run; null if it has never run.
    last_at: Option<DateTime<Utc>>,
}

payload!(
    /// Payload of the job mutations.
    JobPayload {
        /// Job after the mutation; null if nothing was changed.
        job: Job
    }
);

/// Background job queries.
#[derive(Debug, Default)]
pub struct JobQuery;

#[Object]
impl JobQuery {
    /// Background jobs, newest first, paginated.
    #[graphql(
        guard = "RequirePermission(Permission::JobWrite)",
        complexity = "compute_connection_cost(first, last, child_complexity)"
    )]
    async fn jobs(
        &self,
        #[graphql(desc = "Returns the first n items (0-100, default 20).")] first: Option<i32>,
        #[graphql(desc = "Returns items after this cursor; use with `first`.")] after: Option<String>,
        #[graphql(desc = "Returns the last n items (0-100).")] last: Option<i32>,
        #[graphql(desc = "Returns items before this cursor; use with `last`.")] before: Option<String>,
        #[graphql(desc = "Filter conditions, combined with AND.")] filter: Option<JobFilter>,
    ) -> Result<Option<JobConnection>> {
        let page_request = PageRequest::new(first, after, last, before)?;
        let JobFilter { status, queue, kind } = filter.unwrap_or_default();
        let job_filter = JobRowFilter { status: status.map(JobStatus::from), queue, kind };
        Ok(Some(JobConnection::new(job_filter, page_request)))
    }

    /// Scheduled tasks, by name.
    #[graphql(guard = "RequirePermission(Permission::JobWrite)")]
    async fn schedules(&self, ctx: &Context<'_>) -> Result<Option<Vec<Schedule>>> {
        let rows = schedule::list_schedules(&request_context(ctx).db).await?;
        let to_schedule = |schedule::ScheduleRow { name, cron, next_run_at, last_run_at, .. }| Schedule {
            name,
            cron,
            next_at: next_run_at,
            last_at: last_run_at,
        };
        Ok(Some(rows.into_iter().map(to_schedule).collect()))
    }
}

/// Background job mutations.
#[derive(Debug, Default)]
pub struct JobMutation;

#[Object]
impl JobMutation {
    /// Retries a dead or discarded job with a fresh attempt count; a pending job runs now.
    #[graphql(guard = "RequirePermission(Permission::JobWrite)")]
    async fn job_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the job.")] id: ID,
    ) -> Result<Option<JobPayload>> {
        JobPayload::from_result(retry_or_discard_job(ctx, &id, true).await)
    }

    /// Discards a pending or dead job; dependent jobs continue.
    #[graphql(guard = "RequirePermission(Permission::JobWrite)")]
    async fn job_discard(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "ID of the job.")] id: ID,
    ) -> Result<Option<JobPayload>> {
        JobPayload::from_result(retry_or_discard_job(ctx, &id, false).await)
    }
}

async fn retry_or_discard_job(ctx: &Context<'_>, id: &ID, is_retry: bool) -> Result<JobRow> {
    let job_id = GlobalId::decode_as(id, NodeType::Job, "id")?;
    let db = &request_context(ctx).db;
    if is_retry { admin::retry_job(db, job_id).await } else { admin::discard_job(db, job_id).await }
}
