//! `savannah serve`: the API server with an embedded worker.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use clap::Args;
use sea_orm::{EntityTrait, PaginatorTrait};
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    database::{await_tasks_and_close, connect_database, connect_initialized_database},
    management::{ManagementListener, ObservedProcess},
    scheduler_loop::{ReloadSignal, run_every_second, wait_for_shutdown_signal},
    worker::{self, BackgroundTasks},
};
use crate::{
    base::Result,
    catalog,
    graphql::{cache_policy::follow_events, context::AppState, webhook::create_payload_renderer},
    http::{self, App, ServerListener, TlsCertificates},
    identity::{account_admin, entity::account},
    import_export::{
        Progress,
        import::{CatalogImporter, DEMO_CATALOG_CSV, ImportSummary},
    },
    infra::{
        Config, Db, JobContext, bootstrap,
        config::ShopMode,
        jobs,
        telemetry::{Metrics, names, recorder::to_gauge},
    },
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

/// Interval in which the files of the certificate are checked for changes.
const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

pub(super) async fn run_server(config: Config, args: &ServeArgs) -> Result<(), String> {
    let tls = match config.server.tls_files() {
        Some((certificate, private_key)) => Some(Arc::new(TlsCertificates::load(certificate, private_key).await?)),
        None => None,
    };
    // First, before slow startup work, so that an occupied port is reported immediately.
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!("{bind} is in use: stop the program that listens there, or set BIND_ADDR to another address")
        }
        _ => format!("cannot listen on {bind}: {error}"),
    })?;
    let management = ManagementListener::bind(&config).await?;
    let db = connect_initialized_database(&config, true).await?;
    if config.shop.mode == ShopMode::Development && !args.no_demo {
        prepare_development_data(&config).await?;
    }
    let (shutdown_delay, shutdown_timeout) =
        (config.server.shutdown_delay.resolve(config.shop.mode), config.server.shutdown_timeout);
    let name = config.shop.name.clone();
    db.attach_replica(&config.database).await?;
    let app_state = Arc::new(AppState::load(db.clone(), config).await.map_err(|error| error.log_message())?);
    let app = App::new(app_state);
    let tasks = BackgroundTasks::default();
    let shutdown = tasks.shutdown.clone();
    // Picks up changes by other processes, also without a worker in this process.
    tasks.tracker.spawn({
        let (app, shutdown) = (Arc::clone(&app), shutdown.clone());
        async move { run_every_second(shutdown, || app.refresh()).await }
    });
    let registry =
        build_job_registry(&app.state.payment_providers, &app.state.media, create_payload_renderer(&app.state));
    if let Some(management) = management {
        let process = ObservedProcess {
            db: db.clone(),
            redis: app.state.redis.clone(),
            queues: registry.queue_names(),
            is_stopping: Arc::clone(&app.is_stopping),
        };
        let observed_app = Arc::clone(&app);
        management.spawn(process, move |metrics| set_subscription_gauges(&observed_app, metrics), &tasks);
    }
    // Registers the consumers of events before pending ones are relayed.
    if args.no_worker {
        jobs::register_job_handlers(&db, &registry).await.map_err(|error| error.log_message())?;
    } else {
        let config = Arc::new(app.state.config.clone());
        let job_context = JobContext::new(db.clone(), app.state.redis.clone(), config, &app.state.http_client)?;
        worker::spawn_worker(job_context, registry, &tasks).await?;
    }
    let following = follow_events(Arc::clone(&app.state), shutdown.clone()).await;
    tasks.tracker.spawn(following.map_err(|error| error.log_message())?);

    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let shutdown_signal = wait_for_shutdown_signal();
    if let Some(tls) = &tls {
        tasks.tracker.spawn(reload_certificates(Arc::clone(tls), shutdown.clone()));
    }
    log_startup(&name, app.state.config.server.scheme(), &address.to_string());
    let (listener, router) = (ServerListener::new(listener, tls), http::build_router(&app));
    let mut server_task = tokio::spawn(http::serve_connections(listener, Arc::clone(&app), router, shutdown.clone()));
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
    let stored = tokio::time::timeout_at(deadline, app.state.search_counts.store(&db)).await;
    if !matches!(stored, Ok(Ok(()))) {
        tracing::warn!("the counts of searches were not stored");
    }
    await_tasks_and_close(&tasks.tracker, db, deadline).await;
    Ok(())
}

/// Sets the metrics of live updates.
fn set_subscription_gauges(app: &App, metrics: &Metrics) {
    metrics.set_gauge(names::SUBSCRIPTION_CONNECTIONS, to_gauge(app.subscriptions.connection_count()));
    metrics.set_gauge(names::SUBSCRIPTIONS, to_gauge(app.subscriptions.subscription_count()));
}

/// Reloads the certificate when its files have changed and on SIGHUP, until the shutdown.
async fn reload_certificates(tls: Arc<TlsCertificates>, shutdown: CancellationToken) {
    let mut reload_signal = ReloadSignal::register();
    loop {
        tokio::select! {
            () = reload_signal.receive() => tls.reload().await,
            () = tokio::time::sleep(CERTIFICATE_CHECK_INTERVAL) => tls.reload_if_changed().await,
            () = shutdown.cancelled() => return,
        }
    }
}

/// Logs the address and prints the URLs to standard output.
fn log_startup(name: &str, scheme: &str, address: &str) {
    tracing::info!(address, shop = name, "server listening on {address}");
    let mut stdout = std::io::stdout().lock();
    // A closed standard output must not stop the server.
    let _ =
        writeln!(stdout, "{name} is running:  {scheme}://{address}/graphiql  (the API: {scheme}://{address}/graphql)");
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
