//! Access tokens: what the shop signs, and how it knows its own.

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{
    Caller, Role,
    gate::Refused,
    key::{Ring, SKEW},
};
use crate::base::{Error, GlobalId, Result, id::Kind};

/// For whom they are.
pub const AUDIENCE: &str = "savannah";

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who signed it.
    pub iss: String,
    /// For whom.
    pub aud: String,
    /// The account, by its id in the API.
    pub sub: String,
    /// The session, by its id in the API.
    pub sid: String,
    /// What the account may do.
    pub role: String,
    /// When it was made. Seconds, as the three below.
    pub iat: i64,
    /// When it begins.
    pub nbf: i64,
    /// When it ends.
    pub exp: i64,
}

/// A token that holds.
#[derive(Debug, Clone, Copy)]
pub struct Verified {
    /// Whose it is.
    pub caller: Caller,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// Signs a token for a session.
///
/// # Errors
/// When there is no key to sign with.
pub fn issue(
    ring: &Ring,
    issuer: &str,
    (account, role): (i64, Role),
    session: i64,
    life: (DateTime<Utc>, TimeDelta),
) -> Result<String> {
    let missing = || Error::fault("signing a token", "there is no signing key");
    let (kid, key) = ring.current.as_ref().ok_or_else(missing)?;
    let (now, lasts) = life;
    let claims = Claims {
        iss: issuer.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: GlobalId::new(Kind::Customer, account).encode(),
        sid: GlobalId::new(Kind::Session, session).encode(),
        role: role.name().to_owned(),
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: (now + lasts).timestamp(),
    };
    let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims, key).map_err(|why| Error::fault("signing a token", why))
}

/// Verifies a token of the shop's own, whose tokens have this issuer and life.
///
/// # Errors
/// Why it does not hold, for the log.
pub fn verify(
    ring: &Ring,
    (issuer, life): (&str, TimeDelta),
    token: &str,
    now: DateTime<Utc>,
) -> Result<Verified, Refused> {
    let header = jsonwebtoken::decode_header(token).map_err(|why| Refused::of("the header cannot be read", why))?;
    if header.jku.is_some() || header.jwk.is_some() || header.x5u.is_some() || header.x5c.is_some() {
        return Err(Refused::new("the token brings a key of its own"));
    }
    let kid = header.kid.ok_or_else(|| Refused::new("the token names no key"))?;
    let key = ring.find(&kid).ok_or_else(|| Refused::new(format!("there is no key {kid:?}")))?;
    // The algorithm is the key's, whatever the token says; times are compared with the shop's own clock.
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.set_audience(&[AUDIENCE]);
    rules.set_issuer(&[issuer]);
    (rules.validate_exp, rules.validate_nbf) = (false, false);
    let claims = jsonwebtoken::decode::<Claims>(token, key, &rules);
    let claims = claims.map_err(|why| Refused::of("the token does not verify", why))?.claims;
    let until = DateTime::from_timestamp(claims.exp, 0).ok_or_else(|| Refused::new("its end is no time"))?;
    if until <= now {
        return Err(Refused::new(format!("it has ended at {until}")));
    }
    // None is made longer: one that is, was not made by the shop.
    if claims.exp.saturating_sub(claims.iat) > life.num_seconds() || claims.iat > (now + SKEW).timestamp() {
        return Err(Refused::new("it holds for longer than the shop's tokens do"));
    }
    if claims.nbf > now.timestamp() {
        return Err(Refused::new("it has not begun"));
    }
    let id = |text: &str, kind| GlobalId::key(text, kind, "").map_err(|why| Refused::new(why.log()));
    let role = Role::named(&claims.role).ok_or_else(|| Refused::new(format!("there is no role {:?}", claims.role)))?;
    let (account, session) = (id(&claims.sub, Kind::Customer)?, id(&claims.sid, Kind::Session)?);
    Ok(Verified { caller: Caller::Person { account, role, session: Some(session) }, until })
}
