//! `savannah serve`: the API server with an embedded worker.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use clap::Args;
use sea_orm::{EntityTrait, PaginatorTrait};
use tokio::{net::TcpListener, time::Instant};

use super::{
    database::{await_tasks_and_close, connect_database, connect_initialized_database},
    scheduler_loop::{run_every_second, wait_for_shutdown_signal},
    worker::{self, BackgroundTasks},
};
use crate::{
    base::Result,
    catalog,
    graphql::{cache_policy::invalidate_by_events, context::AppState},
    http::{self, App},
    identity::{account_admin, entity::account},
    import_export::{
        Progress,
        import::{CatalogImporter, DEMO_CATALOG_CSV, ImportSummary},
    },
    infra::{Config, Db, JobContext, bootstrap, config::ShopMode, jobs},
    job_registry::build_job_registry,
    pricing,
};

/// Email address of the first admin in development mode.
const FIRST_ADMIN_EMAIL: &str = "admin@savannah.example";

/// Arguments of `serve`.
#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Run the API server only; leave background jobs and schedules to other instances.
    #[arg(long)]
    no_worker: bool,
    /// Do not import the demo catalog and do not create the first admin in an empty development database.
    #[arg(long)]
    no_demo: bool,
}

pub(super) async fn run_server(config: Config, args: &ServeArgs) -> Result<(), String> {
    // First, before slow startup work, so that an occupied port is reported immediately.
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{bind} is in use: stop the program that listens there, or set BIND_ADDR to another address")
        }
        _ => format!("cannot listen on {bind}: {error}"),
    })?;
    let db = connect_initialized_database(&config, true).await?;
    if config.shop.mode == ShopMode::Development && !args.no_demo {
        prepare_development_data(&config).await?;
    }
    let (shutdown_delay, shutdown_timeout) =
        (config.server.shutdown_delay.resolve(config.shop.mode), config.server.shutdown_timeout);
    let name = config.shop.name.clone();
    let app_state = Arc::new(AppState::load(db.clone(), config).await.map_err(|error| error.log_message())?);
    let app = App::new(app_state);
    let tasks = BackgroundTasks::default();
    let shutdown = tasks.shutdown.clone();
    // Picks up changes by other processes, also without a worker in this process.
    tasks.tracker.spawn({
        let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
        async move { run_every_second(shutdown, || app.refresh()).await }
    });
    let feed_messages = app.state.event_feed.subscribe();
    tasks.tracker.spawn(invalidate_by_events(Arc::clone(&app.state), feed_messages, shutdown.clone()));
    tasks.tracker.spawn({
        let (app_state, shutdown) = (Arc::clone(&app.state), shutdown.clone());
        async move { app_state.event_feed.run(&app_state.db, &app_state.config, &shutdown).await }
    });
    if args.no_worker {
        jobs::register_job_handlers(&db, &build_job_registry(&app.state.payment_providers))
            .await
            .map_err(|error| error.log_message())?;
    } else {
        let config = Arc::new(app.state.config.clone());
        let job_context = JobContext::new(db.clone(), app.state.redis.clone(), config)?;
        worker::spawn_worker(job_context, &app.state.payment_providers, &tasks).await?;
    }

    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let shutdown_signal = wait_for_shutdown_signal();
    log_startup(&name, &address.to_string());
    let mut server_task =
        tokio::spawn(http::serve_connections(listener, Arc::clone(&app), http::build_router(&app), shutdown.clone()));
    tokio::select! {
        server_result = &mut server_task => return Err(format!("the server failed: {server_result:?}")),
        () = shutdown_signal => {}
    }
    tracing::info!(
        delay_seconds = shutdown_delay.as_secs(),
        timeout_seconds = shutdown_timeout.as_secs(),
        "stopping: waiting for running requests"
    );
    app.is_stopping.store(true, Ordering::Relaxed);
    tokio::time::sleep(shutdown_delay).await;
    let deadline = Instant::now() + shutdown_timeout;
    shutdown.cancel();
    if tokio::time::timeout_at(deadline, &mut server_task).await.is_err() {
        tracing::warn!("some requests did not finish in time");
        server_task.abort();
    }
    // Of the last requests, too.
    let stored = tokio::time::timeout_at(deadline, app.trusted_documents.store_uses(&db)).await;
    if !matches!(stored, Ok(Ok(()))) {
        tracing::warn!("the use counts of operations were not stored");
    }
    await_tasks_and_close(&tasks.tracker, db, deadline).await;
    Ok(())
}

/// Logs the address and prints the URLs to standard output.
fn log_startup(name: &str, address: &str) {
    tracing::info!(address, shop = name, "server listening on {address}");
    let mut stdout = std::io::stdout().lock();
    // A closed standard output must not stop the server.
    let _ = writeln!(stdout, "{name} is running:  http://{address}/graphiql  (the API: http://{address}/graphql)");
}

/// Seeds an empty development database and creates the first admin. Instances that start concurrently wait.
async fn prepare_development_data(config: &Config) -> Result<(), String> {
    // Without the statement limits of requests.
    let db = connect_database(config, false).await?;
    seed_demo_data(&db, config).await.map_err(|error| error.log_message())?;
    create_first_admin(&db).await.map_err(|error| error.log_message())?;
    db.close().await;
    Ok(())
}

/// Creates the first admin in development mode if no account exists. The password is printed once, and only on a
/// terminal, because redirected output would persist it.
async fn create_first_admin(db: &Db) -> Result<()> {
    if !std::io::stdout().is_terminal() {
        if account::Entity::find().count(db).await? == 0 {
            tracing::info!("no account exists: create the first admin with `savannah user create --role admin`");
        }
        return Ok(());
    }
    if let Some(password) = account_admin::create_first_admin(db, FIRST_ADMIN_EMAIL).await? {
        let mut stdout = std::io::stdout().lock();
        // A closed standard output must not stop the server; `savannah user` creates another admin.
        let _ = writeln!(stdout, "The first admin, shown only once:  {FIRST_ADMIN_EMAIL}  {password}");
    }
    Ok(())
}

/// Imports the demo catalog and the default rates into an empty development database, in one transaction.
async fn seed_demo_data(db: &Db, config: &Config) -> Result<()> {
    let mut log_message = |import_message| tracing::warn!(?import_message, "demo catalog import");
    let currency = config.shop.currency;
    let mut import = CatalogImporter {
        db,
        currency,
        time_zone: config.shop.time_zone,
        dry_run: false,
        progress: Progress::default(),
        on_message: &mut log_message,
    };
    let mut outcome = ImportSummary::default();
    let seeding = db.write(async |tx| {
        bootstrap::lock_shop(tx).await?;
        if catalog::product::Entity::find().count(tx).await? > 0 {
            return Ok(false);
        }
        import
            .import_products_in_transaction(tx, DEMO_CATALOG_CSV, Path::new("the demo catalog"), &mut outcome)
            .await?;
        pricing::seed_default_rates(tx, currency).await?;
        Ok(true)
    });
    if seeding.await? {
        tracing::info!(products = outcome.created, "demo catalog imported");
    }
    Ok(())
}
