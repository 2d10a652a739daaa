//! Settings: embedded defaults, overridden by `savannah.toml`, overridden by the environment. Unknown settings are
//! errors.

mod cache;
mod cart;
mod checkout;
mod database;
mod duration;
mod email;
mod environment;
mod graphql;
mod identity;
mod jobs;
mod log;
mod management;
mod media;
mod notification;
mod parsed;
mod payment;
mod range;
mod rate_limit;
mod redis;
mod sample_rate;
mod search;
mod server;
mod shop;
mod sms;
mod subscriptions;
mod telemetry;
mod throttle;
mod webhooks;

use std::{collections::BTreeMap, path::Path};

use config::{File, FileFormat, Map, Source, Value, ValueKind};
use serde::Deserialize;

pub use self::redis::RedisConfig;
pub use cache::CacheConfig;
pub use cart::CartConfig;
pub use checkout::CheckoutConfig;
pub use database::DatabaseConfig;
pub use email::{EmailConfig, SmtpTls};
pub use graphql::{FreeFormDocuments, GraphqlConfig};
pub use identity::{IdentityConfig, ProviderConfig};
pub use jobs::{JobsConfig, ORDER_FIGURES_CONSUMER};
pub use log::{LogConfig, LogFormat};
pub use management::{ManagementConfig, OptionalAddress};
pub use media::{MEDIA_COPY_QUEUE, MEDIA_RENDITION_QUEUE, MediaConfig, MediaStorageKind};
pub use notification::{DeliveryMode, NotificationConfig};
pub use payment::{MpesaConfig, PaymentConfig, PaymentMethodConfig, PaymentMethodsConfig, StripeConfig};
pub use rate_limit::RateLimitConfig;
pub use sample_rate::SampleRate;
pub use search::SearchConfig;
pub use server::{ServerConfig, ShutdownDelay};
pub use shop::{AutoBool, ShopConfig, ShopMode, ShopPolicy, StockDisplay};
pub use sms::SmsConfig;
pub use subscriptions::SubscriptionsConfig;
pub use telemetry::TelemetryConfig;
pub use throttle::{RateLimit, ThrottleConfig};
pub use webhooks::{WEBHOOK_DELIVERY_QUEUE, WebhooksConfig};

/// The default settings, which declare all settings.
pub const DEFAULT_SETTINGS: &str = include_str!("../../../config.example.toml");

/// All settings.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// Settings of the shop.
    pub shop: ShopConfig,
    /// Settings of the database.
    pub database: DatabaseConfig,
    /// Settings of Redis.
    pub redis: RedisConfig,
    /// Settings of the HTTP server.
    pub server: ServerConfig,
    /// Settings of GraphQL requests.
    pub graphql: GraphqlConfig,
    /// Settings of live updates.
    pub subscriptions: SubscriptionsConfig,
    /// Settings of the caches.
    pub cache: CacheConfig,
    /// Settings of the search.
    pub search: SearchConfig,
    /// Settings of authentication.
    pub identity: IdentityConfig,
    /// Settings of rate limits.
    pub throttle: ThrottleConfig,
    /// Settings of the rate limits of requests.
    pub rate_limit: RateLimitConfig,
    /// Settings of background jobs.
    pub jobs: JobsConfig,
    /// Settings of carts.
    pub cart: CartConfig,
    /// Settings of the checkout.
    pub checkout: CheckoutConfig,
    /// Settings of payment methods.
    pub payment: PaymentConfig,
    /// Settings of emails.
    pub email: EmailConfig,
    /// Settings of SMS.
    pub sms: SmsConfig,
    /// Settings of notifications.
    pub notification: NotificationConfig,
    /// Settings of outbound webhooks.
    pub webhooks: WebhooksConfig,
    /// Settings of pictures.
    pub media: MediaConfig,
    /// Settings of logging.
    pub log: LogConfig,
    /// Settings of the management address.
    pub management: ManagementConfig,
    /// Settings of traces and error tracking.
    pub telemetry: TelemetryConfig,
}

impl Config {
    /// Loads the defaults, `savannah.toml` if it exists, and the environment.
    ///
    /// # Errors
    /// Returns a message that names the unknown or invalid setting.
    pub fn load() -> Result<Self, String> {
        Self::load_from(Path::new("savannah.toml"), std::env::vars_os())
    }

    /// Loads the settings from the given file and variables.
    ///
    /// # Errors
    /// Returns a message that names the unknown or invalid setting.
    pub fn load_from(
        file: &Path,
        variables: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<Self, String> {
        let defaults =
            File::from_str(DEFAULT_SETTINGS, FileFormat::Toml).collect().map_err(|error| error.to_string())?;
        let known_settings = flatten_settings(&defaults);
        let file_name = file.display().to_string();
        let file_source = File::from_str(&read_settings_file(file)?, FileFormat::Toml);
        let file_settings = flatten_settings(
            &file_source.collect().map_err(|error| format_file_error(&file_name, &error.to_string()))?,
        );
        for (key, value) in &file_settings {
            // A float would be rounded.
            if matches!(value, ValueKind::Float(_)) {
                return Err(format!("{key} in {file_name}: a fraction is not allowed; use a whole number or a text"));
            }
            if !known_settings.contains_key(&identity::to_template_key(key).0) {
                return Err(environment::unknown_setting_message(
                    key,
                    &file_name,
                    known_settings.keys(),
                    str::to_owned,
                ));
            }
        }
        let overrides = environment::read_environment(variables, &known_settings)?;
        let providers = file_settings
            .keys()
            .chain(overrides.keys())
            .filter_map(|key| identity::to_template_key(key).1.map(str::to_owned));
        let defaults = Defaults(identity::expand_providers(defaults, providers));
        let mut builder = config::Config::builder().add_source(defaults).add_source(file_source);
        for (key, (_, value)) in &overrides {
            let value = match known_settings.get(&identity::to_template_key(key).0) {
                Some(ValueKind::Array(_)) => {
                    let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
                    Value::from(parts.map(str::to_owned).collect::<Vec<_>>())
                }
                _ => Value::from(value.as_str()),
            };
            builder = builder.set_override(key, value).map_err(|error| error.to_string())?;
        }
        let setting_location =
            |key: &str| overrides.get(key).map_or_else(|| format!("{key} in {file_name}"), |(name, _)| name.clone());
        let merged = builder.build().map_err(|error| error.to_string())?;
        merged
            .try_deserialize::<Self>()
            .map_err(|error| explain_config_error(&error, &setting_location))
            .and_then(Self::validate)
    }

    /// Returns the number of concurrent jobs of a queue per worker.
    #[must_use]
    pub fn queue_concurrency(&self, queue: &str) -> usize {
        let default = match queue {
            WEBHOOK_DELIVERY_QUEUE => self.webhooks.concurrency,
            // Its handlers run one at a time; another one would only hold a connection while it waits.
            ORDER_FIGURES_CONSUMER => 1,
            MEDIA_RENDITION_QUEUE => self.media.concurrency,
            _ => self.jobs.concurrency,
        };
        self.jobs.find_queue_concurrency(queue).unwrap_or(default)
    }

    /// Validates the settings.
    fn validate(mut self) -> Result<Self, String> {
        self.shop.validate()?;
        self.database.validate()?;
        self.redis.validate()?;
        self.server.validate()?;
        self.graphql.validate()?;
        self.subscriptions.validate()?;
        self.cache.validate()?;
        self.search.validate()?;
        self.jobs.validate()?;
        self.cart.validate()?;
        self.checkout.validate()?;
        self.payment.validate(
            &self.checkout.payment_methods,
            self.shop.mode,
            self.shop.currency,
            &self.server.public_url,
        )?;
        self.throttle.validate()?;
        self.identity.validate(self.shop.mode, &self.server.public_url)?;
        self.email.validate(self.shop.mode)?;
        self.sms.validate(self.shop.mode)?;
        self.notification.validate()?;
        self.webhooks.validate()?;
        self.media.validate()?;
        self.log.validate()?;
        self.telemetry.validate()?;
        Ok(self)
    }
}

/// The default settings, expanded with the named providers.
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

/// Formats an error of the `config` crate with the location of the setting.
fn explain_config_error(config_error: &config::ConfigError, setting_location: &impl Fn(&str) -> String) -> String {
    match config_error {
        config::ConfigError::At { error, key: Some(key), .. } => format!("{}: {error}", setting_location(key)),
        config::ConfigError::Type { key: Some(key), unexpected, expected, .. } => {
            format!("{}: expected {expected}, found {unexpected}", setting_location(key))
        }
        other => other.to_string(),
    }
}

/// Reads the settings file; returns an empty string if it does not exist, an error if it cannot be read.
fn read_settings_file(file: &Path) -> Result<String, String> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        contents => contents.map_err(|error| format!("{} cannot be read: {error}", file.display())),
    }
}

/// Formats a parse error of a settings file without the source excerpt.
fn format_file_error(file: &str, message: &str) -> String {
    let lines = message.lines().filter(|line| !line.contains('|')).map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty() && *line != format!("in {file}")).collect();
    format!("{file}: {}", lines.join(": "))
}

/// Returns all settings as `section.key`.
fn flatten_settings(map: &Map<String, Value>) -> BTreeMap<String, ValueKind> {
    let mut flattened = BTreeMap::new();
    for (name, value) in map {
        match &value.kind {
            ValueKind::Table(table) => {
                flattened
                    .extend(flatten_settings(table).into_iter().map(|(key, kind)| (format!("{name}.{key}"), kind)));
            }
            other => {
                flattened.insert(name.clone(), other.clone());
            }
        }
    }
    flattened
}
