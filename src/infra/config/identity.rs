//! Settings of who people are: `[identity]`, and `[identity.providers.NAME]`, any number of them.

use std::{collections::BTreeMap, fmt, time::Duration};

use config::{Map, Value, ValueKind};
use serde::Deserialize;

use super::{
    Mode,
    range::{DAY, one_line_of_text, seconds_within, within},
};

/// Where they stand among the settings.
const PLACE: &str = "identity.providers.";
/// The one among the defaults that shows what each may say, and from which each starts.
const PATTERN: &str = "example";

/// `[identity]`
#[derive(Debug, Clone, Deserialize)]
pub struct IdentityConfig {
    /// Who signs the shop's tokens.
    pub issuer: String,
    /// Whether customers can have an account with a password.
    pub local_accounts: bool,
    /// Of an access token.
    #[serde(deserialize_with = "super::seconds")]
    pub access_token_lifetime: Duration,
    /// Of a session that is not used.
    #[serde(deserialize_with = "super::seconds")]
    pub session_lifetime: Duration,
    /// How long a refresh token may be used again.
    #[serde(deserialize_with = "super::seconds")]
    pub refresh_reuse_grace: Duration,
    /// How many passwords may wait to be hashed.
    pub password_queue: usize,
    /// Where somebody may be sent once a provider has said who it is.
    pub redirects: Vec<String>,
    /// Those who know people for the shop, by name.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// `[identity.providers.NAME]`
#[derive(Clone, Deserialize)]
pub struct ProviderConfig {
    /// Its address, exactly as its tokens name it.
    pub issuer: String,
    /// What it knows the shop by; empty when nobody signs in by way of a browser.
    pub client_id: String,
    /// It is never shown. Empty for a public client.
    pub client_secret: String,
    /// What is asked of it besides who somebody is.
    pub scopes: Vec<String>,
    /// Whether its access tokens are taken as they are.
    pub accept_tokens: bool,
    /// For whom these must be.
    pub audience: String,
    /// Where they name roles.
    pub roles_claim: String,
    /// Names that make an admin.
    pub admin_roles: Vec<String>,
    /// Names that make one of the staff.
    pub staff_roles: Vec<String>,
    /// How far its clock may be off.
    #[serde(deserialize_with = "super::seconds")]
    pub leeway: Duration,
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("accept_tokens", &self.accept_tokens)
            .finish_non_exhaustive()
    }
}

/// The setting of the pattern that a setting of a provider is one of, and the provider's name; any other as it is.
pub(super) fn patterned(key: &str) -> (String, Option<&str>) {
    match key.strip_prefix(PLACE).and_then(|rest| rest.split_once('.')) {
        Some((name, setting)) => (format!("{PLACE}{PATTERN}.{setting}"), Some(name)),
        None => (key.to_owned(), None),
    }
}

/// A setting of the pattern, as one of a provider's.
pub(super) fn of(key: &str, name: Option<&str>) -> String {
    match (key.strip_prefix(PLACE).and_then(|rest| rest.split_once('.')), name) {
        (Some((_, setting)), Some(name)) => format!("{PLACE}{name}.{setting}"),
        _ => key.to_owned(),
    }
}

/// The defaults with the pattern taken over for each provider that somebody has named, and without the pattern itself.
pub(super) fn spread(mut defaults: Map<String, Value>, names: impl Iterator<Item = String>) -> Map<String, Value> {
    let identity = defaults.get_mut("identity").map(|value| &mut value.kind);
    if let Some(ValueKind::Table(identity)) = identity
        && let Some(ValueKind::Table(providers)) = identity.get_mut("providers").map(|value| &mut value.kind)
        && let Some(pattern) = providers.remove(PATTERN)
    {
        providers.extend(names.map(|name| (name, pattern.clone())));
    }
    defaults
}

impl IdentityConfig {
    /// What is well formed but cannot be. A pattern that was copied and not filled in is no provider.
    pub(super) fn check(&mut self, mode: Mode, public_url: &str) -> Result<(), String> {
        one_line_of_text("identity.issuer", &self.issuer)?;
        if self.access_token_lifetime.is_zero() || self.access_token_lifetime > Duration::from_hours(24) {
            return Err("identity.access_token_lifetime must be from 1 second to a day".into());
        }
        seconds_within("identity.session_lifetime", self.session_lifetime, 1..=DAY * 36_500)?;
        seconds_within("identity.refresh_reuse_grace", self.refresh_reuse_grace, 0..=60)?;
        within("identity.password_queue", self.password_queue, 0..=100_000)?;
        if self.providers.get(PATTERN).is_some_and(|pattern| pattern.issuer.is_empty()) {
            self.providers.remove(PATTERN);
        }
        for (name, one) in &self.providers {
            if one.issuer == self.issuer {
                return Err(format!("{PLACE}{name}.issuer: identity.issuer says that this is the shop itself"));
            }
            one.check(name, mode).map_err(|why| format!("{PLACE}{name}{why}"))?;
            if self.providers.iter().any(|(other, second)| other < name && second.issuer == one.issuer) {
                return Err(format!("{PLACE}{name}.issuer: another provider has this issuer already"));
            }
        }
        let wrong = |text: &&String| reqwest::Url::parse(text).map_or(true, |url| url.fragment().is_some());
        if let Some(one) = self.redirects.iter().find(wrong) {
            return Err(format!("identity.redirects: `{one}` is no address; write https://HOST/PATH, without a #"));
        }
        self.check_public_url(mode, public_url)
    }

    /// Providers send people back to the shop, so it must know where it is.
    fn check_public_url(&self, mode: Mode, url: &str) -> Result<(), String> {
        let parsed = reqwest::Url::parse(url);
        if !url.is_empty() && !parsed.is_ok_and(|url| url.path() == "/" && url.host().is_some()) {
            return Err(format!("server.public_url: `{url}` is no address of a shop; write https://HOST[:PORT]"));
        }
        let browsers = self.providers.values().any(|one| !one.client_id.is_empty());
        if browsers && mode == Mode::Production && !url.starts_with("https://") {
            return Err("server.public_url: providers send people back to it; write https://HOST[:PORT]".into());
        }
        Ok(())
    }
}

impl ProviderConfig {
    fn check(&self, name: &str, mode: Mode) -> Result<(), String> {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
        {
            return Err(": a provider's name has small letters, digits, - and _ only: it is part of an address".into());
        }
        let issuer = reqwest::Url::parse(&self.issuer);
        let plain = |url: &reqwest::Url| url.query().is_none() && url.fragment().is_none() && url.host().is_some();
        let Some(issuer) = issuer.ok().filter(|url| matches!(url.scheme(), "https" | "http") && plain(url)) else {
            return Err(".issuer: it is the provider's address; write https://HOST/PATH".into());
        };
        if issuer.scheme() != "https" && mode == Mode::Production {
            return Err(".issuer: in production it must begin with https://".into());
        }
        if self.accept_tokens && self.audience.is_empty() {
            return Err(".audience: with accept_tokens, say for whom its tokens must be".into());
        }
        if self.client_id.is_empty() && !self.accept_tokens {
            return Err(": it has neither a client_id, to sign in by a browser, nor accept_tokens = true".into());
        }
        seconds_within(".leeway", self.leeway, 0..=3_600)
    }
}
