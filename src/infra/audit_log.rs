//! The audit log: one row per change, written in the transaction of the change.

use std::fmt;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum, ConnectionTrait, DeriveActiveEnum, EnumIter, FromQueryResult, Set};
use serde_json::Value;

pub use super::entity::audit_log::Model as AuditRow;
use super::{Db, Tx, entity::audit_log};
use crate::base::{
    Error, Result,
    global_id::NodeType,
    pagination::{Cursor, CursorValue, Page, PageRequest},
};

/// The actor of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Actor {
    /// A caller without authentication.
    Anonymous,
    /// The system: a command or a job.
    #[default]
    System,
    /// A customer or staff account.
    Account(i64),
    /// An API key.
    ApiKey(i64),
}

/// The kind of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum ActorKind {
    /// A caller without authentication.
    Anonymous,
    /// The system: a command or a job.
    System,
    /// A customer or staff account.
    Account,
    /// An API key.
    ApiKey,
}

impl Actor {
    /// Returns the kind and the id, as stored.
    #[must_use]
    pub const fn to_db_parts(self) -> (ActorKind, Option<i64>) {
        match self {
            Self::Anonymous => (ActorKind::Anonymous, None),
            Self::System => (ActorKind::System, None),
            Self::Account(id) => (ActorKind::Account, Some(id)),
            Self::ApiKey(id) => (ActorKind::ApiKey, Some(id)),
        }
    }
}

/// Formats kind and id: `account:7`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = self.to_db_parts();
        f.write_str(&kind.to_value())?;
        id.map_or(Ok(()), |id| write!(f, ":{id}"))
    }
}

/// The origin of a change.
#[derive(Debug, Clone, Default)]
pub struct RequestOrigin {
    /// The actor.
    pub actor: Actor,
    /// The id of the request; empty for the system.
    pub request_id: String,
}

/// A change of one entity, to be recorded.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    /// The action: `product.update`.
    pub action: &'static str,
    /// The type and id of the changed entity.
    pub entity: (NodeType, i64),
    /// The values before the change, changed fields only. `None` for a creation.
    pub before: Option<Value>,
    /// The values after the change. `None` for a deletion.
    pub after: Option<Value>,
}

impl AuditRow {
    /// Returns the row's cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        Cursor { sort_tag: AUDIT_CURSOR_TAG, values: vec![CursorValue::Time(self.created_at)], id: self.id }.encode()
    }
}

/// A filter of audit rows. Fields that are `None` do not filter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuditRowFilter {
    /// The actor.
    pub actor: Option<Actor>,
    /// The action.
    pub action: Option<String>,
    /// The entity: name of its type and id.
    pub entity: Option<(&'static str, i64)>,
    /// The earliest time, inclusive.
    pub since: Option<DateTime<Utc>>,
    /// The latest time, exclusive.
    pub until: Option<DateTime<Utc>>,
}

/// The sort tag of audit cursors.
const AUDIT_CURSOR_TAG: char = 'a';

/// Returns a page of the audit log, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_audit_rows(db: &Db, filter: &AuditRowFilter, request: &PageRequest) -> Result<Page<AuditRow>> {
    let AuditRowFilter { actor, action, entity, since, until } = filter;
    let mut sql = db.sql();
    sql.push("SELECT a.* FROM audit_log AS a WHERE true");
    if let Some(actor) = actor {
        let (kind, row_id) = actor.to_db_parts();
        sql.push(" AND a.actor_kind = ").bind(kind).push(" AND a.actor_id = ").bind(row_id);
    }
    if let Some(action) = action {
        sql.push(" AND a.action = ").bind(action.as_str());
    }
    if let Some((kind, row_id)) = entity {
        sql.push(" AND a.entity_type = ").bind(*kind).push(" AND a.entity_id = ").bind(*row_id);
    }
    if let Some(since) = since {
        sql.push(" AND a.created_at >= ").bind(*since);
    }
    if let Some(until) = until {
        sql.push(" AND a.created_at < ").bind(*until);
    }
    if let Some(cursor) = &request.cursor {
        let field = if request.backwards { "before" } else { "after" };
        let Cursor { values: keys, id, .. } =
            Cursor::decode(cursor, AUDIT_CURSOR_TAG, &[CursorValue::Time(DateTime::UNIX_EPOCH)], field)?;
        let Some(CursorValue::Time(created_at)) = keys.first() else {
            return Err(Error::bad_input(field, "this is not a cursor"));
        };
        sql.push(" AND (a.created_at, a.id) ").push(if request.backwards { "> (" } else { "< (" });
        sql.bind(*created_at).push(", ").bind(id).push(")");
    }
    let direction = if request.backwards { "" } else { " DESC" };
    sql.push(&format!(" ORDER BY a.created_at{direction}, a.id{direction}"));
    sql.push(&format!(" LIMIT {}", request.size + 1));
    let rows = db.query_all_raw(sql.into_statement()).await?;
    let audit_rows = rows.iter().map(|row| AuditRow::from_query_result(row, "")).collect::<Result<_, _>>()?;
    Ok(Page::from_rows(audit_rows, request))
}

impl Tx {
    /// Records changes in this transaction. Records must not contain secrets. Statements: 1 for any number.
    pub async fn record_audit(&self, records: &[AuditRecord]) -> Result<()> {
        let (actor_kind, actor_id) = self.origin().actor.to_db_parts();
        let to_row = |AuditRecord { action, entity: (entity_type, entity_id), before, after }: &AuditRecord| {
            audit_log::ActiveModel {
                actor_kind: Set(actor_kind),
                actor_id: Set(actor_id),
                action: Set((*action).to_owned()),
                entity_type: Set(entity_type.name().to_owned()),
                entity_id: Set(*entity_id),
                before: Set(before.clone()),
                after: Set(after.clone()),
                request_id: Set(self.origin().request_id.clone()),
                created_at: Set(self.now()),
                ..Default::default()
            }
        };
        self.insert_rows(&records.iter().map(to_row).collect::<Vec<_>>()).await
    }
}
