//! The audit log: one row per change, written in the transaction of the change.

use std::fmt;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Map, Value, json};

use super::{Db, Tx, keyset::KeysetOrder};
use crate::base::{
    Result,
    global_id::NodeType,
    pagination::{CursorType, CursorValue, Page, PageRequest},
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

impl Actor {
    /// Returns the kind and the id, as stored.
    #[must_use]
    pub const fn to_db_parts(self) -> (&'static str, Option<i64>) {
        match self {
            Self::Anonymous => ("nobody", None),
            Self::System => ("system", None),
            Self::Account(id) => ("account", Some(id)),
            Self::ApiKey(id) => ("api_key", Some(id)),
        }
    }
}

/// Formats kind and id: `account:7`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_db_parts() {
            (kind, Some(id)) => write!(f, "{kind}:{id}"),
            (kind, None) => f.write_str(kind),
        }
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

impl AuditRecord {
    /// Creates the record of an update from all audited fields before and after it; `None` if none of them changed.
    #[must_use]
    pub fn of_update(action: &'static str, entity: (NodeType, i64), before: &Value, after: &Value) -> Option<Self> {
        let (mut old_values, mut new_values) = (Map::new(), Map::new());
        for (name, value) in after.as_object().into_iter().flatten().filter(|(name, value)| before[*name] != **value) {
            old_values.insert(name.clone(), before[name].clone());
            new_values.insert(name.clone(), value.clone());
        }
        let (before, after) = (Some(old_values.into()), Some(new_values.into()));
        (after != Some(json!({}))).then_some(Self { action, entity, before, after })
    }
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct AuditRow {
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

impl AuditRow {
    /// Returns the row's cursor.
    #[must_use]
    pub fn cursor(&self) -> String {
        AUDIT_ORDER.cursor(vec![CursorValue::Time(self.created_at)], self.id)
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

/// Newest first.
const AUDIT_ORDER: KeysetOrder =
    KeysetOrder { tag: 'a', columns: &[("a.created_at", CursorType::Time)], id_column: "a.id", descending: true };

/// Returns a page of the audit log, newest first. Statements: 1.
///
/// # Errors
/// Returns `BadUserInput` if the cursor is invalid.
pub async fn list_audit_rows(db: &Db, filter: &AuditRowFilter, request: &PageRequest) -> Result<Page<AuditRow>> {
    let AuditRowFilter { actor, action, entity, since, until } = filter;
    let mut sql = db.sql();
    sql.push("SELECT a.* FROM audit AS a WHERE true");
    if let Some(actor) = actor {
        let (kind, row_id) = actor.to_db_parts();
        sql.push(" AND a.actor_kind = ").bind(kind).push(" AND a.actor_id = ").bind(row_id);
    }
    if let Some(action) = action {
        sql.push(" AND a.action = ").bind(action.as_str());
    }
    if let Some((kind, row_id)) = entity {
        sql.push(" AND a.thing_kind = ").bind(*kind).push(" AND a.thing_id = ").bind(*row_id);
    }
    if let Some(since) = since {
        sql.push(" AND a.created_at >= ").bind(*since);
    }
    if let Some(until) = until {
        sql.push(" AND a.created_at < ").bind(*until);
    }
    AUDIT_ORDER.load_page(db, sql, request).await
}

impl Tx {
    /// Records changes in this transaction. Records must not contain secrets. Statements: 1 for any number.
    pub async fn record_audit(&self, records: &[AuditRecord]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let (actor, actor_id) = self.origin().actor.to_db_parts();
        // Formatted as the driver does, because SQLite compares times as text.
        let now = self.now().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, false);
        let row = |record: &AuditRecord| {
            let (kind, key) = record.entity;
            json!([
                actor,
                actor_id,
                record.action,
                kind.name(),
                key,
                record.before,
                record.after,
                self.origin().request_id,
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
        sql.insert_rows("audit", &columns, records.iter().map(row).collect());
        self.execute_raw(sql.into_statement()).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_record_contains_only_changed_fields() {
        let update = |before, after| AuditRecord::of_update("product.update", (NodeType::Product, 1), &before, &after);
        let record = update(json!({ "a": 1, "b": null }), json!({ "a": 1, "b": "x" }));
        let values = record.map(|record| (record.before, record.after));
        assert_eq!(values, Some((Some(json!({ "b": null })), Some(json!({ "b": "x" })))));
        assert!(update(json!({ "a": 1 }), json!({ "a": 1 })).is_none());
    }
}
