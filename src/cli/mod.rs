//! Command-line interface. A failed command prints one error line and exits with a non-zero code.

mod analytics;
mod backup;
mod check;
mod database;
mod scheduler_loop;
mod import_export;
mod jobs;
mod keys;
mod management;
mod media;
mod operations;
mod payments;
mod progress;
mod prove;
mod schema;
mod search;
mod serve;
mod table;
mod user;
mod worker;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use migration::{Migrator, MigratorTrait};
use tokio::runtime::Runtime;

use self::database::connect_database;
use crate::infra::{Config, telemetry};

/// GraphQL-first commerce backend.
#[derive(Debug, Parser)]
#[command(
    name = "savannah",
    version,
    about,
    after_help = "Example:\n  savannah                 run the server (same as `savannah serve`)\n  savannah import products shopify.csv\n\nSettings are read from the environment and savannah.toml; see config.example.toml."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the API server and a worker (default).
    #[command(after_help = "Example:\n  BIND_ADDR=0.0.0.0:8000 savannah serve")]
    Serve(serve::ServeArgs),
    /// Run background jobs and schedules without the API server.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://shop@db/shop savannah worker")]
    Worker,
    /// Apply pending database migrations.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://shop@db/shop savannah migrate")]
    Migrate(MigrateArgs),
    /// Generate a large, deterministic demo catalog.
    #[command(after_help = "Example:\n  savannah seed --products 100000 --categories 1000")]
    Seed(import_export::SeedArgs),
    /// Import catalogs from other systems.
    #[command(
        subcommand,
        after_help = "Example:\n  savannah import categories taxonomy.txt\n  savannah import products shopify.csv woocommerce.csv"
    )]
    Import(import_export::ImportCommand),
    /// Export the catalog or the daily figures.
    #[command(
        subcommand,
        after_help = "Example:\n  savannah export products > products.csv\n  savannah export analytics --from 2026-01-01 --to 2026-12-31 > figures.csv"
    )]
    Export(import_export::ExportCommand),
    /// Create and change accounts.
    #[command(
        subcommand,
        after_help = "Example:\n  savannah user create --email amani@example.com --role admin\n  savannah user list --role staff"
    )]
    User(user::UserCommand),
    /// List, retry and discard background jobs.
    #[command(subcommand, after_help = "Example:\n  savannah jobs list --state dead\n  savannah jobs retry 4711")]
    Jobs(jobs::JobsCommand),
    /// Manage the signing keys of access tokens.
    #[command(subcommand, after_help = "Example:\n  savannah keys rotate")]
    Keys(keys::KeysCommand),
    /// Publish the operations of apps (trusted documents), list, check and retire them.
    #[command(
        subcommand,
        after_help = "Example:\n  savannah operations publish --app ios --version 4.2 manifest.json\n  savannah operations list --app ios\n  savannah operations check --schema new.graphql"
    )]
    Operations(operations::OperationsCommand),
    /// Rebuild the daily figures of orders, products and carts.
    #[command(
        subcommand,
        after_help = "Example:\n  savannah analytics rebuild\n  savannah analytics rebuild --from 2026-11-01 --to 2026-11-30"
    )]
    Analytics(analytics::AnalyticsCommand),
    /// Copy pictures from other addresses into the shop.
    #[command(subcommand, after_help = "Example:\n  savannah media copy")]
    Media(media::MediaCommand),
    /// Index the words of products again.
    #[command(subcommand, after_help = "Example:\n  savannah search reindex")]
    Search(search::SearchCommand),
    /// Reconcile payments with their providers.
    #[command(subcommand, after_help = "Example:\n  savannah payments reconcile")]
    Payments(payments::PaymentsCommand),
    /// Back up the shop to a new file, while it sells; or verify a backup.
    #[command(
        after_help = "Example:\n  savannah backup /backups/shop-2026-11-26.tar\n  savannah backup --verify /backups/shop-2026-11-26.tar"
    )]
    Backup(backup::BackupArgs),
    /// Restore a backup into an empty database, and check it.
    #[command(
        after_help = "Example:\n  DATABASE_URL=postgres://shop@db/restored savannah restore /backups/shop-2026-11-26.tar"
    )]
    Restore(backup::RestoreArgs),
    /// Check the books of the shop, while it sells: stock, orders, payments, events. Exits with 1 if something is wrong.
    #[command(after_help = "Example:\n  savannah check\n  savannah check --json")]
    Check(check::ConsistencyCheckArgs),
    /// Prove on this machine and database system that orders survive races, duplicates and kills, in a scratch database.
    #[command(after_help = "Example:\n  savannah prove > report.md\n  savannah prove --seconds 120 --json")]
    Prove(prove::ProveArgs),
    /// Print the GraphQL schema.
    #[command(after_help = "Example:\n  savannah schema > schema.graphql\n  savannah schema --check schema.graphql")]
    Schema(schema::SchemaArgs),
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
struct MigrateArgs {
    /// Roll back this many of the newest migrations instead. Their data is lost.
    #[arg(long, value_name = "STEPS", num_args = 0..=1, default_missing_value = "1")]
    down: Option<u32>,
}

/// Runs the command that the arguments of the process name.
///
/// The code of an `async` function is compiled in the crate that runs it. This function is not one, so that the code of
/// the server is compiled in the library only, not once more in the binary, which takes as long.
#[must_use]
pub fn run_program() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match Runtime::new() {
        Ok(runtime) => runtime.block_on(Box::pin(cli.run())),
        Err(error) => Err(format!("the runtime cannot start: {error}")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("savannah: {error}");
        ExitCode::FAILURE
    })
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Returns the error message to print.
    pub async fn run(self) -> Result<ExitCode, String> {
        let command = self.command.unwrap_or(Command::Serve(serve::ServeArgs::default()));
        if let Command::Schema(command_args) = &command {
            return schema::run_schema_command(command_args);
        }
        let config = Config::load()?;
        let _logging_guard = telemetry::init_logging(&config)?;
        match command {
            Command::Serve(command_args) => Box::pin(serve::run_server(config, &command_args)).await?,
            Command::Worker => worker::run_worker(config).await?,
            Command::Migrate(command_args) => run_migrations(&config, command_args.down).await?,
            Command::Seed(command_args) => import_export::run_seed(&config, &command_args).await?,
            Command::Import(command_args) => return Box::pin(import_export::run_import(&config, command_args)).await,
            Command::Export(command_args) => import_export::run_export(&config, command_args).await?,
            Command::User(subcommand) => user::run_user_command(&config, subcommand).await?,
            Command::Jobs(subcommand) => jobs::run_jobs_command(&config, subcommand).await?,
            Command::Keys(subcommand) => keys::run_keys_command(&config, &subcommand).await?,
            Command::Operations(subcommand) => {
                return Box::pin(operations::run_operations_command(config, subcommand)).await;
            }
            Command::Analytics(subcommand) => analytics::run_analytics_command(&config, subcommand).await?,
            Command::Media(subcommand) => media::run_media_command(&config, subcommand).await?,
            Command::Search(subcommand) => search::run_search_command(&config, subcommand).await?,
            Command::Payments(subcommand) => return payments::run_payments_command(&config, subcommand).await,
            Command::Backup(command_args) => backup::run_backup(&config, &command_args).await?,
            Command::Restore(command_args) => return backup::run_restore(&config, &command_args).await,
            Command::Check(command_args) => return check::run_check(&config, &command_args).await,
            Command::Prove(command_args) => return prove::run_prove(&config, &command_args).await,
            Command::Schema(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn run_migrations(config: &Config, down_steps: Option<u32>) -> Result<(), String> {
    let db = connect_database(config, false).await?;
    let migration_failed = |error: sea_orm::DbErr| format!("the database's schema could not be changed: {error}");
    db.migrate_schema(down_steps).await.map_err(migration_failed)?;
    let pending_count = db.count_pending_migrations().await.map_err(migration_failed)?;
    let total_count = Migrator::migrations().len();
    println!("{} of {total_count} migrations are applied", total_count - pending_count);
    db.close().await;
    Ok(())
}
