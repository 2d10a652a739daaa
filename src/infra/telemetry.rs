//! Structured logging: human-readable on a terminal, JSON otherwise.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::config::{LogConfig, LogFormat};

/// Initializes logging to standard error, so that standard output has only a command's output.
///
/// # Errors
/// Returns a message for the operator if the filter is invalid.
pub fn init_logging(config: &LogConfig) -> Result<(), String> {
    let filter =
        EnvFilter::try_new(&config.filter).map_err(|error| format!("RUST_LOG: `{}`: {error}", config.filter))?;
    let is_terminal = std::io::stderr().is_terminal();
    let format_layer = fmt::layer().with_writer(std::io::stderr);
    let is_json = config.format == LogFormat::Json || (config.format == LogFormat::Auto && !is_terminal);
    let registry = tracing_subscriber::registry().with(filter);
    let outcome = if is_json {
        registry.with(format_layer.json().flatten_event(true)).try_init()
    } else {
        registry.with(format_layer.with_ansi(is_terminal).with_target(false)).try_init()
    };
    outcome.map_err(|error| format!("logging cannot start: {error}"))
}
