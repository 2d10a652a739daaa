//! Structured logs: lines for people on a terminal, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::config::{LogConfig, LogFormat};

/// Starts logging to standard error, so that what a command prints stays its own.
///
/// # Errors
/// A sentence that names what is wrong with the filter.
pub fn start(config: &LogConfig) -> Result<(), String> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|why| format!("RUST_LOG: `{}`: {why}", config.filter))?;
    let terminal = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr);
    let json = config.format == LogFormat::Json || (config.format == LogFormat::Auto && !terminal);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines.with_ansi(terminal).with_target(false)).try_init()
    };
    started.map_err(|why| format!("logging cannot start: {why}"))
}
