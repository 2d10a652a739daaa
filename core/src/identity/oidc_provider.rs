//! OpenID providers, their discovery metadata and their signing keys.
//!
//! Metadata is fetched lazily, so that an unavailable provider affects only its own users.

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

use super::error::ProviderUnavailable;
use crate::{
    base::error::format_error_chain,
    infra::{
        HttpClient,
        config::{IdentityConfig, ProviderConfig},
    },
};

/// Cache lifetime of provider metadata; a key that the provider removed is rejected after that time.
const METADATA_TTL: TimeDelta = TimeDelta::minutes(10);
/// Minimum interval between requests to a provider, whatever tokens arrive.
const MIN_FETCH_INTERVAL: TimeDelta = TimeDelta::seconds(10);

/// All configured providers.
#[derive(Debug, Default)]
pub struct OidcProviders(Vec<OidcProvider>);

impl OidcProviders {
    /// Creates the configured providers.
    ///
    /// # Errors
    /// Returns a message for the operator if the configuration is invalid.
    pub fn new(config: &IdentityConfig) -> Result<Self, String> {
        if config.providers.is_empty() {
            return Ok(Self::default());
        }
        let http_client = HttpClient::new()?;
        let providers = config
            .providers
            .iter()
            .map(|(name, provider_config)| OidcProvider::new(name, provider_config, &http_client));
        providers.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the provider for browser login with a name.
    #[must_use]
    pub fn find_login_provider(&self, name: &str) -> Option<&OidcProvider> {
        self.login_providers().find(|provider| provider.name == name)
    }

    /// Returns the providers for browser login: those with a client ID.
    pub fn login_providers(&self) -> impl Iterator<Item = &OidcProvider> {
        self.0.iter().filter(|provider| !provider.config.client_id.is_empty())
    }

    /// Returns the provider of an issuer whose access tokens are accepted.
    #[must_use]
    pub fn find_token_issuer(&self, issuer: &str) -> Option<&OidcProvider> {
        self.0.iter().find(|provider| provider.config.accept_tokens && provider.config.issuer == issuer)
    }

    /// Returns whether access tokens of any provider are accepted.
    #[must_use]
    pub fn has_token_issuers(&self) -> bool {
        self.0.iter().any(|provider| provider.config.accept_tokens)
    }
}

/// OpenID provider with its cached metadata.
#[derive(Debug)]
pub struct OidcProvider {
    /// Name in the configuration.
    pub name: String,
    /// Configuration of the provider.
    pub config: ProviderConfig,
    /// HTTP client for requests to the provider.
    pub http_client: HttpClient,
    issuer: IssuerUrl,
    metadata: ArcSwapOption<ProviderMetadata>,
    /// Time of the last fetch; locked during a fetch.
    last_fetched_at: Mutex<Option<DateTime<Utc>>>,
}

/// Discovery metadata and keys of a provider.
#[derive(Debug)]
pub struct ProviderMetadata {
    /// Discovery document with the key set.
    pub discovery: CoreProviderMetadata,
    /// Signing keys by key ID.
    pub keys: HashMap<String, ProviderKey>,
    /// Time of the fetch.
    pub fetched_at: DateTime<Utc>,
}

impl OidcProvider {
    fn new(name: &str, config: &ProviderConfig, http_client: &HttpClient) -> Result<Self, String> {
        let issuer = IssuerUrl::new(config.issuer.clone());
        Ok(Self {
            name: name.to_owned(),
            config: config.clone(),
            http_client: http_client.clone(),
            issuer: issuer.map_err(|error| format!("identity.providers.{name}.issuer: {error}"))?,
            metadata: ArcSwapOption::empty(),
            last_fetched_at: Mutex::new(None),
        })
    }

    /// Returns the metadata; fetches it if the cached one is older than `METADATA_TTL`. Stale metadata is used while
    /// the provider does not respond.
    ///
    /// # Errors
    /// Returns [`ProviderUnavailable`] if the provider has never responded.
    pub async fn load_metadata(&self, now: DateTime<Utc>) -> Result<Arc<ProviderMetadata>, ProviderUnavailable> {
        match self.metadata.load_full() {
            Some(cached) if now - cached.fetched_at < METADATA_TTL => Ok(cached),
            // One task fetches; the others use the stale metadata meanwhile.
            Some(stale) if self.last_fetched_at.try_lock().is_err() => Ok(stale),
            stale => self.fetch_metadata_once(stale, now).await,
        }
    }

    /// Fetches the metadata again, for example for an unknown key ID, at most once per `MIN_FETCH_INTERVAL`.
    ///
    /// # Errors
    /// Returns [`ProviderUnavailable`] if the provider has never responded.
    pub async fn refresh_metadata(
        &self,
        cached: Arc<ProviderMetadata>,
        now: DateTime<Utc>,
    ) -> Result<Arc<ProviderMetadata>, ProviderUnavailable> {
        self.fetch_metadata_once(Some(cached), now).await
    }

    /// Fetches the metadata; concurrent calls wait and share the result of one fetch.
    async fn fetch_metadata_once(
        &self,
        stale: Option<Arc<ProviderMetadata>>,
        now: DateTime<Utc>,
    ) -> Result<Arc<ProviderMetadata>, ProviderUnavailable> {
        let mut last_fetched_at = self.last_fetched_at.lock().await;
        let current = self.metadata.load_full();
        let is_unchanged =
            current.as_ref().map(|cached| cached.fetched_at) == stale.as_ref().map(|cached| cached.fetched_at);
        if let Some(current) = current.clone().filter(|_| !is_unchanged) {
            return Ok(current);
        }
        if last_fetched_at.is_some_and(|fetched_at| (now - fetched_at).abs() < MIN_FETCH_INTERVAL) {
            return current.ok_or_else(|| ProviderUnavailable("it was unavailable a moment ago".into()));
        }
        *last_fetched_at = Some(now);
        match self.fetch_discovery(current.as_deref()).await {
            Ok(discovery) => {
                let keys = parse_signing_keys(discovery.jwks());
                let cached = Arc::new(ProviderMetadata { discovery, keys, fetched_at: now });
                self.metadata.store(Some(Arc::clone(&cached)));
                Ok(cached)
            }
            Err(error) => {
                tracing::warn!(provider = self.name, %error, "OpenID provider not reachable");
                current.ok_or(error)
            }
        }
    }

    /// Runs the discovery; with cached metadata, fetches only the key set.
    async fn fetch_discovery(
        &self,
        cached: Option<&ProviderMetadata>,
    ) -> Result<CoreProviderMetadata, ProviderUnavailable> {
        let Some(cached) = cached else {
            let discovered = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http_client).await;
            return discovered.map_err(|error| ProviderUnavailable(format_error_chain(&error)));
        };
        let jwks_uri: &JsonWebKeySetUrl = cached.discovery.jwks_uri();
        let keys = CoreJsonWebKeySet::fetch_async(jwks_uri, &self.http_client)
            .await
            .map_err(|error| ProviderUnavailable(format_error_chain(&error)))?;
        Ok(cached.discovery.clone().set_jwks(keys))
    }
}

/// Public key of a provider with the only algorithm it is accepted for.
#[derive(Debug)]
pub struct ProviderKey {
    /// Algorithm determined by the key, never by a token.
    pub algorithm: Algorithm,
    /// Key for signature verification.
    pub public: DecodingKey,
}

/// Returns the signature keys with an ID and a supported type; ignores all others.
fn parse_signing_keys(set: &CoreJsonWebKeySet) -> HashMap<String, ProviderKey> {
    let to_jwk = |key| serde_json::to_value(key).ok().and_then(|key| serde_json::from_value::<Jwk>(key).ok());
    let to_provider_key = |key: Jwk| {
        let kid = key.common.key_id.clone().filter(|kid| !kid.is_empty())?;
        Some((kid, ProviderKey { algorithm: determine_algorithm(&key)?, public: DecodingKey::from_jwk(&key).ok()? }))
    };
    set.keys().iter().filter_map(to_jwk).filter_map(to_provider_key).collect()
}

/// Returns the algorithm of a public key: the declared one if its type allows it. Symmetric keys have none.
fn determine_algorithm(key: &Jwk) -> Option<Algorithm> {
    if key.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let declared = key.common.key_algorithm;
    let (algorithm, name) = match &key.algorithm {
        AlgorithmParameters::RSA(_) => match declared {
            None | Some(KeyAlgorithm::RS256) => return Some(Algorithm::RS256),
            Some(KeyAlgorithm::RS384) => return Some(Algorithm::RS384),
            Some(KeyAlgorithm::RS512) => return Some(Algorithm::RS512),
            Some(KeyAlgorithm::PS256) => return Some(Algorithm::PS256),
            Some(KeyAlgorithm::PS384) => return Some(Algorithm::PS384),
            Some(KeyAlgorithm::PS512) => return Some(Algorithm::PS512),
            Some(_) => return None,
        },
        AlgorithmParameters::EllipticCurve(parameters) if parameters.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::EllipticCurve(parameters) if parameters.curve == EllipticCurve::P384 => {
            (Algorithm::ES384, KeyAlgorithm::ES384)
        }
        AlgorithmParameters::OctetKeyPair(parameters) if parameters.curve == EllipticCurve::Ed25519 => {
            (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
        }
        _ => return None,
    };
    declared.is_none_or(|declared| declared == name).then_some(algorithm)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const RSA_MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    const EC_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const EC_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

    /// Returns the algorithm that a key is accepted for; `None` if it is ignored.
    fn accepted_algorithm(mut key: Value) -> Option<Algorithm> {
        key["kid"] = json!("k");
        let set: CoreJsonWebKeySet = serde_json::from_value(json!({ "keys": [key] })).expect("valid key set");
        parse_signing_keys(&set).get("k").map(|key| key.algorithm)
    }

    #[test]
    fn key_type_determines_algorithm() {
        let rsa = |alg: &str| json!({ "kty": "RSA", "n": RSA_MODULUS, "e": "AQAB", "alg": alg, "use": "sig" });
        assert_eq!(accepted_algorithm(json!({ "kty": "RSA", "n": RSA_MODULUS, "e": "AQAB" })), Some(Algorithm::RS256));
        assert_eq!(accepted_algorithm(rsa("RS256")), Some(Algorithm::RS256));
        assert_eq!(accepted_algorithm(rsa("PS512")), Some(Algorithm::PS512));
        let ec = json!({ "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "use": "sig" });
        assert_eq!(accepted_algorithm(ec), Some(Algorithm::ES256));
        let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        assert_eq!(accepted_algorithm(ed), Some(Algorithm::EdDSA));
    }

    #[test]
    fn key_not_for_signatures_is_ignored() {
        let rsa = |field: &str, value: &str| {
            let mut key = json!({ "kty": "RSA", "n": RSA_MODULUS, "e": "AQAB" });
            key[field] = json!(value);
            key
        };
        for key in [
            rsa("use", "enc"),
            rsa("alg", "RSA-OAEP"),
            rsa("alg", "HS256"),
            rsa("alg", "ES256"),
            json!({ "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "alg": "ES384" }),
            json!({ "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQ", "alg": "HS256" }),
        ] {
            assert_eq!(accepted_algorithm(key.clone()), None, "{key}");
        }
    }
}
