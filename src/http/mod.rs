//! HTTP server: routes and middleware.

pub mod rest_response;
pub mod request_log;
pub mod request_id;
mod url_parameters;
mod body_timeout;
pub mod content_negotiation;
mod http_date;
pub mod authentication;
pub mod analytics_csv;
pub mod jwks;
pub mod document_cache;
pub mod document_uses;
mod app;
pub mod write_position;
pub mod cors;
pub mod bounded_json;
pub mod graphql_request;
pub mod persisted_query;
pub mod trusted_documents;
pub mod response_cache;
pub mod idempotency;
pub mod rate_limit;
pub mod graphql_response;
pub mod graphql_execution;
pub mod graphql;
pub mod rest;
pub mod graphiql;
pub mod health;
pub mod media;
pub mod media_range;
pub mod media_upload;
pub mod management;
pub mod oidc_routes;
pub mod oauth;
pub mod payment_webhooks;
mod connection;
mod tls;
mod listener;
pub mod subscription;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Extensions, HeaderMap, StatusCode, Version},
    middleware,
    routing::{any, get, post, put},
};
use tower_http::compression::{CompressionLayer, DefaultPredicate, Predicate, predicate::SizeAbove};

use crate::media::UPLOADS_PATH;

pub use app::App;
pub use listener::{ServerListener, serve_connections};
pub use tls::TlsCertificates;

/// Minimum size of a compressed response in bytes.
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// Builds the router with all routes.
pub fn build_router(app: &Arc<App>) -> Router {
    let select_transport = middleware::from_fn_with_state(Arc::clone(app), subscription::transport::select_transport);
    let routes = Router::new()
        .route("/.well-known/jwks.json", get(jwks::handle_jwks))
        .route("/.well-known/oauth-authorization-server", get(oauth::handle_metadata))
        .route("/auth/{provider}/login", get(oidc_routes::handle_login))
        .route("/auth/{provider}/callback", get(oidc_routes::handle_callback))
        .route("/analytics.csv", get(analytics_csv::handle_figures))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), rate_limit::limit_rest_requests))
        .route("/graphql", any(graphql::handle_graphql).layer(select_transport))
        .route("/graphql/{app}/{operation}", get(graphql::handle_operation_address))
        .route("/oauth/token", post(oauth::handle_token).fallback(oauth::handle_other_method))
        .route("/oauth/revoke", post(oauth::handle_revocation).fallback(oauth::handle_other_method))
        .route("/oauth/introspect", post(oauth::handle_introspection).fallback(oauth::handle_other_method))
        .route("/api/{*path}", any(rest::handle_rest))
        .route("/webhooks/payments/{provider}", post(payment_webhooks::handle_payment_webhook))
        .route("/webhooks/payments/{provider}/{token}", post(payment_webhooks::handle_payment_webhook))
        .merge(media_routes())
        .route("/payments/test/{payment}", get(payment_webhooks::handle_test_payment_page))
        .route("/health", get(health::handle_health))
        .route("/health/live", get(health::handle_liveness))
        .route("/health/ready", get(health::handle_readiness))
        .with_state(Arc::clone(app))
        .merge(graphiql::graphiql_router(app.state.config.graphql.free_form_documents));
    with_middleware(routes, app)
}

/// Returns the routes of pictures. Their uploads have limits of their own.
fn media_routes() -> Router<Arc<App>> {
    Router::new()
        .route(UPLOADS_PATH, post(media_upload::handle_multipart_upload))
        .route(&format!("{UPLOADS_PATH}/{{secret}}"), put(media_upload::handle_upload))
        .layer(DefaultBodyLimit::disable())
        .route("/media/{token}/{name}", get(media::handle_picture))
}

/// Adds the middleware of all routes: request ID, CORS, compression, panic handling, body limits, fallbacks.
pub fn with_middleware(routes: Router, app: &App) -> Router {
    let config = &app.state.config;
    routes
        .fallback(rest_response::handle_not_found)
        .method_not_allowed_fallback(rest_response::handle_method_not_allowed)
        .layer(DefaultBodyLimit::max(config.server.max_body_bytes))
        .layer(middleware::from_fn_with_state(body_timeout::BodyTimeouts::new(config), body_timeout::limit_body_time))
        .layer(middleware::from_fn(rest_response::catch_panic))
        .layer(middleware::from_fn(rate_limit::add_rate_limit_headers))
        .layer(
            CompressionLayer::new().compress_when(
                SizeAbove::new(MIN_COMPRESSED_BYTES).and(DefaultPredicate::new()).and(has_open_encoding),
            ),
        )
        .layer(app.cors_policy.build_layer())
        .layer(middleware::from_fn_with_state(Arc::clone(&app.request_log), request_id::assign_request_id))
}

/// Returns whether the encoding of a response was not negotiated yet.
fn has_open_encoding(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<response_cache::HasNegotiatedEncoding>().is_none()
}
