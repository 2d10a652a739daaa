//! Access tokens of other issuers, taken as they are: whose they are, and whether they hold.
//!
//! A token costs no SQL and no request: its issuer's keys and the account of its subject are in memory.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::Validation;
use moka::sync::Cache;
use serde_json::{Map, Value};

use super::{
    Caller, Role, account,
    gate::Refused,
    link::{self, Person},
    provider::{Known, Provider, Providers, Unreachable},
    token::Verified,
};
use crate::{
    base::Error,
    infra::{
        Db,
        config::{IdentityConfig, ProviderConfig},
    },
};

/// Longer tokens are not looked at. Bytes.
const LONGEST: usize = 8 * 1024;
/// So many people are remembered.
const REMEMBERED: u64 = 20_000;
/// For so long, before it is looked whether their account may still come in.
const BELIEVED: TimeDelta = TimeDelta::seconds(5);

/// Why nobody comes in with a token.
#[derive(Debug, Clone)]
pub enum Denied {
    /// It does not hold: why, for the log only.
    Refused(Refused),
    /// Nobody can say: its issuer does not answer, and its keys are not known. Why, for the log only.
    Unreachable(String),
    /// The database cannot say whose it is.
    Fault(Error),
}

impl From<Refused> for Denied {
    fn from(why: Refused) -> Self {
        Self::Refused(why)
    }
}

impl From<Unreachable> for Denied {
    fn from(why: Unreachable) -> Self {
        Self::Unreachable(why.0)
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, Denied> {
    Err(Denied::Refused(Refused::new(why)))
}

/// A person of a provider: the provider, the subject, and the e-mail address that the provider vouches for.
type PersonKey = (String, String, Option<String>);

/// What knows tokens of other issuers.
#[derive(Debug)]
pub struct Outside {
    /// All who know people for the shop, also those whose tokens are not taken.
    pub providers: Providers,
    /// The account of a subject of a provider by an e-mail address, and when that was looked at.
    people: Cache<PersonKey, (i64, DateTime<Utc>)>,
}

/// What a token says of itself, before anything of it is believed.
#[derive(Debug)]
struct Opened {
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Outside {
    /// With the providers of the settings.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(config: &IdentityConfig) -> Result<Self, String> {
        Ok(Self { providers: Providers::new(config)?, people: Cache::new(REMEMBERED) })
    }

    /// Whether a token says that it is of an issuer that is trusted. It may lie: [`check`](Self::check) tells.
    #[must_use]
    pub fn knows(&self, token: &str) -> bool {
        self.providers.trusts_any() && open(token).is_ok_and(|opened| self.issuer(&opened).is_some())
    }

    fn issuer(&self, opened: &Opened) -> Option<&Provider> {
        text(&opened.claims, "iss").and_then(|issuer| self.providers.trusted(issuer))
    }

    /// Whose a token is. Somebody who comes for the first time gets an account.
    ///
    /// # Errors
    /// When it does not hold, or nobody can say.
    pub async fn check(&self, db: &Db, token: &str) -> Result<Verified, Denied> {
        let now = db.now();
        let opened = open(token)?;
        let Some(provider) = self.issuer(&opened) else {
            return refused("no provider that is trusted has this issuer");
        };
        let claims = verify(provider, token, &opened, now).await?;
        let until = holds(&claims, &provider.config, now)?;
        let role = role(&claims, &provider.config);
        let account = self.account(db, &Person::read(&provider.config.issuer, &claims)).await?;
        Ok(Verified { caller: Caller::Person { account, role, session: None }, until })
    }

    /// The account of somebody, which may come in.
    async fn account(&self, db: &Db, person: &Person) -> Result<i64, Denied> {
        let (now, key) = (db.now(), (person.issuer.clone(), person.subject.clone(), person.email.clone()));
        if let Some((account, at)) = self.people.get(&key) {
            if (now - at).abs() < BELIEVED {
                return Ok(account);
            }
            if account::alive(db, account).await.map_err(Denied::Fault)?.is_none() {
                self.people.invalidate(&key);
                return refused(format!("account {account} may not come in"));
            }
            self.people.insert(key, (account, now));
            return Ok(account);
        }
        let found = link::account(db, person).await.map_err(|why| match why {
            Error::Fault(_) => Denied::Fault(why),
            why => Denied::Refused(Refused::new(why.log())),
        })?;
        self.people.insert(key, (found.id, now));
        Ok(found.id)
    }
}

/// Reads a token; nothing of it may be believed yet.
fn open(token: &str) -> Result<Opened, Denied> {
    if token.len() > LONGEST {
        return refused(format!("a token of {} bytes is not looked at", token.len()));
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _] = parts[..] else { return refused("it does not have three parts") };
    let read = |part: &str| -> Option<Map<String, Value>> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    match (read(header), read(claims)) {
        (Some(header), Some(claims)) => Ok(Opened { header, claims }),
        _ => refused("it is not made of JSON"),
    }
}

/// What it says, once its signature has been found good with one of its issuer's keys.
async fn verify(
    provider: &Provider,
    token: &str,
    opened: &Opened,
    now: DateTime<Utc>,
) -> Result<Map<String, Value>, Denied> {
    let id = key_id(&opened.header)?;
    let mut known = provider.known(now).await?;
    if !known.keys.contains_key(id) {
        known = provider.anew(known, now).await?;
    }
    signed(&known, id, token)
}

/// The id of the key it was signed with. Keys that it brings along or points at are not looked at.
fn key_id(header: &Map<String, Value>) -> Result<&str, Denied> {
    if let Some(strange) = ["jku", "jwk", "x5u", "x5c", "crit", "zip"].iter().find(|name| header.contains_key(**name)) {
        return refused(format!("its header has {strange}"));
    }
    let kind = text(header, "typ").unwrap_or("JWT").to_ascii_lowercase();
    if !["jwt", "at+jwt", "application/at+jwt"].contains(&kind.as_str()) {
        return refused(format!("it is a {kind:?}"));
    }
    text(header, "kid").map_or_else(|| refused("it does not name its key"), Ok)
}

fn signed(known: &Known, id: &str, token: &str) -> Result<Map<String, Value>, Denied> {
    let Some(key) = known.keys.get(id) else { return refused(format!("its issuer has no key {id:?}")) };
    // The key decides on the algorithm; time and audience are looked at by the shop's own clock, below.
    let mut rules = Validation::new(key.algorithm);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    match jsonwebtoken::decode(token, &key.public, &rules) {
        Ok(read) => Ok(read.claims),
        Err(why) => refused(format!("its signature: {why}")),
    }
}

/// Until when it holds, if it is for the shop and holds now.
fn holds(claims: &Map<String, Value>, config: &ProviderConfig, now: DateTime<Utc>) -> Result<DateTime<Utc>, Denied> {
    if text(claims, "iss") != Some(&config.issuer) {
        return refused("its issuer is another one");
    }
    if !named(claims.get("aud")).contains(&config.audience.as_str()) {
        return refused(format!("it is not for {:?}", config.audience));
    }
    // Keycloak says so of every token: those that identify somebody to an app, or renew others, are not for calling.
    if text(claims, "typ").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return refused("it is not an access token");
    }
    if claims.contains_key("cnf") {
        return refused("it is bound to a key or certificate of its owner's, which the shop does not ask for");
    }
    let leeway = TimeDelta::from_std(config.leeway).unwrap_or_default();
    let Some(until) = moment(claims, "exp")? else { return refused("it never ends") };
    if until + leeway <= now {
        return refused(format!("it has ended at {until}"));
    }
    for name in ["nbf", "iat"] {
        if let Some(from) = moment(claims, name)?.filter(|from| *from - leeway > now) {
            return refused(format!("it begins at {from} ({name})"));
        }
    }
    Ok(until + leeway)
}

/// The highest of the roles that it names where the settings say.
fn role(claims: &Map<String, Value>, config: &ProviderConfig) -> Role {
    // A claim's name may have dots itself: many are addresses.
    let whole = claims.get(&config.roles_claim);
    let path = || {
        config.roles_claim.split('.').try_fold(None, |at: Option<&Value>, name| {
            let inner = at.map_or(Some(claims), Value::as_object)?.get(name)?;
            Some(Some(inner))
        })
    };
    let names = named(whole.or_else(|| path().flatten()));
    let any = |of: &[String]| of.iter().any(|one| names.contains(&one.as_str()));
    if any(&config.admin_roles) {
        Role::Admin
    } else if any(&config.staff_roles) {
        Role::Staff
    } else {
        Role::Customer
    }
}

fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

/// One word, or a list of words.
fn named(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A moment in seconds, which some write with a fraction.
fn moment(claims: &Map<String, Value>, name: &str) -> Result<Option<DateTime<Utc>>, Denied> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float stops at the ends")]
    let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64));
    match seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)) {
        // So far from the ends that a leeway more or less is still a moment.
        Some(at) if (0..=9999).contains(&chrono::Datelike::year(&at)) => Ok(Some(at)),
        _ => refused(format!("its {name} is no moment")),
    }
}

#[cfg(test)]
mod tests;
