//! Whoever comes with a token: one of the shop's own, of another issuer, or a machine's key.

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;

use super::{
    Caller, Gate, Outside, api_key,
    gate::{LONGEST, Refused},
    outside::Denied,
    secret,
    token::Verified,
};
use crate::infra::Db;

/// So many tokens that are not the shop's own are remembered.
const REMEMBERED: u64 = 20_000;
/// For so long they are believed, before it is asked again whether they still hold.
const BELIEVED: TimeDelta = TimeDelta::seconds(5);

/// Guests: those whom a token of another issuer or a machine's key has shown, a moment ago.
#[derive(Debug)]
pub struct Guests {
    seen: Cache<[u8; 32], (Verified, DateTime<Utc>)>,
}

impl Default for Guests {
    fn default() -> Self {
        Self { seen: Cache::new(REMEMBERED) }
    }
}

impl Guests {
    /// Who a token shows. The database and the network are asked at most for one that is not the shop's own, and that was
    /// not looked at in the last few seconds.
    ///
    /// # Errors
    /// When it does not hold, or nobody can say.
    pub async fn admit(&self, (gate, outside): (&Gate, &Outside), db: &Db, token: &str) -> Result<Caller, Denied> {
        if token.len() > LONGEST {
            return Err(Refused::new(format!("a token of {} bytes is not looked at", token.len())).into());
        }
        let (now, digest) = (db.now(), secret::digest_bytes(token));
        if let Some(known) = gate.known(&digest, now) {
            return Ok(known?);
        }
        let guest = self.seen.get(&digest);
        if let Some((guest, looked)) = guest
            && guest.until > now
            && (now - looked).abs() < BELIEVED
        {
            return Ok(guest.caller);
        }
        let guest = if token.starts_with(api_key::PREFIX) {
            machine(db, token).await?
        } else if outside.knows(token) {
            outside.check(db, token).await?
        } else {
            return gate.check(db, token, digest).await;
        };
        self.seen.insert(digest, (guest, now));
        Ok(guest.caller)
    }
}

async fn machine(db: &Db, key: &str) -> Result<Verified, Denied> {
    let found = api_key::find(db, key).await.map_err(Denied::Fault)?;
    let found = found.ok_or_else(|| Refused::new("there is no such API key, or it has ended"))?;
    let caller = Caller::Machine { key: found.id, permissions: found.permissions };
    Ok(Verified { caller, until: found.expires_at.unwrap_or(DateTime::<Utc>::MAX_UTC) })
}
