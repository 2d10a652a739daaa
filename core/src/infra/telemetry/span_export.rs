//! Export of spans to an OpenTelemetry collector, by OTLP over HTTP.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use sea_orm::prelude::async_trait;
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use crate::infra::{config::TelemetryConfig, http_client};

/// Target of the spans that exist for traces only.
pub const TRACE_TARGET: &str = "savannah::trace";
/// Maximum duration of a request to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

static IS_ENABLED: AtomicBool = AtomicBool::new(false);

/// Returns whether spans are exported.
#[must_use]
pub fn is_tracing_enabled() -> bool {
    IS_ENABLED.load(Ordering::Relaxed)
}

/// Sends spans with the HTTP client of the process, whose runtime the exporting thread does not have.
#[derive(Debug)]
struct CollectorClient {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move {
            let response = client.execute(request.try_into()?).await?;
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = response.status();
            answer.headers_mut().clone_from(response.headers());
            *answer.body_mut() = response.bytes().await?;
            Ok::<_, reqwest::Error>(answer)
        };
        Ok(self.runtime.spawn(sending).await??)
    }
}

/// Starts exporting; `None` if there is no collector by the settings. To be called in the runtime.
///
/// # Errors
/// Returns a message for the operator.
pub(super) fn start_span_export(config: &TelemetryConfig) -> Result<Option<SdkTracerProvider>, String> {
    if config.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    let client = CollectorClient { client: http_client::build_collector_client()?, runtime: Handle::current() };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(config.traces_url())
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| format!("telemetry.otlp_endpoint: {error}"))?;
    let resource = Resource::builder_empty()
        .with_service_name(config.service_name.clone())
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let new_traces = Sampler::TraceIdRatioBased(config.trace_sample_rate.to_ratio());
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(new_traces)))
        .with_resource(resource)
        .build();
    IS_ENABLED.store(true, Ordering::Relaxed);
    Ok(Some(provider))
}

/// Creates the layer that passes spans to the exporter.
pub(super) fn create_layer<S>(provider: &SdkTracerProvider) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("savannah"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
}

/// Returns whether a span is exported: the spans of requests and jobs, and those that exist for traces only.
pub(super) fn is_exported(metadata: &Metadata<'_>) -> bool {
    let is_ours = metadata.target().starts_with("savannah");
    metadata.is_span() && is_ours && (*metadata.level() <= tracing::Level::INFO || metadata.target() == TRACE_TARGET)
}
