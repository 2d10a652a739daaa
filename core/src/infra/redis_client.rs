//! The optional Redis client: shared caches and counters.
//!
//! Nothing depends on Redis being there. Each call is bounded by a timeout; after a failure all calls fail at once until
//! a background task has reached the server again, so that an unavailable server costs a request nothing. A caller
//! falls back to its own process or to the database. A command that timed out may have been executed.
//!
//! Keys have a prefix of the database, so that several shops can share a server.

mod connection;
mod script;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, FromRedisValue};

use self::connection::RedisServer;
use super::config::RedisConfig;

pub use script::RedisScript;

/// Redis is not configured, is unavailable, or rejected the command. It was logged; the caller continues without Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Redis is unavailable")]
pub struct RedisUnavailable;

/// The result of a command.
pub type RedisResult<T> = Result<T, RedisUnavailable>;

/// The Redis client of a process. Cheap to clone. Without a configured server each call returns [`RedisUnavailable`].
#[derive(Debug, Clone, Default)]
pub struct RedisClient {
    server: Option<Arc<RedisServer>>,
}

impl RedisClient {
    /// Creates the client; waits for the first connection attempt, which is bounded, and continues if it fails.
    ///
    /// # Errors
    /// Returns a message for the operator if the URL is invalid.
    pub async fn connect(config: &RedisConfig, database_id: &str) -> Result<Self, String> {
        if !config.is_configured() {
            return Ok(Self::default());
        }
        let server = RedisServer::connect(config, format!("{}:{database_id}:", config.key_prefix)).await?;
        Ok(Self { server: Some(server) })
    }

    /// Returns whether a server is configured.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.server.is_some()
    }

    /// Returns whether a server is configured and its last command succeeded.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.is_available())
    }

    /// Sends a PING; returns its duration.
    pub async fn ping(&self) -> RedisResult<Duration> {
        let started_at = Instant::now();
        let response: String = self.run(&redis::cmd("PING")).await?;
        if response == "PONG" { Ok(started_at.elapsed()) } else { Err(RedisUnavailable) }
    }

    /// Returns the value of a key; `None` if there is none.
    pub async fn get(&self, key: &str) -> RedisResult<Option<Vec<u8>>> {
        self.run(redis::cmd("GET").arg(self.prefixed(key)?)).await
    }

    /// Sets the value of a key, which expires after `ttl`.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Duration) -> RedisResult<()> {
        let mut command = redis::cmd("SET");
        command.arg(self.prefixed(key)?).arg(value).arg("PX").arg(to_millis(ttl));
        self.run(&command).await
    }

    /// Deletes keys; returns how many existed.
    pub async fn delete(&self, keys: &[&str]) -> RedisResult<u64> {
        if keys.is_empty() {
            return Ok(0);
        }
        // Unlike DEL it frees large values in another thread of the server.
        self.run(redis::cmd("UNLINK").arg(self.all_prefixed(keys)?)).await
    }

    /// Runs a script atomically. The keys are prefixed; the arguments are passed as they are.
    pub async fn run_script<T: FromRedisValue>(
        &self,
        script: &RedisScript,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> RedisResult<T> {
        let server = self.server.as_ref().ok_or(RedisUnavailable)?;
        let invocation = script.prepare(&self.all_prefixed(keys)?, arguments);
        server.run(async |connection| invocation.invoke_async(connection).await).await
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        let server = self.server.as_ref().ok_or(RedisUnavailable)?;
        server.run(async |connection| command.query_async(connection).await).await
    }

    fn prefixed(&self, name: &str) -> RedisResult<String> {
        self.server.as_ref().map(|server| server.prefixed(name)).ok_or(RedisUnavailable)
    }

    fn all_prefixed(&self, names: &[&str]) -> RedisResult<Vec<String>> {
        names.iter().map(|name| self.prefixed(name)).collect()
    }
}

/// Converts a duration to milliseconds, at least one, which Redis requires.
fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX.unsigned_abs() / 2)
}
