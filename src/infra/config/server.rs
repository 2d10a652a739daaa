//! How the shop is reached, and how long callers may take.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::{
    Mode, parsed,
    range::{DAY, seconds_within, within},
    seconds,
};

/// How long a stopping server in production is given by default to be taken out of a load balancer.
const PRODUCTION_DELAY: Duration = Duration::from_secs(5);

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
pub struct ServerConfig {
    /// Where to listen.
    #[serde(deserialize_with = "parsed")]
    pub bind: SocketAddr,
    /// How people reach it; empty: as the request says, in development.
    pub public_url: String,
    /// The most connections at once.
    pub max_connections: usize,
    /// For the head of a connection's first request.
    #[serde(deserialize_with = "seconds")]
    pub header_timeout: Duration,
    /// For the whole body of a request.
    #[serde(deserialize_with = "seconds")]
    pub body_timeout: Duration,
    /// For the next request of a connection.
    #[serde(deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    /// For a whole request.
    #[serde(deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// Between the moment a server says that it stops and the moment it does.
    pub shutdown_delay: ShutdownDelay,
    /// For what still runs at the end.
    #[serde(deserialize_with = "seconds")]
    pub shutdown_grace: Duration,
    /// Whose pages may call.
    pub cors_origins: Vec<String>,
    /// Which request headers their pages may send beside the usual ones.
    pub cors_headers: Vec<String>,
    /// Bytes.
    pub body_limit: usize,
    /// How many proxies stand before it.
    pub proxies: usize,
}

impl ServerConfig {
    /// What is well formed but cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        within("server.max_connections", self.max_connections, 1..=1_000_000)?;
        within("server.body_limit", self.body_limit, 1..=1_000_000_000)?;
        within("server.proxies", self.proxies, 0..=100)?;
        let times = [
            ("server.header_timeout", self.header_timeout),
            ("server.body_timeout", self.body_timeout),
            ("server.idle_timeout", self.idle_timeout),
            ("server.request_timeout", self.request_timeout),
        ];
        times.into_iter().try_for_each(|(key, time)| seconds_within(key, time, 1..=DAY))?;
        seconds_within("server.shutdown_delay", self.shutdown_delay.within(Mode::Development), 0..=DAY)?;
        seconds_within("server.shutdown_grace", self.shutdown_grace, 0..=DAY)?;
        for origin in &self.cors_origins {
            if origin != "*" && !origin.starts_with("http://") && !origin.starts_with("https://") {
                return Err(format!("server.cors_origins: `{origin}` is no origin; write https://HOST[:PORT]"));
            }
        }
        let is_header = |name: &&String| name.parse::<axum::http::HeaderName>().is_ok();
        match self.cors_headers.iter().find(|name| !is_header(name)) {
            Some(name) => Err(format!("server.cors_headers: `{name}` is no name of a header")),
            None => Ok(()),
        }
    }
}

/// How long a stopping server still takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownDelay {
    /// Some seconds in production, none in development.
    Auto,
    /// Decided.
    Set(Duration),
}

impl ShutdownDelay {
    /// How long it is in this mode.
    #[must_use]
    pub fn within(self, mode: Mode) -> Duration {
        match (self, mode) {
            (Self::Set(delay), _) => delay,
            (Self::Auto, Mode::Production) => PRODUCTION_DELAY,
            (Self::Auto, Mode::Development) => Duration::ZERO,
        }
    }
}

impl<'de> Deserialize<'de> for ShutdownDelay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let seconds = text.parse().map_err(|_| de::Error::custom(format!("`{text}` is neither auto nor seconds")))?;
        Ok(Self::Set(Duration::from_secs(seconds)))
    }
}
