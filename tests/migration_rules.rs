//! Rules of migrations, for upgrades without downtime: the previous release runs while a migration is applied, and after
//! it. `docs/UPGRADES.md` explains them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use libtest_mimic::Trial;

use crate::architecture::{list_library_files, project_root};

/// End of the name of a migration that removes what the previous release no longer reads.
const CONTRACTING_SUFFIX: &str = "_contract";
/// Statements that lock a table, or all of its rows, for as long as they take.
const LOCKING_STATEMENTS: [&str; 7] = ["UPDATE", "DELETE", "TRUNCATE", "LOCK", "CLUSTER", "VACUUM", "REINDEX"];

pub fn create_trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Vec<String>| {
        Trial::test(format!("migration_rules::{name}"), move || {
            let violations = run();
            if violations.is_empty() { Ok(()) } else { Err(violations.join("\n").into()) }
        })
    };
    vec![
        trial("migrations_do_not_break_the_previous_release", find_breaking_migrations),
        trial("released_migrations_are_kept", find_missing_migrations),
        trial("breaking_statements_are_found", find_undetected_statements),
        trial("statements_name_their_columns", find_statements_without_columns),
    ]
}

/// Finds statements that return all columns of a table: PostgreSQL fails them in a running release after a migration has
/// added a column. In a subquery the result of the statement is not affected.
fn find_statements_without_columns() -> Vec<String> {
    // The select list of a subquery whose outer SELECT names the columns.
    const SUBQUERY: &str = "self.push_select(sql, \"SELECT p.*\"";
    for statement in ["SELECT * FROM cart", "SELECT a.id, a.* FROM account AS a", "… RETURNING *"] {
        assert!(returns_all_columns(statement), "{statement}");
    }
    let mut violations = Vec::new();
    for (file, _) in list_library_files() {
        let text = fs::read_to_string(&file).expect("a source file");
        for line in text.lines().filter(|line| returns_all_columns(line) && !line.contains(SUBQUERY)) {
            violations.push(format!("{}: name the columns: {}", file.display(), line.trim()));
        }
    }
    violations
}

/// Returns whether the statement in a line of code, without its subqueries, returns all columns of a table.
fn returns_all_columns(line: &str) -> bool {
    let statement = line.split("(SELECT ").next().unwrap_or_default();
    let mut words = statement.split([' ', ',', '"']);
    statement.contains("RETURNING *")
        || statement.contains("SELECT *")
        || statement.contains("SELECT ") && words.any(|word| word.ends_with(".*"))
}

/// What the previous release reads and writes: `migration/previous_release.txt`.
#[derive(Debug, Default)]
pub struct PreviousRelease {
    pub migrations: BTreeSet<String>,
    /// Columns by table.
    pub tables: BTreeMap<String, BTreeSet<String>>,
}

impl PreviousRelease {
    pub fn load() -> Self {
        Self::parse(&fs::read_to_string(Self::path()).expect("the previous release"))
    }

    fn path() -> PathBuf {
        project_root().join("migration/previous_release.txt")
    }

    fn parse(text: &str) -> Self {
        let mut release = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let mut words = line.split_whitespace().map(str::to_owned);
            match (words.next().as_deref(), words.next()) {
                (Some("migration"), Some(name)) => {
                    release.migrations.insert(name);
                }
                (Some("table"), Some(name)) => {
                    release.tables.insert(name, words.collect());
                }
                _ => panic!("not a line of the previous release: {line}"),
            }
        }
        release
    }

    /// Replaces the record by the current state.
    pub fn record(tables: &BTreeMap<String, BTreeSet<String>>) {
        let text = fs::read_to_string(Self::path()).expect("the previous release");
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with('#') && !line.contains("released yet"))
            .map(str::to_owned)
            .collect();
        lines.extend(list_migrations().into_keys().map(|name| format!("migration {name}")));
        let join = |columns: &BTreeSet<String>| columns.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        lines.extend(tables.iter().map(|(table, columns)| format!("table {table} {}", join(columns))));
        fs::write(Self::path(), lines.join("\n") + "\n").expect("a record");
    }

    pub fn has_column(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.contains(column))
    }
}

/// Returns the SQL for PostgreSQL of each migration by its name.
fn list_migrations() -> BTreeMap<String, String> {
    let folder = fs::read_dir(project_root().join("migration/src")).expect("a folder");
    let folders = folder.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
    let read = |path: PathBuf| {
        let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        (name, fs::read_to_string(path.join("up.postgres.sql")).expect("a script"))
    };
    folders.map(read).collect()
}

fn find_breaking_migrations() -> Vec<String> {
    let release = PreviousRelease::load();
    let migrations = list_migrations();
    assert!(!migrations.is_empty());
    let new = migrations.iter().filter(|(name, _)| !release.migrations.contains(*name));
    new.flat_map(|(name, sql)| {
        let violations = find_violations(sql, name.ends_with(CONTRACTING_SUFFIX), &release);
        violations.into_iter().map(move |violation| format!("{name}: {violation}"))
    })
    .collect()
}

fn find_missing_migrations() -> Vec<String> {
    let migrations = list_migrations();
    let missing = PreviousRelease::load().migrations.into_iter().filter(|name| !migrations.contains_key(name));
    missing.map(|name| format!("{name} is released and was removed")).collect()
}

/// Splits a script into statements of words: without comments and texts, lower case, punctuation as words of its own.
fn split_statements(sql: &str) -> Vec<Vec<String>> {
    let mut code = String::new();
    let mut rest = sql;
    while let Some(next) = rest.chars().next() {
        let skipped = match next {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            // The body of a function.
            '$' if rest.starts_with("$$") => rest[2..].find("$$").map_or(rest.len(), |end| end + 4),
            _ => 0,
        };
        if skipped > 0 {
            code.push_str(if next == '\'' { " '' " } else { " " });
            rest = &rest[skipped..];
            continue;
        }
        if "(),;".contains(next) {
            code.extend([' ', next, ' ']);
        } else if next != '"' {
            code.extend(next.to_lowercase());
        }
        rest = &rest[next.len_utf8()..];
    }
    let words = |statement: &str| statement.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    code.split(" ; ").map(words).filter(|statement| !statement.is_empty()).collect()
}

/// Splits words at commas outside of parentheses.
fn split_actions(words: &[String]) -> Vec<Vec<&str>> {
    let (mut actions, mut depth) = (vec![Vec::new()], 0);
    for word in words {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        if word == "," && depth == 0 {
            actions.push(Vec::new());
        } else if let Some(action) = actions.last_mut() {
            action.push(word.as_str());
        }
    }
    actions
}

/// Returns the words without those that may stand before a name.
fn skip_options<'a>(mut words: &'a [String], options: &[&str]) -> &'a [String] {
    while let Some((first, rest)) = words.split_first()
        && options.contains(&first.as_str())
    {
        words = rest;
    }
    words
}

/// Returns why the statements of a migration would break the previous release, or block its writes.
fn find_violations(sql: &str, is_contracting: bool, release: &PreviousRelease) -> Vec<String> {
    let mut violations = Vec::new();
    for statement in split_statements(sql) {
        let first_words: Vec<&str> = statement.iter().take(2).map(String::as_str).collect();
        match first_words[..] {
            ["alter", "table"] => {
                let words = skip_options(&statement[2..], &["if", "exists", "only"]);
                let Some((table, actions)) = words.split_first() else { continue };
                for action in split_actions(actions) {
                    violations.extend(judge_table_change(table, &action, is_contracting, release));
                }
            }
            ["alter", "type"] => violations.push("changes a type: every table that uses it is locked".to_owned()),
            ["drop", "table"] => {
                let tables = skip_options(&statement[2..], &["if", "exists"]).iter();
                let tables = tables.filter(|word| ![",", "cascade", "restrict"].contains(&word.as_str()));
                violations.extend(tables.filter_map(|table| judge_removal(table, None, is_contracting, release)));
            }
            ["create", "index" | "unique"] => {
                let is_concurrent = statement.iter().any(|word| word == "concurrently");
                let table = statement.iter().skip_while(|word| *word != "on").nth(1).map_or("", String::as_str);
                if !is_concurrent && release.tables.contains_key(table) {
                    violations
                        .push(format!("builds an index of {table}, which blocks its writers: build it concurrently"));
                }
            }
            [first, ..] if LOCKING_STATEMENTS.contains(&first.to_uppercase().as_str()) => {
                let options = ["from", "only", "table", "full", "analyze", "index"];
                let table = skip_options(&statement[1..], &options).first().map_or("", String::as_str);
                if release.tables.contains_key(table) {
                    violations
                        .push(format!("locks {table} with {}: change rows in batches, by a job", first.to_uppercase()));
                }
            }
            _ => {}
        }
    }
    violations
}

/// Returns why an action of ALTER TABLE breaks the previous release or blocks writes.
fn judge_table_change(table: &str, action: &[&str], is_contracting: bool, release: &PreviousRelease) -> Option<String> {
    let has = |words: &[&str]| action.windows(words.len()).any(|window| window == words);
    let is_existing = release.tables.contains_key(table);
    let without_column: Vec<&str> =
        action.iter().copied().filter(|word| !["column", "if", "exists", "not"].contains(word)).collect();
    match without_column[..] {
        ["drop" | "rename", "constraint", ..] => None,
        ["rename", "to", ..] | ["set", "schema", ..] => judge_removal(table, None, is_contracting, release),
        ["drop" | "rename", column, ..] => judge_removal(table, Some(column), is_contracting, release),
        _ if !is_existing => None,
        ["add", "constraint" | "check" | "foreign" | "unique" | "primary" | "exclude", ..] => {
            let is_brief = has(&["not", "valid"]) || has(&["using", "index"]);
            (!is_brief).then(|| {
                format!("adds a constraint that reads all rows of {table} while it is locked: add it NOT VALID")
            })
        }
        ["add", column, ..] => {
            let is_required = has(&["not", "null"]) && !has(&["default"]) && !has(&["generated"]);
            is_required.then(|| {
                format!("adds {table}.{column} NOT NULL without a default: the previous release cannot insert")
            })
        }
        ["alter", column, "type", ..] | ["alter", column, "set", "data", ..] => Some(format!(
            "changes the type of {table}.{column}, which locks and rewrites the table: add another column"
        )),
        ["alter", column, "set", "null", ..] | ["alter", column, "drop", "default", ..] if !is_contracting => {
            Some(format!("requires {table}.{column}, which the previous release may omit"))
        }
        _ => None,
    }
}

/// Returns why a table or column may not be removed or renamed.
fn judge_removal(table: &str, column: Option<&str>, is_contracting: bool, release: &PreviousRelease) -> Option<String> {
    let name = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
    if !is_contracting {
        return Some(format!("removes {name}: only a migration with the suffix {CONTRACTING_SUFFIX} may"));
    }
    let is_read = match column {
        Some(column) => release.has_column(table, column),
        None => release.tables.contains_key(table),
    };
    is_read.then(|| format!("removes {name}, which the previous release reads"))
}

/// Statements of each kind, with whether they are allowed in an expanding and in a contracting migration.
const EXAMPLES: [(&str, bool, bool); 33] = [
    (
        "CREATE TABLE gift (id BIGINT PRIMARY KEY, note TEXT NOT NULL); CREATE INDEX gift_note_idx ON gift (note);",
        true,
        true,
    ),
    ("ALTER TABLE cart ADD COLUMN gift TEXT", true, true),
    ("ALTER TABLE cart ADD COLUMN IF NOT EXISTS gift TEXT", true, true),
    ("ALTER TABLE cart ADD gift TEXT NOT NULL DEFAULT 'x; DROP TABLE cart'", true, true),
    ("ALTER TABLE cart ADD gift TEXT, ADD wrap TEXT NOT NULL", false, false),
    ("alter table only \"cart\" add column gift numeric(10, 2) not null", false, false),
    ("ALTER TABLE cart DROP COLUMN note", false, false),
    ("ALTER TABLE cart DROP COLUMN IF EXISTS old_note", false, true),
    ("ALTER TABLE cart DROP old_note", false, true),
    ("ALTER TABLE cart RENAME COLUMN note TO remark", false, false),
    ("ALTER TABLE cart RENAME old_note TO remark", false, true),
    ("ALTER TABLE cart RENAME TO basket", false, false),
    ("ALTER TABLE old_cart RENAME TO basket", false, true),
    ("DROP TABLE cart", false, false),
    ("DROP TABLE IF EXISTS old_cart, cart CASCADE", false, false),
    ("DROP TABLE old_cart", false, true),
    ("-- DROP TABLE cart;\nSELECT 1", true, true),
    ("CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN DELETE FROM cart; END $$ LANGUAGE plpgsql", true, true),
    ("CREATE INDEX cart_note_idx ON cart (note)", false, false),
    ("CREATE UNIQUE INDEX IF NOT EXISTS cart_note_idx ON cart (note)", false, false),
    ("CREATE INDEX CONCURRENTLY cart_note_idx ON cart (note)", true, true),
    ("ALTER TABLE cart ALTER COLUMN note TYPE VARCHAR(20)", false, false),
    ("ALTER TABLE cart ALTER note SET DATA TYPE TEXT", false, false),
    ("ALTER TABLE cart ALTER COLUMN note SET NOT NULL", false, true),
    ("ALTER TABLE cart ALTER COLUMN note DROP NOT NULL", true, true),
    ("ALTER TABLE cart ALTER COLUMN note DROP DEFAULT", false, true),
    ("ALTER TABLE cart ADD CONSTRAINT short CHECK (length(note) < 10)", false, false),
    ("ALTER TABLE cart ADD CONSTRAINT short CHECK (length(note) < 10) NOT VALID", true, true),
    ("ALTER TABLE cart VALIDATE CONSTRAINT short", true, true),
    ("ALTER TABLE cart DROP CONSTRAINT short", true, true),
    ("ALTER TYPE mood ADD VALUE 'happy'", false, false),
    ("UPDATE cart SET note = ''", false, false),
    ("LOCK TABLE cart", false, false),
];

fn find_undetected_statements() -> Vec<String> {
    let release = PreviousRelease::parse("# A comment\n\nmigration m1\ntable cart id note\n");
    assert!(release.migrations.contains("m1") && release.has_column("cart", "note"));
    let mut wrong = Vec::new();
    for (sql, expands, contracts) in EXAMPLES {
        for (is_contracting, is_allowed) in [(false, expands), (true, contracts)] {
            let violations = find_violations(sql, is_contracting, &release);
            if violations.is_empty() != is_allowed {
                wrong.push(format!("{sql} (contracting: {is_contracting}): {violations:?}"));
            }
        }
    }
    wrong
}
