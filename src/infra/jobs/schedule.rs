//! What runs by the clock: whoever moves a schedule's hand on starts the run, and of any number only one can.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use super::{
    store,
    wiring::{SCHEDULED, Timed, Wiring},
};
use crate::{
    base::Result,
    infra::{Db, Tx},
};

/// A schedule as it stands.
#[derive(Debug, Clone, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct Row {
    pub name: String,
    pub cron: String,
    pub next_at: DateTime<Utc>,
    pub last_at: Option<DateTime<Utc>>,
}

/// All schedules, by name. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn all(db: &Db) -> Result<Vec<Row>> {
    let mut sql = db.sql();
    sql.push("SELECT name, cron, next_at, last_at FROM schedule ORDER BY name");
    let rows = db.query_all_raw(sql.statement()).await?;
    Ok(rows.iter().map(|row| Row::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// The first moment after this one that a line of cron names.
fn after(timed: &Timed, now: DateTime<Utc>) -> DateTime<Utc> {
    let next = timed.cron.as_ref().ok().and_then(|cron| cron.after(&now).next());
    // A line may name no moment that is still to come.
    next.unwrap_or(now + TimeDelta::days(36500))
}

/// Writes down the schedules there are. One whose line has changed starts anew.
pub(super) async fn register(tx: &Tx, wiring: &Wiring) -> Result<()> {
    if wiring.schedules.is_empty() {
        return Ok(());
    }
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false);
    let now = text(tx.now());
    let mut timed: Vec<&Timed> = wiring.schedules.iter().collect();
    timed.sort_unstable_by_key(|one| one.name);
    let row = |one: &&Timed| json!([one.name, one.line, text(after(one, tx.now())), now, now]);
    let columns = [
        ("name", "text"),
        ("cron", "text"),
        ("next_at", "timestamptz"),
        ("created_at", "timestamptz"),
        ("updated_at", "timestamptz"),
    ];
    let mut sql = tx.sql();
    sql.insert("schedule", &columns, timed.iter().map(row).collect());
    sql.push(
        " ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, next_at = excluded.next_at, \
         updated_at = excluded.updated_at WHERE schedule.cron <> excluded.cron",
    );
    tx.execute_raw(sql.statement()).await?;
    Ok(())
}

/// Starts what is due; how many. What was missed several times is started once, and what still runs not again.
pub(super) async fn start(db: &Db, wiring: &Wiring) -> Result<u64> {
    if wiring.schedules.is_empty() {
        return Ok(0);
    }
    let mut sql = db.sql();
    sql.push("SELECT name, cron, next_at, last_at FROM schedule WHERE next_at <= ").bind(db.now()).push(" AND ");
    sql.any_text("name", wiring.schedules.iter().map(|one| one.name)).push(" ORDER BY name");
    let rows = db.query_all_raw(sql.statement()).await?;
    let due = rows.iter().map(|row| Row::from_query_result(row, "")).collect::<Result<Vec<_>, _>>()?;
    if due.is_empty() {
        return Ok(0);
    }
    db.write(async |tx| {
        let mut started = 0;
        for row in &due {
            let Some(timed) = wiring.schedules.iter().find(|one| one.name == row.name) else { continue };
            let mut sql = tx.sql();
            sql.push("UPDATE schedule SET next_at = ").bind(after(timed, tx.now())).push(", last_at = ").bind(tx.now());
            sql.push(", updated_at = ").bind(tx.now()).push(" WHERE name = ").bind(timed.name);
            sql.push(" AND next_at = ").bind(row.next_at);
            if tx.execute_raw(sql.statement()).await?.rows_affected() == 1 {
                store(tx, (SCHEDULED, timed.name), (Some(timed.name.to_owned()), json!({})), tx.now()).await?;
                started += 1;
            }
        }
        Ok(started)
    })
    .await
}
