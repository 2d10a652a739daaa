//! `savannah worker`: background jobs and schedules without an HTTP server.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    await_tasks_and_close, connect_initialized_database,
    scheduler_loop::{run_every_second, wait_for_shutdown_signal},
};
use crate::{
    catalog,
    infra::{Config, Db, JobContext, jobs::Worker},
    job_registry::build_job_registry,
    payment::PaymentProviders,
};

/// Spawns the worker; it runs until the stop signal.
pub(super) async fn spawn_worker(
    db: &Db,
    (config, providers): (&Config, &PaymentProviders),
    stop_signal: &watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    let job_context = JobContext::new(db.clone(), Arc::new(config.clone()))?;
    let worker = Worker::create(job_context, Arc::new(build_job_registry(providers)))
        .await
        .map_err(|error| error.log_message())?;
    let (worker, db, stop_signal, shutdown_grace) =
        (Arc::new(worker), db.clone(), stop_signal.clone(), config.server.shutdown_grace);
    Ok(tokio::spawn(async move {
        // Displayed prices follow the start and end of a sale within a second. A job per second would write far more
        // than this small read.
        let price_refresh =
            run_every_second(stop_signal.clone(), || async { catalog::refresh_prices(&db).await.map(|_| ()) });
        tokio::join!(worker.run(stop_signal.clone(), shutdown_grace), price_refresh);
    }))
}

pub(super) async fn run_worker(config: Config) -> Result<(), String> {
    let db = connect_initialized_database(&config, true).await?;
    let shutdown_signal = wait_for_shutdown_signal();
    let (stop_sender, stop_receiver) = watch::channel(false);
    let mut worker_task = spawn_worker(&db, (&config, &PaymentProviders::default()), &stop_receiver).await?;
    let shutdown_grace = config.server.shutdown_grace;
    tracing::info!("worker of {} has begun processing jobs", config.shop.name);
    tokio::select! {
        _ = &mut worker_task => return Err("the worker broke".into()),
        () = shutdown_signal => {}
    }
    tracing::info!(grace_seconds = shutdown_grace.as_secs(), "stopping: running jobs may finish");
    let deadline = Instant::now() + shutdown_grace;
    stop_sender.send_replace(true);
    await_tasks_and_close(vec![worker_task], db, deadline).await;
    Ok(())
}
