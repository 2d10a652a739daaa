//! What a report says about the machine and the database system.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;

use crate::{base::Result, infra::Db};

/// The machine of a proof.
#[derive(Debug, Clone, Serialize)]
pub struct MachineDescription {
    /// Operating system.
    pub system: String,
    /// Model of the processor.
    pub processor: String,
    /// Usable cores.
    pub cores: usize,
    /// Memory in bytes; `None` if the system does not report it.
    pub memory_bytes: Option<u64>,
}

/// The database system of a proof.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseDescription {
    /// Name and version.
    pub version: String,
    /// Settings that decide whether commits survive a power failure.
    pub settings: BTreeMap<String, String>,
}

/// Describes this machine.
pub(super) fn describe_machine() -> MachineDescription {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let value_after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| line.split_once([':', '='])).map(|(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let memory = value_after(&read("/proc/meminfo"), "MemTotal");
    let memory = memory.and_then(|text| text.split(' ').next().and_then(|number| number.parse::<u64>().ok()));
    MachineDescription {
        system: value_after(&read("/etc/os-release"), "PRETTY_NAME").unwrap_or_else(|| std::env::consts::OS.to_owned()),
        processor: value_after(&read("/proc/cpuinfo"), "model name")
            .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        // The system reports kibibytes.
        memory_bytes: memory.map(|kibibytes| kibibytes * 1024),
    }
}

/// Describes the database system. Statements: 1 per fact.
pub(super) async fn describe_database(db: &Db) -> Result<DatabaseDescription> {
    let (version_sql, name, settings) = if db.sql().is_postgres() {
        let names = ["fsync", "full_page_writes", "synchronous_commit"];
        let to_query = |name: &str| (name.to_owned(), format!("SELECT current_setting('{name}') AS value"));
        ("SELECT current_setting('server_version') AS value", "PostgreSQL", names.map(to_query))
    } else {
        let to_query = |(name, sql): (&str, &str)| (name.to_owned(), sql.to_owned());
        let queries = [
            ("journal_mode", "SELECT journal_mode AS value FROM pragma_journal_mode"),
            ("synchronous", "SELECT CAST(synchronous AS TEXT) AS value FROM pragma_synchronous"),
            ("foreign_keys", "SELECT CAST(foreign_keys AS TEXT) AS value FROM pragma_foreign_keys"),
        ];
        ("SELECT sqlite_version() AS value", "SQLite", queries.map(to_query))
    };
    let version = format!("{name} {}", query_text(db, version_sql).await?);
    let mut values = BTreeMap::new();
    for (setting, sql) in settings {
        values.insert(setting, query_text(db, &sql).await?);
    }
    Ok(DatabaseDescription { version, settings: values })
}

async fn query_text(db: &Db, sql: &str) -> Result<String> {
    // Writes are what the settings are about, so the write connection is asked.
    let row = db.writer_connection().query_one_raw(Statement::from_string(db.backend(), sql)).await?;
    Ok(row.map_or_else(|| Ok(String::new()), |row| row.try_get("", "value"))?)
}
