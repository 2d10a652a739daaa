//! Health endpoints: liveness, readiness and component status.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{Extension, extract::State, http::StatusCode, response::Response};
use serde_json::json;

use super::{App, request_id::RequestId, rest_response};

/// Reports liveness: the process responds.
pub async fn handle_liveness(Extension(RequestId(request_id)): Extension<RequestId>) -> Response {
    rest_response::data_response(StatusCode::OK, &request_id, &json!({ "status": "healthy" }))
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
    let stopping = app.is_stopping.load(Ordering::Relaxed);
    let ping_result = app.state.db.check_connectivity().await;
    if let Err(error) = &ping_result {
        tracing::warn!(error = %error.log_message(), "database health check failed");
    }
    let is_healthy = ping_result.is_ok() && !stopping;
    let status_name = |is_healthy: bool| if is_healthy { "healthy" } else { "unhealthy" };
    let database = json!({
        "status": status_name(ping_result.is_ok()),
        "kind": if app.state.db.sql().is_postgres() { "postgresql" } else { "sqlite" },
        "latency_ms": ping_result.ok().map(to_millis),
    });
    let mut parts = json!({ "database": database });
    if app.state.redis.is_configured() {
        // The server works without it, so that it does not count for the status.
        let ping_result = app.state.redis.ping().await;
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
        &request_id,
        &body,
    )
}

fn to_millis(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1000.0
}
