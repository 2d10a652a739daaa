//! Settings of payment methods and their providers: `[payment.*]`.

use std::time::Duration;

use iso_currency::Currency;
use rust_decimal::Decimal;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    ShopMode,
    duration::{DAY, MINUTE, SECOND, deserialize_duration, duration_within},
    range::{one_line_of_text, within},
};
use crate::base::{Country, Money};

/// `[payment]`
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentConfig {
    /// The timeout of a request to a provider.
    #[serde(deserialize_with = "deserialize_duration")]
    pub request_timeout: Duration,
    /// The maximum number of payments of one order.
    pub max_attempts: u32,
    /// The retention of received webhooks.
    #[serde(deserialize_with = "deserialize_duration")]
    pub webhook_retention: Duration,
    /// The payment methods.
    pub methods: PaymentMethodsConfig,
    /// M-Pesa.
    pub mpesa: MpesaConfig,
    /// Stripe.
    pub stripe: StripeConfig,
}

/// `[payment.methods.*]`
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentMethodsConfig {
    /// Payment to the carrier.
    pub cash_on_delivery: PaymentMethodConfig,
    /// Transfer to the shop's bank account.
    pub bank_transfer: PaymentMethodConfig,
    /// Payment in the shop.
    pub pay_at_counter: PaymentMethodConfig,
    /// M-Pesa.
    pub mpesa: PaymentMethodConfig,
    /// Stripe.
    pub stripe: PaymentMethodConfig,
    /// Test payments; not available in production.
    pub test: PaymentMethodConfig,
}

/// What the shop sets of a payment method.
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentMethodConfig {
    /// The name shown to buyers.
    pub name: String,
    /// The instructions shown to buyers; empty for none.
    pub instructions: String,
    /// The shipping countries; empty for all.
    pub countries: Vec<String>,
    /// The smallest order total, as a decimal in the shop's currency; empty for none.
    pub min_amount: String,
    /// The largest order total, as a decimal in the shop's currency; empty for none.
    pub max_amount: String,
}

/// `[payment.mpesa]`
#[derive(Debug, Clone, Deserialize)]
pub struct MpesaConfig {
    /// The base URL of the Daraja API.
    pub url: String,
    /// The consumer key of the application.
    pub consumer_key: String,
    /// The consumer secret of the application.
    pub consumer_secret: SecretString,
    /// The business short code.
    pub short_code: String,
    /// The passkey of the short code.
    pub passkey: SecretString,
    /// The till number for `CustomerBuyGoodsOnline`; empty for a pay bill.
    pub till_number: String,
    /// The name of the API operator, for reversals; empty: refunds are not supported.
    pub initiator_name: String,
    /// The operator's encrypted credential.
    pub security_credential: SecretString,
    /// The key of the tokens in callback URLs.
    pub callback_key: SecretString,
}

/// `[payment.stripe]`
#[derive(Debug, Clone, Deserialize)]
pub struct StripeConfig {
    /// The base URL of the API.
    pub url: String,
    /// The secret key.
    pub secret_key: SecretString,
    /// The publishable key, given to storefronts.
    pub publishable_key: String,
    /// The signing secrets of webhook endpoints, comma-separated: several while one is replaced.
    pub webhook_secrets: SecretString,
    /// Whether payments are captured at once; otherwise staff capture them.
    pub capture_automatically: bool,
}

impl PaymentConfig {
    /// Validates the settings of the enabled methods.
    pub(super) fn validate(
        &self,
        enabled: &[String],
        mode: ShopMode,
        currency: Currency,
        public_url: &str,
    ) -> Result<(), String> {
        let is_enabled = |id: &str| enabled.iter().any(|candidate| candidate == id);
        duration_within("payment.request_timeout", self.request_timeout, SECOND..=MINUTE)?;
        duration_within("payment.webhook_retention", self.webhook_retention, DAY..=DAY * 3650)?;
        within("payment.max_attempts", self.max_attempts, 1..=100)?;
        for (id, method) in self.methods.list() {
            method.validate(id, currency)?;
        }
        if !self.mpesa.consumer_key.is_empty() || is_enabled("mpesa") {
            self.mpesa.validate(mode, public_url)?;
        }
        if !self.stripe.secret_key.expose_secret().is_empty() || is_enabled("stripe") {
            self.stripe.validate(mode)?;
        }
        for id in enabled {
            match id.as_str() {
                "test" if mode == ShopMode::Production => {
                    return Err("checkout.payment_methods: `test` is not available in production".into());
                }
                other if self.methods.list().iter().any(|(known, _)| *known == other) => {}
                other => {
                    let known = self.methods.list().map(|(known, _)| known).join(", ");
                    return Err(format!("checkout.payment_methods: `{other}` is none of {known}"));
                }
            }
        }
        Ok(())
    }
}

impl PaymentMethodsConfig {
    /// Returns the settings of all methods with their ids.
    #[must_use]
    pub const fn list(&self) -> [(&'static str, &PaymentMethodConfig); 6] {
        [
            ("cash_on_delivery", &self.cash_on_delivery),
            ("bank_transfer", &self.bank_transfer),
            ("pay_at_counter", &self.pay_at_counter),
            ("mpesa", &self.mpesa),
            ("stripe", &self.stripe),
            ("test", &self.test),
        ]
    }
}

impl PaymentMethodConfig {
    /// Returns the smallest and the largest order total in minor units; `None` means no limit.
    #[must_use]
    pub fn limits(&self, currency: Currency) -> [Option<i64>; 2] {
        [&self.min_amount, &self.max_amount].map(|text| parse_minor_units(text, currency).ok().flatten())
    }

    /// Returns whether the method is available in a shipping country: in all, if none is set.
    #[must_use]
    pub fn is_available_in(&self, country: Country) -> bool {
        self.countries.is_empty() || self.countries.iter().any(|code| code.parse() == Ok(country))
    }

    fn validate(&self, id: &str, currency: Currency) -> Result<(), String> {
        one_line_of_text(&format!("payment.methods.{id}.name"), &self.name)?;
        if let Some(code) = self.countries.iter().find(|code| code.parse::<Country>().is_err()) {
            return Err(format!("payment.methods.{id}.countries: `{code}` is not a country code"));
        }
        for (name, text) in [("min_amount", &self.min_amount), ("max_amount", &self.max_amount)] {
            parse_minor_units(text, currency).map_err(|problem| format!("payment.methods.{id}.{name}: {problem}"))?;
        }
        Ok(())
    }
}

impl MpesaConfig {
    fn validate(&self, mode: ShopMode, public_url: &str) -> Result<(), String> {
        let required = [
            ("consumer_key", self.consumer_key.as_str()),
            ("consumer_secret", self.consumer_secret.expose_secret()),
            ("short_code", &self.short_code),
            ("passkey", self.passkey.expose_secret()),
        ];
        require_settings("mpesa", &required)?;
        validate_url("payment.mpesa.url", &self.url, mode)?;
        for (name, digits) in [("short_code", &self.short_code), ("till_number", &self.till_number)] {
            if digits.len() > 12 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(format!("payment.mpesa.{name}: it has only digits"));
            }
        }
        if self.callback_key.expose_secret().len() < 32 {
            return Err(
                "payment.mpesa.callback_key: at least 32 random characters are required, because callbacks are \
                        not signed"
                    .into(),
            );
        }
        if public_url.is_empty() {
            return Err("server.public_url: M-Pesa needs it, because it sends results there".into());
        }
        Ok(())
    }
}

impl StripeConfig {
    fn validate(&self, mode: ShopMode) -> Result<(), String> {
        let required = [
            ("secret_key", self.secret_key.expose_secret()),
            ("publishable_key", self.publishable_key.as_str()),
            ("webhook_secrets", self.webhook_secrets.expose_secret()),
        ];
        require_settings("stripe", &required)?;
        validate_url("payment.stripe.url", &self.url, mode)
    }

    /// Returns the signing secrets of webhooks.
    pub fn webhook_secret_list(&self) -> impl Iterator<Item = &str> {
        self.webhook_secrets.expose_secret().split(',').map(str::trim).filter(|secret| !secret.is_empty())
    }
}

/// Requires all settings if the first is set or the method is enabled.
fn require_settings(provider: &str, required: &[(&str, &str)]) -> Result<(), String> {
    let key = |name: &str| format!("payment.{provider}.{name}");
    match (required.first(), required.iter().find(|(_, value)| value.is_empty())) {
        (Some((first, value)), Some((missing, _))) if !value.is_empty() => {
            Err(format!("{}: it is needed together with {}", key(missing), key(first)))
        }
        (_, Some((missing, _))) => Err(format!("{}: the enabled payment method `{provider}` needs it", key(missing))),
        (_, None) => Ok(()),
    }
}

fn validate_url(setting: &str, url: &str, mode: ShopMode) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match parsed {
        Some(url) if mode != ShopMode::Production || url.scheme() == "https" => Ok(()),
        _ => Err(format!("{setting}: this is not the URL of a service; write https://HOST")),
    }
}

/// Parses a decimal in a currency; empty means no limit.
fn parse_minor_units(text: &str, currency: Currency) -> Result<Option<i64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let decimal: Decimal = text.parse().map_err(|_| format!("`{text}` is not an amount"))?;
    match Money::from_decimal(decimal, currency) {
        Some((money, false)) => Ok(Some(money.minor_units)),
        _ => Err(format!("`{text}` is not an amount in {}", currency.code())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_countries_of_a_method_are_validated() {
        let method = |min_amount: &str, countries: &[&str]| PaymentMethodConfig {
            name: "Cash".into(),
            instructions: String::new(),
            countries: countries.iter().map(|code| (*code).to_owned()).collect(),
            min_amount: min_amount.into(),
            max_amount: String::new(),
        };
        for valid in [method("", &[]), method("1.5", &["KE", "ug"])] {
            assert_eq!(valid.validate("cash", Currency::KES), Ok(()));
        }
        for invalid in [method("x", &[]), method("-1", &[]), method("1.001", &[]), method("", &["Kenya"])] {
            assert!(invalid.validate("cash", Currency::KES).is_err(), "{invalid:?}");
        }
        assert_eq!(method("1.5", &[]).limits(Currency::KES), [Some(150), None]);
        let kenya = Country::from_code("KE").expect("a country");
        assert!(method("", &["ke"]).is_available_in(kenya) && !method("", &["UG"]).is_available_in(kenya));
    }
}
