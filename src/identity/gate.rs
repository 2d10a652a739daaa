//! The gate: what came with a request, and who that shows. It asks neither the database nor the network for a token of
//! the shop's own: keys, revoked sessions and tokens seen before are in memory.

use std::{
    collections::HashSet,
    fmt,
    sync::atomic::{AtomicI64, Ordering},
};

use arc_swap::ArcSwap;
use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;

use super::{
    Caller, Role,
    key::{MAX_TOKEN_LIFE, Ring, SKEW},
    outside::Denied,
    session,
    token::{self, Verified},
};
use crate::{
    base::Result,
    infra::{Db, config::IdentityConfig},
};

/// Longer tokens are not looked at. Bytes.
pub const LONGEST: usize = 8 * 1024;
/// So many tokens are remembered.
const REMEMBERED: u64 = 20_000;

/// Why what was shown does not hold: for the log, never for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(String);

impl Refused {
    /// A reason.
    #[must_use]
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// A reason with its cause.
    #[must_use]
    pub fn of(what: &str, why: impl fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that tells who asks.
#[derive(Debug)]
pub struct Gate {
    issuer: String,
    life: TimeDelta,
    ring: ArcSwap<Ring>,
    /// The newest session that is known: there is none with a higher key.
    newest: AtomicI64,
    revoked: ArcSwap<HashSet<i64>>,
    seen: Cache<[u8; 32], Verified>,
}

impl Gate {
    /// Reads the keys and who was sent away lately.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn open(db: &Db, config: &IdentityConfig) -> Result<Self> {
        let life = TimeDelta::from_std(config.access_token_lifetime).unwrap_or(MAX_TOKEN_LIFE);
        let gate = Self {
            issuer: config.issuer.clone(),
            life,
            ring: ArcSwap::from_pointee(Ring::load(db, life).await?),
            newest: AtomicI64::new(session::newest(db).await?),
            revoked: ArcSwap::default(),
            seen: Cache::new(REMEMBERED),
        };
        gate.refresh(db).await?;
        Ok(gate)
    }

    /// Hears of sessions that were revoked and of keys that were made, whoever did it. By the clock, and at once by
    /// whoever revokes here.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn refresh(&self, db: &Db) -> Result<()> {
        let revoked = session::revoked_since(db, db.now() - self.life - SKEW).await?;
        self.revoked.store(std::sync::Arc::new(revoked.into_iter().collect()));
        let ring = Ring::load(db, self.life).await?;
        if !ring.names().eq(self.ring.load().names()) {
            // A token remembered may be of a key that is gone.
            self.seen.invalidate_all();
            self.ring.store(std::sync::Arc::new(ring));
        }
        Ok(())
    }

    /// Who a token shows that was seen before; `None` for any other.
    pub fn known(&self, digest: &[u8; 32], now: DateTime<Utc>) -> Option<Result<Caller, Refused>> {
        let verified = self.seen.get(digest)?;
        if verified.until <= now {
            self.seen.invalidate(digest);
        }
        Some(self.holds(verified, now))
    }

    /// Who a token shows that is seen for the first time. The database is asked only for one of a session that has begun
    /// since it was asked last.
    ///
    /// # Errors
    /// Why it does not hold, or that the database cannot say.
    pub async fn check(&self, db: &Db, token: &str, digest: [u8; 32]) -> Result<Caller, Denied> {
        let now = db.now();
        let verified = token::verify(&self.ring.load(), (&self.issuer, self.life), token, now)?;
        if let Caller::Person { session: Some(session), .. } = verified.caller
            && session > self.newest.load(Ordering::Relaxed)
        {
            let newest = session::newest(db).await.map_err(Denied::Fault)?;
            self.newest.fetch_max(newest, Ordering::Relaxed);
            if session > newest {
                return Err(Refused::new("there is no such session").into());
            }
        }
        self.seen.insert(digest, verified);
        Ok(self.holds(verified, now)?)
    }

    fn holds(&self, verified: Verified, now: DateTime<Utc>) -> Result<Caller, Refused> {
        if verified.until <= now {
            return Err(Refused::new(format!("it has ended at {}", verified.until)));
        }
        if let Caller::Person { session: Some(session), .. } = verified.caller
            && self.revoked.load().contains(&session)
        {
            return Err(Refused::new("its session was revoked"));
        }
        Ok(verified.caller)
    }

    /// A token for a session, and when it ends.
    ///
    /// # Errors
    /// When there is no key to sign with.
    pub fn issue(&self, account: i64, role: Role, session: i64, now: DateTime<Utc>) -> Result<(String, DateTime<Utc>)> {
        let token = token::issue(&self.ring.load(), &self.issuer, (account, role), session, (now, self.life))?;
        Ok((token, now + self.life))
    }

    /// The public keys, as a JSON Web Key Set.
    #[must_use]
    pub fn public_keys(&self) -> serde_json::Value {
        self.ring.load().public()
    }
}
