//! `/.well-known/jwks.json`: what others verify the shop's tokens with.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::App;

/// The public keys. They may be kept for a while: a new one signs nothing that is checked elsewhere before it is read.
pub async fn public(State(app): State<Arc<App>>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(app.shared.gate.public_keys())).into_response()
}
