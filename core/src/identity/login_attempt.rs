//! Throttling of password attempts without an account lockout that third parties could trigger.
//!
//! Failures are counted per pair of account and client network. A network without failures for an account is never
//! blocked because of failures from other networks; for one with failures, the delay grows with the failures of the
//! account from all networks.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    base::Result,
    infra::{
        Db,
        config::ThrottleConfig,
        throttle::{self, ThrottleCounter, ThrottleSubject},
    },
};

/// Source of a login attempt.
#[derive(Debug, Clone, Copy)]
pub enum LoginSource<'a> {
    /// Client IP address; empty if unknown.
    IpAddress(&'a str),
    /// Device with a session of the account, by session ID.
    Session(i64),
}

/// Password attempt for an account.
#[derive(Debug)]
pub struct LoginAttempt {
    /// Counter of the pair of account and source.
    account_and_source: ThrottleSubject,
    /// Counters of the account from all sources, and of the address for all accounts. Both `None` for a known device:
    /// failures from other sources do not count against it.
    account: Option<ThrottleSubject>,
    ip_address: Option<ThrottleSubject>,
    threshold: u32,
    max_delay: TimeDelta,
}

impl LoginAttempt {
    /// Creates an attempt; `account` is the key that the account is looked up by.
    #[must_use]
    pub fn new(config: &ThrottleConfig, account: &str, source: LoginSource<'_>) -> Self {
        let account_and_source = |source_key: &str| {
            ThrottleSubject::new("login", &format!("{account} {source_key}"), config.failed_logins_per_account_and_ip)
        };
        let (account_and_source, account, address) = match source {
            LoginSource::Session(session) => (account_and_source(&format!("session {session}")), None, None),
            LoginSource::IpAddress(address) => {
                let network = throttle::client_network(address).unwrap_or_default();
                let unlimited = config.failed_logins_per_account.unlimited();
                (
                    account_and_source(&network),
                    Some(ThrottleSubject::new("login account", account, unlimited)),
                    ThrottleSubject::for_network("login address", address, config.failed_logins_per_ip),
                )
            }
        };
        let max_delay = TimeDelta::from_std(config.max_login_delay).unwrap_or(TimeDelta::MAX);
        Self {
            account_and_source,
            account,
            ip_address: address,
            threshold: config.failed_logins_per_account.count,
            max_delay,
        }
    }

    /// Counts the attempt as a failure before the password is checked, so that concurrent attempts cannot bypass the
    /// limit. Writes nothing if the attempt is rejected.
    ///
    /// # Errors
    /// Returns `RateLimited` if there were too many failures.
    pub async fn count_as_failure(&self, db: &Db) -> Result<()> {
        let increments: Vec<_> = std::iter::once(&self.account_and_source)
            .chain(self.shared_subjects())
            .map(|subject| (subject.clone(), 1))
            .collect();
        let now = db.now();
        if let Some(account) = &self.account {
            let counters = throttle::load_counters(db, &increments).await?;
            let counter = |target: &ThrottleSubject| {
                let counters =
                    counters.iter().find(|(subject, counter)| subject == target && counter.window_ends_at > now);
                counters.map(|(_, counter)| *counter)
            };
            if let (Some(pair), Some(account)) = (counter(&self.account_and_source), counter(account)) {
                self.check_delay(pair, account, now)?;
            }
        }
        throttle::count_subjects(db, increments).await?.into_result(now)
    }

    /// Rejects a source with failures until the delay has passed that follows from the failures of the account.
    fn check_delay(
        &self,
        source_counter: ThrottleCounter,
        account_counter: ThrottleCounter,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let excess = account_counter.count.saturating_sub(self.threshold);
        if source_counter.count == 0 || excess == 0 {
            return Ok(());
        }
        let delay = TimeDelta::seconds(1_i64 << (excess - 1).min(12)).min(self.max_delay);
        let retry_at = source_counter.updated_at + delay;
        if retry_at <= now { Ok(()) } else { Err(throttle::rate_limited_error(retry_at, now)) }
    }

    /// Clears the counted failure after a correct password.
    pub async fn clear_failure(&self, db: &Db) -> Result<()> {
        let shared_subjects: Vec<_> = self.shared_subjects().cloned().collect();
        throttle::undo_counts(db, &self.account_and_source, &shared_subjects).await
    }

    fn shared_subjects(&self) -> impl Iterator<Item = &ThrottleSubject> {
        self.account.iter().chain(&self.ip_address)
    }
}
