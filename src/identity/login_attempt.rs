//! Attempts at a password: how often wrong ones may be tried, without a way for strangers to lock an owner out.
//!
//! Wrong passwords are counted for the pair of account and network address. An address that has not failed at an account
//! is never kept from it, whatever others do; one that has failed waits longer the more often the account was tried from
//! anywhere.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    base::Result,
    infra::{
        Db,
        config::ThrottleConfig,
        throttle::{self, Counter, ThrottleSubject},
    },
};

/// Where an attempt comes from.
#[derive(Debug, Clone, Copy)]
pub enum LoginSource<'a> {
    /// A client address; may be empty where it is not known.
    Address(&'a str),
    /// A device that has signed in to the account before, by its session.
    Session(i64),
}

/// An attempt at the password of an account.
#[derive(Debug)]
pub struct LoginAttempt {
    /// The account from this source.
    pair: ThrottleSubject,
    /// The account from anywhere, and the address for any account. Both absent for a device that is known: what others
    /// do is not counted against it.
    account: Option<ThrottleSubject>,
    address: Option<ThrottleSubject>,
    threshold: u32,
    max_delay: TimeDelta,
}

impl LoginAttempt {
    /// An attempt at an account, known by whatever it is looked up by.
    #[must_use]
    pub fn new(config: &ThrottleConfig, account: &str, source: LoginSource<'_>) -> Self {
        let pair = |from: &str| ThrottleSubject::new("login", &format!("{account} {from}"), config.failed_logins);
        let (pair, account, address) = match source {
            LoginSource::Session(session) => (pair(&format!("session {session}")), None, None),
            LoginSource::Address(address) => {
                let network = throttle::network_of(address).unwrap_or_default();
                let unlimited = config.failed_logins_per_account.unlimited();
                (
                    pair(&network),
                    Some(ThrottleSubject::new("login account", account, unlimited)),
                    ThrottleSubject::network("login address", address, config.failed_logins_per_address),
                )
            }
        };
        let max_delay = TimeDelta::from_std(config.max_login_delay).unwrap_or(TimeDelta::MAX);
        Self { pair, account, address, threshold: config.failed_logins_per_account.count, max_delay }
    }

    /// Counts it as a failure before it is made, so that many at once are no way around. Writes nothing when it is
    /// refused.
    ///
    /// # Errors
    /// When there were too many, or the database refuses.
    pub async fn begin(&self, db: &Db) -> Result<()> {
        let all: Vec<_> = std::iter::once(&self.pair).chain(self.shared()).map(|one| (one.clone(), 1)).collect();
        let now = db.now();
        if let Some(account) = &self.account {
            let found = throttle::read(db, &all).await?;
            let counter = |of: &ThrottleSubject| {
                let found = found.iter().find(|(subject, counter)| subject == of && counter.until > now);
                found.map(|(_, counter)| *counter)
            };
            if let (Some(pair), Some(account)) = (counter(&self.pair), counter(account)) {
                self.wait(pair, account, now)?;
            }
        }
        throttle::count(db, all).await?.into_result(now)
    }

    /// Refuses an address that has failed, until the delay has passed that the account's failures have come to.
    fn wait(&self, pair: Counter, account: Counter, now: DateTime<Utc>) -> Result<()> {
        let over = account.count.saturating_sub(self.threshold);
        if pair.count == 0 || over == 0 {
            return Ok(());
        }
        let delay = TimeDelta::seconds(1_i64 << (over - 1).min(12)).min(self.max_delay);
        let until = pair.updated_at + delay;
        if until <= now { Ok(()) } else { Err(throttle::limited(until, now)) }
    }

    /// Takes it back: the password was right.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn succeed(&self, db: &Db) -> Result<()> {
        let shared: Vec<_> = self.shared().cloned().collect();
        throttle::give_back(db, &self.pair, &shared).await
    }

    fn shared(&self) -> impl Iterator<Item = &ThrottleSubject> {
        self.account.iter().chain(&self.address)
    }
}
