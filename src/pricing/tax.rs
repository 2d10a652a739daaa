//! Which rate of tax a thing is sold at: the nearest category's upwards in the tree, else the country's own.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::{entity::tax_rate, quote::Rate};
use crate::{
    base::{Country, Result},
    catalog::Tree,
};

impl tax_rate::Model {
    /// The rate as the arithmetic knows it.
    #[must_use]
    pub fn rate(&self) -> Rate {
        Rate { basis_points: self.basis_points, included: self.included }
    }
}

/// The rates of one country.
#[derive(Debug, Clone, Default)]
pub struct Rates(Vec<tax_rate::Model>);

impl Rates {
    /// Reads them. One small statement.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn load(db: &impl ConnectionTrait, country: Country) -> Result<Self> {
        let found = tax_rate::Entity::find().filter(tax_rate::Column::CountryCode.eq(country.to_string()));
        Ok(Self(found.all(db).await?))
    }

    /// The country's own.
    #[must_use]
    pub fn own(&self) -> Option<&tax_rate::Model> {
        self.of(None)
    }

    /// The one that things of a category are sold at.
    #[must_use]
    pub fn nearest(&self, tree: &Tree, category: i64) -> Option<&tax_rate::Model> {
        let mut place = tree.find(category);
        while let Some(here) = place {
            let node = tree.node(here);
            if let Some(found) = self.of(Some(node.id)) {
                return Some(found);
            }
            place = node.parent;
        }
        self.own()
    }

    fn of(&self, category: Option<i64>) -> Option<&tax_rate::Model> {
        self.0.iter().find(|row| row.category_id == category)
    }
}

/// All rates, by country, each country's own first. One statement; they are few.
///
/// # Errors
/// When the database cannot be asked.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<tax_rate::Model>> {
    let mut rows = tax_rate::Entity::find().all(db).await?;
    rows.sort_by_key(|row| (row.country_code.clone(), row.category_id.is_some(), row.id));
    Ok(rows)
}
