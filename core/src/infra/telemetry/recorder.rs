//! The metrics of the process. They exist only if there is a management address that serves them.

use std::{sync::OnceLock, time::Duration};

use metrics::{Counter, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::{
    OperationLabel, RequestOutcome, measurement,
    names::{self, OTHER},
    operation_series::OperationSeriesTable,
};

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// Returns the metrics; `None` if there is no management address, so that nothing is measured.
#[must_use]
pub fn metrics() -> Option<&'static Metrics> {
    METRICS.get()
}

/// Caches whose lookups are counted.
#[derive(Debug, Clone, Copy)]
pub enum CacheName {
    /// Responses to public queries.
    Response,
    /// Values that are expensive to compute.
    Data,
    /// Parsed documents.
    Document,
}

/// Usage of a pool of database connections.
#[derive(Debug, Clone, Copy)]
pub struct PoolUsage {
    /// Name of the pool.
    pub pool: &'static str,
    /// Largest number of connections.
    pub limit: usize,
    /// Connections in use.
    pub in_use: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// Statements or transactions that wait for a connection.
    pub waiting: usize,
}

/// Metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    renderer: PrometheusHandle,
    operations: OperationSeriesTable,
    statement_duration: Histogram,
    /// By cache, then misses and hits.
    cache_lookups: [[Counter; 2]; 3],
}

impl Metrics {
    /// Starts measuring, once per process.
    ///
    /// # Errors
    /// Returns a message for the operator if another recorder is installed.
    pub fn install() -> Result<&'static Self, String> {
        if let Some(metrics) = METRICS.get() {
            return Ok(metrics);
        }
        let explain = |error: &dyn std::fmt::Display| format!("metrics cannot be recorded: {error}");
        let builder =
            PrometheusBuilder::new().set_buckets(&names::DURATION_BUCKETS).map_err(|error| explain(&error))?;
        let renderer = builder.install_recorder().map_err(|error| explain(&error))?;
        names::describe_metrics();
        Ok(METRICS.get_or_init(|| Self::register(renderer)))
    }

    /// Registers the series whose labels are known, so that they are exported from the beginning.
    fn register(renderer: PrometheusHandle) -> Self {
        gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        let lookups = |cache: &'static str| {
            ["miss", "hit"].map(|result| counter!(names::CACHE_LOOKUPS, "cache" => cache, "result" => result))
        };
        for limit in ["network", "customer", "staff", "api_key", "action"] {
            counter!(names::RATE_LIMIT_REFUSALS, "limit" => limit).absolute(0);
        }
        for code in names::FAULT_CODES {
            counter!(names::ERRORS, "code" => code).absolute(0);
        }
        for outcome in ["accepted", "failed", "ended"] {
            counter!(names::WEBHOOK_ATTEMPTS, "outcome" => outcome).absolute(0);
        }
        for outcome in ["reserved", "short"] {
            measurement::count_reservations(outcome, 0);
        }
        counter!(names::ORDERS).absolute(0);
        Self {
            renderer,
            operations: OperationSeriesTable::new(),
            statement_duration: histogram!(names::STATEMENT_DURATION),
            cache_lookups: ["response", "data", "document"].map(lookups),
        }
    }

    /// Returns all metrics in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.renderer.render()
    }

    /// Adds recorded durations to their buckets. Called every few seconds, so that they do not occupy memory if nobody
    /// reads the metrics.
    pub fn run_upkeep(&self) {
        self.renderer.run_upkeep();
    }

    /// Returns the label value of the operation of a published document.
    #[must_use]
    pub fn operation_label(&self, operation: &str) -> OperationLabel {
        self.operations.label_of(operation)
    }

    /// Counts a completed request.
    pub fn record_request(&self, operation: OperationLabel, outcome: RequestOutcome, duration: Duration) {
        self.operations.record(operation, outcome, duration);
    }

    /// Counts a response with an error of this code.
    pub fn count_error(&self, code: &str) {
        let code = names::ERROR_CODES.into_iter().find(|known| *known == code).unwrap_or(OTHER);
        counter!(names::ERRORS, "code" => code).increment(1);
    }

    /// Counts a database statement.
    pub fn record_statement(&self, duration: Duration) {
        self.statement_duration.record(duration);
    }

    /// Counts a lookup in a cache.
    pub fn count_lookup(&self, cache: CacheName, is_hit: bool) {
        self.cache_lookups[cache as usize][usize::from(is_hit)].increment(1);
    }

    /// Counts a request or an action that a limit has refused.
    pub fn count_refusal(&self, limit: &'static str) {
        counter!(names::RATE_LIMIT_REFUSALS, "limit" => limit).increment(1);
    }

    /// Counts a finished attempt of a job.
    pub fn count_job_attempt(&self, queue: &'static str, outcome: &'static str) {
        counter!(names::JOB_ATTEMPTS, "queue" => queue, "outcome" => outcome).increment(1);
    }

    /// Counts an attempt to deliver a webhook.
    pub fn count_webhook_attempt(&self, outcome: &'static str) {
        counter!(names::WEBHOOK_ATTEMPTS, "outcome" => outcome).increment(1);
    }

    /// Counts order lines for which there is not enough stock.
    pub fn count_shortages(&self, lines: usize) {
        measurement::count_reservations("short", lines as u64);
    }

    /// Sets a gauge without labels.
    pub fn set_gauge(&self, name: &'static str, value: f64) {
        gauge!(name).set(value);
    }

    /// Sets a gauge with labels.
    pub fn set_labeled_gauge(&self, name: &'static str, labels: &[(&'static str, &'static str)], value: f64) {
        gauge!(name, labels).set(value);
    }

    /// Sets the gauges of a pool.
    pub fn set_pool_usage(&self, usage: PoolUsage) {
        let PoolUsage { pool, limit, in_use, idle, waiting } = usage;
        self.set_labeled_gauge(names::POOL_CONNECTIONS, &[("pool", pool), ("state", "in_use")], to_gauge(in_use));
        self.set_labeled_gauge(names::POOL_CONNECTIONS, &[("pool", pool), ("state", "idle")], to_gauge(idle));
        self.set_labeled_gauge(names::POOL_LIMIT, &[("pool", pool)], to_gauge(limit));
        self.set_labeled_gauge(names::POOL_WAITING, &[("pool", pool)], to_gauge(waiting));
    }
}

/// Converts a count to the value of a gauge.
#[must_use]
pub fn to_gauge(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
