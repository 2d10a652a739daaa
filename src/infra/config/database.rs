//! Settings of the database: `[database]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    duration::{DAY, SECOND, deserialize_duration, duration_within},
    range::within,
};

/// `[database]`
#[derive(Debug, Clone, Deserialize)]
pub struct DatabaseConfig {
    /// The database URL, which may contain a password.
    pub url: SecretString,
    /// The number of connections; 0: derived from the number of cores.
    pub max_connections: u32,
    /// The timeout of a statement.
    #[serde(deserialize_with = "deserialize_duration")]
    pub statement_timeout: Duration,
    /// The timeout of waiting for a lock.
    #[serde(deserialize_with = "deserialize_duration")]
    pub lock_timeout: Duration,
    /// The timeout of an idle transaction.
    #[serde(deserialize_with = "deserialize_duration")]
    pub idle_transaction_timeout: Duration,
    /// The timeout of waiting for a free connection.
    #[serde(deserialize_with = "deserialize_duration")]
    pub acquire_timeout: Duration,
}

impl DatabaseConfig {
    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        let url = self.url.expose_secret();
        if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("DATABASE_URL must begin with sqlite:// or postgres://".into());
        }
        within("database.max_connections", self.max_connections, 0..=10_000)?;
        duration_within("database.statement_timeout", self.statement_timeout, SECOND..=DAY)?;
        duration_within("database.lock_timeout", self.lock_timeout, SECOND..=DAY)?;
        duration_within("database.idle_transaction_timeout", self.idle_transaction_timeout, SECOND..=DAY)?;
        duration_within("database.acquire_timeout", self.acquire_timeout, SECOND..=DAY)
    }

    /// Returns the settings without timeouts, for commands and migrations.
    #[must_use]
    pub fn without_limits(&self) -> Self {
        let no_limit = Duration::ZERO;
        Self { statement_timeout: no_limit, lock_timeout: no_limit, idle_transaction_timeout: no_limit, ..self.clone() }
    }

    /// Returns the URL without scheme, credentials and query, for messages.
    #[must_use]
    pub fn location(&self) -> &str {
        let url = self.url.expose_secret();
        let without_scheme = url.split_once("://").map_or(url, |(_, without_scheme)| without_scheme);
        let without_user = without_scheme.rsplit_once('@').map_or(without_scheme, |(_, without_user)| without_user);
        without_user.split('?').next().unwrap_or(without_user)
    }

    /// Returns whether the database is SQLite.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.url.expose_secret().starts_with("sqlite:")
    }
}
