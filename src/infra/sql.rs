//! SQL by hand, for statements that an ORM would only get in the way of: text and values grow together, so a value can
//! never become text.

use sea_orm::{
    DbBackend, Statement, Value,
    sea_query::{ArrayType, OptionEnum},
};

/// Comes after everything that begins with what stands before it, byte by byte.
const LAST: char = char::MAX;

/// A statement being written.
#[derive(Debug, Clone)]
pub struct Sql {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// An empty statement for one kind of database.
    #[must_use]
    pub fn new(backend: DbBackend) -> Self {
        Self { backend, text: String::with_capacity(512), values: Vec::with_capacity(8) }
    }

    /// Whether it is for PostgreSQL.
    #[must_use]
    pub fn postgres(&self) -> bool {
        self.backend == DbBackend::Postgres
    }

    /// Adds words of our own.
    pub fn push(&mut self, words: &str) -> &mut Self {
        self.text.push_str(words);
        self
    }

    /// Adds a value, as the next placeholder. Both databases know `$1`.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.place(self.values.len())
    }

    /// Adds the placeholder of a value that is there already.
    pub fn place(&mut self, number: usize) -> &mut Self {
        self.text.push('$');
        self.text.push_str(&number.to_string());
        self
    }

    /// How many values it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// Adds `column` is one of `keys`. The text is the same for any number of them, so it is prepared once.
    pub fn any(&mut self, column: &str, keys: impl IntoIterator<Item = i64>) -> &mut Self {
        self.push(column);
        if self.postgres() {
            self.push(" = ANY(").ints(keys).push(")")
        } else {
            self.push(" IN (SELECT value FROM json_each(").ints(keys).push("))")
        }
    }

    /// The same for words.
    pub fn any_text<'a>(&mut self, column: &str, keys: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.push(column);
        if self.postgres() {
            self.push(" = ANY(").texts(keys).push(")")
        } else {
            self.push(" IN (SELECT value FROM json_each(").texts(keys).push("))")
        }
    }

    /// Adds `column` begins with a text, byte by byte, in the words that an index can answer.
    pub fn begins(&mut self, column: &str, text: &str) -> &mut Self {
        self.push("(").push(column).push(" >= ").bind(text);
        self.push(" AND ").push(column).push(" < ").bind(format!("{text}{LAST}")).push(")")
    }

    /// Binds a list of numbers: an array on PostgreSQL, JSON text on SQLite.
    pub fn ints(&mut self, keys: impl IntoIterator<Item = i64>) -> &mut Self {
        let list = keys.into_iter();
        if self.postgres() {
            let list = list.map(|key| Value::BigInt(Some(key))).collect();
            return self.bind(Value::Array(ArrayType::BigInt, Some(Box::new(list))));
        }
        let list: Vec<i64> = list.collect();
        self.bind(serde_json::json!(list).to_string())
    }

    /// Binds a list of words in the same way.
    pub fn texts<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) -> &mut Self {
        let list = keys.into_iter();
        if self.postgres() {
            let list = list.map(|key| Value::String(Some(key.to_owned()))).collect();
            return self.bind(Value::Array(ArrayType::String, Some(Box::new(list))));
        }
        let list: Vec<&str> = list.collect();
        self.bind(serde_json::json!(list).to_string())
    }

    /// `INSERT INTO table (columns) SELECT …` of rows given as JSON arrays: one text for any number of rows, so it is
    /// prepared once. The columns come with the types that PostgreSQL is to have them in; there each travels as one
    /// array, which it takes in several times faster than rows.
    pub fn insert(&mut self, table: &str, columns: &[(&str, &str)], rows: Vec<serde_json::Value>) -> &mut Self {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        self.push("INSERT INTO ").push(table).push(" (").push(&names.join(", ")).push(") ");
        self.select(columns, rows)
    }

    /// `WITH given (columns) AS (SELECT …) `: the same rows, for a statement that changes others by them.
    pub fn with(&mut self, columns: &[(&str, &str)], rows: Vec<serde_json::Value>) -> &mut Self {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        self.push("WITH given (").push(&names.join(", ")).push(") AS (");
        self.select(columns, rows).push(") ")
    }

    fn select(&mut self, columns: &[(&str, &str)], rows: Vec<serde_json::Value>) -> &mut Self {
        self.push("SELECT ");
        let comma = |number: usize| if number == 0 { "" } else { ", " };
        if !self.postgres() {
            for number in 0..columns.len() {
                self.push(comma(number)).push(&format!("value ->> {number}"));
            }
            let rows = serde_json::Value::Array(rows).to_string();
            return self.push(" FROM json_each(").bind(rows).push(") WHERE true");
        }
        let cells =
            |(number, (_, kind)): (usize, &(&str, &str))| rows.iter().map(|row| cell(kind, &row[number])).collect();
        self.columns(&columns.iter().enumerate().map(cells).collect::<Vec<_>>())
    }

    /// `NULLIF(c0, …)::type, … FROM unnest(…)`: rows for PostgreSQL, a column at a time, each of one kind.
    ///
    /// They travel as texts, because the driver's arrays have no place for NULL; a control character that no text of
    /// the shop holds stands for it.
    pub fn columns(&mut self, columns: &[Vec<Value>]) -> &mut Self {
        for (number, column) in columns.iter().enumerate() {
            let kind = match column.first() {
                Some(Value::BigInt(_)) => "bigint",
                Some(Value::Int(_)) => "int",
                Some(Value::Bool(_)) => "boolean",
                Some(Value::ChronoDateTimeUtc(_)) => "timestamptz",
                Some(Value::Json(_)) => "jsonb",
                _ => "text",
            };
            let comma = if number == 0 { "" } else { ", " };
            self.push(&format!("{comma}NULLIF(c{number}, chr(30))::{kind}"));
        }
        self.push(" FROM unnest(");
        for (number, column) in columns.iter().enumerate() {
            let texts = column.iter().map(|value| Value::String(Some(plain(value)))).collect();
            self.push(if number == 0 { "" } else { ", " });
            self.bind(Value::Array(ArrayType::String, Some(Box::new(texts))));
        }
        let names: Vec<String> = (0..columns.len()).map(|number| format!("c{number}")).collect();
        self.push(") AS row (").push(&names.join(", ")).push(")")
    }

    /// Adds a statement as a part of this one, with its values.
    pub fn append(&mut self, part: Self) -> &mut Self {
        let offset = self.values.len();
        let mut rest = part.text.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            self.text.push_str(before);
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            let number: usize = after[..after.len() - rest.len()].parse().unwrap_or_default();
            self.place(number + offset);
        }
        self.text.push_str(rest);
        self.values.extend(part.values);
        self
    }

    /// The finished statement.
    #[must_use]
    pub fn statement(self) -> Statement {
        Statement::from_sql_and_values(self.backend, self.text, self.values)
    }
}

/// A cell of a JSON row. What is neither a number nor a flag travels as text.
fn cell(kind: &str, cell: &serde_json::Value) -> Value {
    match kind {
        "bigint" => Value::BigInt(cell.as_i64()),
        "int" => Value::Int(cell.as_i64().and_then(|number| i32::try_from(number).ok())),
        "boolean" => Value::Bool(cell.as_bool()),
        "jsonb" => Value::Json(Some(cell).filter(|cell| !cell.is_null()).cloned().map(Box::new)),
        "timestamptz" => Value::ChronoDateTimeUtc(cell.as_str().and_then(|text| text.parse().ok())),
        _ => Value::String(cell.as_str().map(str::to_owned)),
    }
}

/// A value as PostgreSQL reads it from text.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::BigInt(number) => number.map(|number| number.to_string()),
        Value::Int(number) => number.map(|number| number.to_string()),
        Value::Bool(flag) => flag.map(|flag| flag.to_string()),
        Value::ChronoDateTimeUtc(at) => at.map(|at| at.to_rfc3339()),
        Value::String(text) => text.clone(),
        Value::Json(value) => value.as_ref().map(ToString::to_string),
        // The words of an enum are text in the database.
        Value::Enum(OptionEnum::Some(word)) => Some(word.value.to_string()),
        _ => None,
    };
    text.unwrap_or_else(|| "\u{1e}".to_owned())
}
