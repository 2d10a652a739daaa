//! The relay: every event becomes a delivery for each reaction that hears of its kind.

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::Wiring;
use crate::{
    base::Result,
    infra::{Db, Tx},
};

/// How many events are relayed in one transaction.
const BATCH: u32 = 500;
/// The lock of whoever relays: any number that nothing else locks.
const LOCK: i64 = 7_365_761_091;

/// Writes down which reactions there are, so that a worker of another version of the shop, which knows nothing of them,
/// still leaves deliveries for them.
pub(super) async fn register(tx: &Tx, wiring: &Wiring) -> Result<()> {
    if wiring.reactions.is_empty() {
        return Ok(());
    }
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let mut reactions = wiring.reactions.clone();
    reactions.sort_unstable();
    reactions.dedup();
    let rows = reactions.iter().map(|(name, kind)| json!([name, kind, now, now])).collect();
    let columns = [("name", "text"), ("kind", "text"), ("created_at", "timestamptz"), ("updated_at", "timestamptz")];
    let mut sql = tx.sql();
    sql.insert("reaction", &columns, rows);
    sql.push(" ON CONFLICT (name, kind) DO UPDATE SET updated_at = excluded.updated_at");
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Relays everything that waits; how many events. Where nothing waits, one read.
///
/// One worker at a time relays: it is a copy of keys inside of the database, and the events of one thing come out of it
/// in their order, because their keys follow their numbers.
pub(super) async fn relay(db: &Db) -> Result<u64> {
    let mut all = 0;
    loop {
        let mut sql = db.sql();
        sql.push("SELECT 1 AS waits FROM outbox WHERE relayed_at IS NULL LIMIT 1");
        if db.query_one_raw(sql.statement()).await?.is_none() {
            return Ok(all);
        }
        let relayed = db.write(async |tx| batch(tx).await).await?;
        if relayed == 0 {
            return Ok(all);
        }
        all += relayed;
    }
}

const DELIVERIES: &str = "INSERT INTO job (queue, kind, event_id, lane, state, due_at, attempts, created_at, updated_at) \
    SELECT r.name, r.name || '/' || t.kind, t.id, r.name || ' ' || t.aggregate, 'waiting', ";

async fn batch(tx: &Tx) -> Result<u64> {
    let mut sql = tx.sql();
    let waiting = format!(
        "SELECT o.id, o.kind, o.aggregate FROM outbox AS o WHERE o.relayed_at IS NULL ORDER BY o.id LIMIT {BATCH}"
    );
    let now = tx.now();
    if sql.postgres() {
        // Should this be lost in a crash, it is done again: it need not wait for the disk.
        sql.push("SELECT set_config('synchronous_commit', 'off', true), pg_try_advisory_xact_lock(").bind(LOCK);
        sql.push(") AS alone");
        let row = tx.query_one_raw(sql.statement()).await?;
        if !row.map_or(Ok(false), |row| row.try_get("", "alone"))? {
            return Ok(0);
        }
        let mut sql = tx.sql();
        sql.push("WITH taken AS MATERIALIZED (").push(&waiting).push("), told AS (").push(DELIVERIES);
        sql.bind(now).push(", 0, ").bind(now).push(", ").bind(now);
        sql.push(" FROM taken AS t JOIN reaction AS r ON r.kind = t.kind ORDER BY t.id, r.name ");
        sql.push("ON CONFLICT (event_id, kind) WHERE event_id IS NOT NULL DO NOTHING) UPDATE outbox SET relayed_at = ");
        sql.bind(now).push(" FROM taken WHERE outbox.id = taken.id");
        return Ok(tx.execute_raw(sql.statement()).await?.rows_affected());
    }
    // The writer is alone on SQLite: both see the same.
    sql.push(DELIVERIES).bind(now).push(", 0, ").bind(now).push(", ").bind(now).push(" FROM (").push(&waiting);
    sql.push(") AS t JOIN reaction AS r ON r.kind = t.kind WHERE true ORDER BY t.id, r.name ");
    sql.push("ON CONFLICT (event_id, kind) WHERE event_id IS NOT NULL DO NOTHING");
    tx.execute_raw(sql.statement()).await?;
    let mut sql = tx.sql();
    sql.push("UPDATE outbox SET relayed_at = ").bind(now).push(" WHERE id IN (SELECT t.id FROM (").push(&waiting);
    sql.push(") AS t)");
    Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
}
