//! Those who know people for the shop: OpenID providers, what they say of themselves, and the keys they sign with.
//!
//! Nothing is asked of a provider before it is needed, so that one that is down stops only its own people.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwapOption;
use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use openidconnect::{
    IssuerUrl, JsonWebKeySetUrl,
    core::{CoreJsonWebKeySet, CoreProviderMetadata},
};
use tokio::sync::Mutex;

use crate::infra::{
    Client,
    config::{IdentityConfig, ProviderConfig},
};

/// How long is believed what a provider has said of itself: a key that it no longer names is no longer taken then.
const FRESH: TimeDelta = TimeDelta::minutes(10);
/// A provider is asked no more often, whatever tokens come.
const PAUSE: TimeDelta = TimeDelta::seconds(10);

/// All providers, by name.
#[derive(Debug, Default)]
pub struct Providers(Vec<Provider>);

impl Providers {
    /// Those of the settings.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn new(config: &IdentityConfig) -> Result<Self, String> {
        if config.providers.is_empty() {
            return Ok(Self::default());
        }
        let client = Client::new()?;
        let made = config.providers.iter().map(|(name, one)| Provider::new(name, one, &client));
        made.collect::<Result<_, _>>().map(Self)
    }

    /// The one of a name with whom people sign in by a browser.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Provider> {
        self.browsing().find(|one| one.name == name)
    }

    /// Those with whom people sign in by a browser.
    pub fn browsing(&self) -> impl Iterator<Item = &Provider> {
        self.0.iter().filter(|one| !one.config.client_id.is_empty())
    }

    /// The one of an issuer whose tokens are taken as they are.
    #[must_use]
    pub fn trusted(&self, issuer: &str) -> Option<&Provider> {
        self.0.iter().find(|one| one.config.accept_tokens && one.config.issuer == issuer)
    }

    /// Whether there is any such.
    #[must_use]
    pub fn trusts_any(&self) -> bool {
        self.0.iter().any(|one| one.config.accept_tokens)
    }
}

/// One provider.
#[derive(Debug)]
pub struct Provider {
    /// What the shop calls it.
    pub name: String,
    /// Its settings.
    pub config: ProviderConfig,
    /// What asks it.
    pub client: Client,
    issuer: IssuerUrl,
    known: ArcSwapOption<Known>,
    /// When it was last asked; held while it is.
    asked: Mutex<Option<DateTime<Utc>>>,
}

/// What a provider has said of itself.
#[derive(Debug)]
pub struct Known {
    /// Its addresses and its keys, as it tells them.
    pub metadata: CoreProviderMetadata,
    /// Its keys, ready for use, by their ids.
    pub keys: HashMap<String, Key>,
    /// When it said so.
    pub at: DateTime<Utc>,
}

/// A provider that cannot be asked: why, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable(pub String);

impl Provider {
    fn new(name: &str, config: &ProviderConfig, client: &Client) -> Result<Self, String> {
        let issuer = IssuerUrl::new(config.issuer.clone());
        Ok(Self {
            name: name.to_owned(),
            config: config.clone(),
            client: client.clone(),
            issuer: issuer.map_err(|why| format!("identity.providers.{name}.issuer: {why}"))?,
            known: ArcSwapOption::empty(),
            asked: Mutex::new(None),
        })
    }

    /// What it has said of itself. It is asked when that is old, and what was known is good while it does not answer.
    ///
    /// # Errors
    /// When it has never answered.
    pub async fn known(&self, now: DateTime<Utc>) -> Result<Arc<Known>, Unreachable> {
        match self.known.load_full() {
            Some(known) if now - known.at < FRESH => Ok(known),
            // One asks; the others go on with what was known, however long the answer takes.
            Some(old) if self.asked.try_lock().is_err() => Ok(old),
            old => self.ask(old, now).await,
        }
    }

    /// The same after something has come up that was not known: it is asked again, unless it was asked just now.
    ///
    /// # Errors
    /// When it has never answered.
    pub async fn anew(&self, known: Arc<Known>, now: DateTime<Utc>) -> Result<Arc<Known>, Unreachable> {
        self.ask(Some(known), now).await
    }

    /// Asks it, one at a time: who comes while it is being asked hears what the other has heard.
    async fn ask(&self, old: Option<Arc<Known>>, now: DateTime<Utc>) -> Result<Arc<Known>, Unreachable> {
        let mut asked = self.asked.lock().await;
        let current = self.known.load_full();
        let same = current.as_ref().map(|known| known.at) == old.as_ref().map(|known| known.at);
        if let Some(current) = current.clone().filter(|_| !same) {
            return Ok(current);
        }
        if asked.is_some_and(|at| (now - at).abs() < PAUSE) {
            return current.ok_or_else(|| Unreachable("it did not answer a moment ago".into()));
        }
        *asked = Some(now);
        match self.fetch(current.as_deref()).await {
            Ok(metadata) => {
                let keys = keys(metadata.jwks());
                let known = Arc::new(Known { metadata, keys, at: now });
                self.known.store(Some(Arc::clone(&known)));
                Ok(known)
            }
            Err(why) => {
                tracing::warn!(provider = self.name, error = why.0, "an OpenID provider does not answer");
                current.ok_or(why)
            }
        }
    }

    /// Everything of one that is not known yet; of one that is, its keys.
    async fn fetch(&self, known: Option<&Known>) -> Result<CoreProviderMetadata, Unreachable> {
        let Some(known) = known else {
            let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.client).await;
            return found.map_err(|why| Unreachable(chain(&why)));
        };
        let place: &JsonWebKeySetUrl = known.metadata.jwks_uri();
        let keys = CoreJsonWebKeySet::fetch_async(place, &self.client).await.map_err(|why| Unreachable(chain(&why)))?;
        Ok(known.metadata.clone().set_jwks(keys))
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(why: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(why), |why| why.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A key of a provider's, and the one algorithm that it is for.
pub struct Key {
    /// Decided by the key, never by a token.
    pub algorithm: Algorithm,
    /// What signatures are checked with.
    pub public: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The keys for signatures that have an id and are of a kind we know. The others are not looked at.
fn keys(set: &CoreJsonWebKeySet) -> HashMap<String, Key> {
    let read = |key| serde_json::to_value(key).ok().and_then(|key| serde_json::from_value::<Jwk>(key).ok());
    let usable = |key: Jwk| {
        let id = key.common.key_id.clone().filter(|id| !id.is_empty())?;
        Some((id, Key { algorithm: algorithm(&key)?, public: DecodingKey::from_jwk(&key).ok()? }))
    };
    set.keys().iter().filter_map(read).filter_map(usable).collect()
}

/// The algorithm that a public key is for: what it says, as far as its kind allows. A secret is none.
fn algorithm(key: &Jwk) -> Option<Algorithm> {
    if key.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let said = key.common.key_algorithm;
    let (algorithm, name) = match &key.algorithm {
        AlgorithmParameters::RSA(_) => match said {
            None | Some(KeyAlgorithm::RS256) => return Some(Algorithm::RS256),
            Some(KeyAlgorithm::RS384) => return Some(Algorithm::RS384),
            Some(KeyAlgorithm::RS512) => return Some(Algorithm::RS512),
            Some(KeyAlgorithm::PS256) => return Some(Algorithm::PS256),
            Some(KeyAlgorithm::PS384) => return Some(Algorithm::PS384),
            Some(KeyAlgorithm::PS512) => return Some(Algorithm::PS512),
            Some(_) => return None,
        },
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::EllipticCurve(of) if of.curve == EllipticCurve::P384 => {
            (Algorithm::ES384, KeyAlgorithm::ES384)
        }
        AlgorithmParameters::OctetKeyPair(of) if of.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    said.is_none_or(|said| said == name).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const N: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

    /// What a key is taken for, if it is taken.
    fn taken(mut key: Value) -> Option<Algorithm> {
        key["kid"] = json!("k");
        let set: CoreJsonWebKeySet = serde_json::from_value(json!({ "keys": [key] })).expect("a set");
        keys(&set).get("k").map(|key| key.algorithm)
    }

    #[test]
    fn the_key_decides_what_it_is_for() {
        let rsa = |alg: &str| json!({ "kty": "RSA", "n": N, "e": "AQAB", "alg": alg, "use": "sig" });
        assert_eq!(taken(json!({ "kty": "RSA", "n": N, "e": "AQAB" })), Some(Algorithm::RS256));
        assert_eq!(taken(rsa("RS256")), Some(Algorithm::RS256));
        assert_eq!(taken(rsa("PS512")), Some(Algorithm::PS512));
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": X, "y": Y, "use": "sig" });
        assert_eq!(taken(ec), Some(Algorithm::ES256));
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(taken(ed), Some(Algorithm::EdDSA));
    }

    #[test]
    fn what_is_not_for_signatures_is_no_key() {
        let rsa = |field: &str, value: &str| {
            let mut key = json!({ "kty": "RSA", "n": N, "e": "AQAB" });
            key[field] = json!(value);
            key
        };
        for key in [
            rsa("use", "enc"),
            rsa("alg", "RSA-OAEP"),
            rsa("alg", "HS256"),
            rsa("alg", "ES256"),
            json!({ "kty": "EC", "crv": "P-256", "x": X, "y": Y, "alg": "ES384" }),
            json!({ "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "alg": "HS256" }),
        ] {
            assert_eq!(taken(key.clone()), None, "{key}");
        }
    }
}
