//! Payment methods: what a buyer chooses. Each is processed by a provider.

use std::sync::Arc;

use crate::{
    base::{Country, Money},
    infra::config::PaymentMethodConfig,
    payment::{manual::MANUAL_PROVIDER_NAME, provider::PaymentProvider},
};

/// Kind of a payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentMethodKind {
    /// Payment to the carrier.
    CashOnDelivery,
    /// Transfer to the shop's bank account.
    BankTransfer,
    /// Payment in the shop.
    PayAtCounter,
    /// Payment with a phone.
    MobileMoney,
    /// Payment by card.
    Card,
    /// Test payment.
    Test,
    /// Another method.
    Other,
}

/// A payment method of the shop.
#[derive(Debug, Clone)]
pub struct PaymentMethod {
    /// Id in the API and the database.
    pub id: String,
    /// Kind.
    pub kind: PaymentMethodKind,
    /// Provider.
    pub provider: Arc<dyn PaymentProvider>,
    /// Name shown to buyers.
    pub name: String,
    /// Instructions shown to buyers.
    pub instructions: Option<String>,
    /// Smallest and largest order total in minor units.
    pub limits: [Option<i64>; 2],
    /// Settings; `None` for a method without restrictions.
    pub config: Option<PaymentMethodConfig>,
}

/// What an order must fulfill to be payable with a method.
#[derive(Debug, Clone, Copy)]
pub struct PayableOrder {
    /// Total.
    pub total: Money,
    /// Shipping country; `None` if nothing is shipped.
    pub country: Option<Country>,
}

impl PaymentMethod {
    /// Creates a method without restrictions whose id is the name of its provider.
    #[must_use]
    pub fn unrestricted(id: &str, kind: PaymentMethodKind, provider: Arc<dyn PaymentProvider>) -> Self {
        Self {
            id: id.to_owned(),
            kind,
            provider,
            name: id.to_owned(),
            instructions: None,
            limits: [None; 2],
            config: None,
        }
    }

    /// Returns why an order cannot be paid with this method; `None` if it can.
    #[must_use]
    pub fn find_obstacle(&self, order: PayableOrder) -> Option<String> {
        let PayableOrder { total, country } = order;
        let format_limit =
            |minor| format!("{} {}", Money::new(minor, total.currency).to_decimal(), total.currency.code());
        let [min, max] = self.limits;
        if let Some(min) = min.filter(|min| total.minor_units < *min) {
            return Some(format!("{} is available from {}", self.name, format_limit(min)));
        }
        if let Some(max) = max.filter(|max| total.minor_units > *max) {
            return Some(format!("{} is available up to {}", self.name, format_limit(max)));
        }
        let is_country_excluded = |country| self.config.as_ref().is_some_and(|config| !config.is_available_in(country));
        if country.is_some_and(is_country_excluded) {
            return Some(format!("{} is not available in this country", self.name));
        }
        // Nothing is due for a free order.
        if total.minor_units > 0 && !self.provider.accepts(total) {
            return Some(format!("{} cannot process the amount {}", self.name, format_limit(total.minor_units)));
        }
        None
    }

    /// Returns the name of the provider of a payment. Nothing is due for a free order, so no remote provider is called.
    #[must_use]
    pub fn provider_name(&self, amount: i64) -> &'static str {
        if amount == 0 { MANUAL_PROVIDER_NAME } else { self.provider.name() }
    }

    /// Returns whether a payment of this amount is processed without a remote provider.
    #[must_use]
    pub fn is_local(&self, amount: i64) -> bool {
        amount == 0 || self.provider.is_local()
    }

    /// Returns whether staff confirm every order, also of verified buyers, because the money arrives before.
    #[must_use]
    pub const fn requires_confirmation(&self) -> bool {
        matches!(self.kind, PaymentMethodKind::BankTransfer)
    }
}
