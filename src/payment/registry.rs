//! The configured payment providers.

use std::{collections::BTreeMap, sync::Arc};

use super::{manual::ManualPaymentProvider, provider::PaymentProvider};
use crate::base::{Error, Result};

/// Registry of the configured payment providers.
#[derive(Debug, Clone)]
pub struct PaymentProviders(BTreeMap<&'static str, Arc<dyn PaymentProvider>>);

impl Default for PaymentProviders {
    /// Returns a registry with the manual provider only.
    fn default() -> Self {
        Self(BTreeMap::new()).with_provider(Arc::new(ManualPaymentProvider))
    }
}

impl PaymentProviders {
    /// Adds a provider.
    #[must_use]
    pub fn with_provider(mut self, provider: Arc<dyn PaymentProvider>) -> Self {
        self.0.insert(provider.name(), provider);
        self
    }

    /// Returns a provider by name if it is allowed.
    ///
    /// # Errors
    /// Returns `BadUserInput`, with the allowed names, if it does not exist or is not allowed.
    pub fn find_allowed(&self, name: &str, allowed: &[String], field: &str) -> Result<&Arc<dyn PaymentProvider>> {
        let is_allowed = |name: &str| allowed.iter().any(|candidate| candidate == name);
        self.0.get(name).filter(|candidate| is_allowed(candidate.name())).ok_or_else(|| {
            let names: Vec<_> = self.0.keys().copied().filter(|name| is_allowed(name)).collect();
            Error::bad_input(field, format!("this shop cannot be paid so; it takes: {}", names.join(", ")))
        })
    }

    /// Returns the provider of a stored payment.
    pub fn find_by_name(&self, name: &str) -> Result<&Arc<dyn PaymentProvider>> {
        self.0.get(name).ok_or_else(|| Error::internal("finding a payment's provider", "the shop has it no more"))
    }

    /// Returns the names of all providers.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}
