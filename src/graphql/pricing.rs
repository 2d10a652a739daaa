//! Tax rates and shipping methods.

pub mod tax;
pub mod shipping;
pub mod shipping_option;

use async_graphql::MergedObject;

/// Pricing queries.
#[derive(Debug, Default, MergedObject)]
pub struct PricingQuery(shipping::ShippingQuery, shipping_option::ShippingOptionQuery, tax::TaxQuery);

/// Pricing mutations.
#[derive(Debug, Default, MergedObject)]
pub struct PricingMutation(shipping::ShippingMutation, tax::TaxMutation);
