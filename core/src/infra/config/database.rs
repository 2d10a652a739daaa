//! Settings of the database: `[database]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    duration::{DAY, HOUR, SECOND, deserialize_duration, duration_within},
    range::within,
};

/// `[database]`
#[derive(Debug, Clone, Deserialize)]
pub struct DatabaseConfig {
    /// The database URL, which may contain a password.
    pub url: SecretString,
    /// The URL of a read replica, which may contain a password; empty: none.
    pub replica_url: SecretString,
    /// The number of connections that each pool keeps open.
    pub min_connections: u32,
    /// The number of read connections; 0: derived from the number of cores.
    pub max_connections: u32,
    /// The number of write connections; 0: two thirds of the read connections.
    pub max_write_connections: u32,
    /// The number of connections to the replica; 0: as many as read connections.
    pub replica_max_connections: u32,
    /// The age of the replica's data from which it is not used.
    #[serde(deserialize_with = "deserialize_duration")]
    pub replica_max_lag: Duration,
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
        self.validate_replica()?;
        within("database.max_connections", self.max_connections, 0..=10_000)?;
        within("database.max_write_connections", self.max_write_connections, 0..=10_000)?;
        within("database.replica_max_connections", self.replica_max_connections, 0..=10_000)?;
        let limits = [self.max_connections, self.max_write_connections, self.replica_max_connections];
        let least_limit = limits.into_iter().filter(|limit| *limit > 0).min().unwrap_or(10_000);
        within("database.min_connections", self.min_connections, 0..=least_limit)?;
        duration_within("database.replica_max_lag", self.replica_max_lag, SECOND..=HOUR)?;
        duration_within("database.statement_timeout", self.statement_timeout, SECOND..=DAY)?;
        duration_within("database.lock_timeout", self.lock_timeout, SECOND..=DAY)?;
        duration_within("database.idle_transaction_timeout", self.idle_transaction_timeout, SECOND..=DAY)?;
        duration_within("database.acquire_timeout", self.acquire_timeout, SECOND..=DAY)
    }

    fn validate_replica(&self) -> Result<(), String> {
        if !self.has_replica() {
            return Ok(());
        }
        let url = self.replica_url.expose_secret();
        if !["postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("DATABASE_REPLICA_URL must begin with postgres://".into());
        }
        if self.is_sqlite() {
            return Err(
                "DATABASE_REPLICA_URL requires PostgreSQL: DATABASE_URL is SQLite, which has no replicas".into()
            );
        }
        if url == self.url.expose_secret() {
            return Err("DATABASE_REPLICA_URL must be another server than DATABASE_URL".into());
        }
        Ok(())
    }

    /// Returns whether there is a read replica.
    #[must_use]
    pub fn has_replica(&self) -> bool {
        !self.replica_url.expose_secret().is_empty()
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
        location_of(&self.url)
    }

    /// Returns the URL of the replica without scheme, credentials and query, for messages.
    #[must_use]
    pub fn replica_location(&self) -> &str {
        location_of(&self.replica_url)
    }

    /// Returns whether the database is SQLite.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.url.expose_secret().starts_with("sqlite:")
    }
}

fn location_of(url: &SecretString) -> &str {
    let url = url.expose_secret();
    let without_scheme = url.split_once("://").map_or(url, |(_, without_scheme)| without_scheme);
    let without_user = without_scheme.rsplit_once('@').map_or(without_scheme, |(_, without_user)| without_user);
    without_user.split('?').next().unwrap_or(without_user)
}
