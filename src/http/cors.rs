//! CORS policy. The API uses no cookies, so credentials are not allowed.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::{idempotency, rate_limit, request_id, write_position};
use crate::infra::{
    Config,
    config::{ServerConfig, ShopMode},
};

/// Request headers of GraphQL clients, retries and tracing. Safe to allow, because the API uses no cookies.
const CLIENT_HEADERS: [HeaderName; 15] = [
    header::IF_MATCH,
    idempotency::IDEMPOTENCY_KEY_HEADER,
    rate_limit::COST_HEADER,
    write_position::WRITE_POSITION_HEADER,
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

/// Response headers that scripts of other origins may read.
const EXPOSED_HEADERS: [HeaderName; 14] = [
    request_id::REQUEST_ID_HEADER,
    write_position::WRITE_POSITION_HEADER,
    HeaderName::from_static("server-timing"),
    idempotency::REPLAYED_HEADER,
    rate_limit::POLICY_HEADER,
    rate_limit::STATUS_HEADER,
    header::RETRY_AFTER,
    header::ETAG,
    header::AGE,
    HeaderName::from_static("cache-status"),
    header::LINK,
    header::LOCATION,
    HeaderName::from_static("deprecation"),
    HeaderName::from_static("sunset"),
];

/// CORS policy of the server.
#[derive(Debug)]
pub struct CorsPolicy {
    /// Allowed origins; `None` if all are.
    origins: Option<Vec<HeaderValue>>,
    /// Allowed headers that are configured.
    configured_headers: Vec<HeaderName>,
    exposed_headers: HeaderValue,
}

impl CorsPolicy {
    /// Creates the configured policy. In development all origins are allowed by default.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let ServerConfig { cors_origins, cors_headers, .. } = &config.server;
        let allows_any_origin = cors_origins.iter().any(|origin| origin == "*");
        let is_any_origin = allows_any_origin || (cors_origins.is_empty() && config.shop.mode == ShopMode::Development);
        let listed_origins = || cors_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        let exposed_headers = EXPOSED_HEADERS.map(|name| name.to_string()).join(",");
        Self {
            origins: (!is_any_origin).then(listed_origins),
            configured_headers: cors_headers.iter().filter_map(|name| name.parse().ok()).collect(),
            // Names of headers are valid values.
            exposed_headers: HeaderValue::try_from(exposed_headers).unwrap_or(HeaderValue::from_static("")),
        }
    }

    /// Builds the middleware, which answers preflight requests and adds headers to other responses.
    pub fn build_layer(&self) -> CorsLayer {
        let origins = self.origins.as_ref().map_or_else(|| AllowOrigin::from(Any), |listed| listed.clone().into());
        let own_headers = [header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION, request_id::REQUEST_ID_HEADER];
        let allowed_headers =
            own_headers.into_iter().chain(CLIENT_HEADERS).chain(self.configured_headers.iter().cloned());
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(AllowHeaders::list(allowed_headers))
            .expose_headers(EXPOSED_HEADERS)
            .max_age(std::time::Duration::from_hours(1))
    }

    /// Adds the headers that the middleware adds to a response that does not pass through it, which must not be of a
    /// preflight request.
    pub fn insert_headers(&self, response_headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        response_headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed_headers.clone());
        let allowed = match &self.origins {
            None => Some(HeaderValue::from_static("*")),
            Some(listed) => {
                response_headers.append(header::VARY, HeaderValue::from_static("origin"));
                origin.filter(|origin| listed.contains(origin)).cloned()
            }
        };
        if let Some(allowed) = allowed {
            response_headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        }
    }
}
