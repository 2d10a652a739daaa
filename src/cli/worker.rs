//! `savannah worker`: background jobs and schedules without an HTTP server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::{task::JoinHandle, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    database::{await_tasks_and_close, connect_initialized_database},
    management::{ManagementListener, ObservedProcess},
    scheduler_loop::{run_every_second, wait_for_shutdown_signal},
};
use crate::{
    catalog::{self, write::reindex::reindex_if_outdated},
    graphql::webhook::create_worker_payload_renderer,
    infra::{
        Config, HttpClient, JobContext, bootstrap,
        jobs::{JobRegistry, Worker},
    },
    job_registry::build_job_registry,
    media::MediaLibrary,
    payment::PaymentProviders,
};

/// The tasks of a process that run until its shutdown.
#[derive(Debug, Default)]
pub(super) struct BackgroundTasks {
    /// Canceled when the process stops.
    pub(super) shutdown: CancellationToken,
    /// The tasks that the process waits for.
    pub(super) tracker: TaskTracker,
}

/// Spawns the worker; it runs until the shutdown.
pub(super) async fn spawn_worker(
    job_context: JobContext,
    registry: JobRegistry,
    tasks: &BackgroundTasks,
) -> Result<JoinHandle<()>, String> {
    let (db, shutdown_timeout) = (job_context.db.clone(), job_context.config.server.shutdown_timeout);
    reindex_if_outdated(&db).await.map_err(|error| error.log_message())?;
    let worker = Worker::create(job_context, Arc::new(registry)).await.map_err(|error| error.log_message())?;
    let (worker, shutdown) = (Arc::new(worker), tasks.shutdown.clone());
    Ok(tasks.tracker.spawn(async move {
        // Displayed prices follow the start and end of a sale within a second. A job per second would write far more
        // than this small read.
        let price_refresh =
            run_every_second(shutdown.clone(), || async { catalog::refresh_prices(&db).await.map(|_| ()) });
        tokio::join!(worker.run(&shutdown, shutdown_timeout), price_refresh);
    }))
}

pub(super) async fn run_worker(config: Config) -> Result<(), String> {
    let management = ManagementListener::bind(&config).await?;
    let db = connect_initialized_database(&config, true).await?;
    let shutdown_signal = wait_for_shutdown_signal();
    let tasks = BackgroundTasks::default();
    let redis = bootstrap::connect_redis(&db, &config).await?;
    let config = Arc::new(config);
    let http_client = HttpClient::new()?;
    let job_context = JobContext::new(db.clone(), redis.clone(), Arc::clone(&config), &http_client)?;
    let payment_providers = PaymentProviders::from_config(&config, &http_client, db.clock())?;
    let registry = build_job_registry(
        &payment_providers,
        &MediaLibrary::new(&config.media),
        create_worker_payload_renderer(&db, &config),
    );
    let is_stopping = Arc::<AtomicBool>::default();
    if let Some(management) = management {
        let (queues, is_stopping) = (registry.queue_names(), Arc::clone(&is_stopping));
        let process = ObservedProcess { db: db.clone(), redis, queues, is_stopping };
        // There are no live updates.
        management.spawn(process, |_| {}, &tasks);
    }
    let worker_task = spawn_worker(job_context, registry, &tasks).await?;
    let shutdown_timeout = config.server.shutdown_timeout;
    tracing::info!("worker of {} has started processing jobs", config.shop.name);
    tokio::select! {
        _ = worker_task => return Err("the worker failed".into()),
        () = shutdown_signal => {}
    }
    tracing::info!(timeout_seconds = shutdown_timeout.as_secs(), "stopping: waiting for running jobs");
    is_stopping.store(true, Ordering::Relaxed);
    let deadline = Instant::now() + shutdown_timeout;
    tasks.shutdown.cancel();
    await_tasks_and_close(&tasks.tracker, db, deadline).await;
    Ok(())
}
