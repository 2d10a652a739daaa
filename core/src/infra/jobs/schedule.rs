//! Schedules: the worker that advances a schedule's next run enqueues the job, so each run starts once.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Set,
    sea_query::{Expr, OnConflict},
};
use serde_json::json;

use super::{
    background_job::insert_job,
    registry::{JobRegistry, SCHEDULE_QUEUE, ScheduleEntry},
};
pub use crate::infra::entity::schedule::Model as ScheduleRow;
use crate::{
    base::Result,
    infra::{
        Db, Tx,
        entity::{
            job,
            schedule::{self, Column},
        },
    },
};

/// Returns all schedules, by name. Statements: 1.
pub async fn list_schedules(db: &Db) -> Result<Vec<ScheduleRow>> {
    Ok(schedule::Entity::find().order_by_asc(Column::Name).all(db).await?)
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
    let mut entries: Vec<&ScheduleEntry> = registry.schedules.iter().collect();
    entries.sort_unstable_by_key(|entry| entry.name);
    let rows = entries.into_iter().map(|entry| schedule::ActiveModel {
        name: Set(entry.name.to_owned()),
        cron: Set(entry.cron_expression.to_owned()),
        next_run_at: Set(next_run_after(entry, tx.now())),
        created_at: Set(tx.now()),
        updated_at: Set(tx.now()),
        ..Default::default()
    });
    let new_cron = Expr::col(("excluded", Column::Cron));
    let recalculation = OnConflict::column(Column::Name)
        .update_columns([Column::Cron, Column::NextRunAt, Column::UpdatedAt])
        .action_and_where(Expr::col((schedule::Entity, Column::Cron)).ne(new_cron))
        .to_owned();
    schedule::Entity::insert_many(rows).on_conflict(recalculation).exec_without_returning(tx).await?;
    Ok(())
}

/// Enqueues the jobs of due schedules; returns how many. Several missed runs are started once; a run is skipped while
/// the previous one is unfinished.
pub(super) async fn start_due_schedules(db: &Db, registry: &JobRegistry) -> Result<u64> {
    if registry.schedules.is_empty() {
        return Ok(0);
    }
    let due_schedules = schedule::Entity::find()
        .filter(Column::NextRunAt.lte(db.now()))
        .filter(Column::Name.is_in(registry.schedules.iter().map(|entry| entry.name)))
        .order_by_asc(Column::Name)
        .all(db)
        .await?;
    if due_schedules.is_empty() {
        return Ok(0);
    }
    db.write(async |tx| {
        let mut started_count = 0;
        for row in &due_schedules {
            let Some(entry) = registry.schedules.iter().find(|entry| entry.name == row.name) else { continue };
            let advanced = schedule::Entity::update_many()
                .col_expr(Column::NextRunAt, Expr::value(next_run_after(entry, tx.now())))
                .col_expr(Column::LastRunAt, Expr::value(tx.now()))
                .col_expr(Column::UpdatedAt, Expr::value(tx.now()))
                .filter(Column::Name.eq(entry.name))
                .filter(Column::NextRunAt.eq(row.next_run_at))
                .exec(tx)
                .await?;
            if advanced.rows_affected == 1 {
                let new_job = job::ActiveModel {
                    queue: Set(SCHEDULE_QUEUE.to_owned()),
                    kind: Set(entry.name.to_owned()),
                    dedup_key: Set(Some(entry.name.to_owned())),
                    payload: Set(Some(json!({}))),
                    run_at: Set(Some(tx.now())),
                    ..Default::default()
                };
                insert_job(tx, new_job).await?;
                started_count += 1;
            }
        }
        Ok(started_count)
    })
    .await
}
