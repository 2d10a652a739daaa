//! Settings of logging: `[log]`.

use std::{str::FromStr, time::Duration};

use serde::Deserialize;

use super::{
    SampleRate,
    duration::{HOUR, SECOND, deserialize_duration, duration_within},
    parsed::deserialize_parsed,
    range::within,
};

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
pub struct LogConfig {
    /// The filter directives.
    pub filter: String,
    /// The output format.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub format: LogFormat,
    /// The part of the healthy requests that is logged.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub request_sample_rate: SampleRate,
    /// The duration from which a request is always logged.
    #[serde(deserialize_with = "deserialize_duration")]
    pub slow_request: Duration,
    /// The path of the error file; empty: none.
    pub error_file: String,
    /// The size at which a new error file begins, in bytes.
    pub error_file_max_bytes: usize,
    /// The number of error files.
    pub error_file_count: usize,
}

impl LogConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        duration_within("log.slow_request", self.slow_request, SECOND..=HOUR)?;
        within("log.error_file_max_bytes", self.error_file_max_bytes, 1024..=10_000_000_000)?;
        within("log.error_file_count", self.error_file_count, 1..=1000)
    }
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `Human` on a terminal, `Json` otherwise.
    Auto,
    /// Human-readable lines.
    Human,
    /// JSON lines.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("it must be auto, human or json"),
        }
    }
}
