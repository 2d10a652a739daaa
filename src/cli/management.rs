//! The management address of a process.

use std::sync::{Arc, atomic::AtomicBool};

use tokio::net::TcpListener;

use super::worker::BackgroundTasks;
use crate::{
    http::management::{Management, serve_management},
    infra::{Config, Db, RedisClient, telemetry::Metrics},
    monitoring::MetricsCollector,
};

/// The management address, which is open before the slow part of the start.
#[derive(Debug)]
pub(super) struct ManagementListener {
    listener: TcpListener,
    metrics: &'static Metrics,
}

/// The parts of a process that its management address reports.
#[derive(Debug)]
pub(super) struct ObservedProcess {
    pub(super) db: Db,
    pub(super) redis: RedisClient,
    pub(super) queues: Vec<&'static str>,
    pub(super) is_stopping: Arc<AtomicBool>,
}

impl ManagementListener {
    /// Listens on the management address and starts to record metrics; `None` if there is none by the settings.
    ///
    /// # Errors
    /// Returns a message for the operator if it is in use.
    pub(super) async fn bind(config: &Config) -> Result<Option<Self>, String> {
        let Some(address) = config.management.bind.0 else { return Ok(None) };
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| format!("management.bind: cannot listen on {address}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        tracing::info!(address = %address, "management address listening on {address}");
        Ok(Some(Self { listener, metrics: Metrics::install()? }))
    }

    /// Serves the address until the shutdown. `set_process_gauges` sets further metrics.
    pub(super) fn spawn(
        self,
        process: ObservedProcess,
        set_process_gauges: impl Fn(&Metrics) + Send + Sync + 'static,
        tasks: &BackgroundTasks,
    ) {
        let ObservedProcess { db, redis, queues, is_stopping } = process;
        let collector = MetricsCollector::new(self.metrics, db.clone(), queues, set_process_gauges);
        let management = Arc::new(Management { collector, db, redis, is_stopping });
        tasks.tracker.spawn(serve_management(self.listener, management, tasks.shutdown.clone()));
    }
}
