//! Jobs: work that is stored with the change that wants it, and done after, at least once.

mod claim;
pub mod keep;
pub mod list;
mod listen;
mod relay;
mod run;
pub mod schedule;
mod wiring;
mod worker;

use chrono::{DateTime, Utc};
use sea_orm::ConnectionTrait;
use serde::{Serialize, de::DeserializeOwned};

use super::{Db, Tx};
use crate::base::{Error, Result};

pub use wiring::Wiring;
pub use worker::Worker;

/// A piece of work. It carries keys and not rows: when it is done, what they name is read as it is then. Nobody is shown
/// what it carries; it should hold no secrets nevertheless.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name: lasting, because what waits is found by it after the next start.
    const KIND: &'static str;
    /// Those of one queue share what may run at once; other queues never wait for them.
    const QUEUE: &'static str = "default";
    /// How often it is tried; what `jobs.attempts` says when `None`.
    const ATTEMPTS: Option<u32> = None;

    /// While one of this kind with this key waits or runs, another one is not stored.
    fn key(&self) -> Option<String> {
        None
    }
}

/// What came of a piece of work. The words are for staff: no secrets, no SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It was not, this time: it is tried again later, as often as may be.
    Retry(String),
    /// It was not and never will be: it goes to the dead letters at once.
    Fail(String),
}

impl From<Result<()>> for Outcome {
    /// A fault may pass, and is told in the log; what a caller would have to put right does not pass by itself.
    fn from(outcome: Result<()>) -> Self {
        match outcome {
            Ok(()) => Self::Done,
            Err(why @ Error::Fault(_)) => {
                tracing::warn!(error = why.log(), "a job did not come to its end");
                Self::Retry(why.public().message)
            }
            Err(why) => Self::Fail(why.public().to_string()),
        }
    }
}

/// Has the database know of a wiring: whoever relays leaves deliveries for its reactions from now on. An instance that
/// only emits does this too, because the workers there are may be of a version that lacks some.
///
/// # Errors
/// When the wiring cannot be, or the database cannot be asked.
pub async fn register(db: &Db, wiring: &Wiring) -> Result<()> {
    wiring.check().map_err(|why| Error::fault("reading the wiring", why))?;
    db.write(async |tx| {
        relay::register(tx, wiring).await?;
        schedule::register(tx, wiring).await
    })
    .await
}

impl Tx {
    /// Has a job done, if this transaction commits. One statement.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn enqueue<J: Job>(&self, job: J) -> Result<()> {
        self.enqueue_at(job, self.now()).await
    }

    /// Has a job done, not before a moment.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn enqueue_at<J: Job>(&self, job: J, run_at: DateTime<Utc>) -> Result<()> {
        let payload = serde_json::to_value(&job).map_err(|why| Error::fault("writing down a job", why))?;
        store(self, (J::QUEUE, J::KIND), (job.key(), payload), run_at).await
    }
}

async fn store(
    tx: &Tx,
    (queue, kind): (&str, &str),
    (key, payload): (Option<String>, serde_json::Value),
    run_at: DateTime<Utc>,
) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("INSERT INTO job (queue, kind, key, payload, state, due_at, attempts, created_at, updated_at) VALUES (");
    sql.bind(queue).push(", ").bind(kind).push(", ").bind(key).push(", ").bind(payload);
    sql.push(", 'waiting', ").bind(run_at).push(", 0, ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(") ON CONFLICT (kind, key) WHERE key IS NOT NULL AND state IN ('waiting', 'running') DO NOTHING");
    tx.execute_raw(sql.statement()).await?;
    tx.ring();
    Ok(())
}
