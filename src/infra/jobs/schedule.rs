//! Schedules: the worker that advances a schedule's next run enqueues the job, so each run starts once.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use super::{
    insert_job,
    registry::{JobRegistry, SCHEDULE_QUEUE, ScheduleEntry},
};
use crate::{
    base::Result,
    infra::{Db, Tx},
};

/// A schedule as stored.
#[derive(Debug, Clone, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct ScheduleRow {
    pub name: String,
    pub cron: String,
    pub next_run_at: DateTime<Utc>,
    pub last_run_at: Option<DateTime<Utc>>,
}

/// Returns all schedules, by name. Statements: 1.
pub async fn list_schedules(db: &Db) -> Result<Vec<ScheduleRow>> {
    let mut sql = db.sql();
    sql.push("SELECT name, cron, next_run_at, last_run_at FROM schedule ORDER BY name");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| ScheduleRow::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Returns the next run after `time`.
fn next_run_after(entry: &ScheduleEntry, time: DateTime<Utc>) -> DateTime<Utc> {
    let next_run = entry.schedule.as_ref().ok().and_then(|schedule| schedule.after(&time).next());
    // A cron expression may have no future run.
    next_run.unwrap_or(time + TimeDelta::days(36500))
}

/// Registers the schedules. A schedule whose cron expression has changed is recalculated.
pub(super) async fn register_schedules(tx: &Tx, registry: &JobRegistry) -> Result<()> {
    if registry.schedules.is_empty() {
        return Ok(());
    }
    let to_db_time = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false);
    let now = to_db_time(tx.now());
    let mut entries: Vec<&ScheduleEntry> = registry.schedules.iter().collect();
    entries.sort_unstable_by_key(|entry| entry.name);
    let row = |entry: &&ScheduleEntry| {
        json!([entry.name, entry.cron_expression, to_db_time(next_run_after(entry, tx.now())), now, now])
    };
    let columns = [
        ("name", "text"),
        ("cron", "text"),
        ("next_run_at", "timestamptz"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let mut sql = tx.sql();
    sql.insert_rows("schedule", &columns, entries.iter().map(row).collect());
    sql.push(
        " ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, next_run_at = excluded.next_run_at, \
         updated_at = excluded.updated_at WHERE schedule.cron <> excluded.cron",
    );
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Enqueues the jobs of due schedules; returns how many. Several missed runs are started once; a run is skipped while
/// the previous one is unfinished.
pub(super) async fn start_due_schedules(db: &Db, registry: &JobRegistry) -> Result<u64> {
    if registry.schedules.is_empty() {
        return Ok(0);
    }
    let mut sql = db.sql();
    sql.push("SELECT name, cron, next_run_at, last_run_at FROM schedule WHERE next_run_at <= ")
        .bind(db.now())
        .push(" AND ");
    sql.eq_any_text("name", registry.schedules.iter().map(|entry| entry.name)).push(" ORDER BY name");
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let due_schedules =
        rows.iter().map(|row| ScheduleRow::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?;
    if due_schedules.is_empty() {
        return Ok(0);
    }
    db.write(async |tx| {
        let mut started_count = 0;
        for row in &due_schedules {
            let Some(entry) = registry.schedules.iter().find(|entry| entry.name == row.name) else { continue };
            let mut sql = tx.sql();
            sql.push("UPDATE schedule SET next_run_at = ")
                .bind(next_run_after(entry, tx.now()))
                .push(", last_run_at = ")
                .bind(tx.now());
            sql.push(", updated_at = ").bind(tx.now()).push(" WHERE name = ").bind(entry.name);
            sql.push(" AND next_run_at = ").bind(row.next_run_at);
            if tx.execute_raw(sql.into_statement()).await?.rows_affected() == 1 {
                insert_job(tx, (SCHEDULE_QUEUE, entry.name), (Some(entry.name.to_owned()), json!({})), tx.now())
                    .await?;
                started_count += 1;
            }
        }
        Ok(started_count)
    })
    .await
}
