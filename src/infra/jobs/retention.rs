//! Retention of jobs, events and audit rows.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;

use crate::{
    base::Result,
    infra::{Db, JobContext},
};

/// The number of rows deleted in one transaction.
const DELETE_BATCH_SIZE: u32 = 1000;
/// The retention of a subscription that no worker registers any more.
const SUBSCRIPTION_RETENTION: TimeDelta = TimeDelta::days(7);

/// Deletes finished jobs, relayed events and audit rows past their retention. Dead jobs are kept, with their events.
pub async fn delete_expired_jobs(context: &JobContext) -> Result<()> {
    let db = &context.db;
    let cutoff = db.now() - context.config.jobs.retention;
    delete_expired_rows(db, ("job", "status IN ('done', 'discarded') AND t.updated_at < ", ""), cutoff).await?;
    let without_jobs = "AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.event_id = t.id)";
    delete_expired_rows(db, ("outbox_event", "dispatched_at < ", without_jobs), cutoff).await?;
    delete_unused_sequences(db).await?;
    let cutoff = db.now() - context.config.jobs.audit_log_retention;
    delete_expired_rows(db, ("audit_log", "created_at < ", ""), cutoff).await?;
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("DELETE FROM event_subscription WHERE updated_at < ").bind(tx.now() - SUBSCRIPTION_RETENTION);
        tx.execute_raw(sql.into_statement()).await?;
        Ok(())
    })
    .await
}

/// Deletes the last sequence numbers of aggregates without events: their next event begins at 1 again. If an aggregate
/// gets an event meanwhile, its number has changed and the row is kept.
async fn delete_unused_sequences(db: &Db) -> Result<()> {
    loop {
        let deleted_count = db.write(async |tx| {
            let mut sql = tx.sql();
            sql.push("DELETE FROM outbox_sequence WHERE (aggregate, last_sequence) IN (SELECT s.aggregate, s.last_sequence ");
            sql.push(
                "FROM outbox_sequence AS s WHERE NOT EXISTS (SELECT 1 FROM outbox_event AS o WHERE o.aggregate = s.aggregate) ",
            );
            sql.push(&format!("LIMIT {DELETE_BATCH_SIZE})"));
            Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
        });
        if deleted_count.await? < u64::from(DELETE_BATCH_SIZE) {
            return Ok(());
        }
    }
}

async fn delete_expired_rows(
    db: &Db,
    (table, age_condition, extra_condition): (&str, &str, &str),
    cutoff: DateTime<Utc>,
) -> Result<()> {
    loop {
        let deleted_count = db.write(async |tx| {
            let mut sql = tx.sql();
            sql.push(&format!(
                "DELETE FROM {table} WHERE id IN (SELECT t.id FROM {table} AS t WHERE t.{age_condition}"
            ));
            sql.bind(cutoff).push(&format!(" {extra_condition} LIMIT {DELETE_BATCH_SIZE})"));
            Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
        });
        if deleted_count.await? < u64::from(DELETE_BATCH_SIZE) {
            return Ok(());
        }
    }
}
