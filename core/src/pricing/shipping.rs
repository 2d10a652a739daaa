//! Shipping methods: supported countries and weights, prices.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{
    entity::shipping_method,
    quote::{EffectiveTaxRate, ShippingCharge},
};
use crate::base::{Country, Result};

impl shipping_method::Model {
    /// Returns the supported country codes; empty means all countries.
    pub fn destinations(&self) -> impl Iterator<Item = &str> {
        self.countries.split(' ').filter(|code| !code.is_empty())
    }

    /// Returns whether the method delivers to a country.
    #[must_use]
    pub fn serves_country(&self, country: Country) -> bool {
        let code = country.to_string();
        self.countries.is_empty() || self.destinations().any(|destination| destination == code)
    }

    /// Returns whether the method supports a country and a weight in grams.
    #[must_use]
    pub fn supports_shipment(&self, country: Country, grams: i64) -> bool {
        let serves_country = self.serves_country(country);
        let below_max_weight = self.max_weight_grams.is_none_or(|max| grams <= max);
        serves_country && below_max_weight && self.min_weight_grams.is_none_or(|min| min <= grams)
    }

    /// Returns the shipping charge for calculations; `tax` is the country's default rate.
    #[must_use]
    pub fn shipping_charge(&self, tax: Option<EffectiveTaxRate>) -> ShippingCharge {
        let tax = tax.filter(|_| self.taxable);
        ShippingCharge {
            price: self.price,
            price_per_kg: self.price_per_kg,
            free_shipping_threshold: self.free_shipping_threshold,
            tax_rate: tax,
        }
    }
}

/// Lists the shipping methods that are not deleted, in order; optionally only active ones. Statements: 1.
pub async fn list_shipping_methods(
    db: &impl ConnectionTrait,
    active_only: bool,
) -> Result<Vec<shipping_method::Model>> {
    let mut query = shipping_method::Entity::find().filter(shipping_method::Column::DeletedAt.is_null());
    if active_only {
        query = query.filter(shipping_method::Column::Active.eq(true));
    }
    let ordered = query.order_by_asc(shipping_method::Column::Position).order_by_asc(shipping_method::Column::Id);
    Ok(ordered.all(db).await?)
}
