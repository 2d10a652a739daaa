//! Settings of what is done after: `[jobs]`.

use std::time::Duration;

use serde::Deserialize;

/// `[jobs]`
#[derive(Debug, Clone, Deserialize)]
pub struct JobsConfig {
    /// How often something is tried.
    pub attempts: u32,
    /// Before the second try.
    #[serde(deserialize_with = "super::seconds")]
    pub backoff: Duration,
    /// The longest.
    #[serde(deserialize_with = "super::seconds")]
    pub backoff_limit: Duration,
    /// How long work is a worker's that is heard of no more.
    #[serde(deserialize_with = "super::seconds")]
    pub lease: Duration,
    /// How often is looked for what nobody rang for.
    #[serde(deserialize_with = "super::seconds")]
    pub poll: Duration,
    /// How much of one queue one worker does at once.
    pub concurrency: usize,
    /// Queues for which it is another number: `mail=8`.
    pub queues: Vec<String>,
    /// How long what is done is kept.
    pub keep_days: u32,
    /// How long the audit log is kept.
    pub audit_keep_days: u32,
}

impl JobsConfig {
    /// How much of a queue one worker does at once.
    #[must_use]
    pub fn at_once(&self, queue: &str) -> usize {
        let said = self.queues.iter().filter_map(|line| parse(line)).find(|(name, _)| *name == queue);
        said.map_or(self.concurrency, |(_, number)| number)
    }

    /// What is well formed but cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
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
        match self.queues.iter().find(|line| parse(line).is_none()) {
            Some(line) => Err(format!("jobs.queues: `{line}` will not do; write NAME=NUMBER, from 1 to 1000")),
            None => Ok(()),
        }
    }
}

fn parse(line: &str) -> Option<(&str, usize)> {
    let (name, number) = line.split_once('=')?;
    let number = number.trim().parse().ok().filter(|number| (1..=1000).contains(number))?;
    Some((name.trim(), number)).filter(|(name, _)| !name.is_empty())
}
