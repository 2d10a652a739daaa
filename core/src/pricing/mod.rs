//! Pricing: sellable variants, taxes, shipping methods and order totals.

pub mod entity;
pub mod sellable_variant;
pub mod queries;
pub mod quote;
pub mod tax;
pub mod shipping;
pub mod pricing_context;
pub mod admin;
pub mod default_rates;

pub use default_rates::seed_default_rates;
pub use entity::{
    shipping_method::{self, ShippingKind},
    tax_rate,
};
pub use pricing_context::{PricedLine, PricedOrder, PricedShipping, PricingContext, ShopContext, price_order};
pub use queries::load_sellable_variants;
pub use quote::{EffectiveTaxRate, Totals};
pub use sellable_variant::{SellableVariant, Unavailability};
