//! Settings of the HTTP server: `[server]`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de};

use super::{
    ShopMode,
    duration::{CENTURY, DAY, SECOND, deserialize_duration, duration_within, parse_duration},
    parsed::deserialize_parsed,
    range::within,
};

/// The default shutdown delay in production, in which a load balancer can remove the server.
const PRODUCTION_SHUTDOWN_DELAY: Duration = Duration::from_secs(5);

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
pub struct ServerConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "deserialize_parsed")]
    pub bind: SocketAddr,
    /// The public URL; if empty, it is taken from the request, in development only.
    pub public_url: String,
    /// The PEM file of the certificate chain; empty for plain HTTP.
    pub tls_certificate: PathBuf,
    /// The PEM file of the private key of the certificate.
    pub tls_private_key: PathBuf,
    /// How long browsers shall use HTTPS only; zero if they are not told so.
    #[serde(deserialize_with = "deserialize_duration")]
    pub hsts_max_age: Duration,
    /// The maximum number of connections.
    pub max_connections: usize,
    /// The timeout of the headers of a connection's first request.
    #[serde(deserialize_with = "deserialize_duration")]
    pub header_timeout: Duration,
    /// The timeout of a request body.
    #[serde(deserialize_with = "deserialize_duration")]
    pub body_timeout: Duration,
    /// The timeout of an idle connection.
    #[serde(deserialize_with = "deserialize_duration")]
    pub idle_timeout: Duration,
    /// The timeout of a request.
    #[serde(deserialize_with = "deserialize_duration")]
    pub request_timeout: Duration,
    /// The delay between reporting not ready and the start of the shutdown.
    pub shutdown_delay: ShutdownDelay,
    /// The timeout of running requests and jobs at shutdown.
    #[serde(deserialize_with = "deserialize_duration")]
    pub shutdown_timeout: Duration,
    /// The allowed CORS origins.
    pub cors_origins: Vec<String>,
    /// Additional request headers allowed by CORS.
    pub cors_headers: Vec<String>,
    /// The maximum size of a request body in bytes.
    pub max_body_bytes: usize,
    /// The number of trusted reverse proxies.
    pub trusted_proxies: usize,
}

impl ServerConfig {
    /// Returns the files of the certificate and of its private key; `None` for plain HTTP.
    #[must_use]
    pub fn tls_files(&self) -> Option<(&Path, &Path)> {
        let has_certificate = !self.tls_certificate.as_os_str().is_empty();
        has_certificate.then_some((self.tls_certificate.as_path(), self.tls_private_key.as_path()))
    }

    /// Returns the scheme of the URLs at which this server is reached without a proxy.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls_files().is_some() { "https" } else { "http" }
    }

    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        within("server.max_connections", self.max_connections, 1..=1_000_000)?;
        within("server.max_body_bytes", self.max_body_bytes, 1..=1_000_000_000)?;
        within("server.trusted_proxies", self.trusted_proxies, 0..=100)?;
        let times = [
            ("server.header_timeout", self.header_timeout),
            ("server.body_timeout", self.body_timeout),
            ("server.idle_timeout", self.idle_timeout),
            ("server.request_timeout", self.request_timeout),
        ];
        times.into_iter().try_for_each(|(key, time)| duration_within(key, time, SECOND..=DAY))?;
        let shutdown_delay = self.shutdown_delay.resolve(ShopMode::Development);
        duration_within("server.shutdown_delay", shutdown_delay, Duration::ZERO..=DAY)?;
        duration_within("server.shutdown_timeout", self.shutdown_timeout, Duration::ZERO..=DAY)?;
        self.validate_tls()?;
        for origin in &self.cors_origins {
            if origin != "*" && !origin.starts_with("http://") && !origin.starts_with("https://") {
                return Err(format!("server.cors_origins: `{origin}` is not an origin; write https://HOST[:PORT]"));
            }
        }
        let is_header = |name: &&String| name.parse::<axum::http::HeaderName>().is_ok();
        match self.cors_headers.iter().find(|name| !is_header(name)) {
            Some(name) => Err(format!("server.cors_headers: `{name}` is not the name of a header")),
            None => Ok(()),
        }
    }

    fn validate_tls(&self) -> Result<(), String> {
        duration_within("server.hsts_max_age", self.hsts_max_age, Duration::ZERO..=CENTURY)?;
        match [&self.tls_certificate, &self.tls_private_key].map(|file| !file.as_os_str().is_empty()) {
            [true, false] => {
                Err("server.tls_certificate needs server.tls_private_key, the key of the certificate".into())
            }
            [false, true] => {
                Err("server.tls_private_key needs server.tls_certificate, the certificate of the key".into())
            }
            [false, false] if !self.hsts_max_age.is_zero() => Err("server.hsts_max_age is sent over TLS only: set \
                server.tls_certificate, or let the proxy that ends TLS send the header"
                .into()),
            _ => Ok(()),
        }
    }
}

/// The time for which a stopping server still accepts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownDelay {
    /// Five seconds in production, none in development.
    Auto,
    /// A configured delay.
    Set(Duration),
}

impl ShutdownDelay {
    /// Returns the delay in a mode.
    #[must_use]
    pub fn resolve(self, mode: ShopMode) -> Duration {
        match (self, mode) {
            (Self::Set(delay), _) => delay,
            (Self::Auto, ShopMode::Production) => PRODUCTION_SHUTDOWN_DELAY,
            (Self::Auto, ShopMode::Development) => Duration::ZERO,
        }
    }
}

impl<'de> Deserialize<'de> for ShutdownDelay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let delay = parse_duration(&text);
        delay.map(Self::Set).map_err(|error| de::Error::custom(format!("`{text}` is invalid: auto, or {error}")))
    }
}
