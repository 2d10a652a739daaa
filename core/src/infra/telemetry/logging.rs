//! Structured logging: human-readable on a terminal, JSON otherwise; and the layers of the error file, of exported spans
//! and of reported errors.

use std::{io::IsTerminal, time::Duration};

use opentelemetry_sdk::trace::SdkTracerProvider;
use sentry::ClientInitGuard;
use tracing::{Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::DynFilterFn, fmt, layer::Filter, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::{
    error_file::{self, ErrorFileWriter},
    error_tracking, span_export,
};
use crate::infra::{
    Config,
    config::{LogConfig, LogFormat},
};

/// Maximum time to export the last spans when the process ends.
const EXPORT_END_TIMEOUT: Duration = Duration::from_secs(1);

/// Sends what is pending when it is dropped, at the end of the process.
pub struct LoggingGuard {
    span_provider: Option<SdkTracerProvider>,
    _error_tracking: Option<ClientInitGuard>,
}

impl std::fmt::Debug for LoggingGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggingGuard").finish_non_exhaustive()
    }
}

impl Drop for LoggingGuard {
    fn drop(&mut self) {
        if let Some(provider) = &self.span_provider
            && let Err(error) = provider.shutdown_with_timeout(EXPORT_END_TIMEOUT)
        {
            tracing::warn!(error = %error, "the last spans were not exported");
        }
    }
}

/// Initializes logging to standard error, so that standard output has only a command's output, and what else the
/// settings switch on. To be called in the runtime.
///
/// # Errors
/// Returns a message for the operator if a setting is invalid.
pub fn init_logging(config: &Config) -> Result<LoggingGuard, String> {
    let error_file = error_file::open_error_file(&config.log)?;
    let error_tracking = error_tracking::start_error_tracking(config);
    let span_provider = span_export::start_span_export(&config.telemetry)?;
    let has_more_layers = error_file.is_some() || error_tracking.is_some() || span_provider.is_some();
    let filter = parse_filter(&config.log)?;
    let outcome = if has_more_layers {
        let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> =
            vec![create_output_layer::<Registry>(&config.log).with_filter(filter).boxed()];
        layers.extend(error_file.map(|file| create_error_file_layer(file).boxed()));
        if error_tracking.is_some() {
            let (spans, errors) = error_tracking::create_layers();
            layers.push(spans.with_filter(filter_dynamically(error_tracking::is_reported_span)).boxed());
            layers.push(errors.with_filter(filter_dynamically(is_error_or_span)).boxed());
        }
        if let Some(provider) = &span_provider {
            let exported = filter_dynamically(span_export::is_exported);
            layers.push(span_export::create_layer::<Registry>(provider).with_filter(exported).boxed());
        }
        tracing_subscriber::registry().with(layers).try_init()
    } else {
        // One filter for everything, which costs less than one per layer.
        tracing_subscriber::registry().with(filter).with(create_output_layer(&config.log)).try_init()
    };
    outcome.map_err(|error| format!("logging cannot start: {error}"))?;
    Ok(LoggingGuard { span_provider, _error_tracking: error_tracking })
}

fn parse_filter(config: &LogConfig) -> Result<EnvFilter, String> {
    EnvFilter::try_new(&config.filter).map_err(|error| format!("RUST_LOG: `{}`: {error}", config.filter))
}

/// Creates the layer that writes to standard error.
fn create_output_layer<S>(config: &LogConfig) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    let is_terminal = std::io::stderr().is_terminal();
    let layer = fmt::layer::<S>().with_writer(std::io::stderr);
    if config.format == LogFormat::Json || (config.format == LogFormat::Auto && !is_terminal) {
        layer.json().flatten_event(true).boxed()
    } else {
        layer.with_ansi(is_terminal).with_target(false).boxed()
    }
}

/// Creates the layer of the error file, in JSON whatever the format of standard error is.
fn create_error_file_layer(file: ErrorFileWriter) -> impl Layer<Registry> + Send + Sync {
    let layer = fmt::layer::<Registry>().with_writer(file).json().flatten_event(true);
    layer.with_filter(filter_dynamically(is_error_or_span))
}

/// Creates a filter that is asked about each span and event. If all filters decide once and for all, a span can be missing
/// in a layer because of an event of another place in the code that no layer wanted.
fn filter_dynamically<S: 'static>(is_enabled: fn(&Metadata<'_>) -> bool) -> impl Filter<S> + Send + Sync {
    DynFilterFn::new(move |metadata, _| is_enabled(metadata))
}

/// Returns whether an event is an error, or a span has fields that errors are logged with.
fn is_error_or_span(metadata: &Metadata<'_>) -> bool {
    let limit = if metadata.is_span() { LevelFilter::INFO } else { LevelFilter::ERROR };
    *metadata.level() <= limit
}
