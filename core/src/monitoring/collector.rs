//! Renders the metrics of a process, with values from the database that are a few seconds old at most.

use std::{fmt, time::Duration};

use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

use super::database_values::{load_values, set_gauges};
use crate::infra::{
    Db,
    telemetry::{Metrics, names},
};

/// Time for which the values from the database are used.
const VALUES_TTL: Duration = Duration::from_secs(5);
/// Interval at which recorded durations are added up.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Sets further gauges before each rendering.
type SetGauges = dyn Fn(&Metrics) + Send + Sync;

/// Collects and renders the metrics of a process.
pub struct MetricsCollector {
    metrics: &'static Metrics,
    db: Db,
    queues: Vec<&'static str>,
    set_process_gauges: Box<SetGauges>,
    /// Time of the last collection from the database; locked during it, so that readers share one.
    collected_at: Mutex<Option<Instant>>,
}

impl fmt::Debug for MetricsCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsCollector").field("queues", &self.queues).finish_non_exhaustive()
    }
}

impl MetricsCollector {
    /// Creates the collector of a process. `set_process_gauges` sets what other modules know.
    #[must_use]
    pub fn new(
        metrics: &'static Metrics,
        db: Db,
        queues: Vec<&'static str>,
        set_process_gauges: impl Fn(&Metrics) + Send + Sync + 'static,
    ) -> Self {
        let collected_at = Mutex::default();
        Self { metrics, db, queues, set_process_gauges: Box::new(set_process_gauges), collected_at }
    }

    /// Returns all metrics in the text format of Prometheus. Statements: 1, at most every few seconds.
    pub async fn render(&self) -> String {
        self.collect_from_database().await;
        for usage in self.db.pool_usage() {
            self.metrics.set_pool_usage(usage);
        }
        self.set_replica_gauges();
        (self.set_process_gauges)(self.metrics);
        self.metrics.render()
    }

    /// Sets the gauges of the read replica, if there is one.
    fn set_replica_gauges(&self) {
        let Some(replica) = self.db.replica_state() else { return };
        self.metrics.set_gauge(names::REPLICA_USED, if replica.is_used { 1.0 } else { 0.0 });
        if let Some(lag) = replica.lag {
            self.metrics.set_gauge(names::REPLICA_LAG, lag.as_secs_f64());
        }
    }

    /// Reads the values of the database, unless they are recent. After a failure the last values remain.
    async fn collect_from_database(&self) {
        let mut collected_at = self.collected_at.lock().await;
        if collected_at.is_some_and(|collected_at| collected_at.elapsed() < VALUES_TTL) {
            return;
        }
        match load_values(&self.db, &self.queues).await {
            Ok(values) => set_gauges(self.metrics, &self.queues, &values, self.db.now()),
            Err(error) => {
                tracing::warn!(error = error.log_message(), "the values of metrics cannot be read from the database");
                self.metrics.set_gauge(names::DATABASE_UP, 0.0);
            }
        }
        *collected_at = Some(Instant::now());
    }

    /// Adds up recorded durations until the shutdown.
    pub async fn run_upkeep(&self, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(tokio::time::sleep(UPKEEP_INTERVAL)).await.is_some() {
            self.metrics.run_upkeep();
        }
    }
}
