//! Checkout request and its context.

use iso_currency::Currency;

use crate::{
    base::{Country, LanguageCode},
    cart::details::AddressInput,
    catalog::CategoryTree,
    identity::Caller,
    infra::{Db, IdempotencyKey, config::CheckoutConfig},
    payment::PaymentProviders,
};

/// Context of a checkout.
#[derive(Debug, Clone, Copy)]
pub struct CheckoutContext<'a> {
    /// The database.
    pub db: &'a Db,
    /// The payment providers.
    pub providers: &'a PaymentProviders,
    /// The category tree, for tax rates.
    pub category_tree: &'a CategoryTree,
    /// The caller.
    pub caller: Caller,
    /// Currency of the shop.
    pub currency: Currency,
    /// Country of the shop.
    pub shop_country: Country,
    /// Language used if the customer's is unknown.
    pub default_language: LanguageCode,
    /// Checkout settings.
    pub config: &'a CheckoutConfig,
}

/// Source of the order's lines.
#[derive(Debug, Clone)]
pub enum OrderSource {
    /// The lines of a cart, by its token.
    Cart(String),
    /// Variant ids with quantities.
    Items(Vec<(i64, i64)>),
}

/// A checkout request.
#[derive(Debug, Clone)]
pub struct CheckoutRequest {
    /// Idempotency key.
    pub idempotency_key: IdempotencyKey,
    /// Source of the order's lines.
    pub source: OrderSource,
    /// Total expected by the buyer, in minor units; a mismatch returns `PriceChanged`.
    pub expected_total: Option<i64>,
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number.
    pub phone: Option<String>,
    /// Shipping address.
    pub shipping_address: Option<AddressInput>,
    /// Billing address.
    pub billing_address: Option<AddressInput>,
    /// Id of the shipping method.
    pub shipping_method_id: Option<i64>,
    /// Note on the order.
    pub note: Option<String>,
    /// Language of notifications.
    pub language: Option<LanguageCode>,
    /// Name of the payment provider.
    pub provider: String,
}
