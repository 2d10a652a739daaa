//! Settings of logging: `[log]`.

use std::str::FromStr;

use serde::Deserialize;

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
pub struct LogConfig {
    /// The filter directives.
    pub filter: String,
    /// The output format.
    #[serde(deserialize_with = "super::parsed::deserialize_parsed")]
    pub format: LogFormat,
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
