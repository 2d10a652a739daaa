//! HTTP server: routes and middleware.

pub mod rest_response;
pub mod request_id;
mod body_timeout;
pub mod content_negotiation;
pub mod authentication;
pub mod jwks;
pub mod document_cache;
mod app;
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
pub mod graphiql;
pub mod health;
pub mod oidc_routes;
mod connection;
mod listener;
pub mod subscription;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header},
    middleware,
    routing::{any, get},
};
use tower_http::{
    compression::{CompressionLayer, DefaultPredicate, Predicate, predicate::SizeAbove},
    cors::{AllowHeaders, AllowOrigin, Any, CorsLayer},
};

use crate::infra::config::{ServerConfig, ShopMode};

pub use app::App;
pub use listener::serve_connections;

/// Minimum size of a compressed response in bytes.
const MIN_COMPRESSED_BYTES: u64 = 1024;

/// Builds the router with all routes.
pub fn build_router(app: &Arc<App>) -> Router {
    let select_transport = middleware::from_fn_with_state(Arc::clone(app), subscription::transport::select_transport);
    let routes = Router::new()
        .route("/.well-known/jwks.json", get(jwks::handle_jwks))
        .route("/auth/{provider}/login", get(oidc_routes::handle_login))
        .route("/auth/{provider}/callback", get(oidc_routes::handle_callback))
        .route_layer(middleware::from_fn_with_state(Arc::clone(app), rate_limit::limit_rest_requests))
        .route("/graphql", any(graphql::handle_graphql).layer(select_transport))
        .route("/graphql/{app}/{operation}", get(graphql::handle_operation_address))
        .route("/health", get(health::handle_health))
        .route("/health/live", get(health::handle_liveness))
        .route("/health/ready", get(health::handle_readiness))
        .with_state(Arc::clone(app))
        .merge(graphiql::graphiql_router(app.state.config.graphql.free_form_documents));
    with_middleware(routes, app)
}

/// Adds the middleware of all routes: request ID, CORS, compression, panic handling, body limits, fallbacks.
pub fn with_middleware(routes: Router, app: &App) -> Router {
    let config = &app.state.config;
    routes
        .fallback(rest_response::handle_not_found)
        .method_not_allowed_fallback(rest_response::handle_method_not_allowed)
        .layer(DefaultBodyLimit::max(config.server.max_body_bytes))
        .layer(middleware::from_fn_with_state(config.server.body_timeout, body_timeout::limit_body_time))
        .layer(middleware::from_fn(rest_response::catch_panic))
        .layer(middleware::from_fn(rate_limit::add_rate_limit_headers))
        .layer(
            CompressionLayer::new().compress_when(
                SizeAbove::new(MIN_COMPRESSED_BYTES).and(DefaultPredicate::new()).and(has_open_encoding),
            ),
        )
        .layer(build_cors_layer(&config.server, config.shop.mode))
        .layer(middleware::from_fn(request_id::assign_request_id))
}

/// Returns whether the encoding of a response was not negotiated yet.
fn has_open_encoding(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<response_cache::HasNegotiatedEncoding>().is_none()
}

/// Request headers of GraphQL clients, retries and tracing. Safe to allow, because the API uses no cookies.
const CORS_CLIENT_HEADERS: [HeaderName; 13] = [
    idempotency::IDEMPOTENCY_KEY_HEADER,
    rate_limit::COST_HEADER,
    HeaderName::from_static("apollographql-client-name"),
    HeaderName::from_static("apollographql-client-version"),
    HeaderName::from_static("apollo-require-preflight"),
    HeaderName::from_static("graphql-require-preflight"),
    HeaderName::from_static("x-apollo-operation-id"),
    HeaderName::from_static("x-apollo-operation-name"),
    HeaderName::from_static("x-requested-with"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("sentry-trace"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Builds the CORS policy. The API uses no cookies, so credentials are not allowed.
fn build_cors_layer(config: &ServerConfig, mode: ShopMode) -> CorsLayer {
    let allows_any_origin = config.cors_origins.iter().any(|origin| origin == "*");
    let is_any_origin = allows_any_origin || (config.cors_origins.is_empty() && mode == ShopMode::Development);
    let listed_origins = config.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let origins = if is_any_origin { AllowOrigin::from(Any) } else { AllowOrigin::list(listed_origins) };
    let own_headers = [header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION, request_id::REQUEST_ID_HEADER];
    let configured_headers = config.cors_headers.iter().filter_map(|name| name.parse().ok());
    let allowed_headers = own_headers.into_iter().chain(CORS_CLIENT_HEADERS).chain(configured_headers);
    let exposed_headers: [HeaderName; 9] = [
        request_id::REQUEST_ID_HEADER,
        HeaderName::from_static("server-timing"),
        idempotency::REPLAYED_HEADER,
        rate_limit::POLICY_HEADER,
        rate_limit::STATUS_HEADER,
        header::RETRY_AFTER,
        header::ETAG,
        header::AGE,
        HeaderName::from_static("cache-status"),
    ];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::list(allowed_headers))
        .expose_headers(exposed_headers)
        .max_age(std::time::Duration::from_hours(1))
}
