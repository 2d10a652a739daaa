//! Who changed what: a row for every change, written in the change's own transaction.

use std::fmt;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};

use super::{Db, Tx};
use crate::base::{
    Error, Result,
    id::Kind,
    page::{Cursor, Key, Page, Window},
};

/// Who does what a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Actor {
    /// Somebody who has not signed in.
    Nobody,
    /// The shop itself: a command, a job.
    #[default]
    System,
    /// A person, by account.
    Account(i64),
    /// A machine, by the key it signed in with.
    ApiKey(i64),
}

impl Actor {
    /// As it is stored.
    #[must_use]
    pub const fn stored(self) -> (&'static str, Option<i64>) {
        match self {
            Self::Nobody => ("nobody", None),
            Self::System => ("system", None),
            Self::Account(key) => ("account", Some(key)),
            Self::ApiKey(key) => ("api_key", Some(key)),
        }
    }
}

/// As it stands beside what was done: `account:7`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stored() {
            (kind, Some(key)) => write!(f, "{kind}:{key}"),
            (kind, None) => f.write_str(kind),
        }
    }
}

/// Where a change comes from.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Who makes it.
    pub actor: Actor,
    /// The request it is made in; empty for the shop itself.
    pub request: String,
}

/// One change of one thing.
#[derive(Debug, Clone)]
pub struct Change {
    /// What was done: `product.update`.
    pub action: &'static str,
    /// To what.
    pub thing: (Kind, i64),
    /// What it was; of a change, only what has changed. `None` for what was made.
    pub before: Option<Value>,
    /// What it is now. `None` for what was removed.
    pub after: Option<Value>,
}

/// A line of the log as it was written.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct Line {
    pub id: i64,
    pub actor_kind: String,
    pub actor_id: Option<i64>,
    pub action: String,
    pub thing_kind: String,
    pub thing_id: i64,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub request_id: String,
    pub created_at: DateTime<Utc>,
}

impl Line {
    /// Its place in the log.
    #[must_use]
    pub fn cursor(&self) -> String {
        Cursor { order: ORDER, keys: vec![Key::Time(self.created_at)], id: self.id }.encode()
    }
}

/// Which lines are wanted. What is `None` does not narrow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Who made the change.
    pub actor: Option<Actor>,
    /// What was done.
    pub action: Option<String>,
    /// To what: its kind's name and its key.
    pub thing: Option<(&'static str, i64)>,
    /// From this moment on.
    pub since: Option<DateTime<Utc>>,
    /// Up to, but not including, this moment.
    pub until: Option<DateTime<Utc>>,
}

/// The mark of the log's cursors.
const ORDER: char = 'a';

/// A page of the log, newest first. One statement.
///
/// # Errors
/// When the cursor is not one of the log, or the database cannot be asked.
pub async fn page(db: &Db, wanted: &Wanted, window: &Window) -> Result<Page<Line>> {
    let Wanted { actor, action, thing, since, until } = wanted;
    let mut sql = db.sql();
    sql.push("SELECT a.* FROM audit AS a WHERE true");
    if let Some(actor) = actor {
        let (kind, key) = actor.stored();
        sql.push(" AND a.actor_kind = ").bind(kind).push(" AND a.actor_id = ").bind(key);
    }
    if let Some(action) = action {
        sql.push(" AND a.action = ").bind(action.as_str());
    }
    if let Some((kind, key)) = thing {
        sql.push(" AND a.thing_kind = ").bind(*kind).push(" AND a.thing_id = ").bind(*key);
    }
    if let Some(since) = since {
        sql.push(" AND a.created_at >= ").bind(*since);
    }
    if let Some(until) = until {
        sql.push(" AND a.created_at < ").bind(*until);
    }
    if let Some(cursor) = &window.cursor {
        let field = if window.backwards { "before" } else { "after" };
        let Cursor { keys, id, .. } = Cursor::decode(cursor, ORDER, &[Key::Time(DateTime::UNIX_EPOCH)], field)?;
        let Some(Key::Time(at)) = keys.first() else { return Err(Error::bad_input(field, "this is not a cursor")) };
        sql.push(" AND (a.created_at, a.id) ").push(if window.backwards { "> (" } else { "< (" });
        sql.bind(*at).push(", ").bind(id).push(")");
    }
    let way = if window.backwards { "" } else { " DESC" };
    sql.push(&format!(" ORDER BY a.created_at{way}, a.id{way}"));
    sql.push(&format!(" LIMIT {}", window.size + 1));
    let rows = db.query_all_raw(sql.statement()).await?;
    let lines = rows.iter().map(|row| Line::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::settle(lines, window))
}

impl Tx {
    /// Writes down changes, if this transaction commits. One statement for any number. Never hand in a secret.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn record(&self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let (actor, actor_id) = self.origin().actor.stored();
        // As the driver writes a moment: SQLite compares them as texts.
        let now = self.now().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false);
        let row = |change: &Change| {
            let (kind, key) = change.thing;
            json!([
                actor,
                actor_id,
                change.action,
                kind.name(),
                key,
                change.before,
                change.after,
                self.origin().request,
                now
            ])
        };
        let columns = [
            ("actor_kind", "text"),
            ("actor_id", "bigint"),
            ("action", "text"),
            ("thing_kind", "text"),
            ("thing_id", "bigint"),
            ("before", "jsonb"),
            ("after", "jsonb"),
            ("request_id", "text"),
            ("created_at", "timestamptz"),
        ];
        let mut sql = self.sql();
        sql.insert("audit", &columns, changes.iter().map(row).collect());
        self.execute_raw(sql.statement()).await?;
        Ok(())
    }
}
