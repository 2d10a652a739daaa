//! What staff see of all this, and what they decide: what failed for good is tried again, or let go.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::json;

use crate::{
    base::{
        Error, Result,
        error::Code,
        id::Kind,
        page::{Cursor, Page, Window},
    },
    infra::{Change, Db, Sql, Tx},
};

/// Where a piece of work stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is to be done, now or later.
    Waiting,
    /// Somebody does it.
    Running,
    /// It is done.
    Done,
    /// It was tried as often as may be.
    Dead,
    /// Somebody has let go of it.
    Discarded,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Done, Self::Dead, Self::Discarded];

    /// As it is stored.
    #[must_use]
    pub const fn stored(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.stored() == word)
    }
}

/// A piece of work, without what it carries.
#[derive(Debug, Clone, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct Row {
    pub id: i64,
    pub queue: String,
    pub kind: String,
    pub state: String,
    pub attempts: i32,
    pub due_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub event_id: Option<i64>,
    pub aggregate: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Which are wanted. What is `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Where it stands.
    pub state: Option<State>,
    /// In which queue.
    pub queue: Option<String>,
    /// What it is.
    pub kind: Option<String>,
}

/// The mark of the list's cursors.
const ORDER: char = 'j';

impl Row {
    /// Its place in the list.
    #[must_use]
    pub fn cursor(&self) -> String {
        Cursor { order: ORDER, keys: Vec::new(), id: self.id }.encode()
    }
}

fn select(sql: &mut Sql) {
    sql.push(
        "SELECT j.id, j.queue, j.kind, j.state, j.attempts, j.due_at, j.last_error, j.event_id, o.aggregate, \
         j.created_at, j.updated_at FROM job AS j LEFT JOIN outbox AS o ON o.id = j.event_id WHERE ",
    );
}

/// A page of them, the newest first. One statement.
///
/// # Errors
/// When the cursor is not one of the list, or the database cannot be asked.
pub async fn page(db: &Db, wanted: &Wanted, window: &Window) -> Result<Page<Row>> {
    let Wanted { state, queue, kind } = wanted;
    let mut sql = db.sql();
    select(&mut sql);
    sql.push("true");
    if let Some(state) = state {
        sql.push(" AND j.state = ").bind(state.stored());
    }
    if let Some(queue) = queue {
        sql.push(" AND j.queue = ").bind(queue.as_str());
    }
    if let Some(kind) = kind {
        sql.push(" AND j.kind = ").bind(kind.as_str());
    }
    if let Some(cursor) = &window.cursor {
        let field = if window.backwards { "before" } else { "after" };
        let cursor = Cursor::decode(cursor, ORDER, &[], field)?;
        sql.push(if window.backwards { " AND j.id > " } else { " AND j.id < " }).bind(cursor.id);
    }
    sql.push(if window.backwards { " ORDER BY j.id" } else { " ORDER BY j.id DESC" });
    sql.push(&format!(" LIMIT {}", window.size + 1));
    let rows = db.query_all_raw(sql.statement()).await?;
    let rows = rows.iter().map(|row| Row::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::settle(rows, window))
}

/// One of them. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<Option<Row>> {
    let mut sql = Sql::new(db.get_database_backend());
    select(&mut sql);
    sql.push("j.id = ").bind(id);
    let row = db.query_one_raw(sql.statement()).await?;
    Ok(row.map(|row| Row::from_query_result(&row, "")).transpose()?)
}

/// Tries a piece of work again, from now on and as often as if it were new; one that waits, at once.
///
/// # Errors
/// When there is none, it is being done or is done, or another one like it waits.
pub async fn retry(tx: &Tx, id: i64) -> Result<Row> {
    let row = hold(tx, id).await?;
    let state = State::named(&row.state);
    if !matches!(state, Some(State::Waiting | State::Dead | State::Discarded)) {
        return Err(illegal(&row, "tried again", "one that waits, is dead or was discarded"));
    }
    let mut sql = tx.sql();
    sql.push("UPDATE job SET state = 'waiting', attempts = 0, due_at = ").bind(tx.now());
    sql.push(", updated_at = ").bind(tx.now()).push(" WHERE id = ").bind(id);
    let outcome: Result<_> = tx.execute_raw(sql.statement()).await.map_err(Error::from);
    if outcome.as_ref().is_err_and(Error::is_taken) {
        return Err(Error::user(Code::AlreadyExists, "id", "another one like it waits already"));
    }
    outcome?;
    tx.ring();
    decided(tx, (&row, "job.retry")).await
}

/// Lets go of a piece of work: it will not be done.
///
/// # Errors
/// When there is none, or it is being done or is done.
pub async fn discard(tx: &Tx, id: i64) -> Result<Row> {
    let row = hold(tx, id).await?;
    if !matches!(State::named(&row.state), Some(State::Waiting | State::Dead)) {
        return Err(illegal(&row, "discarded", "one that waits or is dead"));
    }
    let mut sql = tx.sql();
    sql.push("UPDATE job SET state = 'discarded', due_at = NULL, updated_at = ").bind(tx.now());
    sql.push(" WHERE id = ").bind(id);
    tx.execute_raw(sql.statement()).await?;
    // Others of its lane may go on.
    tx.ring();
    decided(tx, (&row, "job.discard")).await
}

async fn hold(tx: &Tx, id: i64) -> Result<Row> {
    let mut sql = tx.sql();
    if sql.postgres() {
        sql.push("SELECT id FROM job WHERE id = ").bind(id).push(" FOR NO KEY UPDATE");
        tx.execute_raw(sql.statement()).await?;
    }
    find(tx, id).await?.ok_or_else(|| Error::not_found("id", "job"))
}

fn illegal(row: &Row, what: &str, which: &str) -> Error {
    let message = format!("a job that is {} cannot be {what}; only {which} can", row.state);
    Error::user(Code::IllegalTransition, "id", message)
}

async fn decided(tx: &Tx, (before, action): (&Row, &'static str)) -> Result<Row> {
    let after = find(tx, before.id).await?.ok_or_else(|| Error::not_found("id", "job"))?;
    let said = |row: &Row| Some(json!({ "kind": row.kind, "state": row.state, "attempts": row.attempts }));
    tx.record(&[Change { action, thing: (Kind::Job, after.id), before: said(before), after: said(&after) }]).await?;
    Ok(after)
}
