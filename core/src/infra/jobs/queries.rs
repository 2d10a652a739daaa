//! Statements of jobs that lock, insert or update many rows, which the query builder cannot express.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, QuerySelect, QueryTrait,
    Select, sea_query::Expr,
};
use serde_json::json;

use super::claimed_job::{ClaimRequest, ClaimedJob};
use crate::{
    base::Result,
    infra::{
        Db, SqlBuilder, Tx,
        entity::{job, outbox_event},
        sql_builder::query_rows,
    },
};

/// The number of events relayed in one transaction.
const RELAY_BATCH_SIZE: u32 = 500;
/// The key of PostgreSQL's advisory lock of the relay: an arbitrary number not used elsewhere.
const RELAY_LOCK_KEY: i64 = 7_365_761_091;

/// Source of the events that wait for their deliveries. No queue has a name with a slash.
pub(super) const EVENT_SOURCE: &str = "/events";
/// Source of the schedules.
pub(super) const SCHEDULE_SOURCE: &str = "/schedules";

/// When the first work of a source is due.
#[derive(Debug, FromQueryResult)]
pub(super) struct DueWork {
    /// Name of a queue, [`EVENT_SOURCE`] or [`SCHEDULE_SOURCE`].
    pub source: String,
    /// The time, which may be in the past; `None` without work.
    pub due_at: Option<DateTime<Utc>>,
}

/// Returns when the first work of each queue, of the events and of the schedules is due. Statements: 1.
///
/// As text, because it unites the first entries of several indexes, one of them partial, whose condition cannot be
/// bound.
pub(super) async fn find_due_work(db: &Db, queues: impl Iterator<Item = &'static str>) -> Result<Vec<DueWork>> {
    let mut sql = db.sql();
    for queue in queues {
        sql.push("SELECT CAST(").bind(queue).push(" AS TEXT) AS source, (SELECT min(run_at) FROM job WHERE queue = ");
        let placeholder_number = sql.bind_count();
        sql.placeholder(placeholder_number).push(" AND status IN ('pending', 'running')) AS due_at UNION ALL ");
    }
    sql.push(&format!(
        "SELECT '{EVENT_SOURCE}' AS source, \
         (SELECT created_at FROM outbox_event WHERE dispatched_at IS NULL ORDER BY id LIMIT 1) AS due_at \
         UNION ALL SELECT '{SCHEDULE_SOURCE}', (SELECT min(next_run_at) FROM schedule)"
    ));
    query_rows(db, sql).await
}

/// Lets a transaction commit without waiting for the disk. Only for changes inside the database, which are repeated if
/// a crash loses them. Claiming a job with external effects commits synchronously, and with it everything committed
/// before.
pub(super) async fn disable_synchronous_commit(tx: &Tx) -> Result<()> {
    if tx.sql().is_postgres() {
        tx.execute_unprepared("SET LOCAL synchronous_commit = off").await?;
    }
    Ok(())
}

/// Selects the due jobs of a queue: of each ordering key only the earliest unfinished one, and no job leased by another
/// worker unless the lease has expired.
///
/// The earliest one is looked up for each job, as the first entry of an index. A join with earlier jobs may compare all
/// jobs with each other: it is planned while there are none, and the plan is kept when there are thousands.
fn push_due_jobs_query(sql: &mut SqlBuilder, request: &ClaimRequest<'_>, now: DateTime<Utc>) {
    sql.push("SELECT j.id AS key FROM job AS j WHERE j.queue = ").bind(request.queue);
    sql.push(" AND j.status IN ('pending', 'running') AND j.run_at <= ").bind(now).push(" AND ");
    sql.eq_any_text("j.kind", request.kinds.iter().copied());
    sql.push(
        " AND (j.ordering_key IS NULL OR j.id = (SELECT e.id FROM job AS e WHERE e.ordering_key = j.ordering_key \
         AND e.status IN ('pending', 'running') ORDER BY e.id LIMIT 1)) ORDER BY j.run_at, j.id LIMIT ",
    );
    sql.push(&request.limit.to_string());
}

/// Returns whether a job of the request is due. Statements: 1.
pub(super) async fn has_due_jobs(db: &Db, request: &ClaimRequest<'_>) -> Result<bool> {
    let mut sql = db.sql();
    push_due_jobs_query(&mut sql, &ClaimRequest { limit: 1, ..*request }, db.now());
    Ok(db.query_one_raw(sql.into_statement()).await?.is_some())
}

/// Claims due jobs until `run_at`, the end of their lease. Statements: 1.
///
/// As text, because rows that another worker has locked are skipped, and the claimed ones are updated and returned with
/// their events.
pub(super) async fn claim_due_jobs(
    tx: &Tx,
    request: &ClaimRequest<'_>,
    run_at: DateTime<Utc>,
) -> Result<Vec<ClaimedJob>> {
    let mut sql = tx.sql();
    sql.push("WITH picked AS (");
    push_due_jobs_query(&mut sql, request, tx.now());
    sql.push(if sql.is_postgres() { " FOR NO KEY UPDATE SKIP LOCKED)" } else { ")" });
    sql.push(" UPDATE job SET status = 'running', attempts = attempts + 1, locked_by = ").bind(request.worker_id);
    sql.push(", run_at = ").bind(run_at).push(", updated_at = ").bind(tx.now());
    if !request.key_releasing_kinds.is_empty() {
        sql.push(", dedup_key = CASE WHEN ").eq_any_text("kind", request.key_releasing_kinds.iter().copied());
        sql.push(" THEN NULL ELSE dedup_key END");
    }
    sql.push(
        " FROM picked WHERE job.id = picked.key RETURNING id, kind, attempts, trace_context, payload, event_id, \
         (SELECT o.payload FROM outbox_event AS o WHERE o.id = event_id) AS event_payload, \
         (SELECT o.created_at FROM outbox_event AS o WHERE o.id = event_id) AS event_created_at",
    );
    query_rows(tx, sql).await
}

/// Marks jobs as done; returns how many of them the worker had still claimed. Statements: 1, of many rows.
pub(super) async fn mark_jobs_done(tx: &Tx, worker_id: &str, jobs: &[ClaimedJob]) -> Result<u64> {
    let mut sql = tx.sql();
    let rows = jobs.iter().map(|job| json!([job.id, job.attempts])).collect();
    sql.with_rows(&[("key", "bigint"), ("attempt", "int")], rows);
    sql.push("UPDATE job SET status = 'done', run_at = NULL, locked_by = NULL, last_error = NULL, updated_at = ");
    sql.bind(tx.now()).push(" FROM given WHERE job.id = given.key AND attempts = given.attempt AND locked_by = ");
    sql.bind(worker_id).push(" AND status = 'running'");
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// Inserts pending jobs, or makes pending ones with equal deduplication keys due earlier. Statements: 1.
///
/// As text, because the conflict is with a partial index, whose condition cannot be bound, and existing rows are updated
/// conditionally. On PostgreSQL a conflicting row is locked also if it is not updated: it cannot be claimed before the
/// transaction has committed, so that a job that releases its key when it starts sees the changes of the transaction.
pub(super) async fn insert_or_advance_jobs(tx: &Tx, rows: &[job::ActiveModel]) -> Result<()> {
    let mut sql = tx.sql();
    sql.insert_models(rows);
    sql.push(
        " ON CONFLICT (kind, dedup_key) WHERE dedup_key IS NOT NULL AND status IN ('pending', 'running') \
         DO UPDATE SET run_at = excluded.run_at, updated_at = excluded.updated_at \
         WHERE job.status = 'pending' AND job.run_at > excluded.run_at",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// A change of running jobs.
#[derive(Debug, Clone, Copy)]
pub(super) enum JobChanges {
    /// Sets the end of the lease.
    ExtendLease(DateTime<Utc>),
    /// Makes them due for other workers; the attempt is not counted.
    Release,
}

/// Changes jobs that a worker runs; returns how many. Statements: 1.
///
/// As text, because rows that are locked are skipped.
pub(super) async fn update_running_jobs(tx: &Tx, worker_id: &str, job_ids: &[i64], changes: JobChanges) -> Result<u64> {
    let mut sql = tx.sql();
    sql.push("WITH picked AS (SELECT id AS key FROM job WHERE locked_by = ").bind(worker_id);
    sql.push(" AND status = 'running' AND ").eq_any("id", job_ids.iter().copied());
    sql.push(if sql.is_postgres() { " ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) " } else { ") " });
    match changes {
        JobChanges::ExtendLease(lease_end) => sql.push("UPDATE job SET run_at = ").bind(lease_end),
        JobChanges::Release => {
            sql.push("UPDATE job SET status = 'pending', locked_by = NULL, attempts = attempts - 1, run_at = ");
            sql.bind(tx.now())
        }
    };
    sql.push(", updated_at = ").bind(tx.now()).push(" FROM picked WHERE job.id = picked.key");
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}

/// Returns whether an event waits for its deliveries. Statements: 1.
///
/// As text, because workers poll it and a bound limit is planned again by each execution.
pub(super) async fn has_pending_events(db: &Db) -> Result<bool> {
    let mut sql = db.sql();
    sql.push("SELECT 1 FROM outbox_event WHERE dispatched_at IS NULL LIMIT 1");
    Ok(db.query_one_raw(sql.into_statement()).await?.is_some())
}

/// Begins the statement that inserts the deliveries of events, `t`.
const INSERT_DELIVERIES_SQL: &str = "INSERT INTO job (queue, kind, event_id, trace_context, ordering_key, status, run_at, \
    attempts, created_at, updated_at) \
    SELECT s.consumer, s.consumer || '/' || t.event_type, t.id, t.trace_context, s.consumer || ' ' || t.aggregate, \
    'pending', ";

/// Relays the next pending events and assigns their positions; returns how many. Statements: 2 on PostgreSQL, 3 on SQLite.
///
/// As text, because the deliveries of many events are inserted from a join, on PostgreSQL with the update of the events.
pub(super) async fn relay_batch(tx: &Tx) -> Result<u64> {
    let mut sql = tx.sql();
    let pending_events_sql = format!(
        "SELECT o.id, o.event_type, o.aggregate, o.trace_context, row_number() OVER (ORDER BY o.id) AS number \
         FROM outbox_event AS o WHERE o.dispatched_at IS NULL ORDER BY o.id LIMIT {RELAY_BATCH_SIZE}"
    );
    let now = tx.now();
    if sql.is_postgres() {
        sql.push("SELECT pg_try_advisory_xact_lock(").bind(RELAY_LOCK_KEY).push(") AS alone");
        let row = tx.query_one_raw(sql.into_statement()).await?;
        if !row.map_or(Ok(false), |row| row.try_get("", "alone"))? {
            return Ok(0);
        }
        let mut sql = tx.sql();
        sql.push("WITH taken AS MATERIALIZED (").push(&pending_events_sql).push("), counter AS (");
        sql.push("UPDATE outbox_position SET last_position = last_position + (SELECT count(*) FROM taken) ");
        sql.push("RETURNING last_position - (SELECT count(*) FROM taken) AS base), inserted AS (");
        sql.push(INSERT_DELIVERIES_SQL);
        sql.bind(now).push(", 0, ").bind(now).push(", ").bind(now);
        sql.push(
            " FROM taken AS t JOIN event_subscription AS s ON s.event_type = t.event_type ORDER BY t.id, s.consumer ",
        );
        sql.push("ON CONFLICT (event_id, kind) WHERE event_id IS NOT NULL DO NOTHING) UPDATE outbox_event SET dispatched_at = ");
        sql.bind(now).push(", position = COALESCE(position, counter.base + taken.number) FROM taken, counter ");
        sql.push("WHERE outbox_event.id = taken.id");
        return Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected());
    }
    // SQLite has one writer: all statements see the same events.
    sql.push(INSERT_DELIVERIES_SQL)
        .bind(now)
        .push(", 0, ")
        .bind(now)
        .push(", ")
        .bind(now)
        .push(" FROM (")
        .push(&pending_events_sql);
    sql.push(
        ") AS t JOIN event_subscription AS s ON s.event_type = t.event_type WHERE true ORDER BY t.id, s.consumer ",
    );
    sql.push("ON CONFLICT (event_id, kind) WHERE event_id IS NOT NULL DO NOTHING");
    tx.execute_raw(sql.into_statement()).await?;
    let mut sql = tx.sql();
    sql.push("UPDATE outbox_event SET dispatched_at = ").bind(now);
    sql.push(", position = COALESCE(position, (SELECT last_position FROM outbox_position) + t.number) FROM (");
    sql.push(&pending_events_sql).push(") AS t WHERE outbox_event.id = t.id");
    let relayed_count = tx.execute_raw(sql.into_statement()).await?.rows_affected();
    let mut sql = tx.sql();
    sql.push("UPDATE outbox_position SET last_position = last_position + ");
    sql.bind(i64::try_from(relayed_count).unwrap_or(i64::MAX));
    tx.execute_raw(sql.into_statement()).await?;
    Ok(relayed_count)
}

/// Records that events dispatched before a time are being deleted: who has seen only earlier ones cannot catch up.
/// Statements: 1.
///
/// As text, because the new value is compared with the stored one.
pub(super) async fn record_deleted_position(tx: &Tx, cutoff: DateTime<Utc>) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE outbox_position SET deleted_position = e.position FROM (SELECT max(position) AS position ");
    sql.push("FROM outbox_event WHERE dispatched_at < ").bind(cutoff);
    sql.push(") AS e WHERE e.position > outbox_position.deleted_position");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Selects the jobs that were done or discarded before a time.
pub(super) fn find_jobs_finished_before(cutoff: DateTime<Utc>) -> Select<job::Entity> {
    // The condition of the partial index, which cannot be bound.
    let is_finished = Expr::cust("status IN ('done', 'discarded')");
    job::Entity::find().filter(is_finished).filter(job::Column::UpdatedAt.lt(cutoff))
}

/// Selects the events without jobs that were dispatched before a time.
pub(super) fn find_events_dispatched_before(cutoff: DateTime<Utc>) -> Select<outbox_event::Entity> {
    let jobs = job::Entity::find()
        .select_only()
        .column(job::Column::Id)
        .filter(Expr::col((job::Entity, job::Column::EventId)).equals((outbox_event::Entity, outbox_event::Column::Id)))
        .into_query();
    outbox_event::Entity::find().filter(outbox_event::Column::DispatchedAt.lt(cutoff)).filter(Expr::not_exists(jobs))
}

/// Deletes the last sequence numbers of at most `limit` aggregates without events; returns how many. Statements: 1.
///
/// As text, because rows are compared with the ones selected: if an aggregate gets an event meanwhile, its number has
/// changed and the row is kept.
pub(super) async fn delete_unused_sequences(tx: &Tx, limit: u32) -> Result<u64> {
    let mut sql = tx.sql();
    sql.push("DELETE FROM outbox_sequence WHERE (aggregate, last_sequence) IN (SELECT s.aggregate, s.last_sequence ");
    sql.push(
        "FROM outbox_sequence AS s WHERE NOT EXISTS (SELECT 1 FROM outbox_event AS o WHERE o.aggregate = s.aggregate) ",
    );
    sql.push(&format!("LIMIT {limit})"));
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}
