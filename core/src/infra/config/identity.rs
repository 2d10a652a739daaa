//! Settings of authentication: `[identity]` and any number of `[identity.providers.NAME]`.

use std::{collections::BTreeMap, time::Duration};

use config::{Map, Value, ValueKind};
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    ShopMode,
    duration::{CENTURY, DAY, HOUR, MINUTE, SECOND, deserialize_duration, duration_within},
    range::{one_line_of_text, within},
};

/// The key prefix of provider settings.
const PROVIDERS_PREFIX: &str = "identity.providers.";
/// The provider in the defaults that declares the settings of a provider and their default values.
const TEMPLATE_PROVIDER: &str = "example";

/// `[identity]`
#[derive(Debug, Clone, Deserialize)]
pub struct IdentityConfig {
    /// The issuer of access tokens.
    pub issuer: String,
    /// Whether customers can register with a password.
    pub local_accounts: bool,
    /// The lifetime of an access token.
    #[serde(deserialize_with = "deserialize_duration")]
    pub access_token_lifetime: Duration,
    /// The lifetime of an unused session.
    #[serde(deserialize_with = "deserialize_duration")]
    pub session_idle_timeout: Duration,
    /// The time in which a refresh token may be used again.
    #[serde(deserialize_with = "deserialize_duration")]
    pub refresh_token_reuse_interval: Duration,
    /// The maximum number of passwords waiting to be hashed.
    pub max_queued_passwords: usize,
    /// The allowed redirect URLs after a login at a provider.
    pub allowed_redirect_uris: Vec<String>,
    /// The OpenID Connect providers by name.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// `[identity.providers.NAME]`
#[derive(Debug, Clone, Deserialize)]
pub struct ProviderConfig {
    /// The issuer URL, exactly as in its tokens.
    pub issuer: String,
    /// The client id; empty if the provider is not used for browser logins.
    pub client_id: String,
    /// The client secret; empty for a public client.
    pub client_secret: SecretString,
    /// Additional scopes to request.
    pub scopes: Vec<String>,
    /// Whether the provider's access tokens are accepted.
    pub accept_tokens: bool,
    /// The required audience of its access tokens.
    pub audience: String,
    /// The claim that contains roles.
    pub roles_claim: String,
    /// The roles that map to admin.
    pub admin_roles: Vec<String>,
    /// The roles that map to staff.
    pub staff_roles: Vec<String>,
    /// The tolerated clock skew.
    #[serde(deserialize_with = "deserialize_duration")]
    pub clock_skew: Duration,
}

/// Returns the template key of a provider setting and the provider's name; other keys are returned unchanged.
pub(super) fn to_template_key(key: &str) -> (String, Option<&str>) {
    match key.strip_prefix(PROVIDERS_PREFIX).and_then(|rest| rest.split_once('.')) {
        Some((name, setting)) => (format!("{PROVIDERS_PREFIX}{TEMPLATE_PROVIDER}.{setting}"), Some(name)),
        None => (key.to_owned(), None),
    }
}

/// Returns the key of a provider's setting for a template key; other keys are returned unchanged.
pub(super) fn from_template_key(key: &str, name: Option<&str>) -> String {
    match (key.strip_prefix(PROVIDERS_PREFIX).and_then(|rest| rest.split_once('.')), name) {
        (Some((_, setting)), Some(name)) => format!("{PROVIDERS_PREFIX}{name}.{setting}"),
        _ => key.to_owned(),
    }
}

/// Returns the defaults with a copy of the template for each named provider, and without the template.
pub(super) fn expand_providers(
    mut defaults: Map<String, Value>,
    names: impl Iterator<Item = String>,
) -> Map<String, Value> {
    let identity = defaults.get_mut("identity").map(|value| &mut value.kind);
    if let Some(ValueKind::Table(identity)) = identity
        && let Some(ValueKind::Table(providers)) = identity.get_mut("providers").map(|value| &mut value.kind)
        && let Some(template) = providers.remove(TEMPLATE_PROVIDER)
    {
        providers.extend(names.map(|name| (name, template.clone())));
    }
    defaults
}

impl IdentityConfig {
    /// Validates the settings. A template copied without an issuer is ignored.
    pub(super) fn validate(&mut self, mode: ShopMode, public_url: &str) -> Result<(), String> {
        one_line_of_text("identity.issuer", &self.issuer)?;
        duration_within("identity.access_token_lifetime", self.access_token_lifetime, SECOND..=DAY)?;
        duration_within("identity.session_idle_timeout", self.session_idle_timeout, SECOND..=CENTURY)?;
        let reuse_interval = self.refresh_token_reuse_interval;
        duration_within("identity.refresh_token_reuse_interval", reuse_interval, Duration::ZERO..=MINUTE)?;
        within("identity.max_queued_passwords", self.max_queued_passwords, 0..=100_000)?;
        if self.providers.get(TEMPLATE_PROVIDER).is_some_and(|template| template.issuer.is_empty()) {
            self.providers.remove(TEMPLATE_PROVIDER);
        }
        for (name, provider) in &self.providers {
            if provider.issuer == self.issuer {
                return Err(format!(
                    "{PROVIDERS_PREFIX}{name}.issuer: this is the issuer of the shop itself (identity.issuer)"
                ));
            }
            provider.validate(name, mode).map_err(|error| format!("{PROVIDERS_PREFIX}{name}{error}"))?;
            if self
                .providers
                .iter()
                .any(|(other_name, other_provider)| other_name < name && other_provider.issuer == provider.issuer)
            {
                return Err(format!("{PROVIDERS_PREFIX}{name}.issuer: another provider already has this issuer"));
            }
        }
        let is_invalid = |text: &&String| reqwest::Url::parse(text).map_or(true, |url| url.fragment().is_some());
        if let Some(provider) = self.allowed_redirect_uris.iter().find(is_invalid) {
            return Err(format!(
                "identity.allowed_redirect_uris: `{provider}` is not a URL; write https://HOST/PATH, without a #"
            ));
        }
        self.validate_public_url(mode, public_url)
    }

    /// Validates the public URL, to which providers redirect after a login.
    fn validate_public_url(&self, mode: ShopMode, url: &str) -> Result<(), String> {
        let parsed = reqwest::Url::parse(url);
        if !url.is_empty() && !parsed.is_ok_and(|url| url.path() == "/" && url.host().is_some()) {
            return Err(format!("server.public_url: `{url}` is not the URL of a shop; write https://HOST[:PORT]"));
        }
        let has_browser_login = self.providers.values().any(|provider| !provider.client_id.is_empty());
        if has_browser_login && mode == ShopMode::Production && !url.starts_with("https://") {
            return Err("server.public_url: providers redirect to it; write https://HOST[:PORT]".into());
        }
        Ok(())
    }
}

impl ProviderConfig {
    fn validate(&self, name: &str, mode: ShopMode) -> Result<(), String> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        {
            return Err(
                ": a provider's name may contain only lowercase letters, digits, - and _: it is part of a URL".into()
            );
        }
        let issuer = reqwest::Url::parse(&self.issuer);
        let has_no_query =
            |url: &reqwest::Url| url.query().is_none() && url.fragment().is_none() && url.host().is_some();
        let Some(issuer) = issuer.ok().filter(|url| matches!(url.scheme(), "https" | "http") && has_no_query(url))
        else {
            return Err(".issuer: it must be the provider's URL; write https://HOST/PATH".into());
        };
        if issuer.scheme() != "https" && mode == ShopMode::Production {
            return Err(".issuer: in production it must begin with https://".into());
        }
        if self.accept_tokens && self.audience.is_empty() {
            return Err(".audience: with accept_tokens, set the required audience of its tokens".into());
        }
        if self.client_id.is_empty() && !self.accept_tokens {
            return Err(": it has neither a client_id, for login in a browser, nor accept_tokens = true".into());
        }
        duration_within(".clock_skew", self.clock_skew, Duration::ZERO..=HOUR)
    }
}
