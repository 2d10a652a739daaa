//! Settings: the embedded defaults, under `savannah.toml`, under the environment. An unknown one stops the start.

mod cart;
mod checkout;
mod graphql;
mod identity;
mod jobs;
mod log;
mod message;
mod range;
mod server;
mod throttle;

use std::{collections::BTreeMap, path::Path, str::FromStr, time::Duration};

use chrono_tz::Tz;
use config::{File, FileFormat, Map, Source, Value, ValueKind};
use iso_currency::Currency;
use serde::{Deserialize, Deserializer, de};

use crate::base::{Country, Language};
pub use cart::CartConfig;
pub use checkout::CheckoutConfig;
pub use graphql::GraphqlConfig;
pub use identity::{IdentityConfig, ProviderConfig};
pub use jobs::JobsConfig;
pub use log::{LogConfig, LogFormat};
pub use message::{MailConfig, NotificationConfig, SmsConfig, Tls, Way};
use range::{DAY, one_line_of_text, seconds_within, within};
pub use server::{ServerConfig, ShutdownDelay};
pub use throttle::{Limit, ThrottleConfig};

/// The defaults, and the list of what can be set.
pub const DEFAULTS: &str = include_str!("../../config.example.toml");

/// Variables with a name of their own.
const NAMED: [(&str, &str); 3] =
    [("DATABASE_URL", "database.url"), ("BIND_ADDR", "server.bind"), ("RUST_LOG", "log.filter")];

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// The shop itself.
    pub shop: ShopConfig,
    /// Where it keeps its data.
    pub database: DatabaseConfig,
    /// How it is reached.
    pub server: ServerConfig,
    /// The GraphQL edge.
    pub graphql: GraphqlConfig,
    /// Who may come in, and how.
    pub identity: IdentityConfig,
    /// Limits of what anybody may do.
    pub throttle: ThrottleConfig,
    /// What is done after.
    pub jobs: JobsConfig,
    /// What is kept of what shoppers have chosen.
    pub cart: CartConfig,
    /// How orders wait for their money.
    pub checkout: CheckoutConfig,
    /// How letters go out.
    pub mail: MailConfig,
    /// How short messages go out.
    pub sms: SmsConfig,
    /// What they say.
    pub notification: NotificationConfig,
    /// What it writes down.
    pub log: LogConfig,
}

/// `[shop]`
#[derive(Debug, Clone, Deserialize)]
pub struct ShopConfig {
    /// What it is called.
    pub name: String,
    /// What its prices are in.
    #[serde(deserialize_with = "parsed")]
    pub currency: Currency,
    /// Where it stands: a phone number without a country's code is one of there.
    #[serde(deserialize_with = "parsed")]
    pub country: Country,
    /// Where the days of imported files begin and end.
    #[serde(deserialize_with = "parsed")]
    pub time_zone: Tz,
    /// What it speaks to those who have not said what they speak.
    #[serde(deserialize_with = "parsed")]
    pub language: Language,
    /// Whether strangers are about.
    #[serde(deserialize_with = "parsed")]
    pub mode: Mode,
}

/// Where the shop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// On a developer's machine.
    Development,
    /// In front of shoppers.
    Production,
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "development" => Ok(Self::Development),
            "production" => Ok(Self::Production),
            _ => Err("it is development or production"),
        }
    }
}

/// `[database]`
#[derive(Clone, Deserialize)]
pub struct DatabaseConfig {
    /// May hold a password: it is never shown.
    pub url: String,
    /// 0: by the number of cores.
    pub connections: u32,
    /// For a statement of a request.
    #[serde(deserialize_with = "seconds")]
    pub statement_timeout: Duration,
    /// For what another transaction holds.
    #[serde(deserialize_with = "seconds")]
    pub lock_timeout: Duration,
    /// For a transaction that sends nothing.
    #[serde(deserialize_with = "seconds")]
    pub idle_transaction_timeout: Duration,
    /// For a free connection.
    #[serde(deserialize_with = "seconds")]
    pub acquire_timeout: Duration,
}

impl DatabaseConfig {
    /// What is well formed but cannot be.
    fn check(&self) -> Result<(), String> {
        within("database.connections", self.connections, 0..=10_000)?;
        seconds_within("database.statement_timeout", self.statement_timeout, 1..=DAY)?;
        seconds_within("database.lock_timeout", self.lock_timeout, 1..=DAY)?;
        seconds_within("database.idle_transaction_timeout", self.idle_transaction_timeout, 1..=DAY)?;
        seconds_within("database.acquire_timeout", self.acquire_timeout, 1..=DAY)
    }

    /// For commands and upgrades, which take as long as they take.
    #[must_use]
    pub fn without_limits(&self) -> Self {
        let none = Duration::ZERO;
        Self { statement_timeout: none, lock_timeout: none, idle_transaction_timeout: none, ..self.clone() }
    }
}

impl std::fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseConfig").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// On, off, or by the shop's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// On in development.
    Auto,
    /// Decided.
    Set(bool),
}

impl Switch {
    /// Whether it is on in this mode.
    #[must_use]
    pub fn on(self, mode: Mode) -> bool {
        match self {
            Self::Auto => mode == Mode::Development,
            Self::Set(on) => on,
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match String::deserialize(from)?.as_str() {
            "auto" => Ok(Self::Auto),
            "true" => Ok(Self::Set(true)),
            "false" => Ok(Self::Set(false)),
            other => Err(de::Error::custom(format!("`{other}` is none of auto, true, false"))),
        }
    }
}

fn parsed<'de, T: FromStr<Err: std::fmt::Display>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|why| de::Error::custom(format!("`{text}` will not do: {why}")))
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_secs)
}

impl Config {
    /// Reads `savannah.toml` (if it is there) and the environment over the defaults.
    ///
    /// # Errors
    /// A sentence that names the setting that is unknown or wrong.
    pub fn load() -> Result<Self, String> {
        Self::read(Path::new("savannah.toml"), std::env::vars_os())
    }

    /// The same, from a file and variables of one's own.
    ///
    /// # Errors
    /// A sentence that names the setting that is unknown or wrong.
    pub fn read(
        file: &Path,
        vars: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<Self, String> {
        let defaults = File::from_str(DEFAULTS, FileFormat::Toml).collect().map_err(|why| why.to_string())?;
        let known = flat(&defaults);
        let file_name = file.display().to_string();
        let over = File::from_str(&text_of(file)?, FileFormat::Toml);
        let said = flat(&over.collect().map_err(|why| one_line(&file_name, &why.to_string()))?);
        for (key, value) in &said {
            // It would be rounded.
            if matches!(value, ValueKind::Float(_)) {
                return Err(format!("{key} in {file_name}: {value} will not do, a whole number is needed"));
            }
            if !known.contains_key(&identity::patterned(key).0) {
                return Err(unknown(key, &file_name, known.keys(), str::to_owned));
            }
        }
        let set = environment(vars, &known)?;
        let providers = said.keys().chain(set.keys()).filter_map(|key| identity::patterned(key).1.map(str::to_owned));
        let defaults = Defaults(identity::spread(defaults, providers));
        let mut builder = config::Config::builder().add_source(defaults).add_source(over);
        for (key, (_, value)) in &set {
            let value = match known.get(&identity::patterned(key).0) {
                Some(ValueKind::Array(_)) => {
                    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
                    Value::from(parts.map(str::to_owned).collect::<Vec<_>>())
                }
                _ => Value::from(value.as_str()),
            };
            builder = builder.set_override(key, value).map_err(|why| why.to_string())?;
        }
        let named = |key: &str| set.get(key).map_or_else(|| format!("{key} in {file_name}"), |(name, _)| name.clone());
        let all = builder.build().map_err(|why| why.to_string())?;
        all.try_deserialize::<Self>().map_err(|why| explain(&why, &named)).and_then(Self::check)
    }

    /// What is well formed but cannot be.
    fn check(mut self) -> Result<Self, String> {
        let url = &self.database.url;
        if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("DATABASE_URL must begin with sqlite:// or postgres://".into());
        }
        one_line_of_text("shop.name", &self.shop.name)?;
        self.database.check()?;
        self.server.check()?;
        self.graphql.check()?;
        self.jobs.check()?;
        self.cart.check()?;
        self.checkout.check()?;
        self.throttle.check()?;
        self.identity.check(self.shop.mode, &self.server.public_url)?;
        self.mail.check(self.shop.mode)?;
        self.sms.check(self.shop.mode)?;
        self.notification.check()?;
        Ok(self)
    }
}

/// The defaults, with the providers that were named among them.
#[derive(Debug, Clone)]
struct Defaults(Map<String, Value>);

impl Source for Defaults {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// What the environment sets: the key, the variable that said so, and its value.
fn environment(
    vars: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    known: &BTreeMap<String, ValueKind>,
) -> Result<BTreeMap<String, (String, String)>, String> {
    let mut set = BTreeMap::new();
    let mut named = BTreeMap::new();
    for (name, value) in vars {
        let Ok(name) = name.into_string() else { continue };
        let own = NAMED.iter().find(|(own, _)| *own == name);
        if own.is_none() && !name.starts_with("SAVANNAH_") {
            continue;
        }
        let value = value.into_string().map_err(|_| format!("{name} is not UTF-8"))?;
        if let Some((_, key)) = own {
            named.insert((*key).to_owned(), (name, value));
            continue;
        }
        // SAVANNAH_GRAPHIQL_DIR and SAVANNAH_TEST_... speak to the build and the tests, not to the shop.
        if !name["SAVANNAH_".len()..].contains("__") {
            continue;
        }
        let key = name["SAVANNAH_".len()..].to_lowercase().replace("__", ".");
        if !known.contains_key(&identity::patterned(&key).0) {
            let spell = |key: &str| format!("SAVANNAH_{}", key.replace('.', "__").to_uppercase());
            return Err(unknown(&spell(&key), "the environment", known.keys(), spell));
        }
        set.insert(key, (name, value));
    }
    set.append(&mut named);
    Ok(set)
}

fn unknown<'a>(
    name: &str,
    place: &str,
    known: impl Iterator<Item = &'a String>,
    spell: impl Fn(&str) -> String,
) -> String {
    let dotted = name.trim_start_matches("SAVANNAH_").to_lowercase().replace("__", ".");
    let (_, provider) = identity::patterned(&dotted);
    let nearest = known
        .map(|key| spell(&identity::of(key, provider)))
        .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
    format!("unknown setting {name} in {place}{hint}")
}

/// The crate's message, with the place a person would look for.
fn explain(why: &config::ConfigError, named: &impl Fn(&str) -> String) -> String {
    match why {
        config::ConfigError::At { error, key: Some(key), .. } => format!("{}: {error}", named(key)),
        config::ConfigError::Type { key: Some(key), unexpected, expected, .. } => {
            format!("{}: {unexpected} will not do, {expected} is needed", named(key))
        }
        other => other.to_string(),
    }
}

/// What the file says; nothing where there is none. One that cannot be read is not passed over.
fn text_of(file: &Path) -> Result<String, String> {
    match std::fs::read_to_string(file) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|why| format!("{} cannot be read: {why}", file.display())),
    }
}

/// What is wrong with a file, without the picture of it that the parser draws.
fn one_line(file: &str, why: &str) -> String {
    let words = why.lines().filter(|line| !line.contains('|')).map(str::trim);
    let words: Vec<_> = words.filter(|line| !line.is_empty() && *line != format!("in {file}")).collect();
    format!("{file}: {}", words.join(": "))
}

/// `section.key` of everything in it.
fn flat(map: &Map<String, Value>) -> BTreeMap<String, ValueKind> {
    let mut out = BTreeMap::new();
    for (name, value) in map {
        match &value.kind {
            ValueKind::Table(inner) => {
                out.extend(flat(inner).into_iter().map(|(key, kind)| (format!("{name}.{key}"), kind)));
            }
            other => {
                out.insert(name.clone(), other.clone());
            }
        }
    }
    out
}
