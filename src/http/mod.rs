//! The door: every path on one page.

pub mod envelope;
pub mod request_id;
mod body_timeout;
pub mod negotiate;
pub mod bearer;
pub mod keys;
pub mod documents;
pub mod bounded;
pub mod graphql_request;
pub mod graphql;
pub mod graphiql;
pub mod health;
pub mod auth;
mod connection;
mod listener;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Method, header},
    middleware,
    routing::{any, get},
};
pub use listener::serve;
use tower_http::{
    compression::{CompressionLayer, DefaultPredicate, Predicate, predicate::SizeAbove},
    cors::{AllowHeaders, AllowOrigin, Any, CorsLayer},
};

use crate::{
    graphql::{Graph, context::Shared},
    infra::config::{Mode, ServerConfig},
};

/// Smaller answers are not worth compressing. Bytes.
const COMPRESS_FROM: u64 = 1024;

/// What the handlers share.
#[derive(Debug)]
pub struct App {
    /// The shop.
    pub shared: Arc<Shared>,
    /// The schema.
    pub graph: Graph,
    /// Documents that were parsed before.
    pub documents: documents::Documents,
    /// Whether the server is on its way out.
    pub stopping: std::sync::atomic::AtomicBool,
}

impl App {
    /// Everything a server needs.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Arc<Self> {
        let graph = Graph::new(&shared.config);
        let documents = documents::Documents::new(&shared.config);
        Arc::new(Self { shared, graph, documents, stopping: false.into() })
    }
}

/// All paths.
pub fn router(app: &Arc<App>) -> Router {
    let paths = Router::new()
        .route("/graphql", any(graphql::handle))
        .route("/.well-known/jwks.json", get(keys::public))
        .route("/auth/{provider}/login", get(auth::login))
        .route("/auth/{provider}/callback", get(auth::callback))
        .route("/health", get(health::health))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .with_state(Arc::clone(app))
        .merge(graphiql::router());
    dressed(paths, app)
}

/// Paths with what goes for all of them: an id, limits, what to answer when something breaks.
pub fn dressed(paths: Router, app: &App) -> Router {
    let config = &app.shared.config;
    paths
        .fallback(envelope::not_found)
        .method_not_allowed_fallback(envelope::method_not_allowed)
        .layer(DefaultBodyLimit::max(config.server.body_limit))
        .layer(middleware::from_fn_with_state(config.server.body_timeout, body_timeout::limit))
        .layer(middleware::from_fn(envelope::catch))
        .layer(CompressionLayer::new().compress_when(SizeAbove::new(COMPRESS_FROM).and(DefaultPredicate::new())))
        .layer(cors(&config.server, config.shop.mode))
        .layer(middleware::from_fn(request_id::give))
}

/// Request headers that clients of GraphQL and tracing add. Without cookies nothing is lost by allowing them.
const CLIENT_HEADERS: [HeaderName; 11] = [
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

/// Which pages of other origins may call. The API uses no cookies, so no credentials go with such a call.
fn cors(config: &ServerConfig, mode: Mode) -> CorsLayer {
    let every = config.cors_origins.iter().any(|origin| origin == "*");
    let all = every || (config.cors_origins.is_empty() && mode == Mode::Development);
    let listed = config.cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let origins = if all { AllowOrigin::from(Any) } else { AllowOrigin::list(listed) };
    let own = [header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION, request_id::HEADER];
    let configured = config.cors_headers.iter().filter_map(|name| name.parse().ok());
    let allowed = own.into_iter().chain(CLIENT_HEADERS).chain(configured);
    let exposed: [HeaderName; 2] = [request_id::HEADER, HeaderName::from_static("server-timing")];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::list(allowed))
        .expose_headers(exposed)
        .max_age(std::time::Duration::from_hours(1))
}
