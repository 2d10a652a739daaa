//! Whether the shop lives and whether it can serve.

use std::sync::{Arc, atomic::Ordering};

use axum::{Extension, extract::State, http::StatusCode, response::Response};
use serde_json::json;

use super::{App, envelope, request_id::RequestId};

/// The process answers.
pub async fn live(Extension(RequestId(id)): Extension<RequestId>) -> Response {
    envelope::data(StatusCode::OK, &id, &json!({ "status": "healthy" }))
}

/// It can serve: its parts answer, and it is not on its way out.
pub async fn ready(state: State<Arc<App>>, id: Extension<RequestId>) -> Response {
    health(state, id).await
}

/// The state of each part.
pub async fn health(State(app): State<Arc<App>>, Extension(RequestId(id)): Extension<RequestId>) -> Response {
    let stopping = app.stopping.load(Ordering::Relaxed);
    let ping = app.shared.db.ping().await;
    if let Err(why) = &ping {
        tracing::warn!(error = %why.log(), "the database does not answer");
    }
    let well = ping.is_ok() && !stopping;
    let state = |well: bool| if well { "healthy" } else { "unhealthy" };
    let database = json!({
        "status": state(ping.is_ok()),
        "kind": if app.shared.db.sql().postgres() { "postgresql" } else { "sqlite" },
        "latency_ms": ping.ok().map(|took| took.as_secs_f64() * 1000.0),
    });
    let body = json!({
        "status": if stopping { "stopping" } else { state(well) },
        "version": env!("CARGO_PKG_VERSION"),
        "parts": { "database": database },
    });
    envelope::data(if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &id, &body)
}
