//! Names, explanations and label values of all metrics. `docs/OBSERVABILITY.md` describes them; a test compares both.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// Version of the running program, as a label of the constant 1.
pub const BUILD_INFO: &str = "savannah_build_info";
/// Completed requests.
pub const REQUESTS: &str = "savannah_requests_total";
/// Durations of requests.
pub const REQUEST_DURATION: &str = "savannah_request_duration_seconds";
/// Responses with an error of a code.
pub const ERRORS: &str = "savannah_errors_total";
/// Durations of database statements.
pub const STATEMENT_DURATION: &str = "savannah_database_statement_duration_seconds";
/// Connections of a pool.
pub const POOL_CONNECTIONS: &str = "savannah_database_connections";
/// Largest number of connections of a pool.
pub const POOL_LIMIT: &str = "savannah_database_connections_max";
/// Statements and transactions that wait for a connection.
pub const POOL_WAITING: &str = "savannah_database_waiting";
/// Whether the last collection from the database succeeded.
pub const DATABASE_UP: &str = "savannah_database_up";
/// Age of the data of the read replica.
pub const REPLICA_LAG: &str = "savannah_replica_lag_seconds";
/// Whether reads use the read replica.
pub const REPLICA_USED: &str = "savannah_replica_used";
/// Lookups in a cache.
pub const CACHE_LOOKUPS: &str = "savannah_cache_lookups_total";
/// Requests and actions that a limit has refused.
pub const RATE_LIMIT_REFUSALS: &str = "savannah_rate_limit_refusals_total";
/// Open connections with live updates.
pub const SUBSCRIPTION_CONNECTIONS: &str = "savannah_subscription_connections";
/// Active subscriptions.
pub const SUBSCRIPTIONS: &str = "savannah_subscriptions";
/// Jobs of a queue.
pub const JOBS: &str = "savannah_jobs";
/// Age of the oldest due job of a queue.
pub const JOB_LAG: &str = "savannah_job_lag_seconds";
/// Finished attempts of jobs.
pub const JOB_ATTEMPTS: &str = "savannah_job_attempts_total";
/// Events that wait for the relay.
pub const OUTBOX_EVENTS: &str = "savannah_outbox_events";
/// Age of the oldest event that waits for the relay.
pub const OUTBOX_LAG: &str = "savannah_outbox_lag_seconds";
/// Results of payments.
pub const PAYMENTS: &str = "savannah_payments_total";
/// Payments that wait for a result.
pub const PAYMENTS_PENDING: &str = "savannah_payments_pending";
/// Placed orders.
pub const ORDERS: &str = "savannah_orders_total";
/// Value of placed orders.
pub const ORDER_VALUE: &str = "savannah_order_value_minor_units_total";
/// Orders whose payment time is over and that are not canceled.
pub const ORDERS_OVERDUE: &str = "savannah_orders_overdue";
/// Reservations of stock for order lines.
pub const STOCK_RESERVATIONS: &str = "savannah_stock_reservations_total";
/// Attempts to deliver outbound webhooks.
pub const WEBHOOK_ATTEMPTS: &str = "savannah_webhook_attempts_total";
/// Endpoints of outbound webhooks.
pub const WEBHOOK_ENDPOINTS: &str = "savannah_webhook_endpoints";

/// Upper bounds of the buckets of durations, in seconds.
pub const DURATION_BUCKETS: [f64; 13] =
    [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Label value of everything that has no label value of its own, so that callers cannot create label values.
pub const OTHER: &str = "other";
/// Operation label of requests that are not GraphQL operations: health checks, logins by provider, webhooks.
pub const HTTP_REQUEST: &str = "http";
/// Maximum number of operation names. Further ones are counted as [`OTHER`].
pub const MAX_OPERATIONS: usize = 500;

/// States of jobs that are counted.
pub const JOB_STATES: [&str; 3] = ["pending", "running", "dead"];
/// States of webhook endpoints.
pub const ENDPOINT_STATES: [&str; 4] = ["active", "inactive", "paused", "ended"];

/// Codes of errors. Others are counted as [`OTHER`].
pub const ERROR_CODES: [&str; 32] = [
    "BAD_USER_INPUT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "VERSION_CONFLICT",
    "ILLEGAL_TRANSITION",
    "PRODUCT_NOT_AVAILABLE",
    "INSUFFICIENT_STOCK",
    "PRICE_CHANGED",
    "IDEMPOTENCY_MISMATCH",
    "IDEMPOTENCY_CONFLICT",
    "PAYMENT_FAILED",
    "INVALID_CREDENTIALS",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "RATE_LIMITED",
    "QUERY_TOO_COMPLEX",
    "CURSOR_EXPIRED",
    "UNAVAILABLE",
    "TIMEOUT",
    "INTERNAL",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "FREE_FORM_DOCUMENT_FORBIDDEN",
    "PERSISTED_QUERY_NOT_FOUND",
    "PERSISTED_QUERY_NOT_SUPPORTED",
    "PERSISTED_QUERY_HASH_MISMATCH",
    "OPERATION_RETIRED",
    "OPERATION_OUTDATED",
    "UNSUPPORTED_MEDIA_TYPE",
    "PAYLOAD_TOO_LARGE",
    "METHOD_NOT_ALLOWED",
    "BAD_REQUEST",
];
/// Codes of faults: errors that the caller can neither cause nor correct.
pub const FAULT_CODES: [&str; 3] = ["INTERNAL", "UNAVAILABLE", "TIMEOUT"];

/// Type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// A number that only grows.
    Counter,
    /// A number that is measured.
    Gauge,
    /// A distribution of durations.
    Histogram,
}

/// All metrics with their types and explanations.
pub const ALL: [(&str, MetricType, &str); 28] = [
    (BUILD_INFO, MetricType::Gauge, "Version of the running program; the value is 1."),
    (REQUESTS, MetricType::Counter, "Completed requests by operation and outcome (ok, rejected, failed)."),
    (REQUEST_DURATION, MetricType::Histogram, "Durations of requests by operation, in seconds."),
    (ERRORS, MetricType::Counter, "Responses that contain an error, by its code; once per code."),
    (STATEMENT_DURATION, MetricType::Histogram, "Durations of database statements, in seconds."),
    (POOL_CONNECTIONS, MetricType::Gauge, "Database connections by pool (read, write) and state (in_use, idle)."),
    (POOL_LIMIT, MetricType::Gauge, "Largest number of database connections by pool."),
    (POOL_WAITING, MetricType::Gauge, "Statements and transactions that wait for a connection, by pool."),
    (DATABASE_UP, MetricType::Gauge, "1 if the last collection of values from the database succeeded, else 0."),
    (REPLICA_LAG, MetricType::Gauge, "Age of the data of the read replica, in seconds; of its last response."),
    (REPLICA_USED, MetricType::Gauge, "1 if reads use the read replica, 0 if it is behind or unavailable."),
    (CACHE_LOOKUPS, MetricType::Counter, "Lookups by cache (response, data, document) and result (hit, miss)."),
    (RATE_LIMIT_REFUSALS, MetricType::Counter, "Refused requests and actions by the limit that refused them."),
    (SUBSCRIPTION_CONNECTIONS, MetricType::Gauge, "Open connections with live updates of this process."),
    (SUBSCRIPTIONS, MetricType::Gauge, "Active subscriptions of this process."),
    (JOBS, MetricType::Gauge, "Jobs of all processes by queue and state (pending, running, dead), at most 50,000."),
    (JOB_LAG, MetricType::Gauge, "Age of the oldest due job of a queue, in seconds."),
    (JOB_ATTEMPTS, MetricType::Counter, "Attempts of jobs by queue and outcome (done, retried, dead)."),
    (OUTBOX_EVENTS, MetricType::Gauge, "Events of all processes that wait for the relay, at most 50,000."),
    (OUTBOX_LAG, MetricType::Gauge, "Age of the oldest event that waits for the relay, in seconds."),
    (PAYMENTS, MetricType::Counter, "Entries of the payment ledger by provider and outcome."),
    (PAYMENTS_PENDING, MetricType::Gauge, "Payments that wait for a result, at most 50,000."),
    (ORDERS, MetricType::Counter, "Orders placed by this process."),
    (ORDER_VALUE, MetricType::Counter, "Total of the orders placed by this process by currency, in minor units."),
    (ORDERS_OVERDUE, MetricType::Gauge, "Orders that should have been canceled ten minutes ago, at most 50,000."),
    (STOCK_RESERVATIONS, MetricType::Counter, "Order lines by the outcome of their reservation (reserved, short)."),
    (WEBHOOK_ATTEMPTS, MetricType::Counter, "Attempts to deliver webhooks by outcome (accepted, failed, ended)."),
    (
        WEBHOOK_ENDPOINTS,
        MetricType::Gauge,
        "Endpoints of outbound webhooks by status (active, inactive, paused, ended).",
    ),
];

/// Registers the explanations of all metrics.
pub(super) fn describe_metrics() {
    for (name, metric_type, help) in ALL {
        match metric_type {
            MetricType::Counter => describe_counter!(name, help),
            MetricType::Gauge => describe_gauge!(name, help),
            MetricType::Histogram => describe_histogram!(name, help),
        }
    }
}
