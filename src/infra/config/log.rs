//! Settings of what is written down: `[log]`.

use std::str::FromStr;

use serde::Deserialize;

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
pub struct LogConfig {
    /// Which lines.
    pub filter: String,
    /// In what shape.
    #[serde(deserialize_with = "super::parsed")]
    pub format: LogFormat,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// For machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err("it is auto, human or json"),
        }
    }
}
