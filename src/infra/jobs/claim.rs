//! Taking work and giving it back: a worker's name and the number of the attempt are the lease. Whoever has lost either
//! can complete nothing any more.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Job, Outcome};
use crate::{
    base::{Error, Result},
    infra::{
        Db, Sql, Tx,
        config::JobsConfig,
        outbox::{Event, Told},
    },
};

/// The longest words about a failure that are kept.
const WORDS: usize = 500;

/// A piece of work that is this worker's for a while.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Claimed {
    /// Its key.
    pub id: i64,
    /// What is to be done.
    pub kind: String,
    /// Which attempt this is, from 1.
    pub attempts: i32,
    payload: Option<Value>,
    event_id: Option<i64>,
    told: Option<Value>,
    told_at: Option<DateTime<Utc>>,
}

impl Claimed {
    /// The event that it tells of.
    pub(super) fn told<E: Event>(&self) -> Result<Told<E>> {
        let (Some(id), Some(at), Some(event)) = (self.event_id, self.told_at, &self.told) else {
            return Err(Error::fault("telling of an event", "there is none"));
        };
        Ok(Told { id, at, event: read(event, "reading an event")? })
    }

    /// What was stored with it.
    pub(super) fn job<J: Job>(&self) -> Result<J> {
        read(self.payload.as_ref().unwrap_or(&Value::Null), "reading a job")
    }
}

fn read<T: DeserializeOwned>(value: &Value, doing: &'static str) -> Result<T> {
    T::deserialize(value).map_err(|why| Error::fault(doing, why))
}

/// What is wanted of a queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) worker: &'a str,
    pub(super) queue: &'a str,
    /// What this worker knows how to do.
    pub(super) kinds: &'a [&'a str],
    pub(super) most: usize,
    pub(super) lease: Duration,
}

/// What is due in a queue and may be begun: of one lane only the earliest that has no end yet, and nothing that another
/// worker holds, unless its lease is over.
fn due(sql: &mut Sql, wish: &Wish<'_>, now: DateTime<Utc>) {
    sql.push("SELECT j.id AS key FROM job AS j WHERE j.queue = ").bind(wish.queue);
    sql.push(" AND j.state IN ('waiting', 'running') AND j.due_at <= ").bind(now).push(" AND ");
    sql.any_text("j.kind", wish.kinds.iter().copied());
    sql.push(
        " AND NOT EXISTS (SELECT 1 FROM job AS e WHERE e.lane = j.lane AND e.id < j.id \
         AND e.state IN ('waiting', 'running')) ORDER BY j.due_at, j.id LIMIT ",
    );
    sql.push(&wish.most.to_string());
}

/// Takes what is due, in its order. Where there is nothing, nothing is written.
pub(super) async fn claim(db: &Db, wish: &Wish<'_>) -> Result<Vec<Claimed>> {
    if !db.sql().postgres() {
        // To look is free, to write is to wait for the writer.
        let mut sql = db.sql();
        due(&mut sql, &Wish { most: 1, ..*wish }, db.now());
        if db.query_one_raw(sql.statement()).await?.is_none() {
            return Ok(Vec::new());
        }
    }
    let claimed = db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("WITH picked AS (");
        due(&mut sql, wish, tx.now());
        sql.push(if sql.postgres() { " FOR NO KEY UPDATE SKIP LOCKED)" } else { ")" });
        sql.push(" UPDATE job SET state = 'running', attempts = attempts + 1, worker = ").bind(wish.worker);
        sql.push(", due_at = ").bind(until(tx.now(), wish.lease)).push(", updated_at = ").bind(tx.now());
        sql.push(
            " FROM picked WHERE job.id = picked.key RETURNING id, kind, attempts, payload, event_id, \
             (SELECT o.payload FROM outbox AS o WHERE o.id = event_id) AS told, \
             (SELECT o.created_at FROM outbox AS o WHERE o.id = event_id) AS told_at",
        );
        let rows = tx.query_all_raw(sql.statement()).await?;
        Ok(rows.iter().map(|row| Claimed::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?)
    });
    let mut claimed = claimed.await?;
    claimed.sort_unstable_by_key(|one| one.id);
    Ok(claimed)
}

fn until(now: DateTime<Utc>, lease: Duration) -> DateTime<Utc> {
    now + TimeDelta::from_std(lease).unwrap_or_default()
}

/// Says that all of these are done. One statement.
///
/// # Errors
/// When one of them is this worker's no longer: then nothing that goes with it may be.
pub(super) async fn complete(tx: &Tx, worker: &str, done: &[Claimed]) -> Result<()> {
    let mut sql = tx.sql();
    let rows = done.iter().map(|one| json!([one.id, one.attempts])).collect();
    sql.with(&[("key", "bigint"), ("attempt", "int")], rows);
    sql.push("UPDATE job SET state = 'done', due_at = NULL, worker = NULL, last_error = NULL, updated_at = ");
    sql.bind(tx.now()).push(" FROM given WHERE job.id = given.key AND attempts = given.attempt AND worker = ");
    sql.bind(worker).push(" AND state = 'running'");
    let changed = tx.execute_raw(sql.statement()).await?.rows_affected();
    if changed == done.len() as u64 {
        return Ok(());
    }
    Err(Error::fault("completing work", "another worker has taken it over"))
}

/// What becomes of work: it is done, or there is another try later, or none.
pub(super) async fn settle(
    db: &Db,
    worker: &str,
    one: &Claimed,
    (outcome, most, config): (Outcome, u32, &JobsConfig),
) -> Result<()> {
    let (words, last) = match outcome {
        Outcome::Done => return db.write(async |tx| complete(tx, worker, std::slice::from_ref(one)).await).await,
        Outcome::Retry(words) => (words, one.attempts.unsigned_abs() >= most),
        Outcome::Fail(words) => (words, true),
    };
    let words: String = words.chars().take(WORDS).collect();
    db.write(async |tx| {
        let due = tx.now() + pause(config, one.id, one.attempts);
        let mut sql = tx.sql();
        sql.push("UPDATE job SET worker = NULL, state = ").bind(if last { "dead" } else { "waiting" });
        sql.push(", due_at = ").bind((!last).then_some(due)).push(", last_error = ").bind(words);
        sql.push(", updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(one.id);
        sql.push(" AND attempts = ").bind(one.attempts).push(" AND worker = ").bind(worker);
        sql.push(" AND state = 'running'");
        if tx.execute_raw(sql.statement()).await?.rows_affected() == 0 {
            return Err(Error::fault("giving up work", "another worker has taken it over"));
        }
        // Others of its lane may go on.
        tx.ring();
        Ok(())
    })
    .await
}

/// How long until the next try: twice as long each time, up to a limit, less up to a half, so that what failed together
/// does not come back together. The part is made of the job's key and the attempt: any will do.
fn pause(config: &JobsConfig, id: i64, attempts: i32) -> TimeDelta {
    let doubled = 2_u32.saturating_pow(attempts.unsigned_abs().saturating_sub(1));
    let whole = config.backoff.saturating_mul(doubled).min(config.backoff_limit);
    let mut hasher = DefaultHasher::new();
    (id, attempts).hash(&mut hasher);
    let part = u32::try_from(hasher.finish() % 1000).unwrap_or_default();
    let less = whole.saturating_mul(part) / 2000;
    TimeDelta::from_std(whole.saturating_sub(less)).unwrap_or_default()
}

/// Makes the leases of work that goes on last. What is just being completed needs no more.
pub(super) async fn extend(db: &Db, (worker, lease): (&str, Duration), running: &[i64]) -> Result<u64> {
    hold(db, (worker, running), "due_at = ", Some(lease)).await
}

/// Gives back what was begun and will not be ended here: as if it had not been begun.
pub(super) async fn give_back(db: &Db, worker: &str, running: &[i64]) -> Result<u64> {
    hold(db, (worker, running), "state = 'waiting', worker = NULL, attempts = attempts - 1, due_at = ", None).await
}

async fn hold(db: &Db, (worker, running): (&str, &[i64]), set: &str, lease: Option<Duration>) -> Result<u64> {
    if running.is_empty() {
        return Ok(0);
    }
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("WITH picked AS (SELECT id AS key FROM job WHERE worker = ").bind(worker);
        sql.push(" AND state = 'running' AND ").any("id", running.iter().copied());
        sql.push(if sql.postgres() { " ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) " } else { ") " });
        sql.push("UPDATE job SET ").push(set).bind(until(tx.now(), lease.unwrap_or_default()));
        sql.push(", updated_at = ").bind(tx.now()).push(" FROM picked WHERE job.id = picked.key");
        if lease.is_none() {
            tx.ring();
        }
        Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_its_limit_and_is_never_the_same_for_all() {
        let config = JobsConfig {
            attempts: 10,
            backoff: Duration::from_secs(2),
            backoff_limit: Duration::from_mins(1),
            lease: Duration::from_mins(1),
            poll: Duration::from_secs(1),
            concurrency: 4,
            queues: Vec::new(),
            keep_days: 30,
            audit_keep_days: 1095,
        };
        for (attempt, seconds) in [(1, 2), (2, 4), (3, 8), (6, 60), (40, 60), (i32::MAX, 60)] {
            let whole = TimeDelta::seconds(seconds);
            let pauses: Vec<_> = (1..50).map(|id| pause(&config, id, attempt)).collect();
            assert!(pauses.iter().all(|one| *one <= whole && *one >= whole / 2), "{attempt}: {pauses:?}");
            assert!(pauses.iter().any(|one| *one != pauses[0]), "{attempt}");
        }
    }
}
