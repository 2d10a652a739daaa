//! The outbox relay: creates one delivery of each event per subscribed consumer.

use sea_orm::ConnectionTrait;
use serde_json::json;

use super::JobRegistry;
use crate::{
    base::Result,
    infra::{Db, Tx},
};

/// The number of events relayed in one transaction.
const RELAY_BATCH_SIZE: u32 = 500;
/// The key of PostgreSQL's advisory lock of the relay: an arbitrary number not used elsewhere.
const RELAY_LOCK_KEY: i64 = 7_365_761_091;

/// Registers the subscriptions, so that workers of another version, which do not know these consumers, still create
/// deliveries for them.
pub(super) async fn register_subscriptions(tx: &Tx, registry: &JobRegistry) -> Result<()> {
    if registry.subscriptions.is_empty() {
        return Ok(());
    }
    let now = tx.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, false);
    let mut subscriptions = registry.subscriptions.clone();
    subscriptions.sort_unstable();
    subscriptions.dedup();
    let rows = subscriptions.iter().map(|(consumer, event_type)| json!([consumer, event_type, now, now])).collect();
    let columns =
        [("consumer", "text"), ("event_type", "text"), ("created_at", "timestamptz"), ("updated_at", "timestamptz")];
    let mut sql = tx.sql();
    sql.insert_rows("event_subscription", &columns, rows);
    sql.push(" ON CONFLICT (consumer, event_type) DO UPDATE SET updated_at = excluded.updated_at");
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// Relays all pending events; returns how many. Statements: 1 if none is pending.
///
/// Only one worker relays at a time: the work is a copy of ids inside the database, and one relay keeps the events of
/// an aggregate in order, because their ids follow their sequence numbers.
pub(super) async fn relay_events(db: &Db) -> Result<u64> {
    let mut relayed_count = 0;
    loop {
        let mut sql = db.sql();
        sql.push("SELECT 1 AS pending FROM outbox_event WHERE dispatched_at IS NULL LIMIT 1");
        if db.query_one_raw(sql.into_statement()).await?.is_none() {
            return Ok(relayed_count);
        }
        let batch_count = db.write(async |tx| relay_batch(tx).await).await?;
        if batch_count == 0 {
            return Ok(relayed_count);
        }
        relayed_count += batch_count;
    }
}

const INSERT_DELIVERIES_SQL: &str = "INSERT INTO job (queue, kind, event_id, ordering_key, status, run_at, attempts, \
    created_at, updated_at) \
    SELECT s.consumer, s.consumer || '/' || t.event_type, t.id, s.consumer || ' ' || t.aggregate, 'pending', ";

async fn relay_batch(tx: &Tx) -> Result<u64> {
    let mut sql = tx.sql();
    let pending_events_sql = format!(
        "SELECT o.id, o.event_type, o.aggregate FROM outbox_event AS o WHERE o.dispatched_at IS NULL ORDER BY o.id LIMIT {RELAY_BATCH_SIZE}"
    );
    let now = tx.now();
    if sql.is_postgres() {
        // A relay lost in a crash is repeated, so the commit need not wait for the disk.
        sql.push("SELECT set_config('synchronous_commit', 'off', true), pg_try_advisory_xact_lock(")
            .bind(RELAY_LOCK_KEY);
        sql.push(") AS alone");
        let row = tx.query_one_raw(sql.into_statement()).await?;
        if !row.map_or(Ok(false), |row| row.try_get("", "alone"))? {
            return Ok(0);
        }
        let mut sql = tx.sql();
        sql.push("WITH taken AS MATERIALIZED (")
            .push(&pending_events_sql)
            .push("), inserted AS (")
            .push(INSERT_DELIVERIES_SQL);
        sql.bind(now).push(", 0, ").bind(now).push(", ").bind(now);
        sql.push(
            " FROM taken AS t JOIN event_subscription AS s ON s.event_type = t.event_type ORDER BY t.id, s.consumer ",
        );
        sql.push("ON CONFLICT (event_id, kind) WHERE event_id IS NOT NULL DO NOTHING) UPDATE outbox_event SET dispatched_at = ");
        sql.bind(now).push(" FROM taken WHERE outbox_event.id = taken.id");
        return Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected());
    }
    // SQLite has one writer: both statements see the same events.
    sql.push(INSERT_DELIVERIES_SQL)
        .bind(now)
        .push(", 0, ")
        .bind(now)
        .push(", ")
        .bind(now)
        .push(" FROM (")
        .push(&pending_events_sql);
    sql.push(
        ") AS t JOIN event_subscription AS s ON s.event_type = t.event_type WHERE true ORDER BY t.id, s.consumer ",
    );
    sql.push("ON CONFLICT (event_id, kind) WHERE event_id IS NOT NULL DO NOTHING");
    tx.execute_raw(sql.into_statement()).await?;
    let mut sql = tx.sql();
    sql.push("UPDATE outbox_event SET dispatched_at = ")
        .bind(now)
        .push(" WHERE id IN (SELECT t.id FROM (")
        .push(&pending_events_sql);
    sql.push(") AS t)");
    Ok(tx.execute_raw(sql.into_statement()).await?.rows_affected())
}
