//! Selection of tax rates: the rate of the nearest ancestor category, otherwise the country's default rate.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::{entity::tax_rate, quote::EffectiveTaxRate};
use crate::{
    base::{Country, Result},
    catalog::CategoryTree,
};

impl tax_rate::Model {
    /// Returns the rate for calculations.
    #[must_use]
    pub fn effective_rate(&self) -> EffectiveTaxRate {
        EffectiveTaxRate { rate_bps: self.rate_bps, included: self.included_in_price }
    }
}

/// The tax rates of a country.
#[derive(Debug, Clone, Default)]
pub struct CountryTaxRates(Vec<tax_rate::Model>);

impl CountryTaxRates {
    /// Loads the tax rates of a country. Statements: 1.
    pub async fn load(db: &impl ConnectionTrait, country: Country) -> Result<Self> {
        let query = tax_rate::Entity::find().filter(tax_rate::Column::CountryCode.eq(country.to_string()));
        Ok(Self(query.all(db).await?))
    }

    /// Returns the country's default rate.
    #[must_use]
    pub fn country_rate(&self) -> Option<&tax_rate::Model> {
        self.find_by_category(None)
    }

    /// Returns the rate for products of a category.
    #[must_use]
    pub fn find_for_category(&self, tree: &CategoryTree, category: i64) -> Option<&tax_rate::Model> {
        let mut next = tree.find_index(category);
        while let Some(current) = next {
            let node = tree.node(current);
            if let Some(rate) = self.find_by_category(Some(node.id)) {
                return Some(rate);
            }
            next = node.parent_index;
        }
        self.country_rate()
    }

    fn find_by_category(&self, category: Option<i64>) -> Option<&tax_rate::Model> {
        self.0.iter().find(|row| row.category_id == category)
    }
}

/// Lists all rates by country, each country's default rate first. Statements: 1.
pub async fn list_tax_rates(db: &impl ConnectionTrait) -> Result<Vec<tax_rate::Model>> {
    let mut rows = tax_rate::Entity::find().all(db).await?;
    rows.sort_by_key(|row| (row.country_code.clone(), row.category_id.is_some(), row.id));
    Ok(rows)
}
