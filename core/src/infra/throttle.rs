//! Rate limits of public actions, counted in Redis or in the database, so that they apply across all instances.
//!
//! Public actions are counted in Redis while it is available, otherwise in the database. Each store keeps what it has
//! counted, so that the limit of a window is at most doubled when Redis fails or returns. Failed logins are always counted
//! in the database: their counters are read and undone, and must not disappear when Redis is restarted or full.
//!
//! Counters are keyed by action and subject, whose hash is stored. A window begins with the first action and ends after
//! its duration. All subjects of an action are counted in one statement; if one of them has reached its limit, nothing
//! is written. A subject with a high limit is counted in portions, which an instance then consumes in memory; a
//! rejected subject is cached in memory until its window ends.

mod queries;
mod redis_counters;
mod subject;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{
    Db, RedisClient, RedisUnavailable,
    config::{RateLimit, ThrottleConfig},
    entity::throttle::{self, Column},
    telemetry,
};
use crate::base::{Error, Result};

pub use subject::{ThrottleSubject, client_network};

/// The maximum number of cached portions.
const PORTION_CACHE_SIZE: u64 = 20_000;

/// A stored counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThrottleCounter {
    /// The number of actions in the window.
    pub count: u32,
    /// The end of the window.
    pub window_ends_at: DateTime<Utc>,
    /// The time of the last counted action.
    pub updated_at: DateTime<Utc>,
}

/// A portion of a subject's limit that this instance may consume, or a cached rejection.
#[derive(Debug)]
struct ThrottlePortion {
    remaining: AtomicU32,
    is_rejected: bool,
    window_ends_at: DateTime<Utc>,
}

/// The rate limiter of one instance.
#[derive(Debug)]
pub struct Throttle {
    portions: Cache<(&'static str, String), Arc<ThrottlePortion>>,
    redis: RedisClient,
}

impl Throttle {
    /// Creates a rate limiter that counts in Redis while it is available.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { portions: Cache::new(PORTION_CACHE_SIZE), redis }
    }

    /// Counts an action for all its subjects. Statements: none with Redis; otherwise at most 1, and 2 for the first
    /// rejection.
    ///
    /// # Errors
    /// Returns `RateLimited` if a subject has reached its limit.
    pub async fn count_action(&self, db: &Db, subjects: &[ThrottleSubject]) -> Result<()> {
        let now = db.now();
        let mut uncached_subjects = Vec::with_capacity(subjects.len());
        for subject in subjects {
            match self
                .portions
                .get(&(subject.action, subject.subject_hash.clone()))
                .filter(|cached_portion| cached_portion.window_ends_at > now)
            {
                Some(portion) if portion.is_rejected => return Err(rate_limited_error(portion.window_ends_at, now)),
                Some(portion) if portion.try_consume() => {}
                _ => uncached_subjects.push((subject.clone(), subject.portion_size())),
            }
        }
        let outcome = self.count_in_store(db, uncached_subjects).await?;
        let is_rejected = matches!(outcome, ThrottleOutcome::Rejected(_));
        let (ThrottleOutcome::Allowed(counters) | ThrottleOutcome::Rejected(counters)) = &outcome;
        for (subject, counter) in counters {
            if is_rejected || subject.portion_size() > 1 {
                let remaining = AtomicU32::new(subject.portion_size() - 1);
                let portion = ThrottlePortion { remaining, is_rejected, window_ends_at: counter.window_ends_at };
                self.portions.insert((subject.action, subject.subject_hash.clone()), Arc::new(portion));
            }
        }
        outcome.into_result(now)
    }

    async fn count_in_store(&self, db: &Db, mut subjects: Vec<(ThrottleSubject, u32)>) -> Result<ThrottleOutcome> {
        if subjects.is_empty() || !self.redis.is_available() {
            return count_subjects(db, subjects).await;
        }
        sort_and_deduplicate(&mut subjects);
        match redis_counters::count_subjects(&self.redis, &subjects, db.now()).await {
            Ok(outcome) => Ok(outcome),
            Err(RedisUnavailable) => count_subjects(db, subjects).await,
        }
    }
}

impl Default for Throttle {
    /// Creates a rate limiter that counts in the database.
    fn default() -> Self {
        Self::new(RedisClient::default())
    }
}

/// The rate limits of one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestThrottle<'a> {
    /// The rate limiter of the instance.
    pub throttle: &'a Throttle,
    /// The database, not limited by the statement budget of the request.
    pub db: &'a Db,
    /// The limits.
    pub config: &'a ThrottleConfig,
    /// The client's IP address; empty if unknown.
    pub ip_address: &'a str,
}

impl RequestThrottle<'_> {
    /// Creates a subject for the client's network; `None` if its address is unknown.
    #[must_use]
    pub fn network_subject(&self, action: &'static str, limit: RateLimit) -> Option<ThrottleSubject> {
        ThrottleSubject::for_network(action, self.ip_address, limit)
    }

    /// Counts an action for a recipient and for the client's network, as [`Throttle::count_action`] does.
    ///
    /// # Errors
    /// Returns `RateLimited` if one of them has reached its limit.
    pub async fn count_for_recipient(
        &self,
        recipient: ThrottleSubject,
        network_action: &'static str,
        network_limit: RateLimit,
    ) -> Result<()> {
        let network = self.network_subject(network_action, network_limit);
        self.count_action(&std::iter::once(recipient).chain(network).collect::<Vec<_>>()).await
    }

    /// Counts an action of the request, as [`Throttle::count_action`] does.
    ///
    /// # Errors
    /// Returns `RateLimited` if a subject has reached its limit.
    pub async fn count_action(&self, subjects: &[ThrottleSubject]) -> Result<()> {
        self.throttle.count_action(self.db, subjects).await.inspect_err(|error| {
            if let (Error::RateLimited { .. }, Some(metrics)) = (error, telemetry::metrics()) {
                metrics.count_refusal("action");
            }
        })
    }
}

/// The result of counting an action.
#[derive(Debug)]
pub enum ThrottleOutcome {
    /// All subjects are within their limits; with their counters after the action.
    Allowed(Vec<(ThrottleSubject, ThrottleCounter)>),
    /// These subjects have reached their limits; nothing was counted.
    Rejected(Vec<(ThrottleSubject, ThrottleCounter)>),
}

impl ThrottleOutcome {
    /// Returns whether the action is allowed.
    ///
    /// # Errors
    /// Returns `RateLimited` if it was rejected.
    pub fn into_result(self, now: DateTime<Utc>) -> Result<()> {
        match self {
            Self::Allowed(_) => Ok(()),
            Self::Rejected(exhausted) => {
                let window_ends_at = exhausted.iter().map(|(_, counter)| counter.window_ends_at).max();
                Err(rate_limited_error(window_ends_at.unwrap_or(now), now))
            }
        }
    }
}

impl ThrottlePortion {
    fn try_consume(&self) -> bool {
        self.remaining.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |remaining| remaining.checked_sub(1)).is_ok()
    }
}

/// Returns the error of an action that is rejected until `window_ends_at`.
#[must_use]
pub fn rate_limited_error(window_ends_at: DateTime<Utc>, now: DateTime<Utc>) -> Error {
    Error::RateLimited { retry_after: u64::try_from((window_ends_at - now).num_seconds()).unwrap_or(0).max(1) }
}

/// Counts subjects, each by its increment: all of them, or none if one would exceed its limit.
pub async fn count_subjects(db: &Db, mut subjects: Vec<(ThrottleSubject, u32)>) -> Result<ThrottleOutcome> {
    if subjects.is_empty() {
        return Ok(ThrottleOutcome::Allowed(Vec::new()));
    }
    sort_and_deduplicate(&mut subjects);
    let counters = db.write(async |tx| {
        let counters = match_counters(queries::count_unless_exhausted(tx, &subjects).await?, &subjects);
        // Concurrent actions may have been counted meanwhile: a transaction that exceeds a limit is rolled back.
        let is_above_limit = counters.iter().any(|(subject, counter)| counter.count > subject.max_count);
        if is_above_limit { Err(rate_limited_error(tx.now(), tx.now())) } else { Ok(counters) }
    });
    match counters.await {
        Ok(counters) if !counters.is_empty() => return Ok(ThrottleOutcome::Allowed(counters)),
        Ok(_) | Err(Error::RateLimited { .. }) => {}
        Err(error) => return Err(error),
    }
    let now = db.now();
    let mut exhausted = load_counters(db, &subjects).await?;
    exhausted.retain(|(subject, counter)| {
        let increment = subjects
            .iter()
            .find(|(requested_subject, _)| requested_subject == subject)
            .map_or(1, |(_, increment)| *increment);
        counter.window_ends_at > now && counter.count.saturating_add(increment) > subject.max_count
    });
    Ok(ThrottleOutcome::Rejected(exhausted))
}

/// Sorts subjects to avoid deadlocks, and deduplicates them because an upsert may change a row only once.
fn sort_and_deduplicate(subjects: &mut Vec<(ThrottleSubject, u32)>) {
    subjects.sort_unstable_by(|(left, _), (right, _)| {
        (left.action, &left.subject_hash).cmp(&(right.action, &right.subject_hash))
    });
    subjects.dedup_by(|(left, _), (right, _)| (left.action, &left.subject_hash) == (right.action, &right.subject_hash));
}

/// Returns the existing counters of the subjects, including those whose window has ended. Statements: 1.
pub async fn load_counters(
    db: &impl ConnectionTrait,
    subjects: &[(ThrottleSubject, u32)],
) -> Result<Vec<(ThrottleSubject, ThrottleCounter)>> {
    let hashes = subjects.iter().map(|(subject, _)| subject.subject_hash.as_str());
    let rows = throttle::Entity::find().filter(Column::SubjectHash.is_in(hashes)).all(db).await?;
    Ok(match_counters(rows, subjects))
}

/// Returns the counters of the subjects with each counter's subject.
fn match_counters(
    rows: Vec<throttle::Model>,
    subjects: &[(ThrottleSubject, u32)],
) -> Vec<(ThrottleSubject, ThrottleCounter)> {
    let match_counter = |row: throttle::Model| {
        let is_of =
            |subject: &&ThrottleSubject| subject.action == row.action && subject.subject_hash == row.subject_hash;
        let subject = subjects.iter().map(|(subject, _)| subject).find(is_of)?.clone();
        let count = u32::try_from(row.count).unwrap_or(0);
        Some((subject, ThrottleCounter { count, window_ends_at: row.window_ends_at, updated_at: row.updated_at }))
    };
    rows.into_iter().filter_map(match_counter).collect()
}

/// Undoes the counts of a successful action: `reset_subject` is set to 0, the others are decremented.
pub async fn undo_counts(db: &Db, reset_subject: &ThrottleSubject, other_subjects: &[ThrottleSubject]) -> Result<()> {
    let mut all_subjects: Vec<_> = std::iter::once(reset_subject).chain(other_subjects).collect();
    // In the order of counting, to avoid deadlocks.
    all_subjects
        .sort_unstable_by(|left, right| (left.action, &left.subject_hash).cmp(&(right.action, &right.subject_hash)));
    db.write(async |tx| {
        for subject in all_subjects {
            let new_count = if subject == reset_subject {
                Expr::val(0)
            } else {
                sea_orm::ExprTrait::sub(Expr::col(Column::Count), 1)
            };
            throttle::Entity::update_many()
                .col_expr(Column::Count, new_count)
                .filter(Column::Count.gt(0))
                .filter(Column::Action.eq(subject.action))
                .filter(Column::SubjectHash.eq(subject.subject_hash.as_str()))
                .exec(tx)
                .await?;
        }
        Ok(())
    })
    .await
}

/// Deletes counters whose window has ended.
pub async fn delete_expired_counters(db: &Db) -> Result<u64> {
    db.write(async |tx| {
        let expired = Column::WindowEndsAt.lte(tx.now());
        Ok(throttle::Entity::delete_many().filter(expired).exec(tx).await?.rows_affected)
    })
    .await
}
