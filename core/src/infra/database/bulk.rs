//! Bulk inserts, updates and deletes of the rows of entities.
//!
//! The text of a statement does not depend on the number of rows, so it is prepared once. PostgreSQL receives each column
//! as one array, which is several times faster than rows; SQLite receives all rows as JSON.

use chrono::SecondsFormat;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityName, EntityTrait, IdenStatic, Iterable, QueryFilter,
    QuerySelect, QueryTrait, Select, Value, sea_query::sea_value_to_json_value,
};
use serde_json::{Value as JsonValue, json};

use super::{Db, Tx};
use crate::{base::Result, infra::SqlBuilder};

/// The number of rows deleted in one transaction.
const DELETE_BATCH_SIZE: u64 = 1000;

/// The column type of a model's entity.
type ColumnOf<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;

impl Tx {
    /// Inserts rows, which all set the same columns. Statements: 1 for any number, none without rows.
    pub async fn insert_rows<A: ActiveModelTrait>(&self, rows: &[A]) -> Result<()> {
        if !rows.is_empty() {
            let mut sql = self.sql();
            sql.insert_models(rows);
            self.execute_raw(sql.into_statement()).await?;
        }
        Ok(())
    }

    /// Updates rows: those with the values of the `Unchanged` columns get the values of the `Set` columns. All rows have
    /// the same columns of each kind. Statements: 1 for any number, none without rows.
    pub async fn update_rows<A: ActiveModelTrait>(&self, rows: &[A]) -> Result<()> {
        if !rows.is_empty() {
            let mut sql = self.sql();
            sql.update_models(rows);
            self.execute_raw(sql.into_statement()).await?;
        }
        Ok(())
    }
}

impl SqlBuilder {
    /// Appends `INSERT INTO table (columns) SELECT …` of rows, with the columns that the first of them sets. A conflict
    /// clause or `RETURNING` may follow.
    pub fn insert_models<A: ActiveModelTrait>(&mut self, rows: &[A]) -> &mut Self {
        let columns = given_columns(rows);
        self.push("INSERT INTO ").push(A::Entity::default().table_name());
        self.push(" (").push(&join_names(&columns)).push(") ").select_models(rows, &columns)
    }

    /// Appends `WITH given (columns) AS (SELECT …) ` of rows, with the columns that the first of them sets or leaves
    /// unchanged, for a statement that joins them.
    pub fn with_models<A: ActiveModelTrait>(&mut self, rows: &[A]) -> &mut Self {
        let columns = given_columns(rows);
        self.push("WITH given (").push(&join_names(&columns)).push(") AS (");
        self.select_models(rows, &columns).push(") ")
    }

    /// Appends `WITH given … UPDATE table SET column = given.column, … FROM given WHERE table.key = given.key`: the
    /// columns that the first row sets are updated, those that it leaves unchanged are the key. A further condition may
    /// follow.
    pub fn update_models<A: ActiveModelTrait>(&mut self, rows: &[A]) -> &mut Self {
        let table = A::Entity::default();
        let table = table.table_name();
        let is_set = |column: &ColumnOf<A>| rows.first().is_some_and(|row| row.get(*column).is_set());
        let (set_columns, key_columns): (Vec<_>, Vec<_>) = given_columns(rows).into_iter().partition(is_set);
        let equation = |prefix: &str, column: &ColumnOf<A>| format!("{prefix}\"{0}\" = given.\"{0}\"", column.as_str());
        let assignments: Vec<String> = set_columns.iter().map(|column| equation("", column)).collect();
        let conditions: Vec<String> = key_columns.iter().map(|column| equation(&format!("{table}."), column)).collect();
        self.with_models(rows).push("UPDATE ").push(table).push(" SET ").push(&assignments.join(", "));
        self.push(" FROM given WHERE ").push(&conditions.join(" AND "))
    }

    /// Appends a `SELECT` of the rows.
    fn select_models<A: ActiveModelTrait>(&mut self, rows: &[A], columns: &[ColumnOf<A>]) -> &mut Self {
        self.push("SELECT ");
        let cell = |row: &A, column: ColumnOf<A>| row.get(column).into_value().unwrap_or(Value::String(None));
        if self.is_postgres() {
            let values_of = |column: &ColumnOf<A>| rows.iter().map(|row| cell(row, *column)).collect();
            return self.select_columns(&columns.iter().map(values_of).collect::<Vec<_>>());
        }
        let selected: Vec<String> = (0..columns.len()).map(|index| format!("value ->> {index}")).collect();
        let to_json = |row: &A| columns.iter().map(|column| to_sqlite_json(cell(row, *column))).collect();
        let json_rows: Vec<JsonValue> = rows.iter().map(to_json).collect();
        // Without a WHERE clause, SQLite reads ON CONFLICT as a join condition.
        self.push(&selected.join(", ")).push(" FROM json_each(").bind(json!(json_rows).to_string()).push(") WHERE true")
    }
}

/// Returns the columns that have a value in the first row, in the order of the entity.
fn given_columns<A: ActiveModelTrait>(rows: &[A]) -> Vec<ColumnOf<A>> {
    let Some(row) = rows.first() else { return Vec::new() };
    ColumnOf::<A>::iter().filter(|column| !row.is_not_set(*column)).collect()
}

fn join_names<C: IdenStatic>(columns: &[C]) -> String {
    let names: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.as_str())).collect();
    names.join(", ")
}

/// Returns a value as an element of a JSON array from which `->>` reads what the driver would store.
fn to_sqlite_json(value: Value) -> JsonValue {
    match value {
        Value::ChronoDateTimeUtc(at) => json!(at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, false))),
        Value::ChronoDate(day) => json!(day.map(|day| day.to_string())),
        Value::Json(document) => json!(document.map(|document| document.to_string())),
        value => sea_value_to_json_value(&value),
    }
}

impl Db {
    /// Deletes the rows of a query, in transactions of a limited size. `key` is the primary key.
    pub async fn delete_in_batches<E: EntityTrait>(&self, key: E::Column, rows: Select<E>) -> Result<()> {
        let batch = rows.select_only().column(key).limit(DELETE_BATCH_SIZE).into_query();
        loop {
            let batch = batch.clone();
            let deleted_count = self
                .write(async |tx| Ok(E::delete_many().filter(key.in_subquery(batch)).exec(tx).await?.rows_affected));
            if deleted_count.await? < DELETE_BATCH_SIZE {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use sea_orm::{DbBackend, Set, Unchanged};

    use super::*;
    use crate::infra::entity::outbox_event;

    fn insert_events(backend: DbBackend, count: usize) -> sea_orm::Statement {
        let row = |number| outbox_event::ActiveModel {
            event_type: Set(format!("Event{number}")),
            aggregate: Set("order:1".to_owned()),
            payload: Set(json!({ "number": number })),
            created_at: Set(DateTime::UNIX_EPOCH),
            ..Default::default()
        };
        let mut sql = SqlBuilder::new(backend);
        sql.insert_models(&(0..count).map(row).collect::<Vec<_>>());
        sql.into_statement()
    }

    #[test]
    fn bulk_insert_on_postgres_has_one_array_per_set_column() {
        let statement = insert_events(DbBackend::Postgres, 2);
        assert_eq!(
            statement.sql,
            "INSERT INTO outbox_event (\"event_type\", \"aggregate\", \"payload\", \"created_at\") \
             SELECT NULLIF(c0, chr(30))::text, NULLIF(c1, chr(30))::text, NULLIF(c2, chr(30))::jsonb, \
             NULLIF(c3, chr(30))::timestamptz FROM unnest($1, $2, $3, $4) AS row (c0, c1, c2, c3)"
        );
        assert_eq!(statement.sql, insert_events(DbBackend::Postgres, 5).sql, "the text depends on the number of rows");
        assert_eq!(statement.values.map(|values| values.0.len()), Some(4));
    }

    #[test]
    fn bulk_update_sets_the_changed_columns_by_the_unchanged_ones() {
        let row = |id| outbox_event::ActiveModel {
            id: Unchanged(id),
            event_type: Set(format!("Event{id}")),
            aggregate: Set("order:1".to_owned()),
            ..Default::default()
        };
        let update = |backend| {
            let mut sql = SqlBuilder::new(backend);
            sql.update_models(&[row(1), row(2)]);
            sql.into_statement()
        };
        let updated = "UPDATE outbox_event SET \"event_type\" = given.\"event_type\", \
                       \"aggregate\" = given.\"aggregate\" FROM given WHERE outbox_event.\"id\" = given.\"id\"";
        let given = "WITH given (\"id\", \"event_type\", \"aggregate\") AS (SELECT";
        let columns = "NULLIF(c0, chr(30))::bigint, NULLIF(c1, chr(30))::text, NULLIF(c2, chr(30))::text \
                       FROM unnest($1, $2, $3) AS row (c0, c1, c2)";
        assert_eq!(update(DbBackend::Postgres).sql, format!("{given} {columns}) {updated}"));
        let statement = update(DbBackend::Sqlite);
        let columns = "value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true";
        assert_eq!(statement.sql, format!("{given} {columns}) {updated}"));
        let rows = json!([[1, "Event1", "order:1"], [2, "Event2", "order:1"]]).to_string();
        assert_eq!(statement.values.map(|values| values.0), Some(vec![rows.into()]));
    }

    #[test]
    fn bulk_insert_on_sqlite_has_all_rows_in_one_value() {
        let statement = insert_events(DbBackend::Sqlite, 1);
        assert_eq!(
            statement.sql,
            "INSERT INTO outbox_event (\"event_type\", \"aggregate\", \"payload\", \"created_at\") \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($1) WHERE true"
        );
        let rows = json!([["Event0", "order:1", r#"{"number":0}"#, "1970-01-01T00:00:00+00:00"]]).to_string();
        assert_eq!(statement.values.map(|values| values.0), Some(vec![rows.into()]));
    }
}
