//! The configured payment methods and their providers.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    manual::ManualPaymentProvider,
    method::{PayableOrder, PaymentMethod, PaymentMethodKind},
    mpesa::{MPESA_PROVIDER_NAME, MpesaProvider},
    provider::PaymentProvider,
    stripe::{STRIPE_PROVIDER_NAME, StripeProvider},
    test_provider::{TEST_PROVIDER_NAME, TestPaymentProvider},
};
use crate::{
    base::{Clock, Error, Result},
    infra::{Config, HttpClient, config::ShopMode},
};

/// The methods of the manual provider.
const MANUAL_METHODS: [(&str, PaymentMethodKind); 3] = [
    ("cash_on_delivery", PaymentMethodKind::CashOnDelivery),
    ("bank_transfer", PaymentMethodKind::BankTransfer),
    ("pay_at_counter", PaymentMethodKind::PayAtCounter),
];

/// Registry of the payment methods and their providers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PaymentProviders {
    providers: BTreeMap<&'static str, Arc<dyn PaymentProvider>>,
    /// Enabled methods, in the order of their display.
    methods: Vec<PaymentMethod>,
}

impl Default for PaymentProviders {
    /// Returns a registry with the manual methods, without restrictions.
    fn default() -> Self {
        let manual: Arc<dyn PaymentProvider> = Arc::new(ManualPaymentProvider);
        let to_method = |(id, kind)| PaymentMethod::unrestricted(id, kind, Arc::clone(&manual));
        let methods = MANUAL_METHODS.into_iter().map(to_method).collect();
        Self { providers: BTreeMap::from([(manual.name(), manual)]), methods }
    }
}

impl PaymentProviders {
    /// Creates the registry of the settings. A provider with credentials serves its existing payments also while its
    /// method is disabled.
    ///
    /// # Errors
    /// Returns a message for the operator if a setting is invalid.
    pub fn from_config(config: &Config, client: &HttpClient, clock: &Clock) -> Result<Self, String> {
        let manual: Arc<dyn PaymentProvider> = Arc::new(ManualPaymentProvider);
        let mut available: Vec<(&str, PaymentMethodKind, Arc<dyn PaymentProvider>)> =
            MANUAL_METHODS.into_iter().map(|(id, kind)| (id, kind, Arc::clone(&manual))).collect();
        let is_development = config.shop.mode != ShopMode::Production;
        if is_development {
            let test = Arc::new(TestPaymentProvider::new(&config.server.public_url));
            available.push((TEST_PROVIDER_NAME, PaymentMethodKind::Test, test));
        }
        if MpesaProvider::is_configured(config) {
            let mpesa = Arc::new(MpesaProvider::new(config, client, clock)?);
            available.push((MPESA_PROVIDER_NAME, PaymentMethodKind::MobileMoney, mpesa));
        }
        if StripeProvider::is_configured(config) {
            let stripe = Arc::new(StripeProvider::new(config, client)?);
            available.push((STRIPE_PROVIDER_NAME, PaymentMethodKind::Card, stripe));
        }
        let mut enabled = config.checkout.payment_methods.clone();
        if enabled.is_empty() && is_development {
            enabled.extend([TEST_PROVIDER_NAME, "cash_on_delivery"].map(str::to_owned));
        }
        let settings = config.payment.methods.list();
        let to_method = |id: &String| {
            let (_, kind, provider) = available.iter().find(|(available_id, ..)| available_id == id)?;
            let (_, method_config) = settings.iter().find(|(known, _)| known == id)?;
            Some(PaymentMethod {
                id: id.clone(),
                kind: *kind,
                provider: Arc::clone(provider),
                name: method_config.name.clone(),
                instructions: Some(method_config.instructions.clone()).filter(|text| !text.is_empty()),
                limits: method_config.limits(config.shop.currency),
                config: Some((*method_config).clone()),
            })
        };
        let methods = enabled.iter().filter_map(to_method).collect();
        let providers = available.into_iter().map(|(_, _, provider)| (provider.name(), provider)).collect();
        Ok(Self { providers, methods })
    }

    /// Adds a provider with a method of the same name, without restrictions.
    #[must_use]
    pub fn with_provider(mut self, provider: Arc<dyn PaymentProvider>) -> Self {
        let name = provider.name();
        self.methods.push(PaymentMethod::unrestricted(name, PaymentMethodKind::Other, Arc::clone(&provider)));
        self.providers.insert(name, provider);
        self
    }

    /// Returns the enabled methods, in the order of their display.
    #[must_use]
    pub fn methods(&self) -> &[PaymentMethod] {
        &self.methods
    }

    /// Returns an enabled method.
    ///
    /// # Errors
    /// Returns `BadUserInput`, with the enabled methods, if it does not exist or is not enabled.
    pub fn find_method(&self, id: &str, field: &str) -> Result<&PaymentMethod> {
        self.methods.iter().find(|method| method.id == id).ok_or_else(|| {
            let ids: Vec<_> = self.methods.iter().map(|method| method.id.as_str()).collect();
            let message = if ids.is_empty() {
                "no payment method is available in this shop".to_owned()
            } else {
                format!("this payment method is not available; available: {}", ids.join(", "))
            };
            Error::bad_input(field, message)
        })
    }

    /// Returns a method if the order can be paid with it.
    ///
    /// # Errors
    /// Returns `BadUserInput` if it is not enabled, or not available for the order.
    pub fn find_method_for_order(&self, id: &str, order: PayableOrder, field: &str) -> Result<&PaymentMethod> {
        let method = self.find_method(id, field)?;
        match method.find_obstacle(order) {
            Some(obstacle) => Err(Error::bad_input(field, obstacle)),
            None => Ok(method),
        }
    }

    /// Returns the provider of a stored payment.
    pub fn find_by_name(&self, name: &str) -> Result<&Arc<dyn PaymentProvider>> {
        self.providers
            .get(name)
            .ok_or_else(|| Error::internal("finding the provider of a payment", "it is not configured"))
    }

    /// Returns a provider, if it is configured.
    #[must_use]
    pub fn get_provider(&self, name: &str) -> Option<&Arc<dyn PaymentProvider>> {
        self.providers.get(name)
    }

    /// Returns the names of the remote providers.
    #[must_use]
    pub fn list_remote_providers(&self) -> Vec<&'static str> {
        self.providers.values().filter(|provider| !provider.is_local()).map(|provider| provider.name()).collect()
    }
}
