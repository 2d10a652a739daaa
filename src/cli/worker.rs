//! `savannah worker`: what is done after changes, and what happens by the clock, without a port.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    clock::{every_second, signal},
    finish, open_ready,
};
use crate::{
    catalog,
    infra::{Config, Db, Env, jobs::Worker},
    payment::Providers,
    wiring::wiring,
};

/// Begins to work, until it is stopped.
pub(super) async fn spawn(
    db: &Db,
    (config, providers): (&Config, &Providers),
    stopped: &watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    let env = Env::open(db.clone(), Arc::new(config.clone()))?;
    let worker = Worker::open(env, Arc::new(wiring(providers))).await.map_err(|why| why.log())?;
    let (worker, db, stopped, grace) = (Arc::new(worker), db.clone(), stopped.clone(), config.server.shutdown_grace);
    Ok(tokio::spawn(async move {
        // What products show follows within a second of a sale's beginning or end: a job each second would be much
        // writing for one small read.
        let repricing = every_second(stopped.clone(), || async { catalog::reprice(&db).await.map(|_| ()) });
        tokio::join!(worker.run(stopped.clone(), grace), repricing);
    }))
}

pub(super) async fn run(config: Config) -> Result<(), String> {
    let db = open_ready(&config, true).await?;
    let asked = signal();
    let (stop, stopped) = watch::channel(false);
    let mut working = spawn(&db, (&config, &Providers::default()), &stopped).await?;
    let grace = config.server.shutdown_grace;
    tracing::info!("the worker of {} has begun", config.shop.name);
    tokio::select! {
        _ = &mut working => return Err("the worker broke".into()),
        () = asked => {}
    }
    tracing::info!(grace_seconds = grace.as_secs(), "stopping: what is being done may come to its end");
    let deadline = Instant::now() + grace;
    stop.send_replace(true);
    finish(vec![working], db, deadline).await;
    Ok(())
}
