//! The management address: metrics and health checks, for monitoring. It has no access control.

use std::sync::{Arc, atomic::AtomicBool};

use axum::{
    Router,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    health::{HealthComponents, liveness_response, report_health},
    request_id::create_request_id,
};
use crate::{
    infra::{Db, RedisClient},
    monitoring::MetricsCollector,
};

/// Content type of the text format of Prometheus.
const METRICS_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the management address of a process reports.
#[derive(Debug)]
pub struct Management {
    /// Metrics.
    pub collector: MetricsCollector,
    /// Database.
    pub db: Db,
    /// Redis client.
    pub redis: RedisClient,
    /// Whether the process is shutting down.
    pub is_stopping: Arc<AtomicBool>,
}

/// Serves the management address until the shutdown.
pub async fn serve_management(listener: TcpListener, management: Arc<Management>, shutdown: CancellationToken) {
    let router = Router::new()
        .route("/metrics", get(handle_metrics))
        .route("/health", get(handle_health))
        .route("/health/ready", get(handle_health))
        .route("/health/live", get(handle_liveness))
        .with_state(Arc::clone(&management));
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let (outcome, ()) = tokio::join!(server.into_future(), management.collector.run_upkeep(shutdown));
    if let Err(error) = outcome {
        tracing::error!(error = %error, "the management address is no longer served");
    }
}

async fn handle_metrics(State(management): State<Arc<Management>>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], management.collector.render().await).into_response()
}

async fn handle_health(State(management): State<Arc<Management>>) -> Response {
    let Management { db, redis, is_stopping, .. } = &*management;
    report_health(HealthComponents { db, redis, is_stopping }, &create_request_id()).await
}

async fn handle_liveness() -> Response {
    liveness_response(&create_request_id())
}
