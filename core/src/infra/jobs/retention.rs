//! Retention of jobs, events and audit rows.

use chrono::TimeDelta;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::queries;
use crate::{
    base::Result,
    infra::{
        Db, JobContext,
        entity::{audit_log, event_subscription, job, outbox_event},
    },
};

/// The number of sequence numbers deleted in one transaction.
const DELETE_BATCH_SIZE: u32 = 1000;
/// The retention of a subscription that no worker registers any more.
const SUBSCRIPTION_RETENTION: TimeDelta = TimeDelta::days(7);

/// Deletes finished jobs, relayed events and audit rows past their retention. Dead jobs are kept, with their events.
pub async fn delete_expired_jobs(context: &JobContext) -> Result<()> {
    let db = &context.db;
    let cutoff = db.now() - context.config.jobs.retention;
    db.delete_in_batches(job::Column::Id, queries::find_jobs_finished_before(cutoff)).await?;
    db.write(async |tx| queries::record_deleted_position(tx, cutoff).await).await?;
    db.delete_in_batches(outbox_event::Column::Id, queries::find_events_dispatched_before(cutoff)).await?;
    delete_unused_sequences(db).await?;
    let cutoff = db.now() - context.config.jobs.audit_log_retention;
    let expired = audit_log::Entity::find().filter(audit_log::Column::CreatedAt.lt(cutoff));
    db.delete_in_batches(audit_log::Column::Id, expired).await?;
    db.write(async |tx| {
        let expired = event_subscription::Column::UpdatedAt.lt(tx.now() - SUBSCRIPTION_RETENTION);
        event_subscription::Entity::delete_many().filter(expired).exec(tx).await?;
        Ok(())
    })
    .await
}

/// Deletes the last sequence numbers of aggregates without events: their next event begins at 1 again. If an aggregate
/// gets an event meanwhile, its number has changed and the row is kept.
async fn delete_unused_sequences(db: &Db) -> Result<()> {
    loop {
        let deleted_count = db.write(async |tx| queries::delete_unused_sequences(tx, DELETE_BATCH_SIZE).await);
        if deleted_count.await? < u64::from(DELETE_BATCH_SIZE) {
            return Ok(());
        }
    }
}
