//! Ways of shipping: where they go, what they carry, what they cost.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::{
    entity::shipping_method,
    quote::{Rate, Way},
};
use crate::base::{Country, Result};

impl shipping_method::Model {
    /// The countries it goes to; none means every country.
    pub fn destinations(&self) -> impl Iterator<Item = &str> {
        self.countries.split(' ').filter(|code| !code.is_empty())
    }

    /// Whether it carries so many grams to a country.
    #[must_use]
    pub fn fits(&self, country: Country, grams: i64) -> bool {
        let code = country.to_string();
        let there = self.countries.is_empty() || self.destinations().any(|one| one == code);
        let light = self.max_grams.is_none_or(|most| grams <= most);
        there && light && self.min_grams.is_none_or(|least| least <= grams)
    }

    /// What it costs, as the arithmetic knows it, where this is the country's own rate of tax.
    #[must_use]
    pub fn way(&self, tax: Option<Rate>) -> Way {
        let tax = tax.filter(|_| self.taxable);
        Way { price: self.price, per_kg: self.price_per_kg, free_from: self.free_from, tax }
    }
}

/// All ways of shipping that are not deleted, in order; or only those that shoppers may choose. One statement; they are
/// few.
///
/// # Errors
/// When the database cannot be asked.
pub async fn all(db: &impl ConnectionTrait, active: bool) -> Result<Vec<shipping_method::Model>> {
    let mut query = shipping_method::Entity::find().filter(shipping_method::Column::DeletedAt.is_null());
    if active {
        query = query.filter(shipping_method::Column::Active.eq(true));
    }
    let ordered = query.order_by_asc(shipping_method::Column::Position).order_by_asc(shipping_method::Column::Id);
    Ok(ordered.all(db).await?)
}
