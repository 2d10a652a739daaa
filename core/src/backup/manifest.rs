//! The manifest of a backup: what the archive contains, and by which program and from which schema it was made.

use std::cmp::Ordering;

use chrono::{DateTime, Utc};
use migration::{Migrator, MigratorTrait};
use serde::{Deserialize, Serialize};

/// The format of the archives that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;
/// The version of this program.
const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The database system of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupSystem {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgresql,
}

impl BackupSystem {
    /// Returns the name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgresql => "PostgreSQL",
        }
    }
}

/// What a member of the archive is. Older versions refuse to restore kinds that they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// The database: a dump by `pg_dump`, or a compressed SQLite file.
    Database,
    /// The pictures that are stored in a folder: a tar file.
    Media,
}

/// A file in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveMember {
    /// What it is.
    pub kind: MemberKind,
    /// Path in the archive.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 digest, hexadecimal.
    pub sha256: String,
}

/// The manifest of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupManifest {
    /// The format of the archive.
    pub format_version: u32,
    /// The version of the program that made it.
    pub program_version: String,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// The database system.
    pub system: BackupSystem,
    /// The version of the database system.
    pub system_version: String,
    /// The migrations that were applied, oldest first.
    pub migrations: Vec<String>,
    /// The files in the archive.
    pub members: Vec<ArchiveMember>,
}

/// The part of a manifest that every format has.
#[derive(Debug, Deserialize)]
struct BackupFormat {
    format_version: u32,
    program_version: String,
}

impl BackupManifest {
    /// Creates the manifest of a backup by this program.
    pub(super) fn new(created_at: DateTime<Utc>, system: BackupSystem, system_version: String) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            program_version: PROGRAM_VERSION.to_owned(),
            created_at,
            system,
            system_version,
            migrations: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Parses a manifest.
    ///
    /// # Errors
    /// Returns a message for the operator if it is invalid, or of a newer format.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let format: BackupFormat =
            serde_json::from_slice(text).map_err(|error| format!("its manifest is invalid: {error}"))?;
        if format.format_version > FORMAT_VERSION {
            let BackupFormat { format_version, program_version } = format;
            return Err(format!(
                "it has the format {format_version} of Savannah {program_version}; this is {PROGRAM_VERSION}, which reads format {FORMAT_VERSION}"
            ));
        }
        serde_json::from_slice(text).map_err(|error| format!("its manifest is invalid: {error}"))
    }

    /// Returns the database's member.
    pub(super) fn find_database(&self) -> Result<&ArchiveMember, String> {
        let database = self.members.iter().find(|member| member.kind == MemberKind::Database);
        database.ok_or_else(|| "its manifest names no database".to_owned())
    }

    /// Returns the total size of the files in bytes.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.members.iter().map(|member| member.size).sum()
    }

    /// Rejects a backup of a newer program, whose schema this one does not know.
    ///
    /// # Errors
    /// Returns a message for the operator.
    pub(super) fn ensure_restorable(&self) -> Result<(), String> {
        let made_by = &self.program_version;
        if compare_versions(made_by, PROGRAM_VERSION) == Ordering::Greater {
            return Err(format!(
                "it was made by Savannah {made_by}, and this is {PROGRAM_VERSION}: use {made_by} or later"
            ));
        }
        let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        match self.migrations.iter().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(name) => Err(format!(
                "its schema has the migration {name}, which Savannah {PROGRAM_VERSION} does not have: use the version that made it ({made_by}) or a later one"
            )),
        }
    }
}

/// Compares versions by their numbers: `0.10.0` is later than `0.9.1`.
fn compare_versions(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let release = version.split(['-', '+']).next().unwrap_or_default();
        release.split('.').map(|number| number.parse().unwrap_or_default()).collect()
    };
    numbers(one).cmp(&numbers(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> BackupManifest {
        BackupManifest::new(DateTime::UNIX_EPOCH, BackupSystem::Sqlite, "3.51.0".to_owned())
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(compare_versions("0.10.0", "0.9.1"), Ordering::Greater);
        assert_eq!(compare_versions("1.2.3-rc.1", "1.2.3"), Ordering::Equal);
        assert_eq!(compare_versions("0.1.0", "1.0.0"), Ordering::Less);
    }

    #[test]
    fn backup_of_a_newer_program_or_schema_is_rejected() {
        manifest().ensure_restorable().expect("a backup of this version");
        let newer = BackupManifest { program_version: "999.0.0".to_owned(), ..manifest() };
        assert!(newer.ensure_restorable().expect_err("an error").contains("use 999.0.0 or later"));
        let unknown = BackupManifest { migrations: vec!["m20990101_000001_future".to_owned()], ..manifest() };
        assert!(unknown.ensure_restorable().expect_err("an error").contains("m20990101_000001_future"));
    }

    #[test]
    fn manifest_of_a_newer_format_is_rejected_by_its_number() {
        let text = br#"{"format_version": 2, "program_version": "3.0.0", "members": [{"kind": "media"}]}"#;
        assert!(BackupManifest::parse(text).expect_err("an error").contains("format 2 of Savannah 3.0.0"));
        let text = serde_json::to_vec(&manifest()).expect("JSON");
        assert_eq!(BackupManifest::parse(&text), Ok(manifest()));
    }
}
