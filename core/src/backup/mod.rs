//! Backup and restore of a shop: one archive with the database and a manifest, made while the shop sells.
//!
//! All state of a shop is in its database and, if they are not in a bucket, in its folder of pictures; the settings, with
//! the secrets among them, are kept by the operator.

mod archive;
mod manifest;
mod pictures;
mod postgres;
mod sqlite;

use std::path::Path;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use self::{
    archive::{ArchiveReader, ArchiveWriter, write_failed},
    postgres::{ExportedSnapshot, PostgresTool},
};
use crate::{
    base::{Clock, Error},
    infra::{Config, Db, SqlBuilder, find_sqlite_file, private_files},
};
pub use manifest::{ArchiveMember, BackupManifest, BackupSystem, MemberKind};

/// The first part of the names of temporary files, which are deleted unless the process is killed.
const TEMPORARY_PREFIX: &str = ".savannah-backup-";

/// The message of an operation that a signal ended.
const INTERRUPTED: &str = "interrupted";

/// Writes a backup of the configured database to a new file, which appears when it is complete.
///
/// # Errors
/// Returns a message for the operator; no file is left then.
pub async fn create_backup(
    config: &Config,
    target: &Path,
    cancellation: &CancellationToken,
) -> Result<BackupManifest, String> {
    if target.exists() {
        return Err(format!("{} exists: a backup does not overwrite files", target.display()));
    }
    let folder = private_files::parent_folder(target);
    let cannot_write = |error: std::io::Error| format!("cannot write to the folder {}: {error}", folder.display());
    // Readable by the owner only, as are all files of this library.
    let file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder).map_err(cannot_write)?;
    let outcome = if config.database.is_sqlite() {
        back_up_sqlite(config, file, cancellation).await
    } else {
        back_up_postgres(config, file, cancellation).await
    };
    let (file, manifest) = outcome.map_err(|error| explain_cancellation(cancellation, error))?;
    file.persist_noclobber(target).map_err(|error| write_failed(&error.error))?;
    sync_folder(folder).map_err(cannot_write)?;
    Ok(manifest)
}

/// Reads a backup completely and compares all checksums.
///
/// # Errors
/// Returns a message for the operator.
pub async fn verify_backup(source: &Path, cancellation: &CancellationToken) -> Result<BackupManifest, String> {
    let (source, token) = (source.to_owned(), cancellation.clone());
    let outcome = run_blocking(move || {
        let archive = ArchiveReader::open(&source, token)?;
        archive.verify()?;
        Ok(archive.manifest().clone())
    });
    outcome.await.map_err(|error| explain_cancellation(cancellation, error))
}

/// Restores a backup into the configured database, which must be empty or not exist.
///
/// # Errors
/// Returns a message for the operator; nothing is restored then.
pub async fn restore_backup(
    config: &Config,
    source: &Path,
    cancellation: &CancellationToken,
) -> Result<BackupManifest, String> {
    let (path, token) = (source.to_owned(), cancellation.clone());
    let archive = run_blocking(move || ArchiveReader::open(&path, token)).await?;
    archive.ensure_restorable()?;
    let manifest = archive.manifest().clone();
    let configured = if config.database.is_sqlite() { BackupSystem::Sqlite } else { BackupSystem::Postgresql };
    if manifest.system != configured {
        return Err(format!(
            "{} is a backup of a {} database, and DATABASE_URL is that of a {} one",
            source.display(),
            manifest.system.name(),
            configured.name()
        ));
    }
    let outcome = if configured == BackupSystem::Sqlite {
        restore_sqlite(config, archive).await
    } else {
        restore_postgres(config, archive, cancellation).await
    };
    outcome.map_err(|error| explain_cancellation(cancellation, error))?;
    Ok(manifest)
}

/// Collects the statistics of a restored PostgreSQL database: a dump has none, and without them the planner guesses.
///
/// # Errors
/// Returns a message for the operator.
pub async fn refresh_statistics(db: &Db) -> Result<(), String> {
    if db.backend() != DbBackend::Postgres {
        return Ok(());
    }
    let outcome = db.writer_connection().execute_unprepared("ANALYZE").await;
    outcome.map(|_| ()).map_err(|error| format!("the statistics of the database could not be collected: {error}"))
}

async fn back_up_sqlite(
    config: &Config,
    file: NamedTempFile,
    cancellation: &CancellationToken,
) -> Result<(NamedTempFile, BackupManifest), String> {
    let source = find_sqlite_file(&config.database)?;
    if !source.exists() {
        return Err(format!("there is no database at {}", source.display()));
    }
    let created_at = Clock::default().now();
    let folder =
        tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(private_files::parent_folder(file.path()));
    let folder = folder.map_err(|error| write_failed(&error))?;
    let copying = cancellation.run_until_cancelled(sqlite::copy_database(&source, folder.path()));
    let copy = copying.await.ok_or(INTERRUPTED)??;
    let mut manifest = BackupManifest::new(created_at, BackupSystem::Sqlite, copy.version);
    manifest.migrations = copy.migrations;
    let (token, media) = (cancellation.clone(), config.media.clone());
    run_blocking(move || {
        let mut archive = ArchiveWriter::new(file.as_file(), manifest, token);
        sqlite::append_copy(&mut archive, &copy.path)?;
        pictures::append_folder(&mut archive, &media)?;
        let manifest = archive.finish()?;
        folder.close().map_err(|error| write_failed(&error))?;
        Ok((file, manifest))
    })
    .await
}

async fn back_up_postgres(
    config: &Config,
    file: NamedTempFile,
    cancellation: &CancellationToken,
) -> Result<(NamedTempFile, BackupManifest), String> {
    let db = connect(config).await?;
    let created_at = db.now();
    let outcome = db.read_snapshot(async |transaction| {
        let snapshot = ExportedSnapshot::export(transaction).await?;
        let migrations = load_migrations(transaction).await?;
        let result = async {
            PostgresTool::Dump.ensure_usable(snapshot.major_version())?;
            let mut manifest = BackupManifest::new(created_at, BackupSystem::Postgresql, snapshot.version.clone());
            manifest.migrations = migrations;
            let (database, media, token) = (config.database.clone(), config.media.clone(), cancellation.clone());
            run_blocking(move || {
                let mut archive = ArchiveWriter::new(file.as_file(), manifest, token.clone());
                postgres::append_dump(&mut archive, &database, &snapshot.id, &token)?;
                pictures::append_folder(&mut archive, &media)?;
                let manifest = archive.finish()?;
                Ok((file, manifest))
            })
            .await
        };
        Ok(result.await)
    });
    let outcome = outcome.await.map_err(|error| {
        format!("the database at {} cannot be read: {}", config.database.location(), error.log_message())
    });
    db.close().await;
    outcome?
}

/// Returns the applied migrations, oldest first. Statements: 1.
async fn load_migrations(db: &impl ConnectionTrait) -> Result<Vec<String>, Error> {
    #[derive(FromQueryResult)]
    struct AppliedMigration {
        version: String,
    }
    let mut sql = SqlBuilder::new(db.get_database_backend());
    sql.push("SELECT version FROM seaql_migrations ORDER BY version");
    let rows = AppliedMigration::find_by_statement(sql.into_statement()).all(db).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

async fn restore_sqlite(config: &Config, archive: ArchiveReader) -> Result<(), String> {
    let path = find_sqlite_file(&config.database)?;
    sqlite::ensure_vacant(&path)?;
    let (target, media) = (path.clone(), config.media.clone());
    let restored = run_blocking(move || {
        archive.verify()?;
        let pictures = pictures::extract(&archive, &media)?;
        Ok((sqlite::restore_file(&archive, &target)?, pictures))
    });
    let (restored, pictures) = restored.await?;
    sqlite::check_integrity(restored.path()).await?;
    sqlite::publish_file(restored, &path)?;
    if let Some(pictures) = pictures {
        pictures.publish()?;
    }
    sync_folder(private_files::parent_folder(&path))
        .map_err(|error| format!("the database {} cannot be stored: {error}", path.display()))
}

async fn restore_postgres(
    config: &Config,
    archive: ArchiveReader,
    cancellation: &CancellationToken,
) -> Result<(), String> {
    let db = connect(config).await?;
    let relations = postgres::count_relations(&db).await.map_err(|error| error.log_message());
    db.close().await;
    let location = config.database.location();
    match relations? {
        0 => {}
        count => {
            return Err(format!(
                "the database at {location} is not empty ({count} tables and sequences): a backup is restored into a new database only; create one (createdb NAME) and set DATABASE_URL to it"
            ));
        }
    }
    let manifest = archive.manifest();
    let major = manifest.system_version.split('.').next().and_then(|major| major.parse().ok());
    PostgresTool::Restore.ensure_usable(major.unwrap_or_default())?;
    let (database, media, token) = (config.database.clone(), config.media.clone(), cancellation.clone());
    run_blocking(move || {
        archive.verify()?;
        let pictures = pictures::extract(&archive, &media)?;
        postgres::restore_dump(&archive, &database, &token)?;
        pictures.map_or(Ok(()), pictures::ExtractedPictures::publish)
    })
    .await
}

async fn connect(config: &Config) -> Result<Db, String> {
    Db::connect(&config.database.without_limits(), Clock::default()).await
}

/// Runs work that reads and writes files. It ends by itself when the operation is canceled.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.unwrap_or_else(|error| Err(format!("the operation failed: {error}")))
}

/// What fails after a cancellation fails because of it.
fn explain_cancellation(cancellation: &CancellationToken, error: String) -> String {
    if cancellation.is_cancelled() { INTERRUPTED.to_owned() } else { error }
}

/// Stores the entries of a folder durably.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}
