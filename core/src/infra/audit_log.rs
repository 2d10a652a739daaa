//! The audit log: one row per change, written in the transaction of the change.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DerivePartialModel, EntityTrait, QueryFilter, QueryOrder, Set, sea_query::Expr,
};
use serde::Serialize;
use serde_json::{Map, Value};

pub use super::entity::audit_log::Model as AuditRow;
use super::{
    Actor, Db, SqlBuilder, Tx,
    entity::audit_log,
    keyset::{self, KeysetOrder},
};
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
    let mut sql = db.sql();
    sql.push("SELECT ").push_columns::<audit_log::Entity>("a").push(" FROM audit_log AS a");
    filter.push_conditions(&mut sql);
    AUDIT_ORDER.load_page(db, sql, request).await
}

/// Returns the number of rows of the audit log. Statements: 1.
pub async fn count_audit_rows(db: &Db, filter: &AuditRowFilter) -> Result<i64> {
    let mut sql = db.sql();
    sql.push("SELECT COUNT(*) FROM audit_log AS a");
    filter.push_conditions(&mut sql);
    keyset::load_count(db, sql).await
}

impl AuditRowFilter {
    fn push_conditions(&self, sql: &mut SqlBuilder) {
        let Self { actor, action, entity, since, until } = self;
        sql.push(" WHERE true");
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
        sql.and_within("a.created_at", *since, *until);
    }
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

/// Clears the values of an entity's audit rows; the actions are kept.
pub async fn erase_audit_values(tx: &Tx, (kind, row_id): (NodeType, i64)) -> Result<()> {
    audit_log::Entity::update_many()
        .col_expr(audit_log::Column::Before, Expr::value(None::<Value>))
        .col_expr(audit_log::Column::After, Expr::value(None::<Value>))
        .filter(audit_log::Column::EntityType.eq(kind.name()))
        .filter(audit_log::Column::EntityId.eq(row_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// An audited change, as exported to the person that it is about.
#[derive(Debug, Serialize, DerivePartialModel)]
#[sea_orm(entity = "audit_log::Entity")]
#[serde(rename_all = "camelCase")]
pub struct ExportedChange {
    action: String,
    before: Option<Value>,
    after: Option<Value>,
    created_at: DateTime<Utc>,
}

/// An audited action of an account, as exported to it: without the values of the changed entity.
#[derive(Debug, Serialize, DerivePartialModel)]
#[sea_orm(entity = "audit_log::Entity")]
#[serde(rename_all = "camelCase")]
pub struct ExportedAction {
    action: String,
    entity_type: String,
    created_at: DateTime<Utc>,
}

/// Exports the changes of an entity, oldest first. Statements: 1.
pub async fn export_changes(db: &impl ConnectionTrait, (kind, row_id): (NodeType, i64)) -> Result<Vec<ExportedChange>> {
    let changes = audit_log::Entity::find()
        .filter(audit_log::Column::EntityType.eq(kind.name()))
        .filter(audit_log::Column::EntityId.eq(row_id))
        .order_by_asc(audit_log::Column::CreatedAt);
    Ok(changes.into_partial_model().all(db).await?)
}

/// Exports the actions of an account, oldest first. Statements: 1.
pub async fn export_actions(db: &impl ConnectionTrait, account_id: i64) -> Result<Vec<ExportedAction>> {
    let (kind, actor_id) = Actor::Account(account_id).to_db_parts();
    let actions = audit_log::Entity::find()
        .filter(audit_log::Column::ActorKind.eq(kind))
        .filter(audit_log::Column::ActorId.eq(actor_id))
        .order_by_asc(audit_log::Column::CreatedAt);
    Ok(actions.into_partial_model().all(db).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn diff_contains_only_changed_fields() {
        let (old_values, new_values) = diff_values(&json!({ "a": 1, "b": null }), &json!({ "a": 1, "b": "x" }));
        assert_eq!((Value::from(old_values), Value::from(new_values)), (json!({ "b": null }), json!({ "b": "x" })));
    }
}
