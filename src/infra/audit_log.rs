//! The audit log: one row per change, written in the transaction of the change.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Actor, Db, SqlBuilder, Tx, keyset::KeysetOrder, sql_builder::query_rows};
use crate::base::{
    Result,
    global_id::NodeType,
    pagination::{CursorType, CursorValue, Page, PageRequest},
};

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
    /// Returns the record of a creation, with the fields of a JSON object that are not null.
    #[must_use]
    pub fn created(action: &'static str, entity: (NodeType, i64), fields: &Value) -> Self {
        let (_, after) = diff_values(&Value::Null, fields);
        Self { action, entity, before: None, after: Some(after.into()) }
    }

    /// Returns the record of an update, with the fields that differ between two JSON objects; `None` if none do.
    #[must_use]
    pub fn updated(action: &'static str, entity: (NodeType, i64), before: &Value, after: &Value) -> Option<Self> {
        let (before, after) = diff_values(before, after);
        let is_changed = !after.is_empty();
        is_changed.then(|| Self { action, entity, before: Some(before.into()), after: Some(after.into()) })
    }
}

/// Returns the fields of two JSON objects that differ: old values and new values. A missing field counts as null.
#[must_use]
pub fn diff_values(before: &Value, after: &Value) -> (Map<String, Value>, Map<String, Value>) {
    let (mut old_values, mut new_values) = (Map::new(), Map::new());
    for (name, value) in after.as_object().into_iter().flatten().filter(|(name, value)| before[*name] != **value) {
        old_values.insert(name.clone(), before[name].clone());
        new_values.insert(name.clone(), value.clone());
    }
    (old_values, new_values)
}

/// A row of the audit log.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "the columns are explained in the schema")]
pub struct AuditRow {
    pub id: i64,
    pub actor_kind: String,
    pub actor_id: Option<i64>,
    pub action: String,
    pub entity_type: String,
    pub entity_id: i64,
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
            ("entity_type", "text"),
            ("entity_id", "bigint"),
            ("before", "jsonb"),
            ("after", "jsonb"),
            ("request_id", "text"),
            ("created_at", "timestamptz"),
        ];
        let mut sql = self.sql();
        sql.insert_rows("audit_log", &columns, records.iter().map(row).collect());
        self.execute_raw(sql.into_statement()).await?;
        Ok(())
    }
}

/// Clears the values of an entity's audit rows; the actions are kept.
pub async fn erase_audit_values(tx: &Tx, (kind, row_id): (NodeType, i64)) -> Result<()> {
    let mut sql = tx.sql();
    sql.push("UPDATE audit_log SET before = NULL, after = NULL WHERE entity_type = ").bind(kind.name());
    sql.push(" AND entity_id = ").bind(row_id);
    tx.execute_raw(sql.into_statement()).await?;
    Ok(())
}

/// An audited change, as exported to the person that it is about.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
pub struct ExportedChange {
    action: String,
    before: Option<Value>,
    after: Option<Value>,
    created_at: DateTime<Utc>,
}

/// An audited action of an account, as exported to it: without the values of the changed entity.
#[derive(Debug, Serialize, FromQueryResult)]
#[serde(rename_all = "camelCase")]
pub struct ExportedAction {
    action: String,
    entity_type: String,
    created_at: DateTime<Utc>,
}

/// Exports the changes of an entity, oldest first. Statements: 1.
pub async fn export_changes(db: &impl ConnectionTrait, (kind, row_id): (NodeType, i64)) -> Result<Vec<ExportedChange>> {
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT action, before, after, created_at FROM audit_log WHERE entity_type = ").bind(kind.name());
    sql.push(" AND entity_id = ").bind(row_id).push(" ORDER BY created_at");
    query_rows(db, sql).await
}

/// Exports the actions of an account, oldest first. Statements: 1.
pub async fn export_actions(db: &impl ConnectionTrait, account_id: i64) -> Result<Vec<ExportedAction>> {
    let (kind, actor_id) = Actor::Account(account_id).to_db_parts();
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT action, entity_type, created_at FROM audit_log WHERE actor_kind = ").bind(kind);
    sql.push(" AND actor_id = ").bind(actor_id).push(" ORDER BY created_at");
    query_rows(db, sql).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diff_contains_only_changed_fields() {
        let (old_values, new_values) = diff_values(&json!({ "a": 1, "b": null }), &json!({ "a": 1, "b": "x" }));
        assert_eq!((Value::from(old_values), Value::from(new_values)), (json!({ "b": null }), json!({ "b": "x" })));
    }
}
