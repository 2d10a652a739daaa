//! Settings of traces and error tracking: `[telemetry]`.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{SampleRate, parsed::deserialize_parsed};

/// `[telemetry]`
#[derive(Debug, Clone, Deserialize)]
pub struct TelemetryConfig {
    /// Base URL of the OpenTelemetry collector; empty: none.
    pub otlp_endpoint: String,
    /// Name of the service in traces.
    pub service_name: String,
    /// Part of the requests without a trace context that is traced.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub trace_sample_rate: SampleRate,
    /// DSN of error tracking; empty: none.
    pub sentry_dsn: SecretString,
}

impl TelemetryConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        let endpoint = &self.otlp_endpoint;
        let is_url = ["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme))
            && endpoint.parse::<axum::http::Uri>().is_ok();
        if !endpoint.is_empty() && !is_url {
            return Err(format!("telemetry.otlp_endpoint: `{endpoint}` is not a URL; write http://HOST:4318"));
        }
        if self.service_name.is_empty() {
            return Err("telemetry.service_name must not be empty".to_owned());
        }
        let dsn = self.sentry_dsn.expose_secret();
        if !dsn.is_empty() && dsn.parse::<sentry::types::Dsn>().is_err() {
            // Without the value, which is a secret.
            return Err("telemetry.sentry_dsn is not a DSN; write https://KEY@HOST/PROJECT".to_owned());
        }
        Ok(())
    }

    /// Returns the URL to which traces are sent.
    #[must_use]
    pub fn traces_url(&self) -> String {
        format!("{}/v1/traces", self.otlp_endpoint.trim_end_matches('/'))
    }
}
