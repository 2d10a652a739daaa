//! Interface of payment providers. Calls are idempotent by their key; a result may also arrive later.

use std::{collections::BTreeMap, fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::manual::ManualPaymentProvider;
use crate::base::{Error, Result};

/// Request to a payment provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRequest {
    /// Idempotency key, the same for each retry: `payment-7`, `refund-3`.
    pub idempotency_key: String,
    /// The provider's payment reference; `None` until known.
    pub reference: Option<String>,
    /// Order number, for texts shown to the buyer.
    pub order_number: String,
    /// Amount in minor units.
    pub amount: i64,
    /// Currency code (ISO 4217).
    pub currency: String,
    /// Phone number of the buyer, for mobile money.
    pub phone: Option<String>,
    /// E-mail address of the buyer.
    pub email: Option<String>,
}

/// Result of a provider call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentResult {
    /// The payment is authorized and can be captured.
    Authorized {
        /// The provider's payment reference.
        reference: String,
    },
    /// The payment was captured, refunded or voided.
    Succeeded {
        /// The provider's transaction reference.
        reference: String,
    },
    /// The buyer must act first; the result follows later.
    Pending {
        /// The provider's payment reference, if known.
        reference: Option<String>,
        /// URL where the buyer continues the payment.
        action_url: Option<String>,
    },
    /// The provider declined.
    Declined {
        /// Reason, shown to the buyer.
        reason: String,
    },
    /// The result is unknown; retry with the same key.
    Unknown {
        /// Reason, for the log.
        reason: String,
    },
}

/// A payment provider.
pub trait PaymentProvider: fmt::Debug + Send + Sync {
    /// Returns the name in the API and the database; it must not change.
    fn name(&self) -> &'static str;

    /// Returns whether results are local and immediate; they are then applied in the order's own transaction.
    fn is_local(&self) -> bool {
        false
    }

    /// Authorizes a payment.
    fn authorize(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Captures an authorized payment.
    fn capture(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Refunds a captured payment.
    fn refund(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;

    /// Voids an authorized payment.
    fn void(&self, request: PaymentRequest) -> BoxFuture<'_, PaymentResult>;
}

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
    pub fn find_allowed(&self, name: &str, (allowed, field): (&[String], &str)) -> Result<&Arc<dyn PaymentProvider>> {
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
