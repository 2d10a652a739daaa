//! Reports log lines of the level ERROR to a service that speaks Sentry's protocol.

use std::time::Duration;

use secrecy::ExposeSecret;
use sentry::{
    ClientInitGuard, ClientOptions,
    integrations::tracing::{ErrorLayer, SpanLayer},
};
use tracing::Metadata;

use crate::infra::{Config, config::ShopMode};

/// Spans whose fields an error is reported with: the ids of the request and of the job.
const REPORTED_SPANS: [&str; 2] = ["request", "job"];
/// Maximum time to send the last errors when the process ends.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects to the service; `None` if there is none by the settings. Dropping the guard sends what is pending.
pub(super) fn start_error_tracking(config: &Config) -> Option<ClientInitGuard> {
    let dsn = config.telemetry.sentry_dsn.expose_secret();
    if dsn.is_empty() {
        return None;
    }
    let environment = match config.shop.mode {
        ShopMode::Development => "development",
        ShopMode::Production => "production",
    };
    // The settings are validated: the DSN is well-formed.
    let options = ClientOptions::new()
        .dsn(dsn)
        .release(env!("CARGO_PKG_VERSION"))
        .environment(environment)
        .max_breadcrumbs(0)
        .shutdown_timeout(END_TIMEOUT);
    Some(sentry::init(options))
}

/// Creates the layer that keeps the fields of spans for errors, and the layer that reports errors.
pub(super) fn create_layers() -> (SpanLayer, ErrorLayer) {
    (SpanLayer::new(), ErrorLayer::new().enable_span_attributes())
}

/// Returns whether a span has fields that errors are reported with.
pub(super) fn is_reported_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("savannah") && REPORTED_SPANS.contains(&metadata.name())
}
