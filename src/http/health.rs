//! Health endpoints: liveness, readiness and component status.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Extension, extract::State, http::StatusCode, response::Response};
use serde_json::json;

use super::{App, request_id::RequestId, rest_response};
use crate::infra::{Db, RedisClient, ReplicaState};

/// Reports liveness: the process responds.
pub async fn handle_liveness(Extension(RequestId(request_id)): Extension<RequestId>) -> Response {
    liveness_response(&request_id)
}

/// Creates the response of a process that is alive.
pub(super) fn liveness_response(request_id: &str) -> Response {
    rest_response::data_response(StatusCode::OK, request_id, &json!({ "status": "healthy" }))
}

/// Reports readiness: the required components are healthy and the server is not stopping.
pub async fn handle_readiness(state: State<Arc<App>>, request_id: Extension<RequestId>) -> Response {
    handle_health(state, request_id).await
}

/// Reports the status of each component.
pub async fn handle_health(
    State(app): State<Arc<App>>,
    Extension(RequestId(request_id)): Extension<RequestId>,
) -> Response {
    let components = HealthComponents { db: &app.state.db, redis: &app.state.redis, is_stopping: &app.is_stopping };
    report_health(components, &request_id).await
}

/// Components of a process whose health is reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct HealthComponents<'a> {
    pub(super) db: &'a Db,
    pub(super) redis: &'a RedisClient,
    pub(super) is_stopping: &'a AtomicBool,
}

/// Reports the status of each component.
pub(super) async fn report_health(components: HealthComponents<'_>, request_id: &str) -> Response {
    let HealthComponents { db, redis, is_stopping } = components;
    let stopping = is_stopping.load(Ordering::Relaxed);
    let ping_result = db.check_connectivity().await;
    if let Err(error) = &ping_result {
        tracing::warn!(error = %error.log_message(), "database health check failed");
    }
    let is_healthy = ping_result.is_ok() && !stopping;
    let status_name = |is_healthy: bool| if is_healthy { "healthy" } else { "unhealthy" };
    let database = json!({
        "status": status_name(ping_result.is_ok()),
        "kind": if db.sql().is_postgres() { "postgresql" } else { "sqlite" },
        "latency_ms": ping_result.ok().map(to_millis),
    });
    let mut parts = json!({ "database": database });
    if let Some(ReplicaState { is_used, lag }) = db.replica_state() {
        // Reads use the primary then, so that it does not count for the status.
        parts["replica"] = json!({
            "status": match lag {
                Some(_) if is_used => "healthy",
                Some(_) => "behind",
                None => "unavailable",
            },
            "lag_ms": lag.map(to_millis),
        });
    }
    if redis.is_configured() {
        // The server works without it, so that it does not count for the status.
        let ping_result = redis.ping().await;
        parts["redis"] = json!({
            "status": if ping_result.is_ok() { "healthy" } else { "unavailable" },
            "latency_ms": ping_result.ok().map(to_millis),
        });
    }
    let body = json!({
        "status": if stopping { "stopping" } else { status_name(is_healthy) },
        "version": env!("CARGO_PKG_VERSION"),
        "parts": parts,
    });
    rest_response::data_response(
        if is_healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE },
        request_id,
        &body,
    )
}

fn to_millis(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1000.0
}
