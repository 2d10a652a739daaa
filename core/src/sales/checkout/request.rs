//! Checkout request.

use crate::{
    base::LanguageCode,
    cart::{LineRequest, details::AddressInput},
    infra::IdempotencyKey,
};

/// Source of the order's lines.
#[derive(Debug, Clone)]
pub enum OrderSource {
    /// The lines of a cart, by its token.
    Cart(String),
    /// Variants with quantities and attributes.
    Items(Vec<LineRequest>),
}

/// Contact data and addresses of a buyer. What is missing is taken from the cart, then from the account.
#[derive(Debug, Clone, Default)]
pub struct BuyerDetails {
    /// E-mail address.
    pub email: Option<String>,
    /// Phone number.
    pub phone: Option<String>,
    /// Language of notifications.
    pub language: Option<LanguageCode>,
    /// Shipping address.
    pub shipping_address: Option<AddressInput>,
    /// Billing address.
    pub billing_address: Option<AddressInput>,
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
    /// Contact data and addresses.
    pub buyer: BuyerDetails,
    /// Id of the shipping method.
    pub shipping_method_id: Option<i64>,
    /// Note on the order.
    pub note: Option<String>,
    /// Id of the payment method.
    pub payment_method_id: String,
    /// Phone number of the payer, for mobile money; `None` for the buyer's.
    pub payer_phone: Option<String>,
}
