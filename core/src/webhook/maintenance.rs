//! Schedules: jobs that were lost, deliveries that wait in vain, and the retention of the log.

use chrono::TimeDelta;

use super::{delivery::DeliverWebhooks, entity::webhook_delivery, queries};
use crate::{
    base::Result,
    infra::{Db, JobContext},
};

/// How late deliveries are before their endpoint counts as stalled.
const STALLED_AFTER: TimeDelta = TimeDelta::minutes(1);
/// Number of events deleted in one transaction.
const DELETE_BATCH_SIZE: u32 = 1000;

/// Enqueues the jobs of endpoints with overdue deliveries and without a job: staff have discarded it, or it has failed
/// for good. Fails deliveries to inactive endpoints after the retry window.
pub async fn resume_deliveries(context: &JobContext) -> Result<()> {
    let db = &context.db;
    let stalled = queries::find_stalled_endpoints(db, db.now() - STALLED_AFTER).await?;
    if !stalled.is_empty() {
        let jobs: Vec<_> = stalled.into_iter().map(|endpoint_id| DeliverWebhooks { endpoint_id }).collect();
        db.write(async |tx| {
            queries::lock_fan_out(tx).await?;
            tx.enqueue_or_advance_jobs(&jobs, tx.now()).await
        })
        .await?;
    }
    let cutoff = db.now() - context.config.webhooks.retry_window;
    db.write(async |tx| queries::fail_waiting_deliveries(tx, cutoff).await.map(|_| ())).await
}

/// Deletes deliveries past their retention, with their attempts, and events without deliveries.
pub async fn delete_expired_deliveries(context: &JobContext) -> Result<()> {
    let db = &context.db;
    let cutoff = db.now() - context.config.webhooks.retention;
    db.delete_in_batches(webhook_delivery::Column::Id, queries::find_old_deliveries(cutoff)).await?;
    delete_unused_events(db, cutoff).await
}

async fn delete_unused_events(db: &Db, cutoff: chrono::DateTime<chrono::Utc>) -> Result<()> {
    loop {
        let deleted_count = db.write(async |tx| queries::delete_unused_events(tx, cutoff, DELETE_BATCH_SIZE).await);
        if deleted_count.await? < u64::from(DELETE_BATCH_SIZE) {
            return Ok(());
        }
    }
}
