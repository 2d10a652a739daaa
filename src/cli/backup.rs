//! `savannah backup` and `savannah restore`.

use std::{path::PathBuf, process::ExitCode};

use chrono::SecondsFormat;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{
    check::{check_and_close, exit_code_of, format_report},
    database::connect_database,
    scheduler_loop::wait_for_shutdown_signal,
};
use crate::{
    backup::{self, BackupManifest},
    infra::Config,
};

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The file to write, which must not exist.
    file: PathBuf,
    /// Instead of writing a backup, read the file and compare its checksums.
    #[arg(long)]
    verify: bool,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup.
    file: PathBuf,
}

pub(super) async fn run_backup(config: &Config, args: &BackupArgs) -> Result<(), String> {
    let cancellation = cancel_on_signal();
    let BackupArgs { file, verify } = args;
    let manifest = if *verify {
        backup::verify_backup(file, &cancellation).await?
    } else {
        backup::create_backup(config, file, &cancellation).await?
    };
    println!("{}: {}", file.display(), describe_backup(&manifest));
    if *verify {
        println!("all checksums are correct");
    }
    Ok(())
}

pub(super) async fn run_restore(config: &Config, args: &RestoreArgs) -> Result<ExitCode, String> {
    let cancellation = cancel_on_signal();
    let manifest = backup::restore_backup(config, &args.file, &cancellation).await?;
    println!("restored {}: {}", args.file.display(), describe_backup(&manifest));
    let db = connect_database(config, false).await?;
    let migration_failed = |error: sea_orm::DbErr| format!("the database's schema could not be migrated: {error}");
    let pending_count = db.count_pending_migrations().await.map_err(migration_failed)?;
    if pending_count > 0 {
        db.migrate_schema(None).await.map_err(migration_failed)?;
        println!("applied {pending_count} migrations that the backup did not have");
    }
    backup::refresh_statistics(&db).await?;
    let report = check_and_close(db, config).await?;
    print!("{}", format_report(&report));
    Ok(exit_code_of(&report))
}

fn describe_backup(manifest: &BackupManifest) -> String {
    let BackupManifest { program_version, created_at, system, system_version, migrations, .. } = manifest;
    format!(
        "{} bytes, {} {system_version}, {} migrations, by Savannah {program_version} at {}",
        manifest.total_size(),
        system.name(),
        migrations.len(),
        created_at.to_rfc3339_opts(SecondsFormat::Secs, true)
    )
}

/// Returns a token that SIGINT and SIGTERM cancel.
fn cancel_on_signal() -> CancellationToken {
    let cancellation = CancellationToken::new();
    let signal = wait_for_shutdown_signal();
    let canceled = cancellation.clone();
    tokio::spawn(async move {
        signal.await;
        canceled.cancel();
    });
    cancellation
}
