//! How long what is over is kept.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;

use crate::{
    base::Result,
    infra::{Db, Env},
};

/// How much is removed in one transaction.
const BATCH: u32 = 1000;
/// How long a reaction is told of that no worker knows any more.
const REACTION: TimeDelta = TimeDelta::days(7);

/// Removes what was done, and events that were told, long ago. Dead letters stay, with their events.
///
/// # Errors
/// When the database cannot be asked.
pub async fn prune(env: &Env) -> Result<()> {
    let db = &env.db;
    let until = db.now() - TimeDelta::days(env.config.jobs.keep_days.into());
    empty(db, ("job", "state IN ('done', 'discarded') AND t.updated_at < ", ""), until).await?;
    let told = "AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.event_id = t.id)";
    empty(db, ("outbox", "relayed_at < ", told), until).await?;
    empty_heads(db).await?;
    let until = db.now() - TimeDelta::days(env.config.jobs.audit_keep_days.into());
    empty(db, ("audit", "created_at < ", ""), until).await?;
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("DELETE FROM reaction WHERE updated_at < ").bind(tx.now() - REACTION);
        tx.execute_raw(sql.statement()).await?;
        Ok(())
    })
    .await
}

/// Deletes the last numbers of things of which no event is left: the next event of each begins at 1 again. One that gets an
/// event meanwhile has another number by then, and stays.
async fn empty_heads(db: &Db) -> Result<()> {
    loop {
        let gone = db.write(async |tx| {
            let mut sql = tx.sql();
            sql.push("DELETE FROM outbox_head WHERE (aggregate, sequence) IN (SELECT h.aggregate, h.sequence ");
            sql.push(
                "FROM outbox_head AS h WHERE NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.aggregate = h.aggregate) ",
            );
            sql.push(&format!("LIMIT {BATCH})"));
            Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
        });
        if gone.await? < u64::from(BATCH) {
            return Ok(());
        }
    }
}

async fn empty(db: &Db, (table, old, and): (&str, &str, &str), until: DateTime<Utc>) -> Result<()> {
    loop {
        let gone = db.write(async |tx| {
            let mut sql = tx.sql();
            sql.push(&format!("DELETE FROM {table} WHERE id IN (SELECT t.id FROM {table} AS t WHERE t.{old}"));
            sql.bind(until).push(&format!(" {and} LIMIT {BATCH})"));
            Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
        });
        if gone.await? < u64::from(BATCH) {
            return Ok(());
        }
    }
}
