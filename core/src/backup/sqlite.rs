//! Backup of an SQLite database: a copy by `VACUUM INTO`, compressed.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::NamedTempFile;

use super::{
    archive::{ArchiveReader, ArchiveWriter, MemberWriter, write_failed},
    manifest::MemberKind,
};
use crate::infra::private_files;

/// The name of the database in the archive.
const MEMBER_NAME: &str = "database.sqlite.gz";
/// The time that the copy waits for a lock that another process holds for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(20);
/// Files of SQLite beside a database, which belong to it.
const COMPANION_SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A copy of the database.
pub(super) struct SqliteCopy {
    /// The file of the copy.
    pub(super) path: PathBuf,
    /// The version of SQLite.
    pub(super) version: String,
    /// The migrations in the copy.
    pub(super) migrations: Vec<String>,
}

/// Copies the database into a new file of a folder, while others read and write it. Readers and writers do not wait.
///
/// # Errors
/// Returns a message for the operator.
pub(super) async fn copy_database(source: &Path, folder: &Path) -> Result<SqliteCopy, String> {
    let path = folder.join("database.sqlite");
    let target = path.to_str().ok_or("the path of the backup is not UTF-8")?;
    let failed = |error: sqlx::Error| format!("the database {} cannot be copied: {error}", source.display());
    let mut connection = connect_file(source).await.map_err(failed)?;
    sqlx::query("VACUUM INTO $1").bind(target).execute(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    let mut connection = connect_file(&path).await.map_err(failed)?;
    let version = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut connection).await.map_err(failed)?;
    let migrations = sqlx::query_scalar("SELECT version FROM seaql_migrations ORDER BY version")
        .fetch_all(&mut connection)
        .await
        .map_err(|_| format!("{} is not a database of Savannah", source.display()))?;
    connection.close().await.map_err(failed)?;
    Ok(SqliteCopy { path, version, migrations })
}

async fn connect_file(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
    SqliteConnection::connect_with(&options).await
}

/// Appends the compressed copy to an archive.
pub(super) fn append_copy(archive: &mut ArchiveWriter<'_>, copy: &Path) -> Result<(), String> {
    archive.append_member(MemberKind::Database, MEMBER_NAME, |output: &mut MemberWriter<'_>| {
        let mut encoder = GzEncoder::new(output, Compression::default());
        let outcome = File::open(copy).and_then(|mut file| io::copy(&mut file, &mut encoder));
        outcome.and_then(|_| encoder.finish()?.flush()).map_err(|error| write_failed(&error))
    })
}

/// Rejects a path at which there is a database, or a remnant of one that SQLite would apply to the restored one.
///
/// # Errors
/// Returns a message for the operator.
pub(super) fn ensure_vacant(path: &Path) -> Result<(), String> {
    let companion_of = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let occupied = std::iter::once(path.to_owned()).chain(COMPANION_SUFFIXES.map(companion_of));
    match occupied.into_iter().find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(format!(
            "{} exists: a backup is restored into a new database only; set DATABASE_URL to another file, or stop the shop and move this one away",
            path.display()
        )),
    }
}

/// Restores the database of an archive into a new file, which appears when it is complete.
///
/// # Errors
/// Returns a message for the operator.
pub(super) fn restore_file(archive: &ArchiveReader, path: &Path) -> Result<NamedTempFile, String> {
    let failed = |error: &io::Error| format!("the database {} cannot be written: {error}", path.display());
    let folder = private_files::parent_folder(path);
    private_files::create_private_dir(folder).map_err(|error| failed(&error))?;
    let mut restored =
        tempfile::Builder::new().prefix(super::TEMPORARY_PREFIX).tempfile_in(folder).map_err(|error| failed(&error))?;
    let member = archive.manifest().find_database()?;
    archive.read_member(member, |contents| {
        let outcome = io::copy(&mut GzDecoder::new(contents), &mut restored);
        outcome.and_then(|_| restored.as_file().sync_all()).map_err(|error| failed(&error))
    })?;
    Ok(restored)
}

/// Checks the structure of a restored file.
///
/// # Errors
/// Returns a message for the operator.
pub(super) async fn check_integrity(path: &Path) -> Result<(), String> {
    let failed = |error: sqlx::Error| format!("the restored database cannot be read: {error}");
    let mut connection = connect_file(path).await.map_err(failed)?;
    let problems: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_all(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    match problems.first().map(String::as_str) {
        Some("ok") => Ok(()),
        problem => Err(format!("the restored database is damaged: {}", problem.unwrap_or_default())),
    }
}

/// Gives a restored file its name.
///
/// # Errors
/// Returns a message for the operator if another file got the name meanwhile.
pub(super) fn publish_file(restored: NamedTempFile, path: &Path) -> Result<(), String> {
    ensure_vacant(path)?;
    let outcome = restored.persist_noclobber(path);
    outcome.map(|_| ()).map_err(|error| format!("the database {} cannot be written: {}", path.display(), error.error))
}
