//! `/.well-known/jwks.json`: public keys for verification of access tokens.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::App;

/// Returns the public keys. They may be cached: a verifier reads the key set again for an unknown key ID.
pub async fn handle_jwks(State(app): State<Arc<App>>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(app.state.access_token_service.public_keys()))
        .into_response()
}
