//! Settings of background jobs: `[jobs]`.

use std::time::Duration;

use serde::Deserialize;

use super::{
    duration::{CENTURY, DAY, HOUR, SECOND, deserialize_duration, duration_within},
    range::within,
};

/// The consumer of the events of orders whose figures are kept.
pub const ORDER_FIGURES_CONSUMER: &str = "analytics.figures";

/// `[jobs]`
#[derive(Debug, Clone, Deserialize)]
pub struct JobsConfig {
    /// The default maximum number of attempts.
    pub max_attempts: u32,
    /// The delay before the second attempt.
    #[serde(deserialize_with = "deserialize_duration")]
    pub backoff: Duration,
    /// The maximum delay between attempts.
    #[serde(deserialize_with = "deserialize_duration")]
    pub max_backoff: Duration,
    /// The lease of a claimed job: other workers take it over when the lease expires.
    #[serde(deserialize_with = "deserialize_duration")]
    pub lease_duration: Duration,
    /// The polling interval for jobs without a notification.
    #[serde(deserialize_with = "deserialize_duration")]
    pub poll_interval: Duration,
    /// The number of concurrent jobs per queue and worker.
    pub concurrency: usize,
    /// Overrides of `concurrency` by queue: `notifications=8`.
    pub queue_concurrency: Vec<String>,
    /// Retention of finished jobs.
    #[serde(deserialize_with = "deserialize_duration")]
    pub retention: Duration,
    /// Retention of the audit log.
    #[serde(deserialize_with = "deserialize_duration")]
    pub audit_log_retention: Duration,
}

impl JobsConfig {
    /// Returns the override of the number of concurrent jobs of a queue, if there is one.
    pub(super) fn find_queue_concurrency(&self, queue: &str) -> Option<usize> {
        let mut overrides = self.queue_concurrency.iter().filter_map(|line| parse_queue_concurrency(line));
        overrides.find(|(name, _)| *name == queue).map(|(_, concurrency)| concurrency)
    }

    /// Validates the settings.
    pub(super) fn validate(&self) -> Result<(), String> {
        within("jobs.max_attempts", self.max_attempts, 1..=1000)?;
        duration_within("jobs.lease_duration", self.lease_duration, SECOND * 3..=DAY)?;
        if self.backoff > self.max_backoff {
            return Err("jobs.max_backoff must not be less than jobs.backoff".into());
        }
        duration_within("jobs.max_backoff", self.max_backoff, Duration::ZERO..=DAY * 30)?;
        duration_within("jobs.poll_interval", self.poll_interval, SECOND..=HOUR)?;
        within("jobs.concurrency", self.concurrency, 1..=1000)?;
        duration_within("jobs.retention", self.retention, DAY..=CENTURY)?;
        duration_within("jobs.audit_log_retention", self.audit_log_retention, DAY..=CENTURY)?;
        match self.queue_concurrency.iter().find(|line| parse_queue_concurrency(line).is_none()) {
            Some(line) => {
                Err(format!("jobs.queue_concurrency: `{line}` is invalid; write NAME=NUMBER, from 1 to 1000"))
            }
            None => Ok(()),
        }
    }
}

fn parse_queue_concurrency(line: &str) -> Option<(&str, usize)> {
    let (name, concurrency) = line.split_once('=')?;
    let concurrency = concurrency.trim().parse().ok().filter(|concurrency| (1..=1000).contains(concurrency))?;
    Some((name.trim(), concurrency)).filter(|(name, _)| !name.is_empty())
}
