//! The commands. Each says in one sentence what went wrong, and ends non-zero if anything did.

mod clock;
mod data;
mod jobs;
mod keys;
mod progress;
mod schema;
mod serve;
mod user;
mod worker;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use migration::{Migrator, MigratorTrait};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    base::Clock,
    infra::{Config, Db, telemetry},
};

/// A shop in one command: a GraphQL-first commerce backend.
#[derive(Debug, Parser)]
#[command(
    name = "savannah",
    version,
    about,
    after_help = "Example:\n  savannah                 run the shop (the same as `savannah serve`)\n  savannah import products shopify.csv\n\nSettings come from the environment and from savannah.toml; config.example.toml explains each."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the shop (the default).
    #[command(after_help = "Example:\n  BIND_ADDR=0.0.0.0:8000 savannah serve")]
    Serve(ServeArgs),
    /// Do what is to be done after changes and by the clock, without serving the API.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://shop@db/shop savannah worker")]
    Worker,
    /// Bring the database's schema up to date.
    #[command(after_help = "Example:\n  DATABASE_URL=postgres://shop@db/shop savannah migrate")]
    Migrate(MigrateArgs),
    /// Make a large, plausible catalog: the same every time.
    #[command(after_help = "Example:\n  savannah seed --products 100000 --categories 1000")]
    Seed(data::SeedArgs),
    /// Bring in catalogs of other systems.
    #[command(
        subcommand,
        after_help = "Example:\n  savannah import categories taxonomy.txt\n  savannah import products shopify.csv woocommerce.csv"
    )]
    Import(data::Import),
    /// Write the catalog to a file.
    #[command(subcommand, after_help = "Example:\n  savannah export products > products.csv")]
    Export(data::Export),
    /// Make and change accounts.
    #[command(
        subcommand,
        after_help = "Example:\n  savannah user create --email amani@example.com --role admin\n  savannah user list --role staff"
    )]
    User(user::User),
    /// What is done after changes: what waits, and what failed for good.
    #[command(subcommand, after_help = "Example:\n  savannah jobs list --state dead\n  savannah jobs retry 4711")]
    Jobs(jobs::Jobs),
    /// The keys that the shop signs its tokens with.
    #[command(subcommand, after_help = "Example:\n  savannah keys rotate")]
    Keys(keys::Keys),
    /// Print the GraphQL schema.
    #[command(after_help = "Example:\n  savannah schema > schema.graphql\n  savannah schema --check schema.graphql")]
    Schema(schema::SchemaArgs),
}

/// What `serve` takes.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Serve the API alone; leave what is done after changes and by the clock to other instances.
    #[arg(long)]
    no_worker: bool,
    /// Do not fill an empty development shop with the demo catalog, nor make its first admin.
    #[arg(long)]
    no_demo: bool,
}

/// What `migrate` takes.
#[derive(Debug, Args)]
struct MigrateArgs {
    /// Undo so many of the newest changes instead. Their data is lost.
    #[arg(long, value_name = "STEPS", num_args = 0..=1, default_missing_value = "1")]
    down: Option<u32>,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// A sentence for the person who typed it.
    pub async fn run(self) -> Result<ExitCode, String> {
        let command = self.command.unwrap_or(Command::Serve(ServeArgs::default()));
        if let Command::Schema(args) = &command {
            return schema::run(args);
        }
        let config = Config::load()?;
        telemetry::start(&config.log)?;
        match command {
            Command::Serve(args) => serve::run(config, &args).await?,
            Command::Worker => worker::run(config).await?,
            Command::Migrate(args) => migrate(&config, args.down).await?,
            Command::Seed(args) => data::seed(&config, &args).await?,
            Command::Import(args) => return data::import(&config, args).await,
            Command::Export(args) => data::export(&config, args).await?,
            Command::User(what) => user::run(&config, what).await?,
            Command::Jobs(what) => jobs::run(&config, what).await?,
            Command::Keys(what) => keys::run(&config, &what).await?,
            Command::Schema(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn migrate(config: &Config, down: Option<u32>) -> Result<(), String> {
    let db = open(config, false).await?;
    let failed = |why: sea_orm::DbErr| format!("the database's schema could not be changed: {why}");
    db.change_schema(down).await.map_err(failed)?;
    let left = db.count_pending_migrations().await.map_err(failed)?;
    let all = Migrator::migrations().len();
    println!("{} of {all} migrations are applied", all - left);
    db.close().await;
    Ok(())
}

/// Opens the database; `served` when requests will be answered from it, whose statements are limited in time.
async fn open(config: &Config, served: bool) -> Result<Db, String> {
    let database = if served { config.database.clone() } else { config.database.without_limits() };
    Db::open(&database, Clock::default()).await
}

/// Opens the database with its schema up to date and its currency agreed on.
async fn open_ready(config: &Config, served: bool) -> Result<Db, String> {
    let db = open(config, served).await?;
    crate::infra::shop::make_ready(&db, config).await?;
    Ok(db)
}

/// What a stopping process gives its tasks and its connections to end, beyond the time that requests and jobs have.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// Waits for what still runs and closes the database; no longer than to the deadline, or a moment where that is over.
async fn finish(tasks: Vec<JoinHandle<()>>, db: Db, deadline: Instant) {
    let ended = async {
        for task in tasks {
            if let Err(why) = task.await {
                tracing::warn!(error = %why, "a task ended badly");
            }
        }
        db.close().await;
    };
    if tokio::time::timeout_at(deadline.max(Instant::now() + CLOSE_TIME), ended).await.is_err() {
        tracing::warn!("some work did not finish in time");
    }
}
