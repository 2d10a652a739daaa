//! Throttling: how often somebody may do what anybody may do, counted in the database, so that many instances allow no
//! more than one.
//!
//! Counters are keyed by the kind of action and its subject, whose digest is stored. A window begins with the first
//! action and ends by itself. All subjects of one action are counted in one statement, and when one of them has reached
//! its limit, nothing is written. A subject with a high limit is counted in portions that an instance then spends in
//! memory; a subject that was refused is remembered in memory until its window ends.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use moka::sync::Cache;
use sea_orm::{ConnectionTrait, QueryResult};

use super::{Db, Sql, Tx, config::Limit};
use crate::base::{Error, Result};

/// The most portions that are remembered.
const REMEMBERED: u64 = 20_000;
/// A portion is this part of a limit, ...
const PORTIONS: u32 = 50;
/// ... and at most this many.
const MAX_PORTION: u32 = 50;

/// A subject of an action, and how often it may be one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ThrottleSubject {
    action: &'static str,
    digest: String,
    count: u32,
    window: TimeDelta,
}

impl ThrottleSubject {
    /// A subject, of which only the digest is kept.
    #[must_use]
    pub fn new(action: &'static str, subject: &str, limit: Limit) -> Self {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, subject.as_bytes()));
        Self { action, digest, count: limit.count, window: TimeDelta::from_std(limit.window).unwrap_or(TimeDelta::MAX) }
    }

    /// The network of a client address; `None` when the address is not known.
    #[must_use]
    pub fn network(action: &'static str, address: &str, limit: Limit) -> Option<Self> {
        network_of(address).map(|network| Self::new(action, &network, limit))
    }

    /// How many are counted at once.
    fn portion(&self) -> u32 {
        (self.count / PORTIONS).clamp(1, MAX_PORTION)
    }
}

/// What a client address is counted as: an IPv4 address as a whole, an IPv6 address by its /64, which one customer of a
/// provider has.
#[must_use]
pub fn network_of(address: &str) -> Option<String> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
        }
    }
}

/// A counter as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// How often, within the window.
    pub count: u32,
    /// When the window ends.
    pub until: DateTime<Utc>,
    /// When it was counted last.
    pub updated_at: DateTime<Utc>,
}

/// A portion of a subject's limit, to be spent by this instance; refused when it was never any.
#[derive(Debug)]
struct Portion {
    left: AtomicU32,
    refused: bool,
    until: DateTime<Utc>,
}

/// Counts actions, on behalf of one instance.
#[derive(Debug)]
pub struct Throttle {
    portions: Cache<(&'static str, String), Arc<Portion>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { portions: Cache::new(REMEMBERED) }
    }
}

impl Throttle {
    /// Counts an action by all its subjects. At most one statement, two when it is refused for the first time.
    ///
    /// # Errors
    /// When one of them has reached its limit, or the database refuses.
    pub async fn take(&self, db: &Db, subjects: &[ThrottleSubject]) -> Result<()> {
        let now = db.now();
        let mut open = Vec::with_capacity(subjects.len());
        for subject in subjects {
            match self.portions.get(&(subject.action, subject.digest.clone())).filter(|one| one.until > now) {
                Some(portion) if portion.refused => return Err(limited(portion.until, now)),
                Some(portion) if portion.spend() => {}
                _ => open.push((subject.clone(), subject.portion())),
            }
        }
        let outcome = count(db, open).await?;
        let refused = matches!(outcome, CountOutcome::Refused(_));
        let (CountOutcome::Counted(counters) | CountOutcome::Refused(counters)) = &outcome;
        for (subject, counter) in counters {
            if refused || subject.portion() > 1 {
                let left = AtomicU32::new(subject.portion() - 1);
                let portion = Portion { left, refused, until: counter.until };
                self.portions.insert((subject.action, subject.digest.clone()), Arc::new(portion));
            }
        }
        outcome.into_result(now)
    }
}

/// What came of counting an action.
#[derive(Debug)]
pub enum CountOutcome {
    /// All its subjects were within their limits: their counters, the action among them.
    Counted(Vec<(ThrottleSubject, Counter)>),
    /// These had reached their limits, and nothing was counted.
    Refused(Vec<(ThrottleSubject, Counter)>),
}

impl CountOutcome {
    /// Whether the action may go on.
    ///
    /// # Errors
    /// When it was refused.
    pub fn into_result(self, now: DateTime<Utc>) -> Result<()> {
        match self {
            Self::Counted(_) => Ok(()),
            Self::Refused(full) => {
                let until = full.iter().map(|(_, counter)| counter.until).max();
                Err(limited(until.unwrap_or(now), now))
            }
        }
    }
}

impl Portion {
    fn spend(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// The refusal of an action until a moment.
#[must_use]
pub fn limited(until: DateTime<Utc>, now: DateTime<Utc>) -> Error {
    Error::RateLimited { retry_after: u64::try_from((until - now).num_seconds()).unwrap_or(0).max(1) }
}

/// Counts subjects by so many each; all of them, or none where one would be above its limit.
///
/// # Errors
/// When the database refuses.
pub async fn count(db: &Db, mut subjects: Vec<(ThrottleSubject, u32)>) -> Result<CountOutcome> {
    if subjects.is_empty() {
        return Ok(CountOutcome::Counted(Vec::new()));
    }
    // In one order, so that two of them never wait for each other; each once, because a statement changes a row once.
    subjects.sort_unstable_by(|(a, _), (b, _)| (a.action, &a.digest).cmp(&(b.action, &b.digest)));
    subjects.dedup_by(|(a, _), (b, _)| (a.action, &a.digest) == (b.action, &b.digest));
    let counted = db.write(async |tx| {
        let counted = matched(&tx.query_all_raw(upsert(tx, &subjects).statement()).await?, &subjects)?;
        // Others were counted at the same moment: what is above a limit is undone.
        let above = counted.iter().any(|(subject, counter)| counter.count > subject.count);
        if above { Err(limited(tx.now(), tx.now())) } else { Ok(counted) }
    });
    match counted.await {
        Ok(counted) if !counted.is_empty() => return Ok(CountOutcome::Counted(counted)),
        Ok(_) | Err(Error::RateLimited { .. }) => {}
        Err(why) => return Err(why),
    }
    let now = db.now();
    let mut full = read(db, &subjects).await?;
    full.retain(|(subject, counter)| {
        let amount = subjects.iter().find(|(one, _)| one == subject).map_or(1, |(_, amount)| *amount);
        counter.until > now && counter.count.saturating_add(amount) > subject.count
    });
    Ok(CountOutcome::Refused(full))
}

fn upsert(tx: &Tx, subjects: &[(ThrottleSubject, u32)]) -> Sql {
    let columns =
        [("action", "text"), ("subject", "text"), ("count", "int"), ("most", "int"), ("until", "timestamptz")];
    let row = |(subject, amount): &(ThrottleSubject, u32)| {
        let until = tx.now().checked_add_signed(subject.window).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let until = until.to_rfc3339_opts(SecondsFormat::AutoSi, false);
        serde_json::json!([subject.action, subject.digest, amount, subject.count, until])
    };
    let mut sql = tx.sql();
    sql.with(&columns, subjects.iter().map(row).collect());
    sql.push("INSERT INTO throttle (action, subject, count, until, created_at, updated_at) ");
    sql.push("SELECT action, subject, count, until, ").bind(tx.now()).push(", ").bind(tx.now());
    sql.push(" FROM given WHERE NOT EXISTS (SELECT 1 FROM throttle AS t JOIN given AS g ");
    sql.push("ON t.action = g.action AND t.subject = g.subject WHERE t.count + g.count > g.most AND t.until > ");
    sql.bind(tx.now()).push(") ON CONFLICT (action, subject) DO UPDATE SET updated_at = excluded.updated_at, ");
    sql.push("count = excluded.count + CASE WHEN throttle.until <= ").bind(tx.now());
    sql.push(" THEN 0 ELSE throttle.count END, until = CASE WHEN throttle.until <= ").bind(tx.now());
    sql.push(" THEN excluded.until ELSE throttle.until END RETURNING action, subject, count, until, updated_at");
    sql
}

/// The counters of subjects, as far as they have any; also those whose window has ended. One statement.
///
/// # Errors
/// When the database cannot be asked.
pub async fn read(
    db: &impl ConnectionTrait,
    subjects: &[(ThrottleSubject, u32)],
) -> Result<Vec<(ThrottleSubject, Counter)>> {
    let mut sql = Sql::new(db.get_database_backend());
    sql.push("SELECT action, subject, count, until, updated_at FROM throttle WHERE ");
    sql.any_text("subject", subjects.iter().map(|(subject, _)| subject.digest.as_str()));
    matched(&db.query_all_raw(sql.statement()).await?, subjects)
}

fn matched(rows: &[QueryResult], subjects: &[(ThrottleSubject, u32)]) -> Result<Vec<(ThrottleSubject, Counter)>> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let (action, digest): (String, String) = (row.try_get_by(0)?, row.try_get_by(1)?);
        let mut known = subjects.iter().map(|(subject, _)| subject);
        let Some(subject) = known.find(|one| one.action == action && one.digest == digest) else { continue };
        let count = u32::try_from(row.try_get_by::<i32, _>(2)?).unwrap_or(0);
        all.push((subject.clone(), Counter { count, until: row.try_get_by(3)?, updated_at: row.try_get_by(4)? }));
    }
    Ok(all)
}

/// Takes back what was counted for an action that turned out well: `reset` starts anew, the others lose one each.
///
/// # Errors
/// When the database refuses.
pub async fn give_back(db: &Db, reset: &ThrottleSubject, others: &[ThrottleSubject]) -> Result<()> {
    let mut all: Vec<_> = std::iter::once(reset).chain(others).collect();
    // In the order in which they are counted.
    all.sort_unstable_by(|a, b| (a.action, &a.digest).cmp(&(b.action, &b.digest)));
    db.write(async |tx| {
        for subject in all {
            let less = if subject == reset { "0" } else { "count - 1" };
            let mut sql = tx.sql();
            sql.push(&format!("UPDATE throttle SET count = {less} WHERE count > 0 AND action = ")).bind(subject.action);
            sql.push(" AND subject = ").bind(subject.digest.as_str());
            tx.execute_raw(sql.statement()).await?;
        }
        Ok(())
    })
    .await
}

/// Removes counters whose window has ended.
///
/// # Errors
/// When the database refuses.
pub async fn prune(db: &Db) -> Result<u64> {
    db.write(async |tx| {
        let mut sql = tx.sql();
        sql.push("DELETE FROM throttle WHERE until <= ").bind(tx.now());
        Ok(tx.execute_raw(sql.statement()).await?.rows_affected())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_are_one_subject() {
        let same = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::7", "2001:0db8:0001:0002:0:0:0:9"];
        assert!(same.iter().all(|one| network_of(one).as_deref() == Some("2001:db8:1:2::/64")));
        assert_ne!(network_of("2001:db8:1:3::1"), network_of(same[0]));
        assert_eq!(network_of("::ffff:192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_ne!(network_of("192.0.2.7"), network_of("192.0.2.8"));
        assert_eq!(network_of(""), None);
    }
}
