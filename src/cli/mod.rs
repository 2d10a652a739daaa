//! Command-line interface. A failed command prints one error line and exits with a non-zero code.

mod database;
mod scheduler_loop;
mod import_export;
mod jobs;
mod keys;
mod operations;
mod progress;
mod schema;
mod serve;
mod user;
mod worker;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use migration::{Migrator, MigratorTrait};

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
    /// Export the catalog.
    #[command(subcommand, after_help = "Example:\n  savannah export products > products.csv")]
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
        telemetry::init_logging(&config.log)?;
        match command {
            Command::Serve(command_args) => serve::run_server(config, &command_args).await?,
            Command::Worker => worker::run_worker(config).await?,
            Command::Migrate(command_args) => run_migrations(&config, command_args.down).await?,
            Command::Seed(command_args) => import_export::run_seed(&config, &command_args).await?,
            Command::Import(command_args) => return import_export::run_import(&config, command_args).await,
            Command::Export(command_args) => import_export::run_export(&config, command_args).await?,
            Command::User(subcommand) => user::run_user_command(&config, subcommand).await?,
            Command::Jobs(subcommand) => jobs::run_jobs_command(&config, subcommand).await?,
            Command::Keys(subcommand) => keys::run_keys_command(&config, &subcommand).await?,
            Command::Operations(subcommand) => return operations::run_operations_command(config, subcommand).await,
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
