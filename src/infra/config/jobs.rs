//! Settings of background jobs: `[jobs]`.

use std::time::Duration;

use serde::Deserialize;

/// `[jobs]`
#[derive(Debug, Clone, Deserialize)]
pub struct JobsConfig {
    /// The default maximum number of attempts.
    pub attempts: u32,
    /// The delay before the second attempt.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub backoff: Duration,
    /// The maximum delay between attempts.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub backoff_limit: Duration,
    /// The lease of a claimed job: other workers take it over when the lease expires.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub lease: Duration,
    /// The polling interval for jobs without a notification.
    #[serde(deserialize_with = "super::deserialize_seconds")]
    pub poll: Duration,
    /// The number of concurrent jobs per queue and worker.
    pub concurrency: usize,
    /// Overrides of `concurrency` by queue: `mail=8`.
    pub queues: Vec<String>,
    /// Retention of finished jobs in days.
    pub keep_days: u32,
    /// Retention of the audit log in days.
    pub audit_keep_days: u32,
}

impl JobsConfig {
    /// Returns the number of concurrent jobs of a queue per worker.
    #[must_use]
    pub fn queue_concurrency(&self, queue: &str) -> usize {
        let overrides =
            self.queues.iter().filter_map(|line| parse_queue_concurrency(line)).find(|(name, _)| *name == queue);
        overrides.map_or(self.concurrency, |(_, concurrency)| concurrency)
    }

    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.attempts == 0 || self.attempts > 1000 {
            return Err("jobs.attempts must be from 1 to 1000".into());
        }
        if self.lease < Duration::from_secs(3) || self.lease > Duration::from_hours(24) {
            return Err("jobs.lease must be from 3 seconds to a day".into());
        }
        if self.backoff > self.backoff_limit || self.backoff_limit > Duration::from_hours(24 * 30) {
            return Err("jobs.backoff_limit must be from jobs.backoff to 30 days".into());
        }
        if self.poll.is_zero() || self.poll > Duration::from_hours(1) {
            return Err("jobs.poll must be from 1 second to an hour".into());
        }
        if self.concurrency == 0 || self.concurrency > 1000 {
            return Err("jobs.concurrency must be from 1 to 1000".into());
        }
        if self.keep_days == 0 || self.keep_days > 36500 {
            return Err("jobs.keep_days must be from 1 to 36500".into());
        }
        if self.audit_keep_days == 0 || self.audit_keep_days > 36500 {
            return Err("jobs.audit_keep_days must be from 1 to 36500".into());
        }
        match self.queues.iter().find(|line| parse_queue_concurrency(line).is_none()) {
            Some(line) => Err(format!("jobs.queues: `{line}` will not do; write NAME=NUMBER, from 1 to 1000")),
            None => Ok(()),
        }
    }
}

fn parse_queue_concurrency(line: &str) -> Option<(&str, usize)> {
    let (name, concurrency) = line.split_once('=')?;
    let concurrency = concurrency.trim().parse().ok().filter(|concurrency| (1..=1000).contains(concurrency))?;
    Some((name.trim(), concurrency)).filter(|(name, _)| !name.is_empty())
}
