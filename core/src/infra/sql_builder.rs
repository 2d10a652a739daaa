//! A builder of hand-written SQL statements, whose values are always bound and never become part of the text.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, IdenStatic, Iterable, Statement, Value,
    sea_query::{ArrayType, OptionEnum},
};

use crate::base::Result;

/// The largest character: appended to a prefix, it sorts after all strings with that prefix, byte by byte.
const MAX_CHAR: char = char::MAX;

/// Returns the columns of a table for a SELECT clause. Not `*`: PostgreSQL fails prepared statements whose result has
/// changed, as it does when a newer release adds a column while this one is running.
#[must_use]
pub fn list_columns<E: EntityTrait>(alias: &str) -> String {
    let columns: Vec<String> = E::Column::iter().map(|column| format!("{alias}.{}", column.as_str())).collect();
    columns.join(", ")
}

/// An SQL statement under construction.
#[derive(Debug, Clone)]
pub struct SqlBuilder {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl SqlBuilder {
    /// Creates an empty statement for a database backend.
    #[must_use]
    pub fn new(backend: DbBackend) -> Self {
        Self { backend, text: String::with_capacity(512), values: Vec::with_capacity(8) }
    }

    /// Returns whether the statement is for PostgreSQL.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.backend == DbBackend::Postgres
    }

    /// Appends constant SQL text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends the columns of a table, as [`list_columns`] does.
    pub fn push_columns<E: EntityTrait>(&mut self, alias: &str) -> &mut Self {
        self.push(&list_columns::<E>(alias))
    }

    /// Appends a placeholder bound to a value. Both databases support `$1`.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.placeholder(self.values.len())
    }

    /// Appends the placeholder of a value that is already bound.
    pub fn placeholder(&mut self, number: usize) -> &mut Self {
        self.text.push('$');
        self.text.push_str(&number.to_string());
        self
    }

    /// Returns the number of bound values.
    #[must_use]
    pub fn bind_count(&self) -> usize {
        self.values.len()
    }

    /// Appends "`column` is one of `ids`". The text does not depend on the number of ids, so it is prepared once.
    pub fn eq_any(&mut self, column: &str, ids: impl IntoIterator<Item = i64>) -> &mut Self {
        self.push(column);
        if self.is_postgres() {
            self.push(" = ANY(").bind_ints(ids).push(")")
        } else {
            self.push(" IN (SELECT value FROM json_each(").bind_ints(ids).push("))")
        }
    }

    /// Appends "`column` is one of `values`".
    pub fn eq_any_text<'a>(&mut self, column: &str, values: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.push(column);
        if self.is_postgres() {
            self.push(" = ANY(").bind_texts(values).push(")")
        } else {
            self.push(" IN (SELECT value FROM json_each(").bind_texts(values).push("))")
        }
    }

    /// Appends " AND `column` is within a range": the start is inclusive, the end exclusive, and each may be open.
    pub fn and_within<T: Into<Value>>(&mut self, column: &str, start: Option<T>, end: Option<T>) -> &mut Self {
        for (operator, bound) in [(" >= ", start), (" < ", end)] {
            if let Some(bound) = bound {
                self.push(" AND ").push(column).push(operator).bind(bound);
            }
        }
        self
    }

    /// Appends "`column` starts with `text`", byte by byte, as a range that can use an index.
    pub fn starts_with(&mut self, column: &str, text: &str) -> &mut Self {
        self.push("(").push(column).push(" >= ").bind(text);
        self.push(" AND ").push(column).push(" < ").bind(format!("{text}{MAX_CHAR}")).push(")")
    }

    /// Binds a list of integers: an array on PostgreSQL, JSON text on SQLite.
    pub fn bind_ints(&mut self, ids: impl IntoIterator<Item = i64>) -> &mut Self {
        let values = ids.into_iter();
        if self.is_postgres() {
            let values = values.map(|id| Value::BigInt(Some(id))).collect();
            return self.bind(Value::Array(ArrayType::BigInt, Some(Box::new(values))));
        }
        let values: Vec<i64> = values.collect();
        self.bind(serde_json::json!(values).to_string())
    }

    /// Binds a list of strings in the same way.
    pub fn bind_texts<'a>(&mut self, strings: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let values = strings.into_iter();
        if self.is_postgres() {
            let values = values.map(|text| Value::String(Some(text.to_owned()))).collect();
            return self.bind(Value::Array(ArrayType::String, Some(Box::new(values))));
        }
        let values: Vec<&str> = values.collect();
        self.bind(serde_json::json!(values).to_string())
    }

    /// Appends `WITH given (columns) AS (SELECT …) `: rows given as JSON arrays, for a statement that joins them. The text
    /// does not depend on the number of rows, so it is prepared once. Columns are given with their PostgreSQL types.
    pub fn with_rows(&mut self, columns: &[(&str, &str)], rows: Vec<serde_json::Value>) -> &mut Self {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        self.push("WITH given (").push(&names.join(", ")).push(") AS (");
        self.select_rows(columns, rows).push(") ")
    }

    fn select_rows(&mut self, columns: &[(&str, &str)], rows: Vec<serde_json::Value>) -> &mut Self {
        self.push("SELECT ");
        let separator = |index: usize| if index == 0 { "" } else { ", " };
        if !self.is_postgres() {
            for index in 0..columns.len() {
                self.push(separator(index)).push(&format!("value ->> {index}"));
            }
            let rows = serde_json::Value::Array(rows).to_string();
            return self.push(" FROM json_each(").bind(rows).push(") WHERE true");
        }
        let column_values = |(index, (_, sql_type)): (usize, &(&str, &str))| {
            rows.iter().map(|row| cell_value(sql_type, &row[index])).collect()
        };
        self.select_columns(&columns.iter().enumerate().map(column_values).collect::<Vec<_>>())
    }

    /// Appends `NULLIF(c0, …)::type, … FROM unnest(…)`: rows for PostgreSQL, as typed columns.
    ///
    /// Values are sent as text, because the driver's arrays cannot contain NULL; a control character that no stored
    /// text contains represents it.
    pub fn select_columns(&mut self, columns: &[Vec<Value>]) -> &mut Self {
        for (index, column) in columns.iter().enumerate() {
            let sql_type = match column.first() {
                Some(Value::BigInt(_)) => "bigint",
                Some(Value::Int(_)) => "int",
                Some(Value::Bool(_)) => "boolean",
                Some(Value::ChronoDateTimeUtc(_)) => "timestamptz",
                Some(Value::ChronoDate(_)) => "date",
                Some(Value::Json(_)) => "jsonb",
                _ => "text",
            };
            let separator = if index == 0 { "" } else { ", " };
            self.push(&format!("{separator}NULLIF(c{index}, chr(30))::{sql_type}"));
        }
        self.push(" FROM unnest(");
        for (index, column) in columns.iter().enumerate() {
            let texts = column.iter().map(|value| Value::String(Some(to_postgres_text(value)))).collect();
            self.push(if index == 0 { "" } else { ", " });
            self.bind(Value::Array(ArrayType::String, Some(Box::new(texts))));
        }
        let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
        self.push(") AS row (").push(&names.join(", ")).push(")")
    }

    /// Appends another statement with its values.
    pub fn append(&mut self, part: Self) -> &mut Self {
        let offset = self.values.len();
        let mut rest = part.text.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            self.text.push_str(before);
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            match after[..after.len() - rest.len()].parse::<usize>() {
                Ok(number) => self.placeholder(number + offset),
                // A dollar sign that begins no placeholder.
                Err(_) => self.push("$"),
            };
        }
        self.text.push_str(rest);
        self.values.extend(part.values);
        self
    }

    /// Returns the finished statement.
    #[must_use]
    pub fn into_statement(self) -> Statement {
        Statement::from_sql_and_values(self.backend, self.text, self.values)
    }
}

/// Returns a cell of a JSON row as a value. Types without a JSON counterpart are sent as text.
fn cell_value(sql_type: &str, cell: &serde_json::Value) -> Value {
    match sql_type {
        "bigint" => Value::BigInt(cell.as_i64()),
        "int" => Value::Int(cell.as_i64().and_then(|number| i32::try_from(number).ok())),
        "boolean" => Value::Bool(cell.as_bool()),
        "jsonb" => Value::Json(Some(cell).filter(|cell| !cell.is_null()).cloned().map(Box::new)),
        "timestamptz" => Value::ChronoDateTimeUtc(cell.as_str().and_then(|text| text.parse().ok())),
        _ => Value::String(cell.as_str().map(str::to_owned)),
    }
}

/// Returns a value in PostgreSQL's text format.
fn to_postgres_text(value: &Value) -> String {
    let text = match value {
        Value::BigInt(number) => number.map(|number| number.to_string()),
        Value::Int(number) => number.map(|number| number.to_string()),
        Value::Bool(flag) => flag.map(|flag| flag.to_string()),
        Value::ChronoDateTimeUtc(at) => at.map(|at| at.to_rfc3339()),
        Value::ChronoDate(day) => day.map(|day| day.to_string()),
        Value::String(text) => text.clone(),
        Value::Json(value) => value.as_ref().map(ToString::to_string),
        // Enum variants are text in the database.
        Value::Enum(OptionEnum::Some(variant)) => Some(variant.value.to_string()),
        _ => None,
    };
    text.unwrap_or_else(|| "\u{1e}".to_owned())
}

/// Runs a query and reads its rows. Statements: 1.
pub async fn query_rows<R: FromQueryResult>(db: &impl ConnectionTrait, sql: SqlBuilder) -> Result<Vec<R>> {
    let rows = db.query_all_raw(sql.into_statement()).await?;
    Ok(rows.iter().map(|row| R::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// Groups rows by their owner, each group in the order of the rows.
pub fn group_by_owner<R>(rows: Vec<R>, owner_of: impl Fn(&R) -> i64) -> HashMap<i64, Vec<R>> {
    let mut groups: HashMap<i64, Vec<R>> = HashMap::new();
    for row in rows {
        groups.entry(owner_of(&row)).or_default().push(row);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_statement_has_its_placeholders_renumbered() {
        let mut sql = SqlBuilder::new(DbBackend::Postgres);
        sql.push("SELECT ").bind(1_i64);
        let mut part = SqlBuilder::new(DbBackend::Postgres);
        part.push(" + ").bind(2_i64).push(", '$', ").placeholder(1);
        sql.append(part).push(", ").bind(3_i64);
        let statement = sql.into_statement();
        assert_eq!(statement.sql, "SELECT $1 + $2, '$', $2, $3");
        let values = [1_i64, 2, 3].map(Value::from).to_vec();
        assert_eq!(statement.values.map(|values| values.0), Some(values));
    }
}
