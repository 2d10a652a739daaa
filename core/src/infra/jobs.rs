//! Background jobs: stored in the transaction of the change that needs them, run afterwards at least once.

mod background_job;
mod claimed_job;
pub mod events;
mod claim;
pub mod retention;
pub mod admin;
mod queries;
pub(in crate::infra) mod outbox_relay;
mod runner;
pub mod schedule;
mod registry;
mod worker;

use super::Db;
use crate::base::{Error, Result};

pub use background_job::{BackgroundJob, JobOutcome};
pub use registry::JobRegistry;
pub use worker::Worker;

/// Registers event subscriptions and schedules in the database, so that relays create deliveries for them. An instance
/// that only emits events does so too, because running workers may be of a version without some of the handlers.
///
/// # Errors
/// Returns an error if the registry is invalid.
pub async fn register_job_handlers(db: &Db, registry: &JobRegistry) -> Result<()> {
    registry.validate().map_err(|error| Error::internal("validating the job registry", error))?;
    db.write(async |tx| {
        outbox_relay::register_subscriptions(tx, registry).await?;
        schedule::register_schedules(tx, registry).await
    })
    .await
}
